"""The processes that judge returned notebooks: started with a clean environment, watched, ended."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass

from course_utils.commands.plain import plain
from course_utils.commands.run.pool import python_path
from course_utils.errors import RunError

STATUSES = ("passed", "failed", "error", "not attempted")
LARGEST = 50_000_000  # bytes of a notebook
_END = 5  # seconds from a process's last word to its end
_LINE = 1_000_000  # characters that a process may say at a time
_START = 180  # seconds; on a busy machine torch loads slowly
_KEPT = ("PATH", "LANG", "LC_ALL", "COURSE_DATA", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True)
class Grade:
    """note: a few words for the instructor. text: the feedback for the student."""

    status: str  # one of STATUSES: "failed" was judged, "error" could not be
    note: str = ""
    text: str = ""


class Graders:
    """Judges notebooks, several at a time if called from several threads.

    seconds: that one exercise may take. memory: MB, on top of what torch needs by itself.
    """

    def __init__(self, seconds, memory):
        self.seconds, self.memory = seconds, memory
        self.live, self.stopped = set(), False

    def stop(self):
        """End all processes; none starts after this."""
        self.stopped = True
        for process in tuple(self.live):
            _kill(process)

    def grade(self, notebook, ids):
        """({exercise id: Grade}, what is wrong with the whole notebook or None)."""
        grades, todo = {}, list(ids)
        while todo:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                problem, got, end = self._attempt(notebook, todo, folder)
            if problem:
                return {id: Grade("error", text=problem) for id in ids}, problem
            grades |= got
            todo = todo[len(got) :]
            if todo and end:  # what it died of, the next process leaves out
                grades[todo.pop(0)] = Grade("error", end, end)
        return grades, None

    def _attempt(self, notebook, ids, folder):
        """(problem, {id: Grade} of the first of `ids`, why it ended over the next one or "")."""
        job = {"notebook": str(notebook.resolve()), "ids": ids}
        job |= {"memory": self.memory, "seconds": self.seconds, "largest": LARGEST}
        got = {}
        with tempfile.TemporaryFile() as errors:
            process, lines = self._start(job, folder, errors)
            try:
                first = lines.get(timeout=_START)
                if first is None:
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip().splitlines()
                    raise RunError(f"a grading process could not start: {' '.join(said[-1:])}")
                if first["problem"]:
                    return plain(first["problem"]), {}, ""
                for id in ids:
                    grade = lines.get(timeout=self.seconds)
                    if grade is None:
                        return None, got, _death(process, got)
                    got[id] = grade
                return None, got, ""
            except queue.Empty:
                return None, got, f"stopped after {self.seconds:g} s"
            finally:
                _kill(process)
                process.stdin.close()
                process.wait()
                self.live.discard(process)

    def _start(self, job, folder, errors):
        if self.stopped:
            raise RunError("stopped")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "course_utils.commands.grade.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,  # so that it can be ended with all that it started
        )
        self.live.add(process)
        lines = queue.Queue()
        threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True).start()
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        return process, lines


def _death(process, got):
    """Why a process ended before it had judged all; "" if to make room for the next one."""
    try:
        status = process.wait(_END)
    except subprocess.TimeoutExpired:  # it did not end, but what it said made no sense
        return "its process disturbed the grading"
    if status == 0 and got:
        return ""
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


def _environment(folder):
    """Nothing of the instructor's that answers could read, but what Python needs to start."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PYTHONPATH": python_path(),
        "HOME": folder,
        "USERPROFILE": folder,
        "TMPDIR": folder,
        "TEMP": folder,
        "MPLBACKEND": "agg",
        "PYTHONUTF8": "1",
        "COURSE_OFFLINE": "1",
        "COURSE_PROGRESS": "none",
        "OMP_NUM_THREADS": "1",  # several notebooks share the cores
    }


def _listen(stream, lines):
    """Put what a process says into a queue; None at its end, or when it talks nonsense."""
    with suppress(ValueError, TypeError, KeyError):
        for line in iter(lambda: stream.readline(_LINE), ""):  # an answer may find the channel
            event = json.loads(line)
            if "problem" not in event:
                event = Grade(*(plain(event[key]) for key in ("status", "note", "text")))
                STATUSES.index(event.status)
            lines.put(event)
    lines.put(None)


def _kill(process):
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
