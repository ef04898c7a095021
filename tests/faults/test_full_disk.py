"""Disks that are full or read-only: said in a line or two, and nothing is lost."""

import shutil
import signal
import sys

import nbformat
import pytest
import torch
from publishing import assert_refused, called, command, environment, notebook

from course_utils.errors import TrainingError
from course_utils.exercises import progress
from course_utils.files import write_whole
from course_utils.training.checkpoint import read_tensors, write_tensors
from faults.harness import Tree, fill, read_only, small_disk, steps_in, wait_until
from faults.killed_training import killed_training
from faults.runs import (
    NAMES,
    out_of,
    outcome,
    passed,
    put_chapter,
    run,
    small_course,
    start,
    traces,
)

# takes all the room that is left, as another program might, while the chapter runs
FILLER = """\
from pathlib import Path
if not Path("enough").exists():
    with open("{disk}/filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
"""


@pytest.fixture
def disk(tmp_path):
    """(a small course, a disk of a few megabytes): `--out disk/run` is on that disk."""
    folder = small_course(tmp_path / "course")
    with small_disk(folder / "disk", 4) as mounted:
        yield folder, mounted


def _lines(said):
    return [line for line in said.splitlines() if line.startswith("course: ")]


def test_a_full_disk_is_found_before_anything_runs(disk):
    folder, mounted = disk
    filler = fill(mounted)
    status, said = run(folder, "--out", "disk/run")
    assert status == 2
    assert "No space left on device" in said and "--out" in said
    assert len(said.splitlines()) == 1 and not (folder / "ran").exists()
    filler.unlink()
    assert run(folder, "--out", "disk/run", "--jobs", 2)[0] == 0


@pytest.mark.parametrize("going", [(), ("--keep-going",)])
def test_a_disk_that_fills_up_during_a_run(disk, going):
    """What had finished is kept; when there is room again, `--resume` does the rest."""
    folder, mounted = disk
    out = mounted / "run"
    put_chapter(folder, "02_b", notebook(FILLER.format(disk=mounted), "print('b')"))
    status, said = run(folder, "--out", out, "--jobs", 1, *going)
    assert status == 2, said
    (line,) = _lines(said)
    assert "No space left on device" in line and "course run --resume" in line
    assert "Traceback" not in said and "03_c: started" not in said
    assert passed(out) == {"01_a"}
    assert {path.suffix for path in out.iterdir()} <= {".ipynb", ".json"}
    for path in out.glob("*.ipynb"):
        nbformat.validate(nbformat.read(path, 4))

    (mounted / "filler").unlink()
    (folder / "chapters" / "enough").touch()
    status, said = run(folder, "--out", out, "--jobs", 1, "--resume")
    assert status == 0, said
    assert "01_a: kept" in said and "02_b: run: " in said
    assert passed(out) == set(NAMES)
    assert not list(out.glob(".*")) and traces(folder) == []


def test_an_earlier_run_survives_a_full_disk(disk):
    """A new run that cannot write leaves every notebook of the run before whole."""
    folder, mounted = disk
    out = mounted / "run"
    assert run(folder, "--out", out, "--jobs", 2)[0] == 0
    before = outcome(out)
    put_chapter(folder, "01_a", notebook(FILLER.format(disk=mounted)))
    status, said = run(folder, "--out", out, "--jobs", 1)
    assert status == 2, said
    after = outcome(out)
    for name in ("01_a.ipynb", "02_b.ipynb", "03_c.ipynb"):
        assert after[name] == before[name]


def test_a_disk_without_room_for_the_report(disk):
    """The report cannot be written when the run begins, though the folder could be."""
    folder, mounted = disk
    out = mounted / "run"
    put_chapter(
        folder, "01_a", notebook(FILLER.format(disk=mounted), "import time\ntime.sleep(0.5)")
    )
    status, said = run(folder, "--out", out, "--jobs", 3)
    assert status == 2, said
    assert len(_lines(said)) == 1 and "Traceback" not in said
    (mounted / "filler").unlink()
    (folder / "chapters" / "enough").touch()
    status, said = run(folder, "--out", out, "--jobs", 2, "--resume")
    assert status == 0, said
    assert passed(out) == set(NAMES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limits of this kind")
def test_a_quota_is_named(tmp_path):
    """A limit on the size of files stands for a quota, and needs no rights."""
    import resource

    folder = small_course(tmp_path / "course")
    with start(
        folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9999, 9999))
    ) as tree:
        status, said = tree.end()
    assert status == 2
    assert "File too large" in said and len(said.splitlines()) == 1


