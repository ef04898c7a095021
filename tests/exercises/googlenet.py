"""Answers to the exercises of chapter 07."""

import copy
import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.measure import count_parameters
from course_utils.nets.googlenet import (
    INCEPTION,
    ConvReLU,
    GoogLeNet,
    Inception,
)
from exercises import alike, also_right, answers

answers(
    "07.1",
    right=[
        lambda c_in, c_out, k, side: math.prod((c_in, c_out, k, k, side, side)),
        lambda c_in, c_out, k, side: nn.Conv2d(c_in, c_out, k).weight.numel() * side * side,
    ],
    wrong={
        "k once": lambda c_in, c_out, k, side: c_in * c_out * k * side**2,
        "side once": lambda c_in, c_out, k, side: c_in * c_out * k**2 * side,
        "weights": lambda c_in, c_out, k, side: c_in * c_out * k**2,
        "with biases": lambda c_in, c_out, k, side: c_out * (c_in * k**2 + 1) * side**2,
        "no padding": lambda c_in, c_out, k, side: c_in * c_out * k**2 * (side - k + 1) ** 2,
        "a float": lambda c_in, c_out, k, side: float(c_in * c_out * k**2 * side**2),
    },
)


def six(c_in, c1, c3, c5, cp, bias=1, pool=True, reduced=True):
    """Parameters, with one thing changed."""
    shapes = [(c_in, c1, 1), (c_in, c3[0], 1), (c_in, c5[0], 1)]
    shapes += [(c3[0] if reduced else c_in, c3[1], 3), (c5[0] if reduced else c_in, c5[1], 5)]
    shapes += [(c_in, cp, 1)] if pool else []
    return sum(b * (a * k * k + bias) for a, b, k in shapes)


answers(
    "07.2",
    right=[
        six,
        lambda c_in, c1, c3, c5, cp: sum(
            b * (a * k + 1)
            for a, b, k in (*[(c_in, c, 1) for c in (c1, c3[0], c5[0], cp)], (*c3, 9), (*c5, 25))
        ),
    ],
    wrong={
        "built": lambda c_in, c1, c3, c5, cp: count_parameters(Inception(c_in, c1, c3, c5, cp)),
        "no biases": partial(six, bias=0),
        "no projection": partial(six, pool=False),
        "no reduction": partial(six, reduced=False),
        "pairs exchanged": lambda c_in, c1, c3, c5, cp: six(c_in, c1, c3[::-1], c5[::-1], cp),
        "branches exchanged": lambda c_in, c1, c3, c5, cp: six(c_in, c1, c5, c3, cp),
        "block 3a": lambda c_in, c1, c3, c5, cp: 163_696,
    },
)


def product(X, weight):
    return (weight @ X.flatten(2)).unflatten(2, X.shape[2:])


answers(
    "07.3",
    right=[
        lambda X, weight, bias: product(X, weight) + bias[:, None, None],
        lambda X, weight, bias: F.linear(X.movedim(1, -1), weight, bias).movedim(-1, 1),
    ],
    wrong={
        "no bias": lambda X, weight, bias: product(X, weight),
        "transposed": lambda X, weight, bias: (
            torch.einsum("nchw,cd->ndhw", X, weight) + bias.view(-1, 1, 1)
        ),
        "bias along the width": lambda X, weight, bias: product(X, weight) + bias,
        "rows and columns exchanged": lambda X, weight, bias: (
            torch.einsum("nchw,dc->ndwh", X, weight) + bias.view(-1, 1, 1)
        ),
        "channels last": lambda X, weight, bias: torch.einsum("nchw,dc->nhwd", X, weight) + bias,
        "weights detached": lambda X, weight, bias: (
            product(X, weight.detach()) + bias.view(-1, 1, 1)
        ),
        "always float32": lambda X, weight, bias: (
            product(X.float(), weight.float()) + bias.float().view(-1, 1, 1)
        ),
        "with ReLU": lambda X, weight, bias: F.relu(F.conv2d(X, weight[..., None, None], bias)),
    },
)


