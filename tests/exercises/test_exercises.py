"""Every exercise: right answers pass, stubs are not attempted, wrong answers are rejected.

The answers are in `tests/exercises/`; more wrong ones are made out of each solution. What the
checker itself does is tested in test_exercise_engine.py, solved notebooks in
test_solved_chapters.py.
"""

import importlib
import inspect
from collections import Counter

import nbformat
import pytest
from conftest import REPOSITORY

from course_utils.commands.manifest import load_manifest
from course_utils.exercises import book_boxes, exercises_of, judge
from course_utils.exercises.checker.show import as_html, as_text
from course_utils.exercises.checker.time_limit import limited
from course_utils.exercises.registry import CHAPTERS, all_exercises, module_of
from course_utils.exercises.solving import exercise_names
from exercises import ANSWERS
from exercises.mutation import mutants

for topic in CHAPTERS.values():
    importlib.import_module(f"exercises.{topic}")

EXERCISES = all_exercises()
# Chapters whose exercises have no checks yet; a chapter leaves for good when it is registered.
WITHOUT_CHECKS = set()

every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.id)
every_chapter = pytest.mark.parametrize("chapter", CHAPTERS)


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    """Endless answers are meant to be stopped: no need to wait for each as long as a learner."""
    shorter = lambda seconds, work: limited(min(seconds, 2), work)  # noqa: E731
    monkeypatch.setattr("course_utils.exercises.checker.call.limited", shorter)


@every_exercise
def test_solution_passes(exercise):
    result = judge(exercise.id, exercise.solution)
    assert result.passed, as_text(result)


@every_exercise
def test_stub_is_not_attempted_and_has_the_solutions_signature(exercise):
    stub = stub_of(exercise)
    assert judge(exercise.id, stub).status == "not attempted"
    assert inspect.signature(stub) == inspect.signature(exercise.solution)


@every_exercise
def test_other_right_answers_pass(exercise):
    right = ANSWERS[exercise.id].right
    assert len(right) >= 2
    for number, answer in enumerate(right):
        result = judge(exercise.id, answer)
        assert result.passed, f"right answer {number}\n{as_text(result)}"


@every_exercise
def test_wrong_answers_are_rejected(exercise):
    wrong = ANSWERS[exercise.id].wrong
    assert len(wrong) >= 2
    for name, answer in wrong.items():
        assert_rejected(exercise, name, answer)


@every_exercise
@pytest.mark.slow
def test_mutants_of_the_solution_are_rejected(exercise):
    made, equivalent = mutants(exercise), ANSWERS[exercise.id].equivalent
    assert set(equivalent) <= set(made), "excluded, but not made any more"
    assert len(made) - len(equivalent) + len(ANSWERS[exercise.id].wrong) >= 8
    for name, mutant in made.items():
        if name in equivalent:
            assert judge(exercise.id, mutant).passed, f"{name} is not equivalent"
        else:
            assert_rejected(exercise, name, mutant)


def assert_rejected(exercise, name, answer):
    """Wrong, with the call that shows it, as text and as HTML."""
    result = judge(exercise.id, answer)
    assert result.status == "wrong", f"{exercise.id}: {name} survives"
    for shown in (as_text(result), as_html(result)):
        assert f"{exercise.name}(" in shown, name


@every_exercise
def test_boxes_for_the_book(exercise):
    hints, solution, explanation = book_boxes(exercise.id)
    assert len(hints) >= 2 and explanation
    assert solution.startswith(f"def {exercise.name}(")


@every_chapter
def test_chapter_has_enough_exercises_of_each_kind(chapter):
    kinds = Counter(exercise.kind for exercise in exercises_of(chapter))
    assert kinds.total() >= 8
    assert kinds["repair"] >= 2 and kinds["predict"] >= 1 and kinds["experiment"] >= 1
    assert kinds["warm-up"] >= 1
    numbers = [exercise.number for exercise in exercises_of(chapter)]
    assert numbers == list(range(1, len(numbers) + 1))


@every_chapter
def test_notebook_has_the_cells_of_every_exercise(chapter):
    """Task, stub, check, then hint and solution in one cell, and nothing that is not registered."""
    cells = notebook_of(chapter).cells
    found = []
    for i, cell in enumerate(cells):
        for name in exercise_names(cell.source) if cell.cell_type == "code" else ():
            (exercise,) = (e for e in exercises_of(chapter) if e.name == name)
            id = exercise.id
            found.append(id)
            task, _, check, help = cells[i - 1 : i + 3]
            assert task.cell_type == "markdown" and task.source.startswith(f"**{id} ")
            assert f"{exercise.minutes} minutes" in task.source
            assert check.source == f'check("{id}", {name})'
            assert help.metadata.tags == ["hint"]
            hint, solution = help.source.splitlines()
            assert hint.startswith(f'# hint("{id}")') and solution == f'# solution("{id}")'
    # where they stand is the lesson's choice
    assert sorted(found) == sorted(exercise.id for exercise in exercises_of(chapter))
    assert any(cell.source == f'progress_bar("{chapter}")' for cell in cells)


def test_every_chapter_is_registered_or_known_to_be_without_checks():
    numbers = {f"{chapter.number:02}" for chapter in load_manifest().chapters}
    assert not WITHOUT_CHECKS & set(CHAPTERS)
    assert numbers <= WITHOUT_CHECKS | set(CHAPTERS)


@every_chapter
def test_title_is_the_manifests(chapter):
    titles = {f"{c.number:02}": c.title for c in load_manifest().chapters}
    assert titles[chapter] == module_of(chapter).TITLE


def notebook_of(chapter):
    (path,) = (REPOSITORY / "chapters").glob(f"{chapter}_*.ipynb")
    return nbformat.read(path, as_version=4)


def stub_of(exercise):
    """The function that the learner finds in the notebook."""
    (cell,) = (
        cell
        for cell in notebook_of(exercise.chapter).cells
        if cell.cell_type == "code" and exercise.name in exercise_names(cell.source)
    )
    scope = dict(exercise.solution.__globals__)
    exec(cell.source, scope)
    return scope[exercise.name]
