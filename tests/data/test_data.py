"""Loaders and sources: what they give, and what they say about bad input."""

import gzip

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from smalldata import idx_bytes, publish, small_dataset, small_files, write_dataset

from course_utils import settings
from course_utils.data import (
    STANDIN_TITLE,
    TensorLoader,
    describe,
    download,
    get_fashion_mnist_labels,
    load_data_digits,
    load_data_fashion_mnist,
    sources,
)
from course_utils.data.digits import CARRIED_TITLE
from course_utils.data.idx import read_pair
from course_utils.errors import DataError, TrainingError


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


def test_processes_share_every_batch():
    def numbers():
        images = torch.zeros(11, 2, 2, dtype=torch.uint8)
        return TensorLoader(images, torch.arange(11), 4, shuffle=True, seed=3)

    whole, given = [sorted(y.tolist()) for _, y in numbers()], [[], [], []]
    for rank in range(2):
        loader = numbers()
        with loader.sharing(rank, 2):
            for batch, (_, y) in zip(given, loader, strict=True):
                assert loader.is_shared and loader.mean_divisor() == (
                    1.5 if batch is given[2] else 2
                )
                batch += y.tolist()
        assert not loader.is_shared and len(next(iter(loader))[1]) == loader.mean_divisor() == 4
    assert [sorted(batch) for batch in given] == whole
    with pytest.raises(TrainingError, match="3 examples for 4 processes"), numbers().sharing(0, 4):
        pass


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


def test_a_description_is_of_the_data_not_of_their_order():
    images, labels = torch.arange(48, dtype=torch.uint8).reshape(12, 2, 2), torch.arange(12)
    ours = TensorLoader(images, labels, 4, shuffle=True, seed=1, source="ours", resize=(8, 6))
    about = ours.description()
    assert about | {"digest": ""} == {
        "source": "ours", "digest": "", "examples": 12, "batch_size": 4, "size": [8, 6]
    }  # fmt: skip
    next(iter(ours))
    again = TensorLoader(images.clone(), labels, 4, seed=2, source="ours", resize=(8, 6))
    assert ours.description() == again.description() == about
    changed = images.clone()
    changed[3, 1, 1] += 1
    others = [(changed, labels), (images, labels.flip(0)), (images.flip(0), labels)]
    others.append((images.view(12, 4, 1), labels))
    digests = [TensorLoader(*other, 4).description()["digest"] for other in others]
    assert len({about["digest"], *digests}) == 5


def test_fast_run_gives_three_batches(monkeypatch):
    loader = TensorLoader(torch.zeros(100, 2, 2, dtype=torch.uint8), torch.zeros(100), 10)
    assert len(list(loader)) == len(loader) == 10
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    assert len(list(loader)) == len(loader) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        *[
            ({"batch_size": b}, "batch_size must be a whole")
            for b in (0, -1, 2.5, True, None, "a", np.nan)
        ],
        *[({"resize": r}, "resize must be") for r in (-1, 0, (3, 4, 5), (8, -8))],
        ({"test_examples": 0}, "test_examples must be a whole number of at least 1"),
        *[({"seed": s}, "seed must be a whole number") for s in (1.5, "1", 2**70)],
        ({"source": "disk"}, "unknown source 'disk'; use one of auto"),
    ],
)
def test_a_wrong_argument(wrong, said):
    small = {"batch_size": 8, "source": "embedded", "train_examples": 9, "test_examples": 9}
    with pytest.raises(DataError, match=said):
        load_data_fashion_mnist(**small | wrong)


