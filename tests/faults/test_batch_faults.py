"""Batch runs that are killed, doubled, or find a wrong clock: `--resume` sets all of it right."""

import json
import os
import random
import shutil
import signal
import sys

import nbformat
import pytest
from publishing import REPOSITORY, notebook

from faults.harness import PATIENCE, Tree, how_many, wait_until
from faults.runs import (
    NAMES,
    chapter,
    kernels,
    library,
    out_of,
    outcome,
    passed,
    put_chapter,
    ran,
    report_of,
    run,
    run_environment,
    small_course,
    some_moment,
    start,
    traces,
)

PAGES = ("report.json", "report.html", "junit.xml")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What an uninterrupted run leaves."""
    folder = small_course(tmp_path_factory.mktemp("undisturbed") / "course")
    status, said = run(folder, "--jobs", 2)
    assert status == 0, said
    return outcome(out_of(folder))


# --- kills at random moments ------------------------------------------------------------------


def _seeds(kind, short, soak):
    return [pytest.param(seed, id=f"{kind}-{seed}") for seed in range(how_many(short, soak))]


def _all_gone(tree):
    wait_until(lambda: not tree.alive(), what="all processes to end")


@pytest.mark.parametrize("only_parent", [False, True])
@pytest.mark.parametrize("seed", _seeds("kill", 1, 20))
def test_a_kill_costs_only_what_was_unfinished(tmp_path, undisturbed, seed, only_parent):
    """SIGKILL of the whole tree, as by a power cut, or of the command itself, whose kernels then
    end by themselves; after it `--resume` gives what the run would have given."""
    folder = small_course(tmp_path / "course")
    out = out_of(folder)
    with start(folder, "--jobs", 2) as tree:
        some_moment(folder, tree, random.Random(f"{seed} {only_parent}"))
        tree.process.kill() if only_parent else tree.kill()
        _all_gone(tree)
    finished, before = passed(out), ran(folder)

    status, said = run(folder, "--jobs", 2, "--resume")
    assert status == 0, said
    kept = {name for name, entry in report_of(out).items() if entry["resumed"]}
    assert kept == finished
    assert set(ran(folder)[len(before) :]) == set(NAMES) - finished
    for name in NAMES:
        assert (f"{name}: kept" in said) == (name in finished)
    assert outcome(out) == undisturbed
    assert traces(folder) == []


@pytest.mark.parametrize("seed", _seeds("kernel", 2, 20))
def test_a_killed_kernel_is_a_named_failure(tmp_path, undisturbed, seed):
    """A chapter's process is killed: the run goes on, says which chapter failed, and resumes."""
    folder = small_course(tmp_path / "course")
    out = out_of(folder)
    chance = random.Random(f"kernel {seed}")
    with start(folder, "--jobs", 2, "--keep-going") as tree:
        some_moment(folder, tree, chance)
        victims = wait_until(lambda: kernels(tree) or tree.process.poll() is not None)
        if victims is not True:
            chance.choice(victims).kill()
        status, said = tree.end()
        _all_gone(tree)
    assert "Traceback" not in said
    failed = {name for name, entry in report_of(out).items() if entry["status"] == "failed"}
    assert failed | passed(out) == set(NAMES)
    assert status == (1 if failed else 0) and len(failed) <= 1  # none: it had done its work
    for name in failed:
        assert f"{name}: failed" in said
        # one that is killed before its first cell is a RuntimeError of jupyter_client
        assert report_of(out)[name]["error"]["name"] in ("DeadKernelError", "RuntimeError")

    status, said = run(folder, "--jobs", 2, "--resume")
    assert status == 0, said
    assert {name for name in NAMES if f"{name}: run: it failed" in said} == failed
    assert outcome(out) == undisturbed
    assert traces(folder) == []


CHILD = "import subprocess\nchild = subprocess.Popen(['sleep', '3000'])\nopen('begun', 'w').close()"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process(tmp_path, how):
    """Not even one that a chapter started itself; what is done is written and can be kept."""
    folder = small_course(tmp_path / "course", ("01_a",))
    put_chapter(folder, "02_b", notebook(CHILD, "child.wait()"))
    put_chapter(folder, "03_c", notebook("1"))
    out = out_of(folder)
    with start(folder, "--jobs", 1) as tree:
        wait_until(lambda: (folder / "chapters" / "begun").exists())
        tree.process.send_signal(how)
        status, said = tree.end()
        _all_gone(tree)
    statuses = [entry["status"] for entry in report_of(out).values()]
    if how == signal.SIGKILL:
        assert statuses == ["passed", "running", "not run"]
        return
    assert status == 130 and "Traceback" not in said
    assert "stopped; what had finished is in the report" in said
    assert statuses == ["passed", "interrupted", "not run"]
    assert json.loads((out / "report.json").read_text())["interrupted"]
    assert {path.name for path in out.iterdir()} == {"01_a.ipynb", *PAGES}
    assert traces(folder) == []


