"""Read IDX files, the format in which MNIST and Fashion-MNIST are published."""

import hashlib
import itertools
import math
import zlib
from pathlib import Path

import numpy as np

from course_utils.errors import DataError

UNSIGNED_BYTES = 0x08  # third byte of the magic number; the fourth counts the dimensions
LARGEST = 100_000_000  # bytes of data, twice Fashion-MNIST: a file that claims more is not read
_PIECE = 1 << 18  # bytes; what stays in a processor's cache while it is hashed and copied


def read_idx(path, ndim, sha256=None):
    """The array in an IDX file of unsigned bytes, plain or gzipped (by the name's ending).

    path: file. ndim: expected number of dimensions, 3 for images (N, H, W), 1 for labels (N,).
    sha256: of the unpacked file, in hexadecimal, if it is known; the format itself cannot tell a
    wrong pixel from a right one.
    Returns uint8 of that shape. Raises DataError for a file that is cut, damaged or something
    else; no more memory is taken than `LARGEST`, whatever the file claims to hold.
    Source: the description of the format on the MNIST pages (LeCun, Cortes, Burges).
    """
    content, header, start = pieces(path), 4 + 4 * ndim, b""
    while len(start) < header and (piece := next(content, b"")):
        start += piece
    shape = _shape(path, start, ndim)
    array, size, filled = np.empty(shape, np.uint8), math.prod(shape), 0
    digest, flat = hashlib.sha256(start[:header]), array.reshape(-1)
    for piece in itertools.chain([start[header:]], content):
        if filled + len(piece) <= size:
            flat[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            digest.update(piece)
        filled += len(piece)
        if filled > size:
            break
    if filled != size:
        held = f"{filled} bytes" if filled < size else "more"
        raise DataError(
            f"{path}: {held} of data where {shape} needs {size} bytes: "
            f"the file is cut or damaged. {_AGAIN}"
        )
    if sha256 is not None and digest.hexdigest() != sha256:
        raise DataError(f"{path}: is not the published file (its checksum differs). {_AGAIN}")
    return array


def read_pair(images_path, labels_path, num_classes=10, sha256=(None, None)):
    """Images (N, H, W) and labels (N,) from two IDX files that belong together, both uint8.

    sha256: checksums of the two, as in `read_idx`.
    """
    images, labels = read_idx(images_path, 3, sha256[0]), read_idx(labels_path, 1, sha256[1])
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} has {len(images)} images but {labels_path} has {len(labels)} labels. "
            + _AGAIN
        )
    if len(labels) and labels.max() >= num_classes:
        raise DataError(f"{labels_path}: label {labels.max()} of {num_classes} classes. {_AGAIN}")
    return images, labels


def pieces(path):
    """The content of a file as bytes of at most 256 kB at a time, unpacked if its name ends in .gz.

    Raises DataError, in the midst of it, if the file cannot be read or its gzip stream is damaged.
    """
    path = Path(path)
    try:
        if not path.is_file():  # a folder, or a pipe that would be read for ever
            raise DataError(f"{path}: is not a file. {_AGAIN}")
        with path.open("rb") as file:
            if path.suffix == ".gz":
                yield from _unpacked(file)
            else:
                yield from iter(lambda: file.read(_PIECE), b"")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}). {_AGAIN}") from error


def _unpacked(file):
    # zlib itself, since the gzip module goes on for as long as anything follows in the file
    stream = zlib.decompressobj(wbits=31)
    while not stream.eof:
        packed = stream.unconsumed_tail or file.read(_PIECE)
        piece = stream.decompress(packed, _PIECE)
        if not packed and not piece:
            raise EOFError("the compressed data ends too early")
        if piece:
            yield piece
    if stream.unused_data or file.read(1):
        raise EOFError("something follows the compressed data")


def _shape(path, start, ndim):
    """The shape that the first bytes of a file claim."""
    header = 4 + 4 * ndim
    if len(start) < header:
        raise DataError(f"{path}: only {len(start)} bytes, shorter than its header. {_AGAIN}")
    expected = bytes([0, 0, UNSIGNED_BYTES, ndim])
    if start[:4] != expected:
        raise DataError(
            f"{path}: wrong magic number {start[:4].hex()}, expected {expected.hex()}. {_AGAIN}"
        )
    shape = tuple(int(n) for n in np.frombuffer(start, ">u4", count=ndim, offset=4))
    if math.prod(max(n, 1) for n in shape) > LARGEST:
        raise DataError(f"{path}: claims {shape}, more than any data set of the course. {_AGAIN}")
    return shape


_AGAIN = "Delete it and fetch it again with: course data --get NAME"
