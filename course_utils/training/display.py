"""How training shows itself: a live plot in a notebook, a bar in a terminal, nothing in a batch."""

from course_utils.plotting import Animator
from course_utils.settings import progress_mode

LOOKS_PER_EPOCH = 20


class Progress:
    """Shows one training run of `epochs` epochs with `steps` steps each.

    mode: "live" (a plot that grows), "bar" (tqdm), "none" (only the final plot, in a notebook)
    or "off" (nothing at all).
    """

    def __init__(self, epochs, steps, mode=None):
        self.steps = steps
        self.mode = progress_mode(mode)
        self.plot = Animator(
            xlabel="epoch",
            ylabel="loss, accuracy",
            legend=["train loss", "train acc", "test acc"],
            live=self.mode == "live",
        )
        self.bar = None
        if self.mode == "bar":
            from tqdm import tqdm

            self.bar = tqdm(total=epochs * steps, unit="batch", leave=False)

    def step(self, epoch, seen):
        """After a training step; `seen` is the epoch's Tally."""
        if self.mode == "off":
            return
        done = len(seen.losses)
        if self.bar is not None:
            self.bar.update()
        stretch = max(1, self.steps // LOOKS_PER_EPOCH)
        if done % stretch == 0 or done == self.steps:
            # of the steps since the last look: a mean of the whole epoch would jump at its start
            loss, train_acc = seen.means(stretch)
            self.plot.add(epoch + done / self.steps, (loss, train_acc, None))

    def epoch(self, epoch, history):
        """After an epoch and its evaluation."""
        if self.mode == "off":
            return
        if history.test_acc:
            self.plot.add(epoch + 1, (None, None, history.test_acc[-1]))
        if self.bar is not None:
            test = f" test {history.test_acc[-1]:.3f}" if history.test_acc else ""
            self.bar.set_postfix_str(f"loss {history.loss[-1]:.3f}{test}")

    def close(self):
        if self.bar is not None:
            self.bar.close()
        if self.mode != "off":
            self.plot.close()
