"""Answers to the exercises of chapter 01."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.convolution import conv2d_im2col, corr2d
from exercises import answers


def padding_by_loop(k, d=1):
    for p in range(200):
        if 2 * p == d * (k - 1):
            return p
    raise ValueError("none")


def padding(formula, refuse=True):
    def answer(k, d=1):
        if refuse and d * (k - 1) % 2:
            raise ValueError("none")
        return formula(k, d)

    return answer


answers(
    "01.1",
    right=[
        padding_by_loop,
        padding(lambda k, d: (d * (k - 1) + 1) // 2),
        padding(lambda k, d: torch.tensor(d * (k - 1) // 2)),
    ],
    wrong={
        "k // 2": padding(lambda k, d: k // 2),
        "dilation forgotten in the refusal": lambda k, d=1: padding_by_loop(k) * d,
        "never refuses": padding(lambda k, d: d * (k - 1) // 2, refuse=False),
        "a float": padding(lambda k, d: d * (k - 1) / 2),
        "for both sides": padding(lambda k, d: d * (k - 1)),
        "window reach": padding(lambda k, d: (d * (k - 1) + 1 + 1) // 2),
        "k for k - 1": padding(lambda k, d: d * k // 2),
        "refuses every even kernel": lambda k, d=1: padding_by_loop(k, d if k % 2 else 1),
        "another exception": lambda k, d=1: {d * (k - 1): d * (k - 1) // 2}[d * (k - 1) // 2 * 2],
        "returns None for none": lambda k, d=1: None if d * (k - 1) % 2 else d * (k - 1) // 2,
    },
)

SHAPES = [(8, 16, 32, 32), (8, 32, 32, 32), (8, 32, 15, 15)]


def with_shape(i, shape):
    return lambda: [*SHAPES[:i], shape, *SHAPES[i + 1 :]]


answers(
    "01.2",
    right=[
        lambda: [list(shape) for shape in SHAPES],
        lambda: tuple(torch.Size(shape) for shape in SHAPES),
        lambda: torch.tensor(SHAPES),
    ],
    wrong={
        "stride forgotten": with_shape(0, (8, 16, 64, 64)),
        "padding forgotten": with_shape(0, (8, 16, 29, 29)),
        "channels first kept": with_shape(0, (8, 3, 32, 32)),
        "one too few": with_shape(0, (8, 16, 31, 31)),
        "second without padding": with_shape(1, (8, 32, 30, 30)),
        "rounded up": with_shape(2, (8, 32, 16, 16)),
        "groups are channels": with_shape(2, (8, 1, 15, 15)),
        "last with padding": with_shape(2, (8, 32, 16, 16)),
        "no batch": lambda: [shape[1:] for shape in SHAPES],
        "only the last": lambda: SHAPES[-1],
        "channels last": lambda: [(n, h, w, c) for n, c, h, w in SHAPES],
    },
)


def corr1d_by_loop(x, w, stride=1):
    k = len(w)
    return torch.stack([(x[i : i + k] * w).sum() for i in range(0, len(x) - k + 1, stride)])


def corr1d_by_shifts(x, w, stride=1):
    span = (len(x) - len(w)) // stride * stride + 1
    return sum(x[i : i + span : stride] * w[i] for i in range(len(w)))


def corr1d(x, w, stride=1, *, last=1, start=True, kernel=lambda w: w, Y=None):
    """The loop with one thing changed."""
    k = len(w)
    count = (len(x) - k) // stride + last
    Y = x.new_zeros(count) if Y is None else Y(count)
    for i in range(count):
        a = i * stride if start else i
        Y[i] = (x[a : a + k] * kernel(w)).sum()
    return Y


def changed1d(**changes):
    return lambda x, w, stride=1: corr1d(x, w, stride, **changes)


answers(
    "01.3",
    right=[
        corr1d_by_loop,
        corr1d_by_shifts,
        corr1d,
        lambda x, w, stride=1: torch.einsum("ij,j->i", x.unfold(0, len(w), stride), w),
        lambda x, w, stride=1: F.conv1d(x[None, None], w[None, None], None, stride).flatten(),
    ],
    wrong={
        "one too few": changed1d(last=0),
        "starts one apart": changed1d(start=False),
        "turned round": changed1d(kernel=lambda w: w.flip(0)),
        "float32": changed1d(Y=torch.zeros),
        "stride ignored": lambda x, w, stride=1: corr1d(x, w),
        "size by stride": lambda x, w, stride=1: corr1d(x, w)[::stride][: len(x) // stride - 1],
        "w changed in place": lambda x, w, stride=1: corr1d(x, w.mul_(1.5), stride),
        "mean": lambda x, w, stride=1: corr1d(x, w, stride) / len(w),
        "through Python numbers": lambda x, w, stride=1: torch.tensor(
            corr1d(x, w, stride).tolist(), dtype=x.dtype
        ),
        "kernel without gradient": changed1d(kernel=lambda w: w.detach()),
        "padded": lambda x, w, stride=1: corr1d(F.pad(x, (len(w) // 2, 0)), w, stride),
        "extra axes": lambda x, w, stride=1: corr1d(x, w, stride)[None],
    },
    equivalent={"0 -> -1": "x has one axis, which is the last as well"},
)


def by_unfold(X, K):
    dtype = torch.result_type(X, K)
    return (X.to(dtype).unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1) * K).sum((2, 3))


def by_kernel_entries(X, K):
    rows, columns = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    return sum(
        K[u, v] * X[u : u + rows, v : v + columns]
        for u in range(K.shape[0])
        for v in range(K.shape[1])
    )


def repaired(X, K, *, more=1, copy=True, dtype=None, kernel=lambda K: K):
    h, w = K.shape
    dtype = torch.result_type(X, K) if dtype is None else dtype(X, K)
    Y = torch.zeros(X.shape[0] - h + more, X.shape[1] - w + more, dtype=dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            if not copy:
                window *= kernel(K)
                Y[i, j] = window.sum()
            else:
                Y[i, j] = (window * kernel(K)).sum()
    return Y


def changed2d(**changes):
    return lambda X, K: repaired(X, K, **changes)


answers(
    "01.4",
    right=[corr2d, by_unfold, by_kernel_entries, repaired],
    wrong={
        "size not repaired": changed2d(more=0),
        "image not spared": changed2d(copy=False),
        "a copy at the start is no help": lambda X, K: repaired(X.clone(), K, copy=False),
        "float32": changed2d(dtype=lambda X, K: torch.float32),
        "dtype of X": changed2d(dtype=lambda X, K: X.dtype),
        "turned round": changed2d(kernel=lambda K: K.flip(0, 1)),
        "transposed": lambda X, K: by_unfold(X.T, K.T),
        "kernel detached": changed2d(kernel=lambda K: K.detach()),
        "image detached": lambda X, K: repaired(X.detach(), K),
        "one too many": lambda X, K: by_unfold(F.pad(X, (0, 1, 0, 1)), K),
        "maximum": lambda X, K: (X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1) * K).amax(
            (2, 3)
        ),
    },
    equivalent={"arguments exchanged in 'torch.result_type(X, K)'": "it is symmetric"},
)


def gaussian_by_grid(k, sigma):
    a = torch.linspace(-(k - 1) / 2, (k - 1) / 2, k, dtype=torch.float64)
    i, j = torch.meshgrid(a, a, indexing="ij")
    return torch.softmax(-(i**2 + j**2).flatten() / (2 * sigma**2), 0).view(k, k)


def gaussian_by_lists(k, sigma):
    rows = [
        [math.exp(-(math.hypot(i - (k - 1) / 2, j - (k - 1) / 2) ** 2) / 2 / sigma**2)
         for j in range(k)]
        for i in range(k)
    ]  # fmt: skip
    total = sum(map(sum, rows))
    return torch.tensor(rows) / total


def gaussian(centre=lambda k: (k - 1) / 2, width=lambda s: 2 * s**2, total=torch.sum, power=2):
    def answer(k, sigma):
        a = torch.arange(k) - centre(k)
        K = torch.exp(-(a.abs() ** power + a[:, None].abs() ** power) / width(sigma))
        return K / total(K)

    return answer


answers(
    "01.5",
    right=[gaussian_by_grid, gaussian_by_lists, gaussian()],
    wrong={
        "centre at k // 2": gaussian(centre=lambda k: k // 2),
        "centre at k / 2": gaussian(centre=lambda k: k / 2),
        "no 2": gaussian(width=lambda s: s**2),
        "sigma not squared": gaussian(width=lambda s: 2 * s),
        "sum not 1": gaussian(total=torch.max),
        "mean 1": gaussian(total=torch.mean),
        "rows add up to 1": lambda k, sigma: torch.softmax(gaussian()(k, sigma).log(), 1),
        "absolute distance": gaussian(power=1),
        "one dimension": lambda k, sigma: gaussian()(k, sigma).sum(0),
        "sigma ignored": lambda k, sigma: gaussian()(k, 1.0),
        "size ignored": lambda k, sigma: gaussian()(3, sigma),
        "a box": lambda k, sigma: torch.full((k, k), 1 / k**2),
    },
    equivalent={
        "arguments exchanged in 'torch.outer(g, g)'": "both are g",
        "axes exchanged": "the kernel is symmetric",
    },
)

answers(
    "01.6",
    right=[
        lambda X, W: (W @ X.flatten(2)).unflatten(2, X.shape[2:]),
        lambda X, W: F.linear(X.movedim(1, -1), W).movedim(-1, 1),
        lambda X, W: torch.tensordot(X, W, dims=([1], [1])).permute(0, 3, 1, 2),
        lambda X, W: torch.stack([(X * w[:, None, None]).sum(1) for w in W], dim=1),
        lambda X, W: conv2d_im2col(X, W[:, :, None, None]),
    ],
    wrong={
        "W transposed": lambda X, W: torch.einsum("co,nchw->nohw", W.reshape(W.T.shape), X),
        "axes left": lambda X, W: torch.tensordot(X, W, dims=([1], [1])),
        "height and width exchanged": lambda X, W: torch.einsum("oc,nchw->nowh", W, X),
        "without the batch": lambda X, W: torch.einsum("oc,chw->ohw", W, X[0]),
        "over the batch": lambda X, W: torch.einsum("oc,nchw->ohw", W, X),
        "mean": lambda X, W: torch.einsum("oc,nchw->nohw", W, X) / W.shape[1],
        "flat": lambda X, W: W @ X.flatten(2),
        "weights without gradient": lambda X, W: torch.einsum("oc,nchw->nohw", W.detach(), X),
        "float32": lambda X, W: torch.einsum("oc,nchw->nohw", W.float(), X.float()),
        "batch and channels exchanged": lambda X, W: torch.einsum("oc,nchw->onhw", W, X),
        "one filter": lambda X, W: torch.einsum("c,nchw->nhw", W[0], X)[:, None].expand(
            -1, len(W), -1, -1
        ),
    },
)


def depthwise_by_windows(X, K):
    k = K.shape[-1]
    return torch.einsum("nchwij,cij->nchw", X.unfold(2, k, 1).unfold(3, k, 1), K)


def depthwise_by_layer(X, K):
    C, k = K.shape[:2]
    conv = nn.Conv2d(C, C, k, groups=C, bias=False)
    return torch.func.functional_call(conv, {"weight": K[:, None]}, (X,))


def depthwise_by_loops(X, K):
    return torch.stack([torch.stack([corr2d(x, k) for x, k in zip(image, K, strict=True)])
                        for image in X])  # fmt: skip


answers(
    "01.7",
    right=[depthwise_by_windows, depthwise_by_layer, depthwise_by_loops],
    wrong={
        "added up": lambda X, K: F.conv2d(X, K[None]).repeat(1, len(K), 1, 1),
        "first kernel for all": lambda X, K: depthwise_by_windows(X, K[:1].expand(len(K), -1, -1)),
        "kernels in reverse": lambda X, K: depthwise_by_windows(X, K.flip(0)),
        "turned round": lambda X, K: depthwise_by_windows(X, K.flip(1, 2)),
        "transposed": lambda X, K: depthwise_by_windows(X, K.mT),
        "padded": lambda X, K: F.conv2d(X, K[:, None], padding=1, groups=len(K)),
        "first image only": lambda X, K: depthwise_by_windows(X[:1], K),
        "all pairs": lambda X, K: F.conv2d(X.flatten(0, 1)[:, None], K[:, None]),
        "diagonal forgotten": lambda X, K: F.conv2d(X, K[None].expand(len(K), -1, -1, -1)),
        "kernels without gradient": lambda X, K: depthwise_by_windows(X, K.detach()),
        "in place": lambda X, K: depthwise_by_windows(X.mul_(2), K) / 2,
        "mean": lambda X, K: depthwise_by_windows(X, K) / K[0].numel(),
    },
)


def layers_by_recursion(pixels, k):
    return 0 if pixels <= 1 else 1 + layers_by_recursion(pixels - k + 1, k)


answers(
    "01.8",
    right=[
        layers_by_recursion,
        lambda pixels, k: math.ceil((pixels - 1) / (k - 1)),
        lambda pixels, k: next(n for n in range(pixels) if 1 + n * (k - 1) >= pixels),
        lambda pixels, k: (pixels + k - 3) // (k - 1),
    ],
    wrong={
        "rounded down": lambda pixels, k: (pixels - 1) // (k - 1),
        "adds k": lambda pixels, k: math.ceil((pixels - 1) / k),
        "starts at zero": lambda pixels, k: math.ceil(pixels / (k - 1)),
        "starts at k": lambda pixels, k: 1 + max(0, math.ceil((pixels - k) / (k - 1))),
        "one more": lambda pixels, k: (pixels - 1) // (k - 1) + 1,
        "a float": lambda pixels, k: -((pixels - 1) // -(k - 1)) / 1,
        "multiplies": lambda pixels, k: math.ceil(math.log(pixels, k)),
        "three always": lambda pixels, k: math.ceil((pixels - 1) / 2),
        "exchanged": lambda pixels, k: math.ceil((k - 1) / max(1, pixels - 1)),
        "never ends": lambda pixels, k: endless_layers(pixels, k),
    },
)


def endless_layers(pixels, k):
    layers, sees = 0, 1
    while sees != pixels:  # jumps over it
        layers, sees = layers + 1, sees + k - 1
    return layers


SOBEL = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def learned_by_steps(sigma, noise=None, kernel=SOBEL, size=64, measure=None, steps=200):
    """As the chapter's `learn_kernel`, with fewer steps."""
    noise = sigma if noise is None else noise(sigma)
    X = torch.randn(1, 1, size, size)
    Y = F.conv2d(X, kernel[None, None])
    Y = Y + noise * torch.randn(Y.shape)
    W = torch.zeros(1, 1, 3, 3, requires_grad=True)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad((F.conv2d(X, W) - Y).square().mean(), W)
        with torch.no_grad():
            W -= 0.2 * gradient
    error = (W.detach()[0, 0] - SOBEL).abs()
    return error.max().item() if measure is None else measure(error)


