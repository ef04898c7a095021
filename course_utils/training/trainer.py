"""The course's trainer: `train_ch6`.

It keeps the name and the printed lines of *Dive into Deep Learning*, chapter 6.
"""

import os
import shutil

import torch

from course_utils.errors import TrainingError
from course_utils.settings import fast_dev_run
from course_utils.training import processes
from course_utils.training.checkpoint import Checkpoint, name_of
from course_utils.training.display import Progress
from course_utils.training.history import History, Tally
from course_utils.training.loop import TrainingStep, evaluate_accuracy_gpu, steps_of, try_gpu
from course_utils.training.precision import as_precision, autocast
from course_utils.training.recipes import INITS, OPTIMIZERS, SCHEDULERS, choose


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
    amp: True: products in the short number format of the device, with channels-last memory layout;
        "auto": the same where it is faster, by a rule (`precision.py`); False: plain float32.
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
    _check_numbers(num_epochs, lr, accumulate)
    processes.join()
    device = torch.device(device) if device is not None else try_gpu()
    num_epochs = 1 if fast_dev_run() else num_epochs
    amp = as_precision(amp, device)
    choices = {"optimizer": optimizer, "scheduler": scheduler}
    about = {"epochs": num_epochs, "lr": lr, "seed": seed, "precision": str(amp)}
    about |= {name: name_of(choice) for name, choice in choices.items()}
    about |= {"batches": len(train_iter)}

    _prepare(net, init, seed, device, amp)
    optimizer = choose("optimizer", optimizer, OPTIMIZERS)(net.parameters(), lr)
    schedule = choose("scheduler", scheduler or "constant", SCHEDULERS)
    scheduler = schedule(optimizer, num_epochs * len(train_iter))
    model = processes.data_parallel(_compiled(net, compile, device))
    step = TrainingStep(model, optimizer, loss, amp, accumulate)
    source = getattr(train_iter, "source", "")
    history = History(source=source, device=str(device), precision=str(amp))
    seen = Tally()
    parts = {"net": net, "optimizer": optimizer, "scheduler": scheduler, "scaler": step.scaler}
    parts |= {"history": history, "epoch so far": seen}
    keeper = Checkpoint(checkpoint, checkpoint_every, about, parts, train_iter)
    verbose = verbose and processes.is_writer()
    if keeper.resume(device) and verbose:
        done = f"{len(history.loss)} of {num_epochs} epochs"
        print(f"resumed from {checkpoint}: {done} and {len(seen.losses)} steps were done")
    show = Progress(num_epochs, len(train_iter), progress if verbose else "off")
    try:
        with processes.shared(train_iter), processes.shared(test_iter):
            for epoch in range(len(history.loss), num_epochs):
                seen.start_clock()
                for result in steps_of(step, train_iter, device, scheduler):
                    seen.add(result)
                    show.step(epoch, seen)
                    keeper.after_step(len(seen.losses))
                history.add_epoch(seen.state_dict())  # waits until the device has caught up
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
    if step.is_recorded:
        history.precision += ", recorded steps"
    if verbose and history.loss:
        _print_closing_lines(history, device)
    return history


def _check_numbers(num_epochs, lr, accumulate):
    if num_epochs < 1 or lr <= 0 or accumulate < 1:
        raise TrainingError(
            f"num_epochs ({num_epochs}) and accumulate ({accumulate}) must be at least 1, "
            f"lr ({lr}) above 0"
        )


def _prepare(net, init, seed, device, amp):
    """Draw the weights, and bring the net to the device and into the memory layout of `amp`."""
    if seed is not None:
        torch.manual_seed(seed)
    if init is not None:
        net.apply(choose("init", init, INITS))
    net.to(device)
    if amp.channels_last:
        net.to(memory_format=torch.channels_last)


def _print_closing_lines(history, device):
    test = f", test acc {history.test_acc[-1]:.3f}" if history.test_acc else ""
    print(f"loss {history.loss[-1]:.3f}, train acc {history.train_acc[-1]:.3f}{test}")
    how = " (recorded steps)" if history.precision.endswith("recorded steps") else ""
    print(f"{history.examples_per_sec:.1f} examples/sec on {device}{how}")


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
