"""What the tests of the `course` command share: small courses in temporary folders."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import nbformat

from course_utils.commands.cli import main

REPOSITORY = Path(__file__).resolve().parent.parent

HEAD = """\
[book]
title = "A <small> course"
authors = ["Nobody"]
description = "For tests."
src = "chapters"

[profiles]
quick = "quick"
full = "full"
"""


CHAPTER = """
[[chapter]]
file = "{}.ipynb"
title = "T"
minutes = 1
summary = "S"
"""


def notebook(*cells, parameters=None, tags=None):
    """A notebook: a title, a `parameters` cell if given, then code cells.

    tags: position among `cells` -> list of tags.
    """
    made = [nbformat.v4.new_markdown_cell("# Title")]
    if parameters is not None:
        made.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    for position, cell in enumerate(cells):
        metadata = {"tags": tags[position]} if tags and position in tags else {}
        made.append(nbformat.v4.new_code_cell(cell, metadata=metadata))
    return nbformat.v4.new_notebook(cells=made)


def make_course(folder, chapters, extra=None):
    """Write book.toml and chapters/.

    chapters: name -> notebook. extra: name -> more lines of its [[chapter]] table.
    """
    (folder / "chapters").mkdir(exist_ok=True)
    text = HEAD
    for name, made in chapters.items():
        nbformat.write(made, folder / "chapters" / f"{name}.ipynb")
        text += CHAPTER.format(name) + (extra or {}).get(name, "")
    (folder / "book.toml").write_text(text)
    return folder


def environment(**more):
    """This process's environment without what would change the command's output, plus `more`."""
    dropped = ("COURSE_", "COLUMNS", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | more


def command(*args):
    return [sys.executable, "-m", "course_utils.commands", *map(str, args)]


def course(*args, cwd, **env):
    """Run the `course` command as a process; its result with text in stdout and stderr."""
    return subprocess.run(
        command(*args),
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        timeout=600,  # a busy machine takes its time
    )


def called(*args, cwd, **env):
    """As `course`, but in this process: for what is not about processes."""
    args, encoding = list(map(str, args)), env.get("PYTHONIOENCODING", "utf-8")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, newline="") for _ in range(2))
    with (
        mock.patch.dict(os.environ, environment(**env), clear=True),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = main(args)
    said = []
    for stream in (out, err):
        stream.flush()
        said.append(stream.buffer.getvalue().decode(encoding))
    return subprocess.CompletedProcess(args, status, *said)


def report_of(folder, profile="quick"):
    """Chapter name -> entry of report.json, and the whole report under None."""
    data = json.loads((folder / "build" / "run" / profile / "report.json").read_text())
    return {entry["name"]: entry for entry in data["chapters"]} | {None: data}


def assert_refused(result, *parts):
    """Bad input: exit status 2, one or two lines on standard error, no traceback."""
    assert result.returncode == 2, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 2, result.stderr
    assert lines[0].startswith("course: ")
    for part in parts:
        assert part in result.stderr
