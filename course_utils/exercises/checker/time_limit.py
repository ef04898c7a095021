"""Stop code that does not end: a time limit that works in a notebook on every system."""

import ctypes
import random
import signal
import threading
import time

# After the first interruption, code has time to clean up behind itself, as `with` blocks do. What
# still runs then catches everything: it is hit again and again, after times that vary, or it would
# be hit at the same place every time, inside of its `try`.
GRACE = 0.2  # seconds
AGAIN = 1e-4  # seconds, at most


class TimeUp(BaseException):
    """Raised inside code that ran too long. No Exception, so that `except Exception` lets it by."""


def limited(seconds, work):
    """What `work()` returns; raises TimeUp in it after so many seconds of wall-clock time.

    In the main thread of Linux and macOS an alarm signal does it, which ends `time.sleep` too, and
    code that catches everything. Elsewhere another thread raises it at the next step of Python
    code, and such code may go on. Neither can stop a single long call into C, such as the product
    of two huge matrices, before it returns.

    No context manager: TimeUp could hit between the end of its body and its `__exit__`.
    """
    main = threading.current_thread() is threading.main_thread()
    by_alarm = main and hasattr(signal, "setitimer")
    return (_by_alarm if by_alarm else _by_thread)(seconds, work)


def _by_alarm(seconds, work):
    armed, rang = True, False

    def ring(*_):
        nonlocal rang
        if armed:
            wait = 1e-6 + AGAIN * random.random() if rang else GRACE
            rang = True
            signal.setitimer(signal.ITIMER_REAL, wait)
            raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    started = time.monotonic()
    delay, interval = signal.setitimer(signal.ITIMER_REAL, seconds)

    def clean_up():
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        if delay:  # somebody else's alarm, such as a test runner's, goes on
            rest = max(0.001, delay - (time.monotonic() - started))
            signal.setitimer(signal.ITIMER_REAL, rest, interval)

    try:
        return work()
    finally:
        armed = False  # Python looks for interruptions at calls and jumps only: this gets done
        _surely(clean_up)


def _by_thread(seconds, work):
    target = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    done, turn, armed = threading.Event(), threading.Lock(), True

    def watch():
        wait = seconds
        while not done.wait(wait):
            with turn:
                if armed:
                    raise_in(target, ctypes.py_object(TimeUp))
            wait = GRACE

    def clean_up():
        done.set()
        with turn:
            raise_in(target, None)  # take back one that has not been delivered yet

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        return work()
    finally:
        armed = False
        _surely(clean_up)


def _surely(clean_up):
    """Clean up, though a last TimeUp may be under way when the limit is no longer armed."""
    while True:
        try:
            return clean_up()
        except TimeUp:
            continue
