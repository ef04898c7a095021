"""What comes from elsewhere stays data: in files, pages, tables, terminals, and on the network."""

import ast
import csv
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import psutil
import pytest
from bs4 import BeautifulSoup
from conftest import REPOSITORY
from hypothesis import given
from hypothesis import strategies as st
from publishing import assert_refused, called, command, course, environment, make_course, notebook

from course_utils.commands import lab
from course_utils.commands.grade.grade import Grade, feedback, table
from course_utils.commands.grade.returned import Student
from course_utils.commands.manifest import load_manifest
from course_utils.commands.notebooks import plain
from course_utils.commands.run.report import Report
from course_utils.commands.run.report_page import html_text, junit_text
from course_utils.exercises import exercises_of
from faults.harness import Tree, wait_until

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&\x1b]0;owned\x07\x9b31m\u202e"


# --- our own code: no pickle of foreign origin, no archive unpacked, no shell ------------------

# ruff's rules from bandit: exec, eval, archives, pickles, temporary names, addresses, shells
RULES = "S102,S202,S301,S302,S306,S307,S310,S602,S604,S605,TID251"
BANNED = """pickle marshal shelve dill joblib cloudpickle tarfile shutil.unpack_archive os.popen
    os.system tempfile.mktemp urllib.request.urlopen urllib.request.urlretrieve"""
ALLOWED = {
    ("course_utils/commands/bench/fresh.py", "S102"),  # import statements of its own, to time them
    ("course_utils/training/checkpoint.py", "TID251"),  # pickle's errors, to name what caused them
    ("course_utils/data/download.py", "S310"),  # a request for an address of our own list
    ("chapters/02_pooling.ipynb", "S102"),  # an exercise on cells that run in another order
}


def test_nothing_dangerous_is_used():
    banned = ", ".join(f'"{name}".msg = "no"' for name in BANNED.split())
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--output-format=json"]
    command += ["--config", f"lint.flake8-tidy-imports.banned-api = {{{banned}}}"]
    done = subprocess.run(
        [*command, f"--select={RULES}", "course_utils", "chapters"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    found = {
        (Path(row["filename"]).relative_to(REPOSITORY).as_posix(), row["code"])
        for row in json.loads(done.stdout)
    }
    assert found <= ALLOWED and found, done.stderr


def our_code():
    """(path in the repository, source) of the package, its notebooks' code cells included."""
    for path in sorted((REPOSITORY / "course_utils").rglob("*.py")):
        yield path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((REPOSITORY / "chapters").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "%" not in cell.source[:1]:
                yield path.relative_to(REPOSITORY).as_posix(), cell.source


def test_what_unpickles_accepts_only_tensors():
    loads, careless = 0, set()
    for path, source in our_code():
        for node in ast.walk(ast.parse(source)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            given = {k.arg: ast.unparse(k.value) for k in getattr(node, "keywords", ())}
            if name.endswith(("torch.load", "load_state_dict_from_url")):
                loads += 1
                careless |= {path} if given.get("weights_only") != "True" else set()
            if name.endswith("load_state_dict_from_url"):
                assert given.get("check_hash") == "True", path
            if name in ("np.load", "numpy.load"):
                assert given["allow_pickle"] == "False", path
    # chapter 04 shows what this does, with a file that it has just written itself
    assert loads and careless <= {"chapters/04_lenet5_lab.ipynb"}


def test_no_address_without_tls():
    for path, source in our_code():
        found = set(re.findall(r"http://[\w.]+", source))
        assert found <= {"http://www.w3.org", "http://127.0.0.1", "http://localhost"}, (path, found)


# --- pages -----------------------------------------------------------------------------------


def assert_harmless(page):
    found = BeautifulSoup(page, "html.parser")  # what a browser would make of it
    assert not found.find_all(["script", "img", "iframe", "object", "embed"])
    assert not any("alert" in text for text in acts(found))
    assert "default-src 'none'" in page
    assert "alert(1)" in found.get_text(), "it is shown as text"
    assert not any(letter in page for letter in "\x1b\x07\x9b\u202e")


def acts(page):
    """What of a page would act: texts of scripts, handlers, addresses that may be scripts."""
    found = [script.get_text() for script in page.find_all("script")]
    for element in page.find_all(src=True) + page.find_all(href=True):
        found += [element.get("src") or element["href"]]
    for element in page.find_all():
        found += [value for name, value in element.attrs.items() if name.startswith("on")]
    return found


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
        student.grades["02.1"] = Grade(status, plain(EVIL), plain(EVIL), plain(EVIL))
        assert_harmless(feedback(student))


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
        found = acts(BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser"))
        assert [text for text in found if "pwned" in text or text == "x"] == [], page.name


# --- tables and terminals ----------------------------------------------------------------------

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "x;=1", "x; =1", "a\n=1", "＝1", ";;@1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_table_is_a_formula(tmp_path, text):
    student = Student(plain(text), notes=[text])
    content = table([student], {})
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
    result = called("run", "\x1b]0;owned\x07\x9b", cwd=REPOSITORY, PYTHONUTF8="1")
    assert_refused(result, "unknown chapter")
    assert not any(letter in result.stderr for letter in "\x1b\x07\x9b")


# --- paths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["../01_a.ipynb", "/tmp/01_a.ipynb", "x/01_a.ipynb", "01_../a"])
def test_chapters_lie_in_their_folder(tmp_path, file):
    make_course(tmp_path, {"01_a": notebook("x = 1")})
    path = tmp_path / "book.toml"
    path.write_text(path.read_text().replace('"01_a.ipynb"', json.dumps(file)))
    assert_refused(called("run", cwd=tmp_path), "chapter[1].file")


def test_a_run_does_not_write_over_the_chapters(tmp_path):
    make_course(tmp_path, {"01_a": notebook("x = 1")})
    before = (tmp_path / "chapters" / "01_a.ipynb").read_bytes()
    for folder in ("chapters", "build/../chapters"):
        assert_refused(called("run", "--out", folder, cwd=tmp_path), "the chapters themselves")
    assert (tmp_path / "chapters" / "01_a.ipynb").read_bytes() == before
    assert [path.name for path in (tmp_path / "chapters").iterdir()] == ["01_a.ipynb"]


def test_the_book_deletes_no_folder_that_is_no_book(tmp_path):
    make_course(tmp_path, {"01_a": notebook("x = 1")})
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("ten years of work")
    assert course("run", "--no-rate", cwd=tmp_path).returncode == 0
    assert_refused(called("book", "--out", precious, cwd=tmp_path))
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
    assert_refused(called("run", "--param", "x;import os=1", cwd=tmp_path), "NAME=VALUE")


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
        listening = {
            (process.pid, connection.laddr.ip)
            for process in tree.alive()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert {ip for _, ip in listening} <= {"127.0.0.1", "::1"}
        # it took the command's place, so that Ctrl-C reaches it
        assert (tree.process.pid, "127.0.0.1") in listening
        for path in ("/api/contents", "/api/kernels", "/api/terminals", "/api/sessions"):
            assert ask(url + path)[0] in (401, 403), path
            assert ask(url + path, Authorization="token wrong")[0] in (401, 403), path
        status, where = ask(f"{url}/lab")
        assert status == 200 and "/login" in where
        right = {"Authorization": f"token {token}"}
        request = urllib.request.Request(f"{url}/api/contents", headers=right)
        with urllib.request.urlopen(request) as answer:
            names = {entry["name"] for entry in json.load(answer)["content"]}
        assert names == {path.name for path in (tmp_path / "mine").iterdir()} > {"index.ipynb"}
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
