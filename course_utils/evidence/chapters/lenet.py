"""Experiments of chapter 03: what LeNet owes to its parts, and the ledger of all networks."""

from torch import nn

from course_utils.evidence.chapters.parts import Change, Shuffle, loaders, trained
from course_utils.evidence.experiment import evidence, experiment
from course_utils.measure import count_macs, count_parameters
from course_utils.nets import build
from course_utils.nets.alexnet import random_shift
from course_utils.nets.lenet import lenet

RATES = 0.001, 0.002, 0.005, 0.01


def perceptron():
    """One hidden layer, as wide as gives LeNet's number of parameters (61,225 and 61,706)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 77), nn.ReLU(), nn.Linear(77, 10))


def shifted_lenet():
    return nn.Sequential(Change(lambda X: random_shift(X, 1)), lenet(nn.ReLU, nn.MaxPool2d))


NETS = {  # arm -> how to build it, and the side of its images
    "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), 28),
    "perceptron": (perceptron, 28),
    "LeNet, sigmoid, average": (lenet, 28),
    "LeNet, sigmoid, maximum": (lambda: lenet(nn.Sigmoid, nn.MaxPool2d), 28),
    "LeNet, ReLU, average": (lambda: lenet(nn.ReLU, nn.AvgPool2d), 28),
    "LeNet, ReLU, maximum": (lambda: lenet(nn.ReLU, nn.MaxPool2d), 28),
    "LeNet, ReLU, maximum, shifts": (shifted_lenet, 28),
    "AlexNet": (lambda: build("alexnet-cifar", in_channels=1), 32),
    "VGG-11, a quarter as wide": (lambda: build("vgg11-slim-32"), 32),
    "GoogLeNet": (lambda: build("googlenet-cifar", in_channels=1), 32),
    "ResNet-18": (lambda: build("resnet18", in_channels=1, num_classes=10), 32),
}


def _init(arm):
    """Xavier's rule for sigmoids, Kaiming's for ReLUs."""
    return "xavier" if arm == "linear" or "sigmoid" in arm else "kaiming"


@experiment(
    "03_lenet",
    [f"{net} at {rate}" for net in NETS for rate in RATES],
    seeds=1,
    epochs=5,
    batch=128,
)
def ledger_rates(arm, seed, device, epochs, batch):
    """Which learning rate suits each network of the ledger, by images held out of the training?"""
    return _at_rate(arm, seed, device, epochs, batch, held_out=True)


def _at_rate(arm, seed, device, epochs, batch, held_out=False):
    """The results of an arm such as "linear at 0.01"."""
    name, rate = arm.rsplit(" at ", 1)
    make, side = NETS[name]
    data = loaders(device, seed, batch, None if side == 28 else side, held_out=held_out)
    recipe = {"lr": float(rate), "epochs": epochs, "init": _init(name)}
    return trained(make(), data, seed, device, **recipe)[1]


def best_rate(net):
    """The learning rate with which `net` was best on the held-out images."""
    scores = evidence("ledger_rates")
    return max(RATES, key=lambda rate: max(scores.get(f"{net} at {rate}", [-1.0])))


@experiment("03_lenet", NETS, epochs=5, batch=128)
def ledger(arm, seed, device, epochs, batch):
    """From a linear classifier to a residual network: what does each step add, with one recipe?"""
    make, side = NETS[arm]
    data = loaders(device, seed, batch, None if side == 28 else side)
    net, rate = make(), best_rate(arm)
    history, results = trained(net, data, seed, device, lr=rate, epochs=epochs, init=_init(arm))
    return results | {
        "parameters": count_parameters(net),
        "macs": count_macs(net, (1, side, side)),
        "rate": rate,
        "training_seconds": sum(history.seconds),
    }


@experiment(
    "03_lenet",
    [
        f"{net} at {rate}"
        for net in ("perceptron", "LeNet, sigmoid, average")
        for rate in (0.01, 0.02, 0.05)
    ],
    seeds=3,
    epochs=5,
    batch=128,
)
def larger_rates(arm, seed, device, epochs, batch):
    """Does LeNet with sigmoids catch up with the perceptron at rates beyond the ledger's?"""
    return _at_rate(arm, seed, device, epochs, batch)


@experiment(
    "03_lenet",
    [
        f"{net}, {order}"
        for net in ("perceptron", "LeNet, ReLU, maximum")
        for order in ("pixels in place", "pixels shuffled")
    ],
    epochs=5,
    batch=128,
)
def shuffled(arm, seed, device, epochs, batch):
    """Does a convolution need neighbours to be neighbours, and does a perceptron?"""
    name, order = arm.rsplit(", ", 1)
    make, _ = NETS[name]
    net = nn.Sequential(Shuffle(), make()) if order == "pixels shuffled" else make()
    recipe = {"lr": best_rate(name), "epochs": epochs, "init": _init(name)}
    return trained(net, loaders(device, seed, batch), seed, device, **recipe)[1]


@experiment(
    "03_lenet",
    [f"LeNet, {kind} at {rate}" for kind in ("sigmoid", "ReLU") for rate in (0.1, 0.9)],
    epochs=10,
    batch=256,
)
def plain_sgd(arm, seed, device, epochs, batch):
    """How long does a LeNet with sigmoids stand still under plain SGD, and one with ReLUs?"""
    kind, rate = arm.removeprefix("LeNet, ").split(" at ")
    net = lenet(nn.Sigmoid if kind == "sigmoid" else nn.ReLU)
    plain = {"optimizer": "sgd", "scheduler": None, "init": "xavier"}
    recipe = {"lr": float(rate), "epochs": epochs, **plain}
    history, results = trained(net, loaders(device, seed, batch), seed, device, **recipe)
    return {f"after_{n}": history.test_acc[n - 1] for n in (1, 2, 5)} | results
