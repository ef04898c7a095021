"""Experiments of chapter 06: one large window against small ones, and where the weights start."""

from course_utils.data.loader import TensorLoader
from course_utils.evidence.chapters.parts import loaders, trained
from course_utils.evidence.experiment import experiment
from course_utils.nets.vgg import (
    VGG,
    five_windows,
    gaussian,
    one_window,
    split_marks,
    two_stages,
)

RIVALS = {
    "one 11×11, 80 channels": lambda: one_window(80),
    "one 11×11, 320 channels": lambda: one_window(320),
    "five 3×3, 16 channels": lambda: five_windows(16),
}
WINDOWS = {"one 7×7": (7, 1), "three 3×3": (3, 3)}


@experiment("06_vgg", RIVALS, epochs=20, batch=50, lr=0.003)
def marks(arm, seed, device, epochs, batch, lr):
    """Are two marks the same? Judged on images that were not trained on, by construction."""
    parts = split_marks(seed)
    data = (
        TensorLoader(*parts[0], batch, shuffle=True, seed=seed, device=device),
        TensorLoader(*parts[1], 500, device=device),
    )
    recipe = {"lr": lr, "epochs": epochs, "init": "kaiming", "amp": False}
    history, results = trained(RIVALS[arm](), data, seed, device, **recipe)
    about = {"train_accuracy": history.train_acc[-1], "source": "all 2,916 images of two marks"}
    return results | about


@experiment(
    "06_vgg",
    [f"{name}, {examples} images" for examples in (6400, 60000) for name in WINDOWS],
    epochs=2,
    batch=64,
    lr=0.003,
)
def windows(arm, seed, device, epochs, batch, lr):
    """On garments, does a stack of small windows do as well as one large one?"""
    name, examples = arm.removesuffix(" images").split(", ")
    data = loaders(device, seed, batch, examples=int(examples))
    recipe = {"lr": lr, "epochs": epochs, "init": "kaiming"}
    return trained(two_stages(*WINDOWS[name]), data, seed, device, **recipe)[1]


STARTS = {"normal 0.01": gaussian, "default": None, "Xavier": "xavier", "Kaiming": "kaiming"}


@experiment(
    "06_vgg",
    [f"{start}, {epochs} epochs" for epochs in (1, 5) for start in STARTS],
    examples=9600,
    batch=64,
    lr=0.001,
)
def starts(arm, seed, device, examples, batch, lr):
    """How far does VGG-16, an eighth as wide, come from four rules for the first weights?"""
    name, epochs = arm.removesuffix(" epochs").split(", ")
    data = loaders(device, seed, batch, resize=32, examples=examples)
    net = VGG("D", input_size=32, shrink=8, hidden=256)
    recipe = {"init": STARTS[name], "scheduler": None, "amp": False}
    return trained(net, data, seed, device, lr=lr, epochs=int(epochs), **recipe)[1]