BYTES, CLASSES = torch.zeros(4, 2, 2, dtype=torch.uint8), [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (torch.zeros(0, 28, 28, dtype=torch.uint8), [], "zero images"),
        *[
            (images, CLASSES, r"whole numbers from 0 to 255.* make \(images \* 255\)")
            for images in (
                torch.rand(4, 2, 2),
                np.ones((4, 2, 2)),
                BYTES.bool(),
                BYTES.long() + 256,
                BYTES.long() - 1,
                BYTES.to(torch.complex64),
            )
        ],
        (BYTES[0], CLASSES, r"\(N, C, H, W\), got \(2, 2\)"),
        (BYTES, CLASSES[:3], r"\(4, 2, 2\) need labels of shape \(4,\).*got \(3,\)"),
        (BYTES, torch.zeros(4, 1), r"need labels of shape \(4,\).*got \(4, 1\)"),
        (BYTES, torch.eye(4), r"need labels of shape \(4,\).*got \(4, 4\)"),
        (BYTES, [0.9, 1, 2, 3], r"labels must be whole .*\[0.8"),
        (BYTES, [0, 1, float("nan"), 3], "labels must be whole"),
        (BYTES, [0, 1, -1, 3], "labels must be whole numbers from 0"),
    ],
)
def test_images_and_labels_that_would_have_to_be_changed(images, labels, said):
    with pytest.raises(DataError, match=said):
        TensorLoader(images, labels, 2)


@pytest.mark.parametrize("kind", [torch.int16, torch.int32, torch.int64])
def test_whole_numbers_of_any_type_are_bytes_and_classes(kind):
    images = torch.tensor([0, 255] * 4, dtype=kind).reshape(4, 1, 2)
    X, y = next(iter(TensorLoader(images, torch.arange(4).to(kind), 4)))
    assert X.unique().tolist() == [0, 1] and y.tolist() == CLASSES
    assert torch.equal(TensorLoader(images, torch.arange(4.0), 4).labels, y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="NOT RUN: needs a machine without a GPU")
def test_a_device_that_is_not_there():
    with pytest.raises(DataError, match="device 'cuda' cannot be used here"):
        TensorLoader(BYTES, CLASSES, 2, device="cuda")


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


IMAGES = "train-images-idx3-ubyte"
DAMAGES = {
    **{f"cut at {at}": (lambda c, at=at: c[:at], "(header|cut)") for at in (0, 3, 15, 16, 5000)},
    "too long": (lambda c: c + b"!", "cut or damaged"),
    "other kind": (
        lambda c: c[:2] + b"\r" + c[3:],
        "wrong magic number 00000d03, expected 00000803",
    ),
    "half a gzip": (lambda c: gzip.compress(c)[:5000], "cannot be read"),
    "no gzip": (lambda c: b"no gzip", "cannot be read"),
    "a wrong pixel": (lambda c: c[:-1] + bytes([c[-1] ^ 1]), "is not the published file"),
    "gzip changed": (lambda c: gzip.compress(c)[:-8] + bytes(8), "cannot be read"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, small, kind):
    damage, said = DAMAGES[kind]
    zipped = "gzip" in kind
    path = write_dataset(tmp_path, compressed=zipped) / (IMAGES + ".gz" * zipped)
    path.write_bytes(damage(small_files()[IMAGES]))
    with pytest.raises(DataError, match=f"{path.name}.*{said}"):
        load_data_fashion_mnist(8, root=tmp_path)
    path.write_bytes(gzip.compress(small_files()[IMAGES]) if zipped else small_files()[IMAGES])
    load_data_fashion_mnist(8, root=tmp_path)


@pytest.mark.parametrize(
    ("labels", "said"), [([1] * 3, "2 images but .* 3 labels"), ([1, 10], "label 10 of 10 classes")]
)
def test_labels_that_are_not_those_of_the_images(tmp_path, labels, said):
    (tmp_path / "images").write_bytes(idx_bytes(np.zeros((2, 28, 28))))
    (tmp_path / "labels").write_bytes(idx_bytes(np.array(labels)))
    with pytest.raises(DataError, match=said):
        read_pair(tmp_path / "images", tmp_path / "labels")


# --- sources ------------------------------------------------------------------------------------


def test_without_files_and_network_the_standin_says_so_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sources, "_said", set())
    for _ in range(2):
        train, _ = load_data_fashion_mnist(8, root=tmp_path, train_examples=9, test_examples=9)
        assert train.source == "Fashion-MNIST stand-in"
    said = capsys.readouterr().out
    assert said.count("using the stand-in") == 1
    assert "course data --get fashion-mnist" in said and f"looked in {tmp_path})" in said
    monkeypatch.setenv("COURSE_STANDIN", "1")
    load_data_fashion_mnist(8, root=tmp_path, train_examples=9, test_examples=9)
    assert "is not wanted (COURSE_STANDIN is set)" in capsys.readouterr().out


