"""Experiments of chapter 08: depth with and without shortcuts, and transfer to digits."""

import copy
import functools
import random
import statistics

import torch
from torch import nn

from course_utils.data import load_data_digits
from course_utils.evidence.chapters.parts import deal_anew, loaders, trained
from course_utils.evidence.experiment import experiment
from course_utils.nets.resnet import Frozen, Pair, narrow, resnet18
from course_utils.training import INITS, evaluate_accuracy_gpu, training_steps

EVERY = 50  # steps in each point of a recorded curve


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
    """Does a deeper network train better or worse, without shortcuts and with them?

    loss_…: mean training loss of the 40 steps up to that one. mean_…: of the EVERY steps.
    """
    net, losses, (train, test) = _trained_pairs(arm, seed, device, steps, batch, lr)
    ends = range(EVERY, steps + 1, EVERY)
    curve = {f"mean_{end}": statistics.fmean(losses[end - EVERY : end]) for end in ends}
    return {
        "loss_200": statistics.fmean(losses[160:200]),
        "loss_900": statistics.fmean(losses[-40:]),
        **curve,
        "accuracy": evaluate_accuracy_gpu(net, test),
        "source": train.source,
    }


@experiment(
    "08_resnet",
    [f"{kind}, {depth} layers" for depth in (8, 32) for kind in ("plain", "residual")]
    + ["plain, 32 layers, 5 at once", "residual, 32 layers, 5 at once"],
    steps=900,
    batch=64,
    lr=0.1,
)
def pair_left_out(arm, seed, device, steps, batch, lr):
    """What does a trained network still know when one of its pairs of layers is left out?

    Control: five of the 15 pairs of 32 layers at once, a third as one of the three of 8 layers is.
    accuracy: the whole network's. without: the mean over all pairs, or over as many draws of five.
    lost: the share of what the whole one has above chance that is gone then.
    """
    net, _, (_, test) = _trained_pairs(arm, seed, device, steps, batch, lr)
    pairs = [i for i, layer in enumerate(net) if isinstance(layer, Pair)]
    chance = random.Random(seed)
    at_once = arm.endswith("5 at once")
    groups = [chance.sample(pairs, 5) if at_once else [pair] for pair in pairs]
    rest = [nn.Sequential(*(net[i] for i in range(len(net)) if i not in out)) for out in groups]
    whole = evaluate_accuracy_gpu(net, test)
    without = statistics.fmean(evaluate_accuracy_gpu(one, test) for one in rest)
    return {
        "accuracy": whole,
        "without": without,
        "lost": (whole - without) / (whole - 0.1),
        "source": test.source,
    }


def _trained_pairs(arm, seed, device, steps, batch, lr):
    """A net such as "plain, 8 layers" after so many steps of SGD; its losses and its loaders."""
    kind, layers, *_ = arm.split(", ")
    net = narrow(int(layers.removesuffix(" layers")), shortcut=kind == "residual")
    net.apply(INITS["kaiming"]).to(device)
    data = loaders(device, seed, batch, examples=steps * batch)
    sgd = torch.optim.SGD(net.parameters(), lr=lr)
    losses = [loss for loss, _, _ in training_steps(net, data[0], sgd, device=device)]
    return net, torch.stack(losses).tolist(), data


WAYS = {"frozen": (0.003, 0.01, 0.03), "fine-tuned": (0.0005, 0.001, 0.002)}
WAYS["from scratch"] = WAYS["wrong labels"] = WAYS["fine-tuned"]


@functools.cache
def garment_body(seed, device, wrong_labels=False):
    """All layers but the last of a ResNet-18 that was trained on garments as chapter 08 does.

    wrong_labels: on garments whose labels were dealt out anew, so that they say nothing.
    """
    train, judge = loaders(device, seed, resize=32, examples=40000)
    if wrong_labels:
        deal_anew(train, seed)
    net = resnet18(in_channels=1, num_classes=10)
    trained(net, (train, judge), seed, device, lr=0.004, epochs=2, init="kaiming")
    return nn.Sequential(*list(net)[:-1])


@experiment(
    "08_resnet",
    [f"{way}, {passes} passes" for passes in (4, 16) for way in WAYS],
    seeds=3,
    examples=200,
    batch=25,
)
def transfer(arm, seed, device, examples, batch):
    """Does a network that knows garments learn digits from few examples faster than a new one?

    Of three learning rates each way gets the one that is best on the development digits. Control:
    a fine-tuned network that was trained just as long on garments with wrong labels.
    """
    way, passes = arm.removesuffix(" passes").split(", ")
    more = {"device": device, "seed": seed, "source": "embedded"}  # the same everywhere
    digits, dev, test = load_data_digits(
        batch, 32, train_examples=examples, dev_examples=300, test_examples=2000, **more
    )
    tried = []
    for rate in WAYS[way]:
        body = copy.deepcopy(garment_body(seed, str(device), way == "wrong labels"))
        torch.manual_seed(seed)
        net = nn.Sequential(Frozen(body) if way == "frozen" else body, nn.Linear(512, 10))
        if way == "from scratch":
            net.to(device).apply(INITS["kaiming"])
        recipe = {"lr": rate, "epochs": int(passes), "init": None}
        _, results = trained(net, (digits, dev), seed, device, **recipe)
        tried.append((results["accuracy"], rate, net))
    _, rate, best = max(tried, key=lambda one: one[0])
    return {"accuracy": evaluate_accuracy_gpu(best, test), "rate": rate, "source": digits.source}
