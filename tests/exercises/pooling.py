"""Answers to the exercises of chapter 02."""

from functools import partial

import torch
from torch.nn import functional as F

from course_utils.nets.pooling import adaptive_windows, pool2d_windows
from exercises import alike, also_right, answers

SAME_AXIS = "axes 2 and -2 are the same one in (N, C, H, W)"


def windows(X, k):
    """(N, C, rows, columns, k, k)"""
    return X.unfold(2, k, k).unfold(3, k, k)


def min_by_reshape(X, window):
    N, C, H, W = X.shape
    X = X[:, :, : H // window * window, : W // window * window]
    return X.reshape(N, C, H // window, window, W // window, window).amin(dim=(3, 5))


answers(
    "02.1",
    right=[min_by_reshape, lambda X, window: -pool2d_windows(-X, window)],
    wrong={
        "maximum": F.max_pool2d,
        "sign not turned back": lambda X, window: F.max_pool2d(-X, window),
        "stride 1": lambda X, window: -F.max_pool2d(-X, window, 1),
        "ceil_mode": lambda X, window: -F.max_pool2d(-X, window, ceil_mode=True),
        "padded": lambda X, window: -F.max_pool2d(-X, window, padding=window // 2),
        "over the channels": lambda X, window: -F.max_pool2d(-X, window).amax(1, keepdim=True),
        "negates X in place": lambda X, window: -F.max_pool2d(X.neg_(), window),
    },
)

SHAPES = [(8, 4, 10, 14), (8, 6, 10, 14), (8, 6, 5, 7), (8, 6, 3, 4), (8, 6, 2, 2)]


answers(
    "02.2",
    right=[lambda: tuple(torch.Size(shape) for shape in SHAPES), lambda: torch.tensor(SHAPES)],
    wrong={
        "rows and columns exchanged": lambda: [(n, c, w, h) for n, c, h, w in SHAPES],
        "floats": lambda: [tuple(float(v) for v in shape) for shape in SHAPES],
    },
)


def strided_by_unfold(X, pool_size, mode="max", stride=None):
    if mode not in {"max", "avg"}:
        raise ValueError(mode)
    steps = stride or pool_size
    views = X.unfold(0, pool_size[0], steps[0]).unfold(1, pool_size[1], steps[1])
    return views.amax((2, 3)) if mode == "max" else views.mean((2, 3))


PICK = {"max": torch.max, "avg": torch.mean}


def strided(X, pool_size, mode="max", stride=None, corner=True, size=None, steps=None, pick=PICK):
    """The solution with one thing changed."""
    if mode not in pick:
        raise ValueError(mode)
    steps = steps or (lambda pool_size, stride: stride or pool_size)
    size = size or (lambda n, p, s: (n - p) // s + 1)
    (p, q), (s, t) = pool_size, steps(pool_size, stride)
    Y = X.new_zeros(size(X.shape[0], p, s), size(X.shape[1], q, t))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            a, b = (i * s, j * t) if corner else (i, j)
            Y[i, j] = pick[mode](X[a : a + p, b : b + q])
    return Y


def forever(X, pool_size, mode="max", stride=None):
    while True:
        pass


answers(
    "02.3",
    right=[strided_by_unfold, strided],
    wrong={
        "corner without stride": partial(strided, corner=False),
        "stride ignored": partial(strided, steps=lambda pool_size, stride: (1, 1)),
        "size by the stride only": partial(strided, size=lambda n, p, s: n // s),
        "stride exchanged": partial(
            strided, steps=lambda pool_size, stride: (stride or pool_size)[::-1]
        ),
        "default stride 1": partial(strided, steps=lambda pool_size, stride: stride or (1, 1)),
        "mode exchanged": partial(strided, pick={"max": torch.mean, "avg": torch.max}),
        "sum": partial(strided, pick={"max": torch.max, "avg": torch.sum}),
        "float32 always": lambda *args, **kwargs: strided(*args, **kwargs).float(),
        "never ends": forever,
    },
)


def avg_by_groups(X, window):
    W = torch.ones(X.shape[1], 1, window, window, dtype=X.dtype) / window**2
    return F.conv2d(X, W, None, window, 0, 1, X.shape[1])


def avg_one_channel_at_a_time(X, window):
    W = torch.full((1, 1, window, window), 1 / window / window, dtype=X.dtype)
    return torch.cat([F.conv2d(c, W, stride=window) for c in X.split(1, dim=1)], dim=1)


def by_kernel(X, window, value, groups=True, **settings):
    C = X.shape[1]
    weight = X.new_full((C, 1 if groups else C, window, window), value)
    return F.conv2d(X, weight, **{"stride": window, "groups": C if groups else 1, **settings})


answers(
    "02.4",
    right=[avg_by_groups, avg_one_channel_at_a_time],
    wrong={
        "a sum": lambda X, window: by_kernel(X, window, 1.0),
        "divided by the side": lambda X, window: by_kernel(X, window, 1 / window),
        "stride 1": lambda X, window: by_kernel(X, window, 1 / window**2, stride=1),
        "channels mixed": lambda X, window: by_kernel(X, window, 1 / window**2, groups=False),
        "float32 kernel": lambda X, window: by_kernel(X.float(), window, 1 / window**2),
        "padded": lambda X, window: by_kernel(X, window, 1 / window**2, padding=window // 2),
    },
)


answers(
    "02.5",
    right=[
        lambda X: pool2d_windows(X, 3, 1, 1, "avg", count_include_pad=False),
        lambda X: (
            F.pad(X, (1, 1, 1, 1), value=torch.nan).unfold(2, 3, 1).unfold(3, 3, 1).nanmean((4, 5))
        ),
    ],
    wrong={
        "replicated border": lambda X: F.avg_pool2d(F.pad(X, (1, 1, 1, 1), "replicate"), 3, 1),
        "window 5": lambda X: F.avg_pool2d(X, 5, 1, 2, count_include_pad=False),
        "sum": lambda X: F.avg_pool2d(X, 3, 1, 1, divisor_override=1),
        "maximum": lambda X: F.max_pool2d(X, 3, 1, 1),
        "only the rows": lambda X: F.avg_pool2d(
            F.pad(X, (1, 1, 0, 0)), (3, 3), 1, (1, 0), count_include_pad=False
        ),
    },
)


def over(*axes):
    """The maximum goes over other axes, too."""
    return lambda X, window: (
        F.max_pool2d(X, window).amax(axes, keepdim=True).expand_as(F.max_pool2d(X, window))
    )


answers(
    "02.6",
    right=[
        lambda X, window: windows(X, window).amax(dim=(4, 5)),
        lambda X, window: windows(X, window).flatten(4).max(dim=4)[0],
    ],
    wrong={
        "PyTorch's own": F.max_pool2d,
        "start": lambda X, window: F.max_pool2d(X, window, 1)[
            :, :, : X.shape[2] // window, : X.shape[3] // window
        ],
        "one maximum for all": over(0, 1),
        "over the images": over(0),
        "over the channels": over(1),
        "float32 always": lambda X, window: F.max_pool2d(X, window).float(),
        "stride 1": lambda X, window: F.max_pool2d(X, window, 1),
        "ceil_mode": lambda X, window: F.max_pool2d(X, window, ceil_mode=True),
        "pairs instead of values": lambda X, window: F.max_pool2d(X, window, return_indices=True),
    },
)

answers(
    "02.7",
    right=[
        lambda a, b: a + F.relu(b - a),
        lambda a, b: (a + b + F.relu(a - b) + F.relu(b - a)) / 2,
    ],
    wrong={
        "minimum": lambda a, b: b - F.relu(b - a),
        "cut at zero": lambda a, b: F.relu(b + F.relu(a - b)),
        "only the surplus": lambda a, b: F.relu(a - b),
        "in place": lambda a, b: b.add_(F.relu(a - b)),
        "a only": lambda a, b: a.clone(),
        "gradient of b cut": lambda a, b: b.detach() + F.relu(a - b.detach()),
    },
)


def dilated_by_gather(X, window, dilation, stride=1):
    reach = (window - 1) * dilation + 1
    seen = X.unfold(2, reach, stride).unfold(3, reach, stride)
    return seen[..., ::dilation, ::dilation].amax(dim=(-2, -1))


answers(
    "02.8",
    right=[
        dilated_by_gather,
        lambda X, window, dilation, stride=1: (
            X.unfold(2, dilation * (window - 1) + 1, stride)
            .unfold(3, dilation * (window - 1) + 1, stride)[..., ::dilation, ::dilation]
            .amax(dim=(4, 5))
        ),
    ],
    wrong={
        "PyTorch's own": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, window, stride, 0, dilation
        ),
        "dilation ignored": lambda X, window, dilation, stride=1: F.max_pool2d(X, window, stride),
        "full window": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, dilation * (window - 1) + 1, stride
        ),
        "stride for dilation": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, window, dilation, 0, stride
        ),
        "pre-shrunk image": lambda X, window, dilation, stride=1: F.max_pool2d(
            X[..., ::dilation, ::dilation], window, stride
        ),
    },
    equivalent={"sign or not dropped in '-2'": SAME_AXIS},
)


def backward_by_indices(X, dY, window):
    _, where = F.max_pool2d(X, window, return_indices=True)
    dX = torch.zeros_like(X).flatten(2)
    return dX.scatter(2, where.flatten(2), dY.flatten(2)).view_as(X)


def backward_by_loops(X, dY, window):
    dX = torch.zeros_like(X)
    for n, c, i, j in torch.cartesian_prod(*map(torch.arange, dY.shape)).tolist():
        block = X[n, c, i * window : (i + 1) * window, j * window : (j + 1) * window]
        a, b = divmod(int(block.argmax()), block.shape[1])
        dX[n, c, i * window + a, j * window + b] = dY[n, c, i, j]
    return dX


def repeated(T, window):
    return T.repeat_interleave(window, 2).repeat_interleave(window, 3)


answers(
    "02.9",
    right=[backward_by_indices, backward_by_loops],
    wrong={
        "to every pixel": lambda X, dY, window: repeated(dY, window),
        "shared out": lambda X, dY, window: repeated(dY, window) / window**2,
        "dY ignored": lambda X, dY, window: (repeated(F.max_pool2d(X, window), window) == X).to(
            X.dtype
        ),
        "tiled instead of repeated": lambda X, dY, window: (
            dY.repeat(1, 1, window, window) * (repeated(F.max_pool2d(X, window), window) == X)
        ),
        "negative": lambda X, dY, window: -backward_by_indices(X, dY, window),
    },
)


def soft_by_hand(X, window, beta):
    patches = windows(X, window)
    scores = beta * patches
    weights = torch.exp(scores - scores.amax(dim=(4, 5), keepdim=True))
    return (patches * weights).sum(dim=(4, 5)) / weights.sum(dim=(4, 5))


def soft_in_columns(X, window, beta):
    """F.unfold's columns, of each channel by itself."""
    columns = F.unfold(X.flatten(0, 1)[:, None], window, stride=window)
    Y = (columns * (beta * columns).softmax(1)).sum(1)
    return Y.reshape(F.max_pool2d(X, window).shape)


def soft_over_columns(X, window, beta):
    patches = windows(X, window)
    return (patches * torch.softmax(beta * patches, dim=5)).sum(dim=(4, 5))


def naive_soft(X, window, beta, less=0):
    weights = torch.exp(beta * X - less)
    return F.avg_pool2d(X * weights, window) / F.avg_pool2d(weights, window)


answers(
    "02.10",
    right=[soft_by_hand, soft_in_columns],
    wrong={
        "overflows": naive_soft,
        "beta ignored": lambda X, window, beta: soft_by_hand(X, window, 1.0),
        "maximum": lambda X, window, beta: F.max_pool2d(X, window),
        "average": lambda X, window, beta: F.avg_pool2d(X, window),
        "softmax over columns": soft_over_columns,
        "minus the largest of all": lambda X, window, beta: naive_soft(
            X, window, beta, (beta * X).max()
        ),
    },
)


def adaptive_by_slices(X, output_size):
    rows, columns = map(adaptive_windows, X.shape[2:], output_size)
    Y = X.new_zeros(*X.shape[:2], *output_size)
    for i, (a, b) in enumerate(rows):
        for j, (c, d) in enumerate(columns):
            Y[:, :, i, j] = X[:, :, a:b, c:d].flatten(2).max(dim=2).values
    return Y


def adaptive(ends):
    """One axis after the other; ends(i, size, count) -> (start, end) of window i."""

    def pool(X, output_size):
        for dim, count in zip((2, 3), output_size, strict=True):
            places = [ends(i, X.shape[dim], count) for i in range(count)]
            X = torch.stack([X.narrow(dim, a, b - a).amax(dim) for a, b in places], dim)
        return X

    return pool


def proper(i, size, count):
    return i * size // count, -(-(i + 1) * size // count)


answers(
    "02.11",
    right=[adaptive_by_slices, adaptive(proper)],
    wrong={
        "average": F.adaptive_avg_pool2d,
        "exchanged": lambda X, output_size: F.adaptive_max_pool2d(X, output_size[::-1]),
        "end rounded down": adaptive(
            lambda i, size, count: (i * size // count, max(1, (i + 1) * size // count))
        ),
        "start one too early": adaptive(
            lambda i, size, count: (max(0, i * size // count - 1), proper(i, size, count)[1])
        ),
        "pairs": lambda X, output_size: F.adaptive_max_pool2d(X, output_size, True),
        "in place": lambda X, output_size: F.adaptive_max_pool2d(X.abs_(), output_size),
    },
    equivalent=alike(
        SAME_AXIS,
        "sign or not dropped in '-2'",
        "sign or not dropped in '-2' #2",
        "sign or not dropped in '-2' #3",
    ),
)


def area_by_axes(X, window):
    for dim in (2, 3):
        zero = X.narrow(dim, 0, 1) * 0
        S = torch.cat([zero, X.cumsum(dim)], dim)
        count = X.shape[dim] - window + 1
        X = (S.narrow(dim, window, count) - S.narrow(dim, 0, count)) / window
    return X


def area_by_triangles(X, window):
    """The sums up to each place are products with a triangle of ones."""
    rows, columns = (torch.ones(n, n + 1, dtype=X.dtype).triu(1) for n in X.shape[2:])
    S, k = rows.T @ X @ columns, window
    return (S[..., k:, k:] - S[..., :-k, k:] - S[..., k:, :-k] + S[..., :-k, :-k]) / k**2


def corner_subtracted(X, window):
    k, S = window, F.pad(X, (1, 0, 1, 0)).cumsum(2).cumsum(3)
    return (S[..., k:, k:] - S[..., :-k, k:] - S[..., k:, :-k] - S[..., :-k, :-k]) / k**2


answers(
    "02.12",
    right=[area_by_axes, area_by_triangles],
    wrong={
        "PyTorch's own": lambda X, window: F.avg_pool2d(X, window, 1),
        "no zeros in front": lambda X, window: area_by_axes(X, window)[..., 1:, 1:],
        "not divided": lambda X, window: area_by_axes(X, window) * window**2,
        "corner subtracted": corner_subtracted,
        "stride is the window": F.avg_pool2d,
        "float32": lambda X, window: area_by_axes(X.float(), window).double(),
    },
    equivalent={"sign or not dropped in '-2'": SAME_AXIS},
)


def unsteady(layer, change=lambda X: X.roll(1, 3), measure=torch.linalg.vector_norm):
    X = torch.rand(500, 1, 16, 16)
    before, after = layer(X), layer(change(X))
    return float(measure(after - before) / measure(before))


answers(
    "02.13",
    right=[
        partial(unsteady, change=lambda X: X.roll(-1, 3)),
        lambda layer: torch.tensor(unsteady(layer)),
    ],
    wrong={
        "numbers from the text": lambda layer: {"Identity": 0.71}.get(
            type(getattr(layer, "layer", layer)).__name__, 0.22
        ),
        "other images": partial(unsteady, change=torch.rand_like),
        "along the height": partial(unsteady, change=lambda X: X.roll(1, 2)),
        "signed mean": partial(unsteady, measure=torch.mean),
    },
    equivalent=alike(
        "the two outputs are alike in size",
        "ends exchanged in '(layer(X), layer(X.roll(1, dims=3)))'",
    ),
)


for overwritten in ("02.3", "02.6"):
    also_right(overwritten, "every number is written over", "new_ones for new_zeros")
also_right("02.3", "in any order", "ends exchanged in '('max', 'avg')'")
also_right("02.6", "in any order", "ends exchanged in '(2, 3)'")
also_right("02.11", "in any order", "ends exchanged in '(-2, -1)'")
