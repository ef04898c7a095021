"""Run `otter run` on returned notebooks, one after the other: a process that `course grade` starts.

It imports torch, otter and the exercises once; for each notebook it forks, and so does the kernel,
so that a notebook costs one second instead of eight. Reads jobs as lines of JSON on standard input,
answers with a line each on standard output, and ends when standard input closes.
"""

import ctypes
import gc
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_KERNEL = "course-grading"
_BEFORE = 2  # cells that otter puts before the notebook's own
_MOST_STEPS = 15  # a notebook may take so many times what a cell or an exercise may
_GRACE = 10  # seconds beyond what a cell or an exercise may take
_TRIES = 4  # each without the cell that ended the one before


def main():
    """Prepare, say so, and work until nobody asks any more."""
    with suppress(OSError, AttributeError):  # Linux: orphans of ours become our children
        ctypes.CDLL(None).prctl(36, 1)
    first = json.loads(sys.stdin.readline())
    prepare(first["ids"], first["seed"])
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    print("{}", file=channel, flush=True)
    for line in sys.stdin:
        print(json.dumps(graded(**json.loads(line))), file=channel, flush=True)


def prepare(ids, seed):
    """Import what notebooks need and work out what must come of each case: before, not among, what
    students wrote."""
    import matplotlib.pyplot  # noqa: F401
    import nbconvert.preprocessors  # noqa: F401
    from ipykernel import kernelapp  # noqa: F401
    from otter import Notebook, run  # noqa: F401
    from otter.execute import Checker  # noqa: F401

    from course_utils.commands.grade import watch
    from course_utils.exercises.checker.trial import prepared_cases
    from course_utils.exercises.registry import all_exercises, find

    all_exercises()
    chosen = [find(id) for id in ids]
    for exercise in chosen:
        for which in (0, seed):
            prepared_cases(exercise, which)
    watch.set_tripwires(chosen)
    watch.restore()  # what it imports is here, too
    gc.freeze()  # what is never collected is not copied, either


def graded(cells, autograder, seconds, memory):
    """Events of the record, and otter's results, of a notebook with these code cells.

    autograder: path of the zip. seconds: for a cell or an exercise. memory: MB, besides torch's.
    """
    cells, notes = [cell.strip() and cell or "#" for cell in cells], []
    for left in reversed(range(_TRIES)):
        folder, safe = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        try:
            events, results, problem = _once(folder, safe, cells, autograder, seconds, memory)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(safe, ignore_errors=True)
        if problem is None:
            break
        begun = [e.get("cell") for e in events if {"cell", "exercise"} & set(e)]
        if begun and begun[-1]:
            notes.append({"note": f"code cell {begun[-1]} is left out: {problem}"})
            cells[begun[-1] - 1] = "#"
        elif begun or not left:  # before the first cell it was not the notebook's fault: again
            notes.append({"note": problem})
            break
    return {"events": notes + events, "results": results}


def _once(folder, safe, cells, autograder, seconds, memory):
    """(events, results or None, why it did not come to its end or None)."""
    record = safe / "record"
    record.touch()
    job = {"record": str(record), "cells": len(cells), "before": _BEFORE}
    job |= {"seconds": seconds, "memory": memory}
    notebook = _notebook(folder, cells)
    process = os.fork()
    if not process:
        _become_otter(notebook, autograder, folder, job)
    problem = _watch(process, record, seconds)
    from course_utils.commands.grade import watch

    watch.record_at(record)
    results = None
    if problem:
        said = (folder / "otter.txt").read_text("utf-8", "replace").strip().splitlines()
        problem = ": ".join([problem, *said[-1:]])[:300]
    else:
        with suppress(OSError, ValueError, RecursionError):
            results = json.loads((folder / "results.json").read_text("utf-8"))
    return watch.said(), results, problem


