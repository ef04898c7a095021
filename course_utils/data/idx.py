"""Read IDX files, the format in which MNIST and Fashion-MNIST are published."""

import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from course_utils.errors import DataError

UNSIGNED_BYTES = 0x08  # third byte of the magic number; the fourth counts the dimensions
LARGEST = 50_000_000  # bytes, a little more than Fashion-MNIST: of a longer file no more is read
_PIECE = 1 << 18  # bytes
_AGAIN = "Delete it and fetch it again with: course data --get NAME"


def read_idx(path, ndim, sha256=None):
    """The array in an IDX file of unsigned bytes, plain or gzipped (by the name's ending).

    path: file. ndim: expected number of dimensions, 3 for images (N, H, W), 1 for labels (N,).
    sha256: of the unpacked file, in hexadecimal, if it is known; the format itself cannot tell a
    wrong pixel from a right one.
    Returns uint8 of that shape. Raises DataError for a file that is cut, damaged or something
    else; no more than about `LARGEST` bytes of memory are taken, whatever it claims to hold.
    Source: the description of the format on the MNIST pages (LeCun, Cortes, Burges).
    """
    content, header = _content(Path(path)), 4 + 4 * ndim
    if len(content) < header:
        raise DataError(f"{path}: only {len(content)} bytes, shorter than its header. {_AGAIN}")
    magic, expected = content[:4].tobytes(), bytes([0, 0, UNSIGNED_BYTES, ndim])
    if magic != expected:
        raise DataError(
            f"{path}: wrong magic number {magic.hex()}, expected {expected.hex()}. {_AGAIN}"
        )
    shape = tuple(content[4:header].view(">u4").tolist())
    try:
        array = content[header:].reshape(shape)
    except ValueError as error:  # the sizes differ, or none can be so large
        raise DataError(
            f"{path}: has not the {math.prod(shape)} bytes of data that {shape} needs: "
            f"the file is cut or damaged. {_AGAIN}"
        ) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
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


def unpack(file):
    """The content of the one gzip stream that fills `file`, as a bytearray.

    Not much more than `LARGEST` bytes are unpacked. Raises EOFError or zlib.error for another file.
    """
    # zlib itself, since the gzip module goes on for as long as anything follows in the file
    stream, content = zlib.decompressobj(wbits=31), bytearray()
    while not stream.eof and len(content) <= LARGEST:
        packed = stream.unconsumed_tail or file.read(_PIECE)
        piece = stream.decompress(packed, _PIECE)
        if not packed and not piece:
            raise EOFError("the compressed data ends too early")
        content += piece
    if stream.eof and (stream.unused_data or file.read(1)):
        raise EOFError("something follows the compressed data")
    return content


def _content(path):
    """The bytes of a file, unpacked, as an array (n,) that may be written to."""
    try:
        if not path.is_file():  # a folder, or a pipe that would be read for ever
            raise DataError(f"{path}: is not a file. {_AGAIN}")
        with path.open("rb") as file:
            if path.suffix == ".gz":
                return np.frombuffer(unpack(file), np.uint8)
            return np.fromfile(file, np.uint8, LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}). {_AGAIN}") from error
