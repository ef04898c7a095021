"""Chapters at a time: who may start, with which environment, and how all of them are stopped."""

import asyncio
import os
import signal
from collections import deque
from contextlib import suppress
from pathlib import Path

import course_utils
from course_utils.commands.run.execute import run_job


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


def run_jobs(jobs, at_once, show, enter, scratch, stop_on_failure=False):
    """Run jobs, each in a kernel of its own.

    jobs: name -> `execute.Job`, started in that order. at_once: how many at a time.
    show: gets `started(name)`, `cell(name, done, total)`, `ended(name, result)`.
    enter: called with (name, result) as a job ends; result is a dict with "seconds", "cells"
    [done, total], "error" (None or a dict: cell, code, name, message, traceback), "records" and
    "output_sha256" (of the executed notebook, None if none was written).
    scratch: folder for temporary files of kernels, which killed ones leave behind.
    stop_on_failure: whether a failure keeps the jobs that wait from starting.
    On an exception – one in `enter`, a notebook that cannot be written – kernels are killed and it
    is raised; on Ctrl-C and SIGTERM, with which a CI job is cancelled, KeyboardInterrupt.
    """
    # its loop works with zmq on Windows, too
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        try:
            runner.run(_run_all(jobs, at_once, show, enter, scratch, stop_on_failure))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _run_all(jobs, at_once, show, enter, scratch, stop_on_failure):
    loop, stop = asyncio.get_running_loop(), asyncio.current_task().cancel
    # a task that nbclient leaves behind finds that its kernel is gone: no news for the user
    loop.set_exception_handler(lambda *_: None)
    with suppress(NotImplementedError):  # Windows has no such signal
        loop.add_signal_handler(signal.SIGTERM, stop)
    waiting, running = deque(jobs), {}
    try:
        while running or waiting:
            while waiting and _has_room(running.values(), waiting[0], jobs, at_once):
                name = waiting.popleft()
                show.started(name)
                running[_start(name, jobs[name], at_once, show, scratch)] = name
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                name, result = running.pop(task), task.result()
                if result["error"] and stop_on_failure:
                    waiting.clear()
                show.ended(name, result)
                enter(name, result)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _start(name, job, at_once, show, scratch):
    environment = kernel_environment(None if job.alone else threads_of(at_once), scratch)
    environment.setdefault("COURSE_PROGRESS_FILE", "none")  # a batch run is no learner
    if job.report is not None:
        environment["COURSE_REPORT"] = job.report

    def tell(done, total):
        show.cell(name, done, total)

    return asyncio.create_task(run_job(job, environment, Path(scratch) / f"{name}.json", tell))


def _has_room(running, name, jobs, at_once):
    """Whether the job `name` may start beside the jobs that run."""
    if jobs[name].alone or any(jobs[other].alone for other in running):
        return not running
    return len(running) < at_once


def threads_of(at_once):
    """Threads for each of several kernels; None, the libraries' own choice, for a single one."""
    return max(1, cpu_count() // at_once) if at_once > 1 else None


def python_environment():
    """This process's environment, with which other ones find this very course_utils.

    They heed asserts, whatever PYTHONOPTIMIZE says: chapters test themselves with them.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    return kept | {"PYTHONPATH": python_path()}


def python_path():
    """PYTHONPATH with which other processes find this very course_utils, installed or not."""
    package = str(Path(course_utils.__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))


def kernel_environment(threads=None, scratch=None):
    """Environment of a kernel: finds course_utils, shows no progress bars, shares the cores.

    scratch: folder for its temporary files; None: the system's.
    """
    environment = python_environment() | {"TQDM_DISABLE": "1", "COURSE_PROGRESS": "none"}
    if scratch is not None:
        names = ("TMPDIR", "TEMP", "TMP", "JUPYTER_RUNTIME_DIR")
        environment |= dict.fromkeys(names, str(scratch))
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(name, str(threads))
    return environment
