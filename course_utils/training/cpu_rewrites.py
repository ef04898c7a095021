"""Two layers that a CPU computes faster in another way; what comes out is the same.

The last convolutions of a deep network see maps of one or two pixels. There a 3×3 kernel reaches
from every pixel to every output and mostly meets padding; a matrix product does the same with
fewer multiplications. An average over windows of 2×2 is a product with a matrix of quarters and
zeros: more arithmetic than four additions, but of the kind that a CPU is fastest at.
"""

from functools import cache
from itertools import product

import torch
from torch.nn import functional as F
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode

FEW_CHANNELS = 8  # they fill half a vector of a CPU
WIDEST_ROWS = 512  # numbers in two rows of a map; beyond, the matrix has too many zeros


class Rewrites(TorchFunctionMode):
    """Context in which `F.conv2d` and `F.avg_pool2d` take the other way where there is one.

    Equal to the rounding of the numbers, gradients included; the network stays as it is.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if not torch.compiler.is_compiling():  # which finds ways of its own
            func = _REWRITTEN.get(func, func)
        return func(*args, **(kwargs or {}))


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """`F.conv2d`; as a fully connected layer where the kernel spans the whole map.

    Large kernels over few channels compute with whole maps side by side in memory, not channels:
    measured as 1.3 times as fast, for the sake of the gradient of the input.
    """
    whole = groups == 1 and _pair(dilation) == (1, 1) and not isinstance(padding, str)
    if whole and input.ndim == 4 and input.device.type == "cpu":
        pairs = input.shape[2:], weight.shape[2:], _pair(stride), _pair(padding)
        rows, columns = map(_starts, *pairs)
        if rows and columns:
            return _fully_connected(input, weight, bias, rows, columns)
    if input.requires_grad and 1 < input.shape[-3] <= FEW_CHANNELS and min(weight.shape[2:]) >= 5:
        input, weight = input.contiguous(), weight.contiguous()
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def avg_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
):
    """`F.avg_pool2d`; windows of 2×2 side by side as one matrix product."""
    size, steps = _pair(kernel_size), _pair(stride or kernel_size)
    plain = size == steps == (2, 2) and _pair(padding) == (0, 0) and divisor_override is None
    exact = input.dtype != torch.float32 or not torch.is_autocast_enabled(input.device.type)
    if plain and exact and input.ndim == 4 and input.device.type == "cpu":
        n, c, h, w = input.shape
        even = h % 2 == w % 2 == 0
        if even and 2 * w <= WIDEST_ROWS and input.is_contiguous():
            return input.view(n, c, h // 2, 2 * w) @ _quarters(w, 1, input.dtype)
        if even and 2 * w * c <= WIDEST_ROWS and _is_channels_last(input):
            rows = input.permute(0, 2, 3, 1).reshape(n, h // 2, 2 * w * c)
            means = rows @ _quarters(w, c, input.dtype)
            return means.view(n, h // 2, w // 2, c).permute(0, 3, 1, 2)
    return F.avg_pool2d(input, size, steps, padding, ceil_mode, count_include_pad, divisor_override)


_REWRITTEN = {F.conv2d: conv2d, F.avg_pool2d: avg_pool2d}


@cache
def _starts(size, kernel, stride, padding):
    """For each output along an axis the tap that meets the map's first pixel.

    Nothing, unless every output sees the whole map.
    """
    outputs = (size + 2 * padding - kernel) // stride + 1
    starts = tuple(padding - i * stride for i in range(outputs))
    return starts if all(0 <= start <= kernel - size for start in starts) else ()


def _fully_connected(input, weight, bias, rows, columns):
    """The convolution as a product with one matrix, from all numbers of a map to all outputs."""
    n, c, h, w = input.shape
    lower = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if lower else weight.dtype
    matrix = _AsMatrix.apply(weight, rows, columns, h, w, dtype)
    if bias is not None:
        bias = bias.repeat(len(rows) * len(columns))
    y = F.linear(input.permute(0, 2, 3, 1).reshape(n, h * w * c), matrix, bias)
    return y.view(n, len(rows), len(columns), len(weight)).permute(0, 3, 1, 2)


class _AsMatrix(torch.autograd.Function):
    """Weights (O, C, kh, kw) -> matrix (outputs · O, h · w · C); all taps of a pixel in one go."""

    @staticmethod
    def forward(ctx, weight, rows, columns, h, w, dtype):
        ctx.save_for_backward(weight)
        ctx.windows = [
            (..., slice(row, row + h), slice(column, column + w))
            for row, column in product(rows, columns)
        ]
        o, c = weight.shape[:2]
        matrix = weight.new_empty(len(ctx.windows), o, h, w, c, dtype=dtype)
        for part, window in zip(matrix, ctx.windows, strict=True):
            part.copy_(weight[window].permute(0, 2, 3, 1))
        ctx.shape = matrix.shape
        return matrix.view(-1, h * w * c)

    @staticmethod
    def backward(ctx, gradient):
        (weight,) = ctx.saved_tensors
        total = torch.zeros_like(weight)
        for part, window in zip(gradient.view(ctx.shape), ctx.windows, strict=True):
            total[window] += part.permute(0, 3, 1, 2)
        return total, None, None, None, None, None


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
