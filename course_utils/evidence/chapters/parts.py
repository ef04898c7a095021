"""What experiments of several chapters share: data with a held-out part, and one recipe."""

import functools

import torch
from torch import nn

from course_utils.data import load_data_fashion_mnist
from course_utils.data.loader import TensorLoader
from course_utils.training import train_ch6

HELD_OUT = 10_000  # training images that judge choices, so that the test images need not


@functools.cache
def fashion_mnist(device):
    """The (training, test) loaders of the whole data set, for their tensors."""
    return load_data_fashion_mnist(256, device=device, seed=0)


def loaders(device, seed, batch=128, resize=None, examples=None, held_out=False):
    """(train, judge) loaders: the judge has the test images, or 10,000 of the training ones."""
    train, test = fashion_mnist(str(device))
    images, labels = train.images, train.labels
    judge = test.images, test.labels
    if held_out:
        judge = images[-HELD_OUT:], labels[-HELD_OUT:]
        images, labels = images[:-HELD_OUT], labels[:-HELD_OUT]
    more = {"resize": resize, "device": device, "source": train.source, "seed": seed}
    return (
        TensorLoader(images[:examples], labels[:examples], batch, shuffle=True, **more),
        TensorLoader(*judge, batch, **more),
    )


def deal_anew(train, seed):
    """Deal the labels of a `TensorLoader` out anew, so that they say nothing about its images."""
    order = torch.randperm(len(train.labels), generator=torch.Generator().manual_seed(seed))
    train.labels = train.labels[order.to(train.device)]


def trained(net, data, seed, device, *, lr, epochs, **more):
    """Train a net by the course's recipe, AdamW with warm-up and decay: (History, results).

    data: (train, judge) loaders. more: other arguments of `train_ch6`. results: the accuracy on the
    judge's data, and the source of the data, as a row of evidence has them.
    """
    recipe = {"optimizer": "adamw", "scheduler": "warmup-decay", "amp": "auto", **more}
    history = train_ch6(net, *data, epochs, lr, device, seed=seed, verbose=False, **recipe)
    return history, {"accuracy": history.test_acc[-1], "source": data[0].source}


class Change(nn.Module):
    """Changes the images in training, as `change` does; with `always`, in evaluation, too.

    A layer, and not a loader as `nets.alexnet.Augmented`, so that a GPU can record the step.
    """

    def __init__(self, change, always=False):
        super().__init__()
        self.change, self.always = change, always

    def forward(self, X):
        return self.change(X) if self.training or self.always else X


class Shuffle(nn.Module):
    """Puts the pixels of every image (N, C, H, W) in one fixed random order."""

    def __init__(self, pixels=28 * 28):
        super().__init__()
        order = torch.randperm(pixels, generator=torch.Generator().manual_seed(0))
        self.register_buffer("order", order)

    def forward(self, X):
        return X.flatten(2)[:, :, self.order].view_as(X)
