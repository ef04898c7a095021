"""An extension of a chapter's kernel: it ends with the run, and all that it started ends with it.

ipykernel watches for that, too, but ends only itself: what a chapter had started would stay.
"""

import os
import signal
import threading
import time


def load_ipython_extension(shell):
    """Put our watch in the place of ipykernel's, where there are groups of processes."""
    from ipykernel.kernelapp import IPKernelApp

    if hasattr(os, "killpg"):
        IPKernelApp.instance().poller = threading.Thread(target=_end_with_parent, daemon=True)


def _end_with_parent():
    parent = int(os.environ["JPY_PARENT_PID"])  # set by jupyter_client
    while os.getppid() == parent:
        time.sleep(0.5)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # jupyter_client gives each kernel a group of its own
