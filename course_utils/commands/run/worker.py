"""One chapter, one process: what `course run` starts for each notebook.

Reads a job as one line of JSON on standard input and writes events as lines of JSON on standard
output (see `Job` and the calls of `tell`). When standard input closes – the parent wants to stop,
or is gone – the kernel is killed and the process ends.
"""

import contextlib
import hashlib
import json
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from course_utils.commands.notebooks import COLOUR_CODES, INJECTED_TAG
from course_utils.files import write_whole
from course_utils.results import RECORD_MIME

NOT_SAVED = "NotSaved"  # name of the error when the executed notebook could not be written
_START_TIMEOUT = 180  # seconds; a busy machine starts kernels slowly
_IOPUB_TIMEOUT = 60  # seconds; nbclient's 4 are too few when all cores train


@dataclass(frozen=True)
class Job:
    """notebook: what to run. output: where to put it. cwd: the kernel's folder. timeout: s a cell.

    report: the run's report.json, which the comparison chapter reads; None: there is none.
    alone: it measures, and so gets all cores while no other job runs.
    Paths are strings, for the job travels as JSON; timeout None means no limit.
    """

    notebook: str
    output: str
    cwd: str
    parameters: dict
    timeout: float | None
    report: str | None = None
    alone: bool = False

    def to_json(self):
        return json.dumps(asdict(self))


def main():
    # the kernel inherits standard output, and C code may write to it: keep a channel of our own
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**event):
        print(json.dumps(event), file=channel, flush=True)

    job = Job(**json.loads(sys.stdin.readline()))
    os.environ.setdefault("COURSE_PROGRESS_FILE", "none")  # a batch run is no learner
    if job.report is not None:
        os.environ["COURSE_REPORT"] = job.report
    running = {}
    threading.Thread(target=_stop_with_parent, args=(running,), daemon=True).start()
    try:
        result = run_notebook(job, running, tell)
    except Exception as error:  # the parent must learn of any failure, whatever it is
        result = failure(type(error).__name__, str(error))
    tell(event="done", **result)


def run_notebook(job, running, tell):
    """Execute the notebook of a job and write the output.

    running: a dict that holds the client under "client" while there is one.
    tell: called with event="cell", done and total (code cells) as each code cell starts, and
    before the first one with event="kernel" and the kernel's pid.
    Returns a dict: "error" (None or a dict), "records", "output_sha256" (of the written file).
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import Engine, papermill_engines

    class Reporting(Engine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, execution_timeout=None, **_):
            numbers = code_cell_numbers(nb_man.nb)
            papermill_start = nb_man.cell_start

            def start(cell, cell_index=None, **kwargs):
                papermill_start(cell, cell_index, **kwargs)
                if "cell" not in running:
                    tell(event="kernel", pid=kernel_pid(running))
                running["cell"] = cell
                if cell_index in numbers:
                    tell(event="cell", done=numbers[cell_index] - 1, total=len(numbers))

            nb_man.cell_start = start
            running["nb"] = nb_man.nb
            running["numbers"] = {id(nb_man.nb.cells[i]): n for i, n in numbers.items()}
            running["client"] = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                timeout=execution_timeout,
                startup_timeout=_START_TIMEOUT,
                iopub_timeout=_IOPUB_TIMEOUT,
            )
            running["client"].execute()

    papermill_engines.register("reporting", Reporting)
    error = None
    try:
        papermill.execute_notebook(
            job.notebook,
            None,
            parameters=job.parameters,
            engine_name="reporting",
            kernel_name="python3",  # of this environment, whatever the file says
            language="python",
            progress_bar=False,
            cwd=job.cwd,
            execution_timeout=job.timeout,
        )
    except papermill.PapermillExecutionError as raised:
        error = (raised.ename, raised.evalue, "\n".join(raised.traceback))
    except CellTimeoutError:
        error = (
            "CellTimeoutError",
            f"the cell ran longer than {job.timeout:g} s; allow more with --timeout",
        )
    except DeadKernelError:
        error = (
            "DeadKernelError",
            "the kernel died while the cell ran, often because memory ran out",
        )
    nb, cell = running["nb"], running.get("cell")
    if error is not None and cell is not None:
        if not any(output.output_type == "error" for output in cell.get("outputs", [])):
            # papermill marks only Python errors, and would leave this cell looking complete
            cell.outputs.append(
                nbformat.v4.new_output("error", ename=error[0], evalue=error[1], traceback=[])
            )
        error = _error(running["numbers"].get(id(cell)), cell.source, *error)
    nb.metadata.papermill["input_path"] = Path(job.notebook).name  # no path of this machine
    try:
        digest = publish(nb, Path(job.output))
    except OSError as unsaved:
        return failure(NOT_SAVED, f"{job.output} could not be written: {unsaved.strerror}")
    return {"error": error, "records": records_of(nb), "output_sha256": digest}


def failure(name, message, traceback=""):
    """The result of a chapter that left no executed notebook."""
    error = _error(None, "", name, message, traceback)
    return {"error": error, "records": {}, "output_sha256": None}


def kernel_pid(running):
    provisioner = getattr(getattr(running.get("client"), "km", None), "provisioner", None)
    return getattr(getattr(provisioner, "process", None), "pid", None)


def kill_kernel(pid):
    """Kill a kernel with all that it started, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)  # jupyter gives each kernel a group of its own
        else:
            os.kill(pid, signal.SIGTERM)  # which on Windows kills


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


def _error(cell, source, name, message, traceback=""):
    lines = (line.strip() for line in source.splitlines())
    code = next((line for line in lines if line and not line.startswith("#")), "")
    return {
        "cell": cell,
        "code": code,
        "name": name,
        "message": message.strip(),
        "traceback": COLOUR_CODES.sub("", traceback),
    }


def _stop_with_parent(running):
    # raw, for a thread that waits in sys.stdin's buffer would break the interpreter's exit
    os.read(0, 1)  # returns when the parent closes the pipe
    pid = kernel_pid(running)
    if pid is not None:
        kill_kernel(pid)
    os._exit(1)


if __name__ == "__main__":
    main()
