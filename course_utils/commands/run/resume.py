"""What an earlier run in a folder is still good for.

A chapter is kept when it passed, its output is as it was written, and nothing that its result
depends on has changed since. Data count by content: times and places of files, and clocks, play no
part in it.
"""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import course_utils
from course_utils import settings
from course_utils.commands.notebooks import code_cells, read_notebook, tags_of
from course_utils.commands.run.pool import kernel_environment
from course_utils.commands.run.report import RESULT

# part of a fingerprint -> what to say when it differs
PARTS = {
    "notebook": "its notebook changed",
    "parameters": "its parameters changed",
    "data": "its data changed",
    "library": "course_utils changed",
    "packages": "the installed packages changed",
    "environment": "a COURSE_ variable changed",
}
_STATUSES = {
    "failed": "it failed",
    "interrupted": "it was stopped",
    "running": "it was stopped",
    "not run": "it had not run yet",
}
_RESULTS = "results"  # what runs gave: recorded ones, beside the chapters, and those of this run
_RECORDED = ("results.toml", "tuning.csv")
# function that a chapter calls -> what it reads
_READERS = {
    "load_data_fashion_mnist": "fashion-mnist",
    "load_data_digits": "mnist",
    "published_and_reproduced": _RESULTS,
}
# where the data is: what is in it counts instead; and how progress is shown
_NO_MATTER = (
    "COURSE_DATA",
    "COURSE_OFFLINE",
    "COURSE_STANDIN",
    "COURSE_REPORT",
    "COURSE_PROGRESS",
    "COURSE_PROGRESS_FILE",
)
_LIBRARY = (".py", ".mplstyle")


def plan(chapters, parameters, profile, versions, entries, out):
    """What chapters depend on, and which of them have to run.

    parameters: name -> the chapter's. versions: of the packages. entries: name -> entry of the
    report of an earlier run in the folder `out`.
    Returns name -> fingerprint as the chapter would run now, a dict of part in `PARTS` -> hash,
    and name -> why it must run, None if it is kept. Raises RunError if a file is no notebook.
    """
    notebooks = {chapter.name: read_notebook(chapter.file) for chapter in chapters}
    reads = {name: _reads(notebook) for name, notebook in notebooks.items()}
    hashes = _hashes(sorted(set().union(*reads.values())))
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("COURSE_") and name not in _NO_MATTER
    }
    shared = {
        "library": _library_hash(),
        "packages": _hash(versions),
        "environment": _hash(variables),
    }
    prints, reasons = {}, {}
    for name, notebook in notebooks.items():
        # saved outputs do not count
        cells = [[cell["cell_type"], cell["source"], tags_of(cell)] for cell in notebook["cells"]]
        prints[name] = shared | {
            "notebook": _hash(cells),
            "parameters": _hash([profile, parameters[name]]),
            "data": _hash({what: hashes[what] for what in reads[name]}),
        }
        reasons[name] = reason_to_run(entries.get(name), prints[name], out / f"{name}.ipynb")
    run = [name for name, reason in reasons.items() if reason]
    for name in notebooks:
        if _RESULTS in reads[name] and run and reasons[name] is None:
            reasons[name] = f"it compares results, and {run[0]} runs"
    return prints, reasons


def _reads(notebook):
    """Names of what a notebook reads: data sets, `_RESULTS`."""
    code = "\n".join(code_cells(notebook))
    return [what for reader, what in _READERS.items() if reader in code]


def reason_to_run(entry, fingerprint, output):
    """Why a chapter must run; None if its earlier result can be kept.

    entry: of the chapter in the earlier report, or None. fingerprint: as it would run now.
    output: path of its executed notebook.
    """
    if entry is None or not all(key in entry for key in RESULT):
        return "it has not run here yet"
    if entry["status"] != "passed":
        return _STATUSES[entry["status"]]
    before = entry["fingerprint"] or {}
    changed = [words for part, words in PARTS.items() if before.get(part) != fingerprint[part]]
    if changed:
        return ", ".join(changed)
    if not output.is_file():
        return "its output is missing"
    if hashlib.sha256(output.read_bytes()).hexdigest() != entry["output_sha256"]:
        return "its output is not as it was written"
    return None


def _hashes(names):
    """Name of a data set, or `_RESULTS` -> hash of the files that would be read.

    None where the course uses what it carries. A data set that is not here is fetched first, as
    the chapter itself would do; where that cannot be done, the chapter will not have it either.
    """
    recorded = [settings.REPOSITORY / "chapters" / name for name in _RECORDED]
    hashes = {_RESULTS: _files_hash(path for path in recorded if path.is_file())}
    sets = [name for name in names if name != _RESULTS]
    if sets:
        # in a process of its own: the loaders bring torch, which is slow and large
        done = subprocess.run(
            [sys.executable, "-m", __name__, *sets],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=kernel_environment(),
        )
        # without torch no chapter can train, and each will say so
        hashes |= json.loads(done.stdout) if done.returncode == 0 else dict.fromkeys(sets)
    return hashes


def _print_hashes(names):
    """What the process of `_hashes` does."""
    from course_utils.data.sources import DATASETS, find_or_download

    hashes = {}
    for name in names:
        dataset = DATASETS[name]
        if dataset.find() is None and not (settings.offline() or settings.standin_only()):
            print(f"{dataset.title} is not here yet: trying to fetch it", file=sys.stderr)
        folder = find_or_download(dataset)
        hashes[name] = _files_hash(dataset.paths(folder).values()) if folder else None
    print(json.dumps(hashes))


def _library_hash():
    """Hash of the code that chapters import; the commands cannot change their results."""
    folder = Path(course_utils.__file__).parent
    return _hash(
        {
            path.relative_to(folder).as_posix(): path.read_text("utf-8")
            for path in folder.rglob("*")
            if path.suffix in _LIBRARY and folder / "commands" not in path.parents
        }
    )


def _hash(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _files_hash(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        with suppress(OSError), open(path, "rb") as file:  # the chapter that reads it will say so
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


if __name__ == "__main__":
    _print_hashes(sys.argv[1:])
