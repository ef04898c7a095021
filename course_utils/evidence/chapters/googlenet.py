"""Experiments of chapter 07: the gradient at the start, and what batch normalisation adds to it."""

import math

import torch

from course_utils.evidence.chapters.parts import loaders
from course_utils.evidence.experiment import experiment
from course_utils.nets.googlenet import googlenet, googlenet_loss, googlenet_small
from course_utils.training import INITS, training_steps

NORMS, STARTS, RATES = ("plain", "batch norm"), ("default", "Kaiming"), (0.1, 0.03, 0.01)


@experiment(
    "07_googlenet",
    [*(f"{norm}, {start}" for norm in NORMS for start in STARTS), "plain, default, auxiliary"],
    batch=4,
    side=224,
)
def gradients(arm, seed, device, batch, side):
    """How large is the gradient of the first layer, before any training, as a power of ten?"""
    norm, start, *auxiliary = arm.split(", ")
    net = googlenet(in_channels=1, num_classes=10, batch_norm=norm == "batch norm")
    net = _started(net, start).to(device)
    train, _ = loaders(device, seed, batch, resize=side)
    X, y = next(iter(train))
    googlenet_loss(net(X), y, 0.3 if auxiliary else 0.0).backward()
    size = next(net.conv1.parameters()).grad.norm().item()
    return {"exponent": math.log10(size), "source": train.source}


@experiment(
    "07_googlenet",
    [f"{norm}, {start}, {rate}" for norm in NORMS for start in STARTS for rate in RATES],
    steps=40,
    batch=64,
)
def batch_norm(arm, seed, device, steps, batch):
    """How far does plain SGD bring the small network in forty steps, with and without?"""
    norm, start, rate = arm.split(", ")
    net = googlenet_small(in_channels=1, batch_norm=norm == "batch norm")
    net = _started(net, start).to(device)
    train, _ = loaders(device, seed, batch, resize=32, examples=steps * batch)
    sgd = torch.optim.SGD(net.parameters(), lr=float(rate))
    losses = [float(loss) for loss, _, _ in training_steps(net, train, sgd, device=device)]
    return {"loss": sum(losses[-10:]) / 10, "source": train.source}


def _started(net, start):
    """The net with its first weights by that rule; "default" is PyTorch's own."""
    return net.apply(INITS["kaiming"]) if start == "Kaiming" else net
