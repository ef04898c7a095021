"""Trains with checkpoints and is killed at random moments; prints what came of it as JSON.

    python killed_training.py FOLDER KILLS SEED {train_ch6,Runner}

Each attempt is a fork, so that a kill costs no import. Used by test_checkpoints.py.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.nets import build
from course_utils.training import Runner, train_ch6
from course_utils.training.checkpoint import read_tensors, write_tensors

EVERY = 4  # steps between two saves
EPOCHS = 3
LIMIT = 1000  # kills, should a training never come to its end


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
            before, steps = _position(path, trainer), folder / "steps"
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
            result["most lost"] = max(result["most lost"], made - _position(path, trainer))
        states = [torch.load(p, weights_only=True) for p in (expected, final)]
        same = all(torch.equal(states[0][k], states[1][k]) for k in states[0])
        result["equal"] += same
    print(json.dumps(result))


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


def _position(path, trainer):
    """Steps that the checkpoint holds."""
    if not path.exists():
        return 0
    parts = read_tensors(path)["parts"]
    if trainer == "train_ch6":
        return len(parts["history"]["step_loss"]) + len(parts["epoch so far"]["losses"])
    return len(parts["record"]["step_losses"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
