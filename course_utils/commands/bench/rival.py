"""d2l 0.17.0, made ready to be measured: its trainer and loaders as they are, only silent."""

import contextlib
import io
import warnings
from unittest import mock

from course_utils import settings
from course_utils.data import sources
from course_utils.errors import RunError


def load_d2l():
    """The module d2l.torch. Raises RunError where it is not installed."""
    import IPython.display
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    # d2l imports a function that IPython no longer has
    IPython.display.set_matplotlib_formats = set_matplotlib_formats
    try:
        from d2l import torch as d2l
    except ImportError as error:
        raise RunError(f"d2l cannot be imported ({error})") from None
    return d2l


def real_data():
    """The folder with the files that both sides read. Raises RunError if there is none."""
    dataset = sources.FASHION_MNIST
    root = None if settings.standin_only() else dataset.find()
    if root is None:
        raise RunError("no Fashion-MNIST here (course data --get fashion-mnist)")
    if any(path.suffix == ".gz" for path in dataset.paths(root).values()):
        raise RunError(f"d2l reads unpacked files, those in {dataset.raw(root)} are packed")
    return root


def loaders(d2l, root, batch_size, resize=None, train_examples=None, test_examples=None):
    """d2l's own loaders on the files under `root`, of the first so many examples (None: all)."""
    from torch.utils.data import Subset
    from torchvision import datasets

    whole, counts = datasets.FashionMNIST, {True: train_examples, False: test_examples}

    def first(train, transform, **where_d2l_looks):
        dataset = whole(root, train, transform)
        examples = counts[train] or len(dataset)
        return dataset if examples == len(dataset) else Subset(dataset, range(examples))

    with mock.patch.object(datasets, "FashionMNIST", first), _silence():
        return d2l.load_data_fashion_mnist(batch_size, resize=resize)


def train(d2l, net, train_iter, test_iter, lr, device="cpu"):
    """One epoch of `d2l.train_ch6` without its plot; returns the test accuracy.

    test_iter: None: no evaluation, and 0 as the accuracy.
    """
    import torch

    animator = mock.Mock()
    patches = {"Animator": animator}
    if test_iter is None:
        patches["evaluate_accuracy_gpu"] = lambda *arguments: 0.0
    with mock.patch.multiple(d2l, **patches), _silence():
        d2l.train_ch6(net, train_iter, test_iter, 1, lr, torch.device(device))
    _, (_, _, accuracy) = animator.return_value.add.call_args.args
    return accuracy


@contextlib.contextmanager
def _silence():
    """d2l prints, and starts four workers whatever the cores, which torch warns of each time."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