@pytest.mark.full
def test_real_chapters_resume(tmp_path):
    """Chapters of the course itself, in a fast run, killed when the first has passed."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    shutil.copy(REPOSITORY / "book.toml", tmp_path)
    shutil.copytree(REPOSITORY / "chapters", tmp_path / "chapters")
    names = ("02_pooling", "03_lenet")
    options = dict(COURSE_FAST_DEV_RUN="1", COURSE_STANDIN="1", COURSE_OFFLINE="1")
    with start(tmp_path, "02", "03", "--jobs", 1, **options) as tree:
        wait_until(lambda: passed(out_of(tmp_path)) == {names[0]} and kernels(tree))
        tree.kill()
    status, said = run(tmp_path, "02", "03", "--jobs", 1, "--resume", **options)
    assert status == 0, said
    assert "02_pooling: kept" in said and "03_lenet: run: it was stopped" in said
    assert passed(out_of(tmp_path)) == set(names)
    assert report_of(out_of(tmp_path))[names[1]]["records"]["source"]
    assert traces(tmp_path) == []


# --- what is kept, and why not ------------------------------------------------------------------


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A small course with a finished run, to be copied."""
    folder = small_course(tmp_path_factory.mktemp("complete") / "course")
    put_chapter(folder, "04_size", notebook("print(size)", parameters="size = 1"))
    status, said = run(folder, "--jobs", 2)
    assert status == 0, said
    return folder


@pytest.fixture
def finished(complete, tmp_path):
    return shutil.copytree(complete, tmp_path / "course")


def _resume(folder, *args, **env):
    """Resume; chapter -> "kept" or why it runs."""
    status, said = run(folder, "--jobs", 2, "--resume", *args, **env)
    assert status == 0, said
    lines = [line.partition(": ") for line in said.splitlines()]
    return {name: why for name, _, why in lines if why == "kept" or why.startswith("run: ")}


def _all_kept(folder):
    return dict.fromkeys([*NAMES, "04_size"], "kept") == _resume(folder)


