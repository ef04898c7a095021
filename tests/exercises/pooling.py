"""Answers to the exercises of chapter 02."""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.pooling import adaptive_windows, pool2d_windows
from exercises import answers

SAME_AXIS = "axes 2 and -2 are the same one in (N, C, H, W)"
ANY_COUNT = "an experiment of another size gives the same share, within the band"


def windows(X, k, stride=None):
    """(N, C, rows, columns, k, k)"""
    return X.unfold(2, k, stride or k).unfold(3, k, stride or k)


def min_by_loops(X, window):
    rows, columns = X.shape[2] // window, X.shape[3] // window
    Y = X.new_empty(*X.shape[:2], rows, columns)
    for i in range(rows):
        for j in range(columns):
            block = X[:, :, i * window : (i + 1) * window, j * window : (j + 1) * window]
            Y[:, :, i, j] = block.flatten(2).min(dim=2).values
    return Y


def min_by_reshape(X, window):
    N, C, H, W = X.shape
    X = X[:, :, : H // window * window, : W // window * window]
    return X.reshape(N, C, H // window, window, W // window, window).amin(dim=(3, 5))


answers(
    "02.1",
    right=[
        min_by_loops,
        min_by_reshape,
        lambda X, window: -nn.MaxPool2d(window)(-X),
        lambda X, window: -pool2d_windows(-X, window),
    ],
    wrong={
        "maximum": F.max_pool2d,
        "average": F.avg_pool2d,
        "sign not turned back": lambda X, window: F.max_pool2d(-X, window),
        "stride 1": lambda X, window: -F.max_pool2d(-X, window, 1),
        "ceil_mode": lambda X, window: -F.max_pool2d(-X, window, ceil_mode=True),
        "padded": lambda X, window: -F.max_pool2d(-X, window, padding=window // 2),
        "over the channels": lambda X, window: -F.max_pool2d(-X, window).amax(1, keepdim=True),
        "negates X in place": lambda X, window: -F.max_pool2d(X.neg_(), window),
        "zero as a start": lambda X, window: torch.relu(-F.max_pool2d(-X, window)),
    },
)

SHAPES = [(8, 4, 10, 14), (8, 6, 10, 14), (8, 6, 5, 7), (8, 6, 3, 4), (8, 6, 2, 2)]


def with_shape(i, shape):
    return lambda: [*SHAPES[:i], shape, *SHAPES[i + 1 :]]


answers(
    "02.2",
    right=[
        lambda: [list(shape) for shape in SHAPES],
        lambda: tuple(torch.Size(shape) for shape in SHAPES),
        lambda: torch.tensor(SHAPES),
    ],
    wrong={
        "stride 1": with_shape(0, (8, 4, 30, 42)),
        "rounded up": with_shape(0, (8, 4, 11, 15)),
        "channels kept": with_shape(1, (8, 4, 10, 14)),
        "padding forgotten": with_shape(1, (8, 6, 8, 12)),
        "padding of the pooling forgotten": with_shape(2, (8, 6, 4, 6)),
        "rounded down": with_shape(3, (8, 6, 2, 3)),
        "adaptive to one": with_shape(4, (8, 6, 1, 1)),
        "without the batch": lambda: [shape[1:] for shape in SHAPES],
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


def strided_by_lists(X, pool_size, mode="max", stride=None):
    reduce = {"max": torch.max, "avg": torch.mean}
    if mode not in reduce:
        raise ValueError(f"unknown mode {mode}")
    (p, q), (s, t) = pool_size, stride or pool_size
    return torch.stack(
        [
            torch.stack(
                [reduce[mode](X[i : i + p, j : j + q]) for j in range(0, X.shape[1] - q + 1, t)]
            )
            for i in range(0, X.shape[0] - p + 1, s)
        ]
    )


def strided(corner=True, sizes=None, steps=None, pick=None, zeros=None, refuse=True):
    """The solution with one thing changed."""

    def pool(X, pool_size, mode="max", stride=None):
        if refuse and mode not in ("max", "avg"):
            raise ValueError(mode)
        p, q = pool_size
        s, t = (pool_size if stride is None else stride) if steps is None else steps(stride)
        rows, columns = (X.shape[0] - p) // s + 1, (X.shape[1] - q) // t + 1
        if sizes is not None:
            rows, columns = sizes(X, p, q, s, t)
        Y = X.new_zeros(rows, columns) if zeros is None else zeros(rows, columns)
        for i in range(rows):
            for j in range(columns):
                a, b = (i * s, j * t) if corner else (i, j)
                window = X[a : a + p, b : b + q]
                value = window.max() if mode == "max" else window.mean()
                Y[i, j] = value if pick is None else pick(window, mode)
        return Y

    return pool


answers(
    "02.3",
    right=[
        strided_by_unfold,
        strided_by_lists,
        strided(),
        lambda X, pool_size, mode="max", stride=None: pool2d_windows(
            X, tuple(pool_size), stride, mode=mode
        ),
    ],
    wrong={
        "corner without stride": strided(corner=False),
        "stride ignored": strided(steps=lambda stride: (1, 1)),
        "one row and column too few": strided(
            sizes=lambda X, p, q, s, t: ((X.shape[0] - p) // s, (X.shape[1] - q) // t)
        ),
        "size by the stride only": strided(
            sizes=lambda X, p, q, s, t: (X.shape[0] // s, X.shape[1] // t)
        ),
        "stride exchanged": strided(steps=lambda stride: (stride or (2, 2))[::-1]),
        "default stride 1": strided(steps=lambda stride: stride or (1, 1)),
        "mode ignored": strided(pick=lambda window, mode: window.max()),
        "mode exchanged": strided(
            pick=lambda window, mode: window.mean() if mode == "max" else window.max()
        ),
        "sum": strided(pick=lambda w, mode: w.max() if mode == "max" else w.sum()),
        "gradient cut by item": strided(
            pick=lambda w, mode: (w.max() if mode == "max" else w.mean()).item()
        ),
        "float32 always": strided(zeros=torch.zeros),
        "whole numbers": strided(zeros=lambda *size: torch.zeros(size, dtype=torch.int64)),
        "any mode is an average": strided(refuse=False),
        "minimum": strided(pick=lambda w, mode: w.min() if mode == "max" else w.mean()),
        "never ends": lambda X, pool_size, mode="max", stride=None: forever(),
    },
)


def forever():
    while True:
        pass


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
    right=[
        avg_by_groups,
        avg_one_channel_at_a_time,
        lambda X, window: F.conv2d(
            X.flatten(0, 1)[:, None], X.new_ones(1, 1, window, window) / window**2, stride=window
        ).unflatten(0, X.shape[:2])[:, :, 0],
    ],
    wrong={
        "a sum": lambda X, window: by_kernel(X, window, 1.0),
        "divided by the side": lambda X, window: by_kernel(X, window, 1 / window),
        "stride 1": lambda X, window: by_kernel(X, window, 1 / window**2, stride=1),
        "channels mixed": lambda X, window: by_kernel(X, window, 1 / window**2, groups=False),
        "float32 kernel": lambda X, window: F.conv2d(
            X.float(),
            torch.full((X.shape[1], 1, window, window), 1 / window**2),
            stride=window,
            groups=X.shape[1],
        ),
        "padded": lambda X, window: by_kernel(X, window, 1 / window**2, padding=window // 2),
        "window 2 always": lambda X, window: by_kernel(X, 2, 0.25),
        "one weight short": lambda X, window: by_kernel(X, window, 1 / (window**2 + 1)),
        "maximum": F.max_pool2d,
    },
)


def smooth_by_division(X):
    ones = torch.ones_like(X)
    pool = lambda T: F.avg_pool2d(T, 3, 1, 1)  # noqa: E731
    return pool(X) / pool(ones)


answers(
    "02.5",
    right=[
        lambda X: nn.AvgPool2d(3, 1, 1, count_include_pad=False)(X),
        smooth_by_division,
        lambda X: pool2d_windows(X, 3, 1, 1, "avg", count_include_pad=False),
    ],
    wrong={
        "no padding": lambda X: F.avg_pool2d(X, 3, 1),
        "replicated border": lambda X: F.avg_pool2d(F.pad(X, (1, 1, 1, 1), "replicate"), 3, 1),
        "stride 3": lambda X: F.avg_pool2d(X, 3, padding=1, count_include_pad=False),
        "window 5": lambda X: F.avg_pool2d(X, 5, 1, 2, count_include_pad=False),
        "sum": lambda X: F.avg_pool2d(X, 3, 1, 1, divisor_override=1),
        "corners only": lambda X: F.avg_pool2d(X, 3, 1, 1, divisor_override=4),
        "maximum": lambda X: F.max_pool2d(X, 3, 1, 1),
        "only the rows": lambda X: F.avg_pool2d(
            F.pad(X, (1, 1, 0, 0)), (3, 3), 1, (1, 0), count_include_pad=False
        ),
        "borders untouched": lambda X: X.clone(),
    },
)


def broken(start=True, axes=(2, 3), cut=False, zeros=False, keep=None):
    def pool(X, window):
        N, C, H, W = X.shape
        shape = (N, C, H // window, W // window)
        Y = torch.zeros(shape) if zeros else X.new_zeros(shape)
        for i in range(shape[2]):
            for j in range(shape[3]):
                a, b = (i * window, j * window) if start else (i, j)
                block = X[:, :, a : a + window, b : b + window]
                best = block.max() if axes is None else block.amax(dim=axes, keepdim=True)
                best = best if axes is None else best.expand(N, C, 1, 1)[..., 0, 0]
                Y[:, :, i, j] = best.detach() if cut else best
        return Y

    return pool


answers(
    "02.6",
    right=[
        F.max_pool2d,
        lambda X, window: windows(X, window).amax(dim=(4, 5)),
        lambda X, window: windows(X, window).flatten(4).max(dim=4)[0],
        broken(),
    ],
    wrong={
        "start": broken(start=False),
        "one maximum for all": broken(axes=None),
        "over the images": broken(axes=(0, 2, 3)),
        "over the channels": broken(axes=(1, 2, 3)),
        "gradient cut": broken(cut=True),
        "float32 always": broken(zeros=True),
        "stride 1": lambda X, window: F.max_pool2d(X, window, 1),
        "average": F.avg_pool2d,
        "ceil_mode": lambda X, window: F.max_pool2d(X, window, ceil_mode=True),
        "pairs instead of values": lambda X, window: F.max_pool2d(X, window, return_indices=True),
    },
)

answers(
    "02.7",
    right=[
        lambda a, b: a + F.relu(b - a),
        lambda a, b: b + nn.ReLU()(a - b),
        lambda a, b: (a + b + F.relu(a - b) + F.relu(b - a)) / 2,
        torch.maximum,
    ],
    wrong={
        "minimum": lambda a, b: b - F.relu(b - a),
        "cut at zero": lambda a, b: F.relu(b + F.relu(a - b)),
        "wrong way round": lambda a, b: a + F.relu(a - b),
        "only the surplus": lambda a, b: F.relu(a - b),
        "sum of relus": lambda a, b: F.relu(a) + F.relu(b),
        "in place": lambda a, b: b.add_(F.relu(a - b)),
        "a only": lambda a, b: a.clone(),
        "mean": lambda a, b: (a + b) / 2,
        "one number": lambda a, b: (b + F.relu(a - b)).max(),
        "gradient of b cut": lambda a, b: b.detach() + F.relu(a - b.detach()),
    },
)


def dilated_by_gather(X, window, dilation, stride=1):
    reach = (window - 1) * dilation + 1
    seen = X.unfold(2, reach, stride).unfold(3, reach, stride)
    return seen[..., ::dilation, ::dilation].amax(dim=(-2, -1))


def dilated_by_loops(X, window, dilation, stride=1):
    reach = dilation * (window - 1) + 1
    rows, columns = ((n - reach) // stride + 1 for n in X.shape[2:])
    Y = X.new_zeros(*X.shape[:2], rows, columns)
    for i in range(rows):
        for j in range(columns):
            a, b = i * stride, j * stride
            Y[:, :, i, j] = X[:, :, a : a + reach : dilation, b : b + reach : dilation].amax((2, 3))
    return Y


answers(
    "02.8",
    right=[
        dilated_by_gather,
        dilated_by_loops,
        lambda X, window, dilation, stride=1: nn.MaxPool2d(window, stride, 0, dilation)(X),
    ],
    wrong={
        "dilation ignored": lambda X, window, dilation, stride=1: F.max_pool2d(X, window, stride),
        "stride ignored": lambda X, window, dilation, stride=1: dilated_by_gather(
            X, window, dilation
        ),
        "full window": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, dilation * (window - 1) + 1, stride
        ),
        "stride for dilation": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, window, dilation, 0, stride
        ),
        "stride is the window": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, window, None, 0, dilation
        ),
        "reach too large": lambda X, window, dilation, stride=1: dilated_by_gather(
            X[..., :-1, :-1], window, dilation, stride
        ),
        "average": lambda X, window, dilation, stride=1: (
            X.unfold(2, dilation * (window - 1) + 1, stride)
            .unfold(3, dilation * (window - 1) + 1, stride)[..., ::dilation, ::dilation]
            .mean(dim=(-2, -1))
        ),
        "pre-shrunk image": lambda X, window, dilation, stride=1: F.max_pool2d(
            X[..., ::dilation, ::dilation], window, stride
        ),
    },
    equivalent={"sign or not dropped in '-2'": SAME_AXIS},
)


def backward_by_indices(X, dY, window):
    _, where = F.max_pool2d(X, window, return_indices=True)
    return F.max_unpool2d(dY, where, window, output_size=X.shape)


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
    right=[
        backward_by_indices,
        backward_by_loops,
        lambda X, dY, window: torch.where(
            F.interpolate(F.max_pool2d(X, window), scale_factor=window) == X,
            repeated(dY, window),
            0,
        ),
    ],
    wrong={
        "to every pixel": lambda X, dY, window: repeated(dY, window),
        "shared out": lambda X, dY, window: repeated(dY, window) / window**2,
        "dY ignored": lambda X, dY, window: (repeated(F.max_pool2d(X, window), window) == X).to(
            X.dtype
        ),
        "a mask": lambda X, dY, window: repeated(F.max_pool2d(X, window), window) == X,
        "tiled instead of repeated": lambda X, dY, window: (
            dY.repeat(1, 1, window, window) * (repeated(F.max_pool2d(X, window), window) == X)
        ),
        "to the minimum": lambda X, dY, window: backward_by_indices(-X, dY, window),
        "times X": lambda X, dY, window: backward_by_indices(X, dY, window) * X,
        "pooled size": lambda X, dY, window: dY.clone(),
        "negative": lambda X, dY, window: -backward_by_indices(X, dY, window),
        "to the corner": lambda X, dY, window: F.max_unpool2d(
            dY,
            F.max_pool2d(
                -torch.arange(X[0, 0].numel()).view(X.shape[2:]).expand(X.shape).double(),
                window,
                return_indices=True,
            )[1],
            window,
            output_size=X.shape,
        ),
    },
)


def soft_by_hand(X, window, beta):
    patches = windows(X, window)
    scores = beta * patches
    weights = torch.exp(scores - scores.amax(dim=(4, 5), keepdim=True))
    return (patches * weights).sum(dim=(4, 5)) / weights.sum(dim=(4, 5))


def soft_by_loops(X, window, beta):
    rows, columns = X.shape[2] // window, X.shape[3] // window
    Y = X.new_zeros(*X.shape[:2], rows, columns)
    for i in range(rows):
        for j in range(columns):
            block = X[:, :, i * window : (i + 1) * window, j * window : (j + 1) * window].flatten(2)
            Y[:, :, i, j] = (block * (beta * block).softmax(2)).sum(2)
    return Y


def soft_over(X, window, beta, dim):
    patches = windows(X, window)
    return (patches * torch.softmax(beta * patches, dim=dim)).sum(dim=(4, 5))


def naive_soft(X, window, beta):
    weights = torch.exp(beta * X)
    return F.avg_pool2d(X * weights, window) / F.avg_pool2d(weights, window)


answers(
    "02.10",
    right=[
        soft_by_hand,
        soft_by_loops,
        lambda X, window, beta: torch.einsum(
            "ncijk,ncijk->ncij",
            windows(X, window).flatten(4),
            (beta * windows(X, window).flatten(4)).softmax(-1),
        ),
    ],
    wrong={
        "overflows": naive_soft,
        "beta ignored": lambda X, window, beta: soft_by_hand(X, window, 1.0),
        "maximum": lambda X, window, beta: F.max_pool2d(X, window),
        "average": lambda X, window, beta: F.avg_pool2d(X, window),
        "softmax over columns": lambda X, window, beta: soft_over(X, window, beta, 5),
        "softmax over windows": lambda X, window, beta: soft_over(X, window, beta, 2),
        "minus the largest of all": lambda X, window, beta: (
            F.avg_pool2d(X * torch.exp(beta * X - (beta * X).max()), window)
            / F.avg_pool2d(torch.exp(beta * X - (beta * X).max()), window)
        ),
        "minus the largest x, not the largest beta x": lambda X, window, beta: naive_soft(
            X - X.max(), window, beta
        ),
        "weights only": lambda X, window, beta: (beta * windows(X, window).flatten(4)).softmax(4)[
            ..., 0
        ],
        "log-sum-exp": lambda X, window, beta: windows(X, window).flatten(4).logsumexp(4),
    },
)


def adaptive_by_slices(X, output_size):
    rows, columns = map(adaptive_windows, X.shape[2:], output_size)
    Y = X.new_zeros(*X.shape[:2], *output_size)
    for i, (a, b) in enumerate(rows):
        for j, (c, d) in enumerate(columns):
            Y[:, :, i, j] = X[:, :, a:b, c:d].flatten(2).max(dim=2).values
    return Y


def adaptive_in_two_steps(X, output_size):
    rows = [X[..., a:b, :].amax(-2) for a, b in adaptive_windows(X.shape[-2], output_size[0])]
    X = torch.stack(rows, dim=-2)
    columns = [X[..., a:b].amax(-1) for a, b in adaptive_windows(X.shape[-1], output_size[1])]
    return torch.stack(columns, dim=-1)


def adaptive(ends, reduce=torch.amax):
    """With other windows; ends(i, size, count) -> (start, end)."""

    def pool(X, output_size):
        grid = [
            [
                reduce(
                    X[..., slice(*ends(i, X.shape[2], output_size[0])), :][
                        ..., slice(*ends(j, X.shape[3], output_size[1]))
                    ],
                    (-2, -1),
                )
                for j in range(output_size[1])
            ]
            for i in range(output_size[0])
        ]
        return torch.stack([torch.stack(row, -1) for row in grid], -2)

    return pool


def proper(i, size, count):
    return i * size // count, -(-(i + 1) * size // count)


answers(
    "02.11",
    right=[
        adaptive_by_slices,
        adaptive_in_two_steps,
        adaptive(proper),
        lambda X, output_size: nn.AdaptiveMaxPool2d(output_size)(X),
    ],
    wrong={
        "average": F.adaptive_avg_pool2d,
        "exchanged": lambda X, output_size: F.adaptive_max_pool2d(X, output_size[::-1]),
        "square": lambda X, output_size: F.adaptive_max_pool2d(X, output_size[0]),
        "end rounded down": adaptive(
            lambda i, size, count: (i * size // count, max(1, (i + 1) * size // count))
        ),
        "end one too far": adaptive(
            lambda i, size, count: (i * size // count, -(-(i + 1) * size // count) + 1)
        ),
        "start one too early": adaptive(
            lambda i, size, count: (max(0, i * size // count - 1), proper(i, size, count)[1])
        ),
        "equal windows": adaptive(
            lambda i, size, count: (
                min(i * max(1, size // count), size - 1),
                (i + 1) * max(1, size // count),
            )
        ),
        "minimum": adaptive(proper, torch.amin),
        "pairs": lambda X, output_size: F.adaptive_max_pool2d(X, output_size, True),
        "in place": lambda X, output_size: F.adaptive_max_pool2d(X.abs_(), output_size),
    },
    equivalent={
        "sign or not dropped in '-2'": SAME_AXIS,
        "sign or not dropped in '-2' #2": SAME_AXIS,
        "sign or not dropped in '-2' #3": SAME_AXIS,
    },
)


def area_in_one_line(X, window):
    S = F.pad(torch.cumsum(torch.cumsum(X, 2), 3), (1, 0, 1, 0))
    k = window
    return (S[:, :, k:, k:] + S[:, :, :-k, :-k] - S[:, :, k:, :-k] - S[:, :, :-k, k:]) / (k * k)


def area_by_axes(X, window):
    for dim in (2, 3):
        zero = X.narrow(dim, 0, 1) * 0
        S = torch.cat([zero, X.cumsum(dim)], dim)
        count = X.shape[dim] - window + 1
        X = (S.narrow(dim, window, count) - S.narrow(dim, 0, count)) / window
    return X


def area(pad=(1, 0, 1, 0), area=lambda k: k**2, signs=(1, -1, -1, 1), dims=(2, 3)):
    def pool(X, window):
        S, k = F.pad(X, pad), window
        for dim in dims:
            S = S.cumsum(dim)
        a, b, c, d = signs
        total = (
            a * S[..., k:, k:] + b * S[..., :-k, k:] + c * S[..., k:, :-k] + d * S[..., :-k, :-k]
        )
        return total / area(k)

    return pool


answers(
    "02.12",
    right=[area_in_one_line, area_by_axes, lambda X, window: F.avg_pool2d(X, window, 1)],
    wrong={
        "no zeros in front": area(pad=(0, 0, 0, 0)),
        "zeros behind": area(pad=(0, 1, 0, 1)),
        "zeros on all sides": area(pad=(1, 1, 1, 1)),
        "not divided": area(area=lambda k: 1),
        "divided by the side": area(area=lambda k: k),
        "corner subtracted": area(signs=(1, -1, -1, -1)),
        "corner forgotten": area(signs=(1, -1, -1, 0)),
        "one axis only": area(dims=(2,)),
        "stride is the window": F.avg_pool2d,
        "float32": lambda X, window: area()(X.float(), window).double(),
    },
    equivalent={"sign or not dropped in '-2'": SAME_AXIS},
)


def unsteady(count=500, move=1, dims=3, share=True, pool_first=False, shape=(16, 16)):
    def measure(layer):
        X = torch.rand(count, 1, *shape)
        before, after = layer(X), layer(X.roll(move, dims))
        change = (after - before).norm()
        return float(change / before.norm() if share else change)

    return measure


answers(
    "02.13",
    right=[
        unsteady(),
        unsteady(move=-1),
        lambda layer: torch.tensor(unsteady()(layer)),
        lambda layer: (
            lambda X: (
                (layer(torch.cat([X[..., -1:], X[..., :-1]], dim=3)) - layer(X)).pow(2).sum()
                / layer(X).pow(2).sum()
            ).sqrt()
        )(torch.rand(500, 1, 16, 16)),
    ],
    wrong={
        "absolute": unsteady(share=False),
        "not moved": unsteady(move=0),
        "other images": lambda layer: (lambda a, b: ((a - b).norm() / a.norm()).item())(
            layer(torch.rand(500, 1, 16, 16)), layer(torch.rand(500, 1, 16, 16))
        ),
        "layer ignored": lambda layer: unsteady()(nn.Identity()),
        "along the height": unsteady(dims=2),
        "normal numbers": lambda layer: (
            lambda X: ((layer(X.roll(1, 3)) - layer(X)).norm() / layer(X).norm()).item()
        )(torch.randn(500, 1, 16, 16)),
        "output moved instead of input": lambda layer: (
            lambda Y: ((Y.roll(1, 3) - Y).norm() / Y.norm()).item()
        )(layer(torch.rand(500, 1, 16, 16))),
        "squared": lambda layer: unsteady()(layer) ** 2,
        "divided by the input": lambda layer: (
            lambda X: ((layer(X.roll(1, 3)) - layer(X)).norm() / X.norm()).item()
        )(torch.rand(500, 1, 16, 16)),
        "signed mean": lambda layer: (
            lambda X: ((layer(X.roll(1, 3)) - layer(X)).mean() / layer(X).mean()).item()
        )(torch.rand(500, 1, 16, 16)),
    },
    equivalent={
        "500 -> 501": ANY_COUNT,
        "500 -> 499": ANY_COUNT,
        "1 -> 2": "noise has no memory: moved by two pixels it is as strange as by one",
        "16 -> 17": ANY_COUNT,
        "16 -> 15": ANY_COUNT,
        "16 -> 17 #2": ANY_COUNT,
        "16 -> 15 #2": ANY_COUNT,
    },
)
