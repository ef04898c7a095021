"""Answers to the exercises of chapter 05."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.alexnet import erase_at
from course_utils.nets.alexnet import AlexNet, dropout
from course_utils.nets.convolution import out_size
from exercises import answers

HARDLY_EVER = "a random number of [0, 1) is hardly ever exactly p"
ANY_COUNT = "an experiment of another size gives the same share, within the band"


def by_where(X, G):
    return torch.where(X > 0, G, 0)


answers(
    "05.1",
    right=[
        by_where,
        lambda X, G: G * (X > 0).to(X.dtype),
        lambda X, G: G.masked_fill(X <= 0, 0),
        lambda X, G: G * torch.sign(X).clamp(min=0),
    ],
    wrong={
        "relu of X": lambda X, G: F.relu(X),
        "relu of G": lambda X, G: F.relu(G),
        "G ignored": lambda X, G: (X > 0).to(X.dtype),
        "a mask": lambda X, G: X > 0,
        "X and G exchanged": lambda X, G: by_where(G, X),
        "on at zero": lambda X, G: torch.where(X >= 0, G, 0),
        "off where X is positive": lambda X, G: torch.where(X < 0, G, 0),
        "times X": lambda X, G: G * F.relu(X),
        "both positive": lambda X, G: F.relu(G) * (X > 0),
        "sigmoid": lambda X, G: G * torch.sigmoid(X) * (1 - torch.sigmoid(X)),
        "G changed": lambda X, G: G.mul_(X > 0),
        "threshold one": lambda X, G: torch.where(X > 1, G, 0),
    },
)


def sides(n, first=(11, 4, 1), pool=(3, 2), second=(5, 1, 2)):
    a = out_size(n, *first)
    b = out_size(a, *pool)
    c = out_size(b, *second)
    d = out_size(c, *pool)
    return [a, b, c, d, d, out_size(d, *pool)]


def sides_of_the_network(n):
    with torch.device("meta"):
        net, X, found = AlexNet(input_size=n), torch.zeros(1, 1, n, n), []
        for i, layer in enumerate(net.features):
            X = layer(X)
            if i in (0, 2, 3, 5, 10, 12):
                found.append(X.shape[2])
    return found


answers(
    "05.2",
    right=[
        sides,
        sides_of_the_network,
        lambda n: tuple(sides(n)),
        lambda n: [
            *((n - 9) // 4 + 1, *[((n - 9) // 4 + 1 - 1) // 2] * 2),
            *[(((n - 9) // 4) // 2 - 1) // 2] * 2,
            ((((n - 9) // 4) // 2 - 1) // 2 - 1) // 2,
        ],
    ],
    wrong={
        "without padding": lambda n: sides(n, first=(11, 4, 0)),
        "padding 2": lambda n: sides(n, first=(11, 4, 2)),
        "pools of 2": lambda n: sides(n, pool=(2, 2)),
        "pools that do not overlap": lambda n: sides(n, pool=(3, 3)),
        "stride 2": lambda n: sides(n, first=(11, 2, 1)),
        "second convolution not padded": lambda n: sides(n, second=(5, 1, 0)),
        "only 224": lambda n: [54, 26, 26, 12, 12, 5],
        "rounded up": lambda n: [
            math.ceil(n / 4),
            *[math.ceil(n / 8)] * 2,
            *[math.ceil(n / 16)] * 2,
            math.ceil(n / 32),
        ],
        "with the third convolution": lambda n: [*sides(n)[:4], *sides(n)[3:]],
        "floats": lambda n: [float(side) for side in sides(n)],
        "pixels": lambda n: [side**2 for side in sides(n)],
    },
)


answers(
    "05.3",
    right=[
        lambda X, slope=0.01: F.leaky_relu(X, slope),
        lambda X, slope=0.01: torch.where(X < 0, slope * X, X),
        lambda X, slope=0.01: X * ((X > 0) + slope * (X <= 0)),
        lambda X, slope=0.01: X.clamp(min=0) + slope * X.clamp(max=0),
    ],
    wrong={
        "relu": lambda X, slope=0.01: F.relu(X),
        "slope ignored": lambda X, slope=0.01: F.leaky_relu(X),
        "the larger": lambda X, slope=0.01: torch.maximum(X, slope * X),
        "the slope itself": lambda X, slope=0.01: torch.where(X > 0, X, slope),
        "negative side turned": lambda X, slope=0.01: F.leaky_relu(X, -slope),
        "sides exchanged": lambda X, slope=0.01: torch.where(X > 0, slope * X, X),
        "another default": lambda X, slope=0.1: F.leaky_relu(X, slope),
        "everywhere": lambda X, slope=0.01: slope * X,
        "elu": lambda X, slope=0.01: F.elu(X, slope),
        "in place": lambda X, slope=0.01: F.leaky_relu(X, slope, inplace=True),
        "gradient only where positive": lambda X, slope=0.01: (
            F.relu(X) - slope * F.relu(-X.detach())
        ),
        "a list": lambda X, slope=0.01: [x if x > 0 else slope * x for x in X.flatten()],
    },
)


answers(
    "05.4",
    right=[
        lambda weight: math.sqrt(2 / weight[0].numel()),
        lambda weight: (2 * len(weight) / weight.numel()) ** 0.5,
        lambda weight: nn.init.calculate_gain("relu") / math.prod(weight.shape[1:]) ** 0.5,
        lambda weight: torch.tensor(2 / weight[0].numel()).double().sqrt(),
    ],
    wrong={
        "fan-out": lambda weight: math.sqrt(2 * weight.shape[1] / weight.numel()),
        "Xavier": lambda weight: math.sqrt(
            2 / (weight.shape[0] + weight.shape[1]) / max(1, weight[0, 0].numel())
        ),
        "channels only": lambda weight: math.sqrt(2 / weight.shape[1]),
        "one side of the window": lambda weight: math.sqrt(
            2 / weight.shape[1] / (weight.shape[2] if weight.ndim > 2 else 1)
        ),
        "variance": lambda weight: 2 / weight[0].numel(),
        "LeCun": lambda weight: math.sqrt(1 / weight[0].numel()),
        "bound": lambda weight: math.sqrt(6 / weight[0].numel()),
        "measured": lambda weight: weight.std().item(),
        "everything": lambda weight: math.sqrt(2 / weight.numel()),
        "second row": lambda weight: math.sqrt(2 / weight[1].numel()),
        "root forgotten below": lambda weight: math.sqrt(2) / weight[0].numel(),
        "text": lambda weight: f"{math.sqrt(2 / weight[0].numel()):.4f}",
    },
)


def channels(
    X,
    p,
    shape=lambda X: (*X.shape[:2], 1, 1),
    keeps=lambda draw, p: draw >= p,
    scale=lambda p: 1 - p,
):
    """Dropout with one thing changed."""
    return X * keeps(torch.rand(shape(X)), p) / scale(p)


def channels_by_loops(X, p):
    Y = torch.zeros_like(X)
    for n in range(X.shape[0]):
        for c in range(X.shape[1]):
            if torch.rand(()) >= p:
                Y[n, c] = X[n, c] / (1 - p)
    return Y


def differently(**changes):
    return lambda X, p: channels(X, p, **changes)


answers(
    "05.5",
    right=[
        F.dropout2d,
        channels,
        channels_by_loops,
        lambda X, p: X * dropout(torch.ones_like(X[:, :, :1, :1]), p),
        lambda X, p: nn.Dropout2d(p)(X),
    ],
    wrong={
        "single numbers": differently(shape=lambda X: X.shape),
        "whole images": differently(shape=lambda X: (len(X), 1, 1, 1)),
        "same channels for all": differently(shape=lambda X: (1, X.shape[1], 1, 1)),
        "rows": differently(shape=lambda X: (*X.shape[:3], 1)),
        "columns": differently(shape=lambda X: (*X.shape[:2], 1, X.shape[3])),
        "kept with p": differently(keeps=lambda draw, p: draw < p),
        "not scaled": differently(scale=lambda p: 1),
        "divided by p": differently(scale=lambda p: p or 1),
        "multiplied": differently(scale=lambda p: 1 / (1 - p)),
        "always a half": differently(keeps=lambda draw, p: draw >= 0.5),
        "never": lambda X, p: X.clone(),
        "in evaluation": lambda X, p: F.dropout2d(X, p, training=False),
        "in place": lambda X, p: F.dropout2d(X, p, inplace=True),
        "alpha dropout": lambda X, p: F.feature_alpha_dropout(X, p, training=True),
        "rounded to float32": lambda X, p: channels(X, p).float(),
        "every other channel": lambda X, p: (
            X * (torch.arange(X.shape[1])[:, None, None] % 2) / (1 - p)
        ),
    },
)


def erased_by_loop(X, size, rows=None, columns=None, value=0.0, channels=slice(None)):
    """With another range of places, if given: functions of (side, size)."""
    Y = X.clone()
    for image in Y:
        top, left = (
            int(torch.randint(places(side, size), ()))
            for places, side in zip(
                (rows or inside, columns or inside), image.shape[1:], strict=True
            )
        )
        image[channels, top : top + size, left : left + size] = value
    return Y


def inside(side, size):
    return side - size + 1


def erased_by_unravelling(X, size):
    (N, _, h, w), columns = X.shape, X.shape[3] - size + 1
    place = torch.randint(columns * (h - size + 1), (N, 1, 1, 1))
    down = torch.arange(h).view(h, 1) - place // columns
    right = torch.arange(w) - place % columns
    gone = (down >= 0) & (down < size) & (right >= 0) & (right < size)
    return torch.where(gone, torch.zeros_like(X), X)


def erased_by_chance(X, size):
    return X * (torch.rand_like(X[:, :1]) >= size**2 / X[0, 0].numel())


def with_places(**changes):
    return lambda X, size: erased_by_loop(X, size, **changes)


answers(
    "05.6",
    right=[
        erased_by_loop,
        erased_by_unravelling,
        lambda X, size: torch.cat([erased_by_loop(image[None], size) for image in X]),
    ],
    wrong={
        "last row never": with_places(rows=lambda side, size: max(1, side - size)),
        "last column never": with_places(columns=lambda side, size: max(1, side - size)),
        "over the border": with_places(rows=lambda side, size: side),
        "always on top": with_places(rows=lambda side, size: 1),
        "always left": with_places(columns=lambda side, size: 1),
        "one place for all": lambda X, size: erase_at(
            X,
            size,
            torch.randint(inside(X.shape[2], size), (1,)),
            torch.randint(inside(X.shape[3], size), (1,)),
        ),
        "grey": with_places(value=0.5),
        "first channel only": with_places(channels=0),
        "each channel its own": lambda X, size: erased_by_loop(
            X.reshape(-1, 1, *X.shape[2:]), size
        ).view_as(X),
        "single pixels": erased_by_chance,
        "one larger": lambda X, size: erased_by_loop(X, size + 1),
        "nothing": lambda X, size: X.clone(),
        "in place": lambda X, size: X.copy_(erased_by_loop(X, size)),
        "two rows less": lambda X, size: torch.cat(
            [erased_by_loop(X[:, :, :-2], size), X[:, :, -2:]], dim=2
        ),
        "the diagonal": lambda X, size: erase_at(
            X, size, *[torch.randint(inside(min(X.shape[2:]), size), (len(X),))] * 2
        ),
    },
)


def single(X, p, training, scale=lambda p: 1 - p, keeps=lambda draw, p: draw >= p, shape=None):
    if not training:
        return X
    return X * keeps(torch.rand(shape(X) if shape else X.shape), p) / scale(p)


def dropped(**changes):
    return lambda X, p, training: single(X, p, training, **changes)


answers(
    "05.7",
    right=[
        dropout,
        F.dropout,
        single,
        lambda X, p, training: (
            torch.where(torch.rand_like(X) < p, 0, X / (1 - p)) if training else X.clone()
        ),
        lambda X, p, training: (
            X * torch.bernoulli(torch.full_like(X, 1 - p)) / (1 - p) if training else X
        ),
    ],
    wrong={
        "not scaled": dropped(scale=lambda p: 1),
        "evaluation too": lambda X, p, training: single(X, p, True),
        "only in evaluation": lambda X, p, training: single(X, p, not training),
        "never": lambda X, p, training: X.clone(),
        "kept with p": dropped(keeps=lambda draw, p: draw < p),
        "divided by p": dropped(scale=lambda p: p or 1),
        "multiplied": dropped(scale=lambda p: 1 / (1 - p)),
        "scaled in evaluation": lambda X, p, training: (
            single(X, p, training, scale=lambda p: 1) if training else X * (1 - p)
        ),
        "whole rows": dropped(shape=lambda X: (len(X), 1)),
        "whole columns": dropped(shape=lambda X: (1, X.shape[1])),
        "always a half": dropped(keeps=lambda draw, p: draw >= 0.5),
        "in place": lambda X, p, training: F.dropout(X, p, training, inplace=True),
        "alpha dropout": F.alpha_dropout,
        "normal numbers": lambda X, p, training: (
            X * (torch.randn(X.shape) >= p) / (1 - p) if training else X
        ),
        "survivors only": lambda X, p, training: X[torch.rand(X.shape) >= p],
    },
    equivalent={"comparison in 'torch.rand(X.shape) >= p'": HARDLY_EVER},
)


answers(
    "05.8",
    right=[
        nn.Softmax(dim=-1),
        lambda logits: logits.softmax(logits.ndim - 1),
        lambda logits: F.log_softmax(logits, dim=-1).exp(),
        lambda logits: (logits - logits.logsumexp(-1, keepdim=True)).exp(),
    ],
    wrong={
        "dimension 0": lambda logits: F.softmax(logits, dim=0),
        "dimension 1": lambda logits: F.softmax(logits, dim=1),
        "dimension 2": lambda logits: F.softmax(logits, dim=2),
        "dimension -2": lambda logits: F.softmax(logits, dim=max(-2, -logits.ndim)),
        "all": lambda logits: logits.flatten().softmax(0).view_as(logits),
        "overflows": lambda logits: logits.exp() / logits.exp().sum(-1, keepdim=True),
        "not divided": lambda logits: (logits - logits.amax(-1, keepdim=True)).exp(),
        "logarithms": lambda logits: F.log_softmax(logits, dim=-1),
        "sigmoids": torch.sigmoid,
        "the largest": lambda logits: logits.softmax(-1).amax(-1),
        "hard": lambda logits: F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits),
        "softmin": lambda logits: F.softmin(logits, dim=-1),
        "cut": lambda logits: F.softmax(logits.detach(), dim=-1),
        "rounded": lambda logits: F.softmax(logits, dim=-1, dtype=torch.float32),
    },
)


def grouped(c_in, c_out, k, groups, count=None):
    if c_in % groups != 0 or c_out % groups != 0:
        raise ValueError(groups)
    return count(c_in, c_out, k, groups)


def counted(count):
    return lambda c_in, c_out, k, groups: grouped(c_in, c_out, k, groups, count)


answers(
    "05.9",
    right=[
        lambda c_in, c_out, k, groups: sum(
            w.numel() for w in nn.Conv2d(c_in, c_out, k, groups=groups, bias=False).parameters()
        ),
        counted(lambda c_in, c_out, k, groups: c_in * c_out * k**2 // groups),
        counted(
            lambda c_in, c_out, k, groups: groups * (c_in // groups) * (c_out // groups) * k**2
        ),
    ],
    wrong={
        "not refused": lambda c_in, c_out, k, groups: c_in * c_out * k * k // groups,
        "only the input is looked at": lambda c_in, c_out, k, groups: grouped(
            c_in, groups, k, groups, lambda *_: c_in // groups * c_out * k * k
        ),
        "only the output is looked at": lambda c_in, c_out, k, groups: grouped(
            groups, c_out, k, groups, lambda *_: c_in // groups * c_out * k * k
        ),
        "groups ignored": counted(lambda c_in, c_out, k, groups: c_in * c_out * k * k),
        "both divided": counted(
            lambda c_in, c_out, k, groups: c_in // groups * (c_out // groups) * k * k
        ),
        "times the groups": counted(lambda c_in, c_out, k, groups: c_in * c_out * k * k * groups),
        "k once": counted(lambda c_in, c_out, k, groups: c_in // groups * c_out * k),
        "2 k": counted(lambda c_in, c_out, k, groups: c_in // groups * c_out * 2 * k),
        "with biases": counted(lambda c_in, c_out, k, groups: c_out * (c_in // groups * k * k + 1)),
        "a float": counted(lambda c_in, c_out, k, groups: c_in * c_out * k * k / groups),
        "depthwise": counted(lambda c_in, c_out, k, groups: c_out * k * k),
        "returns an error": lambda c_in, c_out, k, groups: (
            ValueError() if c_in % groups or c_out % groups else c_in * c_out * k * k // groups
        ),
        "asserts": lambda c_in, c_out, k, groups: (
            c_in * c_out * k * k // groups if c_in % groups == c_out % groups == 0 else [][groups]
        ),
    },
)


def merged(weight, bias):
    def merge(first, second):
        one = nn.Linear(first.in_features, second.out_features)
        one.weight = nn.Parameter(weight(first.weight.detach(), second.weight.detach()))
        one.bias = nn.Parameter(
            bias(first.bias.detach(), second.weight.detach(), second.bias.detach())
        )
        return one

    return merge


def product(first, second):
    return second @ first


def both_biases(b, W, c):
    return W @ b + c


def merged_by_einsum(first, second):
    one = nn.Linear(first.in_features, second.out_features)
    one.weight.data = torch.einsum("om,mi->oi", second.weight.data, first.weight.data)
    one.bias.data = (second.weight.data * first.bias.data).sum(dim=1) + second.bias.data
    return one


def merged_by_state(first, second):
    one = nn.Linear(first.in_features, second.out_features)
    one.load_state_dict(
        {
            "weight": second.weight.mm(first.weight),
            "bias": torch.addmv(second.bias, second.weight, first.bias),
        }
    )
    return one


answers(
    "05.10",
    right=[merged(product, both_biases), merged_by_einsum, merged_by_state],
    wrong={
        "wrong order": merged(lambda a, b: a @ b, both_biases),
        "transposed": merged(lambda a, b: (b @ a).T, both_biases),
        "first bias forgotten": merged(product, lambda b, W, c: c),
        "second bias forgotten": merged(product, lambda b, W, c: W @ b),
        "biases added": merged(product, lambda b, W, c: b.mean() + c),
        "no bias": merged(product, lambda b, W, c: torch.zeros_like(c)),
        "weights added": merged(lambda a, b: b.sum(1, keepdim=True) + a.sum(0), both_biases),
        "first layer": lambda first, second: first,
        "second layer": lambda first, second: second,
        "a stack": lambda first, second: nn.Sequential(first, second),
        "a function": lambda first, second: lambda X: second(first(X)),
        "as it was drawn": lambda first, second: nn.Linear(first.in_features, second.out_features),
        "with a ReLU in mind": merged(product, lambda b, W, c: W @ b.relu() + c),
        "double": lambda first, second: merged_by_state(first, second).double(),
        "second layer changed": lambda first, second: merged_in(second, first, second),
    },
)


def merged_in(layer, first, second):
    one = merged_by_state(first, second)
    layer.weight.data, layer.bias.data = one.weight.data.clone(), one.bias.data.clone()
    return one


def kernels(first, second, turn=True, exchange=True, pad=1):
    second = second.flip(-1, -2) if turn else second
    Y = F.conv2d(first.transpose(0, 1), second, padding=second.shape[-1] - pad)
    return Y.transpose(0, 1) if exchange else Y


def kernels_by_loops(first, second, place=lambda a, m: a, part=None):
    (_, c_in, k, _), (c_out, _, m, _) = first.shape, second.shape
    Y = first.new_zeros(c_out, c_in, k + m - 1, k + m - 1)
    for a in range(m):
        for b in range(m):
            i, j = place(a, m), place(b, m)
            W = second[:, :, a, b]
            values = (part or torch.tensordot)(W, first, 1)
            Y[:, :, i : i + k, j : j + k] = Y[:, :, i : i + k, j : j + k] + values
    return Y


def without_corners(first, second):
    Y = kernels(first, second)
    return Y[..., 1:, 1:] if Y.shape[-1] > 1 else Y * 0


answers(
    "05.11",
    right=[
        kernels,
        kernels_by_loops,
        lambda first, second: F.conv_transpose2d(
            first.transpose(0, 1), second.transpose(0, 1)
        ).transpose(0, 1),
    ],
    wrong={
        "not turned": lambda first, second: kernels(first, second, turn=False),
        "channels exchanged": lambda first, second: kernels(first, second, exchange=False),
        "both turned": lambda first, second: kernels(first, second).flip(-1, -2),
        "not padded": lambda first, second: kernels(first, second, pad=second.shape[-1]),
        "one too large": lambda first, second: kernels(first, second, pad=0),
        "without a border": without_corners,
        "moved the other way": lambda first, second: kernels_by_loops(
            first, second, place=lambda a, m: m - 1 - a
        ),
        "not moved": lambda first, second: kernels_by_loops(first, second, place=lambda a, m: 0),
        "gradient cut": lambda first, second: kernels(first, second.detach()),
        "exchanged": lambda first, second: kernels_by_loops(second, first),
        "mean over channels": lambda first, second: kernels(first, second) / len(first),
        "first channel between": lambda first, second: kernels(first[:1], second[:, :1]),
        "float32": lambda first, second: kernels(first, second).float(),
        "product of the kernels": lambda first, second: (
            first.sum((2, 3)).T[None] @ second.sum((2, 3))
        ),
    },
)


def depth_of(
    depth,
    start=nn.init.xavier_uniform_,
    slope=torch.sigmoid,
    draw=torch.rand,
    turned=False,
    loss=torch.sum,
    width=64,
):
    net = nn.Sequential(*[nn.Linear(width, width) for _ in range(depth)])
    for layer in net:
        start(layer.weight)
    Y = draw(256, width)
    for layer in net:
        Y = slope(layer(Y))
    loss(Y).backward()
    first, last = (net[i].weight.grad.square().mean().sqrt() for i in (0, -1))
    return (last / first if turned else first / last).item()


def measured(**changes):
    return lambda depth: depth_of(depth, **changes)


answers(
    "05.12",
    right=[
        depth_of,
        measured(start=nn.init.xavier_normal_),
        lambda depth: torch.tensor(depth_of(depth)),
    ],
    wrong={
        "PyTorch's start": measured(start=lambda w: w),
        "Kaiming": measured(start=nn.init.kaiming_uniform_),
        "ReLU": measured(slope=torch.relu),
        "tanh": measured(slope=torch.tanh),
        "no activation": measured(slope=lambda Y: Y),
        "upside down": measured(turned=True),
        "around zero": measured(draw=torch.randn),
        "narrow normal": measured(start=lambda w: nn.init.normal_(w, std=0.01)),
        "zeros": measured(start=nn.init.zeros_),
        "one more layer": lambda depth: depth_of(depth + 1),
        "depth ignored": lambda depth: depth_of(4),
        "a quarter each": lambda depth: 0.25**depth,
        "squared": lambda depth: depth_of(depth) ** 2,
    },
    equivalent={
        "256 -> 257": ANY_COUNT,
        "256 -> 255": ANY_COUNT,
        "arguments exchanged in 'nn.Linear(64, 64)'": "both are 64",
    },
)
