"""What comes from elsewhere stays data: in files, pages, tables, terminals, and on the network."""

import ast
import csv
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from html.parser import HTMLParser
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import psutil
import pytest
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4
from publishing import assert_refused, command, course, environment, make_course, notebook

from course_utils.commands import lab
from course_utils.commands.grade.grade import LARGEST, Grade, Student, feedback, write_table
from course_utils.commands.manifest import load_manifest
from course_utils.commands.notebooks import plain
from course_utils.commands.run.report import Report
from course_utils.commands.run.report_page import html_text, junit_text
from course_utils.errors import RunError
from course_utils.exercises import exercises_of
from faults.harness import Tree, wait_until

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&\x1b]0;owned\x07\x9b31m\u202e"


# --- our own code: no pickle of foreign origin, no archive unpacked, no shell ------------------

# module or function -> the modules that may use it, and why
ALLOWED = {
    "pickle": {
        "chapters/04_lenet5_lab.ipynb": "what a pickle can do",
    },
    "exec": {
        "course_utils/commands/grade/worker.py": "students' code, in its own process",
        "course_utils/commands/bench/fresh.py": "import statements of its own, to time them",
        "chapters/02_pooling.ipynb": "an exercise on cells that run in another order",
    },
    "urlopen": {},
    "urlretrieve": {},
    "extractall": {},
    "unpack_archive": {},
    "tarfile": {},
    "marshal": {},
    "shelve": {},
    "joblib": {},
    "cloudpickle": {},
    "dill": {},
    "eval": {},
    "system": {},
    "popen": {},
    "mktemp": {},
    "load_state_dict_from_url": {},
}


def our_code():
    """(path in the repository, syntax tree) of the package, its notebooks' code cells included."""
    for path in sorted((REPOSITORY / "course_utils").rglob("*.py")):
        yield path.relative_to(REPOSITORY).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / "chapters").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "%" not in cell.source[:1]:
                yield path.relative_to(REPOSITORY).as_posix(), ast.parse(cell.source)


def called(node):
    """("torch", "load") of `torch.load(…)`, ("exec",) of `exec(…)`; () of what is no call."""
    if not isinstance(node, ast.Call):
        return ()
    parts, function = [], node.func
    while isinstance(function, ast.Attribute):
        parts.insert(0, function.attr)
        function = function.value
    return (function.id if isinstance(function, ast.Name) else "…", *parts)


