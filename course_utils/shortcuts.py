"""Two layers computed with less work on a CPU; what comes out is the same.

The last convolutions of a deep network see maps of one or two pixels: most of a 3×3 kernel meets
nothing but padding there, and a zero times a weight need not be computed. And an average over
windows of 2×2 is a product with a matrix of quarters and zeros: more arithmetic than four
additions, but of the kind that a CPU is fastest at.
"""

from functools import cache

import torch
from torch.nn import functional as F
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode

FEW_CHANNELS = 8  # they fill half a vector of a CPU
WIDEST_ROWS = 512  # numbers in two rows of a map; beyond, the matrix has too many zeros


class Shortcuts(TorchFunctionMode):
    """Context in which `F.conv2d` and `F.avg_pool2d` take the shortcut where there is one.

    Equal to float32's rounding, gradients included; the network itself stays as it is.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        shorter = _SHORTER.get(func, func)
        return shorter(*args, **(kwargs or {}))


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """`F.conv2d` without the rows and columns of the kernel that meet nothing but padding.

    Large kernels over few channels compute with whole maps side by side in memory, not channels:
    measured as 1.3 times as fast, for the sake of the gradient of the input.
    """
    if isinstance(padding, str):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    pairs = map(_pair, (stride, padding, dilation))
    (top, bottom, high), (left, right, wide) = map(
        _idle_taps, input.shape[-2:], weight.shape[-2:], *pairs
    )
    if top or bottom or left or right:
        weight, padding = F.pad(weight, (-left, -right, -top, -bottom)), (high, wide)
    if input.requires_grad and 1 < input.shape[1] <= FEW_CHANNELS and min(weight.shape[2:]) >= 5:
        input, weight = input.contiguous(), weight.contiguous()
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def avg_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor=None,
):
    """`F.avg_pool2d`; windows of 2×2 side by side as one matrix product."""
    size, steps = _pair(kernel_size), _pair(stride or kernel_size)
    plain = size == steps == (2, 2) and _pair(padding) == (0, 0) and divisor is None
    exact = input.dtype != torch.float32 or not torch.is_autocast_enabled(input.device.type)
    if plain and exact and input.ndim == 4:
        n, c, h, w = input.shape
        even = h % 2 == w % 2 == 0
        if even and 2 * w <= WIDEST_ROWS and input.is_contiguous():
            return input.view(n, c, h // 2, 2 * w) @ _quarters(w, 1, input.dtype)
        if even and 2 * w * c <= WIDEST_ROWS and _is_channels_last(input):
            rows = input.permute(0, 2, 3, 1).reshape(n, h // 2, 2 * w * c)
            means = rows @ _quarters(w, c, input.dtype)
            return means.view(n, h // 2, w // 2, c).permute(0, 3, 1, 2)
    return F.avg_pool2d(input, size, steps, padding, ceil_mode, count_include_pad, divisor)


_SHORTER = {F.conv2d: conv2d, F.avg_pool2d: avg_pool2d}


@cache
def _idle_taps(size, kernel, stride, padding, dilation):
    """Taps at the start and at the end of a kernel that only ever meet padding; the padding then.

    All numbers are those of one axis. Nothing is idle if the number of outputs would change.
    """

    def outputs(kernel, padding):
        return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1

    def meets_data(tap):
        first = tap * dilation - padding
        return any(0 <= first + i * stride < size for i in range(outputs(kernel, padding)))

    busy = [tap for tap in range(kernel) if meets_data(tap)]
    if busy:
        first, last = busy[0], busy[-1]
        less = padding - first * dilation
        if less >= 0 and outputs(last - first + 1, less) == outputs(kernel, padding):
            return first, kernel - 1 - last, less
    return 0, 0, padding


@cache
def _quarters(width, channels, dtype):
    """Matrix that averages two rows of pixels in windows of 2×2.

    Rows: the numbers of two rows of `width` pixels; columns: those of one of half the width.
    """
    with torch.inference_mode(False):  # it is kept, and training must be able to use it
        pixels = torch.eye(width // 2).repeat_interleave(2, dim=0) / 4
        return torch.kron(pixels, torch.eye(channels)).repeat(2, 1).to(dtype)


def _is_channels_last(X):
    return X.is_contiguous(memory_format=torch.channels_last)
