"""Exercises of chapter 01, Convolution."""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import (
    counting,
    differs_from,
    distinct,
    refused,
    several,
    shapes_after,
)
from course_utils.exercises.checker.declare import Band, case, exercise
from course_utils.nets.convolution import out_size

TITLE = "Convolution"


def padding_by_trying(k, d=1):
    n = 100
    return next(p for p in range(n) if n + 2 * p - d * (k - 1) == n)


@exercise(
    title="Same size",
    kind="warm-up",
    minutes=3,
    cases=lambda: [
        *several((3,), (5,), (3, 2), (11,)),
        case(1, note="a 1×1 kernel needs none"),
        case(4, 2, note="an even kernel, but the dilation saves it"),
        case(7, d=3),
        refused(2, note="one zero in all would do, not one per side"),
        refused(4, 3),
    ],
    reference=padding_by_trying,
    misconceptions={
        "the dilation is ignored": lambda k, d=1: k // 2,
        "the padding is for both sides together": lambda k, d=1: d * (k - 1),
    },
    hints=[
        "At stride 1 the size changes by 2p - d(k - 1). When is that zero?",
        "p = d(k - 1) / 2, if that is a whole number. An odd product has no padding.",
    ],
    explanation="n + 2p - d(k - 1) - 1 + 1 = n gives 2p = d(k - 1). With an even kernel and an "
    "odd dilation the right side is odd, and no p does it.",
)
def ex01_1_same_padding(k, d=1):
    """Padding on each side that keeps an image's size at stride 1; ValueError if none does."""
    total = d * (k - 1)
    if total % 2:
        raise ValueError(f"no padding keeps the size with kernel {k} and dilation {d}")
    return total // 2


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [case()],
    reference=lambda: shapes_after(
        [
            nn.Conv2d(3, 16, 7, 2, 3),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.Conv2d(32, 32, 3, 2, groups=32),
        ],
        torch.zeros(8, 3, 64, 64),
    ),
    hints=[
        "The arguments of `nn.Conv2d` in order: in, out, kernel, stride, padding.",
        "First layer: (64 + 2·3 - 7) // 2 + 1. The number of groups does not change the shape.",
    ],
    explanation="(64 + 6 - 7) // 2 + 1 = 32, with 16 channels; a 3×3 kernel with padding 1 keeps "
    "32, with 32 channels; (32 - 3) // 2 + 1 = 15, and as many channels as before.",
)
def ex01_2_predict():
    """Output shapes of the three layers: a list of three tuples (N, C, H, W)."""
    return [(8, 16, 32, 32), (8, 32, 32, 32), (8, 32, 15, 15)]


def corr1d_by_torch(x, w, stride=1):
    return F.conv1d(x[None, None], w[None, None], stride=stride)[0, 0]


@exercise(
    title="One dimension",
    forbids=r"\w*conv\w*",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(counting(5), torch.tensor([1.0, 2.0])),
        case(counting(3) + 1, torch.tensor([1.0, 0.0, -1.0]), note="just one place for the kernel"),
        case(distinct(4), distinct(1), note="a kernel of one number"),
        case(distinct(7), distinct(2), 2),
        case(distinct(8), distinct(3), 2, note="the last number is not read"),
        case(distinct(9).double(), distinct(4).double(), stride=3),
        case(distinct(12), distinct(3), stride=4, note="a stride longer than the kernel"),
    ],
    reference=corr1d_by_torch,
    misconceptions={
        "the kernel is turned round": lambda x, w, stride=1: corr1d_by_torch(x, w.flip(0), stride),
        "the stride is ignored": lambda x, w, stride=1: corr1d_by_torch(x, w),
        "the windows start one number apart": lambda x, w, stride=1: corr1d_by_torch(x, w)[
            : (len(x) - len(w)) // stride + 1
        ],
    },
    gradient=True,
    hints=[
        "Output i looks at `x[i * stride : i * stride + k]`. How many are there?",
        "Multiply each of these pieces with w, sum, and `torch.stack` the sums.",
        "Or `x.unfold(0, k, stride)`: all pieces as the rows of a matrix, times w.",
    ],
    explanation="`unfold` makes a view with one window per row, at no cost; a matrix times w does "
    "all sums at once.",
)
def ex01_3_corr1d(x, w, stride=1):
    """Cross-correlation of x (n,) with w (k,): returns (out_size(n, k, stride),)."""
    return x.unfold(0, len(w), stride) @ w


