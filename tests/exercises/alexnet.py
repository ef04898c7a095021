"""Answers to the exercises of chapter 05."""

import math
import operator
import random
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.alexnet import erase_at
from course_utils.nets.convolution import out_size
from exercises import alike, also_right, answers


def by_where(X, G):
    return torch.where(X > 0, G, 0)


answers(
    "05.1",
    right=[by_where, lambda X, G: G * torch.sign(X).clamp(min=0)],
    wrong={
        "relu of X": lambda X, G: F.relu(X),
        "relu of G": lambda X, G: F.relu(G),
        "G ignored": lambda X, G: (X > 0).to(X.dtype),
        "a mask": lambda X, G: X > 0,
        "X and G exchanged": lambda X, G: by_where(G, X),
        "on at zero": lambda X, G: torch.where(X >= 0, G, 0),
        "G changed": lambda X, G: G.mul_(X > 0),
    },
)


def sides(n, pool=(3, 2)):
    a = out_size(n, 11, 4, 1)
    b = out_size(a, *pool)
    c = out_size(b, *pool)
    return [a, b, b, c, c, out_size(c, *pool)]


answers(
    "05.2",
    right=[
        lambda n: tuple(sides(n)),
        lambda n: [a := (n - 9) // 4 + 1, b := (a - 1) // 2, b, c := (b - 1) // 2, c, (c - 1) // 2],
    ],
    wrong={
        "pools that do not overlap": lambda n: sides(n, pool=(3, 3)),
        "floats": lambda n: [float(side) for side in sides(n)],
    },
)


answers(
    "05.3",
    right=[
        lambda X, slope=0.01: X * ((X > 0) + slope * (X <= 0)),
        lambda X, slope=0.01: X.clamp(min=0) + slope * X.clamp(max=0),
    ],
    wrong={
        "relu": lambda X, slope=0.01: F.relu(X),
        "slope ignored": lambda X, slope=0.01: F.leaky_relu(X),
        "the larger": lambda X, slope=0.01: torch.maximum(X, slope * X),
        "the slope itself": lambda X, slope=0.01: torch.where(X > 0, X, slope),
        "sides exchanged": lambda X, slope=0.01: torch.where(X > 0, slope * X, X),
        "everywhere": lambda X, slope=0.01: slope * X,
        "in place": lambda X, slope=0.01: F.leaky_relu(X, slope, inplace=True),
    },
)


answers(
    "05.4",
    right=[
        lambda weight: nn.init.calculate_gain("relu") / math.prod(weight.shape[1:]) ** 0.5,
        lambda weight: torch.tensor(2 / weight[0].numel()).double().sqrt(),
    ],
    wrong={
        "fan-out": lambda weight: math.sqrt(2 * weight.shape[1] / weight.numel()),
        "channels only": lambda weight: math.sqrt(2 / weight.shape[1]),
        "one side of the window": lambda weight: math.sqrt(
            2 / weight.shape[1] / (weight.shape[2] if weight.ndim > 2 else 1)
        ),
        "variance": lambda weight: 2 / weight[0].numel(),
        "LeCun": lambda weight: math.sqrt(1 / weight[0].numel()),
        "bound": lambda weight: math.sqrt(6 / weight[0].numel()),
        "second row": lambda weight: math.sqrt(2 / weight[1].numel()),
        "text": lambda weight: f"{math.sqrt(2 / weight[0].numel()):.4f}",
    },
)


def dropped(X, p, axes, keeps=torch.ge, scale=lambda p: 1 - p):
    """Random numbers along some axes only, the same along the others."""
    shape = [n if axis in axes else 1 for axis, n in enumerate(X.shape)]
    return X * keeps(torch.rand(shape), p) / scale(p)


def dropped_one_by_one(X, p):
    Y = X / (1 - p)
    for image in Y:
        for channel in image:
            channel *= random.random() >= p
    return Y


def dropped_by(X, p, generator):
    return X * (torch.rand(*X.shape[:2], 1, 1, generator=generator) >= p) / (1 - p)


answers(
    "05.5",
    right=[F.dropout2d, partial(dropped, axes=(0, 1)), dropped_one_by_one],
    wrong={
        "whole images": partial(dropped, axes=(0,)),
        "a fixed mask": lambda X, p: dropped_by(X, p, torch.Generator().manual_seed(3)),
        "a seed": lambda X, p: (torch.manual_seed(3), F.dropout2d(X, p))[1],
        "same channels for all": partial(dropped, axes=(1,)),
        "rows": partial(dropped, axes=(0, 1, 2)),
        "kept with p": partial(dropped, axes=(0, 1), keeps=torch.lt),
        "not scaled": partial(dropped, axes=(0, 1), scale=lambda p: 1),
        "divided by p": partial(dropped, axes=(0, 1), scale=lambda p: p or 1),
        "in place": lambda X, p: F.dropout2d(X, p, inplace=True),
        "alpha dropout": lambda X, p: F.feature_alpha_dropout(X, p, training=True),
        "rounded to float32": lambda X, p: F.dropout2d(X, p).float(),
    },
)


def inside(side, size):
    return side - size + 1


def but_the_last(side, size):
    return max(1, side - size)


def erased_by_loop(X, size, rows=inside, columns=inside):
    """rows, columns: how many places there are along them."""
    Y = X.clone()
    for image in Y:
        top = int(torch.randint(rows(X.shape[2], size), ()))
        left = int(torch.randint(columns(X.shape[3], size), ()))
        image[:, top : top + size, left : left + size] = 0
    return Y


def erased_by_unravelling(X, size):
    (N, _, h, w), columns = X.shape, X.shape[3] - size + 1
    place = torch.randint(columns * (h - size + 1), (N, 1, 1, 1))
    down = torch.arange(h).view(h, 1) - place // columns
    right = torch.arange(w) - place % columns
    gone = (down >= 0) & (down < size) & (right >= 0) & (right < size)
    return torch.where(gone, torch.zeros_like(X), X)


answers(
    "05.6",
    right=[erased_by_loop, erased_by_unravelling],
    wrong={
        "clamped": lambda X, size: erase_at(
            X, size, *[torch.randint(m, (len(X),)).clamp(max=m - size) for m in X.shape[2:]]
        ),
        "last row never": partial(erased_by_loop, rows=but_the_last),
        "last column never": partial(erased_by_loop, columns=but_the_last),
        "one place for all": lambda X, size: erased_by_loop(X.flatten(0, 1)[None], size).view_as(X),
        "each channel its own": lambda X, size: erased_by_loop(
            X.reshape(-1, 1, *X.shape[2:]), size
        ).view_as(X),
        "in place": lambda X, size: X.copy_(erased_by_loop(X, size)),
        "the diagonal": lambda X, size: erase_at(
            X, size, *[torch.randint(inside(min(X.shape[2:]), size), (len(X),))] * 2
        ),
    },
)


def in_training(axes=(0, 1), **changes):
    return lambda X, p, training: dropped(X, p, axes, **changes) if training else X


answers(
    "05.7",
    right=[F.dropout, in_training()],
    wrong={
        "not scaled": in_training(scale=lambda p: 1),
        "evaluation too": lambda X, p, training: dropped(X, p, (0, 1)),
        "divided by p": in_training(scale=lambda p: p or 1),
        "scaled in evaluation": lambda X, p, training: (
            X * (torch.rand(X.shape) >= p) if training else X * (1 - p)
        ),
        "whole rows": in_training(axes=(0,)),
        "whole columns": in_training(axes=(1,)),
        "in place": lambda X, p, training: F.dropout(X, p, training, inplace=True),
        "alpha dropout": F.alpha_dropout,
        "survivors only": lambda X, p, training: X[torch.rand(X.shape) >= p],
    },
    equivalent={
        "comparison in 'torch.rand(X.shape) >= p'": "a random number is hardly ever exactly p"
    },
)


answers(
    "05.8",
    right=[
        lambda logits: logits.softmax(logits.ndim - 1),
        lambda logits: F.log_softmax(logits, dim=-1).exp(),
    ],
    wrong={
        "dimension 0": lambda logits: F.softmax(logits, dim=0),
        "dimension 1": lambda logits: F.softmax(logits, dim=1),
        "dimension -2": lambda logits: F.softmax(logits, dim=max(-2, -logits.ndim)),
        "all": lambda logits: logits.flatten().softmax(0).view_as(logits),
        "overflows": lambda logits: logits.exp() / logits.exp().sum(-1, keepdim=True),
        "not divided": lambda logits: (logits - logits.amax(-1, keepdim=True)).exp(),
        "softmin": lambda logits: F.softmin(logits, dim=-1),
        "rounded": lambda logits: F.softmax(logits, dim=-1, dtype=torch.float32),
    },
)


def grouped(c_in, c_out, k, groups, look=("in", "out"), share=operator.floordiv):
    if ("in" in look and c_in % groups) or ("out" in look and c_out % groups):
        raise ValueError(groups)
    return share(c_in * c_out * k**2, groups)


answers(
    "05.9",
    right=[
        lambda c_in, c_out, k, groups: sum(
            w.numel() for w in nn.Conv2d(c_in, c_out, k, groups=groups, bias=False).parameters()
        ),
        grouped,
    ],
    wrong={
        "not refused": partial(grouped, look=()),
        "only the input is looked at": partial(grouped, look=("in",)),
        "only the output is looked at": partial(grouped, look=("out",)),
        "groups ignored": partial(grouped, share=lambda count, groups: count),
        "both divided": partial(grouped, share=lambda count, groups: count // groups**2),
        "times the groups": partial(grouped, share=operator.mul),
        "a float": partial(grouped, share=operator.truediv),
        "asserts": lambda c_in, c_out, k, groups: (
            c_in * c_out * k * k // groups if c_in % groups == c_out % groups == 0 else [][groups]
        ),
    },
)


def merged(weight=lambda V, W: W @ V, bias=lambda b, W, c: W @ b + c):
    def merge(first, second):
        one = nn.Linear(first.in_features, second.out_features)
        one.weight.data = weight(first.weight.data, second.weight.data)
        one.bias.data = bias(first.bias.data, second.weight.data, second.bias.data)
        return one

    return merge


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
    right=[merged(), merged_by_state],
    wrong={
        "wrong order": merged(weight=lambda V, W: V @ W),
        "transposed": merged(weight=lambda V, W: (W @ V).T),
        "first bias forgotten": merged(bias=lambda b, W, c: c.clone()),
        "second bias forgotten": merged(bias=lambda b, W, c: W @ b),
        "biases added": merged(bias=lambda b, W, c: b.mean() + c),
        "a stack": lambda first, second: nn.Sequential(first, second),
        "a function": lambda first, second: lambda X: second(first(X)),
        "with a ReLU in mind": merged(bias=lambda b, W, c: W @ b.relu() + c),
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


def kernels_by_loops(first, second, step=1):
    (_, c_in, k, _), (c_out, _, m, _) = first.shape, second.shape
    Y = first.new_zeros(c_out, c_in, k + m - 1, k + m - 1)
    for a in range(m):
        for b in range(m):
            i, j = a * step, b * step
            part = second[:, :, a, b] @ first.flatten(1)
            Y[:, :, i : i + k, j : j + k] += part.view(c_out, c_in, k, k)
    return Y


answers(
    "05.11",
    right=[kernels, kernels_by_loops],
    wrong={
        "not turned": partial(kernels, turn=False),
        "channels exchanged": partial(kernels, exchange=False),
        "both turned": lambda first, second: kernels(first, second).flip(-1, -2),
        "not padded": lambda first, second: kernels(first, second, pad=second.shape[-1]),
        "not moved": partial(kernels_by_loops, step=0),
        "gradient cut": lambda first, second: kernels(first, second.detach()),
        "exchanged": lambda first, second: kernels_by_loops(second, first),
        "mean over channels": lambda first, second: kernels(first, second) / len(first),
        "first channel between": lambda first, second: kernels(first[:1], second[:, :1]),
        "float32": lambda first, second: kernels(first, second).float(),
    },
)


def depth_of(depth, start=nn.init.xavier_uniform_, slope=torch.sigmoid):
    net = nn.Sequential(*[nn.Linear(64, 64) for _ in range(depth)])
    Y = torch.rand(256, 64)
    for layer in net:
        start(layer.weight)
        Y = slope(layer(Y))
    Y.sum().backward()
    first, last = (net[i].weight.grad.square().mean().sqrt() for i in (0, -1))
    return first / last


def depth_by_products(depth):
    weights = [
        nn.init.xavier_uniform_(torch.empty(64, 64, requires_grad=True)) for _ in range(depth)
    ]
    Y = torch.rand(256, 64)
    for W in weights:
        Y = torch.sigmoid(Y @ W.T)
    Y.sum().backward()
    return float(weights[0].grad.norm() / weights[-1].grad.norm())


answers(
    "05.12",
    right=[depth_of, depth_by_products, partial(depth_of, start=nn.init.xavier_normal_)],
    wrong={
        "a formula": lambda depth: 0.235 * 0.0525 ** ((depth - 2) / 2) if depth > 1 else 1.0,
        "Kaiming": partial(depth_of, start=nn.init.kaiming_uniform_),
        "ReLU": partial(depth_of, slope=torch.relu),
        "narrow normal": partial(depth_of, start=partial(nn.init.normal_, std=0.01)),
    },
    equivalent={
        **alike("more or fewer images give the same share", "256 -> 257", "256 -> 255"),
        "arguments exchanged in 'nn.Linear(64, 64)'": "both are 64",
        "mean for sum": "the scale of the gradients does not matter",
    },
)


also_right("05.11", "only dtype and device are taken", "second for first #2")
