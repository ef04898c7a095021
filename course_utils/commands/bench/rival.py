"""d2l 0.17.0, made ready to be measured: its trainer and loaders as they are, only silent."""

import contextlib
import io
import tempfile
import warnings
from pathlib import Path
from unittest import mock

from course_utils import settings
from course_utils.commands.bench.rounds import NotRun
from course_utils.data import sources


def load_d2l():
    """The module d2l.torch. Raises NotRun where it is not installed."""
    import IPython.display
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    # d2l imports a function that IPython no longer has
    IPython.display.set_matplotlib_formats = set_matplotlib_formats
    try:
        from d2l import torch as d2l
    except ImportError as error:
        raise NotRun(f"d2l cannot be imported ({error})") from None
    return d2l


def real_data():
    """The folder with the files that both sides read. Raises NotRun if there is none."""
    dataset = sources.FASHION_MNIST
    root = None if settings.standin_only() else dataset.find()
    if root is None:
        raise NotRun("no Fashion-MNIST here (course data --get fashion-mnist)")
    if any(path.suffix == ".gz" for path in dataset.paths(root).values()):
        raise NotRun(f"d2l reads unpacked files, those in {dataset.raw(root)} are packed")
    return root


def loaders(d2l, root, batch_size, resize=None, train_examples=None, test_examples=None):
    """d2l's own loaders on the files under `root`, of the first so many examples (None: all)."""
    counts = (train_examples, test_examples)
    with looking_into(root), _without_warnings():
        pair = d2l.load_data_fashion_mnist(batch_size, resize=resize)
        return tuple(_first(loader, n) for loader, n in zip(pair, counts, strict=True))


def train(d2l, net, train_iter, test_iter, lr):
    """One epoch of `d2l.train_ch6` on the CPU without its plot; returns the test accuracy."""
    import torch

    drawn = []

    class Silent:
        def __init__(self, **options):
            pass

        def add(self, x, y):
            drawn.append(y)

    with (
        mock.patch.object(d2l, "Animator", Silent),
        contextlib.redirect_stdout(io.StringIO()),
        _without_warnings(),
    ):
        d2l.train_ch6(net, train_iter, test_iter, 1, lr, torch.device("cpu"))
    return drawn[-1][-1]


@contextlib.contextmanager
def looking_into(root):
    """Inside, `../data`, where d2l looks for data sets and downloads to, is the folder `root`.

    Nothing is downloaded or copied: the files are there.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        try:
            work.with_name("data").symlink_to(Path(root).resolve(), target_is_directory=True)
        except OSError as error:  # Windows asks for a privilege
            raise NotRun(f"no symbolic link can be made here ({error.strerror})") from None
        with contextlib.chdir(work):
            yield


def _first(loader, examples):
    from torch.utils.data import DataLoader, RandomSampler, Subset

    if examples is None:
        return loader
    return DataLoader(
        Subset(loader.dataset, range(examples)),
        loader.batch_size,
        shuffle=isinstance(loader.sampler, RandomSampler),
        num_workers=loader.num_workers,
    )


@contextlib.contextmanager
def _without_warnings():
    """d2l starts four workers, however many cores there are, and torch says so each time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
