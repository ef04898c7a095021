"""The course's trainer: `train_ch6`, `evaluate_accuracy_gpu`, and the one loop under both trainers.

`train_ch6` keeps the name and the printed lines of *Dive into Deep Learning*, chapter 6.
"""

import contextlib
import math
import time

import torch
from torch import nn

from course_utils.errors import TrainingError
from course_utils.history import History
from course_utils.progress import Progress
from course_utils.settings import fast_dev_run

CHECK_EVERY = 50  # steps between looks at the loss on an accelerator: each look waits for it


def try_gpu(i=0):
    """The i-th CUDA device, else Apple's MPS, else the CPU."""
    if torch.cuda.device_count() > i:
        return torch.device(f"cuda:{i}")
    if i == 0 and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def evaluate_accuracy_gpu(net, data_iter, device=None):
    """Fraction of examples that `net` classifies correctly.

    net: module, or any callable (N, …) -> (N, classes) logits.
    data_iter: yields (X, y); X a tensor (N, …) or a list of them, y int64 (N,).
    device: where to compute; None: where the module's parameters are.
    A module is evaluated in evaluation mode and left in the mode it was in.
    Raises TrainingError if `data_iter` yields nothing.
    Source: Dive into Deep Learning, 7.6 (behaviour); text and code are our own.
    """
    is_module = isinstance(net, nn.Module)
    if device is None and is_module:
        device = next((p.device for p in net.parameters()), None)
    correct = total = 0
    with torch.inference_mode(), in_mode(net, training=False):
        for X, y in data_iter:
            X, y = _to(X, device), _to(y, device)
            correct += count_correct(net(X), y)
            total += len(y)
    if total == 0:
        raise TrainingError("the data to evaluate on has zero examples")
    return int(correct) / total


def train_ch6(
    net,
    train_iter,
    test_iter,
    num_epochs,
    lr,
    device=None,
    *,
    init="xavier",
    optimizer="sgd",
    loss=None,
    scheduler=None,
    amp=False,
    seed=None,
    progress=None,
    verbose=True,
):
    """Train a classifier, evaluating after every epoch; returns a `History`.

    net: module (N, …) -> (N, classes) logits; trained in place.
    train_iter, test_iter: yield (X, y) batches in each pass; test_iter None: no evaluation.
    num_epochs: passes over train_iter. lr: learning rate (its peak, under a schedule).
    device: where to train; None: `try_gpu()`.
    init: "xavier" or "kaiming" (uniform, for the weights of Conv2d and Linear), a function of a
        module, or None to keep the weights as they are.
    optimizer: "sgd", "adamw", or a function (parameters, lr) -> torch optimizer.
    loss: a function (output, y) -> scalar; None: cross-entropy of the logits.
    scheduler: None or "constant", "warmup-decay" (linear up over 15 % of the steps, then linear
        down to nothing), or a function (optimizer, steps) -> torch scheduler stepped every step.
    amp: compute in bfloat16 where that is safe, with channels-last memory layout.
    seed: of the weights that `init` draws, and of dropout; biases stay as the net was built with.
    progress: "live", "bar" or "none"; None: by place.
    verbose: show progress and print the two closing lines; False: silent.
    A keyboard interrupt ends the training; what was recorded is returned. In a fast dev run one
    epoch is trained.
    Raises TrainingError for a wrong argument, an empty train_iter, or a loss that is not finite.
    Source: Dive into Deep Learning, 7.6 (arguments, printed lines); text and code are our own.
    """
    device = torch.device(device) if device is not None else try_gpu()
    if num_epochs < 1 or lr <= 0:
        raise TrainingError(f"num_epochs ({num_epochs}) must be at least 1 and lr ({lr}) above 0")
    num_epochs = 1 if fast_dev_run() else num_epochs
    if seed is not None:
        torch.manual_seed(seed)
    if init is not None:
        net.apply(_choose("init", init, INITS))
    net.to(device)
    if amp:
        net.to(memory_format=torch.channels_last)
    optimizer = _choose("optimizer", optimizer, OPTIMIZERS)(net.parameters(), lr)
    if scheduler is not None:
        steps = num_epochs * len(train_iter)
        scheduler = _choose("scheduler", scheduler, SCHEDULERS)(optimizer, steps)
    history = History(source=getattr(train_iter, "source", ""), device=str(device))
    show = Progress(num_epochs, len(train_iter), progress if verbose else "off")
    try:
        for epoch in range(num_epochs):
            seen = Tally(device)
            start = time.perf_counter()
            steps = training_steps(
                net, train_iter, optimizer, loss, device, scheduler=scheduler, amp=amp
            )
            for step in steps:
                seen.add(step)
                show.step(epoch, seen)
            mean_loss, train_acc = seen.means()  # waits for the accelerator to finish the epoch
            history.seconds.append(time.perf_counter() - start)
            history.examples.append(seen.examples)
            history.loss.append(mean_loss)
            history.train_acc.append(train_acc)
            history.step_loss += seen.step_losses()
            if test_iter is not None:
                with autocast(device, amp):
                    history.test_acc.append(evaluate_accuracy_gpu(net, test_iter, device))
            show.epoch(epoch, history)
    except KeyboardInterrupt:
        history.interrupted = True
        if len(history.train_acc) == epoch:  # in the middle of an epoch: keep its steps
            history.step_loss += seen.step_losses()
        print(f"stopped by hand after {len(history.loss)} of {num_epochs} epochs")
    show.close()
    if verbose and history.loss:
        test = f", test acc {history.test_acc[-1]:.3f}" if history.test_acc else ""
        print(f"loss {history.loss[-1]:.3f}, train acc {history.train_acc[-1]:.3f}{test}")
        print(f"{history.examples_per_sec:.1f} examples/sec on {device}")
    return history


