"""The one training loop of the course, and evaluation: what both trainers walk over."""

import contextlib
import itertools

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy

from course_utils.data.loader import TensorLoader
from course_utils.errors import TrainingError
from course_utils.training import captured, processes
from course_utils.training.arguments import check_loss, check_trainable, usable, whole_number
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


def evaluate_accuracy_gpu(net, data_iter, device=None, *, measures=None):
    """Fraction of examples that `net` classifies correctly.

    net: module, or any callable (N, …) -> (N, classes) logits.
    data_iter: yields (X, y); X a tensor (N, …) or a list of them, y int64 (N,).
    device: where to compute; None: where the module's parameters are.
    measures: functions (output, y) -> sum over the batch's examples, to find other means than that
        of right answers; then a list of them is returned.
    A module is evaluated in evaluation mode and left in the mode it was in.
    Raises TrainingError if `data_iter` yields nothing, or its labels do not fit.
    Source: Dive into Deep Learning, 7.6 (behaviour); text and code are our own.
    """
    device = device_of(net) if device is None else usable(device)
    if isinstance(data_iter, TensorLoader):
        data_iter = data_iter.in_larger_batches(EVALUATE_AT_ONCE)
    wanted = measures or [count_correct]
    sums, total = [0] * len(wanted), 0
    with evaluating(net):
        for X, y in batches_on(device, data_iter):
            y_hat = net(X)
            sums = [
                so_far + measure(y_hat, y) for so_far, measure in zip(sums, wanted, strict=True)
            ]
            total += len(y)
    *sums, total = map(float, [*sums, total])
    if getattr(data_iter, "is_shared", False):  # each process saw its share of every batch
        column = torch.tensor([*sums, total], dtype=torch.float64)
        *sums, total = processes.total(column).tolist()
    if total == 0:
        raise TrainingError("the data to evaluate on has zero examples")
    means = [value / total for value in sums]
    return means if measures else means[0]


def training_steps(
    net, batches, optimizer, loss=None, device=None, *, scheduler=None, amp=False, accumulate=1
):
    """Train on each batch in turn and yield (loss, correct, number of examples) of each step.

    loss and correct are tensors on `device`, detached, so that a step never waits for them.
    The net is in training mode while the loop runs, and then left as it was.
    accumulate: parts that a batch is computed in; the step is that of the whole batch.
    Raises TrainingError when `batches` is empty or the loss is no longer finite.
    """
    device = None if device is None else usable(device)
    step = TrainingStep(net, optimizer, loss, amp, accumulate)
    yield from steps_of(step, batches, device, scheduler)


