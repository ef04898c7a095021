"""`course run` and `course refresh`, as processes, on small courses without torch."""

import asyncio
import json
import os
import signal
from html.parser import HTMLParser
from xml.etree import ElementTree

import nbformat
import pytest
from publishing import (
    assert_refused,
    called,
    course,
    make_course,
    notebook,
    report_of,
)

from course_utils.commands.manifest import load_manifest
from course_utils.commands.run import execute, pool
from course_utils.commands.run.batch import settings_of
from course_utils.commands.run.execute import Job

RECORD = "from course_utils.results import record\nrecord(test_acc={}, source='{}', device='cpu')"
BAND = '[chapter.full]\nsize = 9\n[chapter.published]\ntest_acc = [0.7, 0.8]\nsource = "s"\n'
RUN = ("run", "--no-rate")
SIZES = "size = 1  # how many\nname = 'a'\nedges = (1, 2)"


# --- a run in which much goes wrong ---------------------------------------------------------


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A finished run with --keep-going: (folder, result, start time)."""
    folder = tmp_path_factory.mktemp("broken")
    chapters = {
        "01_plain": notebook("import os", RECORD.format(0.75, "Fashion-MNIST"), "print('<b>')"),
        "02_fails": notebook("x = 1", "# a comment\ny = x / 0  # <i>", "print('never')"),
        "03_dies": notebook("import os, signal", "os.kill(os.getpid(), signal.SIGKILL)"),
        "04_slow": notebook("import time", "time.sleep(1200)"),
        "05_takes": notebook(
            "print(edges, name)", RECORD.format("float('nan')", "x"), parameters=SIZES
        ),
    }
    make_course(folder, chapters)
    options = ("--keep-going", "--timeout", 10, "--jobs", 2, "--param", "edges=[7, 8]")
    return folder, course(*RUN, *options, cwd=folder)


def test_the_report_is_strict_json(broken):
    """JSON has no NaN, so a word stands for it."""
    folder, _ = broken
    text = (folder / "build/run/quick/report.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)
    assert report_of(folder)["05_takes"]["records"]["test_acc"] == "nan"


def test_one_failure_does_not_stop_the_rest(broken):
    folder, result = broken
    report = report_of(folder)
    assert result.returncode == 1
    assert {name: entry["status"] for name, entry in report.items() if name} == {
        "01_plain": "passed",
        "02_fails": "failed",
        "03_dies": "failed",
        "04_slow": "failed",
        "05_takes": "passed",
    }
    assert report["01_plain"]["records"]["test_acc"] == 0.75
    assert report["01_plain"]["cells"] == [3, 3]
    assert not report[None]["interrupted"]
    assert report[None]["versions"]["papermill"]


@pytest.mark.parametrize(
    "name, code, error, said",
    [
        ("02_fails", "y = x / 0  # <i>", "ZeroDivisionError", "division by zero"),
        ("03_dies", "os.kill(os.getpid(), signal.SIGKILL)", "DeadKernelError", "the kernel died"),
        ("04_slow", "time.sleep(1200)", "CellTimeoutError", "the cell ran longer than 10 s; allow"),
    ],
)
def test_a_failure_names_cell_code_and_error(broken, name, code, error, said):
    folder, result = broken
    entry = report_of(folder)[name]
    assert [entry["error"][key] for key in ("cell", "code", "name")] == [2, code, error]
    assert f"{name}: code cell 2, `{code}`: {error}: {said}" in result.stdout
    assert entry["cells"][0] == 1


def test_executed_notebooks_show_every_failure(broken):
    folder, _ = broken
    out = folder / "build" / "run" / "quick"
    for name in ("02_fails", "03_dies", "04_slow"):
        made = nbformat.read(out / f"{name}.ipynb", 4)
        kinds = [output.output_type for cell in made.cells for output in cell.get("outputs", [])]
        assert kinds.count("error") == 1, name
    assert str(folder) not in (out / "01_plain.ipynb").read_text()
    assert not list(out.glob(".*")), "temporary files are left"


def test_a_parameter_reaches_the_chapters_that_have_it(broken):
    folder, _ = broken
    report = report_of(folder)
    assert report["05_takes"]["parameters"] == {"edges": [7, 8]}
    assert report["01_plain"]["parameters"] == {}
    made = nbformat.read(folder / "build" / "run" / "quick" / "05_takes.ipynb", 4)
    assert made.cells[-2].outputs[0].text == "[7, 8] a\n"


def test_junit_is_valid_and_counts(broken):
    folder, _ = broken
    suite = ElementTree.parse(folder / "build" / "run" / "quick" / "junit.xml").find("testsuite")
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "3", "errors": "0", "skipped": "0"}
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert list(cases) == ["01_plain", "02_fails", "03_dies", "04_slow", "05_takes"]
    assert "division by zero" in cases["02_fails"].find("failure").get("message")
    assert "----> 2" in cases["02_fails"].find("failure").text, "no traceback"
    assert cases["01_plain"].find("failure") is None


def test_the_html_report_is_whole_escaped_and_self_contained(broken):
    folder, _ = broken
    text = (folder / "build" / "run" / "quick" / "report.html").read_text()
    opened, addresses = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            opened.append(tag)
            addresses.extend(v for n, v in attributes if n in ("src", "href"))

    Reader().feed(text)
    assert opened.count("tr") == 6  # a head and five chapters
    assert "i" not in opened and "small" not in opened, "code or title not escaped"
    assert addresses == [] and "url(" not in text and "@import" not in text
    assert "prefers-color-scheme: dark" in text
    assert "y = x / 0  # &lt;i&gt;" in text


# --- when a chapter has passed ---------------------------------------------------------------

KEPT = nbformat.v4.new_output("stream", text="kept")
FLOOD = "for number in range(3000):\n    print(f'{number:>20000}', flush=True)"
ENDS = {  # its first cell, its tags, and the error that the chapter fails with, "" if it passes
    "01_exit": ("import sys; sys.exit(0)", [], "SystemExit: it ends the chapter here"),
    "02_raise": ("raise SystemExit", [], "SystemExit: it ends the chapter here"),
    "03_quit": ("quit()", [], "SystemExit: it ends the chapter here"),
    "04_quit_allowed": ("exit()", ["raises-exception"], "SystemExit: it ends the chapter here"),
    "05_status": ("import os; os._exit(3)", [], "DeadKernelError: the kernel died while the cell"),
    "06_magic": ("%sharewith me", [], "UsageError: Line magic function `%sharewith` not found."),
    "07_cell_magic": ("%%shell\nls", [], "UsageError: Cell magic `%%shell` not found."),
    "08_capture": ("%%capture\n1 / 0", [], "ZeroDivisionError: division by zero"),
    "09_silent": (
        "class E(Exception):\n    def _render_traceback_(self):\n        return []\nraise E('me')",
        [],
        "E: me",
    ),
    "10_allowed": ("1 / 0", ["raises-exception"], ""),
    "11_exit_allowed": ("raise SystemExit(1)", ["raises-exception"], ""),
    "12_skipped": ("1 / 0", ["skip-execution"], ""),
    "13_flood": (FLOOD, [], ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A finished run of a chapter for each of ENDS; asserts are off where the command runs."""
    folder = tmp_path_factory.mktemp("ended")
    chapters = {
        name: notebook(cell, "assert 'asserts' == 'off'", tags={0: tags, 1: ["raises-exception"]})
        for name, (cell, tags, _) in ENDS.items()
    }
    chapters["12_skipped"].cells[1].outputs = [KEPT]
    make_course(folder, chapters)
    options = ("--keep-going", "--timeout", 599.5, "--jobs", 2)
    return folder, course(*RUN, *options, cwd=folder, PYTHONOPTIMIZE="1")


