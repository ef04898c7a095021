"""Exercises for students to hand in, and in the book: the tasks, and nothing that tells."""

import json

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
    found, _ = statements(cells)
    return [statement.source for statement in needed(found, names)]


def test_needed_follows_names_and_leaves_out_the_rest():
    cells = [
        "import torch\nimport os, sys",
        "k = 3\nhist = train(net)",
        "def f(x):\n    return x * k",
    ]
    assert chosen({"f"}, *cells) == ["k = 3", cells[2]]
    assert chosen({"f"}, *cells, "k = torch.tensor(4)")[0] == "import torch"


@pytest.mark.parametrize(
    "way",
    [
        "table['a'] = 1",
        "table.update(a=1)",
        "for key in 'a':\n    table[key] = 1",
        "with open(name) as file:\n    table |= read(file)",
        "from somewhere import *",
        "(table := {})",
    ],
)
def test_needed_sees_all_ways_to_change_a_name(way):
    use = "def f():\n    def g():\n        return [table for _ in 'ab']\n    return g"
    assert chosen({"f"}, "table = {}", way, "other = 1", use) == ["table = {}", way, use]


def test_needed_knows_local_names_and_decorators():
    use = "@decorate\ndef f(X):\n    Y = X\n    return Y"
    cells = ["X = train()\nY = 2", "def decorate(f):\n    return f", use]
    assert chosen({"f"}, *cells) == [cells[1], use]


def test_needed_leaves_calls_on_modules_alone():
    cells = ["import torch", "torch.save(train())", "def f():\n    return torch.ones(1)"]
    assert chosen({"f"}, *cells) == [cells[0], cells[2]]


def test_broken_cells_are_told_and_magic_is_understood():
    found, broken = statements(["%time x = 1", "def g(:", "!ls\ny = 2", "\0", "(" * 5000])
    assert [cell.cell for cell in broken] == [2, 4, 5]
    assert broken[0].mentions("g") and not broken[0].mentions("ex")
    assert [s.source for s in needed(found, {"y"})] == ["y = 2"]


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
