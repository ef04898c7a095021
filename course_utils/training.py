"""The course's trainer: `train_ch6`, `evaluate_accuracy_gpu`, and the one loop under both trainers.

`train_ch6` keeps the name and the printed lines of *Dive into Deep Learning*, chapter 6.
"""

import contextlib
import math
import os
import shutil

import torch
from torch import nn

from course_utils import distributed
from course_utils.checkpoint import Checkpoint, name_of
from course_utils.data.loader import TensorLoader
from course_utils.errors import TrainingError
from course_utils.history import History
from course_utils.precision import as_precision, autocast, fastest, fit
from course_utils.progress import Progress
from course_utils.recipes import INITS, OPTIMIZERS, SCHEDULERS, choose
from course_utils.settings import fast_dev_run
from course_utils.tally import Tally

CHECK_EVERY = 50  # steps between looks at the loss on an accelerator: each look waits for it
EVALUATE_AT_ONCE = 512  # examples; without gradients there is room for larger batches


def try_gpu(i=None):
    """The i-th CUDA device, else Apple's MPS, else the CPU.

    i: None: the first one, or under torch's launcher the one of this process.
    """
    i = distributed.local_rank() if i is None else i
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
    if isinstance(data_iter, TensorLoader):
        data_iter = data_iter.in_larger_batches(EVALUATE_AT_ONCE)
    correct = total = 0
    with torch.inference_mode(), in_mode(net, training=False):
        for X, y in data_iter:
            X, y = _to(X, device), _to(y, device)
            correct += count_correct(net(X), y)
            total += len(y)
    if distributed.is_shared(data_iter):  # each process saw its share of every batch
        correct, total = distributed.total(torch.tensor([int(correct), total])).tolist()
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
    compile=False,
    accumulate=1,
    checkpoint=None,
    checkpoint_every=200,
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
    loss: a function (output, y) -> scalar mean; None: cross-entropy of the logits.
    scheduler: None or "constant", "warmup-decay" (linear up over 15 % of the steps, then linear
        down to nothing), or a function (optimizer, steps) -> torch scheduler stepped every step.
    amp: True: compute in bfloat16 where that is safe, with channels-last memory layout; "auto":
        whatever is fastest for this net on this machine, measured once; False: plain float32.
    compile: True or a mode of torch.compile: let torch compile the net first.
    accumulate: parts that each batch is computed in, to save memory; their gradients are added.
    checkpoint: file that keeps the state; if it is there, training goes on from it.
    checkpoint_every: steps between two saves, besides that after each epoch.
    seed: of the weights that `init` draws, and of dropout; biases stay as the net was built with.
    progress: "live", "bar" or "none"; None: by place.
    verbose: show progress and print the two closing lines; False: silent.
    A keyboard interrupt ends the training; what was recorded is returned. In a fast dev run one
    epoch is trained. Under torch's launcher all processes train one net on shares of each batch.
    Raises TrainingError for a wrong argument, an empty train_iter, a checkpoint of something
    else, or a loss that is not finite.
    Source: Dive into Deep Learning, 7.6 (arguments, printed lines); text and code are our own.
    """
    if num_epochs < 1 or lr <= 0 or accumulate < 1:
        raise TrainingError(
            f"num_epochs ({num_epochs}) and accumulate ({accumulate}) must be at least 1, "
            f"lr ({lr}) above 0"
        )
    distributed.join()
    device = torch.device(device) if device is not None else try_gpu()
    num_epochs = 1 if fast_dev_run() else num_epochs
    verbose = verbose and distributed.is_writer()
    if seed is not None:
        torch.manual_seed(seed)
    if init is not None:
        net.apply(choose("init", init, INITS))
    net.to(device)
    loss = loss or nn.functional.cross_entropy
    amp = _fastest(net, train_iter, loss, device) if amp == "auto" else as_precision(amp)
    if amp.channels_last:
        net.to(memory_format=torch.channels_last)
    about = {"epochs": num_epochs, "lr": lr, "optimizer": name_of(optimizer), "seed": seed}
    about |= {"scheduler": name_of(scheduler), "precision": str(amp), "batches": len(train_iter)}
    optimizer = choose("optimizer", optimizer, OPTIMIZERS)(net.parameters(), lr)
    schedule = choose("scheduler", scheduler or "constant", SCHEDULERS)
    scheduler = schedule(optimizer, num_epochs * len(train_iter))
    history = History(
        source=getattr(train_iter, "source", ""), device=str(device), precision=str(amp)
    )
    seen = Tally(device)
    parts = {"net": net, "optimizer": optimizer, "scheduler": scheduler}
    parts |= {"history": history, "epoch so far": seen}
    keeper = Checkpoint(checkpoint, checkpoint_every, about, parts, train_iter)
    model = distributed.data_parallel(_compiled(net, compile, device))
    if keeper.resume(device) and verbose:
        done = f"{len(history.loss)} of {num_epochs} epochs"
        print(f"resumed from {checkpoint}: {done} and {len(seen.losses)} steps were done")
    show = Progress(num_epochs, len(train_iter), progress if verbose else "off")
    try:
        with distributed.shared(train_iter), distributed.shared(test_iter):
            for epoch in range(len(history.loss), num_epochs):
                seen.start_clock()
                steps = training_steps(
                    model, train_iter, optimizer, loss, device,
                    scheduler=scheduler, amp=amp, accumulate=accumulate,
                )  # fmt: skip
                for step in steps:
                    seen.add(step)
                    show.step(epoch, seen)
                    if len(seen.losses) < len(train_iter):  # else saved with the epoch
                        keeper.after_step(len(seen.losses))
                history.add_epoch(
                    seen.state_dict()
                )  # waits for the accelerator to finish the epoch
                if test_iter is not None:
                    with autocast(device, amp):
                        history.test_acc.append(evaluate_accuracy_gpu(net, test_iter, device))
                show.epoch(epoch, history)
                seen.reset()
                keeper.save()
    except KeyboardInterrupt:
        history.interrupted = True
        history.step_loss += seen.step_losses()  # of the epoch that was under way
        print(f"stopped by hand after {len(history.loss)} of {num_epochs} epochs")
    show.close()
    if verbose and history.loss:
        test = f", test acc {history.test_acc[-1]:.3f}" if history.test_acc else ""
        print(f"loss {history.loss[-1]:.3f}, train acc {history.train_acc[-1]:.3f}{test}")
        print(f"{history.examples_per_sec:.1f} examples/sec on {device}")
    return history


def training_steps(
    net, batches, optimizer, loss=None, device=None, *, scheduler=None, amp=False, accumulate=1
):
    """Train on each batch in turn and yield (loss, correct, number of examples) of each step.

    This is the one training loop of the course: `train_ch6` and `Runner` both walk over it.
    loss and correct are tensors on `device`, detached, so that a step never waits for them.
    The net is in training mode while the loop runs, and then left as it was.
    accumulate: parts that a batch is computed in; the step is that of the whole batch.
    Raises TrainingError when `batches` is empty or the loss is no longer finite.
    """
    loss = loss or nn.functional.cross_entropy
    number, unchecked = 0, []
    with in_mode(net, training=True):
        for number, (X, y) in enumerate(batches, start=1):
            X, y = _to(X, device), _to(y, device)
            optimizer.zero_grad(set_to_none=True)
            whole = distributed.batch_share(batches, y)
            value, correct = 0, 0
            for X_part, y_part, is_last in _split(X, y, accumulate):
                with distributed.averaging(net, is_last):
                    with autocast(y.device, amp):
                        y_hat = net(fit(X_part, amp))
                        mean = loss(y_hat, y_part)
                    (mean * (len(y_part) / whole)).backward()
                value += mean.detach() * (len(y_part) / len(y))
                with torch.no_grad():
                    correct += count_correct(y_hat, y_part)
            optimizer.step()
            unchecked.append(value)
            on_cpu = value.device.type == "cpu"
            if on_cpu or len(unchecked) == CHECK_EVERY:
                _check_finite(unchecked, number, optimizer)
                unchecked = []
            if scheduler is not None:
                scheduler.step()
            yield value, correct, len(y)
    if number == 0:
        raise TrainingError("the data to train on has zero batches")
    _check_finite(unchecked, number, optimizer)


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


def _fastest(net, train_iter, loss, device):
    """The fastest precision for the first batch; the order of the data stays as it was."""
    if not isinstance(train_iter, TensorLoader):
        return as_precision(False)  # a look at the first batch might change the others
    before = train_iter.state_dict()
    X, y = next(iter(train_iter))
    train_iter.load_state_dict(before)
    best = fastest(net, X.to(device), y.to(device), loss) if distributed.is_writer() else None
    return as_precision(distributed.same_everywhere(best))


def _compiled(net, mode, device):
    """`net` compiled by torch: it shares its weights with `net`.

    On CUDA, mode "reduce-overhead" also records the step as a graph, for nets of small layers.
    """
    if not mode:
        return net
    compilers = [os.environ.get("CXX"), "c++", "g++", "clang++", "cl"]
    if device.type == "cpu" and not any(name and shutil.which(name) for name in compilers):
        raise TrainingError("compile needs a C++ compiler, and there is none: leave it out")
    return torch.compile(net, mode=None if mode is True else mode)


def _check_finite(losses, last_step, optimizer):
    """Raise if one of the latest losses is not finite, naming the first such step."""
    for step, value in enumerate(losses, start=last_step - len(losses) + 1):
        if not math.isfinite(value):
            lr = optimizer.param_groups[0]["lr"]
            raise TrainingError(
                f"the loss became {float(value)} at step {step} (lr {lr:g}). "
                "Try a learning rate ten times smaller, or check the data for NaN."
            )