@pytest.mark.parametrize("name", ENDS)
def test_a_chapter_passes_when_each_cell_ran_to_its_end(ended, name):
    """Tags mean what they mean to Jupyter, and asserts are heeded."""
    folder, result = ended
    entry, error = report_of(folder)[name], ENDS[name][2]
    made = nbformat.read(folder / f"build/run/quick/{name}.ipynb", 4)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert entry["status"] == ("failed" if error else "passed"), entry["error"]
    if error:
        assert f"{name}: code cell 1, `{entry['error']['code']}`: {error}" in result.stdout
        assert made.cells[0].source.startswith("<span") and entry["cells"] == [0, 2]
    else:
        assert made.cells[-1].outputs[0].ename == "AssertionError" and entry["cells"] == [2, 2]


def test_what_a_chapter_shows_is_whole(ended):
    """A skipped cell shows what it showed; nothing of a flood of output is lost."""
    out = ended[0] / "build/run/quick"
    assert nbformat.read(out / "12_skipped.ipynb", 4).cells[1].outputs == [KEPT]
    flood = nbformat.read(out / "13_flood.ipynb", 4).cells[1].outputs
    assert "".join(output.text for output in flood).split() == [str(n) for n in range(3000)]


def test_output_that_does_not_come_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "_OUTPUT_TIMEOUT", 1)
    make_course(tmp_path, {"01_a": notebook("get_ipython().kernel.iopub_thread.stop()", "1")})
    result = called(*RUN, "--timeout", "inf", cwd=tmp_path)
    assert result.returncode == 1
    assert "not all of the cell's output came within 1 s after its end" in result.stdout


