"""`course grade`: all kinds of returned notebooks, and whatever else may lie in a folder."""

import csv
import os
import signal
import subprocess
import time

import nbformat
import pytest
from nbformat import v4
from publishing import assert_refused, command, course, environment

from course_utils.commands.grade.export import student_notebook
from course_utils.commands.grade.needed import statements
from course_utils.commands.grade.worker import grade
from course_utils.commands.manifest import load_manifest
from course_utils.exercises import exercises_of, solve
from course_utils.exercises.registry import CHAPTERS

IDS = [exercise.id for exercise in exercises_of("02")]
FIRST, NAME = IDS[0], exercises_of("02")[0].name
# one worker: the folder is graded once
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("grade")]


@pytest.fixture(scope="module")
def unsolved():
    """The exported exercises of chapter 02."""
    (chapter,) = [c for c in load_manifest().chapters if c.number == 2]
    return student_notebook(chapter)


def answered(notebook, answer):
    """A copy with `answer` as the cell of the first exercise, all others as they are."""
    copy = nbformat.from_dict(notebook)
    (cell,) = [cell for cell in copy.cells if f"def {NAME}(" in cell.source]
    cell.source = answer
    return copy


def only(*cells):
    return v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])


def table(folder):
    """Student -> row of grades.csv."""
    with (folder / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def statuses(row):
    return [row[id] for id in IDS]


@pytest.fixture(scope="module")
def graded(unsolved, tmp_path_factory):
    """A folder with all kinds of students, graded once: (result, rows, folder of the grades)."""
    folder = tmp_path_factory.mktemp("course") / "returned"
    folder.mkdir()
    eater = "    kept = []\n    while True:\n        kept.append(bytearray(50_000_000))\n"
    texts = {
        "good": solve(unsolved),
        "untouched": unsolved,
        "wrong": answered(unsolved, f"def {NAME}(X, window):\n    return X"),
        "endless": answered(solve(unsolved), f"def {NAME}(X, window):\n    while True: pass"),
        "hungry": answered(solve(unsolved), f"def {NAME}(X, window):\n{eater}"),
        "broken": answered(solve(unsolved), f"def {NAME}(X, window:\n    return X"),
        # such cells do not matter to the exercises, so they are not even run
        "slow": v4.new_notebook(
            cells=[v4.new_code_cell("while True: pass"), *solve(unsolved).cells]
        ),
        # a call into C that no alarm interrupts, and a process that ends itself
        "stuck": answered(solve(unsolved), f"def {NAME}(X, window):\n    return sum(iter(int, 1))"),
        "quitter": answered(solve(unsolved), f"import os\ndef {NAME}(X, window):\n    os._exit(0)"),
        "nosy": answered(
            unsolved,
            f"def {NAME}(X, window):\n    import os\n    seen = str(dict(os.environ)) + open("
            "'/proc/self/environ').read()\n"
            "    raise ValueError('leaked' if 'hunter2' in seen else '<script>alert(1)</script>')",
        ),
        "=cmd()": only(f"def {NAME}(X, window):\n    raise ValueError('\\ud800 <b>')"),
    }
    for name, notebook in texts.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "garbage.ipynb").write_bytes(b"\x00\xff{ not a notebook")
    (folder / "list.ipynb").write_text("[]")
    (folder / "essay.pdf").write_text("my answers")
    (folder / ".DS_Store").write_text("")
    both = folder / "two files" / ".ipynb_checkpoints"
    both.mkdir(parents=True)
    nbformat.write(texts["good"], both / "01.ipynb")  # what Jupyter leaves does not count
    nbformat.write(texts["wrong"], both.parent / "01.ipynb")
    nbformat.write(
        only(f"import torch\n{NAME} = lambda X, w: -torch.max_pool2d(-X, w)"),
        both.parent / "02.ipynb",
    )
    os.mkfifo(folder / "pipe.ipynb") if hasattr(os, "mkfifo") else None
    arguments = ("grade", folder, "--time", 10, "--memory", 1000, "--jobs", 2)
    result = course(*arguments, cwd=folder.parent, SECRET_TOKEN="hunter2")
    out = folder.with_name("returned-grades")
    assert result.returncode == 0, result.stderr
    return result, table(out), out


def page(graded, name):
    return (graded[2] / "feedback" / f"{name}.html").read_text(encoding="utf-8")


def test_a_good_notebook(graded):
    row = graded[1]["good"]
    assert set(statuses(row)) == {"passed"}
    assert (row["passed"], row["of"], row["note"]) == (str(len(IDS)), str(len(IDS)), "")


