"""Strict nbval over every chapter: the saved outputs are what a fast run must give again.

Each chapter runs on the stand-in and on the real data, in a process of its own.
"""

import os
import subprocess
import sys

import nbformat
import pytest
from conftest import REPOSITORY

CHAPTERS = sorted((REPOSITORY / "chapters").glob("[0-9]*.ipynb"))
CELL_TIMEOUT = 120  # seconds; a fast run needs a few


def strict_nbval(chapter, **settings):
    environment = {
        **os.environ,
        "COURSE_FAST_DEV_RUN": "1",
        "PYTHONWARNINGS": "ignore",
        **settings,
    }
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
    command += [f"--nbval-cell-timeout={CELL_TIMEOUT}", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "no:xdist", "--timeout=0", str(chapter)]
    return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("data", ["standin", "real"])
def test_saved_outputs_are_reproduced(chapter, data, request):
    if data == "real":
        settings = {"COURSE_DATA": str(request.getfixturevalue("real_data"))}
    else:
        settings = {"COURSE_STANDIN": "1"}
    run = strict_nbval(chapter, **settings)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_is_in_good_form(chapter):
    notebook = nbformat.read(chapter, as_version=4)
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    headings = [line for source in text for line in source.splitlines() if line.startswith("# ")]
    assert len(headings) == 1, "exactly one H1"
    assert notebook.cells[0].source.startswith("# "), "which comes first"
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") <= 1
    stubs = [cell for cell in notebook.cells if cell.source.startswith("def ex")]
    assert len(stubs) >= 8, "eight exercises or more"
    assert chapter.stat().st_size < 700_000
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        assert cell.execution_count or not cell.source, "saved without having been run"
        if "samples" in cell.metadata.get("tags", []):
            assert cell.outputs == [], "pictures of data-set images are not saved"
        for output in cell.outputs:
            assert output.output_type != "error", output.get("evalue")
            saved = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert str(REPOSITORY.parent) not in saved, "the path of a machine"
            assert "Warning" not in saved


def test_a_wrong_saved_output_is_noticed(tmp_path):
    """The strict comparison itself works: a test that cannot fail would be worth nothing."""
    notebook = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell("print(1 + 1)")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="3\n")]
    cell.execution_count = 1
    notebook.cells = [cell]
    nbformat.write(notebook, tmp_path / "wrong.ipynb")
    assert strict_nbval(tmp_path / "wrong.ipynb").returncode == 1
