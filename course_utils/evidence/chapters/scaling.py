"""Experiments of chapter 10: the learning rate of a large batch."""

from torch import nn

from course_utils.evidence.chapters.parts import loaders, trained
from course_utils.evidence.experiment import experiment
from course_utils.nets.lenet import lenet
from course_utils.nets.scaling import FACTOR, LARGE, SMALL, warm_up

RULES = {  # batch, what its learning rate is multiplied by, and its schedule
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
    data = loaders(device, seed, batch, examples=examples)
    recipe = {"optimizer": "sgd", "scheduler": scheduler, "init": "kaiming"}
    recipe |= {"lr": factor * float(rate), "epochs": epochs}
    history, results = trained(lenet(nn.ReLU), data, seed, device, **recipe)
    return results | {"loss": history.loss[-1]}