def training_steps(net, batches, optimizer, loss=None, device=None, *, scheduler=None, amp=False):
    """Train on each batch in turn and yield (loss, correct, number of examples) of each step.

    This is the one training loop of the course: `train_ch6` and `Runner` both walk over it.
    loss and correct are tensors on `device`, detached, so that a step never waits for them.
    The net is in training mode while the loop runs, and then left as it was.
    Raises TrainingError when `batches` is empty or the loss is no longer finite.
    """
    loss = loss or nn.functional.cross_entropy
    number, unchecked = 0, []
    with in_mode(net, training=True):
        for number, (X, y) in enumerate(batches, start=1):
            X, y = _to(X, device), _to(y, device)
            if amp:
                X = X.to(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            with autocast(y.device, amp):
                y_hat = net(X)
                value = loss(y_hat, y)
            value.backward()
            optimizer.step()
            unchecked.append(value.detach())
            on_cpu = value.device.type == "cpu"
            if on_cpu or len(unchecked) == CHECK_EVERY:
                _check_finite(unchecked, number, optimizer)
                unchecked = []
            if scheduler is not None:
                scheduler.step()
            with torch.no_grad():
                correct = count_correct(y_hat, y)
            yield value.detach(), correct, len(y)
    if number == 0:
        raise TrainingError("the data to train on has zero batches")
    _check_finite(unchecked, number, optimizer)


class Tally:
    """Running sums of a pass over the data, kept on the device until somebody asks."""

    def __init__(self, device):
        self.losses, self.examples = [], 0
        self.loss_sum = torch.zeros((), device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, step):
        loss, correct, n = step
        self.losses.append(loss)
        self.loss_sum += loss * n
        self.correct += correct
        self.examples += n

    def means(self):
        """Mean loss and accuracy over the examples so far."""
        return float(self.loss_sum) / self.examples, int(self.correct) / self.examples

    def step_losses(self):
        return torch.stack(self.losses).tolist() if self.losses else []


def count_correct(y_hat, y):
    """How many rows of logits (N, classes) have their largest value at y (N,); a tensor.

    A list of logits counts by its first entry (networks with auxiliary classifiers).
    """
    if isinstance(y_hat, list | tuple):
        y_hat = y_hat[0]
    return (y_hat.argmax(dim=1) == y).sum()


def autocast(device, amp):
    """Context in which matrix products run in bfloat16 if `amp`, and nothing changes otherwise."""
    if not amp:
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def _xavier(module):
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


def _kaiming(module):
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _warmup_decay(optimizer, steps):
    warmup = max(1, int(0.15 * steps))

    def factor(step):  # the optimizer's next step is number `step`, counted from 0
        if step < warmup:
            return (step + 1) / warmup
        return (steps - step) / max(1, steps - warmup)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _constant(optimizer, steps):
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _adamw(parameters, lr):
    return torch.optim.AdamW(parameters, lr, weight_decay=0.01)


INITS = {"xavier": _xavier, "kaiming": _kaiming}
OPTIMIZERS = {"sgd": torch.optim.SGD, "adamw": _adamw}
SCHEDULERS = {"constant": _constant, "warmup-decay": _warmup_decay}


def _choose(name, choice, known):
    """The function that `choice` names, or `choice` itself if it is a function."""
    if callable(choice):
        return choice
    if choice not in known:
        raise TrainingError(f"unknown {name} {choice!r}; use one of {', '.join(known)}")
    return known[choice]


@contextlib.contextmanager
def in_mode(net, training):
    """Put a module in training or evaluation mode, and afterwards back in the mode it was in."""
    if not isinstance(net, nn.Module):
        yield
        return
    before = {module: module.training for module in net.modules()}
    net.train(training)
    try:
        yield
    finally:
        for module, mode in before.items():
            module.training = mode


def _to(data, device):
    """A tensor, or each tensor of a list, on `device` (None: where it is)."""
    if isinstance(data, list | tuple):
        return [part.to(device) for part in data]
    return data.to(device)


def _check_finite(losses, last_step, optimizer):
    """Raise if one of the latest losses is not finite, naming the first such step."""
    for step, value in enumerate(losses, start=last_step - len(losses) + 1):
        if not math.isfinite(value):
            lr = optimizer.param_groups[0]["lr"]
            raise TrainingError(
                f"the loss became {float(value)} at step {step} (lr {lr:g}). "
                "Try a learning rate ten times smaller, or check the data for NaN."
            )