def learned_by_normal_equations(sigma):
    X = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    A = F.unfold(X, 3)[0]
    y = SOBEL.double().flatten() @ A
    y = y + sigma * torch.randn(y.shape)
    return float((torch.linalg.solve(A @ A.T, A @ y) - SOBEL.flatten()).abs().max())


answers(
    "01.9",
    right=[
        learned_by_steps,
        learned_by_normal_equations,
        lambda sigma: torch.tensor(learned_by_normal_equations(sigma)),
    ],
    wrong={
        "noise ignored": lambda sigma: learned_by_steps(sigma, lambda s: 0),
        "noise 1 always": lambda sigma: learned_by_steps(sigma, lambda s: 1),
        "variance for deviation": lambda sigma: learned_by_steps(sigma, lambda s: s**3),
        "not learned": lambda sigma: learned_by_steps(sigma, steps=0),
        "too few steps": lambda sigma: learned_by_steps(sigma, steps=5),
        "another kernel": lambda sigma: learned_by_steps(sigma, kernel=SOBEL.T.contiguous()),
        "turned round": lambda sigma: learned_by_steps(sigma, kernel=-SOBEL),
        "tiny image": lambda sigma: learned_by_steps(sigma, size=9),
        "all nine errors": lambda sigma: learned_by_steps(sigma, measure=lambda error: error),
        "sum of the errors": lambda sigma: learned_by_steps(
            sigma, measure=lambda error: error.sum().item()
        ),
        "a percentage": lambda sigma: 100 * learned_by_steps(sigma),
        "signed": lambda sigma: -learned_by_steps(sigma),
    },
    equivalent={
        **dict.fromkeys(
            ["64 -> 65", "64 -> 63", "64 -> 65 #2", "64 -> 63 #2"],
            "an image of another size, within the band",
        ),
        **dict.fromkeys(
            [
                "arguments exchanged in 'torch.outer(torch.tensor([1.0, 2, 1]), "
                "torch.tensor([-1.0, 0, 1]))'",
                *("2 -> 3", "2 -> 1", "1 -> 2 #3", "1 -> 0 #3", "sign or not dropped in '-1.0'"),
                *("0 -> 1 #2", "0 -> -1 #2", "1 -> 2 #4", "1 -> 0 #4"),
            ],
            "another kernel is learned as well as Sobel's",
        ),
        "operator in 'Y + sigma * torch.randn_like(Y)'": "noise is symmetric",
        "0 -> -1": "there is one image: the first is the last",
        "arguments exchanged in 'learned.view(3, 3)'": "both are 3",
    },
)


