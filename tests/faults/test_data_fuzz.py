"""Files that were cut, changed, swapped or made up: a named error, or exactly what is right.

`make soak` tries 10,000 of them. What "right" is, an independent reading of the bytes decides, or
the checksum of the published file. What cannot be noticed is said where the test says it.
"""

import functools
import gzip
import hashlib
import json
import os
import struct
import time
import tracemalloc
import zipfile
import zlib

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smalldata import (
    publish,
    publish_weights,
    saved,
    small_dataset,
    small_files,
    write_dataset,
)

from course_utils.commands.notebooks import code_cells, read_notebook
from course_utils.data import load_data_fashion_mnist
from course_utils.data.idx import LARGEST, read_idx, read_pair
from course_utils.errors import CourseError
from course_utils.nets.pretrained import fetch_torchvision_weights
from course_utils.nets.quantised import dequantise, load_quantised, packed_bytes, quantise
from course_utils.training import History, Runner
from faults.harness import SOAK, how_many

SECONDS = 2  # that no file may take; processor time, for the machine may be busy


def fuzz(soak):
    """Settings of a fuzz test with so many files in the soak, a fiftieth of them in `make test`."""
    return settings(
        max_examples=how_many(max(10, soak // 50), soak),
        derandomize=not SOAK,
        print_blob=SOAK,
        suppress_health_check=list(HealthCheck),  # of files, not of functions
    )


@st.composite
def damaged(draw, content, header=20):
    """`content` after one to four edits, as often in its first bytes as anywhere else."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        near = st.integers(0, min(header, len(content)))
        at = draw(st.one_of(near, st.integers(0, len(content))))
        length = draw(st.one_of(st.integers(0, 8), st.integers(0, len(content))))
        kind = draw(st.sampled_from(["flip", "set", "cut", "remove", "insert", "double", "number"]))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "remove":
            del content[at : at + length]
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=40))
        elif kind == "double":
            content[at:at] = content[at : at + length]
        else:
            at = at // 4 * 4
            number = draw(st.sampled_from([0, 1, 2, 19, 28, 29, 2**16, 2**31 - 1, 2**32 - 1]))
            content[at : at + 4] = struct.pack(">I", number)
    return bytes(content)


def made_up(content, header=20):
    """Mostly damaged content, sometimes anything else."""
    return st.one_of(*[damaged(content, header)] * 8, st.binary(max_size=200), st.just(b""))


def attempt(read):
    """(result, None) of `read()`, or (None, message) of a named error; any other passes out."""
    before = time.process_time()
    try:
        return read(), None
    except CourseError as error:
        assert 1 <= len(str(error).splitlines()) <= 2
        return None, str(error)
    finally:
        assert time.process_time() - before < SECONDS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


# --- IDX, plain and gzipped -------------------------------------------------------------------

IMAGES = small_files()["train-images-idx3-ubyte"]
LABELS = small_files()["train-labels-idx1-ubyte"]


def as_idx(content, ndim):
    """The array in IDX content, None if it is none: the format in four lines."""
    if len(content) < 4 + 4 * ndim or content[:4] != bytes([0, 0, 8, ndim]):
        return None
    shape = struct.unpack(f">{ndim}I", content[4 : 4 + 4 * ndim])
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * ndim)
    return data.reshape(shape) if data.size == functools.reduce(int.__mul__, shape) else None


def check_idx(path, content, plain, ndim):
    """Read `path`; plain: what it holds, unpacked, None if it is damaged."""
    path.write_bytes(content)
    array, message = attempt(lambda: read_idx(path, ndim))
    right = None if plain is None else as_idx(plain, ndim)
    if right is None:
        assert array is None and path.name in message
    else:
        assert array.dtype == np.uint8 and np.array_equal(array, right)
        assert array.shape == right.shape
    original = {3: IMAGES, 1: LABELS}[ndim]
    published = hashlib.sha256(original).hexdigest()
    array, _ = attempt(lambda: read_idx(path, ndim, published))
    assert (array is not None) == (plain == original), "with a checksum nothing wrong passes"


@fuzz(2500)
@given(content=made_up(IMAGES))
def test_idx_images(folder, content):
    check_idx(folder / "images", content, content, 3)


@fuzz(1000)
@given(content=made_up(LABELS))
def test_idx_labels(folder, content):
    check_idx(folder / "labels", content, content, 1)


def gunzipped(content):
    """What zlib makes of one whole gzip stream; None if it is not one."""
    try:
        stream = zlib.decompressobj(wbits=31)
        plain = stream.decompress(content)
        return plain if stream.eof and not stream.unused_data else None
    except zlib.error:
        return None


packed_images = st.one_of(
    made_up(gzip.compress(IMAGES, mtime=0)),
    st.builds(gzip.compress, made_up(IMAGES), st.integers(0, 9)),  # damaged before
)


@fuzz(2500)
@given(content=packed_images)
def test_damaged_gzip(folder, content):
    check_idx(folder / "images.gz", content, gunzipped(content), 3)


@fuzz(500)
@given(images=st.one_of(st.just(IMAGES), made_up(IMAGES)), labels=made_up(LABELS))
def test_pairs(folder, images, labels):
    paths = folder / "pair-images", folder / "pair-labels"
    for path, content in zip(paths, (images, labels), strict=True):
        path.write_bytes(content)
    pair, _ = attempt(lambda: read_pair(*paths))
    right = as_idx(images, 3), as_idx(labels, 1)
    fits = right[0] is not None and right[1] is not None and len(right[0]) == len(right[1])
    if fits and not (right[1] > 9).any():
        assert all(np.array_equal(a, b) for a, b in zip(pair, right, strict=True))
    else:
        assert pair is None


@fuzz(500)
@given(
    name=st.sampled_from(sorted(small_files())),
    cut=st.floats(0, 1),
    byte=st.integers(1, 255),
    zipped=st.booleans(),
)
def test_whole_sets_are_right_or_refused(folder, name, cut, byte, zipped):
    """Through the loader that chapters call, with one changed or cut file."""
    root = folder / f"set-{zipped}"
    raw = root / "FashionMNIST" / "raw"
    if not raw.is_dir():
        write_dataset(root, compressed=zipped)
    path, content = raw / (name + ".gz" * zipped), small_files()[name]
    at = min(int(cut * len(content)), len(content) - 1)
    changed = content[:at] + bytes([content[at] ^ byte]) + content[at + 1 :]
    pack = gzip.compress if zipped else bytes
    whole = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        publish(patch, small_dataset())
        for damage in (pack(changed), pack(content[:at]), pack(content)[:at]):
            path.write_bytes(damage)
            sets, message = attempt(lambda: load_data_fashion_mnist(8, root=root))
            assert sets is None and path.name in message
        path.write_bytes(whole)
        (train, test), _ = attempt(lambda: load_data_fashion_mnist(8, root=root))
    right = as_idx(small_files()["train-images-idx3-ubyte"], 3)
    assert np.array_equal(train.images[:, 0].numpy(), right)
    assert test.labels.tolist() == list(range(10))


@pytest.mark.parametrize("shape", [(2**32 - 1, 28, 28), (60_000, 28, 28), (20, 28, 28), (0, 0, 0)])
def test_a_small_file_that_unpacks_to_gigabytes(tmp_path, shape):
    packer, more = zlib.compressobj(wbits=31), zlib.compressobj(wbits=-15)
    start = packer.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape))
    start += packer.flush(zlib.Z_FULL_FLUSH)
    zeros = more.compress(bytes(1 << 24)) + more.flush(zlib.Z_FULL_FLUSH)  # 16 MB in 16 kB
    path = tmp_path / "bomb.gz"
    path.write_bytes(start + 600 * zeros)  # 10 MB, 10 GB unpacked
    tracemalloc.start()
    try:
        array, message = attempt(lambda: read_idx(path, 3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert array is None and "cut or damaged" in message
    assert peak < 2 * LARGEST


@pytest.mark.parametrize("name", ["claims", "claims.gz"])
@pytest.mark.parametrize(
    "shape", [(2**32 - 1,) * 3, (0, 2**32 - 1, 2**32 - 1), (2**31, 2, 1), (1, 1, LARGEST + 1)]
)
def test_a_few_bytes_that_claim_gigabytes(tmp_path, shape, name):
    content, path = bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape) + b"pixels", tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    array, message = attempt(lambda: read_idx(path, 3))
    assert array is None and "cut or damaged" in message


def test_zeros_after_the_end_are_not_counted_one_by_one(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(IMAGES) + bytes(200_000_000))
    assert "something follows" in attempt(lambda: read_idx(path, 3))[1]
    path.write_bytes(gzip.compress(b"") * 1_000_000)
    assert "something follows" in attempt(lambda: read_idx(path, 3))[1]


ODD = {
    "folder": lambda path: path.mkdir(),
    "link to itself": lambda path: path.symlink_to(path),
    "dead link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "pipe": lambda path: os.mkfifo(path),
    "endless device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.skipif(os.name == "nt", reason="NOT RUN: needs POSIX files")
def test_what_is_no_file(tmp_path, monkeypatch, kind, ending):
    put, path = ODD[kind], tmp_path / f"odd{ending}"
    put(path)
    assert "odd" in attempt(lambda: read_idx(path, 3))[1]
    raw = write_dataset(tmp_path / "set")
    (raw / "t10k-images-idx3-ubyte").unlink()
    put(raw / f"t10k-images-idx3-ubyte{ending}")
    publish(monkeypatch, small_dataset())
    message = attempt(lambda: load_data_fashion_mnist(8, root=tmp_path / "set", source="files"))[1]
    assert "were not found" in message


@pytest.mark.skipif(os.name == "nt", reason="NOT RUN: needs POSIX permissions")
def test_what_may_not_be_read(tmp_path, monkeypatch):
    publish(monkeypatch, small_dataset())
    raw = write_dataset(tmp_path)
    root = os.geteuid() == 0  # may read everything: be somebody else for a while
    for path, words in ((raw / "train-labels-idx1-ubyte", "cannot be read"), (raw, "COURSE_DATA")):
        before = path.stat().st_mode
        for parent in raw.parents:  # all but the path itself may be looked into
            if parent.is_relative_to(tmp_path.parent.parent):
                parent.chmod(0o755)
        path.chmod(0)
        if root:
            os.seteuid(65534)
        try:
            message = attempt(lambda: load_data_fashion_mnist(8, root=tmp_path))[1]
        finally:
            if root:
                os.seteuid(0)
            path.chmod(before)
        assert message is not None and words in message


# --- weights -------------------------------------------------------------------------------------


STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([0.5, -2.0])}
WEIGHTS = saved(STATE)
OLD_WEIGHTS = saved(STATE, _use_new_zipfile_serialization=False)


def fresh_runner():
    net = torch.nn.Linear(3, 2)
    return Runner(net, torch.optim.SGD(net.parameters(), lr=0.1), device="cpu")


@fuzz(1500)
@given(content=st.one_of(*[made_up(WEIGHTS, 200)] * 3, made_up(OLD_WEIGHTS, 200)))
def test_weights_of_the_runner(folder, content):
    """Damage is noticed, or harmless: the loaded weights are the saved ones."""
    path, runner = folder / "weights.pt", fresh_runner()
    path.write_bytes(content)
    before = {name: value.clone() for name, value in runner.net.state_dict().items()}
    _, message = attempt(lambda: runner.load(path))
    after = before if message else STATE
    assert all(torch.equal(value, after[name]) for name, value in runner.net.state_dict().items())


def test_every_bit_of_the_weights_is_watched(folder):
    path, runner, step = folder / "bits.pt", fresh_runner(), 1 if SOAK else 101
    for bit in range(0, 8 * len(WEIGHTS), step):
        changed = bytearray(WEIGHTS)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        runner.net.load_state_dict(STATE)
        attempt(lambda: runner.load(path))
        assert all(torch.equal(v, STATE[name]) for name, v in runner.net.state_dict().items())


def test_weights_that_are_marked_as_folders(tmp_path):
    """torch.load then returns whatever lay in memory."""
    changed, path, runner = bytearray(WEIGHTS), tmp_path / "folder.pt", fresh_runner()
    entry = changed.rindex(b"archive/data/0") - 46  # in the list at the end of the file
    assert changed[entry : entry + 4] == b"PK\1\2"
    changed[entry + 38] |= 0x10
    path.write_bytes(changed)
    assert "is damaged" in attempt(lambda: runner.load(path))[1]


def test_weights_that_unpack_to_more_than_they_are(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data/0", bytes(100_000_000))
    assert "is damaged" in attempt(lambda: fresh_runner().load(tmp_path / "bomb.pt"))[1]


@fuzz(500)
@given(content=made_up(WEIGHTS, 200))
def test_pretrained_weights(folder, content):
    """The file's name holds its checksum, so every change is noticed."""
    with pytest.MonkeyPatch.context() as patch:
        publish_weights(patch, folder / "hub", WEIGHTS).write_bytes(content)
        state, _ = attempt(lambda: fetch_torchvision_weights("net"))
    assert (state is not None) == (content == WEIGHTS)


# --- what is kept as JSON ----------------------------------------------------------------------

NUMBERS = ("loss", "train_acc", "test_acc", "step_loss", "seconds", "examples")
HISTORY = json.dumps(
    dict.fromkeys(NUMBERS, [2.3, 1.1])
    | {"source": "Fashion-MNIST", "device": "cpu", "interrupted": False}
).encode()
NOTEBOOK = nbformat.writes(
    nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# Title\ntext", id="a"),
            nbformat.v4.new_code_cell("x = 1", id="b"),
        ]
    )
).encode()
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
)


