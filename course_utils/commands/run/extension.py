"""An extension of a chapter's kernel: it loses no output, and nothing outlives the run.

ipykernel ends with its parent, too, but ends only itself: what a chapter had started would stay.
"""

import os
import signal
import threading
import time


def load_ipython_extension(shell):
    """Let output wait until it can be taken in, and put our watch in the place of ipykernel's."""
    import zmq
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    # not a higher limit, which ZeroMQ takes only before it connects: later, messages get stuck
    thread = app.iopub_thread
    thread.schedule(lambda: thread.socket.setsockopt(zmq.XPUB_NODROP, 1))
    if hasattr(os, "killpg"):  # where there are groups of processes
        app.poller = threading.Thread(target=_end_with_parent, daemon=True)


def _end_with_parent():
    parent = int(os.environ["JPY_PARENT_PID"])  # set by jupyter_client
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # jupyter_client gives each kernel a group of its own
