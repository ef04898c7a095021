"""Every chapter with its exercises solved runs from top to bottom, with all checks green."""

import nbformat
import pytest
from kernels import every_chapter, execute

from course_utils.exercises import exercises_of, solve


def verdicts(notebook, number):
    """What the check of each exercise says, in order, as plain text."""
    checks = [cell for cell in notebook.cells if cell.source.startswith('check("')]
    ids = [cell.source.split('"')[1] for cell in checks]
    assert sorted(ids) == sorted(exercise.id for exercise in exercises_of(number))
    for cell in checks:
        (output,) = cell.outputs
        assert output.output_type == "display_data"
        yield output.data["text/plain"]


@pytest.mark.full
@pytest.mark.timeout(300)
@every_chapter
def test_solved_chapter_runs_with_all_checks_green(chapter, monkeypatch, tmp_path):
    number = chapter.stem[:2]
    notebook = solve(nbformat.read(chapter, as_version=4))
    progress = {"COURSE_PROGRESS_FILE": str(tmp_path / "progress.json")}
    execute(notebook, monkeypatch, COURSE_EXERCISES="strict", **progress)
    found = list(verdicts(notebook, number))
    assert all(text.startswith("✅") for text in found)
    (bar,) = (cell for cell in notebook.cells if cell.source == f'progress_bar("{number}")')
    assert f"{len(found)} of {len(found)} exercises solved" in bar.outputs[0].data["text/plain"]


@every_chapter
def test_unsolved_chapter_says_not_attempted(chapter):
    """As saved; that a run gives these outputs again is tested in test_saved_outputs."""
    found = verdicts(nbformat.read(chapter, as_version=4), chapter.stem[:2])
    assert all(text.endswith(": not attempted") for text in found)
