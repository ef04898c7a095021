"""Whatever is wrong: one or two lines, status 2, no traceback, and nothing is lost."""

import json
import os
import shlex
import subprocess

import pytest
from publishing import (
    assert_refused,
    called,
    command,
    environment,
    make_course,
    notebook,
)

from course_utils.commands import cli

LONG = "x" * 300  # no file may have such a name
DEEP = "[" * 100_000
NOBODY = "/proc/nowhere"  # where nobody can make anything
# what is wrong by itself, whatever else is there
ARGUMENTS = {
    "": ["rum", "--versio", "''", "run03"],
    "run": [
        *("lnet", "7", "''", "1e5", "./loop", "folder", "'a\nb'", "'\ud800'", LONG, f"./{LONG}"),
        *("--jobs 0", "--jobs two", "--jobs 1.5", "--jobs"),
        *("--timeout 0", "--timeout -1", "--timeout nan", "--timeout soon"),
        *("--profile ful", "--profile ''", "--profile full"),
        *("--out", "--out file", "--out file/x", "--out loop", "--out loop/x", "--out chapters"),
        *(f"--out {NOBODY}", f"--out {LONG}", f"--out folder/{LONG}"),
        *("--param", "--param lr", "--param =1", "--param 1=1", "--param siez=1", "--param ''"),
        *("--param n={1}", "--param n=b''", "--param n=1j", "--param n=...", "--param n=1,2"),
        *("--param n=2.0", "--param n=true", "--param n=nan", "--param n=None", "--param n="),
        *("--param lr=1e400", "--param lr=inf", "--param lr=fast", "--param flag=yes"),
        *("--param 'x={1: 2}'", "--param x={1}", "--param x=[1e400]", "--param x=(1,)"),
        *("--param x='[(1,)]'", r"""--param x="'\ud800'" """, "--param 'x=\udc80'", "--param xs=1"),
        *(f"--param n={'9' * 5000}", f"--param xs={DEEP}", f"--param {LONG}=1"),
    ],
    "book": [
        *("03", "--from", "--from nowhere", "--from file", "--from folder", "--from loop"),
        *("--from chapters --out file", "--from chapters --out folder/full"),
        *("--from chapters --out file/x", "--from chapters --out loop/x"),
        *(f"--from chapters --out {NOBODY}/x", f"--from {LONG}", f"--from chapters --out {LONG}"),
    ],
    "data": ["mnist", "--get", "--get fasion-mnist", "--get ''", f"--get {LONG}"],
    "save": ["--chek", "01"],
    "refresh": ["lnet", "--timeout 0", "--timeout nan", "./loop", "''", LONG],
    "lab": [
        *("--dir", "--dir file", "--dir file/x", "--dir loop", "--dir loop/x", "--dir chapters"),
        *(f"--dir {NOBODY}", f"--dir {LONG}", "--refresh", "--refresh 7", "--refresh ''"),
        *("--dir taken --refresh 01", "--port x", "--port -1", "--port 70000"),
    ],
    "train": [
        *("", "lenett", "''", "lenet lenet", "lenet-rgb", "lenet --data cifar", f"{LONG}"),
        *("lenet --nproc 0", "lenet --epochs 0", "lenet --epochs 2.0", "lenet --batch-size 0"),
        *("lenet --lr 0", "lenet --lr nan", "lenet --lr x", "lenet --seed x"),
        *(f"lenet --seed {2**64}", "lenet --amp maybe", "lenet --size 0", "lenet --size 40"),
        *("lenet --size 1000000000", "lenet --optimizer adam --train-examples 64"),
        *("lenet --scheduler no --train-examples 64", "lenet --init no --train-examples 64"),
        *("lenet --train-examples 0", "lenet --train-examples 70000"),
        *("lenet --test-examples 10000000000", "lenet --accumulate 0", "lenet --max-restarts -1"),
        *(f"lenet --{name} {path}" for name in ("checkpoint", "history", "save")
          for path in ("folder", "nowhere/x", "file/x", "loop/x", f"{NOBODY}/x", LONG)),
        *("lenet --checkpoint file", "lenet --checkpoint-every 0"),
    ],
    "progress": ["03"],
    "evidence": ["nosuch", "42", "01", "--nosuch"],
    "exercises": [
        *("lnet", "''", "02", "--export", "--export file", "--export file/x", "--export loop"),
        *(f"--export {NOBODY}", f"--export {LONG}"),
    ],
    "grade": [
        *("", "nowhere", "file", "loop", "folder", LONG, "folder --time 0", "folder --time nan"),
        *("folder --time inf", "folder --time 1e300", "folder --memory 0", "folder --jobs 0"),
        *("folder --out file", f"folder --out {NOBODY}"),
    ],
    "bench": [
        *("lenet", "--only lnet", "--only ''", "--only ,", "--rounds 0", "--rounds x"),
        *("--examples 0", "--out file", "--out loop", "--out file/x", "--out taken"),
        *(f"--out {NOBODY}", f"--out {LONG}"),
    ],
}  # fmt: skip
VARIABLES = {
    "COURSE_FAST_DEV_RUN=1": ["refresh", "bench"],
    "COURSE_DATA=file": ["refresh"],
    "COURSE_DATA=loop": ["refresh"],
    f"COURSE_DATA={LONG}": ["refresh"],
}