def pair(c_in, c_out, padding=1, middle=None, relu=nn.ReLU, last=nn.ReLU):
    first = nn.Conv2d(c_in, middle or c_out, 3, padding=padding)
    second = nn.Conv2d(middle or c_out, c_out, 3, padding=padding)
    return nn.Sequential(first, relu(), second, last())


answers(
    "07.4",
    right=[pair, partial(pair, padding="same")],
    wrong={
        "no padding": partial(pair, padding=0),
        "all the padding in front": lambda c_in, c_out: nn.Sequential(
            nn.ZeroPad2d(2), *pair(c_in, c_out, padding=0)
        ),
        "one 5×5": lambda c_in, c_out: ConvReLU(c_in, c_out, 5, padding=2),
        "no ReLU between": partial(pair, relu=nn.Identity),
        "no ReLU at the end": partial(pair, last=nn.Identity),
        "c_in in the middle": lambda c_in, c_out: pair(c_in, c_out, middle=c_in),
        "batch norm": lambda c_in, c_out: nn.Sequential(
            ConvReLU(c_in, c_out, 3, True, padding=1), ConvReLU(c_out, c_out, 3, True, padding=1)
        ),
        "three of them": lambda c_in, c_out: nn.Sequential(
            *pair(c_in, c_out), ConvReLU(c_out, c_out, 3, padding=1)
        ),
        "the same one twice": lambda c_in, c_out: nn.Sequential(
            *[ConvReLU(c_in, c_out, 3, padding=1)] * 2
        ),
    },
)


def thin(c, n, between=(), groups=1, middle=None):
    wide = nn.Conv2d(c, middle or c, (1, n), padding="same", groups=groups)
    high = nn.Conv2d(middle or c, c, (n, 1), padding="same", groups=groups)
    return nn.Sequential(wide, *between, high)


