"""`Runner`: the step-wise trainer of the digits lab, on the same loop as `train_ch6`."""

import math

import torch

from course_utils.errors import TrainingError
from course_utils.plotting import Animator
from course_utils.settings import fast_dev_run, progress_mode
from course_utils.training.arguments import as_seed, check_loader, check_loss, usable, whole_number
from course_utils.training.checkpoint import (
    Checkpoint,
    description_of,
    misfit,
    read_tensors,
    write_tensors,
)
from course_utils.training.history import Tally
from course_utils.training.loop import (
    TrainingStep,
    count_correct,
    cross_entropy,
    evaluate_accuracy_gpu,
    evaluating,
    on_device,
    steps_of,
    try_gpu,
)
from course_utils.training.rehearsal import check_smallest_batch, give_sizes

RECORD = "step_losses", "epoch_losses", "dev_scores", "best_score", "best_loss", "best_step"


def accuracy(y_hat, y):
    """Fraction of the rows of logits (N, classes) whose largest value is at y (N,); a tensor."""
    return count_correct(y_hat, y) / len(y)


class Runner:
    """Trains a net step by step, judges it on the way, and keeps the best weights on disk.

    net: module (N, …) -> (N, classes) logits; its weights are kept as they are at the start.
    optimizer: a torch optimizer of the net's parameters.
    loss: a function (output, y) -> scalar mean; None: cross-entropy of the logits.
    metric: a function (output, y) -> mean score of a batch, larger is better; None: accuracy.
    device: where to compute; None: `try_gpu()`.

    What was recorded: `step_losses` (one per step), `epoch_losses` (means), `dev_scores`
    (step, score, loss), `best_score`, `best_loss` and `best_step`. Of equal scores the one with
    the smaller loss is better: few examples give many equal scores. Training again continues
    the record.
    """

    def __init__(self, net, optimizer, loss=None, metric=None, device=None):
        check_loss(loss)
        self.device = try_gpu() if device is None else usable(device)
        self.net = net.to(self.device)
        self.optimizer = optimizer
        self.loss = loss or cross_entropy
        self.metric = metric or accuracy
        self.step_losses, self.epoch_losses, self.dev_scores = [], [], []
        self.best_score, self.best_loss, self.best_step = -math.inf, math.inf, None
        self.interrupted = False

    def train(
        self,
        train_iter,
        dev_iter=None,
        num_epochs=None,
        *,
        num_steps=None,
        eval_every=15,
        log_every=15,
        save_path=None,
        checkpoint=None,
        checkpoint_every=200,
        seed=None,
        progress=None,
    ):
        """Train for `num_epochs` epochs or `num_steps` steps, what ends first; else for one epoch.

        train_iter, dev_iter: yield (X, y) batches in each pass; dev_iter None: never evaluated.
        eval_every: steps between evaluations; the last step is always evaluated.
        log_every: steps between printed lines, besides those at evaluations; 0: print nothing.
        save_path: file for the weights with the best dev score so far.
        checkpoint: file that keeps the state; if it is there, training goes on from it.
        checkpoint_every: steps between two saves, besides that after each epoch.
        seed: of dropout. progress: "live", "bar", "none" or "off"; None: by place.
        A keyboard interrupt ends the training and keeps the record. In a fast dev run one epoch.
        Raises TrainingError for a wrong argument, data or labels that do not fit, a checkpoint of
        something else, or a loss that is not finite.
        """
        mode, start = progress_mode(progress), len(self.step_losses)
        stop = start + _steps(train_iter, num_epochs, num_steps)
        eval_every = whole_number("eval_every", eval_every, 1)
        log_every = whole_number("log_every", log_every, 0)
        if dev_iter is not None:
            check_loader("dev_iter", dev_iter, counted=False)
        if (seed := as_seed(seed)) is not None:
            torch.manual_seed(seed)
        give_sizes(self.net, train_iter)
        count = None if self.metric is accuracy else _nothing
        training = TrainingStep(self.net, self.optimizer, self.loss, count=count)
        check_smallest_batch(self.net, train_iter, self.device)
        seen = Tally()
        about = {"steps": (start, stop), "seed": seed, "optimizer": description_of(self.optimizer)}
        parts = {"net": self.net, "optimizer": self.optimizer, "record": self, "epoch so far": seen}
        keeper = Checkpoint(checkpoint, checkpoint_every, about, parts, train_iter, dev_iter)
        if keeper.resume(self.device) and log_every:
            rest = ": nothing is left to train" if len(self.step_losses) == stop else ""
            print(f"resumed from {checkpoint} after step {len(self.step_losses)}{rest}")
        show = _Display(stop - len(self.step_losses), log_every, mode)
        self.interrupted = False
        try:
            while len(self.step_losses) < stop:
                steps = steps_of(training, train_iter, self.device)
                self._epoch(steps, dev_iter, stop, eval_every, save_path, show, seen, keeper)
                seen.reset()
                keeper.save()
        except KeyboardInterrupt:
            self.interrupted = True
            print(f"stopped by hand after step {len(self.step_losses)}")
        show.close()

    def _epoch(self, steps, dev_iter, stop, eval_every, save_path, show, seen, keeper):
        for result in steps:
            seen.add(result)
            # a number, not the tensor: a list of tensors with history would keep every graph alive
            self.step_losses.append(float(result[0]))
            step = len(self.step_losses)
            judged = None
            if dev_iter is not None and (step % eval_every == 0 or step == stop):
                judged = score, loss = self.evaluate(dev_iter)
                self.dev_scores.append((step, score, loss))
                if (score, -loss) > (self.best_score, -self.best_loss):
                    self.best_score, self.best_loss, self.best_step = score, loss, step
                    if save_path is not None:
                        self.save(save_path)
            show.step(step, self.step_losses[-1], judged)
            if step == stop:
                break
            keeper.after_step(len(seen.losses))
        steps.close()  # after a break: puts the net back in its mode now
        self.epoch_losses.append(seen.means()[0])

    def state_dict(self):
        """What was recorded, as plain values, for a checkpoint."""
        return {name: getattr(self, name) for name in RECORD}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave."""
        for name in RECORD:
            if name != "best_step" and type(state[name]) is not type(getattr(self, name)):
                raise ValueError(f"{name} is something else")
            setattr(self, name, state[name])

    def evaluate(self, data_iter):
        """Mean (score, loss) over the examples of `data_iter`, in evaluation mode."""
        measures = [
            lambda y_hat, y: self.metric(y_hat, y) * len(y),
            lambda y_hat, y: self.loss(y_hat, y) * len(y),
        ]
        return tuple(evaluate_accuracy_gpu(self.net, data_iter, self.device, measures=measures))

    def predict(self, X):
        """Probabilities (N, classes) of X (N, …) or a list of them: the softmax of the logits."""
        with evaluating(self.net):
            return self.net(on_device(X, self.device)).softmax(dim=1)

    def save(self, path):
        """Write the net's weights; the file appears whole or not at all."""
        write_tensors(path, self.net.state_dict())

    def load(self, path):
        """Read weights that `save` wrote into the net.

        Only tensors are accepted, so that a file from elsewhere cannot run code.
        Raises TrainingError, before anything changed, if the file is missing, is no file of
        weights, or has weights of another net.
        """
        try:
            weights = read_tensors(path, self.device)
        except FileNotFoundError:
            raise TrainingError(f"there are no weights at {path}: train with save_path") from None
        if problem := misfit(self.net.state_dict(), weights):
            raise TrainingError(f"{path} does not fit {type(self.net).__name__}: {problem}")
        self.net.load_state_dict(weights)

    def plot(self, title=None):
        """Draw the losses (steps, epochs, dev) and the dev scores; returns the figure."""
        import matplotlib.pyplot as plt

        fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
        steps = range(1, len(self.step_losses) + 1)
        left.plot(steps, self.step_losses, lw=0.7, alpha=0.6, label="train, each step")
        epochs = len(self.epoch_losses)  # equally long, but for a last one that was stopped
        ends = [len(steps) * epoch / epochs for epoch in range(1, epochs + 1)]
        left.plot(ends, self.epoch_losses, color="C2", label="train, each epoch")
        if self.dev_scores:
            step, score, loss = zip(*self.dev_scores, strict=True)
            left.plot(step, loss, "--", marker=".", label="dev")
            right.plot(step, score, marker=".", color="C1", label="dev")
            right.plot(self.best_step, self.best_score, "*", ms=11, color="C2", label="best")
            right.legend()
        left.set(xlabel="step", ylabel="loss", ylim=(0, None))
        left.legend()
        right.set(xlabel="step", ylabel="score")
        fig.suptitle(title or type(self.net).__name__)
        fig.tight_layout()
        return fig


