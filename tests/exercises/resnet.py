"""Answers to the exercises of chapter 08."""

import copy
import math
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.resnet import BasicBlock, Bottleneck, ResNet, resnet50
from exercises import answers


def checked(f, X, error=ValueError):
    Y = f(X)
    if Y.shape != X.shape:
        raise error
    return Y


answers(
    "08.1",
    right=[
        lambda f, X: (checked(f, X) + X).clamp(min=0),
        lambda f, X: nn.ReLU()(torch.stack([checked(f, X), X]).sum(0)),
    ],
    wrong={
        "no ReLU": lambda f, X: checked(f, X) + X,
        "ReLU first": lambda f, X: F.relu(checked(f, X)) + X,
        "no shortcut": lambda f, X: F.relu(checked(f, X)),
        "product": lambda f, X: F.relu(checked(f, X) * X),
        "broadcast": lambda f, X: F.relu(f(X) + X),
        "another error": lambda f, X: F.relu(checked(f, X, TypeError) + X),
        "in place": lambda f, X: F.relu(X.add_(checked(f, X))),
    },
)


def basic(c_in, c_out, stride, bias=0, needs=lambda a, b, s: s > 1 or a != b, norm=2):
    total = 9 * (c_in + c_out) * c_out + 2 * (2 + bias) * c_out
    return total + (c_in + norm) * c_out * needs(c_in, c_out, stride)


answers(
    "08.2",
    right=[
        basic,
        lambda a, b, stride: b * (9 * (a + b) + 4 + (a + 2) * (stride > 1 or a != b)),
    ],
    wrong={
        "built": lambda c_in, c_out, stride: sum(
            p.numel() for p in BasicBlock(c_in, c_out, stride).parameters()
        ),
        "no projection": partial(basic, needs=lambda *_: False),
        "always a projection": partial(basic, needs=lambda *_: True),
        "only with a stride": partial(basic, needs=lambda a, b, s: s > 1),
        "stride and channels": partial(basic, needs=lambda a, b, s: a != b and s > 1),
        "biases": partial(basic, bias=1),
        "projection without norm": partial(basic, norm=0),
        "the example": lambda c_in, c_out, stride: 230_144,
    },
)


def half(n):
    return (n + 1) // 2


def chain(side, halve=half, pooling=True):
    sides = [halve(halve(side)) if pooling else halve(side)] * 2
    for _ in range(3):
        sides.append(halve(sides[-1]))
    return sides


answers(
    "08.3",
    right=[
        chain,
        lambda side: torch.tensor([math.ceil(side / d) for d in (4, 4, 8, 16, 32)]),
    ],
    wrong={
        "rounded down": lambda side: chain(side, halve=lambda n: n // 2),
        "rounded": lambda side: chain(side, halve=lambda n: round(n / 2)),
        "no pooling": lambda side: chain(side, pooling=False),
        "a tensor of floats": lambda side: torch.tensor(chain(side)).float(),
    },
)


def on_meta(depths=(3, 4, 23, 3), device="meta", **settings):
    def build():
        with torch.device(device):
            return ResNet(Bottleneck, depths, **settings)

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
    right=[longer_resnet50, with_default_device],
    wrong={
        "another order": on_meta((3, 23, 4, 3)),
        "one colour": on_meta(in_channels=1),
        "on the CPU": on_meta((1, 1, 1, 1), device="cpu"),
    },
)


def by_filling(X, channels, start=(0, 0), behind=True):
    N, C, H, W = X.shape
    Y = X.new_zeros(N, channels, H // 2, W // 2)
    part = Y[:, :C] if behind else Y[:, channels - C :]
    part.copy_(X[:, :, start[0] :: 2, start[1] :: 2])
    return Y


def pooled(Y, channels):
    return F.pad(Y, (0, 0, 0, 0, 0, channels - Y.shape[1]))


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
    ],
    wrong={
        "odd rows": lambda X, channels: by_filling(X, channels, (1, 1)),
        "odd columns": lambda X, channels: by_filling(X, channels, (0, 1)),
        "zeros in front": lambda X, channels: by_filling(X, channels, behind=False),
        "average": lambda X, channels: pooled(F.avg_pool2d(X, 2), channels),
        "maximum": lambda X, channels: pooled(F.max_pool2d(X, 2), channels),
        "zeros on both sides": lambda X, channels: F.pad(
            X[..., ::2, ::2],
            (0, 0, 0, 0, (channels - X.shape[1]) // 2, -(-(channels - X.shape[1]) // 2)),
        ),
        "twice the channels": lambda X, channels: pooled(X[..., ::2, ::2], 2 * X.shape[1]),
    },
)


