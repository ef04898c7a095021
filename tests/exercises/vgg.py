"""Answers to the exercises of chapter 06."""

import math
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.vgg import block_from, config_from, headed, started
from course_utils.nets.alexnet import dense_head
from course_utils.nets.vgg import VGG, VGG_DEPTHS, VGG_WIDTHS, vgg_block
from exercises import answers

ANY_COUNT = "an experiment of another size gives the same spread, within the band"
FIRST = "there is one image with one channel: the last is the first"
REPLACED = "the head that this makes is replaced"

answers(
    "06.1",
    right=[
        lambda r: math.ceil((r - 1) / 2),
        lambda r: len(range(1, r, 2)),
        lambda r: next(depth for depth in range(r) if 2 * depth + 1 >= r),
    ],
    wrong={
        "rounded down": lambda r: (r - 1) // 2,
        "one more": lambda r: r // 2 + 1,
        "thirds": lambda r: math.ceil(r / 3),
        "a float": lambda r: (r - 1) / 2,
        "steps of 3": lambda r: len(range(1, r, 3)),
        "not less than one": lambda r: max(1, r // 2),
        "with a pool": lambda r: math.ceil(math.log2(r)),
    },
)


def saving(r, channels, depth=lambda r: (r - 1) // 2, square=2):
    return r**2 * channels**square - depth(r) * 9 * channels**square


answers(
    "06.2",
    right=[
        saving,
        lambda r, channels: channels**2 * (r * r - 9 * (r // 2)),
        lambda r, channels: channels * channels * (2 * r * r - 9 * r + 9) // 2,
    ],
    wrong={
        "channels once": lambda r, channels: saving(r, channels, square=1),
        "one layer": lambda r, channels: saving(r, channels, depth=lambda r: 1),
        "cost": lambda r, channels: 9 * (r // 2) * channels**2,
        "sign": lambda r, channels: -saving(r, channels),
        "a share": lambda r, channels: 1 - 9 * (r // 2) / r**2,
    },
)


def flat(n, shrink):
    for _ in range(5):
        n //= 2
    return 512 // shrink * n**2


answers(
    "06.3",
    right=[
        flat,
        lambda n, shrink: (512 // shrink) * (n >> 5) * (n >> 5),
        lambda n, shrink: torch.tensor([512 // shrink, n // 32, n // 32]).prod(),
    ],
    wrong={
        "shrink twice": lambda n, shrink: flat(n, shrink * shrink),
        "rounded up": lambda n, shrink: 512 // shrink * math.ceil(n / 32) ** 2,
        "a float": lambda n, shrink: 512 / shrink * (n // 32) ** 2,
    },
)


class Block(nn.Module):
    def __init__(self, num_convs, in_channels, out_channels):
        super().__init__()
        sizes = pairwise([in_channels] + [out_channels] * num_convs)
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, 1, 1, bias=False) for a, b in sizes])
        self.norms = nn.ModuleList([nn.BatchNorm2d(out_channels) for _ in self.convs])

    def forward(self, X):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            X = F.relu(norm(conv(X)))
        return F.max_pool2d(X, 2)


def nested_block(num_convs, in_channels, out_channels):
    block = nn.Sequential()
    for _ in range(num_convs):
        conv = nn.LazyConv2d(out_channels, 3, padding="same", bias=False)
        block.append(nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)))
    block.append(nn.MaxPool2d(2, 2))
    block(torch.zeros(1, in_channels, 4, 4))
    return block


answers(
    "06.4",
    right=[Block, nested_block, block_from("cbr")],
    wrong={
        "norm after ReLU": block_from("crb"),
        "norm before the convolution": lambda num_convs, a, b: nn.Sequential(
            nn.BatchNorm2d(a), *vgg_block(num_convs, a, b)
        ),
        "with biases": block_from("cbr", bias=True),
        "without norm": vgg_block,
        "without ReLU": block_from("cb"),
        "not padded": block_from("cbr", padding=0),
        "one more": lambda num_convs, a, b: Block(num_convs + 1, a, b),
        "channels exchanged": lambda num_convs, a, b: Block(num_convs, b, a),
        "pool rounds up": lambda *sizes: nn.Sequential(
            *block_from("cbr")(*sizes)[:-1], nn.MaxPool2d(2, ceil_mode=True)
        ),
    },
)


class ConfigC(nn.Module):
    def __init__(self, in_channels, num_classes, input_size, shrink, hidden):
        super().__init__()
        a, b, c, d, e = (width // shrink for width in VGG_WIDTHS)
        self.blocks = nn.ModuleList([vgg_block(2, in_channels, a), vgg_block(2, a, b)])
        for before, width in ((b, c), (c, d), (d, e)):
            block = vgg_block(2, before, width)
            block.insert(4, nn.Conv2d(width, width, 1))
            block.insert(5, nn.ReLU())
            self.blocks.append(block)
        self.head = dense_head(e * (input_size // 32) ** 2, hidden, num_classes)

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return self.head(X)


def without_relus(*sizes):
    net = ConfigC(*sizes)
    for block in net.blocks[2:]:
        block[5] = nn.Identity()
    return net


def windows(*last_three):
    return config_from([(3, 3), (3, 3), *last_three])


ONE = (3, 3, 1)

answers(
    "06.5",
    right=[ConfigC, windows(ONE, ONE, ONE)],
    wrong={
        "D": windows(*[(3, 3, 3)] * 3),
        "B": windows(*[(3, 3)] * 3),
        "first": windows(*[(1, 3, 3)] * 3),
        "second": windows(*[(3, 1, 3)] * 3),
        "from block 2 on": config_from([(3, 3), ONE, ONE, ONE, ONE]),
        "no ReLU behind": without_relus,
    },
)


answers(
    "06.6",
    right=[nn.Flatten(), lambda X: X.contiguous().view(X.shape[0], -1)],
    wrong={
        "one image": lambda X: X.reshape(1, -1),
        "everything": lambda X: X.flatten(),
        "view": lambda X: X.view(len(X), -1),
        "batches of 128 by reshape": lambda X: X.reshape(128, -1),
        "channels are examples": lambda X: X.flatten(0, 1).flatten(1),
        "pixels are examples": lambda X: X.reshape(-1, X.shape[1]),
        "channels last": lambda X: X.permute(0, 2, 3, 1).flatten(1),
        "mean": lambda X: X.mean((2, 3)),
        "float32": lambda X: X.flatten(1).float(),
    },
)


def started_by_apply(config, shrink):
    def start(module):
        if hasattr(module, "weight"):
            module.weight.data.normal_(0, (2 / module.weight[0].numel()) ** 0.5)
            module.bias.data.zero_()

    return VGG(config, input_size=32, shrink=shrink, hidden=64).apply(start)


answers(
    "06.7",
    right=[started(), started_by_apply],
    wrong={
        "default": lambda config, shrink: VGG(config, input_size=32, shrink=shrink, hidden=64),
        "no dense layers": started((nn.Conv2d,)),
        "linear": started(nonlinearity="linear"),
        "tanh": started(nonlinearity="tanh"),
        "fan-out": started(mode="fan_out"),
        "uniform": started(draw=nn.init.kaiming_uniform_),
        "Xavier, with the gain of ReLU": started(draw=nn.init.xavier_normal_, gain=2**0.5),
        "biases left": started(biases=False),
    },
    equivalent={
        "32 -> 33": "33 pixels, halved five times, leave one place as 32 do",
        "nonlinearity= dropped in 'nn.init.kaiming_normal_(module.weight, "
        "nonlinearity='relu')'": "the default, a leaky ReLU of slope 0, is ReLU",
    },
)


def by_state(small, large):
    large.load_state_dict(small.state_dict(), strict=False)
    return large


def by_parameters(small, large):
    old = dict(small.named_parameters())
    for name, p in large.named_parameters():
        if name in old:
            p.data = old[name].data.clone()
    return large


def only(part):
    """Copies what has this in its name."""

    def grow(small, large):
        chosen = {name: p for name, p in small.state_dict().items() if part in name}
        large.load_state_dict(chosen, strict=False)
        return large

    return grow


def the_rest_cleared(small, large):
    for p in large.parameters():
        nn.init.zeros_(p)
    return by_state(small, large)


def in_order(small, large):
    """The convolutions of A into the first ones of B, by number; those that do not fit are left."""
    old, new = ([m for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (small, large))
    large.head.load_state_dict(small.head.state_dict())
    for a, b in zip(old, new, strict=False):
        if a.weight.shape == b.weight.shape:
            b.load_state_dict(a.state_dict())
    return large


def into_the_second(small, large):
    large.head.load_state_dict(small.head.state_dict())
    for a, b in zip(small.features, large.features, strict=True):
        if a[0].weight.shape == b[2].weight.shape:
            b[2].load_state_dict(a[0].state_dict())
    return large


answers(
    "06.8",
    right=[by_state, by_parameters],
    wrong={
        "nothing": lambda small, large: large,
        "small": lambda small, large: small,
        "no head": only("features"),
        "no biases": only("weight"),
        "by number": in_order,
        "second for first": into_the_second,
        "other way": lambda small, large: (by_state(large, small), large)[1],
        "the rest is cleared": the_rest_cleared,
    },
)


def bytes_of(config, n, size=4, each=lambda d: d, halve=lambda s: s // 2, first=1):
    total, side = 0, n // first
    for depth, width in zip(VGG_DEPTHS[config], VGG_WIDTHS, strict=True):
        total += size * each(depth) * width * side**2
        side = halve(side)
    return total


answers(
    "06.9",
    right=[
        bytes_of,
        lambda config, n: sum(
            4 * VGG_DEPTHS[config][i] * VGG_WIDTHS[i] * (n >> i) ** 2 for i in range(5)
        ),
    ],
    wrong={
        "numbers": partial(bytes_of, size=1),
        "one per block": partial(bytes_of, each=lambda depth: 1),
        "with the ReLUs": partial(bytes_of, each=lambda depth: 2 * depth),
        "not rounded": partial(bytes_of, halve=lambda side: side / 2),
        "halved first": partial(bytes_of, first=2),
    },
    equivalent={
        "strict= dropped in 'zip(VGG_DEPTHS[config], VGG_WIDTHS, strict=True)'": "both have five",
        "True -> False": "both have five",
    },
)


class Light(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.body = VGG(config, input_size=40, shrink=8, hidden=3).features
        self.last = nn.Linear(64, 10)

    def forward(self, X):
        return self.last(self.body(X).mean(dim=(2, 3)))


def light(pool=nn.AdaptiveAvgPool2d, size=1, more=(), bias=True):
    def build(config):
        features = VGG(config, input_size=32, hidden=3, shrink=8).features
        last = nn.Linear(64 * size**2, 10, bias)
        return nn.Sequential(features, pool(size), nn.Flatten(), *more, last)

    return build


answers(
    "06.10",
    right=[Light, headed(nn.AdaptiveAvgPool2d((1, 1)))],
    wrong={
        "maximum": light(nn.AdaptiveMaxPool2d),
        "two by two": light(size=2),
        "hidden layer": light(more=[nn.Linear(64, 64), nn.ReLU()]),
        "softmax": lambda config: nn.Sequential(light()(config), nn.Softmax(dim=1)),
        "features": lambda config: Light(config).body,
        "without a bias": light(bias=False),
    },
    equivalent={
        "32 -> 33": REPLACED,
        "64 -> 65": REPLACED,
        "64 -> 63": REPLACED,
        "input_size= dropped in 'VGG(config, input_size=32, shrink=8, hidden=64)'": REPLACED,
        "hidden= dropped in 'VGG(config, input_size=32, shrink=8, hidden=64)'": REPLACED,
    },
)


def spread(depth, power=2, dims=1, move=0, root=0.5, mean=False):
    side, total = 2 * depth + 1, 0
    for _ in range(30):
        widths = pairwise([1] + [12] * depth)
        net = nn.Sequential(*[nn.Conv2d(a, b, 3, bias=False) for a, b in widths])
        X = torch.rand(1, 1, side, side).requires_grad_()
        net(X).sum().backward()
        total = total + X.grad[0, 0].abs() ** power
    shares = (total / total.sum()).sum(dim=dims)
    distance = torch.arange(side, dtype=torch.float) - side // 2 + move
    return float((shares * (distance.abs() if mean else distance**2)).sum() ** root)


def spread_of_all_at_once(depth):
    side = 2 * depth + 1
    images = [torch.zeros(1, 1, side, side, requires_grad=True) for _ in range(20)]
    widths = [*pairwise([1] + [16] * depth)]
    nets = [nn.Sequential(*[nn.Conv2d(a, b, 3) for a, b in widths]) for _ in images]
    total = sum(net(X).sum() for net, X in zip(nets, images, strict=True))
    rows = torch.cat(torch.autograd.grad(total, images)).square().sum((0, 1, 3))
    distance = torch.arange(-depth, depth + 1.0)
    return (rows @ distance**2 / rows.sum()) ** 0.5


answers(
    "06.11",
    right=[
        partial(spread, dims=0),
        spread_of_all_at_once,
    ],
    wrong={
        "a formula": lambda depth: (2 * depth / 3) ** 0.5,
        "not squared": partial(spread, power=1),
        "mean distance": partial(spread, root=1, mean=True),
        "one row off": partial(spread, move=1),
    },
    equivalent={
        "20 -> 21": ANY_COUNT,
        "ones for zeros": "the net is linear: what the image is does not matter",
        "mean for sum #3": "the scale of the gradients does not matter",
        "1 -> 2 #3": "a second image changes nothing: the first is looked at",
        "0 -> -1 #2": FIRST,
        "0 -> -1 #3": FIRST,
        "1 -> 0 #5": "columns behave as rows",
        ".sum() dropped in 'total.sum(dim=1)'": "the sum at the end adds up the rows as well",
    },
)
