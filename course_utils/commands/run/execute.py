"""One chapter in a kernel of its own: papermill's parameters and marks, nbclient's execution."""

import asyncio
import hashlib
import signal
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from course_utils.commands.notebooks import COLOUR_CODES, INJECTED_TAG, SKIP_TAG, tags_of
from course_utils.files import write_whole
from course_utils.results import RECORD_MIME

_START_TIMEOUT = 180  # seconds; a busy machine starts kernels slowly
_OUTPUT_TIMEOUT = 600  # seconds after a cell's end; some print faster than it can be taken in
_FOR_EVER = 1e9  # seconds; clocks have no room for much more
_RAISES_TAG = "raises-exception"  # Jupyter's own tag
_TO_ITS_END = "it ends the chapter here, which passes only when every cell is run to its end"


@dataclass(frozen=True)
class Job:
    """notebook: what to run. output: where to put it. cwd: the kernel's folder. timeout: s a cell.

    report: the run's report.json, which the comparison chapter reads; None: there is none.
    alone: it measures, and so gets all cores while no other job runs.
    Paths are strings; timeout None or infinity means no limit.
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
    start, cells = time.perf_counter(), [0, 0]

    def count(done, total):
        cells[:] = done, total
        tell(done, total)

    try:
        nb = _prepared(job)
        error = await _run_cells(nb, job, environment, connection_file, count)
    except Exception as failure:  # whatever it is, the other chapters go on
        error = describe_error(None, "", type(failure).__name__, str(failure))
        result = {"error": error, "records": {}, "output_sha256": None}
    else:
        if error is None:
            cells[0] = cells[1]
        digest = publish(nb, Path(job.output))
        result = {"error": error, "records": records_of(nb), "output_sha256": digest}
    return {"seconds": round(time.perf_counter() - start, 2), "cells": cells, **result}


def _prepared(job):
    """The notebook of a job with its parameters in a cell of their own, as papermill does it."""
    from papermill.execute import prepare_notebook_metadata, remove_error_markers
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    nb = load_notebook_node(job.notebook)
    if job.parameters:
        # for the kernel of this environment, whatever the file says
        nb = parameterize_notebook(nb, job.parameters, kernel_name="python3", language="python")
    name = Path(job.notebook).name  # no path of this machine
    return remove_error_markers(prepare_notebook_metadata(nb, name, None))


async def _run_cells(nb, job, environment, connection_file, tell):
    """Execute all cells; None if each was run to its end, else the error of the first that was not.

    Tags mean what they mean to Jupyter: after an error in a cell tagged `raises-exception` the next
    one runs; one tagged `skip-execution` does not run, and shows what it showed.
    """
    from papermill.engines import NotebookExecutionManager

    marks, numbers = NotebookExecutionManager(nb, progress_bar=False), code_cell_numbers(nb)
    shown = [(cell, cell.outputs) for cell in nb.cells if SKIP_TAG in tags_of(cell)]
    marks.notebook_start()  # it forgets all outputs
    for cell, outputs in shown:
        cell.outputs = outputs
    found = None
    async with _kernel(nb, job, environment, connection_file) as client:
        for index, cell in enumerate(nb.cells):
            if index in numbers:
                tell(numbers[index] - 1, len(numbers))
            marks.cell_start(cell, index)
            found = await _run_cell(client, cell, index, job.timeout)
            if found:
                marks.cell_exception(cell, index)
            marks.cell_complete(cell, index)
            if found:
                break
        client.set_widgets_metadata()
    marks.notebook_complete()
    if found is None:
        return None
    _mark(nb, index)
    return describe_error(numbers.get(index), cell.source, *found)


async def _run_cell(client, cell, index, timeout):
    """Execute a cell: None, or the name of its error, its message and its traceback."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    said = {}
    client.on_cell_executed = lambda execute_reply, **_: said.update(execute_reply["content"])
    try:
        await client.async_execute_cell(cell, index)
    except CellExecutionError:
        pass  # the kernel has said so, too
    except (CellTimeoutError, DeadKernelError) as error:
        if asyncio.current_task().cancelling():  # nbclient takes this for a dead kernel
            raise asyncio.CancelledError from None
        return _shown(cell, type(error).__name__, await _reason(client, error, timeout))
    if any(payload["source"] == "ask_exit" for payload in said.get("payload", [])):
        return _shown(cell, "SystemExit", _TO_ITS_END)  # of `exit` and `quit`
    if _RAISES_TAG in tags_of(cell):
        return None
    # an error may also be shown by a cell that goes on, as `%%capture` does
    errors = [said] if said.get("status") == "error" else []
    errors += [output for output in cell.get("outputs", []) if output.output_type == "error"]
    for error in errors:
        message = _TO_ITS_END if error["ename"] == "SystemExit" else error["evalue"]
        return error["ename"], message, "\n".join(error["traceback"])
    return None


