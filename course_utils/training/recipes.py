"""What `train_ch6` can be told by name: initialisations, optimisers and schedules."""

import torch
from torch import nn

from course_utils.errors import TrainingError


def choose(name, choice, known):
    """The function that `choice` names in `known`, or `choice` itself if it is a function."""
    if callable(choice):
        return choice
    if not isinstance(choice, str):
        what = f"an object {type(choice).__name__}"
        raise TrainingError(f"{name} must be a name or a function, not {what}")
    if choice not in known:
        raise TrainingError(f"unknown {name} {choice!r}; use one of {', '.join(known)}")
    return known[choice]


def make(name, choice, known, *arguments):
    """The torch optimizer or scheduler (`name`) that the chosen function makes."""
    made = choose(name, choice, known)(*arguments)
    if not hasattr(made, "state_dict"):
        raise TrainingError(f"{name} must give a torch {name}, it gave {made!r}")
    return made


def _xavier(module):
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def _kaiming(module):
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _sgd(parameters, lr):
    parameters = list(parameters)
    return torch.optim.SGD(parameters, lr, fused=_can_fuse(parameters))


def _adamw(parameters, lr):
    # 0.95, not 0.999: in some hundred steps there is no time to average a thousand gradients
    options = {"betas": (0.9, 0.95), "weight_decay": 0.01}
    parameters = list(parameters)
    return torch.optim.AdamW(parameters, lr, fused=_can_fuse(parameters), **options)


def _can_fuse(parameters):
    """True where torch updates all parameters in one pass over the memory."""
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)


def _warmup_decay(optimizer, steps):
    warmup = max(1, int(0.15 * steps))

    def factor(step):  # the optimizer's next step is number `step`, counted from 0
        if step < warmup:
            return (step + 1) / warmup
        return (steps - step) / max(1, steps - warmup)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _constant(optimizer, steps):
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


INITS = {"xavier": _xavier, "kaiming": _kaiming}
OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}
SCHEDULERS = {"constant": _constant, "warmup-decay": _warmup_decay}
