"""The networks and settings that are measured, as the chapters train them now."""

import ast
import inspect
from dataclasses import dataclass, field
from importlib import import_module

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

    def loaders(self, train_examples=None, test_examples=None, device=None):
        """The course's loaders at these settings, on `device`; None: all examples, the CPU."""
        from course_utils.data import load_data_fashion_mnist

        return load_data_fashion_mnist(
            self.batch_size,
            self.image_size,
            train_examples=train_examples,
            test_examples=test_examples,
            device=device,
            seed=0,
        )

    def train(self, train_iter, test_iter=None, seed=0, device="cpu"):
        """One epoch with the course's trainer; returns its History."""
        from course_utils.training import train_ch6

        net = self.build(seed)
        settings = {"verbose": False, **self.computing}
        return train_ch6(net, train_iter, test_iter, 1, self.lr, device, **settings)


def lenet_case(manifest):
    """LeNet at the published settings; computing as its chapter does in the quick profile."""
    chapter = _chapter(manifest, "lenet")
    full, values = chapter.full, parameters(chapter.file)
    return Case("LeNet", "lenet", None, full["batch_size"], full["lr"], {}, _computing(values))


def quick_case(manifest, topic):
    """A chapter's network as its `parameters` cell has it, with SGD at the published rate."""
    chapter = _chapter(manifest, topic)
    return _case(chapter, parameters(chapter.file))


def published_case(manifest, topic, batch_size):
    """A chapter's network at the full profile's image size; computing as in the quick profile."""
    chapter = _chapter(manifest, topic)
    values = parameters(chapter.file)
    published = chapter.full | _computing(values) | {"batch_size": batch_size}
    return _case(chapter, values | published)


def parameters(notebook):
    """Name -> value of a notebook's `parameters` cell; what is no plain value is left out."""
    import papermill

    found = {}
    for name, parameter in papermill.inspect_notebook(str(notebook)).items():
        try:
            found[name] = ast.literal_eval(parameter["default"])
        except (ValueError, SyntaxError):
            continue
    return found


def _chapter(manifest, topic):
    for chapter in manifest.chapters:
        if chapter.topic == topic:
            return chapter
    raise RunError(f"{manifest.path.name} has no chapter on {topic}, which is to be measured")


def _case(chapter, values):
    from course_utils import nets

    row = nets.preset(values["preset"])
    factory = getattr(import_module(f"course_utils.nets.{row.module}"), row.factory)
    taken = inspect.signature(factory).parameters
    known = {"in_channels": 1, "num_classes": 10, "input_size": values["image_size"], **values}
    return Case(
        title=chapter.title,
        preset=values["preset"],
        image_size=values["image_size"],
        batch_size=values["batch_size"],
        lr=chapter.full["lr"],
        options={name: known[name] for name in taken if name in known},
        computing=_computing(values),
    )


def _computing(values):
    return {name: values[name] for name in _COMPUTING if name in values}
