"""Loaders and sources: what they give, and what they say about bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from smalldata import idx_bytes, publish, small_dataset, write_dataset

from course_utils.data import (
    TensorLoader,
    describe,
    download,
    fashion,
    get_fashion_mnist_labels,
    load_data_digits,
    load_data_fashion_mnist,
    sources,
)
from course_utils.data.idx import read_idx, read_pair
from course_utils.errors import DataError


@pytest.fixture
def small(monkeypatch):
    """The small set of these tests counts as the published one."""
    return publish(monkeypatch, small_dataset())


# --- the loader ---------------------------------------------------------------------------------


@given(n=st.integers(1, 50), batch_size=st.integers(1, 60), shuffle=st.booleans())
def test_every_example_comes_once_per_epoch(n, batch_size, shuffle):
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1).expand(n, 4, 4)
    loader = TensorLoader(images, torch.arange(n), batch_size, shuffle=shuffle, seed=1)
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader)
        labels = torch.cat([y for _, y in batches])
        assert labels.sort().values.tolist() == list(range(n))
        pixels = torch.cat([X for X, _ in batches])[:, 0, 0, 0]
        torch.testing.assert_close(pixels * 255, labels.float())


def test_order_is_new_each_epoch_and_fixed_by_the_seed():
    def orders(seed):
        loader = TensorLoader(
            torch.zeros(100, 2, 2, dtype=torch.uint8),
            torch.arange(100),
            100,
            shuffle=True,
            seed=seed,
        )
        return [next(iter(loader))[1].tolist() for _ in range(2)]

    first, second = orders(3)
    assert first != second
    assert orders(3) == [first, second]
    assert orders(4) != [first, second]


def test_batches_are_scaled_and_resized():
    images = torch.full((5, 28, 28), 255, dtype=torch.uint8)
    X, y = next(iter(TensorLoader(images, [0, 1, 2, 3, 4], 5, resize=64)))
    assert X.shape == (5, 1, 64, 64) and X.dtype == torch.float32 and y.dtype == torch.int64
    torch.testing.assert_close(X, torch.ones_like(X))
    X, _ = next(iter(TensorLoader(images, [0, 1, 2, 3, 4], 5, resize=(8, 12))))
    assert X.shape == (5, 1, 8, 12)


def test_resizing_is_that_of_torchvision():
    from torchvision.transforms.v2.functional import resize

    images = torch.randint(256, (3, 1, 28, 28), dtype=torch.uint8)
    for size in (14, 32, 96):
        X, _ = next(iter(TensorLoader(images, [0, 1, 2], 3, resize=size)))
        torch.testing.assert_close(X, resize(images / 255, [size, size], antialias=True))


def test_fast_run_gives_three_batches(monkeypatch):
    loader = TensorLoader(torch.zeros(100, 2, 2, dtype=torch.uint8), torch.zeros(100), 10)
    assert len(list(loader)) == len(loader) == 10
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    assert len(list(loader)) == len(loader) == 3


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, True])
def test_bad_batch_size(batch_size):
    with pytest.raises(DataError, match="batch_size must be a whole number of at least 1"):
        load_data_fashion_mnist(batch_size, source="embedded")


@pytest.mark.parametrize("resize", [-1, 0, (3, 4, 5), (8, -8)])
def test_bad_resize(resize):
    with pytest.raises(DataError, match="resize must be"):
        load_data_fashion_mnist(8, resize, source="embedded", train_examples=9, test_examples=9)


def test_zero_images():
    with pytest.raises(DataError, match="test_examples must be"):
        load_data_fashion_mnist(8, source="embedded", test_examples=0)
    with pytest.raises(DataError, match="zero images"):
        TensorLoader(torch.zeros(0, 28, 28, dtype=torch.uint8), [], 8)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
def test_files_plain_and_gzipped(tmp_path, small, compressed):
    write_dataset(tmp_path, compressed=compressed)
    train, test = load_data_fashion_mnist(8, root=tmp_path, seed=0)
    assert (train.num_examples, test.num_examples) == (20, 10)
    assert train.source == test.source == "Fashion-MNIST"
    assert test.labels.tolist() == list(range(10))
    train, _ = load_data_fashion_mnist(8, root=tmp_path, train_examples=12)
    assert train.labels.tolist() == [*range(10), 0, 1]
    with pytest.raises(DataError, match="there are only 20"):
        load_data_fashion_mnist(8, root=tmp_path, train_examples=21)


@pytest.mark.parametrize("cut", [0, 3, 15, 16, 5000])
def test_truncated_idx_file(tmp_path, cut):
    raw = write_dataset(tmp_path)
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="train-images-idx3-ubyte.*(header|cut)"):
        load_data_fashion_mnist(8, root=tmp_path)


def test_file_that_is_too_long(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx_bytes(np.zeros(3)) + b"!")
    with pytest.raises(DataError, match="cut or damaged"):
        read_idx(path, 1)


def test_wrong_magic_number(tmp_path, small):
    raw = write_dataset(tmp_path)
    images, labels = raw / "t10k-images-idx3-ubyte", raw / "t10k-labels-idx1-ubyte"
    with pytest.raises(DataError, match="wrong magic number 00000801, expected 00000803"):
        read_idx(labels, 3)
    content = bytearray(images.read_bytes())
    content[2] = 13
    images.write_bytes(content)
    with pytest.raises(DataError, match="wrong magic number"):
        load_data_fashion_mnist(8, root=tmp_path)


def test_damaged_gzip(tmp_path):
    raw = write_dataset(tmp_path, compressed=True)
    path = raw / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no gzip", whole[:40] + b"\0\0\0\0" + whole[44:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="cannot be read"):
            read_idx(path, 3)


def test_labels_and_images_of_different_length(tmp_path):
    (tmp_path / "images").write_bytes(idx_bytes(np.zeros((20, 28, 28))))
    (tmp_path / "labels").write_bytes(idx_bytes(np.zeros(19)))
    with pytest.raises(DataError, match="20 images but .* 19 labels"):
        read_pair(tmp_path / "images", tmp_path / "labels")


def test_a_wrong_pixel_or_label_is_noticed(tmp_path, small):
    """The format has no checksum of its own: what is known of the published files tells."""
    raw = write_dataset(tmp_path)
    for name in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        whole = (raw / name).read_bytes()
        (raw / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(DataError, match=f"{name}: is not the published file"):
            load_data_fashion_mnist(8, root=tmp_path)
        (raw / name).write_bytes(whole)
    load_data_fashion_mnist(8, root=tmp_path)


def test_label_out_of_range(tmp_path):
    (tmp_path / "images").write_bytes(idx_bytes(np.zeros((2, 28, 28))))
    (tmp_path / "labels").write_bytes(idx_bytes(np.array([1, 10])))
    with pytest.raises(DataError, match="label 10 of 10 classes"):
        read_pair(tmp_path / "images", tmp_path / "labels")


# --- sources ------------------------------------------------------------------------------------


def test_without_files_and_network_the_standin_says_so_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fashion, "_announced", False)
    for _ in range(2):
        train, _ = load_data_fashion_mnist(8, root=tmp_path, train_examples=9, test_examples=9)
        assert train.source == "Fashion-MNIST stand-in"
    said = capsys.readouterr().out
    assert said.count("using the stand-in") == 1
    assert "course data --get fashion-mnist" in said


def test_files_are_asked_for_but_missing(tmp_path):
    with pytest.raises(DataError, match="course data --get fashion-mnist"):
        load_data_fashion_mnist(8, root=tmp_path, source="files")
    with pytest.raises(DataError, match="unknown source 'disk'; use one of auto"):
        load_data_fashion_mnist(8, source="disk")


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written .*COURSE_DATA"):
        download("fashion-mnist", tmp_path / "file" / "data")
    with pytest.raises(DataError, match="unknown data set 'fashion'"):
        download("fashion")


def test_describe_knows_damage(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    write_dataset(tmp_path)
    row = next(row for row in describe() if row["name"] == "fashion-mnist")
    assert row["present"] and row["verified"] is False
    assert "NOT the published files" in row["note"]


def test_the_real_data_is_verified_and_has_the_published_statistics(real_data):
    sources.FASHION_MNIST.verify(real_data)
    train, test = load_data_fashion_mnist(256, root=real_data)
    assert (train.num_examples, test.num_examples) == (60_000, 10_000)
    pixels = train.images.float() / 255
    assert pixels.mean().item() == pytest.approx(0.2860, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3530, abs=5e-5)
    assert train.labels.bincount().tolist() == [6000] * 10


# --- digits and names ---------------------------------------------------------------------------


def test_digits_are_disjoint_shuffled_and_real():
    sets = load_data_digits(64, resize=32, train_examples=1000, source="embedded")
    assert [s.num_examples for s in sets] == [1000, 200, 200]
    assert next(iter(sets[0]))[0].shape == (64, 1, 32, 32)
    assert all(s.labels.unique().numel() == 10 for s in sets)
    seen = [bytes(image.numpy()) for s in sets for image in s.images]
    assert len(set(seen)) == len(seen)
    with pytest.raises(DataError, match="5400 digits asked for"):
        load_data_digits(64, train_examples=5000, source="embedded")


def test_labels_to_names():
    assert get_fashion_mnist_labels(torch.tensor([0, 9])) == ["t-shirt", "ankle boot"]
