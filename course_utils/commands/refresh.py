"""`course refresh`: execute chapters in place, so that their saved outputs are what readers get.

Saved outputs are also what the notebook tests compare with. So they come from the real data set,
hold nothing of this machine, and a chapter that fails keeps the outputs that it had.
"""

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

from course_utils.commands.notebooks import (
    METADATA,
    SKIP_TAG,
    code_cells,
    read_notebook,
    select_chapters,
    tags_of,
)
from course_utils.commands.run import pool
from course_utils.commands.run.execute import Job, publish
from course_utils.commands.run.progress import make_console, show_progress
from course_utils.commands.run.report import error_line
from course_utils.errors import RunError
from course_utils.settings import REPOSITORY, download_dir, fast_dev_run

NO_OUTPUT_TAG = "samples"  # pictures of data are shown, never saved
_TIMEOUT = 1200  # seconds a cell
# object addresses and folders that exist here only; compared output must not hold them
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def refresh_chapters(manifest, names=(), *, allow_standin=False, timeout=None):
    """Execute chapters with their quick values and save their outputs into them.

    names: as in `course run`; none: all. timeout: seconds a cell may take.
    Returns the exit status: 0, or 1 if a chapter failed; a failed chapter stays as it was.
    Raises RunError, before anything runs, if only the stand-in is there and it is not allowed.
    """
    chapters = select_chapters(manifest, names)
    if fast_dev_run():
        raise RunError(
            "COURSE_FAST_DEV_RUN is set: saved outputs come from real training. Unset it"
        )
    code = {chapter.name: code_cells(read_notebook(chapter.file)) for chapter in chapters}
    if not allow_standin:
        _require_real_data(code)
    console = make_console()
    failures = []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as scratch:
        jobs = {
            chapter.name: Job(
                notebook=str(chapter.file),
                output=str(Path(folder) / chapter.file.name),
                cwd=str(chapter.file.parent),
                parameters={},
                timeout=timeout or _TIMEOUT,
            )
            for chapter in chapters
        }

        def enter(name, result):
            problem = error_line(result["error"]) if result["error"] else None
            if problem is None and not allow_standin:
                problem = _standin_problem(result["records"])
            if problem is None:
                problem = _save(jobs[name])
            if problem is not None:
                failures.append(f"{name}: {problem}; left as it was")

        try:
            with show_progress(console, list(jobs)) as show:
                # one at a time: the outputs hold times, which neighbours would spoil
                pool.run_jobs(jobs, 1, show, enter, scratch)
        except OSError as error:
            raise RunError(f"a notebook could not be written ({error.strerror})") from error
    for failure in failures:
        console.print(failure, style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(jobs) - len(failures)} of {len(jobs)} chapters refreshed")
    return 1 if failures else 0


def _require_real_data(code):
    """Chapters that load Fashion-MNIST need it on disk: found out now, not after the training.

    code: name of a chapter -> its code cells.
    """
    users = [name for name, cells in code.items() if "load_data_fashion_mnist" in "\n".join(cells)]
    if not users:
        return
    from course_utils.data import describe  # brings torch, which takes seconds

    present = {row["name"]: row["present"] for row in describe()}
    if not present["fashion-mnist"]:
        raise RunError(
            f"{', '.join(users)}: saved outputs come from the real Fashion-MNIST, which is not "
            "here. Fetch it (course data --get fashion-mnist), or give --allow-standin"
        )


def _standin_problem(records):
    source = str(records.get("source", ""))
    if "stand-in" in source:
        return f"it used the {source}; give --allow-standin to save such results"
    return None


def _save(job):
    """Move the outputs of an executed notebook into the chapter; a sentence if they may not."""
    chapter = nbformat.read(job.notebook, 4)
    executed = nbformat.read(job.output, 4)
    ran = [cell for cell in executed.cells if cell.cell_type == "code"]
    count, join_streams = 0, CoalesceStreamsPreprocessor()
    for number, (cell, source) in enumerate(
        zip([cell for cell in chapter.cells if cell.cell_type == "code"], ran, strict=True), 1
    ):
        if SKIP_TAG in tags_of(cell):
            continue  # it shows what it showed
        cell.metadata.pop("execution", None)
        cell.metadata.pop("papermill", None)
        cell.outputs, cell.execution_count = [], None
        if source.execution_count is None:
            continue  # an empty cell does not run
        count += 1
        cell.execution_count = count
        if NO_OUTPUT_TAG in tags_of(cell):
            continue
        cell.outputs = source.outputs
        join_streams.preprocess_cell(cell, {}, number)  # how they were cut is chance
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            found = local_trace(output)
            if found:
                return f"code cell {number} shows {found}, which is of this machine only"
    chapter.metadata = nbformat.from_dict(METADATA)
    publish(chapter, Path(job.notebook))
    return None


def local_trace(output):
    """An address or a path of this machine in an output's text, None if there is none."""
    texts = [output.get("text", ""), "".join(output.get("traceback", []))]
    texts += [
        text
        for mime, text in output.get("data", {}).items()
        if mime.startswith("text/") and isinstance(text, str)
    ]
    folders = [str(Path.home()), tempfile.gettempdir(), str(REPOSITORY), str(download_dir())]
    for text in texts:
        address = _ADDRESS.search(text)
        if address:
            return f"the address {address[0]}"
        for folder in folders:
            # "/" as a home folder would be found everywhere
            if len(folder) > 1 and f"{folder}{os.sep}" in text:
                return f"the path {folder}"
    return None
