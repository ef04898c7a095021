"""From a network and data to a trained network: `train_ch6`, `Runner`, and their parts."""

from course_utils.training.history import History
from course_utils.training.loop import (
    count_correct,
    evaluate_accuracy_gpu,
    in_mode,
    training_steps,
    try_gpu,
)
from course_utils.training.precision import autocast
from course_utils.training.processes import data_parallel, is_writer, join, world
from course_utils.training.recipes import INITS, OPTIMIZERS, SCHEDULERS
from course_utils.training.rewrites import Rewrites
from course_utils.training.runner import Runner, accuracy
from course_utils.training.trainer import train_ch6

__all__ = [
    "INITS",
    "OPTIMIZERS",
    "SCHEDULERS",
    "History",
    "Rewrites",
    "Runner",
    "accuracy",
    "autocast",
    "count_correct",
    "data_parallel",
    "evaluate_accuracy_gpu",
    "in_mode",
    "is_writer",
    "join",
    "train_ch6",
    "training_steps",
    "try_gpu",
    "world",
]