def same(Y):
    return Y


def block_of(block, X, inner=F.relu, last=F.relu, shortcut=1):
    Y = inner(block.norm1(block.conv1(X)))
    return last(block.norm2(block.conv2(Y)) + shortcut * block.shortcut(X))


def into_shortcut(block, X):
    Z = block.shortcut(X)
    Z += block.norm2(block.conv2(F.relu(block.norm1(block.conv1(X)))))
    return F.relu(Z)


answers(
    "08.6",
    right=[
        lambda block, X: block_of(block, X, inner=torch.relu_, last=torch.relu_),
        lambda block, X: torch.clamp(block_of(block, X, last=same), min=0),
    ],
    wrong={
        "into the shortcut": into_shortcut,
        "no shortcut": partial(block_of, shortcut=0),
        "no last ReLU": partial(block_of, last=same),
        "no inner ReLU": partial(block_of, inner=same),
        "ReLU first": lambda block, X: block_of(block, X, shortcut=0) + block.shortcut(X),
        "X only where it fits": lambda block, X: block_of(
            block, X, shortcut=block.conv1.in_channels == block.conv1.out_channels
        ),
        "added twice": partial(block_of, shortcut=2),
        "in training mode": lambda block, X: block_of(copy.deepcopy(block).train(), X),
    },
)

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def prepared(pixels, scale=255, mean=MEAN, std=STD, axes=(2, 0, 1)):
    return ((pixels.float() / scale - mean) / std).permute(axes)[None]


