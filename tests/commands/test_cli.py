"""The `course` command itself: help, version, data, and that it starts fast."""

import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from publishing import assert_refused, called, command, course, environment, make_course, notebook

import course_utils
from course_utils.commands import cli


def test_version_and_entry_point(tmp_path):
    result = course("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"course {course_utils.__version__}\n")
    (point,) = entry_points(group="console_scripts", name="course")
    assert point.value == "course_utils.commands.cli:main"


@pytest.mark.parametrize("name", cli.course.commands)
def test_help_says_what_a_command_does(tmp_path, name):
    overview = called("--help", cwd=tmp_path).stdout
    assert f"\n  {name} " in overview and "examples:" in overview and "..." not in overview[300:]
    result = called(name, "-h", cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.startswith(f"Usage: course {name}")
    assert called(name, "--help", cwd=tmp_path).stdout == result.stdout


@pytest.mark.parametrize(
    "args, message",
    [
        ([], "Missing command"),
        (["rum"], "rum"),
        (["run", "--jobs", "0"], "'--jobs': 0 is not in the range x>=1"),
        (["run", "--jobs", "two"], "--jobs"),
        (["run", "--timeout", "0"], "'--timeout': 0.0 is not in the range x>0"),
        (["run", "--timeout", "nan"], "--timeout"),
        (["run", "--out"], "--out"),
        (["run", "--out", ""], "'--out': is empty"),
        (["grade", ""], "DIR"),
        (["train", "lenet", "--save="], "'--save': is empty"),
        (["save", "--chek"], "--chek"),
        (["data", "mnist"], "mnist"),
        (["grade"], "DIR"),
        (["train", "lenet", "--nproc", 0], "--nproc"),
        (["train", "lenet", "--data", "cifar"], "fashion-mnist"),
        (["train", "lenet", "--lr", 0], "--lr"),
        (["train", "lenet", "--amp", "maybe"], "auto"),
    ],
)
def test_bad_arguments(tmp_path, args, message):
    assert_refused(called(*args, cwd=tmp_path), message, "--help")


@pytest.mark.parametrize("words, amp", [([], "off"), (["--amp"], "on"), (["--amp=auto"], "auto")])
def test_amp_may_stand_alone(words, amp):
    context = cli.course.commands["train"].make_context("train", ["lenet", *words])
    assert context.params["amp"] == amp


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = ("torch", "papermill", "nbformat", "jsonschema", "matplotlib", "sphinx", "rich")
    code = f"import sys, course_utils.commands.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_data_shows_what_is_here_and_what_is_not(tmp_path):
    result = called("data", cwd=tmp_path, COURSE_DATA=str(tmp_path))
    assert result.returncode == 0, result.stderr
    for word in ("fashion-mnist", "mnist", "verified"):
        assert word in result.stdout
    assert_refused(course("data", "--get", "fasion-mnist", cwd=tmp_path), "fasion-mnist")


def test_book_without_a_run_says_what_to_do(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")})
    assert_refused(called("book", cwd=tmp_path), "course run")


def test_progress_bars_in_a_terminal(tmp_path, monkeypatch):
    """On a terminal a live display names the chapter; the table and the status are the same."""
    pty = pytest.importorskip("pty")
    make_course(tmp_path, {"01_first": notebook("1", "2")})
    monkeypatch.chdir(tmp_path)
    for name, value in environment(TERM="xterm-256color", COLUMNS="120").items():
        monkeypatch.setenv(name, value)
    shown = []

    def read(terminal):
        shown.append(os.read(terminal, 65536))
        return shown[-1]

    assert pty.spawn(command("run", "--no-rate"), read) == 0
    text = b"".join(shown).decode()
    assert "cell 1 of 2" in text or "cell 2 of 2" in text or "starting" in text
    assert "passed" in text and "report.html" in text
