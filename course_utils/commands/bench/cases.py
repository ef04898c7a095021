"""The networks and settings that are measured, as the chapters train them now."""

import ast
import inspect
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module

from course_utils.commands.notebooks import parameter_cell
from course_utils.errors import RunError

TOPICS = ("alexnet", "vgg", "googlenet", "resnet")
# What the trainer does to be fast. The rest (SGD, Xavier, one rate) is d2l's on both sides.
_COMPUTING = ("amp", "compile")


@dataclass(frozen=True)
class Case:
    """One network at given settings.

    preset, options: what `course_utils.nets.build` takes. image_size: side in pixels, None: 28.
    lr: of plain SGD. computing: arguments of `train_ch6` that say how to compute.
    """

    title: str
    preset: str
    image_size: int | None
    batch_size: int
    lr: float
    options: dict = field(default_factory=dict)
    computing: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.title} ({self.preset})"

    def build(self, seed=0):
        """A net with weights drawn from `seed`."""
        import torch

        from course_utils import nets

        torch.manual_seed(seed)
        return nets.build(self.preset, **self.options)

    def whole_batches(self, examples, least=5):
        """`examples`, less what does not fill a batch; at least so many batches.

        d2l's trainer divides by a fifth of the number of batches and dies below five.
        """
        return max(least, examples // self.batch_size) * self.batch_size

    def loaders(self, train_examples, test_examples=1, device=None):
        """The course's loaders of so many examples at these settings, on `device` (the CPU)."""
        from course_utils.data import load_data_fashion_mnist

        counts = {"train_examples": train_examples, "test_examples": test_examples}
        size = (self.batch_size, self.image_size)
        return load_data_fashion_mnist(*size, **counts, device=device, seed=0)

    def train(self, net, train_iter, test_iter=None, device="cpu"):
        """One epoch with the course's trainer; returns its History."""
        from course_utils.training import train_ch6

        settings = {"verbose": False, **self.computing}
        return train_ch6(net, train_iter, test_iter, 1, self.lr, device, **settings)


def chapter_case(manifest, topic, published=False):
    """A chapter's network as its `parameters` cell has it, with SGD at the published rate.

    published: the full profile's form, image and batch size, as LeNet always has them; how it
    computes is the quick profile's. Raises RunError if there is no such chapter.
    """
    from course_utils import nets

    found = [chapter for chapter in manifest.chapters if chapter.topic == topic]
    if not found:
        raise RunError(f"{manifest.path.name} has no chapter on {topic}, which is to be measured")
    title, full = found[0].title, found[0].full
    values = {"preset": topic, "image_size": None} | parameters(found[0].file)
    computing = {name: values[name] for name in _COMPUTING if name in values}
    if published or topic == "lenet":
        values |= full
    row = nets.preset(values["preset"])
    factory = getattr(import_module(f"course_utils.nets.{row.module}"), row.factory)
    known = {"in_channels": 1, "num_classes": 10, "input_size": values["image_size"], **values}
    options = {name: known[name] for name in inspect.signature(factory).parameters if name in known}
    form = (values["preset"], values["image_size"], values["batch_size"])
    return Case(title, *form, full["lr"], options, computing)


def parameters(notebook):
    """Name -> value of a notebook's `parameters` cell; what is no plain value is left out."""
    found = {}
    for name, expression in (parameter_cell(notebook) or {}).items():
        with suppress(ValueError):
            found[name] = ast.literal_eval(expression)
    return found
