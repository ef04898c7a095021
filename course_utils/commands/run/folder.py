"""The folder of a run: one run at a time in it, and nothing left there by one that was killed."""

import contextlib
import datetime
import json
import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

from course_utils.errors import RunError
from course_utils.files import write_whole

_LOCK = ".lock"
_HOLDER = ".holder.json"  # says who holds the lock, for the one who is refused
_SCRATCH = "course-run-"
_ROOM = 1 << 20  # bytes; with less, not even one executed notebook could be saved


def prepare_folder(out):
    """Make the folder and see that it can be written; returns its absolute path."""
    out = Path(os.path.realpath(out))  # `resolve` raises where a link leads in a circle
    probe = out / f".{os.getpid()}.probe.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            probe.write_bytes(bytes(_ROOM))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"{out} cannot be written ({error.strerror}): mend that, or give another folder "
            "with --out"
        ) from None
    return out


@contextmanager
def claim(out):
    """Hold the folder `out` of a run inside the context; yields a folder for temporary files.

    What an earlier run left because it was killed is removed first. The lock is the operating
    system's: it ends with the process that holds it, so that none can be stale.
    Raises RunError if another run holds the folder.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(out / _LOCK)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        raise RunError(
            f"{out} is in use by another `course run`{_read_holder(out).get('who', '')}: "
            "let it finish, or give another folder with --out"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise RunError(
            f"{out} cannot be locked ({error}): give another folder with --out"
        ) from None
    scratch = None
    try:
        _remove_leftovers(out)
        scratch = tempfile.mkdtemp(prefix=_SCRATCH)
        since = f"{datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}"
        who = f" (process {os.getpid()} on {socket.gethostname()}, since {since})"
        write_whole(out / _HOLDER, json.dumps({"who": who, "scratch": scratch}))
        yield Path(scratch)
    except BrokenPipeError:  # whoever read what we print has gone: nothing to tell them
        raise
    except OSError as error:
        raise RunError(
            f"the run in {out} stopped: {error.strerror or error}. What had finished is kept; "
            "mend that, then go on with: course run --resume"
        ) from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):  # a disk that broke meanwhile: the next run cleans up
            _remove_leftovers(out)
            (out / _LOCK).unlink()  # while it is held: who waits for it looks for a new one
        lock.release()  # on Windows it is filelock that removes the file, here


def _remove_leftovers(out):
    """Remove temporary files of a run that is over; call it only with the lock held."""
    scratch = Path(str(_read_holder(out).get("scratch", "")))
    # the file could say anything: only folders that look like ours are removed
    if scratch.name.startswith(_SCRATCH) and scratch.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(scratch, ignore_errors=True)
    for leftover in (*out.glob(".*.part"), out / _HOLDER):
        leftover.unlink(missing_ok=True)


def _read_holder(out):
    """What `claim` noted in the folder; nothing if it is not there or torn."""
    try:
        return dict(json.loads((out / _HOLDER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
