"""Answers to the exercises of chapter 01."""

import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters import convolution
from course_utils.nets.convolution import corr2d
from exercises import alike, also_right, answers, with_entry


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
        padding(lambda k, d: torch.tensor((d * (k - 1) + 1) // 2)),
    ],
    wrong={
        "k // 2": padding(lambda k, d: k // 2),
        "dilation forgotten in the refusal": lambda k, d=1: padding_by_loop(k) * d,
        "never refuses": padding(lambda k, d: d * (k - 1) // 2, refuse=False),
        "a float": padding(lambda k, d: d * (k - 1) / 2),
        "for both sides": padding(lambda k, d: d * (k - 1)),
        "k for k - 1": padding(lambda k, d: d * k // 2),
        "another exception": lambda k, d=1: {d * (k - 1): d * (k - 1) // 2}[d * (k - 1) // 2 * 2],
    },
)

SHAPES = [(8, 16, 32, 32), (8, 32, 32, 32), (8, 32, 15, 15)]


answers(
    "01.2",
    right=[lambda: tuple(torch.Size(shape) for shape in SHAPES), lambda: torch.tensor(SHAPES)],
    wrong={
        "groups are channels": with_entry(SHAPES, 2, (8, 1, 15, 15)),
        "channels last": lambda: [(n, h, w, c) for n, c, h, w in SHAPES],
    },
)


def corr1d(x, w, stride=1):
    k = len(w)
    return torch.stack([(x[i : i + k] * w).sum() for i in range(0, len(x) - k + 1, stride)])


def corr1d_by_shifts(x, w, stride=1):
    span = (len(x) - len(w)) // stride * stride + 1
    return sum(x[i : i + span : stride] * w[i] for i in range(len(w)))


answers(
    "01.3",
    right=[corr1d, corr1d_by_shifts],
    wrong={
        "PyTorch's own": convolution.corr1d_by_torch,
        "starts one apart": lambda x, w, stride=1: corr1d(x, w)[: (len(x) - len(w)) // stride + 1],
        "turned round": lambda x, w, stride=1: corr1d(x, w.flip(0), stride),
        "float32": lambda x, w, stride=1: corr1d(x, w, stride).float(),
        "stride ignored": lambda x, w, stride=1: corr1d(x, w),
        "w changed in place": lambda x, w, stride=1: corr1d(x, w.mul_(1.5), stride),
        "mean": lambda x, w, stride=1: corr1d(x, w, stride) / len(w),
        "kernel without gradient": lambda x, w, stride=1: corr1d(x, w.detach(), stride),
        "padded": lambda x, w, stride=1: corr1d(F.pad(x, (len(w) // 2, 0)), w, stride),
    },
    equivalent={"0 -> -1": "x has one axis, which is the last as well"},
)


def by_unfold(X, K):
    dtype = torch.result_type(X, K)
    return (X.to(dtype).unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1) * K).sum((2, 3))


def in_the_image(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=torch.result_type(X, K))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i : i + h, j : j + w]
            window *= K
            Y[i, j] = window.sum()
    return Y


answers(
    "01.4",
    right=[corr2d, by_unfold],
    wrong={
        "size not repaired": lambda X, K: by_unfold(X, K)[:-1, :-1],
        "image not spared": in_the_image,
        "a copy at the start is no help": lambda X, K: in_the_image(X.clone(), K),
        "float32": lambda X, K: by_unfold(X, K).float(),
        "dtype of X": lambda X, K: by_unfold(X, K).to(X.dtype),
        "turned round": lambda X, K: by_unfold(X, K.flip(0, 1)),
        "kernel detached": lambda X, K: by_unfold(X, K.detach()),
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


def gaussian(centre=lambda k: (k - 1) / 2, width=lambda s: 2 * s**2, total=torch.sum, power=2):
    def answer(k, sigma):
        a = torch.arange(k) - centre(k)
        K = torch.exp(-(a.abs() ** power + a[:, None].abs() ** power) / width(sigma))
        return K / total(K)

    return answer


answers(
    "01.5",
    right=[gaussian_by_grid, gaussian()],
    wrong={
        "centre at k // 2": gaussian(centre=lambda k: k // 2),
        "no 2": gaussian(width=lambda s: s**2),
        "sigma not squared": gaussian(width=lambda s: 2 * s),
        "sum not 1": gaussian(total=torch.max),
        "absolute distance": gaussian(power=1),
        "sigma ignored": lambda k, sigma: gaussian()(k, 1.0),
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
    ],
    wrong={
        "W transposed": lambda X, W: torch.einsum("co,nchw->nohw", W.reshape(W.T.shape), X),
        "height and width exchanged": lambda X, W: torch.einsum("oc,nchw->nowh", W, X),
        "mean": lambda X, W: torch.einsum("oc,nchw->nohw", W, X) / W.shape[1],
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


answers(
    "01.7",
    right=[depthwise_by_windows, depthwise_by_layer],
    wrong={
        "added up": lambda X, K: F.conv2d(X, K[None]).repeat(1, len(K), 1, 1),
        "first kernel for all": lambda X, K: depthwise_by_windows(X, K[:1].expand(len(K), -1, -1)),
        "turned round": lambda X, K: depthwise_by_windows(X, K.flip(1, 2)),
        "padded": lambda X, K: F.conv2d(X, K[:, None], padding=1, groups=len(K)),
        "first image only": lambda X, K: depthwise_by_windows(X[:1], K),
        "kernels without gradient": lambda X, K: depthwise_by_windows(X, K.detach()),
        "in place": lambda X, K: depthwise_by_windows(X.mul_(2), K) / 2,
        "mean": lambda X, K: depthwise_by_windows(X, K) / K[0].numel(),
    },
)


def layers_by_recursion(pixels, k):
    return 0 if pixels <= 1 else 1 + layers_by_recursion(pixels - k + 1, k)


def endless_layers(pixels, k):
    layers, sees = 0, 1
    while sees != pixels:  # jumps over it
        layers, sees = layers + 1, sees + k - 1
    return layers


answers(
    "01.8",
    right=[
        layers_by_recursion,
        lambda pixels, k: (pixels + k - 3) // (k - 1),
    ],
    wrong={
        "rounded down": lambda pixels, k: (pixels - 1) // (k - 1),
        "adds k": lambda pixels, k: math.ceil((pixels - 1) / k),
        "a float": lambda pixels, k: -((pixels - 1) // -(k - 1)) / 1,
        "multiplies": lambda pixels, k: math.ceil(math.log(pixels, k)),
        "exchanged": lambda pixels, k: math.ceil((k - 1) / max(1, pixels - 1)),
        "never ends": endless_layers,
    },
)

SOBEL = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def learned_by_steps(sigma, size=64, measure=torch.max, steps=200):
    """As the chapter's `learn_kernel`, with fewer steps."""
    X = torch.randn(1, 1, size, size)
    Y = F.conv2d(X, SOBEL[None, None])
    Y = Y + sigma * torch.randn(Y.shape)
    W = torch.zeros(1, 1, 3, 3, requires_grad=True)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad((F.conv2d(X, W) - Y).square().mean(), W)
        with torch.no_grad():
            W -= 0.2 * gradient
    return measure((W.detach()[0, 0] - SOBEL).abs())


def learned_by_normal_equations(sigma):
    X = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    A = F.unfold(X, 3)[0]
    y = SOBEL.double().flatten() @ A
    y = y + sigma * torch.randn(y.shape)
    return float((torch.linalg.solve(A @ A.T, A @ y) - SOBEL.flatten()).abs().max())


answers(
    "01.9",
    right=[learned_by_steps, learned_by_normal_equations],
    wrong={
        "variance for deviation": lambda sigma: learned_by_steps(sigma**3),
        "too few steps": partial(learned_by_steps, steps=5),
        "tiny image": partial(learned_by_steps, size=9),
        "a formula": lambda sigma: 2.5 * sigma / 62,
        "all nine errors": partial(learned_by_steps, measure=lambda error: error),
    },
    equivalent={
        **alike(
            "another kernel is learned as well as Sobel's",
            "arguments exchanged in 'torch.outer(torch.tensor([1.0, 2, 1]), "
            "torch.tensor([-1.0, 0, 1]))'",
            *("2 -> 3", "2 -> 1", "1 -> 2 #3", "1 -> 0 #3", "sign or not dropped in '-1.0'"),
            *("0 -> 1 #2", "0 -> -1 #2", "1 -> 2 #4", "1 -> 0 #4"),
            *("ends exchanged in '[1.0, 2, 1]'", "ends exchanged in '[-1.0, 0, 1]'"),
            *("1.0 -> 2.0", "1.0 -> 2.0 #2"),
        ),
        "last argument dropped in 'Y.reshape(-1, 1)'": "a vector will do",
        "operator in 'Y + sigma * torch.randn_like(Y)'": "noise is symmetric",
        "0 -> -1": "there is one image: the first is the last",
        "arguments exchanged in 'learned.view(3, 3)'": "both are 3",
    },
)


def matrix_by_kronecker(K, n):
    """Row u of the kernel is a band matrix; where it acts among the rows is another one."""
    k, m = len(K), n - len(K) + 1
    eye = torch.eye(n, dtype=K.dtype)
    bands = [sum(K[u, v] * eye[v : v + m] for v in range(k)) for u in range(k)]
    return sum(torch.kron(eye[u : u + m].contiguous(), bands[u]) for u in range(k))


def matrix(K, n, place=lambda i, j: (i, j), corner=lambda i, j: (i, j)):
    m, k = n - len(K) + 1, len(K)
    M = K.new_zeros(m, m, n, n)
    for i in range(m):
        for j in range(m):
            (u, v), (a, b) = place(i, j), corner(i, j)
            M[u, v, a : a + k, b : b + k] = K
    return M.view(m * m, n * n)


answers(
    "01.10",
    right=[matrix, matrix_by_kronecker],
    wrong={
        "transposed": lambda K, n: matrix(K, n).T,
        "columns first": partial(matrix, place=lambda i, j: (j, i)),
        "corner exchanged": partial(matrix, corner=lambda i, j: (j, i)),
        "turned round": lambda K, n: matrix(K.flip(0, 1), n),
        "kernel transposed": lambda K, n: matrix(K.T, n),
        "float32": lambda K, n: matrix(K.float(), n),
        "four axes": lambda K, n: matrix(K, n).unflatten(0, (n - len(K) + 1, -1)),
        "sparse": lambda K, n: matrix(K, n).to_sparse(),
    },
)


also_right("01.4", "every number is written over", "new_ones for new_zeros")
also_right("01.4", "only the device is taken", "K for X")