answers(
    "07.5",
    right=[
        thin,
        lambda c, n: nn.Sequential(
            *(nn.ZeroPad2d((n // 2, n // 2, 0, 0)), nn.Conv2d(c, c, (1, n))),
            *(nn.ZeroPad2d((0, 0, n // 2, n // 2)), nn.Conv2d(c, c, (n, 1))),
        ),
    ],
    wrong={
        "columns first": lambda c, n: nn.Sequential(*thin(c, n)[::-1]),
        "with ReLU": lambda c, n: thin(c, n, between=(nn.ReLU(),)),
        "ReLU at the end": lambda c, n: nn.Sequential(*thin(c, n), nn.ReLU()),
        "depthwise": lambda c, n: thin(c, n, groups=c),
        "n×n": lambda c, n: nn.Conv2d(c, c, n, padding="same"),
        "one channel between": lambda c, n: thin(c, n, middle=1),
        "padding on the wrong side": lambda c, n: nn.Sequential(
            nn.Conv2d(c, c, (1, n), padding=(n // 2, 0)),
            nn.Conv2d(c, c, (n, 1), padding=(0, n // 2)),
        ),
        "1×n twice": lambda c, n: nn.Sequential(
            *[nn.Conv2d(c, c, (1, n), padding="same") for _ in range(2)]
        ),
    },
)

answers(
    "07.6",
    right=[
        lambda branches: torch.stack([image for b in branches for image in b.unbind(1)], dim=1),
        lambda branches: torch.cat([b.movedim(1, 0) for b in branches]).movedim(0, 1),
    ],
    wrong={
        "batch": torch.cat,
        "rows": lambda branches: torch.cat(branches, dim=2),
        "columns": lambda branches: torch.cat(branches, dim=3),
        "new axis": lambda branches: torch.stack(branches, dim=1),
        "alternating": lambda branches: torch.stack(branches, dim=2).flatten(1, 2),
        "reshaped": lambda branches: torch.stack(branches).reshape(
            len(branches[0]), -1, *branches[0].shape[2:]
        ),
        "sum": sum,
        "first and last only": lambda branches: torch.cat([branches[0], branches[-1]], 1),
        "float32": lambda branches: torch.cat(branches, 1).float(),
    },
)


answers(
    "07.7",
    right=[
        lambda mean, batch_mean, momentum: mean + momentum * (batch_mean - mean),
        lambda mean, batch_mean, momentum: mean.mul(1 - momentum).add(batch_mean, alpha=momentum),
    ],
    wrong={
        "the new one only": lambda mean, batch_mean, momentum: batch_mean.clone(),
        "no decay": lambda mean, batch_mean, momentum: mean + momentum * batch_mean,
        "in place": lambda mean, batch_mean, momentum: mean.lerp_(batch_mean, momentum),
        "away": lambda mean, batch_mean, momentum: mean - momentum * (batch_mean - mean),
    },
)


def look(net, X, mode=False, back=True, change=lambda Y: Y):
    before = net.training
    net.train(mode)
    Y = change(net(X).detach())
    if back is not None:
        net.train(before if back is True else back == "train")
    return Y


def look_and_restore_each(net, X):
    modes = {name: module.training for name, module in net.named_modules()}
    with torch.no_grad():
        Y = net.eval()(X)
    for name, module in net.named_modules():
        module.training = modes[name]
    return Y


answers(
    "07.8",
    right=[
        look,
        look_and_restore_each,
        lambda net, X: nn.Sequential(*copy.deepcopy(list(net))).eval()(X),
    ],
    wrong={
        "stays in eval": partial(look, back=None),
        "always back to training": partial(look, back="train"),
        "training mode": partial(look, mode=True),
        "a copy in training mode": lambda net, X: copy.deepcopy(net).train()(X).detach(),
        "running averages put back, but used wrong": lambda net, X: (
            saved := copy.deepcopy(net.state_dict()),
            net.train()(X).detach(),
            net.load_state_dict(saved),
        )[1],
        "one image at a time": lambda net, X: torch.cat([net(image[None]) for image in X]),
        "the first image": partial(look, change=lambda Y: Y[:1]),
        "only the normalisation": lambda net, X: (net[1].eval(), net(X), net[1].train())[1],
        "double": partial(look, change=lambda Y: Y.double()),
    },
)


def first_that_works(sides, errors=RuntimeError):
    def search(net, device="cpu"):
        for side in sides:
            try:
                net(torch.empty(2, 1, side, side, device=device))
            except errors:
                continue
            return side

    return search


def by_recursion(net, device="cpu", side=1):
    try:
        net(torch.rand(2, 1, side, side, device=device))
    except RuntimeError:
        return by_recursion(net, device, side + 1)
    return side


def by_bisection(net, device="cpu"):
    low, high = 0, 128
    while high - low > 1:
        middle = (low + high) // 2
        if first_that_works([middle])(net):
            high = middle
        else:
            low = middle
    return high


answers(
    "07.9",
    right=[first_that_works(range(1, 300), errors=Exception), by_recursion],
    wrong={
        "powers of two": first_that_works([2**i for i in range(12)]),
        "even sides": first_that_works(range(2, 300, 2)),
        "does not start at 1": first_that_works(range(2, 300)),
        "at most 32": first_that_works(range(1, 33)),
        "bisection": by_bisection,
        "never ends": first_that_works(iter(lambda: 1, 0), errors=TypeError),
    },
    equivalent={
        "2 -> 3": "three images are as good as two",
        "2 -> 1": "one image is as good as two",
        "device= dropped in 'torch.zeros(2, 1, side, side, device=device)'": "it is the CPU here",
        "1 -> 0": "no network takes an image without pixels",
    },
)


def strength(
    layers,
    batch_norm,
    measure=lambda Y: torch.linalg.vector_norm(Y) / Y.numel() ** 0.5,
    X=torch.randn,
    init=None,
    images=16,
):
    stack = nn.Sequential(*[ConvReLU(64, 64, 3, batch_norm, padding=1) for _ in range(layers)])
    for p in stack.parameters():
        if init is not None and p.ndim > 1:
            init(p)
    with torch.no_grad():
        return measure(stack(X(images, 64, 8, 8))).item()


answers(
    "07.10",
    right=[
        partial(strength, measure=lambda Y: F.mse_loss(Y, torch.zeros_like(Y)) ** 0.5),
        partial(strength, images=32),
    ],
    wrong={
        "a formula": lambda layers, batch_norm: (
            0.707 if batch_norm else 0.375 * 0.4 ** (layers - 1)
        ),
        "standard deviation": partial(strength, measure=torch.std),
        "uniform images": partial(strength, X=torch.rand),
        "Kaiming": partial(strength, init=nn.init.kaiming_normal_),
    },
    equivalent={
        "16 -> 17": "one image more gives the same mean",
        **alike("the fan-in sets the scale: any window leaves as much", "3 -> 4", "3 -> 2"),
    },
)


def bare(conv):
    """With the default settings."""
    return nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size).to(conv.weight)


def fold(conv, norm, root=torch.sqrt, eps=1, mean=1, shift=1, first=1, make=copy.deepcopy):
    new = make(conv)
    f = norm.weight / root(norm.running_var + eps * norm.eps)
    old = torch.zeros_like(f) if conv.bias is None else conv.bias
    b = (first * old - mean * norm.running_mean) * f + shift * norm.bias
    new.weight = nn.Parameter((conv.weight * f.view(-1, 1, 1, 1)).detach())
    new.bias = nn.Parameter(b.detach())
    return new


def fold_in_place(conv, norm):
    new = fold(conv, norm)
    conv.weight, conv.bias = new.weight, new.bias
    return conv


def fold_by_probing(conv, norm):
    """What comes out for zeros is the bias; the factor is what a step of one does."""
    new, norm = copy.deepcopy(conv), copy.deepcopy(norm).eval()
    zeros = torch.zeros(1, conv.out_channels, 1, 1, dtype=conv.weight.dtype)
    old = zeros if conv.bias is None else conv.bias.view_as(zeros)
    with torch.no_grad():
        factor = (norm(zeros + 1) - norm(zeros)).flatten()
        new.weight.mul_(factor[:, None, None, None])
        new.bias = nn.Parameter(norm(old).flatten())
    return new


answers(
    "07.11",
    right=[fold, fold_by_probing],
    wrong={
        "no eps": partial(fold, eps=0),
        "no mean": partial(fold, mean=0),
        "no bias of the norm": partial(fold, shift=0),
        "no bias of the convolution": partial(fold, first=0),
        "settings forgotten": partial(fold, make=bare),
        "in place": fold_in_place,
        "variance not rooted": partial(fold, root=torch.abs),
    },
)


def scaled(factor, keep_reductions=False, classes=10):
    def s(n):
        return max(1, int(n * factor))

    blocks = {}
    for name, (c1, c3, c5, cp) in INCEPTION.items():
        c3 = (c3[0] if keep_reductions else s(c3[0]), s(c3[1]))
        c5 = (c5[0] if keep_reductions else s(c5[0]), s(c5[1]))
        blocks[name] = (s(c1), c3, c5, s(cp))
    return GoogLeNet(1, classes, blocks=blocks)


def largest(budget, **changes):
    """By bisection, with sizes rounded down."""
    low, high = 0.01, 1.5
    while high - low > 0.0005:
        middle = (low + high) / 2
        with torch.device("meta"):
            fits = count_parameters(scaled(middle, **changes)) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return scaled(low, **changes)


def by_newton(budget):
    factor = (budget / 6e6) ** 0.5
    for _ in range(30):
        with torch.device("meta"):
            count = count_parameters(scaled(factor))
        if 0.96 * budget <= count <= budget:
            break
        factor *= (0.98 * budget / count) ** 0.5
    return scaled(factor)


answers(
    "07.12",
    right=[largest, by_newton],
    wrong={
        "reductions kept": lambda budget: largest(budget, keep_reductions=True),
        "just above": lambda budget: largest(int(1.05 * budget)),
        "a hundred classes": lambda budget: largest(budget, classes=100),
        "on the device meta": lambda budget: scaled(0.5).to("meta"),
    },
    equivalent={
        "9 -> 10": "a finer search is as good",
        "9 -> 8": "fine enough for five per cent",
        "arguments exchanged in 'max(1, round(factor * size))'": "the larger of two",
        "comparison in 'count_parameters(build(middle)) <= budget'": "never met exactly",
        **alike("no size is as small as that within these budgets", "1 -> 2 #2", "1 -> 0 #2"),
    },
)


also_right("07.9", "what the images are does not matter", "ones for zeros")
also_right("07.11", "only the dtype is taken", "norm for conv #10")
also_right("07.12", "the interval may be larger", "1.0 -> 2.0")
