"""The course's trainer: `train_ch6`.

It keeps the name and the printed lines of *Dive into Deep Learning*, chapter 6.
"""

import os
import shutil

import torch

from course_utils.errors import TrainingError
from course_utils.settings import fast_dev_run, progress_mode
from course_utils.training import processes
from course_utils.training.arguments import (
    as_seed,
    check_loader,
    check_loss,
    check_trainable,
    positive_number,
    usable,
    whole_number,
)
from course_utils.training.checkpoint import Checkpoint, description_of, name_of
from course_utils.training.display import Progress
from course_utils.training.history import History, Tally
from course_utils.training.loop import TrainingStep, evaluate_accuracy_gpu, steps_of, try_gpu
from course_utils.training.precision import autocast
from course_utils.training.recipes import INITS, OPTIMIZERS, SCHEDULERS, choose, make
from course_utils.training.rehearsal import check_smallest_batch, give_sizes, lay_out, workable

OWN_GRAPHS = "reduce-overhead", "max-autotune"  # modes in which torch.compile records steps itself


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
        X: tensor (N, …) or a list of them; y: numbers of the classes, int64 (N,).
    num_epochs: passes over train_iter. lr: learning rate (its peak, under a schedule).
    device: where to train; None: `try_gpu()`.
    init: "xavier" or "kaiming" (uniform, for the weights of Conv2d and Linear), a function of a
        module, or None to keep the weights as they are.
    optimizer: "sgd", "adamw", or a function (parameters, lr) -> torch optimizer.
    loss: a function (output, y) -> scalar mean; None: cross-entropy of the logits.
    scheduler: None or "constant", "warmup-decay" (linear up over 15 % of the steps, then linear
        down to nothing), or a function (optimizer, steps) -> torch scheduler stepped every step.
    amp: True: products in the short number format of the device, with channels-last memory layout;
        "auto": the same where it is faster, by a rule (`precision.py`), and the net can be trained
        like that; False: plain float32.
    compile: True or a mode of torch.compile: let torch compile the net first. With a mode that
        records graphs of its own on a GPU, the course's trainer records none.
    accumulate: parts that each batch is computed in, to save memory; their gradients are added.
    checkpoint: file that keeps the state; if it is there, training goes on from it. Numbers and
        data must be the same as before; of a function of your own only the name is known.
    checkpoint_every: steps between two saves, besides that after each epoch.
    seed: of the weights that `init` draws, and of dropout; biases stay as the net was built with.
    progress: "live", "bar", "none" or "off"; None: by place.
    verbose: show progress and print the two closing lines; False: silent.
    A keyboard interrupt ends the training; what was recorded is returned. In a fast dev run one
    epoch is trained. Under torch's launcher all processes train one net on shares of each batch.
    Raises TrainingError for a wrong argument, data or labels that do not fit, a checkpoint of
    something else or that cannot be written, or a loss that is not finite.
    Source: Dive into Deep Learning, 7.6 (arguments, printed lines); text and code are our own.
    """
    _check(net, train_iter, test_iter, loss, progress)
    num_epochs, lr = whole_number("num_epochs", num_epochs, 1), positive_number("lr", lr)
    seed = as_seed(seed)
    num_epochs = 1 if fast_dev_run() else num_epochs
    processes.join()
    device = try_gpu() if device is None else usable(device)
    amp = _prepare(net, init, seed, device, amp, loss, train_iter, accumulate)

    optimizer = make("optimizer", optimizer, OPTIMIZERS, net.parameters(), lr)
    about = {"epochs": num_epochs, "lr": lr, "seed": seed, "precision": str(amp)}
    about |= {"optimizer": description_of(optimizer), "scheduler": name_of(scheduler)}
    steps, scheduler = num_epochs * len(train_iter), scheduler or "constant"
    scheduler = make("scheduler", scheduler, SCHEDULERS, optimizer, steps)
    model = processes.data_parallel(_compiled(net, compile, device))
    step = TrainingStep(model, optimizer, loss, amp, accumulate)
    step.may_be_recorded = compile not in OWN_GRAPHS
    source, seen = getattr(train_iter, "source", ""), Tally()
    history = History(source=source, device=str(device), precision=str(amp))
    parts = {"net": net, "optimizer": optimizer, "scheduler": scheduler, "scaler": step.scaler}
    parts |= {"history": history, "epoch so far": seen}
    keeper = Checkpoint(checkpoint, checkpoint_every, about, parts, train_iter, test_iter)
    verbose = verbose and processes.is_writer()
    if keeper.resume(device) and verbose:
        _print_resumed(checkpoint, history, num_epochs, len(seen.losses))
    trained_before = len(history.loss)
    show = Progress(num_epochs, len(train_iter), progress if verbose else "off")
    try:
        with processes.shared(train_iter), processes.shared(test_iter):
            for epoch in range(trained_before, num_epochs):
                seen.start_clock()
                for result in steps_of(step, train_iter, device, scheduler):
                    seen.add(result)
                    show.step(epoch, seen)
                    keeper.after_step(len(seen.losses))
                history.add_epoch(seen.state_dict(), device)  # waits for the device to catch up
                seen.reset()
                if test_iter is not None:
                    with autocast(device, amp):
                        history.test_acc.append(evaluate_accuracy_gpu(net, test_iter, device))
                show.epoch(epoch, history)
                keeper.save()
    except KeyboardInterrupt:
        history.interrupted = True
        history.step_loss += seen.step_losses()  # of the epoch that was under way
        print(f"stopped by hand after {len(history.loss)} of {num_epochs} epochs")
    show.close()
    way = _way(step, compile, device)
    history.precision += way and f", {way}"
    if verbose and history.loss:
        _print_closing_lines(history, device, way, trained_before < num_epochs)
    return history


def _check(net, train_iter, test_iter, loss, progress):
    progress_mode(progress)
    check_trainable(net)
    check_loss(loss)
    check_loader("train_iter", train_iter)
    if test_iter is not None:
        check_loader("test_iter", test_iter, counted=False)


def _prepare(net, init, seed, device, amp, loss, train_iter, accumulate):
    """Draw the weights and bring the net to the device; returns its Precision."""
    if seed is not None:
        torch.manual_seed(seed)
    give_sizes(net, train_iter)
    if init is not None:
        net.apply(choose("init", init, INITS))
    net.to(device)
    precision = workable(amp, net, device, loss, train_iter)
    if precision.channels_last:
        lay_out(net, precision)
    check_smallest_batch(net, train_iter, device, whole_number("accumulate", accumulate, 1))
    return precision


def _print_resumed(checkpoint, history, num_epochs, steps):
    done = len(history.loss)
    print(f"resumed from {checkpoint}: {done} of {num_epochs} epochs and {steps} steps were done")
    if done == num_epochs:
        print("nothing is left to train; this was the result:")


def _way(step, compile, device):
    """In which way a GPU was told the steps, if not one by one."""
    if compile in OWN_GRAPHS and device.type == "cuda":
        return "graphs of torch.compile"
    return "recorded steps" if step.is_recorded else ""


def _print_closing_lines(history, device, way, is_new):
    is_tested = len(history.test_acc) == len(history.loss)  # not, if stopped just before
    test = f", test acc {history.test_acc[-1]:.3f}" if is_tested else ""
    print(f"loss {history.loss[-1]:.3f}, train acc {history.train_acc[-1]:.3f}{test}")
    if is_new:
        way = way and f" ({way})"
        print(f"{history.examples_per_sec:.1f} examples/sec on {device}{way}")


def _compiled(net, mode, device):
    """`net` compiled by torch: it shares its weights with `net`."""
    if not mode:
        return net
    compilers = [os.environ.get("CXX"), "c++", "g++", "clang++", "cl"]
    if device.type == "cpu" and not any(name and shutil.which(name) for name in compilers):
        raise TrainingError("compile needs a C++ compiler, and there is none: leave it out")
    try:
        return torch.compile(net, mode=None if mode is True else mode)
    except RuntimeError as error:
        raise TrainingError(f"torch.compile knows no mode {mode!r}: {error}") from error
