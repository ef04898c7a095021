"""Small inputs that the cases of many exercises share, and what their references have in common."""

import torch
from torch import nn

from course_utils.exercises.checker.declare import Raises, case


def several(*calls):
    """A case without a note for each tuple of arguments."""
    return [case(*args) for args in calls]


def refused(*args, note=""):
    """A case in which an argument is wrong: the answer must raise ValueError."""
    return case(*args, expected=Raises(ValueError), note=note)


def counting(*shape):
    """0, 1, 2, … in the given shape: small numbers that can be followed by eye."""
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def distinct(*shape):
    """Random numbers of both signs, no two alike, so that a maximum is never a tie."""
    count = torch.Size(shape).numel()
    return ((torch.randperm(count) - count / 2 + 0.25) / 8).reshape(shape)


def shapes_after(layers, X):
    """Shape of X after each of the layers in turn: the answer to "predict before you run"."""
    shapes = []
    for layer in layers:
        X = layer(X)
        shapes.append(tuple(X.shape))
    return shapes


def slope(f, X):
    """Gradient of the number f(X) for X, by autograd."""
    with torch.enable_grad():
        X = X.detach().requires_grad_()
        return torch.autograd.grad(f(X), X)[0]


def differs_from(outcome, *happened, what, rtol=1e-3, atol=1e-6):
    """ "" if the answer is one of the numbers that really came out, else a sentence about it."""
    mine = torch.as_tensor(outcome.result).double()
    right = torch.stack([torch.as_tensor(number).double() for number in happened])
    near = torch.isclose(mine, right, rtol, atol).any()
    return "" if near else f"{what} is another number than the one that was returned."


def root_mean_square(Y):
    return Y.square().mean().sqrt()


def used_norm(channels, **options):
    """A batch normalisation that has seen data, in training mode."""
    norm = nn.BatchNorm2d(channels, **options)
    with torch.no_grad():
        norm.weight.copy_(distinct(channels) + 0.1)
        norm.bias.copy_(distinct(channels) - 0.3)
        norm.running_mean.copy_(distinct(channels) + 0.7)
        norm.running_var.copy_(distinct(channels).square() + 0.05)
    return norm