answers(
    "08.7",
    right=[
        prepared,
        lambda pixels: (
            (pixels[None].movedim(-1, 1) / 255.0 - MEAN.view(1, 3, 1, 1)) / STD.view(1, 3, 1, 1)
        ),
    ],
    wrong={
        "not scaled": partial(prepared, scale=1),
        "transposed": partial(prepared, axes=(2, 1, 0)),
        "channels last": partial(prepared, axes=(0, 1, 2)),
        "mean and std exchanged": partial(prepared, mean=STD, std=MEAN),
        "blue, green, red": lambda pixels: prepared(pixels.flip(2)),
        "statistics in the wrong order": partial(prepared, mean=MEAN.flip(0), std=STD.flip(0)),
        "reshaped and scaled": lambda pixels: (
            (pixels.reshape(1, 3, *pixels.shape[:2]) / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
        ),
        "double": lambda pixels: prepared(pixels).double(),
    },
)


def zero(pick, part="weight"):
    def change(net):
        blocks = [m for m in net.modules() if hasattr(m, "conv2")]
        for layer in [layer for block in blocks for layer in pick(block)]:
            nn.init.zeros_(getattr(layer, part))
        return len(blocks)

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


answers(
    "08.8",
    right=[by_names, zero(last_norm)],
    wrong={
        "nothing": lambda net: sum(hasattr(m, "conv2") for m in net.modules()),
        "always norm2": zero(lambda block: [block.norm2]),
        "norm2 and norm3": zero(lambda b: [b.norm2, getattr(b, "norm3", b.norm2)]),
        "norm1": zero(lambda block: [block.norm1]),
        "the very last": zero(
            lambda block: [[m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1]]
        ),
        "running variance": zero(last_norm, part="running_var"),
        "the convolution": zero(lambda block: [getattr(block, "conv3", block.conv2)]),
        "on a copy": lambda net: by_names(copy.deepcopy(net)),
        "first block only": lambda net: zero(last_norm)(net[2]) + len(list(net.children())) - 3,
    },
)


def growth(blocks, measure=lambda Y: torch.linalg.vector_norm(Y) / Y.numel() ** 0.5, mode=True):
    net = nn.Sequential(*[BasicBlock(64, 64) for _ in range(blocks)]).train(mode)
    with torch.no_grad():
        return measure(net(torch.randn(8, 64, 8, 8))).item()


def by_loop(blocks):
    X = torch.randn(8, 64, 8, 8)
    for _ in range(blocks):
        X = BasicBlock(64, 64)(X).detach()
    return X.square().mean() ** 0.5


answers(
    "08.9",
    right=[growth, by_loop],
    wrong={
        "standard deviation": partial(growth, measure=torch.std),
        "a formula": lambda blocks: (0.75 * blocks + 0.25) ** 0.5,
        "evaluation mode": partial(growth, mode=False),
        "the same block again": lambda blocks: growth(1) * blocks,
    },
    equivalent={
        "arguments exchanged in 'BasicBlock(64, 64)'": "both are 64",
    },
)


def shared_with(net, new):
    new.conv1.weight.data = net.conv1.weight.data
    return new


def transfer(net, num_classes, make=copy.deepcopy, freeze=True, spoil=lambda new: None):
    new = make(net).requires_grad_(not freeze)
    new.fc = nn.Linear(net.fc.weight.shape[1], num_classes).to(net.fc.weight.dtype)
    spoil(new)
    return new


def by_names_afterwards(net, num_classes):
    new = copy.deepcopy(net)
    new.fc = nn.Linear(new.fc.in_features, num_classes).to(net.fc.weight)
    for name, p in new.named_parameters():
        p.requires_grad = name.startswith("fc.")
    return new


answers(
    "08.10",
    right=[transfer, by_names_afterwards],
    wrong={
        "nothing frozen": partial(transfer, freeze=False),
        "all frozen": lambda net, num_classes: transfer(net, num_classes).requires_grad_(False),
        "in place": partial(transfer, make=lambda net: net),
        "the original frozen, too": lambda net, num_classes: transfer(
            net.requires_grad_(False), num_classes
        ),
        "weights that are shared": lambda net, num_classes: shared_with(
            net, transfer(net, num_classes)
        ),
        "no bias": partial(transfer, spoil=lambda new: new.fc.register_parameter("bias", None)),
        "normalisations learn": partial(transfer, spoil=lambda new: new.norm1.requires_grad_(True)),
        "the last stage learns": partial(
            transfer, spoil=lambda new: new.stage1.requires_grad_(True)
        ),
        "a new network": partial(transfer, spoil=lambda new: nn.init.normal_(new.conv1.weight)),
        "half of the weights zero": partial(
            transfer, spoil=lambda new: nn.init.zeros_(new.norm1.weight)
        ),
    },
)


class Pre(nn.Module):
    def __init__(self, c, last=None, shortcut=True, order="nrc", shared=False):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for _ in range(2)])
        convs = [nn.Conv2d(c, c, 3, padding=1, bias=False) for _ in range(2)]
        self.convs = nn.ModuleList(convs[:1] * 2 if shared else convs)
        self.last, self.shortcut, self.order = last, shortcut, order

    def forward(self, X):
        Y = X
        for norm, conv in zip(self.norms, self.convs, strict=True):
            steps = {"n": norm, "r": torch.relu, "c": conv}
            for step in self.order:
                Y = steps[step](Y)
        Y = Y + X if self.shortcut else Y
        return Y if self.last is None else self.last(Y)


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
    right=[Pre, ByFunctions],
    wrong={
        "ReLU at the end": partial(Pre, last=torch.relu),
        "no shortcut": partial(Pre, shortcut=False),
        "as in BasicBlock": lambda c: BasicBlock(c, c),
        "ReLU before norm": partial(Pre, order="rnc"),
        "one convolution twice": partial(Pre, shared=True),
        "shortcut after the first norm": lambda c: nn.Sequential(nn.BatchNorm2d(c), Pre(c)),
    },
)


def cifar(n, width=16, relu=nn.ReLU, **options):
    net = nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), relu())
    before = width
    for i, stride in enumerate((1, 2, 2)):
        after = width << i
        net.append(BasicBlock(before, after, stride, **options))
        net.extend([BasicBlock(after, after, **options) for _ in range(n - 1)])
        before = after
    return net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10)])


class Cifar(nn.Module):
    def __init__(self, n, width=16):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        sizes = [width] * (n + 1) + [2 * width] * n + [4 * width] * n
        self.blocks = nn.ModuleList(BasicBlock(a, b, 1 + (a < b)) for a, b in pairwise(sizes))
        self.fc = nn.Linear(4 * width, 10)

    def forward(self, X):
        X = F.relu(self.norm(self.conv(X)))
        for block in self.blocks:
            X = block(X)
        return self.fc(X.mean(dim=(2, 3)))


answers(
    "08.12",
    right=[cifar, Cifar],
    wrong={
        "plain projections": partial(cifar, shortcut_norm=False),
        "no ReLU in the stem": partial(cifar, relu=nn.Identity),
        "as for large images": lambda n, width=16: ResNet(BasicBlock, (n, n, n, n), 3, 10),
    },
)
