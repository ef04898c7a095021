"""`course grade`: all kinds of returned notebooks, and whatever else may lie in a folder."""

import csv
import os
import signal
import subprocess
import time
from contextlib import suppress
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from faults.harness import Tree
from nbformat import v4
from publishing import assert_refused, called, command, environment

from course_utils.commands.grade.export import student_notebook
from course_utils.commands.grade.grade import LARGEST
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


LONG = "x" * 200
SPY = f"""def {NAME}(X, window):
    import os
    seen = [dict(os.environ), open("/proc/self/environ").read(), os.path.expanduser("~")]
    seen += [os.getcwd(), os.listdir(), os.environ.get("PYTHONPATH")]
    raise ValueError(str(seen))"""
FLOOD = f"""def {NAME}(X, window):
    import os
    for number in range(3, 20):
        try:
            while os.write(number, b"x" * 1_000_000): pass
        except OSError: pass
    return X"""
ESCAPES = f"""def {NAME}(X, window):
    raise ValueError("a\\x1b[2J\\x9b31m\\rbob: 7 of 7\\nbob: 7 of 7")"""
SPAWN = f"""def {NAME}(X, window):
    import subprocess, sys
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return X"""


@pytest.fixture(scope="module")
def graded(unsolved, tmp_path_factory):
    """A folder with all kinds of students, graded once: said (by the command), rows (of the table),
    out (folder), memory (bytes that it took), sleepers (processes of answers that were left)."""
    if os.name == "nt":
        pytest.skip("NOT RUN: needs POSIX files")
    folder = tmp_path_factory.mktemp("course") / "returned"
    folder.mkdir()
    solved, head = solve(unsolved), f"def {NAME}(X, window):\n"
    eater = "    kept = []\n    while True:\n        kept.append(bytearray(50_000_000))\n"
    texts = {
        "good": solved,
        "untouched": unsolved,
        "wrong": answered(unsolved, f"{head}    return X"),
        "endless": answered(solved, f"{head}    while True: pass"),
        "hungry": answered(solved, head + eater),
        "broken": answered(solved, f"def {NAME}(X, window:\n    return X"),
        # such cells do not matter to the exercises, so they are not even run
        "slow": v4.new_notebook(cells=[v4.new_code_cell("while True: pass"), *solved.cells]),
        # a call into C that no alarm interrupts, and a process that ends itself
        "stuck": answered(solved, f"{head}    return sum(iter(int, 1))"),
        "quitter": answered(solved, f"import os\n{head}    os._exit(0)"),
        "=cmd()": only(f"{head}    raise ValueError('\\ud800 <b> <script>')"),
        **{"spy": only(SPY), "flood": only(FLOOD), LONG: only(ESCAPES), "spawn": only(SPAWN)},
    }
    for name, notebook in texts.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    (folder / "garbage.ipynb").write_bytes(b"\x00\xff{ not a notebook")
    (folder / "list.ipynb").write_text("[]")
    (folder / "two\nlines\rbob: 7 of 7.ipynb").write_text("{}")
    (folder / "essay.pdf").write_text("my answers")
    (folder / ".DS_Store").write_text("")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "device.ipynb").symlink_to("/dev/zero")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(20 * LARGEST)
    (folder / "loop").mkdir()
    (folder / "loop" / "again").symlink_to(folder)
    both = folder / "two files" / ".ipynb_checkpoints"
    both.mkdir(parents=True)
    nbformat.write(texts["good"], both / "01.ipynb")  # what Jupyter leaves does not count
    nbformat.write(texts["wrong"], both.parent / "01.ipynb")
    right = f"import torch\n{NAME} = lambda X, w: -torch.max_pool2d(-X, w)"
    nbformat.write(only(right), both.parent / "02.ipynb")

    secrets = {"AWS_SECRET_ACCESS_KEY": "hunter2", "GITHUB_TOKEN": "hunter2", "HF_TOKEN": "hunter2"}
    with Tree(
        command("grade", folder, "--time", 10, "--memory", 1000, "--jobs", 2),
        cwd=folder.parent,
        env=environment(**secrets, COLUMNS="200", PYTHONUTF8="1"),
        output=folder.with_name("output"),
    ) as tree:
        largest = 0
        while tree.process.poll() is None:
            with suppress(psutil.Error):
                largest = max(largest, psutil.Process(tree.process.pid).memory_info().rss)
            time.sleep(0.05)
        assert tree.process.wait() == 0, tree.text()
        sleepers = [p for p in tree.alive() if "time.sleep(600)" in " ".join(p.cmdline())]
    out = folder.with_name("returned-grades")
    said = folder.with_name("output").read_bytes().decode()
    return SimpleNamespace(said=said, rows=table(out), out=out, memory=largest, sleepers=sleepers)


