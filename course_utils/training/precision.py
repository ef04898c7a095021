"""In which number format and memory layout a net computes, and which is fastest here."""

import contextlib
import copy
import json
import platform
import time
from typing import NamedTuple

import torch

from course_utils.errors import TrainingError
from course_utils.files import write_whole
from course_utils.settings import cache_dir, fast_dev_run
from course_utils.training.cpu_rewrites import Rewrites


class Precision(NamedTuple):
    """bfloat16: matrix products of 8 bits of precision, half the memory traffic.
    channels_last: the channels of a pixel side by side in memory, as vector units like them;
        on a CPU with the `course_utils.training.cpu_rewrites` as well.
    """

    bfloat16: bool = False
    channels_last: bool = False

    def __str__(self):
        layout = ", channels-last" if self.channels_last else ""
        return ("bfloat16" if self.bfloat16 else "float32") + layout


PLAIN, FAST32, FAST16 = Precision(), Precision(False, True), Precision(True, True)


def as_precision(amp):
    """The Precision that an `amp` argument means: True, False, or a Precision."""
    if isinstance(amp, Precision):
        return amp
    if not isinstance(amp, bool):
        raise TrainingError(f"unknown amp {amp!r}; use True, False or 'auto'")
    return FAST16 if amp else PLAIN


@contextlib.contextmanager
def autocast(device, amp):
    """Context in which a net computes as `amp` says: matrix products in bfloat16, CPU rewrites."""
    amp, kind = as_precision(amp), torch.device(device).type
    with contextlib.ExitStack() as stack:
        if amp.bfloat16:
            stack.enter_context(torch.autocast(kind, dtype=torch.bfloat16))
        if amp.channels_last and kind == "cpu":
            stack.enter_context(Rewrites())
        yield


def fit(X, amp):
    """The images X (N, C, H, W) in the memory layout of `amp`; anything else as it is."""
    if as_precision(amp).channels_last and torch.is_tensor(X) and X.ndim == 4:
        return X.to(memory_format=torch.channels_last)
    return X


def fastest(net, X, y, loss):
    """The Precision in which training steps of `net` on batches like (X, y) are fastest here.

    Measured once for each net, shape and machine, on a copy of the net, in about two dozen steps;
    then remembered in the user's cache folder. The random numbers stay as they were.
    """
    if fast_dev_run():
        return FAST16  # nobody waits for it, and the code is seen to work
    known = cache_dir() / "precision.json"
    key, candidates = _key(net, X, y), _candidates(y.device)
    remembered = _read(known)
    if set(remembered.get(key, ())) != set(map(str, candidates)):
        remembered[key] = _measure(net, X, y, loss, candidates)
        with contextlib.suppress(OSError):  # a home that cannot be written to: measure again
            known.parent.mkdir(parents=True, exist_ok=True)
            write_whole(known, json.dumps(remembered, indent=1))
    seconds = remembered[key]
    return min(candidates, key=lambda form: seconds[str(form)])


def _candidates(device):
    if device.type == "mps":
        return [PLAIN]
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return [PLAIN, FAST32]
    return [PLAIN, FAST32, FAST16]


def _measure(net, X, y, loss, candidates, rounds=4):
    """Seconds of a step in each candidate: the best of `rounds` that take turns."""
    seconds = {str(form): float("inf") for form in candidates}
    if len(candidates) == 1:
        return {str(candidates[0]): 0.0}
    gpus = [y.device] if y.device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        net = copy.deepcopy(net).train()
        for _ in range(rounds):
            for form in candidates:
                net.to(memory_format=_layout(form))
                _step(net, fit(X, form), y, loss, form)  # the first step in a layout sets up more
                took = _step(net, fit(X, form), y, loss, form)
                seconds[str(form)] = min(seconds[str(form)], took)
    return seconds


def _layout(form):
    return torch.channels_last if form.channels_last else torch.contiguous_format


def _step(net, X, y, loss, form):
    start = time.perf_counter()
    net.zero_grad(set_to_none=True)
    with autocast(y.device, form):
        value = loss(net(X), y)
    value.backward()
    if y.device.type == "cuda":
        torch.cuda.synchronize(y.device)
    return time.perf_counter() - start


def _key(net, X, y):
    """What the answer depends on, as text."""
    if y.device.type == "cuda":
        machine = torch.cuda.get_device_name(y.device)
    else:
        machine = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
        machine += f", {torch.backends.cpu.get_cpu_capability()}"
    size = sum(p.numel() for p in net.parameters())
    return f"{machine}; torch {torch.__version__}; {type(net).__name__} {size}; {tuple(X.shape)}"


def _read(path):
    try:
        remembered = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return remembered if isinstance(remembered, dict) else {}
