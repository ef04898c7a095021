"""Exercises of chapter 07, GoogLeNet."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import (
    counting,
    differs_from,
    distinct,
    root_mean_square,
    several,
    used_norm,
)
from course_utils.exercises.chapters.portraits import portrait
from course_utils.exercises.checker.declare import Band, case, exercise
from course_utils.measure import count_parameters
from course_utils.nets.googlenet import (
    INCEPTION,
    AuxiliaryClassifier,
    ConvReLU,
    GoogLeNet,
    Inception,
)

TITLE = "GoogLeNet"


def macs_by_ones(c_in, c_out, k, side):
    """A convolution of ones counts its own products, if its padding consists of ones, too."""
    X = torch.ones(1, c_in, side + k - 1, side + k - 1, dtype=torch.float64)
    return int(F.conv2d(X, torch.ones(c_out, c_in, k, k, dtype=torch.float64)).sum())


@exercise(
    title="What a convolution costs",
    kind="warm-up",
    minutes=2,
    cases=lambda: [
        *several((192, 16, 1, 28), (1, 1, 1, 1), (2, 3, 1, 1), (3, 2, 5, 4), (64, 32, 3, 14)),
        case(1, 1, 1, 3, note="nine pixels, one multiplication each"),
        case(1, 1, 3, 5, note="at the border the window meets zeros: they count, too"),
    ],
    reference=macs_by_ones,
    misconceptions={
        "the image has one side only": lambda c_in, c_out, k, side: c_in * c_out * k * k * side,
        "the window has one side only": lambda c_in, c_out, k, side: c_in * c_out * k * side**2,
        "weights are counted, each of which works at every pixel": lambda c_in, c_out, k, side: (
            c_in * c_out * k * k
        ),
        "the biases are counted too": lambda c_in, c_out, k, side: (
            (c_in * k * k + 1) * c_out * side**2
        ),
        "only places where the window lies inside of the image are counted": (
            lambda c_in, c_out, k, side: c_in * c_out * k * k * (side - k + 1) ** 2
        ),
    },
    hints=[
        "How many numbers come out? How many multiplications does each of them take?",
        "There are c_out · side² outputs. Each looks at c_in · k² inputs.",
    ],
    explanation="Each of the c_out · side² outputs is a sum of c_in · k² products. The 1×1 "
    "convolution in front of the 5×5 branch of block 3a costs about a sixth of what follows it.",
)
def ex07_1_macs(c_in, c_out, k, side):
    """Multiply-adds of a k × k convolution that keeps an image of side × side pixels."""
    return c_in * c_out * k**2 * side**2


def parameters_by_building(c_in, c1, c3, c5, cp):
    with torch.device("meta"):
        return count_parameters(Inception(c_in, c1, c3, c5, cp))


@exercise(
    title="Predict before you build",
    kind="predict",
    minutes=10,
    cases=lambda: [
        case(192, *INCEPTION["3a"]),
        *several((1, 1, (1, 1), (1, 1), 1), (2, 3, (4, 5), (6, 7), 8), (8, 1, (2, 3), (1, 2), 4)),
        case(256, *INCEPTION["3b"]),
        case(832, *INCEPTION["5b"]),
    ],
    reference=parameters_by_building,
    misconceptions={
        "the biases are forgotten": lambda c_in, c1, c3, c5, cp: (
            parameters_by_building(c_in, c1, c3, c5, cp) - c1 - sum(c3) - sum(c5) - cp
        ),
        "the large windows read all input channels, as if there were no reduction": (
            lambda c_in, c1, c3, c5, cp: (
                (c_in + 1) * (c1 + cp) + (9 * c_in + 1) * c3[1] + (25 * c_in + 1) * c5[1]
            )
        ),
        "the projection behind the pooling is forgotten": lambda c_in, c1, c3, c5, cp: (
            parameters_by_building(c_in, c1, c3, c5, cp) - (c_in + 1) * cp
        ),
    },
    hints=[
        "Count the convolutions of the block: there are six.",
        "A k×k convolution from a to b channels has b · (a · k² + 1) parameters. Write this as a "
        "small function inside.",
        "Three of the six read the block's input and are 1×1; so does the one behind the "
        "pooling. The 3×3 reads c3[0] channels, the 5×5 reads c5[0].",
    ],
    explanation="Six convolutions: four 1×1 that read the input, and the two large windows, which "
    "read only what their reduction leaves. The pooling has no parameters.",
)
def ex07_2_inception_parameters(c_in, c1, c3, c5, cp):
    """Number of parameters of an Inception block, biases included."""

    def conv(a, b, k):
        return b * (a * k**2 + 1)

    narrow = conv(c_in, c1, 1) + conv(c_in, c3[0], 1) + conv(c_in, c5[0], 1) + conv(c_in, cp, 1)
    return narrow + conv(*c3, 3) + conv(*c5, 5)


def conv1x1_by_conv(X, weight, bias):
    return F.conv2d(X, weight[:, :, None, None], bias)


@exercise(
    title="1×1 in one line",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(counting(1, 1, 2, 2), torch.tensor([[2.0]]), torch.tensor([1.0])),
        case(counting(1, 2, 1, 1) + 1, torch.tensor([[1.0, 10.0]]), torch.tensor([0.0])),
        case(distinct(2, 2, 3, 1), distinct(2, 2), distinct(2), note="as many out as in"),
        case(distinct(3, 3, 3, 3), distinct(3, 3), distinct(3), note="all sizes are 3"),
        case(distinct(2, 1, 2, 4), distinct(4, 1), distinct(4), note="four outputs, width 4"),
        case(distinct(2, 5, 3, 4).double(), distinct(4, 5).double(), distinct(4).double()),
    ],
    reference=conv1x1_by_conv,
    misconceptions={
        "the bias is forgotten": lambda X, weight, bias: conv1x1_by_conv(X, weight, None),
        "the weight is transposed": lambda X, weight, bias: conv1x1_by_conv(X, weight.T, bias),
        "the bias is added along the width, not to the channels": lambda X, weight, bias: (
            conv1x1_by_conv(X, weight, None) + bias
        ),
        "the channels end up last": lambda *args: conv1x1_by_conv(*args).movedim(1, -1),
    },
    gradient=True,
    hints=[
        "Give each axis a letter: n, c, h, w of X, and d, c of the weight. Which letter must go?",
        '`torch.einsum("nchw,dc->ndhw", X, weight)` sums over c.',
        "The bias has shape (D,), and must become (D, 1, 1) to be added to the channels.",
    ],
    explanation="The letter that is missing behind the arrow is summed over. "
    "`bias.view(-1, 1, 1)` stands above the last three axes (D, H, W).",
)
def ex07_3_conv1x1(X, weight, bias):
    """1×1 convolution: X (N, C, H, W), weight (D, C), bias (D,) -> (N, D, H, W)."""
    return torch.einsum("nchw,dc->ndhw", X, weight) + bias.view(-1, 1, 1)


def two_for_one(c_in, c_out, padding=1):
    first, second = nn.Conv2d(c_in, c_out, 3, 1, padding), nn.Conv2d(c_out, c_out, 3, 1, padding)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU())


@exercise(
    title="Two small for one large",
    kind="code",
    minutes=5,
    cases=lambda: [case(1, 1), case(2, 3), case(3, 2), case(4, 4), case(8, 5)],
    reference=two_for_one,
    view=portrait(),
    misconceptions={
        "there is no ReLU between the two": lambda c_in, c_out: nn.Sequential(
            *[layer for i, layer in enumerate(two_for_one(c_in, c_out)) if i != 1]
        ),
        "there is no ReLU at the end": lambda c_in, c_out: two_for_one(c_in, c_out)[:3],
        "the padding is missing: the image shrinks": lambda *sizes: two_for_one(*sizes, padding=0),
    },
    hints=[
        "`ConvReLU` of this chapter is a convolution with its ReLU. What padding keeps the size?",
        "The first goes from c_in to c_out channels, the second from c_out to c_out, both with "
        "`padding=1`.",
    ],
    explanation="The second window sees 3×3 pixels, each of which saw 3×3: together 5×5. For 64 "
    "channels that is 2 · 9 = 18 weights for each pair of channels, not 25: 28 % fewer, and one "
    "ReLU more.",
)
def ex07_4_two_for_one(c_in, c_out):
    """Two 3×3 convolutions, each with its ReLU: (N, c_in, H, W) -> (N, c_out, H, W)."""
    return nn.Sequential(
        ConvReLU(c_in, c_out, 3, padding=1),
        ConvReLU(c_out, c_out, 3, padding=1),
    )


def asymmetric(c, n, groups=1):
    sizes = ((1, n), (n, 1))
    return nn.Sequential(*[nn.Conv2d(c, c, k, padding="same", groups=groups) for k in sizes])


@exercise(
    title="Thinner still",
    kind="code",
    minutes=5,
    cases=lambda: [
        *several((1, 3), (2, 3), (2, 5)),
        case(1, 1, note="a window of one pixel"),
        case(3, 7, note="as Inception-v3 has it"),
    ],
    reference=asymmetric,
    view=portrait(9, 8),
    misconceptions={
        "the columns come first: 1×n stands before n×1": lambda c, n: nn.Sequential(
            *list(asymmetric(c, n))[::-1]
        ),
        "there is a ReLU between the two": lambda c, n: nn.Sequential(
            asymmetric(c, n)[0], nn.ReLU(), asymmetric(c, n)[1]
        ),
        "each channel reads only itself": lambda c, n: asymmetric(c, n, groups=c),
    },
    hints=[
        "`kernel_size` and `padding` may be pairs (rows, columns).",
        "A window of 1 row and n columns needs padding only to the left and to the right: "
        "`padding=(0, n // 2)`.",
    ],
    explanation="Together they see n×n pixels with 2n weights for each pair of channels instead "
    "of n². (They are not as free, though: what they compute is a product of a row and a column, "
    "summed over the channels between.)",
)
def ex07_5_asymmetric(c, n):
    """A 1 × n and then an n × 1 convolution, c channels everywhere; n is odd."""
    return nn.Sequential(
        nn.Conv2d(c, c, (1, n), padding=(0, n // 2)),
        nn.Conv2d(c, c, (n, 1), padding=(n // 2, 0)),
    )


def broken_join(branches):
    return torch.stack(branches).flatten(0, 1)


@exercise(
    title="Repair: side by side",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case([counting(1, 1, 1, 2), counting(1, 1, 1, 2) + 10]),
        case([counting(2, 1, 1, 1), counting(2, 1, 1, 1) + 10], note="two images"),
        case([counting(1, 2, 1, 1), counting(1, 2, 1, 1) + 10], note="two channels each"),
        case([distinct(1, 1, 2, 3)], note="one branch only"),
        case([distinct(2, 1, 2, 2), distinct(2, 3, 2, 2)], note="of different widths"),
        case([distinct(2, 2, 2, 3).double() + i for i in range(4)]),
        case([distinct(3, width, 4, 2) for width in (4, 2, 1, 3)]),
    ],
    reference=lambda branches: torch.hstack(branches),
    stub=broken_join,
    misconceptions={
        "the branches are joined along the batch: four times the images": broken_join,
        "they get an axis of their own": lambda branches: torch.stack(branches, dim=1),
        "the channels of the branches alternate": lambda b: torch.stack(b, dim=2).flatten(1, 2),
        "they are added up": sum,
        "they are joined along the rows": lambda branches: torch.cat(branches, dim=2),
    },
    hints=[
        "What shape does the version above make of four branches (N, 8, H, W)? Which of its axes "
        "should be larger?",
        "`torch.stack` makes a new axis, and all its tensors must have the same shape. Branches "
        "differ in channels. What joins along an axis that is there?",
    ],
    explanation="`torch.stack(…).flatten(0, 1)` is a batch four times as large, which no later "
    "layer complains about – only the loss does, for its labels are fewer. `torch.cat` along "
    "axis 1 joins channels.",
)
def ex07_6_join(branches):
    return torch.cat(branches, dim=1)


def broken_running(mean, batch_mean, momentum):
    return momentum * mean + (1 - momentum) * batch_mean


@exercise(
    title="Repair: the other momentum",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case(torch.tensor([0.0]), torch.tensor([1.0]), 0.1),
        case(torch.tensor([2.0]), torch.tensor([10.0]), 0.0, note="momentum 0: nothing moves"),
        case(torch.tensor([2.0]), torch.tensor([10.0]), 1.0, note="momentum 1: the last batch"),
        case(torch.tensor([4.0, -4.0]), torch.tensor([8.0, 0.0]), 0.25),
        case(distinct(5), distinct(5) + 0.3, 0.5, note="half and half"),
        case(distinct(7).double(), distinct(7).double() - 1.3, 0.01),
    ],
    reference=lambda mean, batch_mean, momentum: torch.lerp(mean, batch_mean, momentum),
    stub=broken_running,
    misconceptions={
        "`momentum` is still the share of the old value": broken_running,
        "the step is added without going back": lambda mean, new, share: mean + share * new,
    },
    hints=[
        "With PyTorch's usual momentum of 0.1: how fast should the running mean follow?",
        "With momentum 1 nothing of the old mean is left; with 0 nothing of the batch comes in.",
    ],
    explanation="`momentum` is the share of the new value, so a small one makes slow averages. "
    "Elsewhere (Keras, for one) 0.99 means the same as 0.01 here. Mixed up, the average "
    "is nearly that of the last batch, and the network works in training but not in use.",
)
def ex07_7_running(mean, batch_mean, momentum):
    return (1 - momentum) * mean + momentum * batch_mean


def small_classifier(channels, classes, dropout=0.0):
    """A small network that is in training mode, as new networks are."""
    start = (nn.Conv2d(channels, 6, 3), used_norm(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    net = nn.Sequential(*start, nn.Flatten(), nn.Dropout(dropout), nn.Linear(6, classes))
    nn.init.normal_(net[6].weight)
    return net


def broken_logits(net, X):
    with torch.no_grad():
        return net(X)


@exercise(
    title="Repair: a look that leaves traces",
    kind="repair",
    minutes=5,
    cases=lambda: [
        case(small_classifier(1, 2), distinct(2, 1, 3, 3)),
        case(small_classifier(3, 3), distinct(1, 3, 3, 3), note="one image, one pixel left"),
        case(small_classifier(1, 4, dropout=0.9), distinct(3, 1, 4, 4), note="with dropout"),
        case(small_classifier(2, 3), distinct(4, 2, 5, 4)),
        case(small_classifier(1, 3).eval(), distinct(3, 1, 4, 4), note="in use, and stays so"),
        case(small_classifier(1, 5).double(), distinct(6, 1, 4, 4).double()),
    ],
    reference=lambda net, X: copy.deepcopy(net).eval()(X).detach(),
    stub=broken_logits,
    misconceptions={
        "the network is still in training mode": lambda net, X: net.train()(X).detach(),
    },
    hints=[
        "Which layers behave in another way in training? `torch.no_grad()` does not stop them.",
        "`net.eval()` before, and afterwards the mode that it had: `net.training` tells you, "
        "`net.train(mode)` sets it.",
    ],
    explanation="In training mode the batch decides about each of its images, and the running "
    "averages move – with or without gradients. So: evaluation mode to look, and back to the mode "
    "that was there, or the training that goes on would silently use the running averages. "
    "`net.train(mode)` does as well, unless parts had a mode of their own, as frozen layers have.",
)
def ex07_8_logits(net, X):
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    with torch.no_grad():
        Y = net(X)
    for module, mode in modes:
        module.training = mode
    return Y


@exercise(
    title="The smallest image that fits",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(nn.Conv2d(1, 2, 1), expected=1, note="any side will do"),
        case(nn.Conv2d(1, 1, 4), expected=4),
        case(nn.Sequential(nn.Conv2d(1, 2, 5), nn.MaxPool2d(2), nn.Conv2d(2, 1, 3)), expected=10),
        case(
            nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Flatten(), nn.Linear(8, 10)),
            expected=5,
            note="needs 2×2 positions; sides of 5 and 6 give them",
        ),
        case(
            nn.Sequential(nn.Conv2d(1, 2, 5, padding=2), nn.Flatten(), nn.Linear(98, 10)),
            expected=7,
            note="exactly one side fits",
        ),
        case(AuxiliaryClassifier(1, 10), expected=14),
        case(
            nn.Sequential(
                nn.Conv2d(1, 2, 7, stride=2, padding=3),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.Conv2d(2, 1, 3),
                AuxiliaryClassifier(1, 10),
            ),
            expected=61,
            note="4·16 pixels, but the last three may be missing",
        ),
    ],
    hints=[
        "Try side 1, then 2, and so on. What does a layer do that cannot work on an image?",
        "A loop with `try` and `except RuntimeError` inside.",
        "`net(torch.zeros(2, 1, side, side, device=device))` inside of the `try`, and if nothing "
        "was raised, `return side`.",
    ],
    explanation="Layers raise RuntimeError on shapes that do not fit. Bisection would be faster, "
    "but is not safe: a network with a dense layer has a largest side as well. For "
    "`googlenet(1)` the answer is 209, since four halvings, rounded up, must leave 14.",
)
def ex07_9_smallest_side(net, device="cpu"):
    """Smallest side s at which net, which is on `device`, takes images (2, 1, s, s)."""
    side = 1
    while True:
        try:
            net(torch.zeros(2, 1, side, side, device=device))
            return side
        except RuntimeError:
            side += 1


def strength_behind_the_last(outcome, again):
    layers, spy = outcome.arguments["layers"], outcome.spy
    convolutions = [call for call in spy.calls if call.name == "conv2d"]
    if len(convolutions) != layers:
        return f"{len(convolutions)} convolutions were run, not {layers}."
    if convolutions[0].args[0].shape[1:] != (64, 8, 8) or len(convolutions[0].args[0]) < 16:
        return f"Images of shape {tuple(convolutions[0].args[0].shape)} were sent in."
    last = spy.results("conv2d|batch_norm|relu_?")[-1]
    what = "The root mean square of what came out of the last layer"
    return differs_from(outcome, root_mean_square(F.relu(last)), what=what)


@exercise(
    title="Experiment: how strong is the signal?",
    kind="experiment",
    witness=strength_behind_the_last,
    minutes=10,
    cases=lambda: [
        # wide enough for three times the spread that twenty other random networks show
        case(1, False, expected=Band(0.355, 0.395)),
        case(2, False, expected=Band(0.12, 0.175)),
        case(4, False, expected=Band(0.012, 0.046)),
        case(1, True, expected=Band(0.69, 0.725)),
        case(6, True, expected=Band(0.69, 0.725)),
    ],
    hints=[
        "`nn.Sequential(*[ConvReLU(…) for _ in range(layers)])`, `torch.randn`, no gradients.",
        "Square first, then the mean, then the root: `Y.square().mean().sqrt().item()`. (A "
        "standard deviation subtracts the mean, which a ReLU makes positive.)",
    ],
    explanation="With PyTorch's default weights each layer leaves about 0.4 of the signal: the "
    "weights have a variance of 1 / (3 · fan-in), which makes a third, and ReLU takes half of "
    "that; √(1/6) is 0.41. Nine blocks deep, nothing would be left but the biases. Normalised "
    "layers give variance 1, of which ReLU leaves half, at any depth.",
)
def ex07_10_strength(layers, batch_norm):
    """Root mean square of what `layers` ConvReLU make of random normal images."""
    stack = nn.Sequential(*[ConvReLU(64, 64, 3, batch_norm, padding=1) for _ in range(layers)])
    with torch.no_grad():
        Y = stack(torch.randn(16, 64, 8, 8))
    return Y.square().mean().sqrt().item()


def seen_of_conv(conv):
    """Of a convolution: what it is, and what it computes."""
    if not isinstance(conv, nn.Conv2d):
        return {"class": type(conv).__name__}
    X = torch.sin(counting(2, conv.in_channels, 6, 7) ** 2).to(conv.weight.dtype)
    return {"class": "Conv2d", "has a bias": conv.bias is not None, "output": conv(X).detach()}


def fold_by_torch(conv, norm):
    return torch.nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval())


def folded(conv, norm, **wrong):
    """Folded, with something forgotten."""
    new = fold_by_torch(conv, norm)
    for name, value in wrong.items():
        setattr(new, name, nn.Parameter(value.detach()))
    return new


def without_eps(norm):
    norm.eps = 0.0
    return norm


@exercise(
    title="Fold it away",
    kind="code",
    minutes=20,
    cases=lambda: [
        case(nn.Conv2d(1, 1, 1), used_norm(1)),
        case(nn.Conv2d(1, 1, 1, bias=False), used_norm(1), note="a convolution without bias"),
        case(nn.Conv2d(2, 3, 3), used_norm(3)),
        case(nn.Conv2d(1, 2, 3, bias=False, padding=1), used_norm(2), note="padded"),
        case(nn.Conv2d(1, 2, 2), used_norm(2, eps=0.5), note="eps is 0.5"),
        case(nn.Conv2d(3, 3, 1), used_norm(3), note="as many channels in as out"),
        case(nn.Conv2d(2, 4, (3, 1), stride=(2, 1)), used_norm(4), note="with a stride"),
        case(nn.Conv2d(1, 2, 3, dilation=2), used_norm(2), note="dilated"),
        case(nn.Conv2d(4, 6, 3, groups=2, bias=False), used_norm(6), note="in two groups"),
        case(nn.Conv2d(2, 3, 3).double(), used_norm(3).double(), note="float64"),
    ],
    reference=fold_by_torch,
    view=seen_of_conv,
    misconceptions={
        "the weight is not scaled": lambda conv, norm: folded(conv, norm, weight=conv.weight),
        "the bias of the convolution is forgotten, or not scaled": lambda conv, norm: folded(
            conv,
            norm,
            bias=norm.bias - norm.running_mean * norm.weight / (norm.running_var + norm.eps).sqrt(),
        ),
        "eps is forgotten": lambda conv, norm: fold_by_torch(conv, without_eps(norm)),
        "the bias of the normalisation is forgotten": lambda conv, norm: folded(
            conv, norm, bias=fold_by_torch(conv, norm).bias - norm.bias
        ),
    },
    hints=[
        "Per channel: (y - mean) / √(var + eps) · weight + bias, and y = w · x + b. Write it as "
        "w' · x + b'.",
        "With the factor f = weight / √(var + eps): w' = f · w, and b' = f · (b - mean) + bias. "
        "There is one f for each *output* channel, the first axis of w.",
        "The new convolution needs all settings of the old one: size, stride, padding, dilation, "
        "groups and dtype. Fill it in inside of `torch.no_grad()`.",
    ],
    explanation="In use, the mean and the variance are constants, so normalising is a "
    "multiplication and an addition, and so is nothing new behind a convolution. Programs that run "
    "trained networks all do this first.",
)
def ex07_11_fold(conv, norm):
    """One new nn.Conv2d, with bias, equal to norm.eval()(conv(X))."""
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = 0 if conv.bias is None else conv.bias
    new = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        dtype=conv.weight.dtype,
    )
    with torch.no_grad():
        new.weight.copy_(conv.weight * factor.view(-1, 1, 1, 1))
        new.bias.copy_((bias - norm.running_mean) * factor + norm.bias)
    return new


def seen_of_small_net(net):
    """Parameters, logits, and how wide the blocks are compared with the paper's."""
    # by name, for a notebook defines an Inception of its own
    blocks = [module for module in net.modules() if type(module).__name__ == "Inception"]
    widths = [p.shape[0] for block in blocks for p in block.parameters() if p.ndim > 1]
    paper = [size for c1, c3, c5, cp in INCEPTION.values() for size in (c1, *c3, *c5, cp)]
    as_many = len(widths) == len(paper)
    ratios = [a / b for a, b in zip(widths, paper, strict=True)] if as_many else [0, 1]
    return {
        "blocks": len(blocks),
        "parameters": count_parameters(net),
        "shape of the logits": tuple(net.eval()(torch.zeros(2, 1, 32, 32)).shape),
        "narrowest, compared with the widest": min(ratios) / max(ratios),
    }