def page(graded, name):
    return (graded.out / "feedback" / f"{name}.html").read_text(encoding="utf-8")


def test_a_good_notebook(graded):
    row = graded.rows["good"]
    assert set(statuses(row)) == {"passed"}
    assert (row["passed"], row["of"], row["note"]) == (str(len(IDS)), str(len(IDS)), "")


def test_an_untouched_notebook(graded):
    row = graded.rows["untouched"]
    # the stub of a repair is broken code, which is not attempted as long as it is as it was
    assert set(statuses(row)) == {"not attempted"}
    assert row["passed"] == "0"


def test_a_wrong_answer_and_why(graded):
    row = graded.rows["wrong"]
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
    row = graded.rows[name]
    assert statuses(row) == ["error"] + ["passed"] * (len(IDS) - 1)
    assert row["note"].startswith(FIRST) and note in row["note"]


def test_cells_that_exercises_do_not_need_are_not_run(graded):
    assert set(statuses(graded.rows["slow"])) == {"passed"}


def test_secrets_are_not_in_the_environment_of_answers(graded):
    text = page(graded, "spy")
    assert "ValueError" in text and "hunter2" not in text and "TOKEN" not in text
    home = os.path.expanduser("~")
    assert f"&#x27;HOME&#x27;: &#x27;{home}&#x27;" not in text


def test_an_answer_that_floods_the_grader(graded):
    assert graded.rows["flood"][FIRST] == "error"
    assert graded.memory < 2**30  # two thirds of it are torch's


def test_answers_cannot_write_lines_of_their_own(graded):
    lines = graded.said.splitlines()
    students = [line for line in lines if " of " in line]
    assert len(students) == len(graded.rows)
    assert not any(line.startswith("bob") for line in lines)
    assert not any(letter in graded.said for letter in "\x1b\x07\r\x9b")


def test_names_that_are_long_or_have_several_lines(graded):
    assert LONG in graded.rows
    pages = {path.name for path in (graded.out / "feedback").iterdir()}
    assert len(pages) == len(graded.rows)
    assert all(len(name.encode()) <= 255 for name in pages)


def test_files_that_are_too_large_or_endless(graded):
    assert "larger than" in graded.rows["huge"]["note"]
    assert "not a notebook" in graded.rows["device"]["note"]
    assert "no notebook" in graded.rows["loop"]["note"]


def test_what_answers_start_ends_with_them(graded):
    assert graded.sleepers == []


def test_what_students_write_is_escaped(graded):
    text = page(graded, "=cmd()")
    assert "&lt;b&gt; &lt;script&gt;" in text and "<script" not in text
    assert "'=cmd()" in graded.rows, "a spreadsheet must not run it"


@pytest.mark.parametrize("name", ["garbage", "list", "essay", "pipe"])
def test_files_that_are_no_notebooks(graded, name):
    row = graded.rows[name]
    assert set(statuses(row)) == {"error"} and "notebook" in row["note"]


def test_of_several_files_the_better_answer_counts(graded):
    row = graded.rows["two files"]
    assert statuses(row) == ["passed"] + ["not attempted"] * (len(IDS) - 1)
    assert "01.ipynb, 02.ipynb" in page(graded, "two files")


def test_every_student_has_a_row_a_page_and_a_line(graded):
    assert len(graded.rows) == 23
    assert len(list((graded.out / "feedback").iterdir())) == len(graded.rows)
    assert f"good: {len(IDS)} of {len(IDS)}" in graded.said.splitlines()


CHAPTERS_WITH_EXERCISES = [c for c in load_manifest().chapters if f"{c.number:02}" in CHAPTERS]


@pytest.mark.parametrize("chapter", CHAPTERS_WITH_EXERCISES, ids=lambda chapter: chapter.name)
def test_a_whole_solved_chapter_can_be_handed_in(chapter):
    """Nothing of it is run but what the answers need, and that is enough."""
    solved = solve(nbformat.read(chapter.file, as_version=4))
    found, broken = statements([c.source for c in solved.cells if c.cell_type == "code"])
    grades = {e.id: grade(e.id, found, broken) for e in exercises_of(f"{chapter.number:02}")}
    assert {id: why for id, why in grades.items() if why[0] != "passed"} == {}


def test_nothing_to_grade(tmp_path):
    assert_refused(called("grade", "nowhere", cwd=tmp_path), "nowhere")
    assert_refused(called("grade", tmp_path, cwd=tmp_path), "no notebooks")
    nbformat.write(only("x = 1"), tmp_path / "a.ipynb")
    assert_refused(called("grade", tmp_path, cwd=tmp_path), "ex02_1")


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
