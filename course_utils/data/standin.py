"""The embedded Fashion-MNIST stand-in: ten kinds of garments, drawn by the course.

For machines that have neither the real data set nor a network. Same shapes, sizes, dtype and class
order as Fashion-MNIST, pixel statistics close to it, and shirts that are hard to tell from
pullovers, as there. Every picture is drawn from random measurements: no pixel is from the real set.
"""

import functools

import numpy as np

from course_utils.data.garments import GARMENTS
from course_utils.data.sheets import SIDE, Sheets
from course_utils.errors import DataError
from course_utils.settings import FAST_RUN_BATCHES, fast_dev_run

STANDIN_SIZES = {"train": 60000, "test": 10000}
BLOCK = 1000  # pictures drawn together; every block has its own generator and 100 of each class


def draw_block(rng):
    """One block: pictures uint8 (BLOCK, 28, 28) and labels, equally many of each, shuffled."""
    each, pictures = BLOCK // len(GARMENTS), []
    for garment in GARMENTS:
        sheets = Sheets(rng, each)
        garment(sheets)
        noise = rng.standard_normal(sheets.tone.shape, np.float32) * sheets.between(0.01, 0.045)
        pictures.append((np.clip(sheets.tone * (1 + noise), 0, 1) * 255 + 0.5).astype(np.uint8))
    order = rng.permutation(BLOCK)
    labels = np.arange(len(GARMENTS), dtype=np.uint8).repeat(each)
    return np.concatenate(pictures)[order], labels[order]


@functools.cache
def _block(seed, stream, number):
    return draw_block(np.random.default_rng([seed, stream, number]))


def draw_fashion(split, count=None, seed=0):
    """Pictures of garments and their classes, in the order of Fashion-MNIST's class names.

    split: "train" or "test", two separate streams. count: how many (None: all, 60,000 or 10,000);
    fewer are the first of the same stream. seed: integer from 0; each gives another data set.
    Returns images uint8 (count, 28, 28), background 0, and labels uint8 (count,), shuffled; every
    1,000 pictures hold 100 of each class. In a fast dev run only the first 3,000 are drawn, and
    then come again.
    Raises DataError for another split, or a count or seed out of range.
    Source: drawn by us; no pixel is from the real data set.
    """
    if split not in STANDIN_SIZES:
        raise DataError(f"The stand-in has no split {split!r}: use 'train' or 'test'.")
    size = STANDIN_SIZES[split]
    count = size if count is None else count
    if not 0 <= count <= size:
        raise DataError(f"The stand-in's {split} set has 0 to {size:,} pictures, not {count:,}.")
    if seed < 0:
        raise DataError(f"The stand-in's seed must be 0 or more, not {seed}.")
    images, labels = np.empty((count, SIDE, SIDE), np.uint8), np.empty(count, np.uint8)
    stream = list(STANDIN_SIZES).index(split)
    different = FAST_RUN_BATCHES if fast_dev_run() else size // BLOCK
    for start in range(0, count, BLOCK):
        block = _block(seed, stream, start // BLOCK % different)
        images[start : start + BLOCK] = block[0][: count - start]
        labels[start : start + BLOCK] = block[1][: count - start]
    return images, labels
