"""The drawn Fashion-MNIST stand-in: shapes, statistics, and neither trivial nor noise."""

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.data.standin import STANDIN_SIZES, draw_fashion
from course_utils.errors import DataError
from course_utils.training import train_ch6


@pytest.fixture(scope="module")
def train_set():
    return draw_fashion("train", 15000)


@pytest.fixture(scope="module")
def test_set():
    return draw_fashion("test", 3000)


def test_whole_split_has_the_real_size():
    assert STANDIN_SIZES == {"train": 60000, "test": 10000}
    images, labels = draw_fashion("test")
    assert images.shape == (10000, 28, 28) and images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [1000] * 10


def test_same_arguments_same_pictures(test_set):
    again = draw_fashion("test", 3000)
    assert all(np.array_equal(a, b) for a, b in zip(test_set, again, strict=True))


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001])
def test_fewer_are_the_first_of_the_same_stream(test_set, count):
    images, labels = draw_fashion("test", count)
    assert np.array_equal(images, test_set[0][:count])
    assert np.array_equal(labels, test_set[1][:count])


def test_streams_share_no_picture(train_set, test_set):
    other_seed = draw_fashion("train", 3000, seed=1)
    streams = [
        {image.tobytes() for image in images} for images, _ in (train_set, test_set, other_seed)
    ]
    assert [len(pictures) for pictures in streams] == [15000, 3000, 3000]
    assert streams[0].isdisjoint(streams[1]) and streams[0].isdisjoint(streams[2])
    assert not np.array_equal(train_set[1][:3000], test_set[1])


def test_classes_are_balanced_and_shuffled(train_set):
    labels = train_set[1]
    assert np.bincount(labels).tolist() == [1500] * 10
    assert len(set(labels[:100])) == 10
    repeats = np.mean(labels[1:] == labels[:-1])
    assert 0.07 < repeats < 0.13


def test_pixels_resemble_the_real_set(train_set):
    """The published mean and standard deviation of Fashion-MNIST are 0.286 and 0.353."""
    images = train_set[0] / np.float32(255)
    assert 0.25 < images.mean() < 0.32
    assert 0.32 < images.std() < 0.38
    assert 0.4 < np.mean(images == 0) < 0.7  # the background
    assert images.max(axis=(1, 2)).min() > 0.05  # no picture is empty


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("training",), "no split 'training'"),
        (("train", -1), "not -1"),
        (("train", 60001), "60,000 pictures, not 60,001"),
        (("test", 10001), "10,000 pictures, not 10,001"),
        (("test", 10, -3), "seed must be 0 or more, not -3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        draw_fashion(*arguments)


def accuracy_after_training(net, train_set, test_set, epochs, lr):
    """Test accuracy of `net` after so many passes over the training examples."""
    train = TensorLoader(*train_set, 128, shuffle=True, seed=0)
    options = {"init": None, "optimizer": "adamw", "scheduler": "warmup-decay", "verbose": False}
    test = TensorLoader(*test_set, 500)
    return train_ch6(net, train, test, epochs, lr, "cpu", **options).test_acc[-1]


@pytest.mark.full
def test_lenet_learns_it_and_a_linear_classifier_does_not(train_set, test_set):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        lenet = nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
        )
        linear_acc = accuracy_after_training(linear, train_set, test_set, 17, 5e-3)
        lenet_acc = accuracy_after_training(lenet, train_set, test_set, 7, 8e-3)
    print(f"linear {linear_acc:.3f}, LeNet {lenet_acc:.3f}")
    assert linear_acc > 0.6  # far above chance: not noise
    assert linear_acc + 0.08 <= lenet_acc < 0.97