def broken_corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h, X.shape[1] - w)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            X[i : i + h, j : j + w] *= K
            Y[i, j] = X[i : i + h, j : j + w].sum()
    return Y


def corr2d_by_torch(X, K):
    dtype = torch.result_type(X, K)
    return F.conv2d(X[None, None].to(dtype), K[None, None].to(dtype))[0, 0]


@exercise(
    title="Repair: the loop that eats its image",
    kind="repair",
    minutes=10,
    cases=lambda: [
        case(counting(3, 3), counting(2, 2)),
        case(counting(2, 2) + 1, counting(2, 2), note="the kernel is as large as the image"),
        case(counting(2, 3) + 1, torch.tensor([[2.0]]), note="a kernel of one number"),
        case(distinct(6, 5).double(), distinct(3, 2).double()),
        case(counting(3, 3).long(), torch.tensor([[0.5, 0.25]]), note="whole numbers, fractions"),
        case(distinct(4, 3).double(), distinct(2, 2), note="float64 and float32"),
    ],
    reference=corr2d_by_torch,
    stub=broken_corr2d,
    misconceptions={
        "the last row and column are missing": lambda X, K: corr2d_by_torch(X, K)[:-1, :-1],
        "the kernel is turned round": lambda X, K: corr2d_by_torch(X, K.flip(0, 1)),
    },
    gradient=True,
    hints=[
        "Try it on 3×3 with a 2×2 kernel: which shape should come out? Then look at X afterwards.",
        "A slice is a view: `*=` writes into the caller's image, and the next window sees it.",
        "`torch.zeros` is float32, whatever X and K are. `torch.result_type(X, K)` is what their "
        "product has.",
    ],
    explanation="The size lacked its + 1. `*=` on a slice changes the image itself, so "
    "overlapping windows were multiplied again and again. And Y must have the dtype of the "
    "products, or doubles lose digits.",
)
def ex01_4_corr2d(X, K):
    h, w = K.shape
    Y = X.new_zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=torch.result_type(X, K))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def gaussian_by_torch(k, sigma):
    g = torch.signal.windows.gaussian(k, std=sigma)
    return g[:, None] * g / g.sum() ** 2


@exercise(
    title="Any size of blur",
    kind="code",
    minutes=10,
    cases=lambda: [
        *several((3, 1.0), (5, 0.5), (4, 3.0), (7, 2)),
        case(1, 2.0, note="one entry: it must be 1"),
        case(2, 1.0, note="the centre lies between the pixels"),
        case(9, 30.0, note="so wide that it is nearly flat"),
    ],
    reference=gaussian_by_torch,
    misconceptions={
        "the sum is not made 1": lambda k, sigma: (K := gaussian_by_torch(k, sigma)) / K.max(),
        "the 2 of 2 sigma² is missing": lambda k, sigma: gaussian_by_torch(k, sigma / 2**0.5),
        "sigma is not squared": lambda k, sigma: gaussian_by_torch(k, sigma**0.5),
    },
    dtype="kind",
    rtol=1e-4,
    atol=1e-6,
    hints=[
        "The distances from the centre along one axis are `torch.arange(k) - (k - 1) / 2`, for "
        "even k too.",
        "$e^{-(a^2 + b^2)} = e^{-a^2} e^{-b^2}$: one vector is enough, `torch.outer` does the "
        "rest.",
        "Divide by the sum last.",
    ],
    explanation="The Gaussian is the product of two one-dimensional ones, which is why large "
    "blurs are computed as a row and then a column. Dividing by the sum keeps the brightness.",
)
def ex01_5_gaussian(k, sigma):
    """Blur kernel (k, k), float, entries add up to 1."""
    a = torch.arange(k) - (k - 1) / 2
    g = torch.exp(-(a**2) / (2 * sigma**2))
    return torch.outer(g, g) / g.sum() ** 2