def matrix_by_pixels(K, n):
    m, k = n - len(K) + 1, len(K)
    M = torch.zeros(m, m, n, n, dtype=K.dtype)
    for i in range(m):
        for j in range(m):
            M[i, j, i : i + k, j : j + k] = K
    return M.view(m * m, n * n)


def matrix_by_kronecker(K, n):
    """Row u of the kernel is a band matrix; where it acts among the rows is another one."""
    k, m = len(K), n - len(K) + 1
    eye = torch.eye(n, dtype=K.dtype)
    bands = [sum(K[u, v] * eye[v : v + m] for v in range(k)) for u in range(k)]
    return sum(torch.kron(eye[u : u + m].contiguous(), bands[u]) for u in range(k))


def matrix(m=lambda n, k: n - k + 1, row=None, corner=lambda i, j: (i, j), kernel=lambda K: K):
    def answer(K, n):
        k, size = len(K), m(n, len(K))
        M = K.new_zeros(size * size, n, n)
        for i in range(size):
            for j in range(size):
                a, b = corner(i, j)
                at = i * size + j if row is None else row(i, j, size)
                M[at, a : a + k, b : b + k] = kernel(K)
        return M.flatten(1)

    return answer


answers(
    "01.10",
    right=[matrix_by_pixels, matrix_by_kronecker, matrix()],
    wrong={
        "one row too few": matrix(m=lambda n, k: n - k),
        "transposed": lambda K, n: matrix()(K, n).T,
        "columns first": matrix(row=lambda i, j, size: j * size + i),
        "corner exchanged": matrix(corner=lambda i, j: (j, i)),
        "turned round": matrix(kernel=lambda K: K.flip(0, 1)),
        "kernel transposed": matrix(kernel=lambda K: K.T),
        "gradient cut": matrix(kernel=lambda K: K.detach()),
        "float32": lambda K, n: matrix()(K.float(), n),
        "for a 3×3 kernel": lambda K, n: matrix(m=lambda n, k: n - 2)(K, n),
        "four axes": lambda K, n: matrix()(K, n).view(n - len(K) + 1, n - len(K) + 1, n, n),
        "wraps round": lambda K, n: torch.stack(
            [
                F.pad(K, (0, n - len(K), 0, n - len(K))).roll((i, j), (0, 1)).flatten()
                for i in range(n)
                for j in range(n)
            ]
        ),
        "sparse": lambda K, n: matrix()(K, n).to_sparse(),
    },
)
