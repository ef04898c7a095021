"""Read IDX files, the format in which MNIST and Fashion-MNIST are published."""

import gzip
import math
from pathlib import Path

import numpy as np

from course_utils.errors import DataError

UNSIGNED_BYTES = 0x08  # third byte of the magic number; the fourth counts the dimensions


def read_idx(path, ndim):
    """The array in an IDX file of unsigned bytes, plain or gzipped (by the name's ending).

    path: file. ndim: expected number of dimensions, 3 for images (N, H, W), 1 for labels (N,).
    Returns uint8 of that shape. Raises DataError for a file that is cut, damaged or something else.
    Source: the description of the format on the MNIST pages (LeCun, Cortes, Burges).
    """
    path = Path(path)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, gzip.zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}). {_AGAIN}") from error
    header = 4 + 4 * ndim
    if len(content) < header:
        raise DataError(f"{path}: only {len(content)} bytes, shorter than its header. {_AGAIN}")
    expected = bytes([0, 0, UNSIGNED_BYTES, ndim])
    if content[:4] != expected:
        raise DataError(
            f"{path}: wrong magic number {content[:4].hex()}, expected {expected.hex()}. {_AGAIN}"
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", count=ndim, offset=4))
    if len(content) - header != math.prod(shape):
        raise DataError(
            f"{path}: {len(content) - header} bytes of data where {shape} needs "
            f"{math.prod(shape)}: the file is cut or damaged. {_AGAIN}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_pair(images_path, labels_path, num_classes=10):
    """Images (N, H, W) and labels (N,) from two IDX files that belong together, both uint8."""
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} has {len(images)} images but {labels_path} has {len(labels)} labels. "
            + _AGAIN
        )
    if len(labels) and labels.max() >= num_classes:
        raise DataError(f"{labels_path}: label {labels.max()} of {num_classes} classes. {_AGAIN}")
    return images, labels


_AGAIN = "Delete it and fetch it again with: course data --get NAME"
