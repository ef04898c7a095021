"""What is set means what it says: yes and no, known words, paths that hold in every folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from publishing import (
    REPOSITORY,
    assert_refused,
    called,
    course,
    environment,
    make_course,
    notebook,
)

from course_utils import settings
from course_utils.errors import CourseError

SWITCHES = {
    "COURSE_FAST_DEV_RUN": settings.fast_dev_run,
    "COURSE_OFFLINE": settings.offline,
    "COURSE_STANDIN": settings.standin_only,
    "COURSE_EAGER": settings.eager_only,
}
WRONG = {
    **dict.fromkeys(SWITCHES, "maybe"),
    "COURSE_PROGRESS": "lively",
    "COURSE_EXERCISES": "on",
    "COURSE_FASTDEV_RUN": "1",
    "COURSE_STAND_IN": "1",
}


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("words", ["1 true yes on True ON", "0 false no off No"])
def test_yes_and_no(monkeypatch, name, words):
    for word in words.split():
        monkeypatch.setenv(name, word)
        assert SWITCHES[name]() == words.startswith("1")
    monkeypatch.setenv(name, "")
    assert not SWITCHES[name]()
    monkeypatch.setenv(name, "2")
    with pytest.raises(CourseError, match=f"{name} is '2': use 1 .* or 0"):
        SWITCHES[name]()


@pytest.mark.parametrize("name", WRONG)
def test_what_no_code_would_read_is_refused_by_every_command(tmp_path, name):
    said = name if name in SWITCHES else {"lively": "live, bar", "on": "strict"}.get(WRONG[name])
    assert_refused(called("data", cwd=tmp_path, **{name: WRONG[name]}), said or "did you mean")


def test_ways_to_show_progress(monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", "bar")
    assert settings.progress_mode() == "bar" and settings.progress_mode("off") == "off"
    for wrong in ("lively", "", True):
        with pytest.raises(CourseError, match="progress is .*known: live, bar, none, off"):
            settings.progress_mode(wrong)


PATHS = {
    "COURSE_DATA": settings.download_dir,
    "COURSE_REPORT": settings.report_path,
    "COURSE_PROGRESS_FILE": settings.progress_file,
}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_is_absolute_and_stays_what_it_was(tmp_path, monkeypatch, name):
    (tmp_path / "inner").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "inner")
    for given, meant in (("~/x", "home/x"), ("../x", "x"), ("x", "inner/x")):
        monkeypatch.setenv(name, given)
        assert PATHS[name]() == tmp_path / meant
        settings.settle()
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir(tmp_path)
            assert PATHS[name]() == Path(os.environ[name]) == tmp_path / meant
    monkeypatch.setenv("COURSE_PROGRESS_FILE", "none")
    settings.settle()
    assert settings.progress_file() is None


def test_kernels_get_the_paths_that_the_command_got(tmp_path):
    cell = "from course_utils import settings; print(settings.download_dir())"
    make_course(tmp_path, {"01_a": notebook(cell)})
    relative = {"COURSE_DATA": "../my data", "HOME": str(tmp_path / "home")}
    done = course("run", "--no-rate", "--out=~/out", cwd=tmp_path, **relative)
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "home" / "out" / "01_a.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text.strip() == str(tmp_path.parent / "my data")


def test_an_installed_package_finds_the_checkout_around_the_working_folder(tmp_path):
    """As a wheel in a virtual environment inside of the checkout."""
    site = tmp_path / "course" / ".venv" / "site-packages"
    shutil.copytree(REPOSITORY / "course_utils", site / "course_utils")
    (tmp_path / "course" / "chapters").mkdir()
    for name in ("book.toml", "chapters/results.toml"):
        shutil.copy(REPOSITORY / name, tmp_path / "course" / name)
    code = (
        "from course_utils import results, settings;"
        "print(settings.REPOSITORY, len(results.published_and_reproduced()))"
    )

    def said(folder):
        run = [sys.executable, "-c", code]
        env = environment() | {"PYTHONPATH": str(site)}
        done = subprocess.run(run, cwd=folder, env=env, capture_output=True, text=True)
        return done.stdout + done.stderr

    assert said(tmp_path / "course" / "chapters").strip() == f"{tmp_path / 'course'} 5"
    assert str(tmp_path / "book.toml") in said(tmp_path), (
        "outside there is none, not site-packages'"
    )
