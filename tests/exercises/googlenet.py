"""Answers to the exercises of chapter 07."""

import copy
import math

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
from exercises import answers

answers(
    "07.1",
    right=[
        lambda c_in, c_out, k, side: math.prod((c_in, c_out, k, k, side, side)),
        lambda c_in, c_out, k, side: torch.empty(c_out, c_in, k, k).numel() * side**2,
        lambda c_in, c_out, k, side: nn.Conv2d(c_in, c_out, k).weight.numel() * side * side,
    ],
    wrong={
        "k once": lambda c_in, c_out, k, side: c_in * c_out * k * side**2,
        "side once": lambda c_in, c_out, k, side: c_in * c_out * k**2 * side,
        "weights": lambda c_in, c_out, k, side: c_in * c_out * k**2,
        "with biases": lambda c_in, c_out, k, side: c_out * (c_in * k**2 + 1) * side**2,
        "depthwise": lambda c_in, c_out, k, side: c_out * k**2 * side**2,
        "no padding": lambda c_in, c_out, k, side: c_in * c_out * k**2 * (side - k + 1) ** 2,
        "two operations each": lambda c_in, c_out, k, side: 2 * c_in * c_out * k**2 * side**2,
        "a float": lambda c_in, c_out, k, side: float(c_in * c_out * k**2 * side**2),
        "channels added": lambda c_in, c_out, k, side: (c_in + c_out) * k**2 * side**2,
        "one multiplication less per sum": lambda c_in, c_out, k, side: (
            c_out * side**2 * (c_in * k**2 - 1)
        ),
    },
)


def six(c_in, c1, c3, c5, cp, bias=1, pool=True, area=lambda k: k * k, reduced=True):
    """Parameters, with one thing changed."""
    shapes = [(c_in, c1, 1), (c_in, c3[0], 1), (c_in, c5[0], 1)]
    shapes += [(c3[0] if reduced else c_in, c3[1], 3), (c5[0] if reduced else c_in, c5[1], 5)]
    shapes += [(c_in, cp, 1)] if pool else []
    return sum(b * (a * area(k) + bias) for a, b, k in shapes)


def changed_six(**changes):
    return lambda c_in, c1, c3, c5, cp: six(c_in, c1, c3, c5, cp, **changes)


answers(
    "07.2",
    right=[
        six,
        lambda c_in, c1, c3, c5, cp: count_parameters(Inception(c_in, c1, c3, c5, cp)),
        lambda c_in, c1, c3, c5, cp: (
            (c_in + 1) * (c1 + c3[0] + c5[0] + cp)
            + c3[1] * (9 * c3[0] + 1)
            + c5[1] * (25 * c5[0] + 1)
        ),
    ],
    wrong={
        "no biases": changed_six(bias=0),
        "no projection": changed_six(pool=False),
        "no reduction": changed_six(reduced=False),
        "k once": changed_six(area=lambda k: k),
        "batch norm": lambda c_in, c1, c3, c5, cp: count_parameters(
            Inception(c_in, c1, c3, c5, cp, batch_norm=True)
        ),
        "pairs exchanged": lambda c_in, c1, c3, c5, cp: six(c_in, c1, c3[::-1], c5[::-1], cp),
        "branches exchanged": lambda c_in, c1, c3, c5, cp: six(c_in, c1, c5, c3, cp),
        "projection of the outputs": lambda c_in, c1, c3, c5, cp: (
            six(c_in, c1, c3, c5, 0) + cp * (c1 + c3[1] + c5[1] + 1)
        ),
        "3×3 in the place of 5×5": changed_six(area=lambda k: min(k, 3) ** 2),
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
        lambda X, weight, bias: F.conv2d(X, weight[..., None, None], bias),
        lambda X, weight, bias: torch.stack(
            [(X * w[:, None, None]).sum(1) + b for w, b in zip(weight, bias, strict=True)], dim=1
        ),
    ],
    wrong={
        "no bias": lambda X, weight, bias: product(X, weight),
        "transposed": lambda X, weight, bias: (
            torch.einsum("nchw,cd->ndhw", X, weight) + bias.view(-1, 1, 1)
        ),
        "bias along the width": lambda X, weight, bias: product(X, weight) + bias,
        "bias along the rows": lambda X, weight, bias: product(X, weight) + bias[:, None],
        "rows and columns exchanged": lambda X, weight, bias: (
            torch.einsum("nchw,dc->ndwh", X, weight) + bias.view(-1, 1, 1)
        ),
        "channels last": lambda X, weight, bias: torch.einsum("nchw,dc->nhwd", X, weight) + bias,
        "batch summed": lambda X, weight, bias: (
            torch.einsum("nchw,dc->dhw", X, weight) + bias.view(-1, 1, 1)
        ),
        "weights detached": lambda X, weight, bias: (
            product(X, weight.detach()) + bias.view(-1, 1, 1)
        ),
        "bias subtracted": lambda X, weight, bias: product(X, weight) - bias.view(-1, 1, 1),
        "always float32": lambda X, weight, bias: (
            product(X.float(), weight.float()) + bias.float().view(-1, 1, 1)
        ),
        "with ReLU": lambda X, weight, bias: F.relu(F.conv2d(X, weight[..., None, None], bias)),
    },
)


