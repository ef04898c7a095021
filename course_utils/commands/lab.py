"""`course lab`: the learner's own copies of the chapters, and JupyterLab on them.

A copy is made once and belongs to the learner: no later start writes to it. It remembers in its
metadata which version of the chapter it was made from, so that a newer one can be announced and,
when asked for, be put in its place, with the learner's beside it as `03_lenet.old-1.ipynb`.
"""

import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from course_utils.commands.notebooks import METADATA, read_notebook, select_chapters
from course_utils.commands.run.pool import python_path
from course_utils.errors import RunError
from course_utils.settings import download_dir

FOLDER = "my-course"
FIRST_PAGE = "index.ipynb"
JUPYTER_SETTINGS = Path(__file__).with_name("jupyter")


def lab_folder(manifest, folder=None):
    """Where the copies are: `folder`, else my-course/ beside book.toml. Made if need be."""
    folder = Path(folder or manifest.root / FOLDER).resolve()
    if folder == manifest.book.src.resolve():
        raise RunError(f"{folder} holds the chapters themselves: copies need another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder} cannot be made ({error.strerror}): choose another with --dir"
        ) from None
    return folder


def make_copies(manifest, folder):
    """Copy the chapters that are not there yet, renew the first page if nobody wrote on it.

    Returns sentences for the learner: what was copied, and which chapters have new versions.
    """
    copied, said = [], []
    for chapter in manifest.chapters:
        new, target = clean_copy(read_notebook(chapter.file)), folder / chapter.file.name
        if _place(target, new):
            copied.append(chapter.name)
        elif _version(target) != _fingerprint(new):
            said.append(
                f"{chapter.name} has a new version; `course lab --refresh {chapter.number:02}` "
                "brings it and keeps yours beside it"
            )
    if copied:
        said.insert(0, f"copied to {folder.name}/: {', '.join(copied)}")
    _renew_first_page(folder / FIRST_PAGE, first_page(manifest))
    return said


def refresh_copies(manifest, folder, names):
    """Put the present version of chapters in place, what is there is kept; returns sentences.

    names: as users write them. A copy that says word for word what the chapter says stays.
    """
    return [
        _refresh(folder / chapter.file.name, clean_copy(read_notebook(chapter.file)))
        for chapter in select_chapters(manifest, names)
    ]


def _refresh(target, new):
    if target.exists() and _said(target) == _fingerprint(new):
        return f"{target.stem} is the present version already"
    kept = []
    while not _place(target, new):  # again if JupyterLab has just saved there
        kept += _keep(target)
    beside = f"; yours is kept as {' and '.join(kept)}" if kept else ""
    return f"{target.stem} is the present version now{beside}"


def _keep(target):
    """Rename a file to its next free name `….old-N.ipynb`; returns [that name], [] if none was."""
    for number in itertools.count(1):
        kept = target.with_name(f"{target.stem}.old-{number}{target.suffix}")
        with contextlib.suppress(FileExistsError):
            kept.open("x").close()  # the name is ours: renaming replaces only this empty file
            break
    try:
        os.replace(target, kept)
    except FileNotFoundError:
        kept.unlink()
        return []
    except OSError as error:
        kept.unlink()
        raise RunError(f"{target} cannot be renamed ({error.strerror}): is it open?") from None
    return [kept.name]


def _place(target, notebook):
    """Write a notebook where there is none; False, and nothing is touched, where there is one."""
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")
    except FileExistsError:
        return False
    except OSError as error:
        raise RunError(f"{target} cannot be written ({error.strerror})") from None
    return True


def clean_copy(notebook):
    """A chapter as a learner gets it: nothing run yet, so that every output is their own."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return _with_version(notebook)


def _with_version(notebook):
    notebook["metadata"]["course"] = {"version": _fingerprint(notebook)}
    return notebook


def _fingerprint(notebook):
    """Hash of what people type: text and pictures pasted into it; neither outputs nor settings."""
    typed = [[c["cell_type"], c["source"], c.get("attachments", {})] for c in notebook["cells"]]
    return hashlib.sha256(json.dumps(typed, sort_keys=True).encode()).hexdigest()[:16]


def _said(path):
    """Fingerprint of the file as it is now; None if it is no notebook (any more)."""
    try:
        return _fingerprint(read_notebook(path))
    except RunError:
        return None


def _version(path):
    """Which version the copy was made from; None if it does not say."""
    try:
        about = read_notebook(path)["metadata"].get("course")
    except RunError:
        return None
    return about.get("version") if isinstance(about, dict) else None


def first_page(manifest):
    """The notebook that JupyterLab opens first: the way through the course, and how far one is."""
    from course_utils.exercises.progress import progress_html, progress_text

    rows = [
        f"| {c.number:02} | [{c.title}]({c.file.name}) | {c.minutes} min | {c.summary} |"
        for c in manifest.chapters
    ]
    head = f"# {manifest.book.title}\n\n{manifest.book.description}\n\n"
    rules = (
        "These notebooks are your own copies: write in them what you like, an update of the "
        "course does not touch them.\n\n"
    )
    table = "\n".join(["| | chapter | time | |", "|---|---|---|---|", *rows])
    shown = {"text/html": [progress_html()], "text/plain": [progress_text()]}
    progress = _cell("code", "progress", _PROGRESS)
    progress.update(
        execution_count=None,
        outputs=[{"output_type": "display_data", "metadata": {}, "data": shown}],
    )
    cells = [
        _cell("markdown", "map", head + rules + table),
        _cell("markdown", "how-far", "## How far you are\n\nRun this cell to see it anew."),
        progress,
    ]
    form = {"metadata": dict(METADATA), "nbformat": 4, "nbformat_minor": 5}
    return _with_version({"cells": cells} | form)


_PROGRESS = "from course_utils.exercises import progress_map\n\nprogress_map()"


def _cell(kind, id, source):
    return {"cell_type": kind, "id": id, "metadata": {}, "source": source}


def _renew_first_page(target, new):
    """The first page is ours as long as nobody typed on it; then it is left alone."""
    while not _place(target, new):
        if _version(target) is None or _said(target) != _version(target):
            return
        for name in _keep(target):
            kept = target.with_name(name)
            if _said(kept) == _version(kept):  # nothing was typed in this very moment either
                kept.unlink()


def _config_path():
    """Where Jupyter looks for settings, first match wins; a learner's own come before ours.

    Ours: JupyterLab does not ask at its first start whether it may fetch its makers' news.
    """
    own = os.environ.get("JUPYTER_CONFIG_PATH")
    return os.pathsep.join(filter(None, [own, str(JUPYTER_SETTINGS)]))


def start_jupyterlab(folder, *, browser=True, port=None, more=()):
    """Start JupyterLab on the folder, on this machine only and with its token; does not return
    before it is stopped (on Linux and macOS it takes this process's place).

    more: further arguments of `jupyter lab`. Raises RunError if JupyterLab is not installed.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise RunError(
            f"JupyterLab is not installed here. Get it with: {sys.executable} -m pip install "
            "jupyterlab"
        )
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.ip=127.0.0.1", f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"]
    command += [] if browser else ["--no-browser"]
    command += [f"--port={port}"] if port is not None else []
    paths = {"PYTHONPATH": python_path(), "JUPYTER_CONFIG_PATH": _config_path()}
    paths["COURSE_DATA"] = str(download_dir())  # an installed course cannot tell from elsewhere
    environment = os.environ | paths
    sys.stdout.flush()
    if os.name == "nt":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for JupyterLab
        return subprocess.call([*command, *more], env=environment)
    os.execve(sys.executable, [*command, *more], environment)