@st.composite
def other_values(draw, content):
    """The same JSON with something else in one place, or anything at all."""
    state = json.loads(content)
    key = draw(st.sampled_from(sorted(state)))
    state[key] = draw(anything)
    return json.dumps(draw(st.sampled_from([state, state, state, state[key]]))).encode()


@fuzz(500)
@given(content=st.one_of(made_up(HISTORY, 200), other_values(HISTORY)))
def test_history(folder, content):
    """A changed digit cannot be noticed; a value of another kind is."""
    path = folder / "history.json"
    path.write_bytes(content)
    history, _ = attempt(lambda: History.load(path))
    if history is not None:
        for name in NUMBERS:
            values = getattr(history, name)
            assert isinstance(values, list)
            assert all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        assert isinstance(history.source, str) and isinstance(history.device, str)
        assert isinstance(history.interrupted, bool)


PACKED = quantise(torch.nn.Linear(3, 2))


@st.composite
def packed_weights(draw):
    """Quantised weights with something else in one place."""
    entry, key = draw(st.sampled_from([(n, k) for n, e in PACKED.items() for k in [*e, None]]))
    other = draw(anything | st.sampled_from([[-1], [3, -2], [10**30], "AAAA", "ä"]))
    return PACKED | {entry: other if key is None else PACKED[entry] | {key: other}}


@fuzz(500)
@given(packed=packed_weights() | anything)
def test_quantised_weights(packed):
    arrays, _ = attempt(lambda: dequantise(packed))
    if arrays is not None:
        assert all(np.isfinite(array).all() and array.dtype == "f4" for array in arrays.values())
        assert packed_bytes(packed) > 0
    net, message = attempt(lambda: load_quantised(torch.nn.Linear(3, 2), packed))
    assert (net is None) == (message is not None)


@fuzz(500)
@given(content=st.one_of(made_up(NOTEBOOK, 200), other_values(NOTEBOOK)))
def test_notebooks(folder, content):
    path = folder / "notebook.ipynb"
    path.write_bytes(content)
    notebook, _ = attempt(lambda: read_notebook(path))
    if notebook is not None:
        assert all(isinstance(source, str) for source in code_cells(notebook))


@pytest.mark.parametrize("content", [b"[" * 10**6, b'{"cells":' * 10**5, b"1" * 10**5])
def test_json_that_is_nested_without_end(tmp_path, content):
    path = tmp_path / "deep.json"
    path.write_bytes(content)
    assert attempt(lambda: History.load(path))[1] and attempt(lambda: read_notebook(path))[1]
