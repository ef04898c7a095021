"""Strict nbval over every chapter: the saved outputs are what a fast run must give again.

Each chapter runs on the stand-in and on the real data, in a process of its own.
"""

import os
import subprocess
import sys

import nbformat
import pytest
from conftest import REPOSITORY
from kernels import every_chapter

CELL_TIMEOUT = 120  # seconds; a fast run needs a few


def strict_nbval(chapter, settings):
    environment = os.environ | {"COURSE_FAST_DEV_RUN": "1", "PYTHONWARNINGS": "ignore"} | settings
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
    command += [f"--nbval-cell-timeout={CELL_TIMEOUT}", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "no:xdist", "--timeout=0", str(chapter)]
    return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("data", ["standin", pytest.param("real", marks=pytest.mark.full)])
@every_chapter
def test_saved_outputs_are_reproduced(chapter, data, request):
    settings = {"COURSE_STANDIN": "1"}
    if data == "real":
        settings = {"COURSE_DATA": str(request.getfixturevalue("real_data"))}
    run = strict_nbval(chapter, settings)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


@pytest.mark.parametrize("judge", ["results import expect", "exercises import check"])
def test_where_asserts_are_off_nothing_is_judged(tmp_path, judge):
    """Every chapter judges by one of the two, so that none passes with PYTHONOPTIMIZE."""
    function = judge.rpartition(" ")[2]
    cell = nbformat.v4.new_code_cell(f"from course_utils.{judge}\n{function}('02.3', 1)")
    cell.metadata.tags = ["nbval-ignore-output"]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "judge.ipynb")
    for optimize, status in (("", 0), ("1", 1)):
        run = strict_nbval(tmp_path / "judge.ipynb", {"PYTHONOPTIMIZE": optimize})
        assert run.returncode == status, run.stdout
        assert ("unset PYTHONOPTIMIZE" in run.stdout) == (status == 1)


def test_a_wrong_saved_output_is_noticed(tmp_path):
    """The strict comparison itself works: a test that cannot fail would be worth nothing."""
    wrong = nbformat.v4.new_output("stream", name="stdout", text="3\n")
    cell = nbformat.v4.new_code_cell("print(1 + 1)", outputs=[wrong], execution_count=1)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "wrong.ipynb")
    assert strict_nbval(tmp_path / "wrong.ipynb", {}).returncode == 1
