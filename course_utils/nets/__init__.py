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


PRESETS = {
    "lenet": Preset("lenet", "lenet", (1, 28, 28), 10, 61_706),
    "lenet-rgb": Preset("lenet", "LeNetRGB", (3, 32, 32), 10, 62_006),
    "lenet-wide": Preset("lenet", "LeNetWide", (3, 32, 32), 10, 121_182),
    "mnist-convnet": Preset("lenet", "MnistConvNet", (1, 28, 28), 10, 21_840),
    "mnist-cnn": Preset("lenet", "MnistCNN", (1, 28, 28), 10, 421_642),
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
