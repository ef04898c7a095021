"""Experiments of chapter 08: depth with and without shortcuts."""

import statistics

import torch

from course_utils.evidence.chapters.parts import loaders
from course_utils.evidence.experiment import experiment
from course_utils.nets.resnet import narrow
from course_utils.training import INITS, evaluate_accuracy_gpu, training_steps


@experiment(
    "08_resnet",
    [
        f"{kind}, {depth} layers"
        for kind in ("plain", "residual")
        for depth in (8, 14, 20, 32, 44, 56)
    ],
    steps=900,
    batch=64,
    lr=0.1,
)
def depth(arm, seed, device, steps, batch, lr):
    """Does a deeper network train better or worse, without shortcuts and with them?"""
    kind, layers = arm.removesuffix(" layers").split(", ")
    net = narrow(int(layers), shortcut=kind == "residual").apply(INITS["kaiming"]).to(device)
    train, test = loaders(device, seed, batch, examples=steps * batch)
    sgd = torch.optim.SGD(net.parameters(), lr=lr)
    losses = [loss for loss, _, _ in training_steps(net, train, sgd, device=device)]
    losses = torch.stack(losses).tolist()
    return {
        "loss_200": statistics.fmean(losses[160:200]),
        "loss_900": statistics.fmean(losses[-40:]),
        "accuracy": evaluate_accuracy_gpu(net, test),
        "source": train.source,
    }
