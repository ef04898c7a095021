"""Layers that a device computes faster in another way; what comes out is the same.

On a CPU: the last convolutions of a deep network see maps of one or two pixels. There a 3×3 kernel
reaches from every pixel to every output and mostly meets padding; a matrix product does the same
with fewer multiplications. An average over windows of 2×2 is a product with a matrix of quarters
and zeros: more arithmetic than four additions, but of the kind that processors are fastest at.

On a GPU: its matrix units multiply eight numbers of a row at once, and cuDNN fills up with zeros
what has fewer channels. The first convolution, over images of one channel, took a third of a step
of VGG and of AlexNet; a product of all its windows with the weights takes a fifth of that time
(one H100, bfloat16).
"""

from functools import cache
from itertools import product

import torch
from torch.nn import functional as F
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode

FEW_CHANNELS = 8  # they fill half a vector of a CPU
WIDEST_ROWS = 512  # numbers in two rows of a map; beyond, the matrix has too many zeros
MULTIPLE = 8  # of so many numbers are the rows that a GPU's matrix units take whole


class Rewrites(TorchFunctionMode):
    """Context in which `F.conv2d` and `F.avg_pool2d` take the other way where there is one.

    device: the kind that computes; convolutions are rewritten for "cpu" and "cuda". Equal to the
    rounding of the numbers, gradients included; the network stays as it is.
    """

    def __init__(self, device="cpu"):
        super().__init__()
        self.rewritten = {F.conv2d: _CONVOLUTIONS.get(device, F.conv2d), F.avg_pool2d: avg_pool2d}
        self.may_compile = device == "cuda"  # for a CPU a compiler finds ways of its own

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if self.may_compile or not torch.compiler.is_compiling():
            func = self.rewritten.get(func, func)
        return func(*args, **(kwargs or {}))


def conv2d_on_cpu(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """`F.conv2d`; as a fully connected layer where the kernel spans the whole map.

    Large kernels over few channels compute with whole maps side by side in memory, not channels:
    measured as 1.3 times as fast, for the sake of the gradient of the input.
    """
    if _is_plain(input, padding, dilation, groups):
        pairs = input.shape[2:], weight.shape[2:], _pair(stride), _pair(padding)
        rows, columns = map(_starts, *pairs)
        if rows and columns:
            return _fully_connected(input, weight, bias, rows, columns)
    if input.requires_grad and 1 < input.shape[-3] <= FEW_CHANNELS and min(weight.shape[2:]) >= 5:
        input, weight = input.contiguous(), weight.contiguous()
    return F.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv2d_on_gpu(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """`F.conv2d`; over images of one channel as a product of their windows with the weights."""
    if _is_plain(input, padding, dilation, groups) and weight.shape[1] == 1:
        images = not input.requires_grad  # nobody wants their gradient
        (ph, pw), (kh, kw) = _pair(padding), weight.shape[2:]
        if images and input.shape[2] + 2 * ph >= kh and input.shape[3] + 2 * pw >= kw:
            return _over_windows(F.pad(input, (pw, pw, ph, ph)), weight, bias, _pair(stride))
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
    if plain and exact and input.ndim == 4 and not torch.compiler.is_compiling():
        n, c, h, w = input.shape
        even = h % 2 == w % 2 == 0
        if even and 2 * w <= WIDEST_ROWS and input.is_contiguous():
            return input.view(n, c, h // 2, 2 * w) @ _quarters(w, 1, input.dtype, input.device)
        if even and 2 * w * c <= WIDEST_ROWS and _is_channels_last(input):
            rows = input.permute(0, 2, 3, 1).reshape(n, h // 2, 2 * w * c)
            means = rows @ _quarters(w, c, input.dtype, input.device)
            return means.view(n, h // 2, w // 2, c).permute(0, 3, 1, 2)
    return F.avg_pool2d(input, size, steps, padding, ceil_mode, count_include_pad, divisor_override)


_CONVOLUTIONS = {"cpu": conv2d_on_cpu, "cuda": conv2d_on_gpu}


def _is_plain(input, padding, dilation, groups):
    plain = groups == 1 and _pair(dilation) == (1, 1) and not isinstance(padding, str)
    return plain and input.ndim == 4


def _dtype(X):
    """The numbers in which a product with X is computed here."""
    kind = X.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else X.dtype


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
    matrix = _AsMatrix.apply(weight, rows, columns, *input.shape[2:], _dtype(weight))
    if bias is not None:
        bias = bias.repeat(len(rows) * len(columns))
    y = F.linear(input.permute(0, 2, 3, 1).flatten(1), matrix, bias)
    return y.view(len(input), len(rows), len(columns), len(weight)).permute(0, 3, 1, 2)


def _over_windows(X, weight, bias, stride):
    """The convolution as a product: a row for each window of X, a column for each output channel.

    The bias is the weight of one more pixel, which is always 1.
    """
    windows = X.unfold(2, weight.shape[2], stride[0]).unfold(3, weight.shape[3], stride[1])
    windows = windows.permute(0, 2, 3, 1, 4, 5)  # (N, h, w, 1, kh, kw)
    taps = weight[0].numel()
    width = (taps // MULTIPLE + 1) * MULTIPLE
    pixels = X.new_ones(*windows.shape[:3], width, dtype=_dtype(weight))
    pixels[..., :taps].view(windows.shape).copy_(windows)
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    matrix = torch.cat([weight.flatten(1), bias[:, None]], dim=1)
    y = F.linear(pixels, F.pad(matrix, (0, width - taps - 1)))
    return y.permute(0, 3, 1, 2)


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
def _quarters(width, channels, dtype, device):
    """Matrix that averages two rows of pixels in windows of 2×2.

    Rows: the numbers of two rows of `width` pixels; columns: those of one of half the width.
    """
    with torch.inference_mode(False):  # it is kept, and training must be able to use it
        pixels = torch.eye(width // 2).repeat_interleave(2, dim=0) / 4
        return torch.kron(pixels, torch.eye(channels)).repeat(2, 1).to(device, dtype)


def _is_channels_last(X):
    return X.is_contiguous(memory_format=torch.channels_last)