def test_a_read_only_folder_is_refused_with_its_name(tmp_path):
    folder = small_course(tmp_path / "course")
    out = folder / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with read_only(out):
        status, said = run(folder, "--out", "out")
    assert status == 2
    assert str(out) in said and "--out" in said and len(said.splitlines()) == 1
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_chapters_may_be_read_only(tmp_path):
    """Only the folder of the run is written to."""
    folder = small_course(tmp_path / "course", ())
    put_chapter(folder, "01_a", notebook("print(1)"))
    with read_only(folder / "chapters"):
        status, said = run(folder)
    assert status == 0, said
    assert passed(out_of(folder)) == {"01_a"}


def test_progress_on_a_full_disk_is_said_and_kept(tmp_path):
    with small_disk(tmp_path / "disk", 1) as mounted:
        file = mounted / "progress.json"
        assert progress.remember("01.1", file) == ""
        before = file.read_bytes()
        filler = fill(mounted)
        assert "could not be saved (OSError)" in progress.remember("01.2", file)
        assert file.read_bytes() == before
        filler.unlink()
        assert progress.remember("01.2", file) == ""
        assert progress.solved(file) == {"01.1", "01.2"}
        names = {path.name for path in mounted.iterdir()}
        assert names - {"progress.json.lock"} == {"progress.json"}


@pytest.mark.parametrize("damaged", [False, True])
def test_progress_in_a_read_only_folder_is_said_and_nothing_is_lost(tmp_path, damaged):
    """A damaged file cannot be put aside there, so it stays as it is."""
    file = tmp_path / "kept" / "progress.json"
    file.parent.mkdir()
    assert progress.remember("01.1", file) == ""
    if damaged:
        file.write_text('{"exercises": {"01.1"')
    before = file.read_bytes()
    with read_only(file.parent):
        assert "could not be saved" in progress.remember("01.2", file)
        assert progress.solved(file) == (set() if damaged else {"01.1"})
    assert file.read_bytes() == before


def test_write_whole_on_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", 1) as mounted:
        write_whole(mounted / "a.txt", "old")
        fill(mounted)
        with pytest.raises(OSError):
            write_whole(mounted / "a.txt", "new" * 5000)
        assert (mounted / "a.txt").read_text() == "old"
        assert {path.name for path in mounted.iterdir()} == {"a.txt", "filler"}


def test_tensors_on_a_full_disk(tmp_path):
    """The reason is the system's, which torch hides; what was there before stays to the byte."""
    with small_disk(tmp_path / "disk", 1) as mounted:
        file = mounted / "c.pt"
        write_tensors(file, {"a": torch.zeros(9)})
        before = file.read_bytes()
        for spare in (0, 5_000, 300_000):  # before, within and at the end of the tensors
            filler = fill(mounted, spare)
            with pytest.raises(TrainingError, match="cannot write .*: No space left on device"):
                write_tensors(file, {"a": torch.zeros(75_000), "b": torch.zeros(9)})
            assert file.read_bytes() == before
            assert {path.name for path in mounted.iterdir()} == {"c.pt", "filler"}
            filler.unlink()
        write_tensors(file, {"a": torch.ones(75_000)})
        assert read_tensors(file)["a"].all()


