"""Every network of the course by name: `build("lenet")`.

The networks themselves are defined in the chapters; `course save` copies those cells into the
modules beside this file. Only this table is written by hand.
"""

import difflib
import importlib
from dataclasses import dataclass, field

from course_utils.errors import CourseError


@dataclass(frozen=True)
class Preset:
    """One named configuration of a network.

    module, factory: where its class or function is, and its name. options: its arguments.
    input_shape: (C, H, W) of one example. classes: number of logits.
    parameters: the exact number of trainable parameters.
    """

    module: str
    factory: str
    input_shape: tuple
    classes: int
    parameters: int
    options: dict = field(default_factory=dict)


_IMAGENET = {"in_channels": 3, "num_classes": 1000}

PRESETS = {
    "lenet": Preset("lenet", "lenet", (1, 28, 28), 10, 61_706),
    "lenet5": Preset("lenet5_lab", "LeNet5", (1, 32, 32), 10, 61_706),
    "lenet-rgb": Preset("lenet", "LeNetColour", (3, 32, 32), 10, 62_006),
    "lenet-wide": Preset("lenet", "LeNetColour", (3, 32, 32), 10, 121_182, {"widths": (16, 32)}),
    "mnist-convnet": Preset("lenet", "MnistConvNet", (1, 28, 28), 10, 21_840),
    "mnist-cnn": Preset("lenet", "MnistCNN", (1, 28, 28), 10, 421_642),
    "alexnet": Preset("alexnet", "AlexNet", (1, 224, 224), 10, 46_764_746),
    "alexnet-cifar": Preset("alexnet", "AlexNetSmall", (3, 32, 32), 10, 9_244_970),
    "alexnet-half": Preset(
        "alexnet",
        "AlexNet",
        (3, 224, 224),
        1000,
        16_630_440,
        {**_IMAGENET, "widths": (48, 128, 192, 192, 128), "hidden": 2048, "padding": 2},
    ),
    "alexnet-torchvision": Preset(
        "alexnet",
        "AlexNet",
        (3, 224, 224),
        1000,
        61_100_840,
        {**_IMAGENET, "widths": (64, 192, 384, 256, 256), "padding": 2},
    ),
    "vgg11": Preset("vgg", "VGG", (1, 224, 224), 10, 128_806_154, {"config": "A"}),
    "vgg11-slim": Preset("vgg", "VGG", (1, 224, 224), 10, 43_093_322, {"config": "A", "shrink": 4}),
    "vgg11-slim-32": Preset(  # what chapter 06 trains on a CPU
        "vgg",
        "VGG",
        (1, 32, 32),
        10,
        910_666,
        {"config": "A", "shrink": 4, "input_size": 32, "hidden": 512},
    ),
    "vgg16-cifar": Preset(
        "vgg",
        "VGG",
        (3, 32, 32),
        10,
        33_638_218,
        {"config": "D", "in_channels": 3, "input_size": 32},
    ),
    "vgg16": Preset("vgg", "VGG", (3, 224, 224), 1000, 138_357_544, {"config": "D", **_IMAGENET}),
    "googlenet-cifar": Preset("googlenet", "googlenet_small", (3, 32, 32), 10, 5_983_802),
    "googlenet-d2l": Preset(
        "googlenet", "googlenet_small", (1, 96, 96), 10, 5_977_530, {"in_channels": 1}
    ),
    "googlenet": Preset("googlenet", "googlenet", (3, 224, 224), 1000, 13_378_280),
    "resnet-stride2": Preset("resnet", "resnet_stride2", (3, 32, 32), 10, 7_497_418),
    "resnet18-d2l": Preset("resnet", "resnet18_d2l", (1, 224, 224), 10, 11_178_378),
    "resnet18": Preset("resnet", "resnet18", (3, 224, 224), 1000, 11_689_512),
    "resnet34": Preset("resnet", "resnet34", (3, 224, 224), 1000, 21_797_672),
    "resnet50": Preset("resnet", "resnet50", (3, 224, 224), 1000, 25_557_032),
}


def names():
    """The names that `build` knows, in the order of the chapters."""
    return list(PRESETS)


def preset(name):
    """The table's row for `name`. Raises CourseError, with the nearest names, if there is none."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=3) or names()
        raise CourseError(f"unknown network {name!r}; did you mean {', '.join(near)}?")
    return PRESETS[name]


def build(name, **overrides):
    """A freshly initialised network.

    name: one of `names()`. overrides: arguments of the network's factory, such as
    `num_classes=100`; an unknown one is a CourseError.
    """
    row = preset(name)
    factory = getattr(importlib.import_module(f"course_utils.nets.{row.module}"), row.factory)
    try:
        return factory(**{**row.options, **overrides})
    except TypeError as error:
        raise CourseError(f"{name}: {error}") from error