@pytest.mark.parametrize(
    "words, value",
    [
        ("lr=1", 1),
        ("lr=1e-3", 0.001),
        ("on=false", False),
        ("on=True", True),
        ("name=11", "11"),
        ("name='x'", "x"),
        ("name=[1", "[1"),
        ("name=false", False),
        ("any={'a': [1, None]}", {"a": [1, None]}),
        ("any=text", "text"),
        ("some=2", 2),
        ("edges=[]", []),
    ],
)
def test_a_parameter_is_of_the_chapters_own_kind(tmp_path, words, value):
    """What is refused stands in test_errors.py."""
    cell = "lr = 0.1\non = True\nname = 'a'\nany = None\nsome: int = f()\nedges = (1,)"
    make_course(tmp_path, {"01_a": notebook("1", parameters=cell)})
    manifest = load_manifest(tmp_path / "book.toml")
    settings = settings_of(manifest, manifest.chapters, "quick", [words])
    assert settings == {"01_a": {words.partition("=")[0]: value}}
    assert [type(mine) for mine in settings["01_a"].values()] == [type(value)]


# --- the order of things --------------------------------------------------------------------


def test_without_keep_going_the_rest_is_not_run(tmp_path):
    chapters = {"01_a": notebook("raise ValueError('no\\nsecond line')"), "02_b": notebook("1")}
    make_course(tmp_path, chapters)
    result = course(*RUN, "--jobs", 1, cwd=tmp_path)
    report = report_of(tmp_path)
    assert result.returncode == 1
    assert report["01_a"]["status"] == "failed" and report["02_b"]["status"] == "not run"
    assert "ValueError: no" in result.stdout and "not run" in result.stdout
    suite = ElementTree.parse(tmp_path / "build/run/quick/junit.xml").find("testsuite")
    assert suite.get("skipped") == "1"
    for name in ("report.html", "junit.xml", "build/run/quick"):
        assert name in result.stdout


