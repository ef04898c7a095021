"""Small data sets and weights, with their own checksums in place of the published ones."""

import gzip
import hashlib
import io
from types import SimpleNamespace

import numpy as np
import torch

from course_utils.data.sources import IdxDataset


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def small_files(train=20, test=10):
    """File name -> content of a whole, small set in the layout of Fashion-MNIST."""
    rng, files = np.random.default_rng(0), {}
    for prefix, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28))
        files[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx_bytes(np.arange(count) % 10)
    return files


def write_dataset(root, compressed=False, **counts):
    """Write a small set under `root`; returns its raw folder."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in small_files(**counts).items():
        if compressed:
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (raw / name).write_bytes(content)
    return raw


def small_dataset(mirrors=(), **counts):
    """What the course would know of such a set, were it published at `mirrors`."""
    sums = tuple(hashlib.sha256(c).hexdigest() for c in small_files(**counts).values())
    return IdxDataset("fashion-mnist", "Fashion-MNIST", "FashionMNIST", tuple(mirrors), sums)


def publish(monkeypatch, dataset):
    """Put `dataset` in Fashion-MNIST's place, as if it were the published one; returns it."""
    from course_utils.data import fashion, sources

    monkeypatch.setattr(sources, "FASHION_MNIST", dataset)
    monkeypatch.setattr(fashion, "FASHION_MNIST", dataset)
    monkeypatch.setitem(sources.DATASETS, "fashion-mnist", dataset)
    monkeypatch.setattr(sources, "_unreachable", set())
    return dataset


def saved(content, **options):
    """What torch.save writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def publish_weights(monkeypatch, hub, content, base="https://127.0.0.1:9/"):
    """Make `content` the weights that torchvision publishes under every name, at `base`.

    hub: an empty folder for torch's cache. Returns the path that the file gets in it.
    """
    from torchvision import models

    file = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    weights = SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=base + file))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    monkeypatch.setattr(models, "get_model_weights", lambda name: weights)
    (hub / "checkpoints").mkdir(parents=True, exist_ok=True)
    return hub / "checkpoints" / file
