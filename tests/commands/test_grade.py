"""`course grade`: all kinds of returned notebooks, and whatever else may lie in a folder."""

import csv
import json
import os
import re
import signal
import time
import zipfile
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from commands.answers import CHEATS, HEAD, HONEST, RIGHT, SETUP
from faults.harness import Tree
from nbformat import v4
from publishing import assert_refused, called, command, environment

from course_utils.commands.grade.export import student_notebook, write_autograder
from course_utils.commands.grade.grade import Runners
from course_utils.commands.grade.returned import (
    LARGEST,
    Student,
    find_students,
    read_roster,
    sources,
)
from course_utils.commands.manifest import load_manifest
from course_utils.exercises import exercises_of, solve
from course_utils.exercises.registry import CHAPTERS

pytest.importorskip("otter", reason='NOT RUN: pip install "classic-convnets[grade]"')
IDS = [exercise.id for exercise in exercises_of("02")]
NAMES = {exercise.id: exercise.name for exercise in exercises_of("02")}
# one worker: the folder is graded once
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("grade")]


def exported(number):
    (chapter,) = [c for c in load_manifest().chapters if c.number == number]
    return student_notebook(chapter)


def answered(notebook, answers):
    """A copy with other cells: exercise id -> its cell; an answer may hold the one that was."""
    copy = nbformat.from_dict(notebook)
    for id, answer in answers.items():
        (cell,) = [cell for cell in copy.cells if f"def {NAMES[id]}(" in cell.source]
        cell.source = answer.replace("<was>", cell.source)
    return copy


def only(*cells):
    return v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])


