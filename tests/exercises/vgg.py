"""Answers to the exercises of chapter 06."""

import copy
import math

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
        "r - 2": lambda r: r - 2,
        "a float": lambda r: (r - 1) / 2,
        "steps of 3": lambda r: len(range(1, r, 3)),
        "not less than one": lambda r: max(1, r // 2),
        "with a pool": lambda r: math.ceil(math.log2(r)),
        "the example": lambda r: 3,
        "pixels": lambda r: 2 * r + 1,
        "rounded to even": lambda r: round((r - 1) / 2),
    },
)


def saving(r, channels, depth=lambda r: (r - 1) // 2, square=2, k=3):
    return r**2 * channels**square - depth(r) * k**2 * channels**square


answers(
    "06.2",
    right=[
        saving,
        lambda r, channels: channels**2 * (r * r - 9 * (r // 2)),
        lambda r, channels: channels * channels * (2 * r * r - 9 * r + 9) // 2,
        lambda r, channels: (
            nn.Conv2d(channels, channels, r).weight.numel()
            - r // 2 * nn.Conv2d(channels, channels, 3).weight.numel()
        ),
    ],
    wrong={
        "with biases": lambda r, channels: saving(r, channels) + channels * (1 - r // 2),
        "channels once": lambda r, channels: saving(r, channels, square=1),
        "one layer": lambda r, channels: saving(r, channels, depth=lambda r: 1),
        "one layer more": lambda r, channels: saving(r, channels, depth=lambda r: (r + 1) // 2),
        "thirds": lambda r, channels: saving(r, channels, depth=lambda r: r // 3),
        "windows of 5": lambda r, channels: saving(r, channels, k=5),
        "cost": lambda r, channels: 9 * (r // 2) * channels**2,
        "cost of one window": lambda r, channels: r * r * channels**2,
        "sign": lambda r, channels: -saving(r, channels),
        "a share": lambda r, channels: 1 - 9 * (r // 2) / r**2,
        "a float": lambda r, channels: (r**2 - 9 * (r - 1) / 2) * channels**2,
        "channels ignored": lambda r, channels: saving(r, 1),
        "r once": lambda r, channels: (3 * r - 9 * (r // 2)) * channels**2,
    },
)


def flat(n, shrink, halvings=5, channels=512, sides=2):
    for _ in range(halvings):
        n //= 2
    return channels // shrink * n**sides


answers(
    "06.3",
    right=[
        flat,
        lambda n, shrink: (512 // shrink) * (n >> 5) * (n >> 5),
        lambda n, shrink: torch.tensor([512 // shrink, n // 32, n // 32]).prod(),
    ],
    wrong={
        "four halvings": lambda n, shrink: flat(n, shrink, halvings=4),
        "six halvings": lambda n, shrink: flat(n, shrink, halvings=6),
        "one side": lambda n, shrink: flat(n, shrink, sides=1),
        "256 channels": lambda n, shrink: flat(n, shrink, channels=256),
        "1024 channels": lambda n, shrink: flat(n, shrink, channels=1024),
        "shrink ignored": lambda n, shrink: flat(n, 1),
        "shrink twice": lambda n, shrink: flat(n, shrink * shrink),
        "224 always": lambda n, shrink: flat(224, shrink),
        "rounded up": lambda n, shrink: 512 // shrink * math.ceil(n / 32) ** 2,
        "not rounded": lambda n, shrink: 512 * n * n // 1024 // shrink,
        "the width of the head": lambda n, shrink: 4096 // shrink,
        "a float": lambda n, shrink: 512 / shrink * (n // 32) ** 2,
    },
)


class Block(nn.Module):
    def __init__(self, num_convs, in_channels, out_channels):
        super().__init__()
        sizes = [in_channels] + [out_channels] * num_convs
        self.convs = nn.ModuleList(
            [nn.Conv2d(a, b, 3, 1, 1, bias=False) for a, b in zip(sizes, sizes[1:], strict=False)]
        )
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


def changed_block(**changes):
    """The right block with some layers of a type replaced: {type name: layer -> layer}."""

    def build(*sizes):
        block = block_from("cbr")(*sizes)
        for i, layer in enumerate(block):
            block[i] = changes.get(type(layer).__name__, lambda layer: layer)(layer)
        return block

    return build


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
        "no norm, no bias": block_from("cr"),
        "without ReLU": block_from("cb"),
        "not padded": block_from("cbr", padding=0),
        "one convolution always": lambda num_convs, a, b: Block(1, a, b),
        "one more": lambda num_convs, a, b: Block(num_convs + 1, a, b),
        "channels exchanged": lambda num_convs, a, b: Block(num_convs, b, a),
        "without a pool": lambda *sizes: block_from("cbr")(*sizes)[:-1],
        "average pool": changed_block(MaxPool2d=lambda layer: nn.AvgPool2d(2)),
        "overlapping pool": changed_block(MaxPool2d=lambda layer: nn.MaxPool2d(3, 2)),
        "pool rounds up": changed_block(MaxPool2d=lambda layer: nn.MaxPool2d(2, ceil_mode=True)),
        "instance norm": changed_block(
            BatchNorm2d=lambda layer: nn.InstanceNorm2d(layer.num_features, affine=True)
        ),
        "group norm": changed_block(
            BatchNorm2d=lambda layer: nn.GroupNorm(1, layer.num_features),
        ),
        "norm without weights": changed_block(
            BatchNorm2d=lambda layer: nn.BatchNorm2d(layer.num_features, affine=False)
        ),
        "sigmoid": changed_block(ReLU=lambda layer: nn.Sigmoid()),
        "a list": lambda *sizes: list(block_from("cbr")(*sizes)),
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


def c_with(change):
    """Configuration C, changed afterwards."""

    def build(in_channels, num_classes, input_size, shrink, hidden):
        net = ConfigC(in_channels, num_classes, input_size, shrink, hidden)
        return change(net) or net

    return build


def without_relus(net):
    for block in net.blocks[2:]:
        block[5] = nn.Identity()


def windows(*last_three):
    return config_from([(3, 3), (3, 3), *last_three])


ONE = (3, 3, 1)

answers(
    "06.5",
    right=[
        ConfigC,
        windows(ONE, ONE, ONE),
        c_with(lambda net: nn.Sequential(*net.blocks, *net.head)),
    ],
    wrong={
        "D": windows(*[(3, 3, 3)] * 3),
        "B": windows(*[(3, 3)] * 3),
        "first": windows(*[(1, 3, 3)] * 3),
        "second": windows(*[(3, 1, 3)] * 3),
        "not in block 3": windows((3, 3, 3), ONE, ONE),
        "not in block 5": windows(ONE, ONE, (3, 3, 3)),
        "from block 2 on": config_from([(3, 3), ONE, ONE, ONE, ONE]),
        "windows of 5": windows(*[(3, 3, 5)] * 3),
        "one more": windows(*[(3, 3, 3, 1)] * 3),
        "E": windows(*[(3, 3, 1, 1)] * 3),
        "no ReLU behind": c_with(without_relus),
        "features only": c_with(lambda net: nn.Sequential(*net.blocks)),
        "head only": c_with(lambda net: net.head),
        "a pair": c_with(lambda net: (net.blocks, net.head)),
        "shrink ignored": lambda in_channels, num_classes, input_size, shrink, hidden: ConfigC(
            in_channels, num_classes, input_size, 8, hidden
        ),
        "hidden ignored": lambda in_channels, num_classes, input_size, shrink, hidden: ConfigC(
            in_channels, num_classes, input_size, shrink, 64
        ),
    },
)


answers(
    "06.6",
    right=[
        nn.Flatten(),
        lambda X: X.reshape(len(X), -1),
        lambda X: X.contiguous().view(X.shape[0], -1),
        lambda X: torch.stack([image.flatten() for image in X]),
    ],
    wrong={
        "one image": lambda X: X.reshape(1, -1),
        "everything": lambda X: X.flatten(),
        "view": lambda X: X.view(len(X), -1),
        "batches of 2": lambda X: X.reshape(2, -1),
        "batches of 128 by reshape": lambda X: X.reshape(128, -1),
        "channels are examples": lambda X: X.flatten(0, 1).flatten(1),
        "pixels are examples": lambda X: X.reshape(-1, X.shape[1]),
        "pixels only": lambda X: X.flatten(2),
        "channels last": lambda X: X.permute(0, 2, 3, 1).flatten(1),
        "mean": lambda X: X.mean((2, 3)),
        "transposed": lambda X: X.flatten(1).T,
        "detached": lambda X: X.detach().flatten(1),
        "by NumPy": lambda X: torch.from_numpy(X.detach().numpy().reshape(len(X), -1)),
        "float32": lambda X: X.flatten(1).float(),
    },
)


def started_by_apply(config, shrink):
    def start(module):
        if hasattr(module, "weight"):
            module.weight.data.normal_(0, (2 / module.weight[0].numel()) ** 0.5)
            module.bias.data.zero_()

    return VGG(config, input_size=32, shrink=shrink, hidden=64).apply(start)


def started_linear_first(config, shrink):
    net = VGG(config, input_size=32, shrink=shrink, hidden=64)
    for kind in (nn.Linear, nn.Conv2d):
        for module in net.modules():
            if isinstance(module, kind):
                nn.init.kaiming_normal_(module.weight, mode="fan_in")
                nn.init.constant_(module.bias, 0)
    return net


def then(change):
    def build(config, shrink):
        net = started()(config, shrink)
        return change(net) or net

    return build


answers(
    "06.7",
    right=[started(), started_by_apply, started_linear_first],
    wrong={
        "default": lambda config, shrink: VGG(config, input_size=32, shrink=shrink, hidden=64),
        "no dense layers": started((nn.Conv2d,)),
        "no convolutions": started((nn.Linear,)),
        "linear": started(nonlinearity="linear"),
        "tanh": started(nonlinearity="tanh"),
        "selu": started(nonlinearity="selu"),
        "fan-out": started(mode="fan_out"),
        "uniform": started(draw=nn.init.kaiming_uniform_),
        "Xavier": started(draw=nn.init.xavier_normal_),
        "Xavier, with the gain of ReLU": started(draw=nn.init.xavier_normal_, gain=2**0.5),
        "as in 2014": started(draw=nn.init.normal_, std=0.01),
        "biases left": started(biases=False),
        "biases of one": then(
            lambda net: [nn.init.ones_(p) for p in net.parameters() if p.ndim == 1].clear()
        ),
        "zeros": started(draw=nn.init.zeros_),
        "another hidden layer": then(
            lambda net: setattr(
                net, "head", dense_head(net.head[1].in_features, 32, 10).apply(zero)
            )
        ),
        "features only": then(lambda net: net.features),
        "another shrink": lambda config, shrink: started()(config, 8),
        "another configuration": lambda config, shrink: started()("B", shrink),
    },
    equivalent={
        "32 -> 33": "33 pixels, halved five times, leave one place as 32 do",
        "nonlinearity= dropped in 'nn.init.kaiming_normal_(module.weight, "
        "nonlinearity='relu')'": "the default, a leaky ReLU of slope 0, is ReLU",
    },
)


def zero(module):
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)


def by_state(small, large):
    large.load_state_dict(small.state_dict(), strict=False)
    return large


def by_parameters(small, large):
    old = dict(small.named_parameters())
    for name, p in large.named_parameters():
        if name in old:
            p.data = old[name].data.clone()
    return large


def but(spoil):
    """Grown, and then something is wrong."""

    def grow(small, large):
        before = copy.deepcopy(large)
        by_state(small, large)
        return spoil(small, large, before) or large

    return grow


def only(kind, names):
    def grow(small, large):
        for name, module in small.named_modules():
            if isinstance(module, kind):
                new = large.get_submodule(name)
                for field in names:
                    getattr(new, field).data.copy_(getattr(module, field))
        return large

    return grow


BOTH = nn.Conv2d | nn.Linear


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
    right=[by_state, by_parameters, only(BOTH, ["weight", "bias"])],
    wrong={
        "nothing": lambda small, large: large,
        "small": lambda small, large: small,
        "a copy": lambda small, large: by_state(small, copy.deepcopy(large)),
        "no head": only(nn.Conv2d, ["weight", "bias"]),
        "head only": only(nn.Linear, ["weight", "bias"]),
        "no biases": only(BOTH, ["weight"]),
        "no weights": only(BOTH, ["bias"]),
        "by number": in_order,
        "second for first": into_the_second,
        "other way": lambda small, large: (
            small.load_state_dict(
                {k: v for k, v in large.state_dict().items() if k in small.state_dict()}
            ),
            large,
        )[1],
        "the rest is cleared": but(
            lambda small, large, before: [
                nn.init.zeros_(p)
                for name, p in large.named_parameters()
                if name not in dict(small.named_parameters())
            ].clear()
        ),
        "first blocks only": but(
            lambda small, large, before: (
                large.features[4].load_state_dict(before.features[4].state_dict()) and None
            )
        ),
        "second convolutions not": but(
            lambda small, large, before: [
                large.features[i][2].load_state_dict(before.features[i][2].state_dict())
                for i in (2, 3, 4)
            ].clear()
        ),
        "returns nothing": lambda small, large: by_state(small, large) and None,
        "state": lambda small, large: by_state(small, large).state_dict(),
    },
)


def bytes_of(
    config, n, size=4, each=lambda d: d, halve=lambda s: s // 2, sides=2, first=1, parts=slice(None)
):
    total, side = 0, n // first
    for depth, width in list(zip(VGG_DEPTHS[config], VGG_WIDTHS, strict=True))[parts]:
        total += size * each(depth) * width * side**sides
        side = halve(side)
    return total


def bytes_on_meta(config, n):
    total = 0
    with torch.device("meta"):
        X = torch.zeros(1, 1, n, n)
        for block in VGG(config, input_size=n).features:
            for layer in block:
                X = layer(X)
                total += X.numel() * X.element_size() if isinstance(layer, nn.Conv2d) else 0
    return total


def memory(**changes):
    return lambda config, n: bytes_of(config, n, **changes)


answers(
    "06.9",
    right=[
        bytes_of,
        bytes_on_meta,
        lambda config, n: sum(
            4 * VGG_DEPTHS[config][i] * VGG_WIDTHS[i] * (n >> i) ** 2 for i in range(5)
        ),
    ],
    wrong={
        "numbers": memory(size=1),
        "float64": memory(size=8),
        "bits": memory(size=32),
        "one per block": memory(each=lambda depth: 1),
        "with the ReLUs": memory(each=lambda depth: 2 * depth),
        "with the pool": memory(each=lambda depth: depth + 0.25),
        "one too many": memory(each=lambda depth: depth + 1),
        "not halved": memory(halve=lambda side: side),
        "rounded up": memory(halve=lambda side: -(-side // 2)),
        "not rounded": memory(halve=lambda side: side / 2),
        "one side": memory(sides=1),
        "halved first": memory(first=2),
        "without the last block": memory(parts=slice(4)),
        "first block": memory(parts=slice(1)),
        "configuration ignored": lambda config, n: bytes_of("A", n),
        "n ignored": lambda config, n: bytes_of(config, 224),
        "megabytes": lambda config, n: bytes_of(config, n) / 1e6,
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


def light(pool=nn.AdaptiveAvgPool2d, size=1, classes=10, more=(), **options):
    def build(config):
        options.setdefault("shrink", 8)
        features = VGG(config, input_size=32, hidden=3, **options).features
        width = 512 // options["shrink"] * size**2
        return nn.Sequential(features, pool(size), nn.Flatten(), *more, nn.Linear(width, classes))

    return build


answers(
    "06.10",
    right=[Light, light(), headed(nn.AdaptiveAvgPool2d((1, 1)))],
    wrong={
        "heavy head": lambda config: VGG(config, input_size=32, shrink=8, hidden=64),
        "maximum": light(nn.AdaptiveMaxPool2d),
        "two by two": light(size=2),
        "a fixed pool": light(lambda size: nn.AvgPool2d(1)),
        "no pool": light(lambda size: nn.Identity()),
        "full width": light(shrink=1),
        "a quarter as wide": light(shrink=4),
        "three channels": light(in_channels=3),
        "eleven classes": light(classes=11),
        "hidden layer": light(more=[nn.Linear(64, 64), nn.ReLU()]),
        "softmax": lambda config: nn.Sequential(light()(config), nn.Softmax(dim=1)),
        "ReLU": lambda config: nn.Sequential(light()(config), nn.ReLU()),
        "A always": lambda config: Light("A"),
        "features": lambda config: Light(config).body,
        "without a bias": lambda config: nn.Sequential(
            *light()(config)[:-1], nn.Linear(64, 10, bias=False)
        ),
        "four blocks": lambda config: nn.Sequential(Light(config).body[:4], *light()(config)[1:]),
        "not flat": lambda config: nn.Sequential(*light()(config)[:2]),
    },
    equivalent={
        "32 -> 33": REPLACED,
        "64 -> 65": REPLACED,
        "64 -> 63": REPLACED,
        "input_size= dropped in 'VGG(config, input_size=32, shrink=8, hidden=64)'": REPLACED,
        "hidden= dropped in 'VGG(config, input_size=32, shrink=8, hidden=64)'": REPLACED,
    },
)


def spread(
    depth, nets=30, power=2, channels=12, dims=1, k=3, move=0, root=0.5, mean=False, each=False
):
    side, total = (k - 1) * depth + 1, 0
    for _ in range(nets):
        widths = [1] + [channels] * depth
        net = nn.Sequential(
            *[nn.Conv2d(a, b, k, bias=False) for a, b in zip(widths, widths[1:], strict=False)]
        )
        X = torch.rand(1, 1, side, side).requires_grad_()
        net(X).sum().backward()
        total = total + X.grad[0, 0].abs() ** power
    shares = total / total.sum()
    distance = torch.arange(side, dtype=torch.float) - side // 2 + move
    if each:  # in both directions together
        squares = distance[:, None] ** 2 + distance**2
        return float((shares * squares).sum().sqrt())
    shares = shares.sum(dim=dims)
    return float((shares * (distance.abs() if mean else distance**2)).sum() ** root)


def spreading(**changes):
    return lambda depth: spread(depth, **changes)


answers(
    "06.11",
    right=[
        spread,
        spreading(dims=0),
        lambda depth: torch.tensor(spread(depth, nets=60, channels=8)),
        lambda depth: (2 * depth / 3) ** 0.5,  # who knows the theory has earned it
    ],
    wrong={
        "not squared": spreading(power=1),
        "to the fourth": spreading(power=4),
        "no root": spreading(root=1),
        "mean distance": spreading(root=1, mean=True),
        "from the first row": lambda depth: spread(depth, move=depth),
        "one row off": spreading(move=1),
        "both axes": spreading(each=True),
        "windows of 5": spreading(k=5),
        "one layer more": lambda depth: spread(depth + 1),
        "half the layers": lambda depth: spread((depth + 1) // 2),
        "depth ignored": lambda depth: spread(4),
        "receptive field": lambda depth: 2 * depth + 1,
        "radius": float,
        "all alike": lambda depth: (((2 * depth + 1) ** 2 - 1) / 12) ** 0.5,
    },
    equivalent={
        "20 -> 21": ANY_COUNT,
        "20 -> 19": ANY_COUNT,
        "1 -> 2 #3": "a second image changes nothing: the first is looked at",
        "0 -> -1 #2": FIRST,
        "0 -> -1 #3": FIRST,
        "1 -> 0 #5": "columns behave as rows",
        ".sum() dropped in 'total.sum(dim=1)'": "the sum at the end adds up the rows as well",
    },
)
