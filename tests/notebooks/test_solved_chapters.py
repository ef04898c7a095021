"""Every chapter with its exercises solved runs from top to bottom, with all checks green."""

import nbformat
import pytest
from conftest import REPOSITORY
from nbclient import NotebookClient

from course_utils.exercises import exercises_of, solve
from course_utils.exercises.registry import CHAPTERS


def run(notebook, monkeypatch, **settings):
    """Execute in place, in a kernel of its own, in a fast run on the stand-in."""
    for name, value in {"COURSE_FAST_DEV_RUN": "1", "COURSE_STANDIN": "1", **settings}.items():
        monkeypatch.setenv(name, value)
    resources = {"metadata": {"path": str(REPOSITORY / "chapters")}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()


def chapter_file(chapter):
    (path,) = (REPOSITORY / "chapters").glob(f"{chapter}_*.ipynb")
    return path


def verdicts(notebook):
    """Exercise id -> the plain text of its check's output, which must be one."""
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.startswith('check("'):
            (output,) = cell.outputs
            assert output.output_type == "display_data"
            found[cell.source.split('"')[1]] = output.data["text/plain"]
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solved_chapter_runs_with_all_checks_green(chapter, monkeypatch, tmp_path):
    notebook = solve(nbformat.read(chapter_file(chapter), as_version=4))
    progress = {"COURSE_PROGRESS_FILE": str(tmp_path / "progress.json")}
    run(notebook, monkeypatch, COURSE_EXERCISES="strict", **progress)
    found = verdicts(notebook)
    total = len(exercises_of(chapter))
    assert list(found) == [exercise.id for exercise in exercises_of(chapter)]
    assert all(text.startswith("✅") for text in found.values())
    (bar,) = (c for c in notebook.cells if c.source == f'progress_bar("{chapter}")')
    assert f"{total} of {total} exercises solved" in bar.outputs[0].data["text/plain"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_unsolved_chapter_says_not_attempted(chapter):
    """As saved; that a run gives these outputs again is tested in test_chapters."""
    notebook = nbformat.read(chapter_file(chapter), as_version=4)
    found = verdicts(notebook)
    assert list(found) == [exercise.id for exercise in exercises_of(chapter)]
    assert all(text.endswith(": not attempted") for text in found.values())