def table(folder, name="grades.csv"):
    """Student -> row of grades.csv."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


LONG = "x" * 200
EATER = "    kept = []\n    while True:\n        kept.append(bytearray(50_000_000))\n"
TROUBLE = {  # exercise -> (its cell, status, what the note says)
    "02.1": (f"{HEAD}    while True: pass", "error", ""),
    "02.2": (f"def {NAMES['02.2']}():\n{EATER}", "error", "needed too much memory"),
    "02.3": (f"def {NAMES['02.3']}(*a):\n    import os\n    os._exit(0)", "error", "status 0"),
    "02.4": (f"def {NAMES['02.4']}(X:\n", "error", "SyntaxError"),
    "02.5": (f"def {NAMES['02.5']}(*a):\n    return sum(iter(int, 1))", "error", "stopped after"),
    "02.6": (f"def {NAMES['02.6']}(X, window):\n    return X", "failed", ""),
}
SPOILING = """\
import os, sys, torch, warnings, random
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.set_default_device("meta")
warnings.simplefilter("error")
sys.setrecursionlimit(90)
<was>"""
SPY = f"""{HEAD}    import os
    seen = [dict(os.environ), open("/proc/self/environ").read(), os.path.expanduser("~")]
    raise ValueError(str(seen))"""
ESCAPES = f"""{HEAD}    raise ValueError("a\\x1b[2J\\x9b31m\\rbob: 7 of 7\\nbob: 7 of 7")"""
SPAWN = f"""import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
{HEAD}    return X"""


def version_3(notebook):
    cells = [{**c, "input": c["source"]} if c.cell_type == "code" else c for c in notebook.cells]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}


OPTIONS = ("--time", 7, "--memory", 1000, "--jobs", 2, "--points", "points.csv")


def fill(folder):
    """All kinds of students, and what else there is in such folders."""
    unsolved = exported(2)
    solved = solve(unsolved)
    made = {
        "good.ipynb": solved,
        "untouched.ipynb": unsolved,
        "troubled.ipynb": answered(solved, {id: cell for id, (cell, *_) in TROUBLE.items()}),
        "spoiling.ipynb": answered(solved, {"02.1": SPOILING}),
        "slow.ipynb": v4.new_notebook(cells=[v4.new_code_cell("while True: pass"), *solved.cells]),
        "quits.ipynb": v4.new_notebook(cells=[v4.new_code_cell("exit()"), *solved.cells]),
        "dies.ipynb": v4.new_notebook(
            cells=[v4.new_code_cell("import os\nos._exit(1)"), *solved.cells]
        ),
        "=cmd().ipynb": only(f"{HEAD}    raise ValueError('\\ud800 <b> <script>')"),
        "spy.ipynb": only(SPY),
        "spawn.ipynb": only(SPAWN),
        f"{LONG}.ipynb": only(ESCAPES),
        "other chapter.ipynb": only("def ex05_1_x():\n    return 1"),
        "CAPITALS.IPYNB": only(SETUP, RIGHT),
        "late_12345_ben_02_pooling-1.ipynb": only(SETUP, RIGHT),
        "two files/01.ipynb": only(SETUP, HEAD + "    return X"),
        "two files/02.ipynb": only(SETUP, RIGHT),
        "two files/.ipynb_checkpoints/01.ipynb": solved,  # what Jupyter leaves does not count
        "__MACOSX/._good.ipynb": solved,
    }
    for name, notebook in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(notebook))
    text = (folder / "CAPITALS.IPYNB").read_text()
    with zipfile.ZipFile(folder / "zipped.zip", "w") as archive:
        archive.writestr("../../elsewhere/02.ipynb", text)
        archive.writestr("__MACOSX/._02.ipynb", "")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 no zip")
    (folder / "garbage.ipynb").write_bytes(b"\x00\xff{ not a notebook")
    (folder / "list.ipynb").write_text("[]")
    (folder / "two\nlines\rbob: 7 of 7.ipynb").write_text("{}")
    (folder / "essay.pdf").write_text("my answers")
    (folder / "desktop.ini").write_text("")
    (folder / ".DS_Store").write_text("")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "link.ipynb").symlink_to(folder / "good.ipynb")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(20 * LARGEST)
    (folder / "loop").mkdir()
    (folder / "loop" / "again").symlink_to(folder)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
@pytest.mark.parametrize("version", [lambda notebook: notebook, version_3])
def test_notebooks_of_every_age_and_coding_are_read(tmp_path, coding, version):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(version(only(SETUP, RIGHT)), ensure_ascii=False), encoding=coding)
    assert sources(path) == [SETUP, RIGHT]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """That folder, graded once: said (by the command), rows (of the table), out (folder), sleepers
    (processes of answers that were left)."""
    if os.name == "nt":
        pytest.skip("NOT RUN: needs POSIX")
    folder = tmp_path_factory.mktemp("course") / "returned"
    folder.mkdir()
    fill(folder)
    folder.with_name("points.csv").write_text("exercise,points\n02.1,2.5\n02.2,0\n")
    secrets = {"AWS_SECRET_ACCESS_KEY": "hunter2", "GITHUB_TOKEN": "hunter2", "COURSE_X": "hunter2"}
    with Tree(
        command("grade", folder, *OPTIONS),
        cwd=folder.parent,
        env=environment(**secrets, COLUMNS="200", PYTHONUTF8="1"),
        output=folder.with_name("output"),
    ) as tree:
        assert tree.process.wait() == 0, tree.text()
        sleepers = [p for p in psutil.process_iter() if "time.sleep(600)" in _line(p)]
    out = folder.with_name("returned-grades")
    said = folder.with_name("output").read_bytes().decode()
    return SimpleNamespace(said=said, rows=table(out), out=out, sleepers=sleepers)


def _line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def page(graded, name):
    return (graded.out / "feedback" / f"{name}.html").read_text(encoding="utf-8")


PASSED, NOT = dict.fromkeys(IDS, "passed"), dict.fromkeys(IDS, "not attempted")
FIRST = NOT | {"02.1": "passed"}
ERROR = dict.fromkeys(IDS, "error")
ROWS = {  # student -> (status of each exercise, what the note says)
    "good": (PASSED, ""),
    # the stub of a repair is broken code, which is not attempted as long as it is as it was
    "untouched": (NOT, ""),
    "spoiling": (PASSED, ""),
    "slow": (PASSED, "code cell 1: stopped after 7 s"),
    "quits": (PASSED, "code cell 1: exit() ends nothing here"),
    "dies": (PASSED, "code cell 1 is left out"),
    "spawn": (NOT | {"02.1": "failed"}, ""),
    "other chapter": (NOT, "not graded: chapter 05"),
    "CAPITALS": (FIRST, ""),
    "12345_ben": (FIRST, "handed in late"),
    "zipped": (FIRST, ""),
    "two files": (FIRST, ""),
    "broken": (NOT, "no zip that can be read"),
    "link": (NOT, "is a link"),
    "loop": (NOT, "is a link"),
    "essay": (NOT, "no notebook in essay.pdf"),
    "garbage": (ERROR, "not a notebook"),
    "list": (ERROR, "not a notebook"),
    "pipe": (ERROR, "not even a file"),
    "huge": (ERROR, "larger than"),
    "troubled": (PASSED | {id: status for id, (_, status, _) in TROUBLE.items()}, ""),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_student_gets_what_is_due(graded, name):
    row, (statuses, note) = graded.rows[name], ROWS[name]
    assert {id: row[id] for id in IDS} == statuses, row["note"]
    passed = [id for id, status in statuses.items() if status == "passed"]
    points = sum({"02.1": 2.5, "02.2": 0}.get(id, 1) for id in passed)
    assert (row["passed"], row["of"]) == (str(len(passed)), str(len(IDS)))
    assert (float(row["points"]), row["max"]) == (points, "13.5")
    assert note in row["note"] and (note or not row["note"] or name == "troubled")
    assert bool(row["look"]) == (name in ("spawn", "troubled"))


@pytest.mark.parametrize("id", [id for id, (_, _, note) in TROUBLE.items() if note])
def test_one_bad_answer_costs_nothing_but_itself(graded, id):
    (note,) = [n for n in graded.rows["troubled"]["note"].split("; ") if n.startswith(f"{id}:")]
    assert TROUBLE[id][2] in note


def test_feedback_shows_the_code_what_is_wrong_and_a_hint(graded):
    text = page(graded, "troubled")
    assert "return X</pre>" in text and "shape" in text
    assert "Hint: Where does window (i, j) start?" in text
    assert "01.ipynb, 02.ipynb" in page(graded, "two files")


def test_secrets_are_not_in_the_environment_of_answers(graded):
    text = page(graded, "spy")
    assert "ValueError" in text and "hunter2" not in text and "TOKEN" not in text
    assert f"&#x27;HOME&#x27;: &#x27;{os.path.expanduser('~')}&#x27;" not in text


def test_what_answers_start_ends_with_them(graded):
    assert graded.sleepers == []


def test_what_students_write_is_escaped(graded):
    (name,) = [p for p in graded.out.glob("feedback/=cmd()*")]
    text = name.read_text(encoding="utf-8")
    assert "&lt;b&gt; &lt;script&gt;" in text and "<script" not in text
    assert "'=cmd()" in graded.rows, "a spreadsheet must not run it"


def test_every_student_has_a_row_a_page_a_line_and_a_result(graded):
    pages = [path.name for path in (graded.out / "feedback").iterdir()]
    results = json.loads((graded.out / "results.json").read_text())["students"]
    lines = [line for line in graded.said.splitlines() if " points" in line]
    assert len(ROWS) + 4 == len(graded.rows) == len(pages) == len(results) == len(lines)
    assert not any(line.startswith("bob") for line in graded.said.splitlines())
    assert not any(letter in graded.said for letter in "\x1b\x07\r\x9b")
    assert all(len(name.encode()) <= 255 for name in pages)
    assert "skipped: __MACOSX" in graded.said and "skipped: desktop.ini" in graded.said
    (good,) = [one for one in results if one["name"] == "good"]
    assert good["score"] == 13.5 and {t["max_score"] for t in good["tests"]} == {0, 1, 2.5}


# --- names, points, what is wrong with a call ----------------------------------------------------

ROSTER = "Name;Student ID;Email\nAnna Lind;17;anna@x.org\nAnna Berg;18;berg@x.org\nCy Ho;19;\n"
NAMED = {  # what students are called, with which files: with a roster, and without
    "Anna Lind": ["lind_anna_17_02_pooling", "17_05_alexnet"],
    "Anna Berg": ["LATE_18_x_02_pooling-1"],
    "Cy Ho": ["hocy_02_pooling"],
    "anna": ["anna"],
    "anna lind berg": ["anna lind berg"],
    "zed": ["zed_02_pooling_exercises", "zed_05_alexnet_exercises (1)"],
}
ALONE = {
    "lind_anna_17": ["lind_anna_17_02_pooling"],
    "17": ["17_05_alexnet"],
    "18_x": ["LATE_18_x_02_pooling-1"],
    "hocy": ["hocy_02_pooling"],
    "anna": ["anna"],
    "anna lind berg": ["anna lind berg"],
    "zed": NAMED["zed"],
}
ALIKE = {name: [name] for name in ["eva_02_pooling", "eva_02_pooling-1", "Eva (2)", "ｅｖａ"]}


@pytest.mark.parametrize("roster, students", [(True, NAMED), (False, ALONE), (False, ALIKE)])
def test_no_two_students_are_taken_for_one(tmp_path, roster, students):
    for files in students.values():
        for name in files:
            (tmp_path / f"{name}.ipynb").write_text("{}")
    (tmp_path / "roster.csv").write_text(ROSTER, encoding="utf-8-sig")
    people = read_roster(tmp_path / "roster.csv") if roster else None
    (tmp_path / "roster.csv").unlink()
    found, _ = find_students(tmp_path, None, people)
    assert {one.name: sorted(file.stem for file in one.files) for one in found} == {
        name: sorted(files) for name, files in students.items()
    }
    notes = {one.name: " ".join(one.notes) for one in found}
    if roster:
        assert "fits several" in notes["anna lind berg"]
        assert "not in the roster" in notes["zed"] and "not in the roster" in notes["anna"]


@pytest.mark.parametrize(
    "files, arguments, parts",
    [
        (None, ["nowhere"], ["nowhere"]),
        ({}, ["in"], ["no notebooks"]),
        ({"a": "x = 1"}, ["in"], ["ex02_1"]),
        ({"a": "ex02_1_a = 1", "b": "ex03_1_a = 1"}, ["in"], ["02 (1), 03 (1)", "--chapters"]),
        ({"a": RIGHT}, ["in", "--chapters", "77"], ["--chapters 77"]),
        ({"a": RIGHT}, ["in", "--chapters", ","], ["--chapters"]),
        ({"a": RIGHT}, ["in", "--roster", "no.csv"], ["no.csv", "No such file"]),
        ({"a": RIGHT}, ["in", "--roster", "twice.csv"], ["twice.csv", "17"]),
        ({"a": RIGHT}, ["in", "--roster", "bytes.csv"], ["bytes.csv"]),
        ({"a": RIGHT}, ["in", "--points", "minus.csv"], ["minus.csv, line 2", "-1"]),
        ({"a": RIGHT}, ["in", "--points", "excel.csv"], ["excel.csv, line 2", "2.1"]),
        ({"a": RIGHT}, ["in", "--points", "empty.csv"], ["empty.csv", "no rows"]),
        ({"a": RIGHT}, ["in", "--out", "empty.csv"], ["empty.csv"]),
    ],
)
def test_what_is_wrong_with_a_call_is_said_in_a_line(tmp_path, files, arguments, parts):
    for name, text in {
        "twice.csv": "id,name\n17,a\n17,b\n",
        "minus.csv": "exercise,points\n02.1,-1\n",
        "excel.csv": "exercise,points\n2.1,1\n",
        "empty.csv": "",
        "bytes.csv": "\xff\xfe\xff",
    }.items():
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    if files is not None:
        (tmp_path / "in").mkdir()
        for name, cell in files.items():
            nbformat.write(only(cell), tmp_path / "in" / f"{name}.ipynb")
    assert_refused(called("grade", *arguments, cwd=tmp_path), *parts)
    assert not (tmp_path / "in-grades" / "grades.csv").exists()


def test_without_otter_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = called("grade", tmp_path, cwd=tmp_path)
    assert_refused(result, "classic-convnets[grade]")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.full
def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(tmp_path):
    folder, out = tmp_path / "returned", tmp_path / "returned-grades"
    folder.mkdir()
    out.mkdir()
    (out / "grades.csv").write_text("an older table")
    nbformat.write(only(RIGHT), folder / "a.ipynb")
    nbformat.write(only(RIGHT, "import time\ntime.sleep(500)"), folder / "b.ipynb")
    with Tree(
        command("grade", folder, "--time", "300", "--jobs", "1"),
        cwd=tmp_path,
        env=environment(),
        output=tmp_path / "said",
    ) as tree:
        while "a: 0 of" not in tree.text():
            assert tree.process.poll() is None, tree.text()
            time.sleep(0.1)
        started = psutil.Process(tree.process.pid).children(recursive=True)
        tree.process.send_signal(signal.SIGINT)
        assert tree.process.wait(240) == 130 and "course: stopped\n" in tree.text()
        assert list(table(out, "grades-unfinished.csv")) == ["a"]
        assert (out / "grades.csv").read_text() == "an older table"
        assert started and not [p for p in started if p.is_running()]


# --- honest answers, and others ------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A function: code cells -> ({exercise id: Grade}, flags)."""
    points = {f"02.{number}": 1.0 for number in (1, 2, 3, 4)}
    path = tmp_path_factory.mktemp("otter") / "autograder.zip"
    runners = Runners(list(points), 77, write_autograder(path, points, 77), 10, 1500)

    def judge(cells):
        student = Student("somebody")
        return runners.grade([SETUP, *cells], points, student), student.flags

    yield judge
    runners.stop()


