"""Experiments of chapter 05: what moving and mirroring the images buys."""

import torch
from torch import nn

from course_utils.evidence.chapters.parts import Change, loaders, trained
from course_utils.evidence.experiment import experiment
from course_utils.nets.alexnet import random_flip, random_shift, small_convnet
from course_utils.training import evaluate_accuracy_gpu

CHANGES = {
    "as it is": None,
    "shifts of 1": lambda X: random_shift(X, 1),
    "shifts of 3": lambda X: random_shift(X, 3),
    "mirrored": random_flip,
}


@experiment(
    "05_alexnet",
    [f"{change}, {epochs} epochs" for change in CHANGES for epochs in (8, 30)],
    examples=2000,
    batch=50,
    lr=0.002,
)
def augmentation(arm, seed, device, examples, batch, lr):
    """Does it help to move or to mirror the images, on garments in the middle and off it?"""
    name, epochs = arm.removesuffix(" epochs").split(", ")
    plain = small_convnet()
    net = nn.Sequential(Change(CHANGES[name]), plain) if CHANGES[name] else plain
    data = loaders(device, seed, batch, examples=examples)
    _, results = trained(net, data, seed, device, lr=lr, epochs=int(epochs), init="kaiming")
    off_centre = nn.Sequential(Change(CHANGES["shifts of 3"], always=True), plain.eval())
    torch.manual_seed(seed)
    return results | {"off_centre": evaluate_accuracy_gpu(off_centre, data[1])}
