"""`Tally`: what the steps of one pass over the data add up to."""

import time

import torch

from course_utils import distributed


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
        sums = distributed.total(losses * counts), distributed.total(counts)
        alone = distributed.world()[1] == 1
        return {
            "losses": losses if alone else sums[0] / sums[1],
            "counts": sums[1],
            "loss_sum": distributed.total(self.loss_sum).clone(),
            "correct": distributed.total(self.correct).clone(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave: rank 0 holds all of it, so that it counts once."""
        mine = 1 if distributed.is_writer() else 0
        self.reset()
        self.losses = list((state["losses"] * mine).float().to(self.device))
        self.counts = [int(n) * mine for n in state["counts"]]
        self.loss_sum += state["loss_sum"].to(self.device) * mine
        self.correct += state["correct"].to(self.device) * mine
        self.earlier = state["seconds"]
