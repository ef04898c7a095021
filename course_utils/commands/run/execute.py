"""One chapter in a kernel of its own: papermill's parameters and marks, nbclient's execution."""

import asyncio
import hashlib
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from course_utils.commands.notebooks import COLOUR_CODES, INJECTED_TAG
from course_utils.files import write_whole
from course_utils.results import RECORD_MIME

_START_TIMEOUT = 180  # seconds; a busy machine starts kernels slowly
_IOPUB_TIMEOUT = 60  # seconds; nbclient's 4 are too few when all cores train


@dataclass(frozen=True)
class Job:
    """notebook: what to run. output: where to put it. cwd: the kernel's folder. timeout: s a cell.

    report: the run's report.json, which the comparison chapter reads; None: there is none.
    alone: it measures, and so gets all cores while no other job runs.
    Paths are strings; timeout None means no limit.
    """

    notebook: str
    output: str
    cwd: str
    parameters: dict
    timeout: float | None
    report: str | None = None
    alone: bool = False


async def run_job(job, environment, connection_file, tell):
    """Execute the notebook of a job in a new kernel and write the output.

    environment: the kernel's. connection_file: path for the kernel's connection file, in a folder
    that is there. tell: called with the code cells done and all of them as each one starts.
    Returns the result that `pool.run_jobs` describes; raises OSError if the executed notebook
    cannot be written. When the task is cancelled, the kernel is killed with all that it started.
    """
    import papermill

    start, cells = time.perf_counter(), [0, 0]

    def count(done, total):
        cells[:] = done, total
        tell(done, total)

    try:
        nb = papermill.execute_notebook(
            job.notebook,
            None,
            job.parameters,
            kernel_name="python3",  # of this environment, whatever the file says
            language="python",
            prepare_only=True,
        )
        await _run_cells(nb, job, environment, connection_file, count)
    except Exception as error:  # whatever it is, the other chapters go on
        failure = describe_error(None, "", type(error).__name__, str(error))
        result = {"error": failure, "records": {}, "output_sha256": None}
    else:
        error = _marked_error(nb)
        if error is None:
            cells[0] = cells[1]
        nb.metadata.papermill["input_path"] = Path(job.notebook).name  # no path of this machine
        digest = publish(nb, Path(job.output))
        result = {"error": error, "records": records_of(nb), "output_sha256": digest}
    return {"seconds": round(time.perf_counter() - start, 2), "cells": cells, **result}


async def _run_cells(nb, job, environment, connection_file, tell):
    """Execute all cells, or up to one that fails, whose error is then among its outputs."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from papermill.engines import NotebookExecutionManager

    marks, numbers = NotebookExecutionManager(nb, progress_bar=False), code_cell_numbers(nb)
    marks.notebook_start()
    async with _kernel(nb, job, environment, connection_file) as client:
        for index, cell in enumerate(nb.cells):
            if index in numbers:
                tell(numbers[index] - 1, len(numbers))
            marks.cell_start(cell, index)
            try:
                await client.async_execute_cell(cell, index)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                if asyncio.current_task().cancelling():  # nbclient takes this for a dead kernel
                    raise asyncio.CancelledError from None
                if not isinstance(error, CellExecutionError):
                    _show_error(cell, type(error).__name__, job.timeout)
                marks.cell_exception(cell, index)
                break
            finally:
                marks.cell_complete(cell, index)
        client.set_widgets_metadata()
    marks.notebook_complete()


@asynccontextmanager
async def _kernel(nb, job, environment, connection_file):
    """A client of nbclient with a new kernel; the kernel ends with the context."""
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient

    manager = AsyncKernelManager(kernel_name="python3", connection_file=str(connection_file))
    client = NotebookClient(
        nb,
        km=manager,
        timeout=job.timeout,
        startup_timeout=_START_TIMEOUT,
        iopub_timeout=_IOPUB_TIMEOUT,
        raise_on_iopub_timeout=True,
        extra_arguments=["--ext=course_utils.commands.run.orphans"],
    )
    at_once = True
    try:
        # not nbclient's own context, which would take Ctrl-C for itself
        await client.async_start_new_kernel(
            cwd=job.cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        await client.async_start_new_kernel_client()
        info = await client.kc.kernel_info(reply=True, timeout=_START_TIMEOUT)
        nb.metadata["language_info"] = info["content"]["language_info"]
        yield client
        at_once = False
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        await manager.shutdown_kernel(now=at_once)


def _show_error(cell, name, timeout):
    """Put an error among the outputs of its cell; only those of Python come by themselves."""
    from nbformat.v4 import new_output

    message = "the kernel died while the cell ran, often because memory ran out"
    if name == "CellTimeoutError" and timeout is None:
        message = "the kernel sent no output any more"
    elif name == "CellTimeoutError":
        message = f"the cell ran longer than {timeout:g} s; allow more with --timeout"
    cell.outputs.append(new_output("error", ename=name, evalue=message, traceback=[]))


def _marked_error(nb):
    """What stopped the notebook, None if nothing did; papermill marks the place in it."""
    from papermill import PapermillExecutionError
    from papermill.execute import raise_for_execution_errors

    numbers = code_cell_numbers(nb)
    try:
        raise_for_execution_errors(nb, None)
    except PapermillExecutionError as error:
        number, traceback = numbers.get(error.cell_index), "\n".join(error.traceback)
        return describe_error(number, error.source, error.ename, error.evalue, traceback)
    return None


def code_cell_numbers(nb):
    """Index of each code cell -> its number from 1, papermill's own cell not counted."""
    indices = [
        index
        for index, cell in enumerate(nb.cells)
        if cell.cell_type == "code" and INJECTED_TAG not in cell.metadata.get("tags", [])
    ]
    return {index: number for number, index in enumerate(indices, 1)}


def records_of(nb):
    """What the chapter's `record(…)` calls recorded, as one flat dict; a later value wins."""
    merged = {}
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            merged.update(output.get("data", {}).get(RECORD_MIME, {}))
    return merged


def publish(nb, path):
    """Write a notebook whole; returns the SHA-256 of the file."""
    import nbformat

    text = nbformat.writes(nb)
    content = (text if text.endswith("\n") else text + "\n").encode()
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def describe_error(cell, source, name, message, traceback=""):
    """An error as a report holds it. cell: number of its code cell, or None; source: its code."""
    lines = (line.strip() for line in source.splitlines())
    return {
        "cell": cell,
        "code": next((line for line in lines if line and not line.startswith("#")), ""),
        "name": name,
        "message": message.strip(),
        "traceback": COLOUR_CODES.sub("", traceback),
    }