def flat(root):
    """The four files, in a folder of their own choice."""
    write_dataset(root / "x")
    (root / "x/FashionMNIST/raw").rename(root / "flat")


# what a user asks for, in a folder whose data/ holds the set -> what is said of it
ASKED = {
    "data/FashionMNIST/raw": "did you mean {}/data?",
    "data/FashionMNIST": "did you mean {}/data?",
    "": "did you mean {}/data?",
    "Data": "did you mean {}/data?",
    "'data'": "did you mean {}/data?",
    '"data" ': "did you mean {}/data?",
    "chapters/data": "did you mean {}/data?",
    "nowhere/at/all": "there is no such folder",
    "flat": "the files belong in {}/flat/FashionMNIST/raw",
    "part": "{}/part/FashionMNIST/raw lacks t10k-labels-idx1-ubyte",
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("source", ["files", "auto", "command"])
def test_data_that_is_asked_for_and_not_found(tmp_path, monkeypatch, capsys, asked, source):
    write_dataset(tmp_path / "data")
    (write_dataset(tmp_path / "part") / "t10k-labels-idx1-ubyte").unlink()
    flat(tmp_path)
    (tmp_path / "chapters").mkdir()
    monkeypatch.chdir(tmp_path / "chapters" if "chapters" in asked else tmp_path)
    monkeypatch.setattr(settings, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setattr(sources, "_said", set())
    monkeypatch.setenv("COURSE_DATA", asked.removeprefix("chapters/") or str(tmp_path))
    small = {"train_examples": 9, "test_examples": 9}
    if source == "files":
        with pytest.raises(DataError) as caught:
            load_data_fashion_mnist(8, source="files")
        said = str(caught.value)
    elif source == "auto":
        assert load_data_fashion_mnist(8, **small)[0].source == STANDIN_TITLE
        said = capsys.readouterr().out
    else:
        said = next(row["note"] for row in describe() if row["name"] == "fashion-mnist")
    assert f"looked in {settings.absolute(tmp_path / asked)} and" in said
    assert ASKED[asked].format(tmp_path) in said


@pytest.mark.parametrize("data, said", [("none", "there is no such folder"), ("", None)])
def test_digits_say_it_only_when_something_is_odd(tmp_path, monkeypatch, capsys, data, said):
    """Who has Fashion-MNIST alone need not be told, in each chapter, that MNIST is not there."""
    monkeypatch.setattr(sources, "_said", set())
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / data))
    assert load_data_digits(8)[0].source == CARRIED_TITLE
    shown = capsys.readouterr().out
    assert said in shown and CARRIED_TITLE in shown if said else not shown


def test_whole_numbers_may_be_written_as_floats_or_numpys():
    train, test = load_data_fashion_mnist(
        np.int64(8),
        np.float64(14),
        train_examples=9.0,
        test_examples=np.int32(5),
        source="embedded",
        seed=np.int64(1),
    )
    assert train.description() | {"digest": 0, "source": ""} == {
        "source": "", "digest": 0, "examples": 9, "batch_size": 8, "size": [14, 14]
    }  # fmt: skip
    assert {type(value) for value in (train.batch_size, *train.description()["size"])} == {int}


def test_files_are_asked_for_but_missing(tmp_path):
    with pytest.raises(DataError, match="course data --get fashion-mnist"):
        load_data_fashion_mnist(8, root=tmp_path, source="files")


def test_an_unknown_data_set():
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
