"""Small courses whose runs can be told apart: what ran how often, and what came out."""

import atexit
import contextlib
import functools
import json
import shutil
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from publishing import CHAPTER, REPOSITORY, command, environment, make_course, notebook

from faults.harness import Tree, wait_until

NAMES = ("01_a", "02_b", "03_c")
RUN = ("run", "--no-rate")
# each chapter notes that it began, takes a moment, and gives a result that is always the same
_NOTE = "import os, time\nwith open('../ran', 'a') as file:\n    file.write({name!r} + '\\n')"
_RESULT = (
    "from course_utils.results import record\n"
    "record(test_acc=sum(ord(letter) for letter in {name!r}) / 1000, source='none')"
)


def chapter(name, *, pause=0.05):
    """A chapter of a few cells that takes `pause` seconds in each of three."""
    cells = [f"time.sleep({pause})\nprint({name!r}, {number})" for number in range(3)]
    return notebook(_NOTE.format(name=name), *cells, _RESULT.format(name=name))


def small_course(folder, names=NAMES, **options):
    """A course of such chapters in `folder`, with a home and a folder for temporary files."""
    for part in ("home", "tmp"):
        (folder / part).mkdir(parents=True)
    return make_course(folder, {name: chapter(name, **options) for name in names})


def put_chapter(folder, name, made):
    """Put a chapter into a small course, in place of one of that name or as a new one."""
    nbformat.write(made, folder / "chapters" / f"{name}.ipynb")
    manifest = folder / "book.toml"
    if f'"{name}.ipynb"' not in manifest.read_text():
        manifest.write_text(manifest.read_text() + CHAPTER.format(name))


@functools.cache
def library():
    """A folder with a copy of course_utils: who edits the checkout meanwhile changes no run."""
    folder = tempfile.TemporaryDirectory(prefix="library-")
    atexit.register(folder.cleanup)
    shutil.copytree(REPOSITORY / "course_utils", Path(folder.name) / "course_utils")
    return folder.name


def run_environment(folder, **more):
    """Environment of a command that keeps what it writes inside `folder`."""
    inside = {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")}
    return environment(PYTHONPATH=library(), **inside) | more


def start(folder, *args, said="said", preexec_fn=None, **env):
    """Start `course run` in a small course; a `Tree`. said: file for what it prints."""
    return Tree(
        command(*RUN, *args),
        cwd=folder,
        env=run_environment(folder, **env),
        output=folder / said,
        preexec_fn=preexec_fn,
    )


def run(folder, *args, **env):
    """Run it to its end; (exit status, what it said)."""
    with start(folder, *args, **env) as tree:
        return tree.end()


def out_of(folder):
    return folder / "build" / "run" / "quick"


def report_of(out):
    """Name -> entry of a report.json, nothing if there is none yet."""
    path = out / "report.json"
    data = json.loads(path.read_text()) if path.is_file() else {"chapters": []}
    return {entry["name"]: entry for entry in data["chapters"]}


def passed(out):
    return {name for name, entry in report_of(out).items() if entry["status"] == "passed"}


def ran(folder):
    """Names of the chapters that began to run, in order, with repetitions."""
    path = folder / "ran"
    return path.read_text().split() if path.is_file() else []


def outcome(out):
    """All that a finished run left in its folder, apart from times: comparable."""
    results = {}
    for path in sorted(out.iterdir()):
        results[path.name] = _cells(path) if path.suffix == ".ipynb" else None
    for name, entry in report_of(out).items():
        kept = ("status", "cells", "records", "verdict", "error", "fingerprint", "parameters")
        results[name] = {key: entry[key] for key in kept}
    return results


def _cells(path):
    made = nbformat.read(path, 4)
    nbformat.validate(made)
    # how the kernel cuts what is printed into pieces is chance
    made, _ = CoalesceStreamsPreprocessor().preprocess(made, {})
    return [(cell.cell_type, cell.source, cell.get("outputs", [])) for cell in made.cells]


def traces(folder):
    """Files that no run may leave: temporary ones, and hidden ones in its folder."""
    found = [*(folder / "tmp").rglob("*"), *out_of(folder).glob(".*")]
    return [str(path.relative_to(folder)) for path in found if path.exists()]


def kernels(tree):
    """Processes of a `Tree` that are kernels of chapters."""
    found = []
    for process in tree.alive():
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            found += [process] if "ipykernel_launcher" in process.cmdline() else []
    return found


def some_moment(folder, tree, chance):
    """Wait for a random moment of a run: some chapters have begun, or it is over."""
    count = chance.randint(0, len(NAMES))
    wait_until(lambda: len(ran(folder)) >= count or tree.process.poll() is not None)
    time.sleep(chance.uniform(0, 1))
