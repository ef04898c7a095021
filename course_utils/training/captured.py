"""A training step recorded once as a CUDA graph and replayed, so that the GPU never waits.

At the sizes of this course a GPU is done with a kernel before Python has asked for the next one.
A graph holds the whole step (gather, scale, forward, loss, backward, update) with the places in
memory that it reads and writes; replaying it is one call. Which examples it takes is written to one
of these places before, the learning rate to another.
"""

import random

import numpy as np
import torch

from course_utils import settings
from course_utils.data.loader import TensorLoader
from course_utils.training import processes

WARM_UP = 3  # steps that run as usual first: optimiser and cuDNN set up what they need
WORTH_IT = 10  # whole batches in an epoch; below that a recording costs more than it saves


def is_possible(step, batches, device):
    """Whether recording may be tried: on CUDA, in one process, with the data in its memory."""
    if not isinstance(batches, TensorLoader) or settings.eager_only():
        return False
    here = batches.device.type == torch.device(device or batches.device).type == "cuda"
    worth_it = batches.whole_batches >= WORTH_IT and processes.world()[1] == 1
    return here and worth_it and _calls_no_hooks(step.net)


def replayed_steps(step, loader):
    """(loss, correct, number of examples) of each batch, as the eager loop gives them.

    Whole batches are replayed as soon as there is a recording. The first ones, a smaller last one,
    and all of them where the step cannot be recorded, are computed as usual.
    """
    if step.recording is None or step.recording.loader is not loader:
        step.recording = Recording(step, loader)
    for indices in loader.indices():
        whole = len(indices) == loader.batch_size
        if whole and step.recording.is_ready():
            results = step.recording.replay(indices)
        elif whole and not step.recording.given_up:
            results = step.recording.warm_up(indices)
        else:  # a compiled net would be compiled again, for the last batch's size
            plain = getattr(step.net, "_orig_mod", step.net)
            results = step(*loader.at(indices), len(indices), plain)
        yield *results, len(indices)


class Recording:
    """`step` on whole batches of `loader`, recorded when it has run a few times.

    play: replays the graph; None before it is recorded. given_up: the step stays with the eager
    loop, because it waits for the GPU, draws random numbers in Python, or counts in the optimiser's
    settings: a graph would repeat what it saw.
    """

    def __init__(self, step, loader):
        self.step, self.loader = step, loader
        self.indices = torch.zeros(loader.batch_size, dtype=torch.int64, device=loader.device)
        self.result = torch.zeros(2, device=loader.device)  # loss, correct answers
        self.rates = [torch.zeros((), device=loader.device) for _ in step.optimizer.param_groups]
        self.seen = []  # the constants of each step so far
        self.play, self.given_up = None, False

    def warm_up(self, indices):
        """The step as usual, but on a stream of its own, as recordings want it."""
        self.seen.append(self._constants())
        before = _random_states()
        results = on_a_side_stream(lambda: self.step(*self.loader.at(indices), len(indices)))
        self.given_up = before != _random_states()
        return results

    def is_ready(self):
        """Whether a whole batch can be replayed; records the step when it is time to."""
        if self.play is None and not self.given_up and len(self.seen) >= WARM_UP:
            self._record()
        elif self.play is not None and self.seen[-1] != self._constants():
            self.play, self.given_up = None, True
        return self.play is not None

    def replay(self, indices):
        """(mean loss, correct answers) of the batch with these indices."""
        self.indices.copy_(indices)
        for i, group in enumerate(self.step.optimizer.param_groups):
            if self._written[i] != group["lr"]:
                self.rates[i].fill_(group["lr"])
                self._written[i] = group["lr"]
        self.play()
        return self.result.clone().unbind()

    def _constants(self):
        """The optimiser's settings that a graph keeps: all but the rates of fused optimisers."""
        return [
            {
                name: value
                for name, value in group.items()
                if name != "params" and not (name == "lr" and group.get("fused"))
            }
            for group in self.step.optimizer.param_groups
        ]

    def _record(self):
        groups = self.step.optimizer.param_groups
        before = [dict(group) for group in groups]
        self._written = [None] * len(groups)
        try:
            if any(constants != self.seen[0] for constants in self.seen):
                raise RuntimeError("the optimiser counts in its settings")
            for group, rate in zip(groups, self.rates, strict=True):
                group |= {"lr": rate} if group.get("fused") else {}
                group |= {"capturable": True} if "capturable" in group else {}
            self.play = record(self._step_in_place)
        except (RuntimeError, AssertionError, TypeError):
            self.given_up = True
        finally:
            for group, values in zip(groups, before, strict=True):
                group.update(values)

    def _step_in_place(self):
        loss, correct = self.step(*self.loader.at(self.indices), len(self.indices))
        self.result.copy_(torch.stack([loss, correct.to(loss.dtype)]))


def on_a_side_stream(function):
    """`function()` on a CUDA stream of its own, in order with what comes before and after."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        results = function()
    torch.cuda.current_stream().wait_stream(side)
    return results


def record(function):
    """Record what `function()` asks of the GPU, without doing it; returns what does it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        function()
    return graph.replay


def _calls_no_hooks(net):
    """Whether a pass through the net leaves out hooks: a graph would not call them again."""
    return isinstance(net, torch.nn.Module) and not any(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
        for module in net.modules()
    )


def _random_states():
    """Where the random numbers of the CPU are."""
    return random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist()