def pair(c_in, c_out, k=3, padding=1, middle=None, relu=nn.ReLU, last=nn.ReLU, bias=True):
    middle = c_out if middle is None else middle
    return nn.Sequential(
        nn.Conv2d(c_in, middle, k, padding=padding, bias=bias),
        relu(),
        nn.Conv2d(middle, c_out, k, padding=padding, bias=bias),
        last(),
    )


def changed_pair(**changes):
    return lambda c_in, c_out: pair(c_in, c_out, **changes)


answers(
    "07.4",
    right=[
        pair,
        changed_pair(padding="same"),
        lambda c_in, c_out: nn.Sequential(
            nn.Sequential(nn.ZeroPad2d(1), ConvReLU(c_in, c_out, 3)),
            nn.Sequential(nn.ZeroPad2d(1), ConvReLU(c_out, c_out, 3)),
        ),
    ],
    wrong={
        "no padding": changed_pair(padding=0),
        "all the padding in front": lambda c_in, c_out: nn.Sequential(
            nn.ZeroPad2d(2), *pair(c_in, c_out, padding=0)
        ),
        "5×5": changed_pair(k=5, padding=2),
        "one 5×5": lambda c_in, c_out: ConvReLU(c_in, c_out, 5, padding=2),
        "no ReLU between": changed_pair(relu=nn.Identity),
        "no ReLU at the end": changed_pair(last=nn.Identity),
        "c_in in the middle": lambda c_in, c_out: pair(c_in, c_out, middle=c_in),
        "no bias": changed_pair(bias=False),
        "sigmoids": changed_pair(relu=nn.Sigmoid, last=nn.Sigmoid),
        "batch norm": lambda c_in, c_out: nn.Sequential(
            ConvReLU(c_in, c_out, 3, True, padding=1), ConvReLU(c_out, c_out, 3, True, padding=1)
        ),
        "three of them": lambda c_in, c_out: nn.Sequential(
            *pair(c_in, c_out), ConvReLU(c_out, c_out, 3, padding=1)
        ),
        "the same one twice": lambda c_in, c_out: nn.Sequential(
            *[ConvReLU(c_in, c_out, 3, padding=1)] * 2
        ),
        "in double": lambda c_in, c_out: pair(c_in, c_out).double(),
    },
)