def _nothing(y_hat, y):
    """Right answers, where another metric is asked for, whose labels may be of another kind."""
    return y.new_zeros(())


def _steps(train_iter, num_epochs, num_steps):
    """How many steps to make; at most one epoch in a fast dev run."""
    check_loader("train_iter", train_iter)
    steps = math.inf if num_steps is None else whole_number("num_steps", num_steps, 1)
    if num_epochs is not None or num_steps is None:
        epochs = whole_number("num_epochs", 1 if num_epochs is None else num_epochs, 1)
        steps = min(steps, epochs * len(train_iter))
    return min(steps, len(train_iter)) if fast_dev_run() else steps


class _Display:
    """Shows a run's steps: printed lines, and by mode a bar or a plot that grows."""

    def __init__(self, steps, log_every, mode):
        self.log_every = 0 if mode == "off" else log_every
        self.bar = self.plot = None
        if mode == "bar":
            from tqdm import tqdm

            self.bar = tqdm(total=steps, unit="step", leave=False)
        elif mode == "live":
            self.plot = Animator(xlabel="step", legend=["train loss", "dev score"], live=True)

    def step(self, step, loss, judged):
        """After a step; judged: (dev score, dev loss) or None."""
        if self.bar is not None:
            self.bar.update()
        if self.plot is not None:
            self.plot.add(step, (loss, judged and judged[0]))
        if self.log_every and (judged or step % self.log_every == 0):
            dev = f", dev score {judged[0]:.3f}, dev loss {judged[1]:.3f}" if judged else ""
            self._write(f"step {step:4d}: loss {loss:.3f}{dev}")

    def close(self):
        if self.bar is not None:
            self.bar.close()
        if self.plot is not None:
            self.plot.close()

    def _write(self, line):
        if self.bar is not None:
            self.bar.write(line)
        else:
            print(line)