def _chapter(**more):
    cell = {"cell_type": "code", "source": "x", "metadata": {}, "outputs": []}
    cell |= {"id": "a", "execution_count": None} | more
    data = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(data).encode()


MANIFESTS = {
    "nothing": b"",
    "no TOML": b"[book",
    "not UTF-8": b"\xff\xfe[\0b\0",
    "a NUL": b"a = '\0'",
    "deep": b"a = " + DEEP.encode(),
    "another file": b"[tool]\nname = 1\n",
    "a wrong kind": b"book = 3\nprofiles = []\nchapter = {}\n",
    "no chapter": b"[book]\ntitle = 't'\nauthors = []\n[profiles]\nquick = ''\nfull = ''\n",
    "no such file": "01_a -> 01_b",
    "no such folder": '"chapters" -> "chapter"',
    "a file for a folder": '"chapters" -> "file"',
    "a circle for a folder": '"chapters" -> "loop"',
    "a long folder": f'"chapters" -> "{LONG}"',
}
NOTEBOOKS = {
    "nothing": b"",
    "torn": b'{"cells": [',
    "not UTF-8": b"\xff\xfe",
    "deep": DEEP.encode(),
    "a list": b"[]",
    "no cells": b'{"metadata": {}, "nbformat": 4}',
    "cells of another kind": b'{"cells": 3, "metadata": {}}',
    "a cell of another kind": b'{"cells": [3], "metadata": {}}',
    "a cell without a source": b'{"cells": [{"cell_type": "code"}], "metadata": {}}',
    "a source of another kind": _chapter(source=3),
    "metadata of another kind": _chapter(metadata=3),
    "a folder": None,
    "a circle": "loop",
    "not to be read": "/proc/self/mem",
}
READ_BOOK = (
    "run --no-rate", "book --from chapters", "save", "save --check", "refresh --allow-standin",
    "lab --no-browser", "lab --refresh 01", "exercises", "exercises --export new",
    "bench --only imports",
)  # fmt: skip
READ_CHAPTERS = (*READ_BOOK[:1], *READ_BOOK[2:7], "refresh")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A small course, and beside it all that a name could lead to instead of what it should."""
    parameters = "lr = 0.1\nn = 3\nflag = True\nx = None\nxs = [1]\nname = 'a'"
    good = notebook("#@save\ndef f():\n    pass", "# published", parameters=parameters)
    make_course(tmp_path, {"01_a": good}, {"01_a": "[chapter.full]\nlr = 'fast'\n"})
    (tmp_path / "course_utils" / "nets").mkdir(parents=True)
    for name in ("folder", "taken"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder" / "full").mkdir()
    (tmp_path / "folder" / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "taken" / "01_a.ipynb").mkdir()  # a folder where a file should go
    (tmp_path / "taken" / "index.ipynb").mkdir()
    (tmp_path / "taken" / "bench.json").write_text("[3]")
    for started in ("lab.start_jupyterlab", "bench.run._measure", "run.pool.run_jobs"):
        monkeypatch.setattr(f"course_utils.commands.{started}", _started)
    return tmp_path


def _started(*args, **more):
    raise AssertionError("what should have been refused was started")


def _files(folder):
    """All that is there, with what is in it; what commands make for themselves left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in ("build", "my-course", "folder-grades"):
            found[name] = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    return found