@exercise(
    title="1×1 without a convolution",
    forbids=r"\w*conv\w*",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(counting(1, 2, 1, 2), counting(1, 2)),
        case(distinct(1, 1, 2, 2), distinct(3, 1)),
        case(distinct(2, 3, 1, 1), distinct(2, 3), note="two images of one pixel"),
        case(distinct(1, 2, 3, 2), distinct(2, 2), note="as many channels out as in"),
        case(distinct(2, 3, 3, 4).double(), distinct(5, 3).double()),
        case(distinct(3, 3, 3, 3), distinct(3, 3), note="all axes are alike: mind their order"),
    ],
    reference=lambda X, W: F.conv2d(X, W[:, :, None, None]),
    misconceptions={
        "W is taken as (C_in, C_out)": lambda X, W: F.conv2d(X, W.T[:, :, None, None]),
    },
    gradient=True,
    hints=[
        "Every pixel is a vector of C_in numbers, and W makes C_out numbers of it.",
        '`torch.einsum("oc,nchw->nohw", W, X)` says it in letters. Or flatten the pixels: '
        "`W @ X.flatten(2)`.",
    ],
    explanation="A 1×1 convolution is one linear layer, used at each pixel. `W @ X.flatten(2)` "
    "would do as well: (C_out, C_in) times (N, C_in, H·W).",
)
def ex01_6_pointwise(X, W):
    """X (N, C_in, H, W), W (C_out, C_in): returns (N, C_out, H, W)."""
    return torch.einsum("oc,nchw->nohw", W, X)


def broken_depthwise(X, K):
    return F.conv2d(X, K[None])


def per_channel(X, K):
    planes = [F.conv2d(X[:, c : c + 1], K[None, None, c]) for c in range(len(K))]
    return torch.cat(planes, dim=1)


@exercise(
    title="Repair: channels that stay apart",
    kind="repair",
    minutes=5,
    cases=lambda: [
        case(counting(1, 2, 2, 2), counting(2, 1, 1) + 1),
        case(counting(1, 1, 3, 3), counting(1, 2, 2), note="one channel"),
        case(distinct(2, 2, 2, 3), distinct(2, 2, 2), note="two images"),
        case(distinct(2, 3, 5, 6).double(), distinct(3, 2, 2).double()),
    ],
    reference=per_channel,
    stub=broken_depthwise,
    misconceptions={
        "the channels are added up": lambda X, K: (
            F.conv2d(X, K[None]).expand(-1, len(K), -1, -1).clone()
        ),
        "every channel gets the first kernel": lambda X, K: per_channel(X, K[:1].expand_as(K)),
    },
    gradient=True,
    hints=[
        "`K[None]` is one filter that reads all channels and adds them up. You need C filters "
        "that read one channel each.",
        "With `groups=C` the weight has the shape (C, 1, k, k).",
    ],
    explanation="`K[None]` has shape (1, C, k, k): one output channel. `K[:, None]` is (C, 1, k, "
    "k), and `groups` gives each channel its own filter.",
)
def ex01_7_depthwise(X, K):
    return F.conv2d(X, K[:, None], groups=len(K))


def layers_by_counting(pixels, k):
    layers, sees = 0, 1
    while sees < pixels:
        layers, sees = layers + 1, sees + k - 1
    return layers


