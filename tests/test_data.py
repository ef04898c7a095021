"""Loaders and sources: what they give, and what they say about bad input."""

import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write_dataset(root, train=20, test=10, compressed=False):
    """A whole, small Fashion-MNIST folder; returns its raw folder."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        arrays = {
            "images-idx3": rng.integers(0, 256, (count, 28, 28)),
            "labels-idx1": np.arange(count) % 10,
        }
        for kind, array in arrays.items():
            content = idx_bytes(array)
            if compressed:
                (raw / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
            else:
                (raw / f"{prefix}-{kind}-ubyte").write_bytes(content)
    return raw


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
def test_files_plain_and_gzipped(tmp_path, compressed):
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
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        load_data_fashion_mnist(8, root=tmp_path)


def test_file_that_is_too_long(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx_bytes(np.zeros(3)) + b"!")
    with pytest.raises(DataError, match="cut or damaged"):
        read_idx(path, 1)


def test_wrong_magic_number(tmp_path):
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
    raw = write_dataset(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(19)))
    with pytest.raises(DataError, match="20 images but .* 19 labels"):
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


@pytest.fixture
def publisher(monkeypatch):
    """A download server on loopback in place of the publisher's; returns its file store."""
    from torchvision import datasets

    files, requests = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            requests.append(name)
            content, sent = files.get(name, (None, None))
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:sent])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])

    def publish(raw):
        resources = []
        for path in sorted(raw.glob("*.gz")):
            files[path.name] = (path.read_bytes(), None)
            resources.append((path.name, hashlib.md5(path.read_bytes()).hexdigest()))
        monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
        return files

    publish.requests = requests
    yield publish
    server.shutdown()


@pytest.fixture
def without_checksums(monkeypatch):
    """The small sets of these tests are not the published files."""
    plain = sources.IdxDataset("fashion-mnist", "Fashion-MNIST", "FashionMNIST", "127.0.0.1", {})
    monkeypatch.setitem(sources.DATASETS, "fashion-mnist", plain)


def test_download(tmp_path, publisher, without_checksums):
    publisher(write_dataset(tmp_path / "server", compressed=True))
    root = tmp_path / "here"
    assert download("fashion-mnist", root) == root
    train, _ = load_data_fashion_mnist(8, root=root, source="files")
    assert train.num_examples == 20
    assert not list(root.rglob("*incoming*")), "nothing but the data is left"
    before = len(publisher.requests)
    download("fashion-mnist", root)
    assert len(publisher.requests) == before, "what is there is not fetched again"


def test_download_cut_in_the_middle_can_be_repeated(tmp_path, publisher, without_checksums):
    files = publisher(write_dataset(tmp_path / "server", compressed=True))
    name = "train-images-idx3-ubyte.gz"
    whole, _ = files[name]
    files[name] = (whole, len(whole) // 2)
    root = tmp_path / "here"
    with pytest.raises(DataError, match="could not be fetched .*\n?.*course data --get"):
        download("fashion-mnist", root, timeout=2)
    with pytest.raises(DataError, match="not found"):  # a part is never taken for the whole
        load_data_fashion_mnist(8, root=root, source="files")
    files[name] = (whole, None)
    publisher.requests.clear()
    download("fashion-mnist", root)
    assert load_data_fashion_mnist(8, root=root, source="files")[0].num_examples == 20
    assert "t10k-images-idx3-ubyte.gz" not in publisher.requests, "finished files are kept"


def test_downloaded_files_that_are_not_the_published_ones(tmp_path, publisher):
    publisher(write_dataset(tmp_path / "server", compressed=True))
    with pytest.raises(DataError, match="not the published files"):
        download("fashion-mnist", tmp_path / "here")
    assert sources.FASHION_MNIST.find(tmp_path / "here") is None


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
    assert sources.FASHION_MNIST.verified(real_data) is True
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