def argument(call, name):
    values = [k.value for k in call.keywords if k.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


@pytest.fixture(scope="module")
def nodes():
    return [(path, node) for path, tree in our_code() for node in ast.walk(tree)]


def test_what_unpickles_accepts_only_tensors(nodes):
    loads = [(path, node) for path, node in nodes if called(node)[-2:] == ("torch", "load")]
    assert loads
    careless = [path for path, call in loads if argument(call, "weights_only") is not True]
    # chapter 04 shows what this does, with a file that it has just written itself
    assert careless in ([], ["chapters/04_lenet5_lab.ipynb"])
    for path, call in nodes:
        if called(call)[-2:] in (("np", "load"), ("numpy", "load")):
            assert argument(call, "allow_pickle") is False, path
        if isinstance(call, ast.Call):
            assert argument(call, "shell") is not True, path


def test_nothing_dangerous_is_used(nodes):
    used = set()
    for path, node in nodes:
        if isinstance(node, ast.Import):
            used |= {(alias.name.split(".")[0], path) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            used.add(((node.module or "").split(".")[0], path))
            used |= {(alias.name, path) for alias in node.names}
        elif called(node)[-1:] != ("eval",) or len(called(node)) == 1:  # `net.eval()` is harmless
            used |= {(name, path) for name in called(node)[-1:]}
    found = {(name, path) for name, path in used if name in ALLOWED and path not in ALLOWED[name]}
    assert found == set()


def test_no_address_without_tls(nodes):
    for path, node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            plain_http = re.findall(r"http://[\w.]+", node.value)
            harmless = ("http://www.w3.org", "http://127.0.0.1", "http://localhost")
            assert all(url.startswith(harmless) for url in plain_http), (path, plain_http)


# --- pages -----------------------------------------------------------------------------------


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, and the text that it shows."""

    def __init__(self, page):
        super().__init__()
        self.names, self.handlers, self.shown = [], [], ""
        self.feed(page)

    def handle_starttag(self, name, attributes):
        self.names.append(name)
        self.handlers += [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, text):
        self.shown += text


def assert_harmless(page):
    elements = Elements(page)
    assert not {"script", "img", "iframe", "object", "embed"} & set(elements.names)
    assert elements.handlers == []
    assert "default-src 'none'" in page
    assert "alert(1)" in elements.shown, "it is shown as text"
    assert not any(letter in page for letter in "\x1b\x07\x9b\u202e")


@pytest.fixture
def hostile_report(tmp_path):
    (chapter, *_) = load_manifest().chapters
    versions = {"versions": {"torch": EVIL}, "platform": EVIL, "cpu_count": 2}
    machine = versions | {"matmul_gflops": None, "accelerator": EVIL}
    report = Report([chapter], "quick", tmp_path, machine)
    error = {"cell": 3, "code": EVIL, "name": EVIL, "message": EVIL, "traceback": EVIL}
    result = {"seconds": 1.0, "cells": [1, 2], "records": {"source": EVIL, EVIL: EVIL}}
    report.add(chapter.name, result | {"error": error})
    report.finish()
    return report


def test_the_page_of_a_run(hostile_report):
    assert_harmless(html_text(hostile_report.data, EVIL))


def test_the_file_for_ci(hostile_report):
    root = ElementTree.fromstring(junit_text(hostile_report.data))
    assert {element.tag for element in root.iter()} <= {
        "testsuites",
        "testsuite",
        "testcase",
        "failure",
        "system-out",
    }
    assert "alert(1)" in root.find(".//failure").text


def test_the_page_for_a_student():
    student = Student(plain(EVIL))
    for status in ("failed", "error", "passed", "not attempted"):
        student.grades["02.1"] = Grade(status, plain(EVIL), plain(EVIL))
        assert_harmless(feedback(student))


class Active(HTMLParser):
    """What of a page would act: texts of scripts, handlers, addresses that are scripts."""

    def __init__(self, page):
        super().__init__()
        self.acts, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, name, attributes):
        self.inside = name == "script"
        self.acts += [value or "" for key, value in attributes if key.startswith("on")]
        self.acts += [value for key, value in attributes if key in ("src", "href") and value]

    def handle_endtag(self, name):
        self.inside = False

    def handle_data(self, text):
        self.acts += [text] if self.inside else []


def test_the_book_shows_outputs_as_text(tmp_path):
    """Texts of any kind; HTML that a chapter itself displays is its author's, and stays."""
    pytest.importorskip("sphinx", reason="NOT RUN: needs the book's packages")
    marked = EVIL.replace("alert(", "pwned(").partition("\x1b")[0]  # the book refuses escapes
    source = (
        "from course_utils.results import record\n"
        f"print({marked!r})\n"
        f"record(source={marked!r}, device={marked!r}, test_acc=0.5)\n"
        f"{marked!r}"
    )
    warns = f"import sys\nprint({marked!r}, file=sys.stderr)"
    make_course(tmp_path, {"01_a": notebook(source, warns)})
    path = tmp_path / "book.toml"
    facts = path.read_text().replace('title = "T"', f"title = {json.dumps(marked[:60])}")
    facts = facts.replace('summary = "S"', f"summary = {json.dumps(marked[:60])}")
    path.write_text(facts, encoding="utf-8")
    for step in (["run", "--no-rate"], ["book"]):
        result = course(*step, cwd=tmp_path)
        assert result.returncode == 0, result.stdout + result.stderr
    assert "pwned(1)" in (tmp_path / "build/book/01_a.html").read_text(encoding="utf-8")
    for page in (tmp_path / "build" / "book").glob("*.html"):
        acts = Active(page.read_text(encoding="utf-8")).acts
        assert [text for text in acts if "pwned" in text or text == "x"] == [], page.name


# --- tables and terminals ----------------------------------------------------------------------

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "x;=1", "x; =1", "a\n=1", "＝1", ";;@1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_table_is_a_formula(tmp_path, text):
    student = Student(plain(text), notes=[text])
    write_table(tmp_path / "grades.csv", [student], [])
    content = (tmp_path / "grades.csv").read_text(encoding="utf-8")
    for separator in ",;\t":  # as spreadsheets of several countries would read it
        for row in csv.reader(content.splitlines(), delimiter=separator):
            assert not any(re.match(r"\s*[=+\-@＝＋－＠]", cell) for cell in row), row


@given(st.text())
def test_plain_text_cannot_steer_a_terminal(text):
    kept = plain(text)
    assert all(letter in "\t\n" or ord(letter) >= 32 for letter in kept)
    assert not any(0x7F <= ord(letter) <= 0x9F or 0xD800 <= ord(letter) < 0xE000 for letter in kept)
    assert not set(kept) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert plain(kept) == kept
    assert plain("äß 你好 😀 ✅") == "äß 你好 😀 ✅"


def test_errors_of_chapters_on_the_terminal(tmp_path):
    raises = f"raise ValueError({EVIL!r} + '\\r01_chapter: passed')"
    make_course(tmp_path, {"01_chapter": notebook(raises)})
    result = course("run", "--no-rate", cwd=tmp_path, PYTHONUTF8="1")
    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert "alert(1)" in said
    assert not any(letter in said for letter in "\x1b\x07\r\x9b\u202e")
    assert_harmless((tmp_path / "build/run/quick/report.html").read_text(encoding="utf-8"))


def test_messages_of_the_command(tmp_path):
    result = course("run", "\x1b]0;owned\x07\x9b", cwd=REPOSITORY, PYTHONUTF8="1")
    assert_refused(result, "unknown chapter")
    assert not any(letter in result.stderr for letter in "\x1b\x07\x9b")


# --- grading ------------------------------------------------------------------------------------

ID, NAME = exercises_of("02")[0].id, exercises_of("02")[0].name
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
def graded(tmp_path_factory):
    """What the command said, rows of grades.csv, their folder, bytes it took, what was left."""
    if os.name == "nt":
        pytest.skip("NOT RUN: needs POSIX files")
    folder = tmp_path_factory.mktemp("course") / "returned"
    answers = {"spy": SPY, "flood": FLOOD, LONG: ESCAPES, "spawn": SPAWN}
    for name, source in answers.items():
        path = folder / name / "answer.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source)]), path)
    (folder / "loop").mkdir()
    (folder / "loop" / "again").symlink_to(folder)
    (folder / "device.ipynb").symlink_to("/dev/zero")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(20 * LARGEST)
    (folder / "two\nlines\rbob: 7 of 7.ipynb").write_text("{}")
    secrets = {"AWS_SECRET_ACCESS_KEY": "hunter2", "GITHUB_TOKEN": "hunter2", "HF_TOKEN": "hunter2"}
    output = folder.with_name("output")
    with Tree(
        command("grade", folder, "--time", 20, "--jobs", 2),
        cwd=folder.parent,
        env=environment(**secrets, COLUMNS="200", PYTHONUTF8="1"),
        output=output,
    ) as tree:
        largest = 0
        while tree.process.poll() is None:
            try:
                largest = max(largest, psutil.Process(tree.process.pid).memory_info().rss)
            except psutil.Error:
                break
            time.sleep(0.05)
        assert tree.process.wait() == 0, tree.text()
        sleepers = [p for p in tree.alive() if "time.sleep(600)" in " ".join(p.cmdline())]
    grades = folder.with_name("returned-grades")
    with (grades / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    said = output.read_bytes().decode()
    return SimpleNamespace(said=said, rows=rows, out=grades, memory=largest, sleepers=sleepers)


def test_secrets_are_not_in_the_environment_of_answers(graded):
    page = (graded.out / "feedback" / "spy.html").read_text(encoding="utf-8")
    assert "ValueError" in page and "hunter2" not in page and "TOKEN" not in page
    home = os.path.expanduser("~")
    assert f"&#x27;HOME&#x27;: &#x27;{home}&#x27;" not in page


def test_an_answer_that_floods_the_grader(graded):
    assert graded.rows["flood"][ID] == "error"
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


# --- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["../01_a.ipynb", "/tmp/01_a.ipynb", "x/01_a.ipynb", "01_../a"])
def test_chapters_lie_in_their_folder(tmp_path, file):
    make_course(tmp_path, {"01_a": notebook("x = 1")})
    path = tmp_path / "book.toml"
    path.write_text(path.read_text().replace('"01_a.ipynb"', json.dumps(file)))
    assert_refused(course("run", cwd=tmp_path), "chapter[1].file")


def test_a_run_does_not_write_over_the_chapters(tmp_path):
    make_course(tmp_path, {"01_a": notebook("x = 1")})
    before = (tmp_path / "chapters" / "01_a.ipynb").read_bytes()
    for folder in ("chapters", "build/../chapters"):
        assert_refused(course("run", "--out", folder, cwd=tmp_path), "the chapters themselves")
    assert (tmp_path / "chapters" / "01_a.ipynb").read_bytes() == before
    assert [path.name for path in (tmp_path / "chapters").iterdir()] == ["01_a.ipynb"]
    with pytest.raises(RunError, match="the chapters themselves"):
        lab.lab_folder(load_manifest(tmp_path / "book.toml"), tmp_path / "chapters")


def test_the_book_deletes_no_folder_that_is_no_book(tmp_path):
    make_course(tmp_path, {"01_a": notebook("x = 1")})
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("ten years of work")
    assert course("run", "--no-rate", cwd=tmp_path).returncode == 0
    assert_refused(course("book", "--out", precious, cwd=tmp_path))
    assert (precious / "thesis.txt").read_text() == "ten years of work"


def test_parameters_are_data(tmp_path):
    """What follows NAME= becomes a value in the notebook, never code."""
    trap = tmp_path / "trap"
    make_course(tmp_path, {"01_a": notebook("print(name)", parameters="name = 'x'")})
    value = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    result = course("run", "--no-rate", "--param", f"name={value}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    executed = nbformat.read(tmp_path / "build/run/quick/01_a.ipynb", as_version=4)
    assert value in executed.cells[-1].outputs[0].text
    assert not trap.exists()
    assert_refused(course("run", "--param", "x;import os=1", cwd=tmp_path), "NAME=VALUE")


# --- JupyterLab ----------------------------------------------------------------------------------


@contextmanager
def running_lab(folder):
    """`course lab` as learners start it; yields (its processes, its address, its token)."""
    arguments = ["lab", "--dir", folder / "mine", "--no-browser", "--port", 0, "--"]
    arguments += ["--allow-root", "--LabApp.news_url=None"]
    env = environment(HOME=str(folder), COURSE_PROGRESS_FILE=str(folder / "progress.json"))
    with Tree(command(*arguments), cwd=REPOSITORY, env=env, output=folder / "log") as tree:

        def address():
            assert tree.process.poll() is None, tree.text()
            return re.search(r"(http://127\.0\.0\.1:\d+)/\S*\?token=(\w+)", tree.text())

        found = wait_until(address, 120, "JupyterLab")
        yield tree, found[1], found[2]


def ask(url, **headers):
    """(status, address in the end)."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.url
    except urllib.error.HTTPError as error:
        return error.code, error.url


def test_jupyterlab_is_for_this_machine_and_its_owner(tmp_path):
    with running_lab(tmp_path) as (tree, url, token):
        assert len(token) >= 32
        listening = [
            connection.laddr.ip
            for process in tree.alive()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening and set(listening) <= {"127.0.0.1", "::1"}
        for path in ("/api/contents", "/api/kernels", "/api/terminals", "/api/sessions"):
            assert ask(url + path)[0] in (401, 403), path
            assert ask(url + path, Authorization="token wrong")[0] in (401, 403), path
        status, where = ask(f"{url}/lab")
        assert status == 200 and "/login" in where
        right = {"Authorization": f"token {token}"}
        assert ask(f"{url}/api/contents", **right)[0] == 200
        # another site that names itself by this address in the browser (DNS rebinding)
        assert ask(f"{url}/api/contents", **right, Host="evil.example")[0] == 403
        # nothing above the learner's folder
        for path in ("..%2f..%2fetc/passwd", "../book.toml", "%2e%2e/book.toml"):
            assert ask(f"{url}/api/contents/{path}", **right)[0] in (400, 403, 404)


def test_what_jupyterlab_is_started_with(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda _, command, environment: started.extend(command))
    monkeypatch.setattr(subprocess, "call", lambda command, env: started.extend(command))
    lab.start_jupyterlab(tmp_path, browser=False)
    assert "--ServerApp.ip=127.0.0.1" in started
    for switch in ("token", "password", "allow_origin", "disable_check_xsrf", "allow_remote"):
        assert switch not in " ".join(map(str, started))