def test_each_chapter_says_why_it_runs(finished):
    out = out_of(finished)
    (out / "02_b.ipynb").unlink()
    torn = (out / "03_c.ipynb").read_bytes()
    (out / "03_c.ipynb").write_bytes(torn[: len(torn) // 2])
    put_chapter(finished, "01_a", chapter("01_a", pause=0.01))
    assert _resume(finished, "--param", "size=2") == {
        "01_a": "run: its notebook changed",
        "02_b": "run: its output is missing",
        "03_c": "run: its output is not as it was written",
        "04_size": "run: its parameters changed",
    }
    assert (out / "03_c.ipynb").read_bytes() != torn[: len(torn) // 2]
    assert passed(out) == {*NAMES, "04_size"}


def test_saved_outputs_count_for_nothing_a_fast_run_is_another_run(finished):
    path = finished / "chapters" / "04_size.ipynb"
    made = nbformat.read(path, 4)
    made.cells[2].outputs = [nbformat.v4.new_output("stream", text="saved")]
    nbformat.write(made, path)
    assert _all_kept(finished)
    fast = _resume(finished, "02", COURSE_FAST_DEV_RUN="1")
    assert fast == {"02_b": "run: a COURSE_ variable changed"}


def test_only_what_chapters_import_counts_as_the_library(finished, tmp_path):
    shutil.copytree(library() + "/course_utils", tmp_path / "lib" / "course_utils")
    theirs = {"PYTHONPATH": str(tmp_path / "lib")}
    _append(tmp_path / "lib/course_utils/commands/run/report_page.py", "# nothing a chapter sees\n")
    assert set(_resume(finished, **theirs).values()) == {"kept"}
    _append(tmp_path / "lib/course_utils/files.py", "# may change a result\n")
    assert set(_resume(finished, **theirs).values()) == {"run: course_utils changed"}


def _append(path, text):
    path.write_text(path.read_text("utf-8") + text, "utf-8")


@pytest.mark.full
def test_data_count_by_content_not_by_place_or_time(tmp_path):
    """A chapter that loads Fashion-MNIST runs again when a byte of it changed, another does not."""
    folder = small_course(tmp_path / "course", ("01_a",))
    put_chapter(folder, "02_data", notebook("# load_data_fashion_mnist"))
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (raw / f"{split}-{kind}-ubyte").write_bytes(b"as it came")
    env = {"COURSE_OFFLINE": "1", "COURSE_DATA": str(tmp_path / "data")}
    status, said = run(folder, "--jobs", 2, **env)
    assert status == 0, said

    (tmp_path / "data").rename(tmp_path / "moved")
    env["COURSE_DATA"] = str(tmp_path / "moved")
    labels = tmp_path / "moved" / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    os.utime(labels, (0, 0))
    assert _resume(folder, **env) == {"01_a": "kept", "02_data": "kept"}
    labels.write_bytes(b"as it ca_e")
    changed = {"01_a": "kept", "02_data": "run: its data changed"}
    assert _resume(folder, **env) == changed
    assert _resume(folder, **env | {"COURSE_STANDIN": "1"}) == changed


def test_a_chapter_that_compares_runs_after_those_it_compares(finished):
    put_chapter(finished, "09_all", notebook("# published_and_reproduced()"))
    assert _resume(finished)["09_all"] == "run: it has not run here yet"
    put_chapter(finished, "02_b", chapter("02_b", pause=0.01))
    said = _resume(finished)
    assert said["02_b"] == "run: its notebook changed" and said["01_a"] == "kept"
    assert said["09_all"] == "run: it compares results, and 02_b runs"
    assert set(_resume(finished).values()) == {"kept"}


def test_a_resumed_report_is_whole(finished):
    """Chapters that were not asked for stay in it, unless what they show is no longer true."""
    out = out_of(finished)
    before = report_of(out)
    put_chapter(finished, "01_a", chapter("01_a", pause=0.01))
    assert _resume(finished, "03") == {"03_c": "kept"}
    assert list(report_of(out)) == ["02_b", "03_c", "04_size"]
    assert report_of(out)["02_b"]["seconds"] == before["02_b"]["seconds"]
    for name in PAGES:
        assert "02_b" in (out / name).read_text()
    assert _resume(finished)["01_a"] == "run: it has not run here yet"
    assert list(report_of(out)) == list(before)


def test_a_kill_while_resuming_forgets_nothing(finished):
    """The report is never without what was kept, not even for a moment."""
    out = out_of(finished)
    put_chapter(
        finished, "01_a", notebook("import time\nopen('begun', 'w').close()\ntime.sleep(300)")
    )
    with start(finished, "--resume") as tree:
        wait_until(lambda: (finished / "chapters" / "begun").exists())
        assert passed(out) == {"02_b", "03_c", "04_size"}
        tree.kill()
    put_chapter(finished, "01_a", chapter("01_a"))
    assert _resume(finished) == {
        "01_a": "run: it was stopped",
        **dict.fromkeys(("02_b", "03_c", "04_size"), "kept"),
    }


def test_without_resume_a_run_begins_anew(finished):
    before = len(ran(finished))
    status, said = run(finished, "--jobs", 2)
    assert status == 0 and "kept" not in said
    assert len(ran(finished)) == before + len(NAMES)


# --- one run in a folder ------------------------------------------------------------------------

SLEEPER = """import os, time
open('begun', 'w').close()
while not os.path.exists('end'):
    time.sleep(0.05)"""


@pytest.mark.parametrize("args", [(), ("--resume",)])
def test_a_second_run_in_the_folder_is_refused(tmp_path, args):
    folder = small_course(tmp_path / "course", ())
    put_chapter(folder, "01_a", notebook(SLEEPER))
    with start(folder) as first:
        wait_until(lambda: (folder / "chapters" / "begun").exists())
        status, said = start(folder, *args, said="refused").end()
        assert status == 2
        assert f"is in use by another `course run` (process {first.process.pid} on " in said
        assert "--out" in said and len(said.strip().splitlines()) == 1
        (folder / "chapters" / "end").touch()
        status, said = start(folder, "--out", "elsewhere", said="second").end()
        assert status == 0, said
        status, said = first.end()
        assert status == 0, said
    assert traces(folder) == []


def test_many_at_once_never_share_the_folder(tmp_path):
    folder = small_course(tmp_path / "course", ())
    inside = "import os, time\nos.mkdir('inside')\ntime.sleep(0.2)\nos.rmdir('inside')"
    put_chapter(folder, "01_a", notebook(inside))
    trees = [start(folder, said=f"said-{number}") for number in range(how_many(3, 12))]
    ends = [tree.end() for tree in trees]
    assert {status for status, _ in ends} <= {0, 2}, ends
    assert 0 in [status for status, _ in ends]
    assert all("in use by another" in said for status, said in ends if status == 2)
    assert traces(folder) == []


def test_what_a_dead_run_left_blocks_nobody(finished, tmp_path):
    """Its lock, its note of a process that now is another, its temporary files."""
    out, home = out_of(finished), tmp_path / "course-run-mine"
    home.mkdir()
    (out / ".lock").touch()
    holder = {"pid": os.getpid(), "host": "here", "since": "2040-01-01 00:00:00+00:00"}
    (out / ".holder.json").write_text(json.dumps(holder | {"scratch": str(home)}))
    (out / ".02_b.ipynb.0a1b2c3d.part").write_text("half of it")
    assert _all_kept(finished)
    assert traces(finished) == []
    assert home.is_dir(), "only folders among the temporary files may be removed"

    scratch = finished / "tmp" / "course-run-killed"
    scratch.mkdir()
    (scratch / "kernel-1.json").write_text("{}")
    (out / ".holder.json").write_text(json.dumps(holder | {"scratch": str(scratch)}))
    assert _all_kept(finished)
    assert traces(finished) == []


# --- a clock that goes back ---------------------------------------------------------------------

BACKWARDS = """
import datetime, time
begun, ticks = time.time(), time.monotonic
time.time = lambda start=ticks(): begun - 1000 * (ticks() - start)
class Backwards(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().fromtimestamp(time.time(), tz)
    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)
datetime.datetime = Backwards
"""


def test_a_clock_that_runs_backwards(finished, tmp_path):
    """Durations are those of a clock that cannot; what to keep is decided without clocks."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BACKWARDS)
    path = os.pathsep.join([str(tmp_path / "site"), library()])
    status, said = run(finished, "--jobs", 2, PYTHONPATH=path)
    assert status == 0, said
    report = json.loads((out_of(finished) / "report.json").read_text())
    assert report["finished"] < report["started"], "the clock did not go back"
    assert all(entry["seconds"] > 0 for entry in report["chapters"])
    assert 'time="-' not in (out_of(finished) / "junit.xml").read_text()

    for file in [*finished.rglob("*"), finished]:
        os.utime(file, (2**31, 2**31))  # as if written in 2038
    assert _all_kept(finished)
    put_chapter(finished, "02_b", chapter("02_b", pause=0.01))
    os.utime(finished / "chapters" / "02_b.ipynb", (0, 0))
    assert _resume(finished)["02_b"] == "run: its notebook changed"


# --- a day of use, in miniature -----------------------------------------------------------------

DAY = """
import json, os, sys
from pathlib import Path
import psutil
from course_utils.commands.run.batch import run_batch
from course_utils.commands.manifest import load_manifest

me, here = psutil.Process(), Path.cwd()
for _ in range(int(sys.argv[1])):
    status = run_batch(load_manifest(), jobs=2, measure=False)
    paths = [path for path in here.rglob("*") if path.name not in ("ran", "said", "states")]
    state = {
        "status": status,
        "children": len(me.children(recursive=True)),
        "threads": me.num_threads(),
        "open files": me.num_fds() if hasattr(me, "num_fds") else 0,
        "names": sorted(str(path.relative_to(here)) for path in paths),
        "bytes": sum(path.stat().st_size for path in paths if path.is_file()),
        "memory": me.memory_info().rss,
    }
    with open("states", "a") as file:
        print(json.dumps(state), file=file)
"""
WARM = 2  # runs after which all that is loaded once is loaded
MORE_MEMORY = 8 << 20  # bytes over all runs; keeping a report or a notebook each would exceed it
MORE_DISK = 2000  # bytes: reports hold times, and 10.2 s is longer than 9.9 s


@pytest.mark.full
def test_a_day_of_runs_leaves_nothing_behind(tmp_path):
    """Many runs in a row, two chapters at a time: no process, no file, no memory."""
    folder = small_course(tmp_path / "course")
    count = how_many(3, 20)
    (folder / "day.py").write_text(DAY)
    with Tree(
        [sys.executable, "day.py", count],
        cwd=folder,
        env=run_environment(folder),
        output=folder / "said",
    ) as tree:
        status, said = tree.end(how_many(PATIENCE, 1800))
        assert status == 0, said
        assert tree.alive() == []
    states = [json.loads(line) for line in (folder / "states").read_text().splitlines()]
    warm = states[WARM - 1 :]
    assert [state["status"] for state in states] == [0] * count
    assert {state["children"] for state in states} == {0}
    assert all(state["names"] == states[0]["names"] for state in states)
    assert warm[-1]["bytes"] - warm[0]["bytes"] < MORE_DISK
    assert warm[-1]["memory"] - warm[0]["memory"] < MORE_MEMORY
    for what in ("threads", "open files"):
        assert len({state[what] for state in warm}) == 1, [state[what] for state in states]
    assert traces(folder) == []
    assert len(ran(folder)) == count * len(NAMES)