def _notebook(folder, cells):
    """Write the notebook that otter gets: the student's code, and nothing else of the student's."""
    import nbformat

    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    spec = {"name": _KERNEL, "display_name": _KERNEL, "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})
    kernel = folder / "kernels" / _KERNEL
    kernel.mkdir(parents=True)
    argv = ["-f", "{connection_file}", "--ext=course_utils.commands.grade.watch"]
    argv += ["--HistoryManager.enabled=False", "--IPKernelApp.parent_handle=0"]
    spec |= {"argv": argv, "metadata": {"kernel_provisioner": {"provisioner_name": _KERNEL}}}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    path = folder / "notebook.ipynb"
    path.write_text(json.dumps(notebook))
    return path


def _become_otter(notebook, autograder, folder, job):
    """In a fork: grade one notebook by `otter run`, and end."""
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):
            os.dup2(nowhere, stream)
        os.dup2(os.open(folder / "otter.txt", os.O_CREAT | os.O_WRONLY), 2)
        os.closerange(3, 4096)
        os.environ |= {"HOME": str(folder), "TMPDIR": str(folder), "IPYTHONDIR": str(folder)}
        os.environ |= {"JUPYTER_PATH": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}
        tempfile.tempdir = str(folder)
        _fork_kernels(job)
        from otter import run

        run.main(str(notebook), autograder=autograder, output_dir=str(folder), no_logo=True)
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


def _fork_kernels(job):
    """Let Jupyter's kernels be forks of this process, by a provisioner of our own."""
    from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

    listen, speak = os.pipe()
    child = os.fork()  # now, as long as there is no event loop and no thread
    if not child:
        os.close(speak)
        _become_kernel(listen, job)

    class Forked(LocalProvisioner):
        async def launch_kernel(self, cmd, **kwargs):
            os.write(speak, json.dumps([cmd, os.getcwd()]).encode())
            os.close(speak)
            self.process, self.pid, self.pgid = _Child(child), child, child
            return self.connection_info

    class Entry:
        load = staticmethod(lambda: Forked)

    KernelProvisionerFactory.instance().provisioners[_KERNEL] = Entry


def _become_kernel(listen, job):
    """In a fork: wait for the word, then be a kernel."""
    try:
        os.setsid()
        argv, folder = json.loads(os.read(listen, 100_000) or "[]")
        os.close(listen)
        os.environ["COURSE_GRADING"] = json.dumps(job)
        if folder:
            os.chdir(folder)
        from ipykernel.kernelapp import IPKernelApp

        from course_utils.commands.grade import assess

        assess.seconds = job["seconds"]
        IPKernelApp.launch_instance(argv=argv)
    finally:
        os._exit(0)


class _Child(subprocess.Popen):
    """A process that was forked, in the form that Jupyter knows."""

    def __init__(self, pid):
        self.pid, self.returncode, self.args = pid, None, []
        self.stdin = self.stdout = self.stderr = None
        self._child_created, self._sigint_wait_secs = True, 0
        import threading

        self._waitpid_lock = threading.Lock()


def _watch(process, record, seconds):
    """Wait for a process as long as it gets on; why it was ended or died, None if all is well."""
    started = moved = time.monotonic()
    size, problem = 0, None
    while True:
        pid, status = os.waitpid(process, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            problem = "its process ended" if code else None
            break
        now = time.monotonic()
        if record.stat().st_size != size:
            size, moved = record.stat().st_size, now
        if now - moved > seconds + _GRACE:
            problem = f"stopped after {seconds:g} s"
        elif now - started > _MOST_STEPS * seconds:
            problem = f"the notebook was stopped after {_MOST_STEPS * seconds:g} s"
        elif select.select([sys.stdin], [], [], 0)[0]:
            problem = "nobody waits any more"  # a word during a job can only be its end
        if problem:
            break
        time.sleep(0.01)
    _end_all()
    return problem or None


def _end_all():
    """End every process that came of this one."""
    import psutil

    while children := psutil.Process().children(recursive=True):
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        if all(c.status() == "zombie" for c in children if c.is_running()):
            break


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    main()
