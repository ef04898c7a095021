"""`History`: what a training run recorded."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from course_utils.errors import TrainingError
from course_utils.files import write_whole


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
