"""Experiments of chapter 10: the learning rate of a large batch."""

import torch
from torch import nn

from course_utils.evidence.chapters.parts import loaders, trained
from course_utils.evidence.experiment import experiment
from course_utils.nets.lenet import lenet

SMALL, LARGE = 32, 256
FACTOR = LARGE // SMALL


def warm_up(optimizer, steps):
    """From the small batch's rate up to the full one over a quarter of the steps."""

    def share(step):
        return min(1.0, 1 / FACTOR + (1 - 1 / FACTOR) * step / (steps / 4))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, share)


RULES = {  # of the large batch: what its learning rate is multiplied by, and its schedule
    "small batch": (SMALL, 1, None),
    "large batch, same rate": (LARGE, 1, None),
    "large batch, scaled rate": (LARGE, FACTOR, None),
    "large batch, scaled rate, warm-up": (LARGE, FACTOR, warm_up),
}


@experiment(
    "10_scaling",
    [f"{rule} at {rate}" for rate in (0.01, 0.03, 0.1) for rule in RULES],
    examples=12288,
    epochs=3,
)
def large_batch(arm, seed, device, examples, epochs):
    """When the batch grows eightfold, what should the learning rate do, and does warm-up help?"""
    rule, rate = arm.rsplit(" at ", 1)
    batch, factor, scheduler = RULES[rule]
    train, test = loaders(device, seed, batch, examples=examples)
    history = trained(
        lenet(nn.ReLU),
        train,
        test,
        seed,
        device,
        lr=factor * float(rate),
        epochs=epochs,
        optimizer="sgd",
        scheduler=scheduler,
        init="kaiming",
    )
    return {"accuracy": history.test_acc[-1], "loss": history.loss[-1], "source": train.source}
