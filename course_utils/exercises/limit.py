"""Stop code that does not end: a time limit that works in a notebook on every system."""

import ctypes
import signal
import threading
import time
from contextlib import contextmanager

AGAIN = 0.05  # seconds; code that catches everything is interrupted again and again


class TimeUp(BaseException):
    """Raised inside code that ran too long. No Exception, so that `except Exception` lets it by."""


def time_limit(seconds):
    """Context in which TimeUp is raised after so many seconds of wall-clock time.

    In the main thread of Linux and macOS an alarm signal does it, which ends `time.sleep` too.
    Elsewhere another thread raises it at the next step of Python code. Neither can stop a single
    long call into C, such as the product of two huge matrices, before it returns.
    """
    main = threading.current_thread() is threading.main_thread()
    return _by_alarm(seconds) if main and hasattr(signal, "setitimer") else _by_thread(seconds)


@contextmanager
def _by_alarm(seconds):
    armed = True

    def ring(*_):
        if armed:
            raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    started = time.monotonic()
    delay, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            yield
        finally:
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        if delay:  # somebody else's alarm, such as a test runner's, goes on
            rest = max(0.001, delay - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, rest, interval)


@contextmanager
def _by_thread(seconds):
    target = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    done, turn = threading.Event(), threading.Lock()

    def watch():
        wait = seconds
        while not done.wait(wait):
            with turn:
                if not done.is_set():
                    raise_in(target, ctypes.py_object(TimeUp))
            wait = AGAIN

    threading.Thread(target=watch, daemon=True).start()
    try:
        try:
            yield
        finally:
            done.set()
    finally:
        with turn:
            raise_in(target, None)  # take back one that has not been delivered yet
