"""Exercises for students to hand in, and in the book: the tasks, and nothing that tells."""

import dataclasses
import json
import os
import subprocess
import sys
import zipfile

import nbformat
import pytest
from browser import chromium_or_skip
from publishing import assert_refused, called, course, make_course, notebook

from course_utils.commands.book import build_book
from course_utils.commands.grade.export import student_notebook
from course_utils.commands.grade.needed import needed, statements
from course_utils.commands.manifest import load_manifest
from course_utils.exercises import book_boxes, exercises_of, judge, solve
from course_utils.exercises.registry import CHAPTERS
from course_utils.exercises.solving import exercise_names

WITH_EXERCISES = [c for c in load_manifest().chapters if f"{c.number:02}" in CHAPTERS]


def code(made):
    return [cell.source for cell in made.cells if cell.cell_type == "code"]


def run(sources):
    namespace = {}
    for source in sources:
        exec(compile(source, "<exported>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("chapter", WITH_EXERCISES, ids=lambda chapter: chapter.name)
def test_an_exported_notebook_is_all_that_a_student_needs(chapter):
    made = student_notebook(chapter)
    nbformat.validate(made)
    exercises = exercises_of(f"{chapter.number:02}")
    stubs = [name for source in code(made) for name in exercise_names(source)]
    assert stubs == [exercise.name for exercise in exercises]
    namespace = run(code(made))
    for exercise in exercises:
        assert judge(exercise.id, namespace[exercise.name]).status == "not attempted"
    namespace = run(code(solve(made)))
    for exercise in exercises:
        assert judge(exercise.id, namespace[exercise.name]).passed


@pytest.mark.parametrize("chapter", WITH_EXERCISES, ids=lambda chapter: chapter.name)
def test_an_exported_notebook_tells_no_hint_and_no_solution(chapter):
    made = student_notebook(chapter)
    text = "\n".join(cell.source for cell in made.cells)
    assert "hint(" not in text and "solution(" not in text and "check(" not in text
    assert "train_ch6(" not in text, "nothing is trained before the first exercise"
    for exercise in exercises_of(f"{chapter.number:02}"):
        hints, _, explanation = book_boxes(exercise.id)
        assert not [told for told in (*hints, explanation) if told in text]


def test_checks_are_kept_on_demand():
    chapter = WITH_EXERCISES[0]
    sources = code(student_notebook(chapter, checks=True))
    checks = [source for source in sources if source.startswith("check(")]
    assert len(checks) == len(exercises_of(f"{chapter.number:02}"))
    assert "from course_utils.exercises import check" in sources[0]


def test_pasted_images_survive(tmp_path):
    (chapter,) = [c for c in WITH_EXERCISES if c.number == 2]
    there = nbformat.read(chapter.file, as_version=4)
    first = [n for n, c in enumerate(there.cells) if exercise_names(c.source or "")][0]
    pasted = {"a.png": {"image/png": "iVBORw0KGgo="}}
    there.cells[first - 1].source += "\n![a](attachment:a.png)"
    there.cells[first - 1].attachments = pasted
    nbformat.write(there, tmp_path / chapter.file.name)
    made = student_notebook(dataclasses.replace(chapter, file=tmp_path / chapter.file.name))
    assert [c.attachments for c in made.cells if "attachments" in c] == [pasted]


def test_the_instructors_side(tmp_path):
    """Tests and points for otter, and a zip that Gradescope can use without this repository."""
    pytest.importorskip("otter", reason='NOT RUN: pip install "classic-convnets[grade]"')
    (tmp_path / "points.csv").write_text("exercise,points\n02.1,2.5\n")
    arguments = ("exercises", "02", "--export", "out", "--points", "points.csv")
    assert called(*arguments, cwd=tmp_path).returncode == 0
    (side,) = (tmp_path / "out" / "instructor").iterdir()
    ids = [exercise.id for exercise in exercises_of("02")]
    worth = dict(line.split(",") for line in (side / "points.csv").read_text().splitlines())
    assert worth == {"exercise": "points", **dict.fromkeys(ids, "1"), "02.1": "2.5"}
    with zipfile.ZipFile(side / "autograder.zip") as archive:
        names = set(archive.namelist())
        assert "torch" in archive.read("environment.yml").decode()
        assert "points = 2.5" in archive.read("tests/ex02_1_min_pool2d.py").decode()
    assert {f"tests/{exercise.name}.py" for exercise in exercises_of("02")} <= names
    assert {"run_autograder", "setup.sh", "files/course_utils/exercises/__init__.py"} <= names
    assert {path.name for path in (side / "tests").iterdir()} == {
        f"{exercise.name}.py" for exercise in exercises_of("02")
    }


@pytest.mark.full
def test_otter_run_takes_the_zip_as_it_is(tmp_path):
    """As on Gradescope: without `course grade`, by the zip's own copy of the course."""
    pytest.importorskip("otter", reason='NOT RUN: pip install "classic-convnets[grade]"')
    arguments = ("exercises", "02", "--export", "out")
    assert called(*arguments, cwd=tmp_path).returncode == 0
    (file,) = (tmp_path / "out").glob("*.ipynb")
    nbformat.write(solve(nbformat.read(file, as_version=4)), tmp_path / "solved.ipynb")
    (made,) = tmp_path.rglob("autograder.zip")
    for name, points in ((file, 0), (tmp_path / "solved.ipynb", 13)):
        line = [sys.executable, "-m", "otter", "run", "-a", made, name, "-o", tmp_path]
        there = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(line, cwd=tmp_path, env=there, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        tests = json.loads((tmp_path / "results.json").read_text())["tests"]
        assert sum(test.get("score", 0) for test in tests) == points


def test_the_command_refuses_to_replace(tmp_path):
    chapter = WITH_EXERCISES[0]
    file = tmp_path / "out" / f"{chapter.name}_exercises.ipynb"
    arguments = ("exercises", chapter.name, "--export", tmp_path / "out")
    result = course(*arguments, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout == f"{file}\n", result.stderr
    file.write_text("a teacher's changes")
    assert_refused(called(*arguments, cwd=tmp_path), file.name, "--force")
    assert file.read_text() == "a teacher's changes"
    assert called(*arguments, "--force", cwd=tmp_path).returncode == 0
    assert json.loads(file.read_text())["cells"]


def test_the_command_lists_and_names_what_is_wrong(tmp_path):
    first = exercises_of(f"{WITH_EXERCISES[0].number:02}")[0]
    assert f"{first.title}\n" in called("exercises", cwd=tmp_path).stdout
    assert_refused(called("exercises", "lennet", cwd=tmp_path), "lenet")
    make_course(tmp_path, {"77_nothing": notebook("1")})
    assert_refused(called("exercises", "77", "--export", "out", cwd=tmp_path), "77_nothing")
    assert not (tmp_path / "out").exists()


def test_progress_on_the_terminal(tmp_path):
    result = course("progress", cwd=tmp_path, COURSE_PROGRESS_FILE=str(tmp_path / "p.json"))
    assert result.returncode == 0
    for chapter in WITH_EXERCISES:
        assert f"{chapter.number:02}  {chapter.title} " in result.stdout
    assert "0 of" in result.stdout


# --- which statements are needed ------------------------------------------------------------------


def chosen(names, *cells):
    return [statement.source for statement in needed(statements(cells), names)]


def test_needed_follows_names_and_leaves_out_the_rest():
    cells = [
        "import torch\nimport os, sys",
        "k = 3\nhist = train(net)",
        "def f(x):\n    return x * k",
    ]
    assert chosen({"f"}, *cells) == ["k = 3", cells[2]]
    assert chosen({"f"}, *cells, "k = torch.tensor(4)")[0] == "import torch"


def test_needed_knows_local_names_and_decorators():
    use = "@decorate\ndef f(X):\n    Y = X\n    return Y"
    cells = ["X = train()\nY = 2", "def decorate(f):\n    return f", use]
    assert chosen({"f"}, *cells) == [cells[1], use]


def test_cells_with_magic_in_them_are_left_out():
    assert chosen({"x", "y"}, "%time x = 1", "y = 2") == ["y = 2"]


# --- in the book ----------------------------------------------------------------------------------


def book_page(tmp_path):
    """The text of a book's page with an exercise, and the cell of its hints and its solution."""
    exercise = exercises_of("02")[0]
    made = notebook(
        f'check("{exercise.id}", f)',
        f'# hint("{exercise.id}")  # one more\n# solution("{exercise.id}")',
        'progress_bar("02")',
        tags={1: ["hint"]},
    )
    make_course(tmp_path, {"01_a": made})
    outputs = {1: f"⬜ {exercise.id}: not attempted", 3: "Chapter 02: 5 of 13 exercises solved"}
    for number, text in outputs.items():
        made.cells[number].outputs = [
            nbformat.v4.new_output("display_data", {"text/plain": text, "text/html": text})
        ]
    (tmp_path / "run").mkdir()
    nbformat.write(made, tmp_path / "run" / "01_a.ipynb")
    build_book(load_manifest(tmp_path / "book.toml"), tmp_path / "run", tmp_path / "book")
    return exercise, tmp_path / "book" / "01_a.html"


@pytest.mark.browser
@pytest.mark.xdist_group("book")
def test_hints_and_solutions_are_closed_boxes_in_the_book(tmp_path):
    exercise, path = book_page(tmp_path)
    hints, solution, _ = book_boxes(exercise.id)
    with chromium_or_skip() as browser:
        page = browser.new_page()
        page.goto(path.as_uri())
        boxes = page.locator("details").all()
        titles = [box.locator("summary").inner_text().strip() for box in boxes]
        assert titles == [f"Hint {n} of {len(hints)}" for n in range(1, len(hints) + 1)] + [
            "Solution"
        ]
        answer = page.locator("pre", has_text=f"def {exercise.name}(")
        assert not answer.is_visible()
        boxes[-1].locator("summary").click()
        answer.wait_for()
        assert solution.splitlines()[-1].strip() in answer.inner_text()
        text = page.locator("main").inner_text()
    assert "not attempted" not in text and "exercises solved" not in text
    assert "check(" in text and "progress_bar" not in text
