"""A pass through a net before it is trained, of which nothing stays.

It gives lazy layers their sizes, and finds out before the first step what would fail in it.
"""

import torch
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from course_utils.data.loader import TensorLoader
from course_utils.errors import TrainingError
from course_utils.training import processes
from course_utils.training.loop import (
    batches_on,
    cross_entropy,
    device_of,
    has_batch_norm,
    has_lazy_layers,
    in_mode,
    on_device,
    output,
)
from course_utils.training.precision import PLAIN, as_precision, autocast, fit


def give_sizes(net, loader):
    """Let lazy layers (nn.LazyConv2d …) take their sizes from a batch of `loader`."""
    if has_lazy_layers(net):
        _rehearse(net, _first_examples(loader), device_of(net))


def workable(amp, net, device, loss, loader):
    """The Precision for an `amp` argument: of "auto" no more than works with this net and loss."""
    precision = as_precision(amp, device)
    if amp != "auto" or precision == PLAIN:
        return precision
    batch = _first_examples(loader)
    for attempt in (precision, precision._replace(channels_last=False)):
        try:
            lay_out(net, attempt)
            with _random_numbers_kept(device):
                _rehearse(net, batch, device, attempt, loss or cross_entropy)
            return attempt
        except Exception:  # whatever it is: the plain numbers work, or say so themselves
            lay_out(net, PLAIN)
    return PLAIN


def lay_out(net, amp):
    """Bring the weights into the memory layout of a Precision."""
    layout = torch.channels_last if amp.channels_last else torch.contiguous_format
    net.to(memory_format=layout)


def check_smallest_batch(net, loader, device, accumulate=1):
    """Raise TrainingError if a batch, or a part of one, is too small for batch normalisation.

    Only a TensorLoader tells its batches before the training.
    """
    if not has_batch_norm(net) or not isinstance(loader, TensorLoader):
        return
    last = loader.batch_size
    if loader.whole_batches < len(loader):
        last = loader.num_examples % loader.batch_size
    for size in {loader.batch_size, last}:
        share = torch.empty(max(1, size // processes.world()[1]))
        if any(len(part) == 1 for part in share.chunk(accumulate)):
            with _random_numbers_kept(device):
                _rehearse(net, _first_examples(loader, 1), device)
            return


def _rehearse(net, batch, device, amp=PLAIN, loss=None):
    """A pass as in training, with a loss back as well; raises what the net or the loss raises."""
    X, y = (on_device(part, device) for part in batch)
    lazy = [module for module in net.modules() if isinstance(module, LazyModuleMixin)]
    before = {name: b.clone() for name, b in net.named_buffers() if not is_lazy(b)}
    try:
        with in_mode(net, training=True), autocast(device, amp):
            y_hat = output(net, fit(X, amp), len(y))
            mean = loss(y_hat, y) if loss else y_hat
        if loss:
            mean.backward()
    finally:
        net.zero_grad()
        with torch.no_grad():
            for name, buffer in net.named_buffers():
                buffer.copy_(before.get(name, buffer))
        for module in lazy:
            getattr(module, "reset_running_stats", lambda: None)()


def _first_examples(loader, count=2):
    """The first `count` examples (X, y) of a loader, whose own order and random numbers stay."""
    if isinstance(loader, TensorLoader):
        return loader.at(torch.arange(min(count, loader.num_examples), device=loader.device))
    generator = getattr(loader, "generator", None)
    state = generator.get_state() if isinstance(generator, torch.Generator) else None
    with torch.random.fork_rng(devices=[]):
        batch = next(batches_on(None, loader), None)
    if state is not None:
        generator.set_state(state)
    if batch is None:
        raise TrainingError("the data to train on has zero batches")
    X, y = batch
    return [x[:count] for x in X] if isinstance(X, list) else X[:count], y[:count]


def _random_numbers_kept(device):
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
