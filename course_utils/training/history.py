"""`History`: what a training run recorded; `Tally`: what the steps of one epoch add up to."""

import json
import time
from dataclasses import asdict, dataclass, field

import torch

from course_utils.errors import TrainingError
from course_utils.files import write_whole
from course_utils.settings import absolute
from course_utils.training import processes


@dataclass
class History:
    """Losses and accuracies of one training run.

    loss, train_acc, test_acc: one value per epoch (mean loss; fractions of examples).
    step_loss: one value per step, in order.
    seconds: training time of each epoch, loading of the data included, evaluation not.
    examples: training examples seen in each epoch.
    source: the data's name. device: where it ran. precision: in which numbers and which layout;
        "recorded steps" where most steps were replayed by a GPU (see `training/captured.py`).
    interrupted: stopped by hand before the end.
    """

    loss: list = field(default_factory=list)
    train_acc: list = field(default_factory=list)
    test_acc: list = field(default_factory=list)
    step_loss: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    examples: list = field(default_factory=list)
    source: str = ""
    device: str = "cpu"
    precision: str = "float32"
    interrupted: bool = False

    @property
    def examples_per_sec(self):
        """Training examples per second over the whole run; 0 before the first epoch's end."""
        return sum(self.examples) / sum(self.seconds) if self.seconds else 0.0

    def add_epoch(self, sums, device):
        """Add what an epoch's `Tally` gives as its state. device: where it ended."""
        if str(device) not in self.device.split(" and "):  # resumed on another one
            self.device += f" and {device}"
        examples = int(sums["counts"].sum())
        self.seconds.append(sums["seconds"])
        self.examples.append(examples)
        self.loss.append(float(sums["losses"] @ sums["counts"]) / examples)
        self.train_acc.append(int(sums["correct"].sum()) / examples)
        self.step_loss += sums["losses"].tolist()

    def state_dict(self):
        """All of it as plain values, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave. Raises ValueError if it is something else."""
        for name, default in asdict(History()).items():
            value = state[name]
            numbers = value if isinstance(value, list) else []
            if type(value) is not type(default) or {type(v) for v in numbers} - {int, float}:
                raise ValueError(f"{name} is something else")
            setattr(self, name, value)

    def plot(self, title=None):
        """Draw the loss of every step and the accuracies of every epoch; returns the figure."""
        import matplotlib.pyplot as plt

        fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
        left.plot(range(1, len(self.step_loss) + 1), self.step_loss, lw=0.8)
        left.set(xlabel="step", ylabel="loss")
        epochs = range(1, len(self.train_acc) + 1)
        right.plot(epochs, self.train_acc, "o--", label="train")
        right.plot(epochs[: len(self.test_acc)], self.test_acc, "o-", label="test")
        right.set(xlabel="epoch", ylabel="accuracy")
        right.xaxis.get_major_locator().set_params(integer=True)
        right.legend()
        fig.suptitle(title or self.source)
        fig.tight_layout()
        return fig

    def to_frame(self):
        """One row per epoch as a pandas DataFrame."""
        import pandas as pd

        columns = ("loss", "train_acc", "test_acc", "seconds", "examples")
        frame = pd.DataFrame({name: pd.Series(getattr(self, name)) for name in columns})
        frame.index = pd.RangeIndex(1, len(frame) + 1, name="epoch")
        return frame

    def save(self, path):
        """Write the record as JSON; the file appears whole or not at all.

        Raises TrainingError if it cannot be written.
        """
        try:
            write_whole(absolute(path), json.dumps(asdict(self), indent=1))
        except OSError as error:
            raise TrainingError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path):
        """Read what `save` wrote. Raises TrainingError if the file is something else."""
        history = cls()
        try:
            history.load_state_dict(asdict(cls(**json.loads(absolute(path).read_text("utf-8")))))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise TrainingError(f"{path} is no saved History ({error})") from error
        return history


class Tally:
    """What the steps of one pass over the data add up to.

    losses: the mean loss of each step; correct: right answers; tensors on the device, at which
    nobody looks before somebody asks. counts: the examples of each step.
    seconds: how long the pass took so far, that before a checkpoint included.
    """

    def __init__(self):
        self.reset()

    def reset(self):
        """Begin another pass."""
        self.losses, self.correct, self.counts = [], [], []
        self.earlier = 0.0
        self.start_clock()

    def start_clock(self):
        self.started = time.perf_counter()

    @property
    def seconds(self):
        return self.earlier + time.perf_counter() - self.started

    def add(self, step):
        """Add a step: (mean loss, correct answers, number of examples)."""
        for values, value in zip((self.losses, self.correct, self.counts), step, strict=True):
            values.append(value)

    def means(self, last=0):
        """Mean loss and accuracy over this process's examples of the `last` steps; 0: of all."""
        losses, counts = _column(self.losses[-last:]), _column(self.counts[-last:])
        correct = _column(self.correct[-last:])
        examples = counts.sum()
        return float(losses @ counts / examples), float(correct.sum() / examples)

    def step_losses(self):
        """This process's mean loss of each step, as numbers."""
        return _column(self.losses).tolist()

    def state_dict(self):
        """Step by step, over all processes that train together; every one of them has to ask."""
        losses, counts = _column(self.losses), _column(self.counts)
        seconds = self.seconds  # now that the device has caught up
        if processes.world()[1] > 1:
            sums, counts = processes.total(losses * counts), processes.total(counts)
            losses = sums / counts
        correct = processes.total(_column(self.correct))
        return {"losses": losses, "correct": correct, "counts": counts, "seconds": seconds}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave: rank 0 holds all of it, so that it counts once."""
        mine = 1 if processes.is_writer() else 0
        self.reset()
        self.losses = list(state["losses"].cpu() * mine)
        self.correct = list(state["correct"].cpu() * mine)
        self.counts = [int(n) * mine for n in state["counts"]]
        self.earlier = state["seconds"]


def _column(values):
    """Numbers, or tensors that hold one, as one float64 tensor on the CPU."""
    if not values or not torch.is_tensor(values[0]):
        return torch.tensor(values, dtype=torch.float64)
    kinds = {value.device for value in values}
    values = values if len(kinds) == 1 else [value.cpu() for value in values]
    return torch.stack(values).to("cpu", torch.float64)