def some(cases):
    """All of a dict's names as parameters; but for every twentieth they are for `make test-all`."""
    return [
        pytest.param(name, marks=[pytest.mark.full] if number % 20 else [])
        for number, name in enumerate(cases)
    ]


@pytest.mark.parametrize("name", some(HONEST))
def test_an_honest_answer_is_right(judged, name):
    number, cells = HONEST[name]
    grades, flags = judged(cells)
    grade = grades[f"02.{number}"]
    assert (grade.status, grade.score) == ("passed", 1), grade.text
    assert not flags or name == "a shell command"


@pytest.mark.parametrize("name", some(CHEATS))
def test_a_cheat_does_not_score_without_a_flag(judged, name):
    grades, flags = judged(CHEATS[name])
    assert grades["02.1"].score == 0 or flags


# what chapters themselves do: 02 shows by `exec` what cells in another order do, 10 starts torchrun
OWN = {2: r"\((compile|exec)\)$", 10: r"^starts other programs|files or descriptors: \d+$"}


@pytest.mark.full
@pytest.mark.parametrize("number", [int(number) for number in CHAPTERS])
def test_every_chapter_can_be_handed_in_solved(tmp_path, number):
    (chapter,) = [c for c in load_manifest().chapters if c.number == number]
    whole = solve(nbformat.read(chapter.file, as_version=4))
    (tmp_path / "in").mkdir()
    nbformat.write(solve(exported(number)), tmp_path / "in" / "exported.ipynb")
    nbformat.write(whole, tmp_path / "in" / "whole.ipynb")
    result = called("grade", "in", "--chapters", number, "--time", 120, cwd=tmp_path)
    rows = table(tmp_path / "in-grades")
    assert {row["passed"] == row["of"] for row in rows.values()} == {True}, result.stdout
    flags = {flag for row in rows.values() for flag in row["look"].split("; ") if flag}
    assert all(re.search(OWN.get(number, "^$"), flag) for flag in flags), flags