def steps_of(step, batches, device=None, scheduler=None):
    """This is the one training loop of the course: `train_ch6` and `Runner` both walk over it.

    step: a TrainingStep, which may be handed in again for the next epoch. Yields and raises as
    `training_steps` does.
    """
    number, unchecked = 0, []
    if step.may_be_recorded and captured.is_possible(step, batches, device):
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
    count: a function (output, y) -> right answers; None: `count_correct`.
    recording: what `captured` makes of the step on a GPU, if it may_be_recorded.
    Raises TrainingError if nothing of the net can be trained, or the loss is no function.
    """

    may_be_recorded = True

    def __init__(self, net, optimizer, loss=None, amp=False, accumulate=1, count=None):
        check_trainable(net)
        check_loss(loss)
        self.net, self.optimizer = net, optimizer
        self.accumulate = whole_number("accumulate", accumulate, 1)
        self.loss, self.count = loss or cross_entropy, count or count_correct
        self.amp = as_precision(amp, device_of(net) or "cpu")
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
                    y_hat = output(net, fit(X_part, self.amp), len(y_part))
                    with torch.no_grad():  # and before the loss: it says which labels do not fit
                        correct += self.count(y_hat, y_part)
                    mean = self.loss(y_hat, y_part)
                _check_is_mean(mean)
                self.scaler.scale(mean * (len(y_part) / divisor)).backward()
            value += mean.detach() * (len(y_part) / len(y))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value, correct


def cross_entropy(y_hat, y):
    """Mean cross-entropy of logits (N, classes) for labels (N,), integers of any size."""
    if y.is_floating_point():
        raise TrainingError(f"labels must be whole numbers, the numbers of classes; not {y.dtype}")
    return nn.functional.cross_entropy(y_hat, y.long())


def count_correct(y_hat, y):
    """How many rows of logits (N, classes) have their largest value at y (N,); a tensor.

    A list of logits counts by its first entry (networks with auxiliary classifiers).
    Raises TrainingError if the labels do not fit: others would be compared with each other.
    """
    if isinstance(y_hat, list | tuple):
        y_hat = y_hat[0]
    if y_hat.ndim != 2 or y.shape != y_hat.shape[:1]:
        raise TrainingError(
            f"labels of shape {tuple(y.shape)} do not fit outputs of shape {tuple(y_hat.shape)}: "
            "N outputs (N, classes) need N labels (N,), the numbers of the classes"
        )
    classes = y_hat.shape[1]
    if y.device.type == "cpu" and len(y) and y.max() >= classes:  # elsewhere a look would wait
        raise TrainingError(
            f"label {int(y.max())} does not fit outputs of shape {tuple(y_hat.shape)}: "
            f"the classes are numbered from 0 to {classes - 1}"
        )
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


@contextlib.contextmanager
def evaluating(net):
    """Without gradients, and a module in evaluation mode."""
    # lazy layers take their sizes in a first pass: in inference mode they could never be trained
    without_gradients = torch.no_grad if has_lazy_layers(net) else torch.inference_mode
    with without_gradients(), in_mode(net, training=False):
        yield


def batches_on(device, batches):
    """Each batch (X, y) on `device` (None: where it is); one without examples is left out.

    Raises TrainingError for what is no batch.
    """
    for batch in batches:
        is_pair = isinstance(batch, list | tuple) and len(batch) == 2
        X, y = batch if is_pair else (None, None)
        if not torch.is_tensor(y) or y.ndim == 0:
            raise TrainingError(
                "the data must come in batches (X, y) of tensors, y with a label for each example, "
                f"as a DataLoader makes them; this is a {type(batch).__name__} of something else"
            )
        if len(y):
            yield on_device(X, device), on_device(y, device)


def output(net, X, examples):
    """What the net makes of a batch X to train on; says what batch normalisation cannot take."""
    try:
        return net(X)
    except ValueError as error:
        if examples > 1 or not has_batch_norm(net):
            raise
        raise TrainingError(
            "the net cannot be trained on a batch of one example, as batch normalisation compares "
            "examples: take another batch_size (or number of examples, if the last batch has one)"
        ) from error


def device_of(net):
    """Where a module's parameters are; None if it has none, or is another callable."""
    parameters = net.parameters() if isinstance(net, nn.Module) else ()
    return next((parameter.device for parameter in parameters), None)


def on_device(data, device):
    """A tensor, or each tensor of a list, on `device` (None: where it is)."""
    if isinstance(data, list | tuple):
        return [part.to(device) for part in data]
    return data.to(device)


def has_lazy_layers(net):
    """Whether some of the module's layers (nn.LazyLinear …) have no size yet."""
    return isinstance(net, nn.Module) and any(
        map(is_lazy, itertools.chain(net.parameters(), net.buffers()))
    )


def has_batch_norm(net):
    """Whether some of the module's layers compare the examples of a batch."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


def _eager_steps(step, batches, device):
    """(loss, correct, number of examples) of each batch, computed when it is asked for."""
    for X, y in batches_on(device, batches):
        divisor = batches.mean_divisor() if isinstance(batches, TensorLoader) else len(y)
        yield *step(X, y, divisor), len(y)


def _split(X, y, parts):
    """The batch in at most `parts` parts of about the same size: (X, y, whether it is the last)."""
    if parts == 1:
        return [(X, y, True)]
    pieces = [x.chunk(parts) for x in X] if isinstance(X, list) else X.chunk(parts)
    if isinstance(X, list):
        pieces = [list(piece) for piece in zip(*pieces, strict=True)]
    labels = y.chunk(parts)
    return [(x, t, t is labels[-1]) for x, t in zip(pieces, labels, strict=True)]


def _check_is_mean(value):
    if not torch.is_tensor(value) or value.ndim > 0:
        what = f"a tensor {tuple(value.shape)}" if torch.is_tensor(value) else repr(value)
        raise TrainingError(
            f"the loss must give one number, the mean over the batch, as a tensor; it gave {what}"
        )


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
