"""What a trainer is given: made Python's own, or refused in a line that says what is wanted."""

import math
from collections.abc import Iterator

import torch
from torch import nn

from course_utils import errors
from course_utils.errors import TrainingError


def whole_number(name, value, least=None):
    """`value` as an int of at least `least` (None: any), or a TrainingError."""
    return errors.whole_number(name, value, least, TrainingError)


def as_seed(value):
    """`value` as an int that torch can start from, or None."""
    if value is None or -(2**63) <= whole_number("seed", value) < 2**64:
        return value if value is None else int(value)
    raise TrainingError(f"seed must be a whole number of 64 bits, got {value!r}")


def positive_number(name, value):
    """`value` as a float above 0 and below infinity."""
    try:
        if not isinstance(value, str | bool) and 0 < float(value) < math.inf:
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TrainingError(f"{name} must be a number above 0, got {value!r}")


def usable(device):
    """`device` as a torch.device on which numbers can be computed and read."""
    try:
        torch.zeros(1, device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch has one for each kind
        raise TrainingError(
            f"there is no device {str(device)!r} to compute on here: "
            "leave it out, and the best one that is there is taken"
        ) from error


def check_loader(name, loader, counted=True):
    """Raise TrainingError unless `loader` has batches and can be gone through in every epoch.

    counted: it must have a len(), too.
    """
    again = not isinstance(loader, Iterator)
    again &= hasattr(loader, "__iter__") or hasattr(loader, "__getitem__")
    try:
        batches = len(loader)
    except TypeError:
        batches = None if counted else 1
    if batches == 0:
        raise TrainingError(f"{name} has zero batches")
    if again and batches:
        return
    wanted = "give its (X, y) batches anew in every epoch" + " and have a len()" * counted
    raise TrainingError(
        f"{name} must {wanted}, as what load_data_… returns, a list of batches or a DataLoader "
        f"does; this {type(loader).__name__} does not"
    )


def check_trainable(net):
    """Raise TrainingError if training could change nothing in `net`, or it is no net."""
    if not isinstance(net, nn.Module):
        what = f"the class {net.__name__}: call it" if isinstance(net, type) else repr(net)
        raise TrainingError(f"the net to train must be an nn.Module, got {what}")
    if not torch.is_grad_enabled():
        raise TrainingError("gradients are switched off here: train outside of torch.no_grad()")
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise TrainingError(
            f"{type(net).__name__} has nothing to train: no parameter, or all of them frozen "
            "(requires_grad=False)"
        )


def check_loss(loss):
    """Raise TrainingError if `loss` cannot be called with (output, y)."""
    if loss is not None and (isinstance(loss, type) or not callable(loss)):
        what = f"the class {loss.__name__}: call it" if isinstance(loss, type) else repr(loss)
        raise TrainingError(f"loss must be a function of (output, y), got {what}")