@exercise(
    title="How deep?",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(1, 3, note="no layer at all sees one pixel"),
        *several((2, 3), (3, 3), (4, 3), (5, 2), (6, 5), (11, 11), (28, 5), (224, 3)),
    ],
    reference=layers_by_counting,
    misconceptions={
        "each layer adds k pixels, not k - 1": lambda pixels, k: -(-(pixels - 1) // k),
        "the division rounds down": lambda pixels, k: (pixels - 1) // (k - 1),
    },
    hints=[
        "One layer sees k pixels, two see 2k - 1: each adds k - 1.",
        "Count up in a loop, or divide pixels - 1 by k - 1 and round up: `-(-a // b)`.",
    ],
    explanation="L layers see 1 + L(k - 1) pixels. The smallest L with that at least `pixels` is "
    "the quotient, rounded up. For 224 pixels and k = 3 it is 112: no wonder that networks pool.",
)
def ex01_8_layers_needed(pixels, k):
    """Smallest number of k×k layers (stride 1) that see at least `pixels` pixels."""
    return -(-(pixels - 1) // (k - 1))


def learned_from_noise(outcome, again):
    """Whatever kernel made the edges: least squares errs by what it makes of the noise alone."""
    images, noises = ([t for t in outcome.spy.drawn(n * n) if t.numel() == n * n] for n in (64, 62))
    sigma = outcome.arguments["sigma"]
    if not images:
        return "No random image of 64 × 64 pixels was drawn."
    if not sigma:
        return ""
    if not noises:
        return "No noise for the 62 × 62 numbers of the edges was drawn."
    if any(t.min() >= 0 for t in (images[-1], noises[-1])):
        return "Not all random numbers are normal ones: none is below zero."
    windows = F.unfold(images[-1].reshape(1, 1, 64, 64).double(), 3)[0].T
    noise = noises[-1].double().reshape(-1, 1)
    error = torch.linalg.lstsq(windows, noise).solution.abs().max()
    what = "The largest error of a kernel learned from this image and this noise"
    return differs_from(outcome, sigma * error, error, what=what, rtol=0.05, atol=0.005)


@exercise(
    title="Experiment: how much noise does learning bear?",
    seconds=15,
    kind="experiment",
    witness=learned_from_noise,
    minutes=20,
    cases=lambda: [
        # each of nine weights is off by about sigma / 62: bands far out in the tails of the largest
        case(0.0, expected=Band(0, 0.01), note="without noise it is found"),
        case(1.0, expected=Band(0.006, 0.1)),
        case(4.0, expected=Band(0.025, 0.4), note="four times the noise"),
    ],
    hints=[
        "`learn_kernel` of this chapter takes the image as (1, 1, 64, 64) and the edges as (1, 1, "
        "62, 62), and returns the kernel first.",
        "Least squares finds at once what the steps approach: `F.unfold(X, 3)` holds the windows "
        "as columns, so `torch.linalg.lstsq(F.unfold(X, 3)[0].T, Y.reshape(-1, 1)).solution`.",
    ],
    explanation="Nine weights are learned from 62² = 3,844 noisy numbers, and the noise averages "
    "out: each weight is off by about sigma / 62. That is what sharing weights buys: every pixel "
    "is an example for the same nine numbers.",
)
def ex01_9_noisy(sigma):
    """Largest error of the nine weights learned from edges with noise `sigma`."""
    sobel = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([-1.0, 0, 1]))
    X = torch.randn(1, 1, 64, 64)
    Y = F.conv2d(X, sobel[None, None])
    Y = Y + sigma * torch.randn_like(Y)
    windows = F.unfold(X, 3)[0].T  # a row per pixel of Y
    learned = torch.linalg.lstsq(windows, Y.reshape(-1, 1)).solution
    return (learned.view(3, 3) - sobel).abs().max().item()


def matrix_by_probing(K, n):
    """Column c of a matrix is what comes out for the c-th unit vector."""
    units = torch.eye(n * n, dtype=K.dtype).view(n * n, 1, n, n)
    return F.conv2d(units, K[None, None]).flatten(1).T


@exercise(
    title="The matrix of a convolution",
    forbids=r"\w*conv\w*",
    kind="code",
    minutes=30,
    cases=lambda: [
        case(counting(2, 2) + 1, 2, note="one window: the matrix is one row"),
        case(torch.tensor([[5.0]]), 2, note="a 1×1 kernel: a diagonal matrix"),
        case(counting(2, 2) + 1, 3),
        case(distinct(3, 3).double(), 6),
    ],
    reference=matrix_by_probing,
    misconceptions={
        "it is the transpose": lambda K, n: matrix_by_probing(K, n).T,
        "the kernel is turned round": lambda K, n: matrix_by_probing(K.flip(0, 1), n),
        "the kernel is transposed": lambda K, n: matrix_by_probing(K.T, n),
    },
    gradient=True,
    hints=[
        "Row i * m + j belongs to output (i, j), column a * n + b to pixel (a, b).",
        "Output (i, j) reads pixel (i + u, j + v) with weight K[u, v]. Everything else is zero.",
        "In a row, each line of the kernel is one run of k numbers: it starts at (i + u) * n + j.",
    ],
    explanation="Each row holds the k² weights at the pixels that one output reads. All rows have "
    "the same numbers, shifted: that is weight sharing, written as a matrix. Its transpose "
    "carries gradients back, and is what `nn.ConvTranspose2d` multiplies with.",
)
def ex01_10_matrix(K, n):
    """M (m², n²), m = n - k + 1, with M @ X.flatten() == corr2d(X, K).flatten()."""
    k = len(K)
    m = out_size(n, k)
    M = K.new_zeros(m * m, n * n)
    for i in range(m):
        for j in range(m):
            for u in range(k):
                start = (i + u) * n + j
                M[i * m + j, start : start + k] = K[u]
    return M
