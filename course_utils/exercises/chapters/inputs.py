"""Small inputs that the cases of many exercises share."""

import torch


def counting(*shape, dtype=torch.float32):
    """0, 1, 2, … in the given shape: small numbers that can be followed by eye."""
    return torch.arange(torch.Size(shape).numel(), dtype=dtype).reshape(shape)


def distinct(*shape, dtype=torch.float32):
    """Random numbers of both signs, no two alike, so that a maximum is never a tie."""
    count = torch.Size(shape).numel()
    return ((torch.randperm(count) - count / 2 + 0.25) / 8).reshape(shape).to(dtype)


def shapes_after(layers, X):
    """Shape of X after each of the layers in turn: the answer to "predict before you run"."""
    shapes = []
    for layer in layers:
        X = layer(X)
        shapes.append(tuple(X.shape))
    return shapes
