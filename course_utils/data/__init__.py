"""Data sets of the course: `load_data_fashion_mnist`, `load_data_digits`, and their loader."""

from course_utils.data.digits import load_data_digits
from course_utils.data.fashion import (
    FASHION_CLASSES,
    STANDIN_TITLE,
    get_fashion_mnist_labels,
    load_data_fashion_mnist,
)
from course_utils.data.loader import TensorLoader
from course_utils.data.sources import DATASETS, describe, download

__all__ = [
    "DATASETS",
    "FASHION_CLASSES",
    "STANDIN_TITLE",
    "TensorLoader",
    "describe",
    "download",
    "get_fashion_mnist_labels",
    "load_data_digits",
    "load_data_fashion_mnist",
]