def _shown(cell, name, message):
    """Put an error among the outputs of its cell; only those of Python come by themselves."""
    from nbformat.v4 import new_output

    cell.outputs.append(new_output("error", ename=name, evalue=message, traceback=[]))
    return name, message, ""


async def _reason(client, error, timeout):
    """Why a cell did not come to its end, in words."""
    if type(error).__name__ == "DeadKernelError":
        return f"the kernel died while the cell ran ({ending(await client.km.provisioner.poll())})"
    if "IOPub" in str(error):
        return f"not all of the cell's output came within {_OUTPUT_TIMEOUT} s after its end"
    return f"the cell ran longer than {timeout:g} s; allow more with --timeout"


def ending(status):
    """How a process ended, in words. status: as `subprocess` has it."""
    if not status or status > 0:
        return f"status {status}"
    name = signal.Signals(-status).name
    return f"{name}, often because memory ran out" if name == "SIGKILL" else name


def _mark(nb, index):
    """Mark the place of an error in the notebook, with a link to it at the top, as papermill."""
    from nbformat.v4 import new_markdown_cell
    from papermill import execute

    count, tags = nb.cells[index].get("execution_count"), {"tags": [execute.ERROR_MARKER_TAG]}
    nb.cells.insert(index, new_markdown_cell(execute.ERROR_ANCHOR_MSG, metadata=tags))
    nb.cells.insert(0, new_markdown_cell(execute.ERROR_MESSAGE_TEMPLATE % count, metadata=tags))


@asynccontextmanager
async def _kernel(nb, job, environment, connection_file):
    """A client of nbclient with a new kernel; the kernel ends with the context."""
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient

    timeout = job.timeout if job.timeout is None or job.timeout < _FOR_EVER else None
    manager = AsyncKernelManager(kernel_name="python3", connection_file=str(connection_file))
    client = NotebookClient(
        nb,
        km=manager,
        timeout_func=lambda cell: timeout,  # `timeout` itself takes whole seconds only
        startup_timeout=_START_TIMEOUT,
        iopub_timeout=_OUTPUT_TIMEOUT,
        raise_on_iopub_timeout=True,
        extra_arguments=["--ext=course_utils.commands.run.extension"],
    )
    at_once = True
    try:
        # not nbclient's own context, which would take Ctrl-C for itself
        await client.async_start_new_kernel(
            cwd=job.cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        await client.async_start_new_kernel_client()
        # nbclient's way of waiting sees a kernel that dies meanwhile
        waiting = client.async_wait_for_reply(client.kc.kernel_info())
        info = await asyncio.wait_for(waiting, _START_TIMEOUT)
        nb.metadata["language_info"] = info["content"]["language_info"]
        yield client
        at_once = False
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        await manager.shutdown_kernel(now=at_once)


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
        ran = cell.get("execution_count") is not None  # what another one shows is from earlier
        for output in cell.get("outputs", []) if ran else ():
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
