"""`History`: what a training run recorded; `Tally`: what the steps of one epoch add up to."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from course_utils.errors import TrainingError
from course_utils.files import write_whole
from course_utils.training import processes


@dataclass
class History:
    """Losses and accuracies of one training run.

    loss, train_acc, test_acc: one value per epoch (mean loss; fractions of examples).
    step_loss: one value per step, in order.
    seconds: training time of each epoch, loading of the data included, evaluation not.
    examples: training examples seen in each epoch.
    source: the data's name. device: where it ran. precision: in which numbers.
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

    def add_epoch(self, sums):
        """Add what an epoch's `Tally` gives as its state."""
        examples = int(sums["counts"].sum())
        self.seconds.append(sums["seconds"])
        self.examples.append(examples)
        self.loss.append(float(sums["loss_sum"]) / examples)
        self.train_acc.append(int(sums["correct"]) / examples)
        self.step_loss += sums["losses"].tolist()

    def state_dict(self):
        """All of it as plain values, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave."""
        for name, value in state.items():
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
        """Write the record as JSON; the file appears whole or not at all."""
        write_whole(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path):
        """Read what `save` wrote. Raises TrainingError if the file is something else."""
        try:
            history = cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise TrainingError(f"{path} is no saved History ({error})") from error
        for name, default in asdict(cls()).items():
            value = getattr(history, name)
            numbers = value if isinstance(value, list) else []
            if type(value) is not type(default) or {type(v) for v in numbers} - {int, float}:
                raise TrainingError(f"{path} is no saved History ({name} is something else there)")
        return history


class Tally:
    """Running sums of a pass over the data, kept on the device until somebody asks.

    losses: the mean loss of each step, a tensor each. counts: the examples of each step.
    seconds: how long the pass took so far, that before a checkpoint included.
    """

    def __init__(self, device):
        self.device = device
        self.reset()

    def reset(self):
        """Begin another pass."""
        self.losses, self.counts = [], []
        self.loss_sum = torch.zeros((), device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.earlier = 0.0
        self.start_clock()

    def start_clock(self):
        self.started = time.perf_counter()

    @property
    def seconds(self):
        return self.earlier + time.perf_counter() - self.started

    def add(self, step):
        """Add a step: (mean loss, correct answers, number of examples)."""
        loss, correct, n = step
        self.losses.append(loss)
        self.counts.append(n)
        self.loss_sum += loss * n
        self.correct += correct

    def means(self):
        """Mean loss and accuracy over this process's examples so far."""
        examples = sum(self.counts)
        return float(self.loss_sum) / examples, int(self.correct) / examples

    def step_losses(self):
        """This process's mean loss of each step, as numbers."""
        return torch.stack(self.losses).tolist() if self.losses else []

    def state_dict(self):
        """The sums over all processes that train together; every one of them has to ask."""
        counts = torch.tensor(self.counts, dtype=torch.float64)
        losses = torch.tensor(self.step_losses(), dtype=torch.float64)
        sums = processes.total(losses * counts), processes.total(counts)
        alone = processes.world()[1] == 1
        return {
            "losses": losses if alone else sums[0] / sums[1],
            "counts": sums[1],
            "loss_sum": processes.total(self.loss_sum).clone(),
            "correct": processes.total(self.correct).clone(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave: rank 0 holds all of it, so that it counts once."""
        mine = 1 if processes.is_writer() else 0
        self.reset()
        self.losses = list((state["losses"] * mine).float().to(self.device))
        self.counts = [int(n) * mine for n in state["counts"]]
        self.loss_sum += state["loss_sum"].to(self.device) * mine
        self.correct += state["correct"].to(self.device) * mine
        self.earlier = state["seconds"]
