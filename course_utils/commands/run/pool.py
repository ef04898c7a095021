"""Worker processes for chapters: start, follow, stop. Nothing here knows about reports."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import course_utils
from course_utils.commands.run.worker import failure, kill_kernel

_STOP_GRACE = 5  # seconds a worker has to end its kernel before it is killed


def cpu_count():
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_jobs():
    """Chapters at a time: one for every two cores, and two on two cores.

    Two chapters with a thread each get more done than one with two threads, which wait for each
    other after every small operation.
    """
    return min(cpu_count(), max(2, cpu_count() // 2))


def run_jobs(jobs, at_once, show, stop_on_failure, scratch):
    """Run jobs in processes of their own.

    jobs: name -> worker.Job, started in that order. at_once: how many at a time.
    show: gets `started(name)`, `cell(name, done, total)`, `ended(name, result)`.
    stop_on_failure: whether a failure keeps the jobs that wait from starting.
    scratch: folder for temporary files of workers and kernels, which killed ones leave behind.
    Yields (name, result) as jobs end; result is a dict with "seconds", "cells" [done, total],
    "error" (None or a dict: cell, code, name, message, traceback), "records" and "output_sha256"
    (of the executed notebook, None if none was written).
    On an exception in the caller – Ctrl-C – or when it stops iterating, workers are killed.
    """
    waiting = deque(jobs.items())
    shared = worker_environment(threads_of(at_once), scratch)
    whole = worker_environment(None, scratch)
    running, events = {}, queue.Queue()
    try:
        while running or waiting:
            while waiting and _has_room(running, waiting[0][1], jobs, at_once):
                name, job = waiting.popleft()
                running[name] = _Worker(name, job, events, whole if job.alone else shared)
                show.started(name)
            name, event = _next(events)
            if event["event"] == "kernel":
                running[name].kernel = event["pid"]
                continue
            if event["event"] == "cell":
                running[name].cells = [event["done"], event["total"]]
                show.cell(name, event["done"], event["total"])
                continue
            result = running.pop(name).result(event)
            if result["error"] and stop_on_failure:
                waiting.clear()
            show.ended(name, result)
            yield name, result
    finally:
        stop_all(running.values())


def _has_room(running, job, jobs, at_once):
    """Whether `job` may start beside the jobs that run."""
    if job.alone or any(jobs[name].alone for name in running):
        return not running
    return len(running) < at_once


def threads_of(at_once):
    """Threads for each of several workers; None, the libraries' own choice, for a single one."""
    return max(1, cpu_count() // at_once) if at_once > 1 else None


def python_path():
    """PYTHONPATH with which other processes find this very course_utils, installed or not."""
    package = str(Path(course_utils.__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))


def worker_environment(threads=None, scratch=None):
    """Environment of a kernel: finds course_utils, shows no progress bars, shares the cores.

    scratch: folder for its temporary files; None: the system's.
    """
    environment = os.environ | {
        "PYTHONPATH": python_path(),
        "TQDM_DISABLE": "1",
        "COURSE_PROGRESS": "none",
    }
    if scratch is not None:
        names = ("TMPDIR", "TEMP", "TMP", "JUPYTER_RUNTIME_DIR")
        environment |= dict.fromkeys(names, str(scratch))
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(name, str(threads))
    return environment


def stop_all(workers):
    """Kill workers and their kernels."""
    for worker in workers:
        worker.hang_up()
    deadline = time.monotonic() + _STOP_GRACE
    for worker in workers:
        try:
            worker.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
            worker.kill_kernel()


def _next(events):
    while True:
        try:
            # a blocking get without a timeout would not see Ctrl-C on Windows
            return events.get(timeout=0.5)
        except queue.Empty:
            continue


class _Worker:
    def __init__(self, name, job, events, environment):
        self.started = time.perf_counter()
        self.cells, self.kernel = [0, 0], None
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "course_utils.commands.run.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            encoding="utf-8",
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is for us, we pass it on in order
        )
        with contextlib.suppress(BrokenPipeError):  # killed already: the listener will tell
            self.process.stdin.write(job.to_json() + "\n")
            self.process.stdin.flush()
        threading.Thread(target=self._listen, args=(name, events), daemon=True).start()

    def _listen(self, name, events):
        last = None
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # torn: the worker was killed while it wrote
            last = json.loads(line)
            if last["event"] != "done":
                events.put((name, last))
        if last is None or last["event"] != "done":
            last = {"event": "done", **self._death()}
        events.put((name, last))

    def _death(self):
        status = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        message = ": ".join([f"the process that ran the chapter {how}", *said[-1:]])
        return failure("WorkerDied", message, "\n".join(said))

    def hang_up(self):
        """Close its standard input: it then kills its kernel and ends."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def kill_kernel(self):
        """For a worker that was killed, and so could not do it itself."""
        if self.kernel is not None:
            kill_kernel(self.kernel)

    def result(self, event):
        self.hang_up()
        if self.process.wait() < 0:
            self.kill_kernel()
        self.errors.close()
        done, total = self.cells
        if event["error"] is None:
            done = total
        return {
            "seconds": round(time.perf_counter() - self.started, 2),
            "cells": [done, total],
            "error": event["error"],
            "records": event["records"],
            "output_sha256": event["output_sha256"],
        }