def test_full_profile_judges_real_results_only(tmp_path):
    results = {
        "01_in": (0.75, "Fashion-MNIST", "reached"),
        "02_under": (0.65, "Fashion-MNIST", "below"),
        "03_over": (0.85, "Fashion-MNIST", "above"),
        "04_drawn": (0.75, "Fashion-MNIST stand-in", "–"),
    }
    chapters = {
        name: notebook(RECORD.format(value, source), "assert size == 9", parameters=SIZES)
        for name, (value, source, _) in results.items()
    }
    make_course(tmp_path, chapters, {name: BAND for name in chapters})
    result = course(*RUN, "--profile", "full", "--jobs", 2, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    report = report_of(tmp_path, "full")
    for name, (_, _, verdict) in results.items():
        assert report[name]["verdict"] == verdict
        assert report[name]["band"] == [0.7, 0.8]
    assert report["01_in"]["parameters"] == {"size": 9}
    assert "0.700–0.800" in result.stdout and "reached" in result.stdout

    quick = course(*RUN, "01", "--param", "size=9", cwd=tmp_path)
    assert quick.returncode == 0
    assert report_of(tmp_path)["01_in"]["verdict"] == "–"
    assert "hold for the full profile" in quick.stdout
    assert "the drawn stand-in" in result.stdout and "the drawn stand-in" not in quick.stdout
    assert "0.750" in quick.stdout and "0.700–0.800" in quick.stdout


# --- bad input: found before anything runs ---------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    chapters = {"01_plain": notebook("1"), "02_lenet": notebook("size", parameters=SIZES)}
    return make_course(folder, chapters, {"02_lenet": "[chapter.full]\nsise = 2\n"})


@pytest.mark.parametrize(
    "args, parts",
    [
        (["lnet"], ["unknown chapter 'lnet'", "did you mean lenet"]),
        (["7"], ["unknown chapter '7'", "known: 01_plain, 02_lenet"]),
        (["02", "--param", "siez=1"], ["--param siez: unknown parameter", "did you mean size?"]),
        (["--param", "siez=1"], ["did you mean size?"]),
        (["01", "--param", "size=1"], ["01_plain has no cell tagged `parameters`"]),
        (["--param", "size"], ["expected NAME=VALUE"]),
        (["--param", "size=2.0"], ["size=2.0", "02_lenet", "whole number", "own 1 is"]),
        (["--profile", "ful"], ["unknown profile 'ful'", "did you mean full?"]),
        (["--profile", "full"], ["book.toml: 02_lenet sets full.sise", "did you mean size?"]),
        (["--out", "book.toml/x"], ["cannot be written", "--out"]),
    ],
)
def test_bad_input_is_refused(small, args, parts):
    assert_refused(course(*RUN, *args, cwd=small), *parts)
    assert not (small / "build").exists()


def test_a_chapter_that_is_no_notebook(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")})
    (tmp_path / "chapters" / "01_a.ipynb").write_text('{"cells": [')
    assert_refused(course(*RUN, cwd=tmp_path), "01_a.ipynb is not a notebook")


def test_a_torn_report_counts_as_nothing_done(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text('{"chapters": [{"na')
    result = course(*RUN, "--resume", "--out", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "report.json is damaged: every chapter runs again" in result.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["chapters"][0]["seconds"]


# --- refresh ---------------------------------------------------------------------------------


def _source_and_outputs(path):
    return [(cell.source, cell.get("outputs")) for cell in nbformat.read(path, 4).cells]


def test_refresh_saves_clean_outputs_in_place(tmp_path):
    cells = (
        "import sys",
        "print('a', flush=True)\nprint('b')",
        "",
        "40 + 2",
        "print('a picture')",
        RECORD.format(0.8, "Fashion-MNIST"),
    )
    tags = {4: ["samples"], 6: ["skip-execution"]}
    chapters = {"01_a": notebook(*cells, "1 / 0", tags=tags), "02_b": notebook("1 / 0")}
    chapters["01_a"].cells[7].outputs = [KEPT]
    chapters["01_a"].cells[2].metadata["papermill"] = {"duration": 3}
    make_course(tmp_path, chapters)
    broken_before = (tmp_path / "chapters" / "02_b.ipynb").read_bytes()
    result = course("refresh", cwd=tmp_path)
    assert result.returncode == 1
    assert "02_b: code cell 1, `1 / 0`: ZeroDivisionError" in result.stdout
    assert "1 of 2 chapters refreshed" in result.stdout
    assert (tmp_path / "chapters" / "02_b.ipynb").read_bytes() == broken_before
    assert sorted(path.name for path in (tmp_path / "chapters").iterdir()) == [
        "01_a.ipynb",
        "02_b.ipynb",
    ]

    path = tmp_path / "chapters" / "01_a.ipynb"
    made = nbformat.read(path, 4)
    nbformat.validate(made)
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, None, 3, 4, 5, None]
    assert code[6].outputs == [KEPT]
    assert [output.text for output in code[1].outputs] == ["a\nb\n"]
    assert code[3].outputs[0].data["text/plain"] == "42"
    assert code[4].outputs == []
    assert made.metadata["kernelspec"]["name"] == "python3"
    assert made.metadata["language_info"] == {"name": "python"}
    assert not [word for word in ("papermill", "iopub", str(tmp_path)) if word in path.read_text()]

    before = path.read_bytes()
    assert course("refresh", "01", cwd=tmp_path).returncode == 0
    assert path.read_bytes() == before, "a second refresh changes the file"


def test_refresh_refuses_what_readers_should_not_get(tmp_path):
    problems = {
        "01_drawn": (RECORD.format(0.8, "Fashion-MNIST stand-in"), "it used the Fashion-MNIST st"),
        "02_address": ("print(object())", "code cell 1 shows the address 0x"),
        "03_path": ("import os\nos.path.expanduser('~/x')", "code cell 1 shows the path "),
    }
    make_course(tmp_path, {name: notebook(cell) for name, (cell, _) in problems.items()})
    paths = sorted((tmp_path / "chapters").glob("*.ipynb"))
    before = [path.read_bytes() for path in paths]
    result = course("refresh", cwd=tmp_path)
    assert result.returncode == 1
    for name, (_, problem) in problems.items():
        assert f"{name}: {problem}" in result.stdout
    assert [path.read_bytes() for path in paths] == before


def test_refresh_wants_the_real_data_before_it_starts(tmp_path):
    make_course(tmp_path, {"01_a": notebook("# load_data_fashion_mnist")})
    (tmp_path / "empty").mkdir()
    result = course("refresh", cwd=tmp_path, COURSE_DATA=str(tmp_path / "empty"))
    if "1 of 1 chapters refreshed" in result.stdout:
        pytest.skip("the real data set is in the repository's data/")
    assert_refused(result, "01_a", "course data --get fashion-mnist", "--allow-standin")
    allowed = course(
        "refresh", "--allow-standin", cwd=tmp_path, COURSE_DATA=str(tmp_path / "empty")
    )
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr


def test_refresh_refuses_a_fast_run(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")})
    assert_refused(course("refresh", cwd=tmp_path, COURSE_FAST_DEV_RUN="1"), "FAST_DEV_RUN")


def test_who_needs_the_machine_runs_alone():
    """Jobs that measure wait until nothing runs, and nothing starts beside them."""
    jobs = {name: Job("", "", "", {}, None, alone=name in "bd") for name in "abcde"}

    def may_start(name, *running):
        return pool._has_room(running, name, jobs, 2)

    assert may_start("a") and may_start("c", "a") and not may_start("e", "a", "c")
    assert may_start("b") and not may_start("b", "a")
    assert not may_start("c", "b") and not may_start("d", "b")


def test_a_kernel_that_dies_as_it_starts_is_told_at_once(tmp_path, monkeypatch):
    """Not after the three minutes that a busy machine may take to start one."""
    from nbclient import NotebookClient

    start = NotebookClient.async_start_new_kernel_client

    async def start_and_die(client, **options):
        started = await start(client, **options)
        await client.km.signal_kernel(signal.SIGKILL)
        return started

    monkeypatch.setattr(NotebookClient, "async_start_new_kernel_client", start_and_die)
    chapter, out = tmp_path / "01_a.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook("1"), chapter)
    job = Job(str(chapter), str(out), str(tmp_path), {}, None)
    running = execute.run_job(job, dict(os.environ), tmp_path / "kernel.json", lambda *_: None)
    result = asyncio.run(asyncio.wait_for(running, 60))
    assert result["error"]["name"] == "DeadKernelError" and not out.exists()
