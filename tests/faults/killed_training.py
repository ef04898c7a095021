"""Trains with checkpoints and is killed at random moments; prints what came of it as JSON.

    python -m faults.killed_training FOLDER KILLS SEED {train_ch6,Runner}
    python -m faults.killed_training FOLDER SAVE {train_ch6,Runner}

Each attempt is a fork, so that a kill costs no import. Used by test_checkpoints.py. The second form
trains once, into FOLDER, where the disk gets full at save number SAVE, and is killed in its middle;
SAVE 0: never. Used by test_full_disk.py.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from publishing import environment
from torch import nn

from course_utils.data import TensorLoader
from course_utils.nets import build
from course_utils.training import Runner, train_ch6
from course_utils.training.checkpoint import write_tensors
from faults.harness import fill, steps_in

EVERY = 4  # steps between two saves
EPOCHS = 3
LIMIT = 1000  # kills, should a training never come to its end


def killed_training(*args, timeout=300):
    """Run this module as a process; what came of it."""
    return subprocess.run(
        [sys.executable, "-m", "faults.killed_training", *map(str, args)],
        cwd=Path(__file__).parent.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def main(folder, kills, seed, trainer):
    torch.set_num_threads(1)
    chance = random.Random(int(seed))
    expected = folder / "expected.pt"
    started = time.monotonic()
    _wait(_fork(trainer, None, expected, folder / "steps"))
    takes = time.monotonic() - started
    result = {"kills": 0, "runs": 0, "equal": 0, "most lost": 0}
    while result["kills"] < int(kills):
        path, final = folder / f"{result['runs']}.ckpt", folder / f"{result['runs']}.pt"
        result["runs"] += 1
        while not final.exists() and result["kills"] < LIMIT:
            before, steps = steps_in(path), folder / "steps"
            steps.write_bytes(b"")
            child = _fork(trainer, path, final, steps)
            deadline = time.monotonic() + chance.uniform(0, 1.2 * takes)
            while time.monotonic() < deadline and not _ended(child):
                time.sleep(0.001)
            if not final.exists():
                os.kill(child, signal.SIGKILL)
                result["kills"] += 1
            _wait(child)
            made = before + steps.stat().st_size
            result["most lost"] = max(result["most lost"], made - steps_in(path))
        states = [torch.load(p, weights_only=True) for p in (expected, final)]
        same = all(torch.equal(states[0][k], states[1][k]) for k in states[0])
        result["equal"] += same
    print(json.dumps(result))


def once(folder, save, trainer):
    """Train with a checkpoint; the disk gets full at a save, and the process dies in its middle."""
    torch.set_num_threads(1)
    real, saves = torch.save, []

    def full(tensors, file):
        saves.append(file)
        if len(saves) == save:
            fill(folder, spare=60_000)
        try:
            real(tensors, file)
        except (OSError, RuntimeError):
            if save:
                os.kill(os.getpid(), signal.SIGKILL)
            raise

    torch.save = full
    with open(os.devnull, "wb") as steps:
        _train(trainer, folder / "c.ckpt", folder / "final.pt", steps.fileno())


def _fork(trainer, checkpoint, final, steps):
    child = os.fork()
    if child == 0:
        try:
            _train(
                trainer, checkpoint, final, os.open(steps, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            )
        finally:
            os._exit(0)
    return child


def _ended(child):
    """True once the child is gone; it stays to be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _wait(child):
    os.waitpid(child, 0)


def _train(trainer, checkpoint, final, steps):
    """Train a LeNet on 600 drawn images; leaves a byte in `steps` for every step made."""
    g = torch.Generator().manual_seed(0)
    images = torch.randint(256, (600, 28, 28), generator=g, dtype=torch.uint8)
    data = TensorLoader(images, torch.arange(600) % 10, 32, shuffle=True, seed=1)
    torch.manual_seed(2)
    net = nn.Sequential(*build("lenet"), nn.Dropout(0.1))

    def loss(y_hat, y):
        os.write(steps, b".")
        return nn.functional.cross_entropy(y_hat, y)

    options = {"checkpoint": checkpoint, "checkpoint_every": EVERY, "seed": 3}
    if trainer == "train_ch6":
        train_ch6(
            net, data, data, EPOCHS, 0.01, "cpu", optimizer="adamw", scheduler="warmup-decay",
            loss=loss, verbose=False, **options,
        )  # fmt: skip
    else:
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        runner = Runner(net, optimizer, loss, device="cpu")
        runner.train(data, None, EPOCHS, progress="off", log_every=0, **options)
    write_tensors(final, net.state_dict())


if __name__ == "__main__":
    if len(sys.argv) == 4:
        once(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        main(Path(sys.argv[1]), *sys.argv[2:])
