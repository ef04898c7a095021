"""The one training loop of the course, and evaluation: what both trainers walk over."""

import contextlib

import torch
from torch import nn

from course_utils.data.loader import TensorLoader
from course_utils.errors import TrainingError
from course_utils.training import captured, processes
from course_utils.training.precision import as_precision, autocast, fit

CHECK_EVERY = 50  # steps between looks at the loss on an accelerator: each look waits for it
EVALUATE_AT_ONCE = 512  # examples; without gradients there is room for larger batches


def try_gpu(i=None):
    """The i-th CUDA device, else Apple's MPS, else the CPU.

    i: None: the first one, or under torch's launcher the one of this process.
    """
    i = processes.local_rank() if i is None else i
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
    device = _device_of(net) if device is None else device
    if isinstance(data_iter, TensorLoader):
        data_iter = data_iter.in_larger_batches(EVALUATE_AT_ONCE)
    correct = total = 0
    with torch.inference_mode(), in_mode(net, training=False):
        for X, y in data_iter:
            X, y = _to(X, device), _to(y, device)
            correct += count_correct(net(X), y)
            total += len(y)
    if getattr(data_iter, "is_shared", False):  # each process saw its share of every batch
        correct, total = processes.total(torch.tensor([int(correct), total])).tolist()
    if total == 0:
        raise TrainingError("the data to evaluate on has zero examples")
    return int(correct) / total


def training_steps(
    net, batches, optimizer, loss=None, device=None, *, scheduler=None, amp=False, accumulate=1
):
    """Train on each batch in turn and yield (loss, correct, number of examples) of each step.

    loss and correct are tensors on `device`, detached, so that a step never waits for them.
    The net is in training mode while the loop runs, and then left as it was.
    accumulate: parts that a batch is computed in; the step is that of the whole batch.
    Raises TrainingError when `batches` is empty or the loss is no longer finite.
    """
    step = TrainingStep(net, optimizer, loss, amp, accumulate)
    yield from steps_of(step, batches, device, scheduler)


def steps_of(step, batches, device=None, scheduler=None):
    """This is the one training loop of the course: `train_ch6` and `Runner` both walk over it.

    step: a TrainingStep, which may be handed in again for the next epoch. Yields and raises as
    `training_steps` does.
    """
    number, unchecked = 0, []
    if captured.is_possible(step, batches, device):
        results = captured.replayed_steps(step, batches)
    else:
        results = _eager_steps(step, batches, device)
    with in_mode(step.net, training=True):
        for number, (value, correct, n) in enumerate(results, start=1):
            unchecked.append(value)
            if value.device.type == "cpu" or len(unchecked) == CHECK_EVERY:
                _check_finite(unchecked, number, step.optimizer)
                unchecked = []
            if scheduler is not None:
                scheduler.step()
            yield value, correct, n
    if number == 0:
        raise TrainingError("the data to train on has zero batches")
    _check_finite(unchecked, number, step.optimizer)


class TrainingStep:
    """One step of training as a function of a batch: forward, loss, backward, update.

    net: module. optimizer: of its parameters. loss: a function (output, y) -> scalar mean; None:
    cross-entropy of the logits. amp: as in `train_ch6`. accumulate: parts to compute a batch in.
    recording: what `captured` makes of the step on a GPU.
    """

    def __init__(self, net, optimizer, loss=None, amp=False, accumulate=1):
        self.net, self.optimizer, self.accumulate = net, optimizer, accumulate
        self.loss = loss or nn.functional.cross_entropy
        self.amp = as_precision(amp, _device_of(net) or "cpu")
        short = self.amp.numbers == "float16"  # small gradients would be zero in it
        self.scaler = torch.amp.GradScaler("cuda", enabled=short)
        self.recording = None

    @property
    def is_recorded(self):
        """Whether whole batches are replayed by a GPU."""
        return self.recording is not None and self.recording.play is not None

    def __call__(self, X, y, divisor, net=None):
        """Returns (mean loss, correct answers) of the batch, tensors without dimensions.

        divisor: what the sum of the examples' losses is divided by; see `mean_divisor`.
        net: another form of the net, with the same weights.
        """
        net = net or self.net
        self.optimizer.zero_grad(set_to_none=True)
        value, correct = 0, 0
        for X_part, y_part, is_last in _split(X, y, self.accumulate):
            with processes.averaging(net, is_last):
                with autocast(y.device, self.amp):
                    y_hat = net(fit(X_part, self.amp))
                    mean = self.loss(y_hat, y_part)
                self.scaler.scale(mean * (len(y_part) / divisor)).backward()
            value += mean.detach() * (len(y_part) / len(y))
            with torch.no_grad():
                correct += count_correct(y_hat, y_part)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value, correct


def count_correct(y_hat, y):
    """How many rows of logits (N, classes) have their largest value at y (N,); a tensor.

    A list of logits counts by its first entry (networks with auxiliary classifiers).
    """
    if isinstance(y_hat, list | tuple):
        y_hat = y_hat[0]
    return (y_hat.argmax(dim=1) == y).sum()


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


def _eager_steps(step, batches, device):
    """(loss, correct, number of examples) of each batch, computed when it is asked for."""
    for X, y in batches:
        X, y = _to(X, device), _to(y, device)
        divisor = batches.mean_divisor() if isinstance(batches, TensorLoader) else len(y)
        yield *step(X, y, divisor), len(y)


def _device_of(net):
    """Where a module's parameters are; None if it has none, or is another callable."""
    parameters = net.parameters() if isinstance(net, nn.Module) else ()
    return next((parameter.device for parameter in parameters), None)


def _to(data, device):
    """A tensor, or each tensor of a list, on `device` (None: where it is)."""
    if isinstance(data, list | tuple):
        return [part.to(device) for part in data]
    return data.to(device)


def _split(X, y, parts):
    """The batch in at most `parts` parts of about the same size: (X, y, whether it is the last)."""
    if parts == 1:
        return [(X, y, True)]
    pieces = [x.chunk(parts) for x in X] if isinstance(X, list) else X.chunk(parts)
    if isinstance(X, list):
        pieces = [list(piece) for piece in zip(*pieces, strict=True)]
    labels = y.chunk(parts)
    return [(x, t, t is labels[-1]) for x, t in zip(pieces, labels, strict=True)]


def _check_finite(losses, last_step, optimizer):
    """Raise if one of the latest losses is not finite, naming the first such step."""
    if not losses or bool(torch.stack(losses).isfinite().all()):  # one look at all of them
        return
    first = next(i for i, value in enumerate(losses) if not value.isfinite())
    lr = float(optimizer.param_groups[0]["lr"])
    raise TrainingError(
        f"the loss became {float(losses[first])} at step {last_step - len(losses) + 1 + first} "
        f"(lr {lr:g}). Try a learning rate ten times smaller, or check the data for NaN."
    )
