"""Experiments of chapter 05: moved and mirrored images, dropout, and the first filters."""

import torch
from torch import nn

from course_utils.data.loader import TensorLoader
from course_utils.evidence.chapters.parts import Change, Shuffle, deal_anew, loaders, trained
from course_utils.evidence.experiment import experiment
from course_utils.nets.alexnet import (
    dense_net,
    random_flip,
    random_shift,
    small_convnet,
    wide_windows,
)
from course_utils.nets.lenet import neighbours_alike, predict
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


@experiment(
    "05_alexnet",
    ["no dropout, 20 epochs", "dropout, 20 epochs", "no dropout, 2 epochs", "no dropout, 5 epochs"],
    examples=1000,
    batch=50,
    lr=0.001,
    noise=0.4,
)
def spoiled_labels(arm, seed, device, examples, batch, lr, noise):
    """Does dropout keep a network from learning wrong labels, and would stopping early do as well?

    accuracy: on clean test images. fits: on the training images and their labels, nothing dropped.
    by_heart: the share of the wrong labels among them that the network gives.
    """
    drop, epochs = arm.removesuffix(" epochs").split(", ")
    train, test = loaders(device, seed, batch, examples=examples)
    chance = torch.Generator().manual_seed(seed)
    spoiled = (torch.rand(examples, generator=chance) < noise).to(device)
    given = torch.randint(0, 10, (examples,), generator=chance).to(device)
    true = train.labels
    train.labels = torch.where(spoiled, given, true)
    net = dense_net(0.5 if drop == "dropout" else 0.0)
    recipe = {"scheduler": "constant", "init": "kaiming", "amp": False}
    _, results = trained(net, (train, test), seed, device, lr=lr, epochs=int(epochs), **recipe)
    shown = TensorLoader(train.images, train.labels, 256, device=device, source=train.source)
    logits, labels = predict(net, shown, device)
    learned = logits.argmax(dim=1) == labels
    wrong = labels != true.cpu()
    return results | {
        "fits": float(learned.float().mean()),
        "by_heart": float(learned[wrong].float().mean()),
    }


@experiment(
    "05_alexnet",
    ["garments", "garments with wrong labels", "garments with shuffled pixels"],
    examples=20000,
    side=64,
    batch=64,
    lr=0.005,
)
def first_filters(arm, seed, device, examples, side, batch, lr):
    """Do first filters become smooth because of what is learned, or of what is shown?

    alike: the correlation of neighbouring weights of the first filters.
    """
    train, test = loaders(device, seed, batch, resize=side, examples=examples)
    if arm.endswith("wrong labels"):
        deal_anew(train, seed)
    torch.manual_seed(seed)
    wide = wide_windows()
    net = nn.Sequential(Shuffle(side * side), wide) if arm.endswith("shuffled pixels") else wide
    _, results = trained(net, (train, test), seed, device, lr=lr, epochs=1, init=None)
    return results | {"alike": neighbours_alike(wide[0].weight.detach().cpu())}