def thin(c, n, between=(), groups=1, bias=True, padding=True, order=1, middle=None):
    middle = middle or c
    k, p = ((1, n), (n, 1)), ((0, n // 2), (n // 2, 0))
    p = p if padding else ((0, 0), (0, 0))
    settings = {"groups": groups, "bias": bias}
    sizes = list(zip(k, p, strict=True))[::order]
    first = nn.Conv2d(c, middle, sizes[0][0], padding=sizes[0][1], **settings)
    return nn.Sequential(
        first, *between, nn.Conv2d(middle, c, sizes[1][0], padding=sizes[1][1], **settings)
    )


answers(
    "07.5",
    right=[
        thin,
        lambda c, n: nn.Sequential(
            nn.Conv2d(c, c, (1, n), padding="same"), nn.Conv2d(c, c, (n, 1), padding="same")
        ),
        lambda c, n: nn.Sequential(
            nn.ZeroPad2d((n // 2, n // 2, 0, 0)),
            nn.Conv2d(c, c, (1, n)),
            nn.ZeroPad2d((0, 0, n // 2, n // 2)),
            nn.Conv2d(c, c, (n, 1)),
        ),
    ],
    wrong={
        "columns first": lambda c, n: thin(c, n, order=-1),
        "with ReLU": lambda c, n: thin(c, n, between=(nn.ReLU(),)),
        "ReLU at the end": lambda c, n: nn.Sequential(*thin(c, n), nn.ReLU()),
        "no padding": lambda c, n: thin(c, n, padding=False),
        "depthwise": lambda c, n: thin(c, n, groups=c),
        "no bias": lambda c, n: thin(c, n, bias=False),
        "n×n": lambda c, n: nn.Conv2d(c, c, n, padding="same"),
        "always 3": lambda c, n: thin(c, 3),
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
        lambda branches: torch.concat(branches, 1),
        lambda branches: torch.hstack(branches),
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
        "mean": lambda branches: torch.stack(branches).mean(0),
        "the first only": lambda branches: branches[0],
        "first and last only": lambda branches: torch.cat([branches[0], branches[-1]], 1),
        "in reverse": lambda branches: torch.cat(branches[::-1], dim=1),
        "float32": lambda branches: torch.cat(branches, 1).float(),
        "a list": lambda branches: list(branches),
    },
)


answers(
    "07.7",
    right=[
        torch.lerp,
        lambda mean, batch_mean, momentum: mean + momentum * (batch_mean - mean),
        lambda mean, batch_mean, momentum: mean.mul(1 - momentum).add(batch_mean, alpha=momentum),
    ],
    wrong={
        "the new one only": lambda mean, batch_mean, momentum: batch_mean.clone(),
        "no decay": lambda mean, batch_mean, momentum: mean + momentum * batch_mean,
        "no share": lambda mean, batch_mean, momentum: (1 - momentum) * mean + batch_mean,
        "average": lambda mean, batch_mean, momentum: (mean + batch_mean) / 2,
        "momentum 0.1": lambda mean, batch_mean, momentum: 0.9 * mean + 0.1 * batch_mean,
        "in place": lambda mean, batch_mean, momentum: mean.lerp_(batch_mean, momentum),
        "nothing moves": lambda mean, batch_mean, momentum: mean.clone(),
        "away": lambda mean, batch_mean, momentum: mean - momentum * (batch_mean - mean),
        "squared": lambda mean, batch_mean, momentum: mean.lerp(batch_mean, momentum**2),
        "a list": lambda mean, batch_mean, momentum: mean.lerp(batch_mean, momentum).tolist(),
        "a number": lambda mean, batch_mean, momentum: mean.lerp(batch_mean, momentum).mean(),
    },
)


def look(net, X, mode=False, back=True, change=lambda Y: Y):
    before = net.training
    net.train(mode)
    Y = change(net(X).detach())
    if back is not None:
        net.train(before if back is True else back == "train")
    return Y


def changed_look(**changes):
    return lambda net, X: look(net, X, **changes)


answers(
    "07.8",
    right=[
        look,
        lambda net, X: copy.deepcopy(net).eval()(X).detach(),
        lambda net, X: nn.Sequential(*copy.deepcopy(list(net))).eval()(X),
        lambda net, X: torch.func.functional_call(
            copy.deepcopy(net).eval(), dict(net.named_parameters()), X
        ),
    ],
    wrong={
        "stays in eval": changed_look(back=None),
        "always back to training": changed_look(back="train"),
        "training mode": changed_look(mode=True),
        "a copy in training mode": lambda net, X: copy.deepcopy(net).train()(X).detach(),
        "running averages put back, but used wrong": lambda net, X: (
            saved := copy.deepcopy(net.state_dict()),
            net.train()(X).detach(),
            net.load_state_dict(saved),
        )[1],
        "one image at a time": lambda net, X: torch.cat([net(image[None]) for image in X]),
        "the class": changed_look(change=lambda Y: Y.argmax(1)),
        "softmax": changed_look(change=lambda Y: Y.softmax(1)),
        "the first image": changed_look(change=lambda Y: Y[:1]),
        "only the normalisation": lambda net, X: (net[1].eval(), net(X), net[1].train())[1],
        "double": changed_look(change=lambda Y: Y.double()),
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
    right=[
        first_that_works(range(1, 1000)),
        by_recursion,
        first_that_works(range(1, 300), errors=Exception),
        lambda net, device="cpu": min(s for s in range(1, 100) if first_that_works([s])(net)),
    ],
    wrong={
        "the largest": lambda net, device="cpu": max(
            s for s in range(1, 100) if first_that_works([s])(net)
        ),
        "powers of two": first_that_works([2**i for i in range(12)]),
        "even sides": first_that_works(range(2, 300, 2)),
        "odd sides": first_that_works(range(1, 300, 2)),
        "does not start at 1": first_that_works(range(2, 300)),
        "at most 32": first_that_works(range(1, 33)),
        "steps of 7": first_that_works(range(7, 300, 7)),
        "one too few": lambda net, device="cpu": first_that_works(range(1, 300))(net) - 1,
        "bisection": by_bisection,
        "how many there are": lambda net, device="cpu": sum(
            first_that_works([s])(net) is not None for s in range(1, 100)
        ),
        "never ends": first_that_works(iter(lambda: 1, 0), errors=TypeError),
    },
    equivalent={
        "2 -> 3": "three images are as good as two",
        "2 -> 1": "one image is as good as two",
        "device= dropped in 'torch.zeros(2, 1, side, side, device=device)'": "it is the CPU here",
        "1 -> 0": "no network takes an image without pixels",
    },
)


MORE_OR_LESS = "a few numbers more or less give the same mean"


def strength(layers, batch_norm, width=64, measure=None, X=None, init=None, relu=True, images=16):
    stack = [ConvReLU(width, width, 3, batch_norm, padding=1) for _ in range(layers)]
    if not relu:
        stack = [nn.Sequential(*list(layer)[:-1]) for layer in stack]
    stack = nn.Sequential(*stack)
    if init is not None:
        for p in stack.parameters():
            if p.ndim > 1:
                init(p)
    with torch.no_grad():
        Y = stack((torch.randn if X is None else X)(images, width, 8, 8))
    return (measure or (lambda Y: Y.pow(2).mean().sqrt()))(Y).item()


def changed_strength(**changes):
    return lambda layers, batch_norm: strength(layers, batch_norm, **changes)


answers(
    "07.10",
    right=[
        strength,
        changed_strength(measure=lambda Y: torch.linalg.vector_norm(Y) / Y.numel() ** 0.5),
        changed_strength(measure=lambda Y: F.mse_loss(Y, torch.zeros_like(Y)) ** 0.5),
        changed_strength(images=32),
    ],
    wrong={
        "mean": changed_strength(measure=torch.mean),
        "standard deviation": changed_strength(measure=torch.std),
        "not rooted": changed_strength(measure=lambda Y: Y.square().mean()),
        "maximum": changed_strength(measure=torch.max),
        "norm": changed_strength(measure=torch.linalg.vector_norm),
        "uniform images": changed_strength(X=torch.rand),
        "Kaiming": changed_strength(init=lambda p: nn.init.kaiming_normal_(p)),
        "Xavier": changed_strength(init=lambda p: nn.init.xavier_uniform_(p)),
        "no ReLU": changed_strength(relu=False),
        "always batch norm": lambda layers, batch_norm: strength(layers, True),
        "never batch norm": lambda layers, batch_norm: strength(layers, False),
        "one layer only": lambda layers, batch_norm: strength(1, batch_norm),
        "one layer more": lambda layers, batch_norm: strength(layers + 1, batch_norm),
    },
    equivalent={
        "16 -> 17": MORE_OR_LESS,
        "16 -> 15": MORE_OR_LESS,
        "8 -> 9": MORE_OR_LESS,
        "8 -> 7": MORE_OR_LESS,
        "8 -> 9 #2": MORE_OR_LESS,
        "8 -> 7 #2": MORE_OR_LESS,
        "3 -> 4": "the fan-in sets the scale of the weights: any window leaves as much",
        "3 -> 2": "the fan-in sets the scale of the weights: any window leaves as much",
    },
)


def fold(conv, norm, eps=True, mean=True, shift=True, first=True, settings=True, axis=0):
    new = (
        copy.deepcopy(conv)
        if settings
        else nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size).to(conv.weight)
    )
    f = norm.weight * (norm.running_var + (norm.eps if eps else 0)).rsqrt()
    shape = [1] * 4
    shape[axis] = -1
    old = conv.bias if conv.bias is not None and first else torch.zeros_like(f)
    b = (old - norm.running_mean if mean else old) * f
    new.weight = nn.Parameter((conv.weight * f.view(shape)).detach())
    new.bias = nn.Parameter((b + norm.bias if shift else b).detach())
    return new


def changed_fold(**changes):
    return lambda conv, norm: fold(conv, norm, **changes)


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
    right=[
        fold,
        fold_by_probing,
        lambda conv, norm: torch.nn.utils.fuse_conv_bn_eval(
            copy.deepcopy(conv).eval(), copy.deepcopy(norm).eval()
        ),
    ],
    wrong={
        "no eps": changed_fold(eps=False),
        "no mean": changed_fold(mean=False),
        "no bias of the norm": changed_fold(shift=False),
        "no bias of the convolution": changed_fold(first=False),
        "settings forgotten": changed_fold(settings=False),
        "along the inputs": changed_fold(axis=1),
        "both in a row": lambda conv, norm: nn.Sequential(conv, norm.eval()),
        "the convolution": lambda conv, norm: copy.deepcopy(conv),
        "in place": fold_in_place,
        "variance not rooted": lambda conv, norm: fold(
            conv, _with(norm, running_var=(norm.running_var + norm.eps).square() - norm.eps)
        ),
        "scale ignored": lambda conv, norm: fold(conv, _with(norm, weight=norm.weight * 0 + 1)),
        "float32": lambda conv, norm: fold(conv, norm).float(),
        "in training mode": lambda conv, norm: fold(
            conv, _with(norm, running_mean=norm.running_mean * 0.9)
        ),
    },
)


def _with(norm, **values):
    new = copy.deepcopy(norm)
    with torch.no_grad():
        for name, value in values.items():
            getattr(new, name).copy_(value)
    return new


def scaled(factor, keep_reductions=False, keep_projection=False, classes=10, channels=1, skip=()):
    def s(n):
        return max(1, int(n * factor))

    blocks = {}
    for name, (c1, c3, c5, cp) in INCEPTION.items():
        if name not in skip:
            c3 = (c3[0] if keep_reductions else s(c3[0]), s(c3[1]))
            c5 = (c5[0] if keep_reductions else s(c5[0]), s(c5[1]))
            blocks[name] = (s(c1), c3, c5, cp if keep_projection else s(cp))
    return GoogLeNet(channels, classes, blocks=blocks)


def largest(budget, step=0.0, **changes):
    """By bisection, with sizes rounded down. step: the factor's, 0 for none."""
    low, high = 0.01, 1.5
    while high - low > 0.0005:
        middle = (low + high) / 2
        with torch.device("meta"):
            fits = count_parameters(scaled(middle, **changes)) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return scaled(low // step * step if step else low, **changes)


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
        "too small": lambda budget: scaled(0.01),
        "budget ignored": lambda budget: scaled(1.0),
        "too coarse": lambda budget: largest(budget, step=0.1),
        "reductions kept": lambda budget: largest(budget, keep_reductions=True),
        "projections kept": lambda budget: largest(budget, keep_projection=True),
        "just above": lambda budget: largest(int(1.05 * budget)),
        "three colours": lambda budget: largest(budget, channels=3, classes=10),
        "a hundred classes": lambda budget: largest(budget, classes=100),
        "a block less": lambda budget: largest(budget, skip=("4c",)),
        "square root of the share": lambda budget: scaled((budget / 6_000_000) ** 0.5),
        "the share": lambda budget: scaled(budget / 6_000_000),
        "the factor": lambda budget: (budget / 6_000_000) ** 0.5,
        "on the device meta": lambda budget: scaled(0.5).to("meta"),
    },
    equivalent={
        "9 -> 10": "a finer search is as good",
        "9 -> 8": "fine enough for five per cent",
        "arguments exchanged in 'max(1, round(factor * size))'": "the larger of two",
        "comparison in 'count_parameters(build(middle)) <= budget'": "never met exactly",
        "1 -> 2 #2": "no size is as small as that within these budgets",
        "1 -> 0 #2": "no size is as small as that within these budgets",
    },
)
