"""Exercises of chapter 06, VGG."""

import torch
from torch import nn

from course_utils.exercises.chapters.inputs import counting, differs_from, distinct, several
from course_utils.exercises.chapters.portraits import portrait
from course_utils.exercises.checker.declare import Band, case, exercise
from course_utils.nets.alexnet import dense_head
from course_utils.nets.convolution import receptive_field
from course_utils.nets.vgg import VGG, VGG_DEPTHS, VGG_WIDTHS, vgg_block

TITLE = "VGG"


def layers_by_trying(r):
    depth = 0
    while receptive_field([(3,)] * depth).size < r:
        depth += 1
    return depth


@exercise(
    title="How many layers?",
    kind="warm-up",
    minutes=2,
    cases=lambda: [
        *(case(n) for n in (7, 11, 3, 4, 224, 225)),
        case(1, note="a single pixel is seen without any layer"),
        case(2, note="two pixels: one layer, which sees three"),
    ],
    reference=layers_by_trying,
    misconceptions={
        "three pixels are counted for each layer": lambda r: -(-r // 3),
        "it rounds down: the field is one pixel too small": lambda r: (r - 1) // 2,
        "one layer too many is taken": lambda r: r // 2 + 1,
    },
    hints=[
        "One layer sees 3 pixels, two see 5, three see 7. What does each one add?",
        "L layers see 2 L + 1 pixels. Which is the smallest L with 2 L + 1 ≥ r?",
    ],
    explanation="L layers see 2 L + 1 pixels. So L must be at least (r - 1) / 2, rounded up, and "
    "that is `r // 2`.",
)
def ex06_1_layers(r):
    """Smallest number of 3 × 3 convolutions, stride 1, that see at least r pixels."""
    return r // 2


@exercise(
    title="What a stack saves",
    kind="code",
    minutes=5,
    cases=lambda: [
        *several((7, 64), (3, 5), (5, 1), (5, 2), (7, 3), (9, 4), (11, 3)),
        case(3, 1, note="one window of 3 is its own stack"),
    ],
    reference=lambda r, channels: r**2 * channels**2 - layers_by_trying(r) * 9 * channels**2,
    misconceptions={
        "the layers of the stack are not multiplied by channels²": lambda r, channels: (
            r**2 * channels**2 - 9 * (r // 2)
        ),
        "channels are counted once, not in and out": lambda r, c: (r**2 - 9 * (r // 2)) * c,
        "it is what the stack costs": lambda r, channels: 9 * (r // 2) * channels**2,
        "it is a stack of one layer": lambda r, channels: (r**2 - 9) * channels**2,
    },
    hints=[
        "Write down the weights of one window, then those of one 3 by 3 convolution. How many of "
        "these are there? See the first exercise.",
        "$(r^2 - 9 \\cdot \\frac{r - 1}{2})\\,c^2$, in whole numbers.",
    ],
    explanation="One window has r² c² weights, and (r - 1) / 2 small ones have 9 c² each. Nothing "
    "is saved at 3; at 5 it is 7 c² of 25 c², at 11 it is 76 c² of 121 c².",
)
def ex06_2_saving(r, channels):
    """Weights that a stack of 3 × 3 convolutions saves against one window of r × r."""
    return (r**2 - 9 * (r - 1) // 2) * channels**2


def flat_by_running(n, shrink):
    X = torch.zeros(1, 1, n, n)
    for _ in VGG_DEPTHS["D"]:
        X = nn.MaxPool2d(2)(X)
    return X.numel() * (512 // shrink)


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=3,
    cases=lambda: [
        *several((224, 1), (32, 1), (32, 4), (63, 2), (64, 8), (95, 16), (100, 1), (255, 8)),
    ],
    reference=flat_by_running,
    hints=[
        "How many channels does the last block have, and how often was the image halved?",
        "Five halvings, each rounded down, are one division by 32. `nn.Flatten` keeps channels "
        "and both sides.",
    ],
    explanation="512 / shrink channels of n / 32 by n / 32 pixels, rounded down. For 224 pixels "
    "25,088; for 32 only 512.",
)
def ex06_3_flat(n, shrink):
    """Numbers per image that reach the head of VGG("D", input_size=n, shrink=shrink)."""
    return 512 // shrink * (n // 32) ** 2


def not_too_large(view, most=10**6):
    """That view, but of no network with more than so many parameters: it would take seconds."""

    def careful(net):
        count = sum(p.numel() for p in net.parameters())
        if count > most:
            raise ValueError(f"a network with {count:,} parameters: is a size ignored?")
        return view(net)

    return careful


def seen(view, build, *sizes):
    """A case of which is known what a network looks like.

    No reference: it would be tried with other sizes, among them huge networks and empty ones.
    """
    return case(*sizes, expected=view(build(*sizes)))


def block_from(order, bias=False, padding=1):
    """Blocks made of an order of the letters c(onvolution), b(atch norm), r(elu)."""

    def build(num_convs, in_channels, out_channels):
        layers, channels = [], in_channels
        for _ in range(num_convs):
            conv = nn.Conv2d(channels, out_channels, 3, padding=padding, bias=bias)
            make = {"c": conv, "b": nn.BatchNorm2d(out_channels), "r": nn.ReLU()}
            layers += [make[letter] for letter in order]
            channels = out_channels
        return nn.Sequential(*layers, nn.MaxPool2d(2))

    return build


@exercise(
    title="A block with batch normalisation",
    kind="code",
    minutes=10,
    cases=lambda: [
        seen(portrait(), block_from("cbr"), *sizes)
        for sizes in ((1, 1, 2), (2, 3, 4), (1, 5, 3), (3, 4, 4), (2, 1, 6))
    ],
    view=portrait(),
    misconceptions={
        "batch normalisation comes after the ReLU": block_from("crb"),
        "the convolutions have biases": block_from("cbr", bias=True),
        "there is no batch normalisation": vgg_block,
        "there is no ReLU": block_from("cb"),
        "the windows are not padded": block_from("cbr", padding=0),
    },
    hints=[
        "Copy `vgg_block` and give each convolution three layers instead of two.",
        "`nn.Conv2d(…, bias=False)`, `nn.BatchNorm2d(out_channels)`, `nn.ReLU()`.",
    ],
    explanation="One layer more in the loop. Batch normalisation subtracts the mean of each "
    "channel, and with it any bias; it adds its own. This is what libraries call `vgg11_bn`.",
)
def ex06_4_block(num_convs, in_channels, out_channels):
    """vgg_block with batch normalisation between each convolution and its ReLU."""
    layers = []
    for _ in range(num_convs):
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        ]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def config_from(windows):
    """VGG by the windows of each block's convolutions."""

    def build(in_channels, num_classes, input_size, shrink, hidden):
        layers, channels = [], in_channels
        for block, width in zip(windows, VGG_WIDTHS, strict=True):
            for k in block:
                layers += [nn.Conv2d(channels, width // shrink, k, padding=k // 2), nn.ReLU()]
                channels = width // shrink
            layers.append(nn.MaxPool2d(2))
        features = channels * (input_size // 32) ** 2
        return nn.Sequential(*layers, dense_head(features, hidden, num_classes))

    return build


@exercise(
    title="Configuration C",
    kind="code",
    minutes=20,
    cases=lambda: [
        seen(portrait(64, 64), config_from([(3, 3), (3, 3), *[(3, 3, 1)] * 3]), *sizes)
        for sizes in ((3, 7, 64, 16, 8), (1, 10, 64, 32, 5), (2, 4, 64, 32, 6))
    ],
    view=not_too_large(portrait(64, 64)),
    misconceptions={
        "the 1 by 1 windows come first in their blocks": config_from(
            [(3, 3), (3, 3), (1, 3, 3), (1, 3, 3), (1, 3, 3)]
        ),
        "it is configuration D": config_from([(3,) * depth for depth in VGG_DEPTHS["D"]]),
        "the 1 by 1 windows are missing: this is configuration B": config_from(
            [(3,) * depth for depth in VGG_DEPTHS["B"]]
        ),
        "blocks 1 and 2 got a third convolution, too": config_from([(3, 3, 1)] * 5),
    },
    hints=[
        'Start from `VGG("D", …)` and look at `net.features[2]`: at which place is the third '
        "convolution?",
        "A block is an `nn.Sequential`: `block[4] = …` puts another layer there.",
        "A window of 1 by 1 needs no padding to keep the size.",
    ],
    explanation="A network can be changed after it was built. The third convolution of a block "
    "stands at place 4, behind two pairs of convolution and ReLU. With 3 channels in and 1,000 "
    "classes it has 133,638,952 parameters, the 134 million of the paper's table 2.",
)
def ex06_5_config_c(in_channels, num_classes, input_size, shrink, hidden):
    """Configuration C: D with 1 × 1 windows in the third convolutions; one module."""
    net = VGG("D", in_channels, num_classes, input_size, shrink=shrink, hidden=hidden)
    for block in net.features[2:]:
        width = block[4].in_channels
        block[4] = nn.Conv2d(width, width, 1)
    return net


def broken_flatten(X):
    return X.view(128, -1)


@exercise(
    title="Repair: batches of 128",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case(counting(1, 2, 1, 2), note="one image is a batch, too"),
        case(distinct(5, 1, 1, 1), note="one number per image"),
        case(distinct(2, 3, 2, 3).to(memory_format=torch.channels_last), note="channels last"),
        case(distinct(96, 4, 2, 2).double(), note="128 does divide their number"),
    ],
    reference=lambda X: torch.stack([image.reshape(-1) for image in X]),
    stub=broken_flatten,
    misconceptions={
        "the batch is taken for one image": lambda X: X.reshape(1, -1),
        "all images become one vector": lambda X: X.flatten(),
        "every channel became an example": lambda X: X.flatten(2).flatten(0, 1),
        "every pixel became an example": lambda X: X.reshape(-1, X.shape[1]),
        "the axes were reordered": lambda X: X.permute(0, 2, 3, 1).flatten(1),
    },
    gradient=True,
    hints=[
        "Which axis must stay as it is? Say that, not how long it is.",
        "`view` cannot join axes that do not lie in a row in memory. `reshape` and `flatten` "
        "copy if they have to.",
    ],
    explanation="Keep the first axis, join the rest: right for every batch, every size of image "
    "and every layout in memory. `X.reshape(len(X), -1)` does it as well.",
)
def ex06_6_flatten(X):
    return X.flatten(start_dim=1)


def weighted(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def start_of(net):
    """What can be said about random weights, whichever were drawn."""
    layers = weighted(net)
    weights = [layer.weight.detach().double() for layer in layers]
    return {
        "shapes of the weights": [tuple(weight.shape) for weight in weights],
        "largest bias": max(layer.bias.abs().max().item() for layer in layers),
        "spread, in units of Kaiming's": [
            weight.std().item() * (weight[0].numel() / 2) ** 0.5 for weight in weights
        ],
        "largest weight, in units of the spread": [
            (weight.abs().max() / weight.std()).item() for weight in weights[1:]
        ],
    }


def start_case(config, shrink):
    net = VGG(config, input_size=32, shrink=shrink, hidden=64)
    weights = [layer.weight for layer in weighted(net)]
    # five times the error with which the spread of so many normal numbers is known
    margins = [5 / (2 * weight.numel()) ** 0.5 for weight in weights]
    expected = {
        "shapes of the weights": [tuple(weight.shape) for weight in weights],
        "largest bias": Band(0, 0),
        "spread, in units of Kaiming's": [Band(1 - m, 1 + m) for m in margins],
        # uniform weights end at 1.73; the largest of 640 normal ones is hardly ever below 2.2
        "largest weight, in units of the spread": [Band(2.2, 9)] * (len(weights) - 1),
    }
    return case(config, shrink, expected=expected)


def broken_init(config, shrink):
    net = VGG(config, input_size=32, shrink=shrink, hidden=64)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            nn.init.zeros_(module.bias)
    return net


def started(kinds=(nn.Conv2d, nn.Linear), draw=nn.init.kaiming_normal_, biases=True, **options):
    """Networks that start in some way."""

    def build(config, shrink):
        net = VGG(config, input_size=32, shrink=shrink, hidden=64)
        for module in net.modules():
            if isinstance(module, kinds):
                draw(module.weight, **options)
                if biases:
                    nn.init.zeros_(module.bias)
        return net

    return build


@exercise(
    title="Repair: a start that is too quiet",
    kind="repair",
    minutes=5,
    cases=lambda: [start_case("A", 4), start_case("D", 4)],
    stub=broken_init,
    view=not_too_large(start_of),
    misconceptions={
        "the fully connected layers are left as they were": started((nn.Conv2d,)),
        "the rule is that of a layer without ReLU": started(nonlinearity="linear"),
        "the fan-out is taken": started(mode="fan_out"),
        "the weights are uniform, not normal": started(draw=nn.init.kaiming_uniform_),
        "the biases are left as they were": started(biases=False),
    },
    hints=[
        "Which kinds of layers have weights in VGG? Which of them does the loop touch?",
        "What follows each convolution: nothing, or a ReLU? `nonlinearity` must say so.",
    ],
    explanation='`nn.Conv2d | nn.Linear` takes both kinds, and with `nonlinearity="relu"` the '
    'variance is 2 / fan-in: twice that of "linear". Over sixteen layers a missing factor of '
    "two in each leaves a 256th of the signal.",
)
def ex06_7_init(config, shrink):
    net = VGG(config, input_size=32, shrink=shrink, hidden=64)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return net


def grow_by_state(small, large):
    large.load_state_dict(small.state_dict(), strict=False)
    return large


@exercise(
    title="As in 2014: grow a network",
    kind="code",
    minutes=15,
    cases=lambda: [
        case(*[VGG(config, *sizes, shrink=shrink, hidden=2) for config in "AB"])
        for shrink, sizes in ((64, (1, 2, 32)), (32, (3, 10, 32)), (32, (1, 5, 64)))
    ],
    reference=grow_by_state,
    view=lambda net: {"state": net.state_dict()} if isinstance(net, nn.Module) else net,
    changes=("large",),
    misconceptions={
        "the head is not copied": lambda small, large: (
            grow_by_state(small.features, large.features),
            large,
        )[1]
    },
    hints=[
        'Print the names in `VGG("A").state_dict()` and in that of `VGG("B")`. Which agree?',
        "The first convolution of block i is `features.i.0` in both, the second `features.i.2`. "
        "So equal names mean equal places.",
        "`large.get_submodule(name)` finds a layer by its name.",
    ],
    explanation="The names of the layers say where they are, and they agree. "
    "`large.load_state_dict(small.state_dict(), strict=False)` does the same in one line: it "
    "leaves alone what small does not have. (It would not tell you if a name were wrong.)",
)
def ex06_8_grow(small, large):
    """Copy the weights of a VGG("A") to their places in a VGG("B"); returns `large`."""
    for name, module in small.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            large.get_submodule(name).load_state_dict(module.state_dict())
    return large


def memory_by_running(config, n):
    X, total = torch.zeros(1, 1, n, n), 0
    with torch.no_grad():
        for layer in VGG(config, input_size=n, shrink=64, hidden=1).features.modules():
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
                X = layer(X)
                total += X.nbytes if isinstance(layer, nn.Conv2d) else 0
    return 64 * total  # every width is a 64th


@exercise(
    title="What training keeps",
    forbids=r"conv2d|\w*pool\w*",
    kind="code",
    minutes=15,
    cases=lambda: [
        *several(("A", 32), ("D", 224), ("D", 47), ("E", 63), ("E", 100), ("A", 125)),
        case("B", 33, note="33 pixels: a row is left over"),
    ],
    reference=memory_by_running,
    misconceptions={
        "numbers are counted, not bytes": lambda config, n: memory_by_running(config, n) // 4,
        "every block is counted as one convolution": lambda config, n: sum(
            4 * width * (n // 2**i) ** 2 for i, width in enumerate(VGG_WIDTHS)
        ),
        "the image is halved before the convolutions of a block": lambda config, n: sum(
            4 * depth * width * (n // 2 ** (i + 1)) ** 2
            for i, (depth, width) in enumerate(zip(VGG_DEPTHS[config], VGG_WIDTHS, strict=True))
        ),
    },
    hints=[
        "A convolution of block i makes `VGG_WIDTHS[i]` maps, each as large as the image is "
        "there. A float32 has four bytes.",
        "Walk over `zip(VGG_DEPTHS[config], VGG_WIDTHS)`, and halve the side behind each block.",
    ],
    explanation="All convolutions of a block make maps of one size. Each block halves the side and "
    "so quarters the pixels, while the channels at most double: the first blocks need the most.",
)
def ex06_9_memory(config, n):
    """Bytes of all convolutions' outputs in VGG(config), one image of n × n pixels, float32."""
    numbers, side = 0, n
    for depth, width in zip(VGG_DEPTHS[config], VGG_WIDTHS, strict=True):
        numbers += depth * width * side**2
        side //= 2
    return 4 * numbers


def headed(*layers):
    """VGG of five blocks, these layers, and a linear one."""

    def build(config):
        blocks, channels = [], 1
        for depth, width in zip(VGG_DEPTHS[config], VGG_WIDTHS, strict=True):
            blocks.append(vgg_block(depth, channels, width // 8))
            channels = width // 8
        return nn.Sequential(*blocks, *layers, nn.Flatten(), nn.Linear(512 // 8, 10))

    return build


@exercise(
    title="A light head",
    kind="code",
    minutes=10,
    cases=lambda: [case("A"), case("B"), case("D")],
    reference=headed(nn.AdaptiveAvgPool2d(1)),
    view=not_too_large(portrait(40, 70)),
    misconceptions={
        "the maximum is taken, not the average": headed(nn.AdaptiveMaxPool2d(1)),
        "there is one more ReLU": headed(nn.AdaptiveAvgPool2d(1), nn.ReLU()),
    },
    hints=[
        "`VGG(…).features` are the five blocks. An eighth as wide: `shrink`.",
        "`net.head = nn.Sequential(…)` exchanges the head. The last block has 512 / 8 channels.",
    ],
    explanation="The average over all places leaves one number per channel, whatever the size of "
    "the image. The 64 of them and ten classes make 650 parameters, where the head of the whole "
    "VGG-16 has more than a hundred million.",
)
def ex06_10_global(config):
    """VGG, one channel in, an eighth as wide, with average, flatten and one linear layer."""
    net = VGG(config, input_size=32, shrink=8, hidden=64)
    net.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return net


def spread_of_the_gradients(outcome, again):
    side = 2 * outcome.arguments["depth"] + 1
    gradients = [G.flatten(0, -3) for G in outcome.spy.gradients(side, side)]
    count = sum(map(len, gradients))
    if count < 20:
        return f"{count} gradients for an image of {side} × {side} pixels were taken, not 20."
    squares = torch.cat(gradients).square().sum(dim=0)
    distance = torch.arange(side) - side // 2
    spreads = [  # of rows, and of columns: there is no difference
        ((squares.sum(dim=dim) * distance**2).sum() / squares.sum()).sqrt() for dim in (1, 0)
    ]
    return differs_from(outcome, *spreads, what="The spread of the rows of these gradients")


@exercise(
    title="Experiment: how far does it really look?",
    kind="experiment",
    witness=spread_of_the_gradients,
    minutes=30,
    cases=lambda: [
        # √(2/3 · depth), and four times the spread that other random weights make, or more
        case(1, expected=Band(0.69, 0.94)),
        case(4, expected=Band(1.44, 1.83)),
        case(9, expected=Band(2.2, 2.7)),
    ],
    hints=[
        "The image needs `requires_grad=True`, its values do not matter (why?): zeros will do. "
        "`torch.autograd.grad(net(X).sum(), X)` is the gradient.",
        "Add up the squared gradients of 20 networks. Divided by their sum they are weights that "
        "add up to one; sum them over the columns.",
        "With `distance = torch.arange(side) - depth` the answer is the root of the weighted mean "
        "of `distance**2`.",
    ],
    explanation="Each layer moves a path by -1, 0 or 1 rows, all three alike: its variance is 2/3, "
    "and variances add up. So the spread is √(2/3 · depth): 0.8, 1.6 and 2.4 for 1, 4 and 9 "
    "layers. The receptive field grows with the depth, what counts of it only with its root (Luo "
    "and others, 2016).",
)
def ex06_11_spread(depth):
    """Spread, in rows around the centre, of the squared gradient of a stack for its image."""
    side, total = 2 * depth + 1, 0
    for _ in range(20):
        layers, channels = [], 1
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, 16, 3))
            channels = 16
        X = torch.zeros(1, 1, side, side, requires_grad=True)
        (grad,) = torch.autograd.grad(nn.Sequential(*layers)(X).sum(), X)
        total += grad[0, 0].square()
    rows = total.sum(dim=1) / total.sum()
    distance = torch.arange(side) - depth
    return (rows * distance**2).sum().sqrt().item()