@pytest.mark.skipif(sys.platform == "win32", reason="NOT RUN: needs SIGKILL")
@pytest.mark.parametrize("trainer", [pytest.param("train_ch6", marks=pytest.mark.full), "Runner"])
def test_a_kill_while_a_checkpoint_is_written_on_a_full_disk(tmp_path, trainer):
    (tmp_path / "calm").mkdir()
    assert killed_training(tmp_path / "calm", 0, trainer).returncode == 0
    with small_disk(tmp_path / "disk", 6) as mounted:
        kept = mounted / "c.ckpt"
        done = killed_training(mounted, 4, trainer)  # three were written: of step 0, 4 and 8
        assert done.returncode == -signal.SIGKILL, done.stderr
        (half,) = mounted.glob(".c.ckpt.*.part")  # the moment was reached: half of a file
        assert 0 < half.stat().st_size < kept.stat().st_size
        assert shutil.disk_usage(mounted).free == 0
        assert steps_in(kept) == 8

        done = killed_training(mounted, 0, trainer)  # there is still no room
        assert "TrainingError: cannot write" in done.stderr and "No space left" in done.stderr
        assert steps_in(kept) == 8 and not list(mounted.glob(".*.part"))

        (mounted / "filler").unlink()
        assert killed_training(mounted, 0, trainer).returncode == 0
        weights = [read_tensors(path / "final.pt") for path in (tmp_path / "calm", mounted)]
        assert all(torch.equal(weights[1][name], value) for name, value in weights[0].items())
        assert {path.name for path in mounted.iterdir()} == {"c.ckpt", "final.pt"}


@pytest.mark.full
def test_a_full_disk_ends_two_processes_in_a_line_and_loses_nothing(tmp_path):
    """After a checkpoint; with room again, the run goes on and ends as one undisturbed."""
    epochs = 12  # 240 steps: the disk is full before they are done, on a busy machine, too
    train = (
        "train", "lenet", "--nproc", 2, "--epochs", epochs, "--lr", 0.001, "--train-examples", 640,
        "--test-examples", 50, "--batch-size", 32, "--checkpoint-every", 1,
    )  # fmt: skip
    env = environment(COURSE_STANDIN="1", COURSE_PROGRESS="none", OMP_NUM_THREADS="1")

    def run(name, checkpoint):
        args = [*train, "--checkpoint", checkpoint, "--save", f"{name}.pt"]
        return Tree(command(*args), cwd=tmp_path, env=env, output=tmp_path / f"{name}.txt")

    with small_disk(tmp_path / "disk", 3) as mounted:
        kept = mounted / "c.ckpt"
        with run("hurt", kept) as tree:
            wait_until(lambda: steps_in(kept) > 0, 300, "the first checkpoint after a step")
            fill(mounted, spare=60_000)
            status, text = tree.end(300)
            wait_until(lambda: not tree.alive(), 30, "all processes to end")
        said = [line for line in text.splitlines() if line.startswith("course: ")]
        assert status == 2 and text.splitlines()[-1:] == said, text
        assert "cannot write" in said[0] and "No space left on device" in said[0]
        assert "Traceback" not in text and "restart" not in text
        done = steps_in(kept)
        assert 0 < done < 20 * epochs and not (tmp_path / "hurt.pt").exists()

        (mounted / "filler").unlink()
        with run("hurt", kept) as tree:
            status, text = tree.end(300)
        assert status == 0, text
        assert f"{done // 20} of {epochs} epochs and {done % 20} steps were done" in text
        assert not list(mounted.glob(".*.part"))
    with run("calm", "calm.ckpt") as tree:
        assert tree.end(300)[0] == 0
    calm, hurt = (read_tensors(tmp_path / f"{name}.pt") for name in ("calm", "hurt"))
    assert all(torch.equal(hurt[name], weight) for name, weight in calm.items())


def test_a_record_without_room_costs_no_weights(tmp_path):
    with small_disk(tmp_path / "disk", 1) as mounted:
        fill(mounted)
        told = called(
            "train", "lenet", "--train-examples", 64, "--test-examples", 9, "--history",
            mounted / "h.json", "--save", "w.pt", cwd=tmp_path, COURSE_STANDIN="1",
            COURSE_PROGRESS="none",
        )  # fmt: skip
        assert_refused(told, "h.json", "No space left on device")
    assert len(read_tensors(tmp_path / "w.pt")) == 10


def test_a_checkpoint_without_room_is_refused_before_the_training(tmp_path):
    with small_disk(tmp_path / "disk", 1) as mounted:
        fill(mounted, spare=60_000)
        told = called(
            "train", "lenet", "--train-examples", 64, "--test-examples", 9, "--checkpoint",
            mounted / "c.ckpt", cwd=tmp_path, COURSE_STANDIN="1", COURSE_PROGRESS="none",
        )  # fmt: skip
        assert_refused(told, "c.ckpt", "No space left on device")
        assert "loss" not in told.stdout and not (mounted / "c.ckpt").exists()
