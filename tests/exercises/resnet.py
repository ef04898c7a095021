"""Answers to the exercises of chapter 08."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.resnet import BasicBlock, Bottleneck, ResNet, resnet50
from exercises import answers


def residual(f, X, relu=F.relu, refuse=True, error=ValueError):
    Y = f(X)
    if refuse and X.shape != Y.shape:
        raise error(f"{X.shape} {Y.shape}")
    return relu(X + Y)


def changed_residual(**changes):
    return lambda f, X: residual(f, X, **changes)


def checked(f, X):
    Y = f(X)
    if Y.shape != X.shape:
        raise ValueError
    return Y


answers(
    "08.1",
    right=[
        residual,
        lambda f, X: (checked(f, X) + X).clamp(min=0),
        lambda f, X: nn.ReLU()(torch.stack([checked(f, X), X]).sum(0)),
    ],
    wrong={
        "no ReLU": changed_residual(relu=lambda Y: Y),
        "ReLU first": lambda f, X: F.relu(checked(f, X)) + X,
        "ReLU on both": lambda f, X: F.relu(checked(f, X)) + F.relu(X),
        "no shortcut": lambda f, X: F.relu(checked(f, X)),
        "difference": lambda f, X: F.relu(checked(f, X) - X),
        "product": lambda f, X: F.relu(checked(f, X) * X),
        "broadcast": changed_residual(refuse=False),
        "another error": changed_residual(error=TypeError),
        "in place": lambda f, X: F.relu(X.add_(checked(f, X))),
        "f of f": lambda f, X: F.relu(f(checked(f, X)) + X),
        "shortcut cut": lambda f, X: F.relu(checked(f, X) + X.detach()),
        "sigmoid": changed_residual(relu=torch.sigmoid),
        "None where shapes differ": lambda f, X: (
            F.relu(f(X) + X) if f(X).shape == X.shape else None
        ),
    },
)


def basic(c_in, c_out, stride, norms=2, bias=0, k=9, needs=None, proj_norm=2, second=None):
    total = k * c_in * c_out + k * (c_out if second is None else second(c_in)) * c_out
    total += 2 * (norms * c_out + bias * c_out)
    if (stride > 1 or c_in != c_out) if needs is None else needs(c_in, c_out, stride):
        total += c_in * c_out + proj_norm * c_out
    return total


def changed_basic(**changes):
    return lambda c_in, c_out, stride: basic(c_in, c_out, stride, **changes)


answers(
    "08.2",
    right=[
        basic,
        lambda c_in, c_out, stride: sum(
            p.numel() for p in BasicBlock(c_in, c_out, stride).parameters()
        ),
        lambda c_in, c_out, stride: (
            c_out * (9 * (c_in + c_out) + 4 + ((c_in, 1) != (c_out, stride)) * (c_in + 2))
        ),
    ],
    wrong={
        "no projection": changed_basic(needs=lambda *_: False),
        "always a projection": changed_basic(needs=lambda *_: True),
        "only with a stride": changed_basic(needs=lambda a, b, s: s > 1),
        "only for other channels": changed_basic(needs=lambda a, b, s: a != b),
        "stride and channels": changed_basic(needs=lambda a, b, s: a != b and s > 1),
        "no normalisation": changed_basic(norms=0, proj_norm=0),
        "running averages counted": changed_basic(norms=4, proj_norm=4),
        "biases": changed_basic(bias=1),
        "projection without norm": changed_basic(proj_norm=0),
        "3, not 9": changed_basic(k=3),
        "second reads the input": changed_basic(second=lambda c_in: c_in),
        "a bottleneck": lambda c_in, c_out, stride: sum(
            p.numel() for p in Bottleneck(c_in, c_out, stride).parameters()
        ),
        "the example": lambda c_in, c_out, stride: 230_144,
    },
)


def half(n):
    return (n + 1) // 2


def chain(side, halve=half, pooling=True, first=False):
    sides = [halve(halve(side)) if pooling else halve(side)]
    for stride in (2 if first else 1, 2, 2, 2):
        sides.append(halve(sides[-1]) if stride == 2 else sides[-1])
    return sides


answers(
    "08.3",
    right=[
        chain,
        lambda side: [math.ceil(side / d) for d in (4, 4, 8, 16, 32)],
        lambda side: tuple((side - 1) // d + 1 for d in (4, 4, 8, 16, 32)),
        lambda side: torch.tensor(chain(side)),
    ],
    wrong={
        "rounded down": lambda side: chain(side, halve=lambda n: n // 2),
        "rounded": lambda side: chain(side, halve=lambda n: round(n / 2)),
        "floats": lambda side: chain(side, halve=lambda n: n / 2),
        "no pooling": lambda side: chain(side, pooling=False),
        "first stage halves": lambda side: chain(side, first=True),
        "with the input": lambda side: [side, *chain(side)],
        "stages only": lambda side: chain(side)[1:],
        "pixels": lambda side: [n * n for n in chain(side)],
        "the example": lambda side: [56, 56, 28, 14, 7],
        "no padding": lambda side: chain(side, halve=lambda n: max(1, (n - 1) // 2)),
        "a tensor of floats": lambda side: torch.tensor(chain(side)).float(),
    },
)


def on_meta(depths=(3, 4, 23, 3), block=Bottleneck, device="meta", **settings):
    def build():
        with torch.device(device):
            return ResNet(block, depths, **settings)

    return build


def longer_resnet50():
    with torch.device("meta"):
        net = resnet50()
        net.stage3 = nn.Sequential(*net.stage3, *[Bottleneck(1024, 256) for _ in range(17)])
    return net


def with_default_device():
    torch.set_default_device("meta")
    try:
        return ResNet(Bottleneck, [3, 4, 23, 3], 3, 1000)
    finally:
        torch.set_default_device(None)


answers(
    "08.4",
    right=[on_meta(), longer_resnet50, with_default_device],
    wrong={
        "50": on_meta((3, 4, 6, 3)),
        "152": on_meta((3, 8, 36, 3)),
        "basic blocks": on_meta(block=BasicBlock),
        "another order": on_meta((3, 23, 4, 3)),
        "one block less": on_meta((3, 4, 22, 3)),
        "one block more": on_meta((3, 4, 23, 4)),
        "ten classes": on_meta(num_classes=10),
        "one colour": on_meta(in_channels=1),
        "biases": on_meta(bias=True),
        "projections without norm": on_meta(shortcut_norm=False),
        "on the CPU": on_meta((1, 1, 1, 1), device="cpu"),
        "the function": lambda: resnet50,
        "a number": lambda: 101,
    },
)


def by_filling(X, channels, start=(0, 0), behind=True):
    N, C, H, W = X.shape
    Y = X.new_zeros(N, channels, H // 2, W // 2)
    part = Y[:, :C] if behind else Y[:, channels - C :]
    part.copy_(X[:, :, start[0] :: 2, start[1] :: 2])
    return Y


answers(
    "08.5",
    right=[
        by_filling,
        lambda X, channels: torch.cat(
            [
                X[:, :, ::2, ::2],
                X.new_zeros(len(X), channels - X.shape[1], X.shape[2] // 2, X.shape[3] // 2),
            ],
            dim=1,
        ),
        lambda X, channels: F.pad(
            F.avg_pool2d(X, 1, stride=2), (0, 0, 0, 0, 0, channels - X.shape[1])
        ),
    ],
    wrong={
        "odd rows": lambda X, channels: by_filling(X, channels, (1, 1)),
        "odd columns": lambda X, channels: by_filling(X, channels, (0, 1)),
        "zeros in front": lambda X, channels: by_filling(X, channels, behind=False),
        "average": lambda X, channels: by_filling(
            F.avg_pool2d(X, 2).repeat_interleave(2, 2).repeat_interleave(2, 3), channels
        ),
        "maximum": lambda X, channels: by_filling(
            F.max_pool2d(X, 2).repeat_interleave(2, 2).repeat_interleave(2, 3), channels
        ),
        "left half": lambda X, channels: F.pad(
            X[..., : X.shape[2] // 2, : X.shape[3] // 2], (0, 0, 0, 0, 0, channels - X.shape[1])
        ),
        "not halved": lambda X, channels: F.pad(X, (0, 0, 0, 0, 0, channels - X.shape[1])),
        "zeros on both sides": lambda X, channels: F.pad(
            X[..., ::2, ::2],
            (0, 0, 0, 0, (channels - X.shape[1]) // 2, -(-(channels - X.shape[1]) // 2)),
        ),
        "channels repeated": lambda X, channels: X[..., ::2, ::2].repeat(1, channels, 1, 1)[
            :, :channels
        ],
        "ones": lambda X, channels: F.pad(
            X[..., ::2, ::2], (0, 0, 0, 0, 0, channels - X.shape[1]), value=1.0
        ),
        "twice the channels": lambda X, channels: F.pad(
            X[..., ::2, ::2], (0, 0, 0, 0, 0, X.shape[1])
        ),
        "cut": lambda X, channels: by_filling(X.detach(), channels),
        "rows only": lambda X, channels: F.pad(
            X[..., ::2, :], (0, 0, 0, 0, 0, channels - X.shape[1])
        ),
    },
)


def block_of(block, X, inner=F.relu, last=F.relu, shortcut=True, second=True):
    Y = inner(block.norm1(block.conv1(X)))
    Y = block.norm2(block.conv2(Y)) if second else block.conv2(Y)
    return last(Y + (block.shortcut(X) if shortcut else 0))


def changed_block(**changes):
    return lambda block, X: block_of(block, X, **changes)


def into_shortcut(block, X):
    Z = block.shortcut(X)
    Z += block.norm2(block.conv2(F.relu(block.norm1(block.conv1(X)))))
    return F.relu(Z)


answers(
    "08.6",
    right=[
        block_of,
        lambda block, X: block.forward(X),
        lambda block, X: block_of(block, X, inner=torch.relu_, last=torch.relu_),
        lambda block, X: torch.clamp(block_of(block, X, last=lambda Y: Y), min=0),
    ],
    wrong={
        "into the shortcut": into_shortcut,
        "no shortcut": changed_block(shortcut=False),
        "no last ReLU": changed_block(last=lambda Y: Y),
        "no inner ReLU": changed_block(inner=lambda Y: Y),
        "ReLU first": lambda block, X: (
            F.relu(block_of(block, X, last=lambda Y: Y, shortcut=False)) + block.shortcut(X)
        ),
        "second normalisation forgotten": changed_block(second=False),
        "X only where it fits": lambda block, X: F.relu(
            block_of(block, X, last=lambda Y: Y, shortcut=False)
            + (X if block.conv1.in_channels == block.conv1.out_channels else 0)
        ),
        "added twice": lambda block, X: F.relu(
            block_of(block, X, last=lambda Y: Y) + block.shortcut(X)
        ),
        "detached": lambda block, X: block_of(block, X.detach()),
        "shortcut cut": lambda block, X: F.relu(
            block_of(block, X, last=lambda Y: Y, shortcut=False) + block.shortcut(X).detach()
        ),
        "in training mode": lambda block, X: block_of(copy.deepcopy(block).train(), X),
    },
)

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def prepared(pixels, scale=255, mean=MEAN, std=STD, axes=(2, 0, 1), batch=True):
    X = ((pixels.float() / scale - mean) / std).permute(axes)
    return X[None] if batch else X


def changed_prepared(**changes):
    return lambda pixels: prepared(pixels, **changes)


answers(
    "08.7",
    right=[
        prepared,
        lambda pixels: (
            (pixels[None].movedim(-1, 1) / 255.0 - MEAN.view(1, 3, 1, 1)) / STD.view(1, 3, 1, 1)
        ),
        lambda pixels: F.batch_norm(
            pixels.permute(2, 0, 1)[None] / 255, MEAN, STD**2, training=False, eps=0
        ),
    ],
    wrong={
        "not scaled": changed_prepared(scale=1),
        "by 256": changed_prepared(scale=256),
        "transposed": changed_prepared(axes=(2, 1, 0)),
        "no batch": changed_prepared(batch=False),
        "channels last": changed_prepared(axes=(0, 1, 2)),
        "mean and std exchanged": changed_prepared(mean=STD, std=MEAN),
        "no mean": changed_prepared(mean=0),
        "no std": changed_prepared(std=1),
        "blue, green, red": lambda pixels: prepared(pixels.flip(2)),
        "statistics in the wrong order": changed_prepared(mean=MEAN.flip(0), std=STD.flip(0)),
        "reshaped and scaled": lambda pixels: (
            (pixels.reshape(1, 3, *pixels.shape[:2]) / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
        ),
        "permuted only": lambda pixels: (
            (pixels.permute(2, 0, 1)[None] - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
        ),
        "times std": changed_prepared(std=1 / STD),
        "double": lambda pixels: prepared(pixels).double(),
        "own mean": lambda pixels: prepared(pixels, mean=pixels.float().mean((0, 1)) / 255),
        "whole numbers": lambda pixels: prepared(pixels // 255, scale=1),
    },
)


def zero(pick, part="weight", value=0.0, count=None):
    def change(net):
        blocks = [m for m in net.modules() if hasattr(m, "conv2")]
        chosen = [layer for block in blocks for layer in pick(block)]
        for layer in chosen:
            nn.init.constant_(getattr(layer, part), value)
        return len(blocks) if count is None else count(net, blocks)

    return change


def last_norm(block):
    return [[layer for layer in block.children() if isinstance(layer, nn.BatchNorm2d)][-1]]


def by_names(net):
    names = [n for n, _ in net.named_modules() if n.endswith((".norm2", ".norm3"))]
    blocks = {name.rpartition(".")[0] for name in names}
    with torch.no_grad():
        for block in blocks:
            last = max(name for name in names if name.startswith(f"{block}."))
            net.get_submodule(last).weight.mul_(0)
    return len(blocks)


def by_type_names(net):
    last = {"BasicBlock": "norm2", "Bottleneck": "norm3"}
    blocks = [m for m in net.modules() if type(m).__name__ in last]
    for block in blocks:
        getattr(block, last[type(block).__name__]).weight.data.zero_()
    return len(blocks)


answers(
    "08.8",
    right=[by_names, by_type_names, zero(last_norm)],
    wrong={
        "nothing": lambda net: sum(hasattr(m, "conv2") for m in net.modules()),
        "always norm2": zero(lambda block: [block.norm2]),
        "norm2 and norm3": zero(lambda b: [b.norm2, getattr(b, "norm3", b.norm2)]),
        "norm1": zero(lambda block: [block.norm1]),
        "all of a block": zero(
            lambda block: [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
        ),
        "the very last": zero(
            lambda block: [[m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1]]
        ),
        "bias": zero(last_norm, part="bias"),
        "running variance": zero(last_norm, part="running_var"),
        "one": zero(last_norm, value=1.0),
        "counts layers": zero(last_norm, count=lambda net, blocks: len(list(net.modules()))),
        "counts nothing": zero(last_norm, count=lambda net, blocks: None),
        "the convolution": zero(
            lambda b: [b.conv3 if hasattr(b, "conv3") else b.conv2],
        ),
        "on a copy": lambda net: by_names(copy.deepcopy(net)),
        "first block only": lambda net: zero(last_norm)(net[2]) + len(list(net.children())) - 3,
    },
)


def growth(blocks, block=lambda: BasicBlock(64, 64), X=torch.randn, measure=None, mode=True):
    net = nn.Sequential(*[block() for _ in range(blocks)]).train(mode)
    with torch.no_grad():
        Y = net(X(8, 64, 8, 8))
    return (measure or (lambda Y: Y.pow(2).mean().sqrt()))(Y).item()


def changed_growth(**changes):
    return lambda blocks: growth(blocks, **changes)


def by_loop(blocks):
    X = torch.randn(8, 64, 8, 8)
    for _ in range(blocks):
        X = BasicBlock(64, 64)(X).detach()
    return X.square().mean() ** 0.5


def sleeping():
    block = BasicBlock(64, 64)
    nn.init.zeros_(block.norm2.weight)
    return block


ANY_SIZE = "images of another size, or more of them, give the same mean"

answers(
    "08.9",
    right=[
        growth,
        by_loop,
        changed_growth(measure=lambda Y: torch.linalg.vector_norm(Y) / Y.numel() ** 0.5),
    ],
    wrong={
        "standard deviation": changed_growth(measure=torch.std),
        "mean": changed_growth(measure=torch.mean),
        "not rooted": changed_growth(measure=lambda Y: Y.square().mean()),
        "maximum": changed_growth(measure=torch.max),
        "evaluation mode": changed_growth(mode=False),
        "uniform numbers": changed_growth(X=torch.rand),
        "started as the identity": changed_growth(block=sleeping),
        "one block more": lambda blocks: growth(blocks + 1),
        "one block": lambda blocks: growth(1),
        "norm": changed_growth(measure=torch.linalg.vector_norm),
        "root of the depth": lambda blocks: 0.8 * math.sqrt(blocks),
        "constant": lambda blocks: 1.0,
        "the same block again": lambda blocks: growth(1) * blocks,
    },
    equivalent={
        "arguments exchanged in 'BasicBlock(64, 64)'": "both are 64",
        "8 -> 9": ANY_SIZE,
        "8 -> 7": ANY_SIZE,
        "8 -> 9 #2": ANY_SIZE,
        "8 -> 7 #2": ANY_SIZE,
        "8 -> 9 #3": ANY_SIZE,
        "8 -> 7 #3": ANY_SIZE,
    },
)


def transfer(net, num_classes, copied=True, freeze=True, dtype=True, replace=True, body=None):
    new = copy.deepcopy(net) if copied else net
    for p in new.parameters():
        p.requires_grad_(not freeze)
    if replace:
        weight = net.fc.weight
        new.fc = nn.Linear(weight.shape[1], num_classes)
        new.fc = new.fc.to(weight.dtype) if dtype else new.fc
    if body is not None:
        body(new)
    return new


def changed_transfer(**changes):
    return lambda net, num_classes: transfer(net, num_classes, **changes)


def by_names_afterwards(net, num_classes):
    new = copy.deepcopy(net)
    new.fc = nn.Linear(new.fc.in_features, num_classes).to(net.fc.weight)
    for name, p in new.named_parameters():
        p.requires_grad = name.startswith("fc.")
    return new


def rebuilt(net, num_classes):
    body = list(copy.deepcopy(net).requires_grad_(False).named_children())[:-1]
    new = nn.Sequential()
    for name, layer in body:
        new.add_module(name, layer)
    new.add_module("fc", nn.Linear(net.fc.in_features, num_classes).to(net.fc.weight))
    return new


answers(
    "08.10",
    right=[
        transfer,
        by_names_afterwards,
        rebuilt,
    ],
    wrong={
        "nothing frozen": changed_transfer(freeze=False),
        "all frozen": lambda net, num_classes: transfer(net, num_classes).requires_grad_(False),
        "in place": changed_transfer(copied=False),
        "old layer": changed_transfer(replace=False, body=lambda n: n.fc.requires_grad_(True)),
        "always float32": changed_transfer(dtype=False),
        "no bias": changed_transfer(
            body=lambda n: setattr(
                n, "fc", nn.Linear(n.fc.in_features, n.fc.out_features, bias=False)
            )
        ),
        "ten classes": lambda net, num_classes: transfer(net, 10),
        "as many classes as before": lambda net, num_classes: transfer(net, net.fc.out_features),
        "normalisations learn": changed_transfer(body=lambda n: n.norm1.requires_grad_(True)),
        "the last stage learns": changed_transfer(body=lambda n: n.stage1.requires_grad_(True)),
        "convolutions only frozen": changed_transfer(
            body=lambda n: [
                m.requires_grad_(True) for m in n.modules() if isinstance(m, nn.BatchNorm2d)
            ]
        ),
        "a new network": changed_transfer(body=lambda n: nn.init.normal_(n.conv1.weight)),
        "half of the weights zero": changed_transfer(
            body=lambda n: n.norm1.reset_parameters() or nn.init.zeros_(n.norm1.weight)
        ),
        "two layers": lambda net, num_classes: nn.Sequential(
            transfer(net, 10), nn.Linear(10, num_classes)
        ),
    },
)


class Pre(nn.Module):
    def __init__(self, c, bias=False, k=3, last=None, shortcut=True, order="nrc", shared=False):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for _ in range(2)])
        self.convs = nn.ModuleList(
            [nn.Conv2d(c, c, k, padding=k // 2, bias=bias) for _ in range(2)]
        )
        if shared:
            self.convs[1] = self.convs[0]
        self.last, self.shortcut, self.order = last, shortcut, order

    def forward(self, X):
        Y = X
        for norm, conv in zip(self.norms, self.convs, strict=True):
            steps = {"n": norm, "r": torch.relu, "c": conv}
            for step in self.order:
                Y = steps[step](Y)
        Y = Y + X if self.shortcut else Y
        return Y if self.last is None else self.last(Y)


def pre(**changes):
    return lambda c: Pre(c, **changes)


class ByFunctions(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.n1, self.n2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        self.c1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.c2 = nn.Conv2d(c, c, 3, padding="same", bias=False)

    def forward(self, X):
        return self.c2(self.n2(self.c1(self.n1(X).clamp(min=0))).relu()).add(X)


answers(
    "08.11",
    right=[Pre, ByFunctions, lambda c: nn.Sequential(Pre(c), nn.Identity())],
    wrong={
        "ReLU at the end": pre(last=torch.relu),
        "no shortcut": pre(shortcut=False),
        "with bias": pre(bias=True),
        "1×1": pre(k=1),
        "5×5": pre(k=5),
        "as in BasicBlock": lambda c: BasicBlock(c, c),
        "convolution first": pre(order="cnr"),
        "ReLU before norm": pre(order="rnc"),
        "no ReLU": pre(order="nc"),
        "no norm": pre(order="rc"),
        "one convolution twice": pre(shared=True),
        "only one of each": lambda c: nn.Sequential(
            nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1, bias=False)
        ),
        "double": lambda c: Pre(c).double(),
        "one channel": lambda c: Pre(1),
        "shortcut after the first norm": lambda c: nn.Sequential(nn.BatchNorm2d(c), Pre(c)),
    },
)


def cifar(n, width=16, stem=3, strides=(1, 2, 2), channels=3, classes=10, bias=False, extra=0, **b):
    net = nn.Sequential()
    net.append(nn.Conv2d(channels, width, stem, padding=stem // 2, bias=bias))
    net.append(nn.BatchNorm2d(width)).append(nn.ReLU())
    before = width
    for i, stride in enumerate(strides):
        after = width << i
        for j in range(n + extra):
            net.append(BasicBlock(before if j == 0 else after, after, stride if j == 0 else 1, **b))
        before = after
    return net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)])


def changed_cifar(**changes):
    return lambda n, width=16: cifar(n, width, **changes)


class Cifar(nn.Module):
    def __init__(self, n, width=16):
        super().__init__()
        self.conv, self.norm = nn.LazyConv2d(width, 3, padding=1, bias=False), nn.LazyBatchNorm2d()
        self.conv.in_channels = 3
        w = (width, width, 2 * width, 4 * width)
        self.stages = nn.ModuleList(
            nn.Sequential(
                BasicBlock(w[i], w[i + 1], 1 + (i > 0)),
                *(BasicBlock(w[i + 1], w[i + 1]) for _ in range(n - 1)),
            )
            for i in range(3)
        )
        self.fc = nn.Linear(4 * width, 10)

    def forward(self, X):
        X = F.relu(self.norm(self.conv(X)))
        for stage in self.stages:
            X = stage(X)
        return self.fc(X.mean(dim=(2, 3)))


def started(n, width=16):
    net = Cifar(n, width)
    net(torch.zeros(2, 3, 8, 8))
    return net


answers(
    "08.12",
    right=[cifar, started],
    wrong={
        "7×7 stem": changed_cifar(stem=7),
        "no halving": changed_cifar(strides=(1, 1, 1)),
        "halves in every stage": changed_cifar(strides=(2, 2, 2)),
        "four stages": changed_cifar(strides=(1, 2, 2, 2)),
        "one colour": changed_cifar(channels=1),
        "a thousand classes": changed_cifar(classes=1000),
        "bias in the stem": changed_cifar(bias=True),
        "a block more": changed_cifar(extra=1),
        "plain projections": changed_cifar(shortcut_norm=False),
        "width 16 always": lambda n, width=16: cifar(n, 16),
        "n is 1": lambda n, width=16: cifar(1, width),
        "a default width of 64": lambda n, width=64: cifar(n, width),
        "no ReLU in the stem": lambda n, width=16: nn.Sequential(
            *[layer for i, layer in enumerate(cifar(n, width)) if i != 2]
        ),
        "maximum at the end": lambda n, width=16: nn.Sequential(
            *[
                nn.AdaptiveMaxPool2d(1) if isinstance(layer, nn.AdaptiveAvgPool2d) else layer
                for layer in cifar(n, width)
            ]
        ),
        "softmax": lambda n, width=16: cifar(n, width).append(nn.Softmax(1)),
        "as for large images": lambda n, width=16: ResNet(BasicBlock, (n, n, n, n), 3, 10),
    },
)