def test_an_untouched_notebook(graded):
    row = graded[1]["untouched"]
    # the stub of a repair is broken code, which is not attempted as long as it is as it was
    assert set(statuses(row)) == {"not attempted"}
    assert row["passed"] == "0"


def test_a_wrong_answer_and_why(graded):
    row = graded[1]["wrong"]
    assert statuses(row) == ["failed"] + ["not attempted"] * (len(IDS) - 1)
    assert "shape" in page(graded, "wrong")


@pytest.mark.parametrize(
    "name, note",
    [
        ("endless", "did not end"),
        ("hungry", "needed too much memory"),
        ("broken", "SyntaxError: '(' was never closed"),
        ("stuck", "stopped after 10 s"),
        ("quitter", "its process ended with status 0"),
    ],
)
def test_one_bad_answer_costs_nothing_but_itself(graded, name, note):
    row = graded[1][name]
    assert statuses(row) == ["error"] + ["passed"] * (len(IDS) - 1)
    assert row["note"].startswith(FIRST) and note in row["note"]


def test_cells_that_exercises_do_not_need_are_not_run(graded):
    assert set(statuses(graded[1]["slow"])) == {"passed"}


def test_the_instructors_environment_is_not_seen(graded):
    text = page(graded, "nosy")
    assert "ValueError: leaked" not in text and "ValueError: &lt;script&gt;" in text


def test_what_students_write_is_escaped(graded):
    assert "&lt;script&gt;" in page(graded, "nosy") and "<script" not in page(graded, "nosy")
    assert "&lt;b&gt;" in page(graded, "=cmd()")
    assert "'=cmd()" in graded[1], "a spreadsheet must not run it"


@pytest.mark.parametrize("name", ["garbage", "list", "essay", "pipe"])
def test_files_that_are_no_notebooks(graded, name):
    row = graded[1].get(name)
    if name == "pipe" and row is None:
        pytest.skip("NOT RUN: this system has no named pipes")
    assert set(statuses(row)) == {"error"} and "notebook" in row["note"]


def test_of_several_files_the_better_answer_counts(graded):
    row = graded[1]["two files"]
    assert statuses(row) == ["passed"] + ["not attempted"] * (len(IDS) - 1)
    assert "01.ipynb, 02.ipynb" in page(graded, "two files")


def test_every_student_has_a_row_a_page_and_a_line(graded):
    result, rows, out = graded
    assert len(rows) == 16 if hasattr(os, "mkfifo") else 15
    assert len(list((out / "feedback").iterdir())) == len(rows)
    assert f"good: {len(IDS)} of {len(IDS)}" in result.stdout.splitlines()


CHAPTERS_WITH_EXERCISES = [c for c in load_manifest().chapters if f"{c.number:02}" in CHAPTERS]


@pytest.mark.parametrize("chapter", CHAPTERS_WITH_EXERCISES, ids=lambda chapter: chapter.name)
def test_a_whole_solved_chapter_can_be_handed_in(chapter):
    """Nothing of it is run but what the answers need, and that is enough."""
    solved = solve(nbformat.read(chapter.file, as_version=4))
    found, broken = statements([c.source for c in solved.cells if c.cell_type == "code"])
    grades = {e.id: grade(e.id, found, broken) for e in exercises_of(f"{chapter.number:02}")}
    assert {id: why for id, why in grades.items() if why[0] != "passed"} == {}


def test_nothing_to_grade(tmp_path):
    assert_refused(course("grade", "nowhere", cwd=tmp_path), "nowhere")
    assert_refused(course("grade", tmp_path, cwd=tmp_path), "no notebooks")
    nbformat.write(only("x = 1"), tmp_path / "a.ipynb")
    assert_refused(course("grade", tmp_path, cwd=tmp_path), "ex02_1")


@pytest.mark.skipif(os.name == "nt", reason="NOT RUN: needs POSIX signals")
def test_ctrl_c_writes_what_is_done_and_leaves_no_process(tmp_path):
    folder, trace = tmp_path / "returned", tmp_path / "trace"
    folder.mkdir()
    nbformat.write(only(f"def {NAME}(X, window):\n    return X"), folder / "a.ipynb")
    sleeper = (
        "import os, time\nfrom pathlib import Path\n"
        f"x = Path({str(trace)!r}).write_text(str(os.getpid())), time.sleep(500)\n"
        f"def {NAME}(X, window):\n    return x"
    )
    nbformat.write(only(sleeper), folder / "b.ipynb")
    process = subprocess.Popen(
        command("grade", folder, "--time", "300", "--jobs", "1"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (trace.exists() and trace.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=240)  # on a busy machine
    assert process.returncode == 130 and said == "course: stopped\n"
    assert list(table(tmp_path / "returned-grades")) == ["a"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(trace.read_text()), 0)