def _refused(words, place, **env):
    """Refused as it should be, on a terminal that knows no letters but those of ASCII, too."""
    before = _files(place)
    words = shlex.split(words) if isinstance(words, str) else words
    result = called(
        *words, cwd=place, COURSE_OFFLINE="1", COURSE_STANDIN="1", PYTHONIOENCODING="ascii", **env
    )
    assert "Traceback" not in result.stdout + result.stderr
    assert_refused(result)
    assert _files(place) == before


def test_every_command_is_here():
    assert {*ARGUMENTS} - {""} == {*cli.course.commands}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(f"{name} {words}", id=f"{name} {words}"[:40])
        for name, cases in ARGUMENTS.items()
        for words in cases
    ],
)
def test_bad_arguments(place, words):
    _refused(words, place)


@pytest.mark.parametrize("words", READ_BOOK)
@pytest.mark.parametrize("wrong", MANIFESTS)
def test_a_bad_manifest(place, wrong, words):
    if wrong == "no such file" and words.startswith("save"):
        wrong = "nothing"  # `course save` takes the chapters that are there
    path, text = place / "book.toml", MANIFESTS[wrong]
    if isinstance(text, str):
        text = path.read_bytes().replace(*(part.encode() for part in text.split(" -> ")))
    path.write_bytes(text)
    _refused(words, place)


@pytest.mark.parametrize("words", READ_CHAPTERS)
@pytest.mark.parametrize("wrong", NOTEBOOKS)
def test_a_bad_chapter(place, wrong, words):
    path, content = place / "chapters" / "01_a.ipynb", NOTEBOOKS[wrong]
    path.unlink()
    if content is None:
        path.mkdir()
    elif isinstance(content, str):
        path.symlink_to(content)
    else:
        path.write_bytes(content)
    _refused(words, place)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_bad_variable(place, variable):
    name, _, value = variable.partition("=")
    make_course(place, {"01_a": notebook("load_data_fashion_mnist")})
    for words in VARIABLES[variable]:
        _refused(words, place, **{name: value})


# what is printed, and where to


@pytest.mark.parametrize("words", [f"{name} -h" for name in ARGUMENTS] + ["data", "progress"])
def test_an_encoding_without_our_letters(place, words):
    result = called(*words.split(), cwd=place, PYTHONIOENCODING="latin-1")
    assert result.returncode == 0 and result.stdout and not result.stderr


def _gone():
    """The end of a pipe that nobody reads, as of `course data | head -0`."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("words, right", [("-h", 0), ("data", 0), ("run --no-rate", 0), ("rum", 2)])
@pytest.mark.parametrize(
    "to, status",
    [
        pytest.param(_gone, 141, id="nobody reads"),
        pytest.param(lambda: os.open("/dev/full", os.O_WRONLY), 2, id="full"),
        pytest.param(None, 0, id="closed"),
    ],
)
def test_nowhere_to_print(tmp_path, to, status, words, right):
    make_course(tmp_path, {"01_a": notebook("1"), "02_b": notebook("1")})
    out = {"stdout": to()} if to else {"preexec_fn": lambda: os.close(1)}
    done = subprocess.run(
        command(*words.split()),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **out,
    )
    assert done.returncode == (right or status), done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 2