def shrink_case(budget, note):
    expected = {
        "blocks": 9,
        "parameters": Band(0.95 * budget, budget),
        "shape of the logits": (2, 10),
        # rounding to whole channels bends narrow blocks
        "narrowest, compared with the widest": Band(0.5, 1.0),
    }
    return case(budget, expected=expected, note=note)


@exercise(
    title="Shrink it",
    kind="code",
    minutes=30,
    cases=lambda: [
        shrink_case(250_000, "the stem needs half of that"),
        shrink_case(3_000_000, "about half"),
    ],
    view=seen_of_small_net,
    hints=[
        "`climb` and `affordable` of this chapter do nearly this: scale all sizes by one factor, "
        'count on the device "meta", and halve the interval in which the factor lies.',
        "`GoogLeNet(1, 10, blocks=…)` takes a dict like `INCEPTION`. The stem stays as it is.",
        "Sizes are whole numbers, at least 1: `max(1, round(factor * size))`, also for the two "
        "numbers in each pair.",
        "Count with `low` and `high`, ten steps, and at the end build a real network with "
        "`low`, which always fits.",
    ],
    explanation="The parameters of a block grow with the square of the factor, but the stem does "
    "not shrink, and sizes are rounded: a formula would be awkward, bisection is easy. The device "
    '"meta" makes a count cost milliseconds.',
)
def ex07_12_shrink(budget):
    """A GoogLeNet(1, 10, …) with at most `budget` parameters, and at least 95 % of them."""

    def build(factor):
        def scale(size):
            if isinstance(size, tuple):
                return tuple(map(scale, size))
            return max(1, round(factor * size))

        blocks = {name: tuple(map(scale, sizes)) for name, sizes in INCEPTION.items()}
        return GoogLeNet(1, 10, blocks=blocks)

    low, high = 0.0, 1.0
    for _ in range(9):
        middle = (low + high) / 2
        with torch.device("meta"):
            fits = count_parameters(build(middle)) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return build(low)
