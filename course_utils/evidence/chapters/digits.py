"""Experiments of chapter 04: what a thousand digits teach, and what spoils the lesson."""

import tempfile
from pathlib import Path

import torch

from course_utils.data import load_data_digits
from course_utils.data.loader import TensorLoader
from course_utils.evidence.experiment import experiment
from course_utils.nets.lenet5_lab import LeNet5, Transformed, move_randomly
from course_utils.nets.quantised import load_quantised, quantise
from course_utils.training import INITS, Runner

ARMS = (
    "moved",
    "not moved",
    "moved, not normalised",
    "moved, normalised twice",
    "moved, equal start",
)


@experiment("04_lenet5_lab", ARMS, epochs=50, last=20, batch=64, lr=0.1, every=15)
def digits(arm, seed, device, epochs, last, batch, lr, every):
    """What do random moves, the range of the pixels and the start do to LeNet-5 on 1,000 digits?

    Each seed draws its own 1,000 digits, 200 that choose among the weights and 3,800 that judge.
    """
    train, dev, test = _split(seed, batch, device)
    X = train.to_input(train.images)
    mean, std = X.mean().item(), X.std().item()

    def prepare(X):
        if "not normalised" in arm:
            return X
        return (X - 127.5) / 127.5 if "twice" in arm else (X - mean) / std

    net = LeNet5().apply(INITS["kaiming"])
    if "equal start" in arm:
        _equal_filters(net)
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr)
    runner = Runner(net, optimizer, device=device)
    moved = arm != "not moved"
    seen = Transformed(train, lambda X: prepare(move_randomly(X) if moved else X))
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.pt"
        options = {"eval_every": every, "log_every": 0, "save_path": best, "progress": "off"}
        runner.train(seen, Transformed(dev, prepare), epochs, seed=seed, **options)
        optimizer.param_groups[0]["lr"] = lr / 10
        runner.train(seen, Transformed(dev, prepare), last, **options)
        runner.load(best)
    unused = Transformed(test, prepare)
    rounded = load_quantised(LeNet5(), quantise(net)).to(device)
    return {
        "accuracy": runner.evaluate(unused)[0],
        "dev_accuracy": runner.best_score,
        "rounded_accuracy": Runner(rounded, optimizer, device=device).evaluate(unused)[0],
        "source": train.source,
    }


def _split(seed, batch, device):
    """Loaders of 1,000, 200 and 3,800 digits, other ones for each seed."""
    parts = load_data_digits(500, train_examples=1000, dev_examples=200, test_examples=3800)
    images = torch.cat([part.images for part in parts])
    labels = torch.cat([part.labels for part in parts])
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    more = {"resize": 32, "device": device, "source": parts[0].source, "seed": seed}
    return [
        TensorLoader(images[chosen], labels[chosen], size, shuffle=size == batch, **more)
        for chosen, size in zip(order.split([1000, 200, 3800]), (batch, 200, 500), strict=True)
    ]


@torch.no_grad()
def _equal_filters(net):
    """Give all filters of a layer, and all rows of a matrix, the weights of the first one.

    So their size is that of a good start; only their differences are gone.
    """
    for weight in net.parameters():
        if weight.dim() > 1:
            weight.copy_(weight[:1].expand_as(weight).clone())
