"""A process of a group is killed: the launcher starts all again, and the run ends as it should."""

import random
import time

import psutil
import pytest
import torch
from publishing import command, environment

from course_utils.training import History
from faults.harness import Tree, how_many, steps_in, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("distributed")]

TRAIN = (
    "train", "lenet", "--nproc", 2, "--epochs", 4, "--lr", 0.001, "--train-examples", 2000,
    "--test-examples", 100, "--batch-size", 32, "--checkpoint-every", 1,
)  # fmt: skip


def start(folder, name):
    args = [*TRAIN, "--checkpoint", f"{name}.ckpt", "--history", f"{name}.json"]
    env = environment(
        COURSE_STANDIN="1", COURSE_OFFLINE="1", COURSE_PROGRESS="none", OMP_NUM_THREADS="1"
    )
    return Tree(
        command(*args, "--save", f"{name}.pt"), cwd=folder, env=env, output=folder / f"{name}.txt"
    )


def first_checkpoint(path):
    """Wait for a checkpoint after a step, and return its number; that of step 0 is no feat."""
    return wait_until(lambda: steps_in(path), 120, "the first checkpoint after a step")


def trainers(tree):
    """The processes that train, each with its rank in its environment, in the order of ranks."""
    found = {}
    for process in tree.alive():
        try:
            parent, words = process.parent(), process.cmdline()
            if parent and parent.pid == tree.process.pid and "train" in words:
                found[process.create_time(), process.pid] = process
        except psutil.Error:
            continue
    return [found[key] for key in sorted(found)]


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """Weights and record of the run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("calm")
    with start(folder, "calm") as tree:
        status, text = tree.end(300)
    assert status == 0, text
    return torch.load(folder / "calm.pt", weights_only=True), History.load(folder / "calm.json")


@pytest.mark.parametrize("attempt", range(how_many(2, 20)))
@pytest.mark.full
def test_a_killed_rank_is_started_again_and_the_run_ends_right(tmp_path, calm, attempt):
    chance = random.Random(attempt)
    with start(tmp_path, "hurt") as tree:
        first_checkpoint(tmp_path / "hurt.ckpt")
        time.sleep(chance.uniform(0, 0.5))
        trainers(tree)[attempt % 2].kill()
        status, text = tree.end(300)
        assert status == 0, text
        assert "restart 1 of 3" in text and "resumed from" in text, text
        wait_until(lambda: not tree.alive(), 30, "all processes to end")
    assert_as_calm(tmp_path, calm)


@pytest.mark.parametrize("attempt", range(how_many(1, 10)))
@pytest.mark.full
def test_all_processes_are_killed_after_the_first_checkpoint(tmp_path, calm, attempt):
    """As by a power cut: the launcher and both ranks at once. The command is given again."""
    with start(tmp_path, "hurt") as tree:
        first_checkpoint(tmp_path / "hurt.ckpt")
        time.sleep(random.Random(attempt).uniform(0, 0.5))
        assert len(trainers(tree)) == 2
        tree.kill()
    kept = steps_in(tmp_path / "hurt.ckpt")
    assert 0 < kept < 4 * 63 and not (tmp_path / "hurt.json").exists()  # the moment was reached
    with start(tmp_path, "hurt") as tree:
        status, text = tree.end(300)
    assert status == 0, text
    assert f"{kept // 63} of 4 epochs and {kept % 63} steps were done" in text, text
    assert_as_calm(tmp_path, calm)


def assert_as_calm(folder, calm):
    """Weights, record and files are those of the undisturbed run."""
    weights, history = calm
    hurt = torch.load(folder / "hurt.pt", weights_only=True)
    for name, weight in weights.items():
        assert torch.equal(hurt[name], weight), name
    record = History.load(folder / "hurt.json")
    assert record.loss == pytest.approx(history.loss, abs=1e-5)  # ranks add up in another order
    assert record.test_acc == history.test_acc
    assert sorted(path.name for path in folder.iterdir()) == [
        "hurt.ckpt", "hurt.json", "hurt.pt", "hurt.txt",
    ]  # fmt: skip


@pytest.mark.full
def test_when_every_start_fails_it_says_so_in_a_line(tmp_path):
    args = [*TRAIN, "--checkpoint", "c.ckpt", "--max-restarts", 0]
    env = environment(COURSE_STANDIN="1", COURSE_PROGRESS="none", OMP_NUM_THREADS="1")
    with Tree(command(*args), cwd=tmp_path, env=env, output=tmp_path / "out.txt") as tree:
        first_checkpoint(tmp_path / "c.ckpt")
        trainers(tree)[1].kill()
        status, text = tree.end(120)
        wait_until(lambda: not tree.alive(), 30, "all processes to end")
    said = [line for line in text.splitlines() if line.startswith("course:")]
    assert status == 2 and text.splitlines()[-1:] == said, text
    assert "failed" in said[0] and "Traceback" not in text


def test_no_process_outlives_the_launcher(tmp_path):
    with start(tmp_path, "orphans") as tree:
        first_checkpoint(tmp_path / "orphans.ckpt")
        tree.process.kill()
        tree.process.wait()
        wait_until(lambda: not tree.alive(), 30, "the processes to notice")
