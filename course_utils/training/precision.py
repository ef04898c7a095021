"""In which number format and memory layout a net computes."""

import contextlib
from typing import NamedTuple

import torch

from course_utils.errors import TrainingError
from course_utils.training.rewrites import Rewrites


class Precision(NamedTuple):
    """numbers: what convolutions and matrix products compute in; everything else is float32.
    channels_last: the channels of a pixel side by side in memory, as vector units like them;
        on a CPU and on CUDA with the `course_utils.training.rewrites` as well.
    """

    numbers: str = "float32"  # or "bfloat16", "float16"
    channels_last: bool = False

    def __str__(self):
        return self.numbers + (", channels-last" if self.channels_last else "")


PLAIN = Precision()


def as_precision(amp, device):
    """The Precision that an `amp` argument means: False, True, "auto", or a Precision.

    True: the short format that the device multiplies, bfloat16 if it has none. "auto": the same,
    but float32 where a short format would be no faster. Always the same on the same machine:

    | device                                          | short format | "auto"   | channels-last |
    |-------------------------------------------------|--------------|----------|---------------|
    | CPU with bfloat16 products (AMX, AVX-512 BF16)  | bfloat16     | bfloat16 | yes           |
    | any other CPU                                   | bfloat16     | float32  | yes           |
    | CUDA from capability 8.0 (A100, H100, RTX 30…)  | bfloat16     | bfloat16 | yes           |
    | CUDA 7.0 and 7.5 (V100, T4): tensor cores       | float16      | float16  | yes           |
    | older CUDA; Apple's MPS                         | bfloat16     | float32  | no            |
    """
    if isinstance(amp, Precision):
        return amp
    if amp is False:
        return PLAIN
    if amp is not True and amp != "auto":
        raise TrainingError(f"unknown amp {amp!r}; use True, False or 'auto'")
    device = torch.device(device)
    short = _short_format(device)
    if short is None and amp == "auto":
        return Precision("float32", channels_last=device.type == "cpu")
    return Precision(short or "bfloat16", channels_last=True)


def _short_format(device):
    """The number format of two bytes in which this device multiplies fastest, or None."""
    if device.type == "cpu":
        can = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch
        return "bfloat16" if can.get("amx_bf16") or can.get("avx512_bf16") else None
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        return "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else None
    return None


@contextlib.contextmanager
def autocast(device, amp):
    """Context in which a net computes as `amp` says: short products, and the rewrites."""
    amp, kind = as_precision(amp, device), torch.device(device).type
    with contextlib.ExitStack() as stack:
        if amp.numbers != "float32":
            stack.enter_context(torch.autocast(kind, dtype=getattr(torch, amp.numbers)))
        if amp.channels_last:
            stack.enter_context(Rewrites(kind))
        yield


def fit(X, amp):
    """The images X (N, C, H, W) in the memory layout of a Precision; anything else as it is."""
    if amp.channels_last and torch.is_tensor(X) and X.ndim == 4:
        return X.to(memory_format=torch.channels_last)
    return X
