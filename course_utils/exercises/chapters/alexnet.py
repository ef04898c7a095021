"""Exercises of chapter 05, AlexNet."""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import (
    counting,
    differs_from,
    distinct,
    refused,
    several,
    shapes_after,
    slope,
)
from course_utils.exercises.checker.declare import Band, case, exercise
from course_utils.nets.convolution import out_size

TITLE = "AlexNet"


@exercise(
    title="The gradient of ReLU",
    forbids=r"backward|grad|\w*_backward",
    kind="warm-up",
    minutes=2,
    cases=lambda: [
        case(torch.tensor([-1.0, 2.0]), torch.tensor([5.0, 7.0])),
        case(torch.tensor([0.0]), torch.tensor([3.0]), note="at zero the unit is off"),
        case(torch.tensor([0.25, -0.25]), torch.tensor([-1.0, -1.0])),
        case(torch.tensor(0.5), torch.tensor(-2.0), note="tensors without an axis"),
        case(distinct(2, 3, 4, 4).double(), distinct(2, 3, 4, 4).double()),
    ],
    reference=lambda X, G: slope(lambda X: (F.relu(X) * G).sum(), X),
    misconceptions={
        "it is ReLU itself, not its gradient": lambda X, G: F.relu(X),
        "the slope is right, but what arrives from above is left out": lambda X, G: (X > 0).to(G),
        "the sign of G decides, not that of X": lambda X, G: F.relu(G),
        "a unit at zero lets the gradient through": lambda X, G: G * (X >= 0),
    },
    hints=[
        "The slope is one where X is positive and zero elsewhere. What does the chain rule do "
        "with G?",
        "`X > 0` is a mask. Multiply.",
    ],
    explanation="The chain rule multiplies what arrives by the slope. `X > 0` is the slope: one "
    "where the unit is on, zero where it is off, and off at zero by convention.",
)
def ex05_1_relu_grad(X, G):
    """Gradient of F.relu for X, given the gradient G that arrives from above."""
    return G * (X > 0)


def sides_by_running(n):
    layers = [
        nn.Conv2d(1, 1, 11, stride=4, padding=1),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(1, 1, 5, padding=2),
        nn.MaxPool2d(3, stride=2),
        nn.Conv2d(1, 1, 3, padding=1),
        nn.MaxPool2d(3, stride=2),
    ]
    return [shape[-1] for shape in shapes_after(layers, torch.zeros(1, 1, n, n))]


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [case(n) for n in (224, 65, 68, 73, 81, 96, 100, 128, 150, 199, 227, 256)],
    reference=sides_by_running,
    hints=[
        "n pixels, window k, padding p and stride s give (n + 2p - k) // s + 1 places.",
        "The first convolution has window 11, stride 4, padding 1; every pool has window 3 and "
        "stride 2; the other convolutions keep the size.",
    ],
    explanation="Only four layers change the size: the first convolution and the three pools. For "
    "224 pixels: 54, 26, 26, 12, 12, 5.",
)
def ex05_2_sides(n):
    """Sides in AlexNet(), for images of n × n pixels: a list of six whole numbers."""
    first = out_size(n, 11, 4, 1)
    second = out_size(first, 3, 2)
    third = out_size(second, 3, 2)
    return [first, second, second, third, third, out_size(third, 3, 2)]


@exercise(
    title="Leaky ReLU",
    kind="code",
    minutes=3,
    cases=lambda: [
        case(torch.tensor([-1.0, 2.0]), 0.1),
        case(torch.tensor([-100.0, 3.0]), note="without a slope: 0.01"),
        case(torch.tensor([-2.0, 2.0]), 0.0, note="slope 0 is ReLU"),
        case(torch.tensor([-2.0, 2.0]), 3.0, note="steeper below zero than above"),
        case(torch.tensor([-2.0, 2.0]), -1.0, note="slope -1 is the absolute value"),
        case(torch.zeros(2), 0.1, expected=torch.zeros(2)),
        case(distinct(2, 3, 2, 2).double(), slope=0.3),
    ],
    reference=lambda X, slope=0.01: torch.where(X > 0, X, slope * X),
    misconceptions={
        "the slope is ignored": lambda X, slope=0.01: F.leaky_relu(X),
        "it is plain ReLU": lambda X, slope=0.01: F.relu(X),
        "the slope is added, not multiplied": lambda X, slope=0.01: torch.where(X > 0, X, slope),
        "the larger of x and slope · x is taken": lambda X, slope=0.01: torch.maximum(X, slope * X),
        "the positive side is made flat, too": lambda X, slope=0.01: slope * X,
    },
    gradient=True,
    hints=[
        "`torch.where(condition, a, b)` takes from a where the condition holds, else from b.",
        "Or add two parts: `relu(X)` is the positive one. What is `relu(-X)`?",
    ],
    explanation="`relu(X)` is x where it is positive, `-relu(-X)` is x where it is negative, and "
    "each is zero elsewhere. `torch.maximum(X, slope * X)` does the same only for slopes up to 1.",
)
def ex05_3_leaky_relu(X, slope=0.01):
    """X where it is positive, slope times X elsewhere."""
    return torch.relu(X) - slope * torch.relu(-X)


def std_by_fans(weight, mode=0, gain=2**0.5):
    return gain / nn.init._calculate_fan_in_and_fan_out(weight)[mode] ** 0.5


@exercise(
    title="Kaiming's standard deviation",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(counting(1, 2), note="a fully connected layer: 2 inputs, 1 output"),
        case(counting(3, 1), note="1 input, 3 outputs"),
        case(counting(2, 3, 3, 3)),
        case(torch.zeros(5, 1, 1, 1), note="the numbers in it do not matter"),
        case(distinct(8, 4, 5, 5)),
        case(distinct(4, 6, 3, 3).double()),
    ],
    reference=std_by_fans,
    misconceptions={
        "the fan-out is taken": lambda weight: std_by_fans(weight, 1),
        "the window is forgotten: only channels are counted": lambda weight: (
            (2 / weight.shape[1]) ** 0.5
        ),
        "it is the variance": lambda weight: std_by_fans(weight) ** 2,
        "the 2 for ReLU is missing": lambda weight: std_by_fans(weight, gain=1),
        "it is the bound of the uniform distribution": lambda w: std_by_fans(w, gain=6**0.5),
    },
    hints=[
        "How many products does *one* output number add up? That is the fan-in.",
        "Everything but the first axis of the weight: `weight.shape[1:]`. `torch.Size` can "
        "`numel()`.",
    ],
    explanation="One filter, `weight[0]`, makes one output number; its size is the fan-in. "
    "The variance is 2 / fan-in, the standard deviation its root.",
)
def ex05_4_kaiming_std(weight):
    """Standard deviation for a weight (out, in) or (out, in, k, k): Kaiming, fan-in, ReLU."""
    fan_in = weight.shape[1:].numel()
    return (2 / fan_in) ** 0.5


def pattern(*shape):
    """Numbers of both signs, never zero, that can be worked out again from the shape alone."""
    n = torch.arange(torch.Size(shape).numel())
    return ((1 + n % 7 / 7) * (1 - n % 2 * 2)).reshape(shape)


def factors(Y):
    """By what each number of `pattern` was multiplied, float64, rounded."""
    return (Y.double() / pattern(*Y.shape).double()).mul(1e4).round() / 1e4


def few(values):
    """The different values, sorted; not more than would be looked at."""
    return sorted(set(values.flatten().tolist()))[:6]


def seen_of_dropout(Y):
    """What can be said about the channels, or numbers (N, C), that random dropout hit."""
    if not isinstance(Y, torch.Tensor) or Y.ndim < 2:
        return Y
    off = (factors(Y) == 0).double().reshape(*Y.shape[:2], -1).mean(dim=2)  # (N, C)
    examples = off.mean(dim=1)
    return {
        "shape": tuple(Y.shape),
        "dtype": str(Y.dtype),
        "factors by which numbers are multiplied": few(factors(Y)),
        "dropped in part": int(((off > 0) & (off < 1)).sum()),
        "share that is dropped": off.mean().item(),
        "share of examples that lose others than the first one does": (
            (off != off[0]).any(dim=1).double().mean().item()
        ),
        "share of examples that lose some and keep some": (
            ((examples > 0) & (examples < 1)).double().mean().item()
        ),
    }


def dropout_case(*shape, p, training=None, dtype=torch.float32, note=""):
    """For dropout2d; and for dropout, whose third argument is `training`."""
    steady = p == 0 or training is False
    margin = 6.8 * (p * (1 - p) / (shape[0] * shape[1])) ** 0.5  # as many spreads of a coin's share
    random = Band(0, 0) if steady else Band(0.9, 1)
    factors_seen = [1.0] if steady else [0.0, round(1 / (1 - p), 4)]
    expected = {
        "shape": shape,
        "dtype": str(dtype),
        "factors by which numbers are multiplied": factors_seen,
        "dropped in part": 0,
        "share that is dropped": Band(0, 0) if steady else Band(p - margin, p + margin),
        "share of examples that lose others than the first one does": random,
        "share of examples that lose some and keep some": random,
    }
    told = () if training is None else (training,)
    return case(pattern(*shape).to(dtype), p, *told, expected=expected, note=note)


def draws_anew(outcome, again):
    """A second call, with other random numbers, must hit others."""
    X = outcome.arguments["X"]
    if not isinstance(outcome.raw, torch.Tensor) or torch.equal(X, outcome.raw):
        return ""
    second = again().raw
    same = isinstance(second, torch.Tensor) and torch.equal(second, outcome.raw)
    return "A second call hits just the same: every call must draw anew." if same else ""


@exercise(
    title="Drop whole channels",
    witness=draws_anew,
    shares=("X",),  # where nothing is dropped, as PyTorch's own
    kind="code",
    minutes=10,
    cases=lambda: [
        dropout_case(1, 2, 2, 2, p=0.0, note="p = 0 drops nothing"),
        dropout_case(60, 30, 3, 2, p=0.5),
        dropout_case(70, 30, 2, 5, p=0.25),
        dropout_case(80, 31, 3, 3, p=0.75, dtype=torch.float64),
    ],
    view=seen_of_dropout,
    misconceptions={
        "single numbers are dropped, not channels": F.dropout,
        "the others are not divided by 1 - p": lambda X, p: (
            X * (torch.rand(*X.shape[:2], 1, 1) >= p)
        ),
        "the channels are kept with probability p": lambda X, p: (
            X * (torch.rand(*X.shape[:2], 1, 1) < p) / (1 - p)
        ),
        "all images lose the same channels": lambda X, p: (
            X * (torch.rand(1, X.shape[1], 1, 1) >= p) / (1 - p)
        ),
        "whole images are dropped": lambda X, p: X * (torch.rand(len(X), 1, 1, 1) >= p) / (1 - p),
    },
    hints=[
        "The mask must have one entry per example and channel, and broadcast over rows and "
        "columns: which shape?",
        "`(N, C, 1, 1)`. `torch.rand(N, C, 1, 1) >= p` is true with probability 1 - p.",
    ],
    explanation="The mask has shape (N, C, 1, 1) and broadcasts over the pixels. `bernoulli_` "
    "fills it with ones of probability 1 - p, in the dtype and on the device of X.",
)
def ex05_5_dropout2d(X, p):
    """Set whole channels of (N, C, H, W) to zero with probability p, scale up the others."""
    N, C, _, _ = X.shape
    keep = X.new_empty(N, C, 1, 1).bernoulli_(1 - p)
    return X * keep / (1 - p)


def squares_erased(Y):
    """What can be said about randomly erased squares, wherever they are."""
    if not isinstance(Y, torch.Tensor) or Y.ndim != 4:
        return Y
    factor = factors(Y)
    off = factor == 0
    image = off.any(dim=1)  # (N, H, W)
    places = [tuple(plane.nonzero().flatten().tolist()[:2]) for plane in image]
    return {
        "shape": tuple(Y.shape),
        "dtype": str(Y.dtype),
        "factors by which numbers are multiplied": few(factor),
        "images whose channels differ": int((off != off[:, :1]).flatten(1).any(dim=1).sum()),
        "rows that a square touches": few(image.any(dim=2).sum(dim=1)),
        "columns that a square touches": few(image.any(dim=1).sum(dim=1)),
        "pixels in a square": few(image.flatten(1).sum(dim=1)),
        "different places": len(set(places)),
    }


def erase_case(*shape, size, places=None, dtype=torch.float32, note=""):
    _, _, h, w = shape
    expected = {
        "shape": shape,
        "dtype": str(dtype),
        "factors by which numbers are multiplied": [0.0] if size == h == w else [0.0, 1.0],
        "images whose channels differ": 0,
        "rows that a square touches": [size],
        "columns that a square touches": [size],
        "pixels in a square": [size * size],
        "different places": (h - size + 1) * (w - size + 1) if places is None else places,
    }
    return case(pattern(*shape).to(dtype), size, expected=expected, note=note)


def erase_at(X, size, top, left):
    """With the squares at given places (N,), the same in all channels."""
    rows, columns = torch.arange(X.shape[2])[:, None], torch.arange(X.shape[3])
    down, right = rows - top[:, None, None, None], columns - left[:, None, None, None]
    return X * ~((down >= 0) & (down < size) & (right >= 0) & (right < size))


def erase_random(X, size, more, n):
    """n squares at random; along an axis of length m there are m - size + more places."""
    return erase_at(X, size, *[torch.randint(max(1, m - size + more), (n,)) for m in X.shape[2:]])


def places_alike(outcome, again):
    """Drawn anew, and no place far more often than another: a chi-square test at 5 sigma."""
    N = len(outcome.arguments["X"])
    if N < 100 or not isinstance(outcome.raw, torch.Tensor):
        return ""
    corners = (factors(outcome.raw)[:, 0] == 0).flatten(1).double().argmax(dim=1)
    hits = torch.bincount(corners).double()
    hits = hits[hits > 0]
    free = max(1, len(hits) - 1)
    unequal = (hits - N / len(hits)).square().sum() / (N / len(hits))
    limit = free * (1 - 2 / (9 * free) + 5 * (2 / (9 * free)) ** 0.5) ** 3  # Wilson, Hilferty
    if unequal > limit:
        return "Some places are hit far more often than others: all should be equally likely."
    return draws_anew(outcome, again)


@exercise(
    title="Erase a square",
    witness=places_alike,
    kind="code",
    minutes=20,
    cases=lambda: [
        erase_case(1, 1, 3, 3, size=3, note="the square is the image"),
        erase_case(1, 2, 6, 1, size=1, places=1, note="one image: one place, in both channels"),
        # so many images that no place is left out: (1 - 1/12) to the 500 is below 1e-18
        erase_case(500, 2, 4, 5, size=2, note="500 images: every place inside must occur"),
        erase_case(520, 3, 6, 3, size=3, dtype=torch.float64),
        erase_case(600, 1, 3, 4, size=1),
    ],
    view=squares_erased,
    misconceptions={
        "all images lose the same square": lambda X, size: erase_random(X, size, 1, 1),
        "the last place is never used": lambda X, size: erase_random(X, size, 0, len(X)),
        "squares reach over the border": lambda X, size: erase_random(X, size, size, len(X)),
    },
    hints=[
        "How many places are there for the upper left corner, along each axis? Draw one for each "
        "image, of shape (N, 1, 1, 1).",
        "A pixel is erased if its row is at least `top` and below `top + size`, and the same "
        "holds for its column.",
        "`torch.arange(h)[:, None]` holds the rows, `torch.arange(w)` the columns. Compared with "
        "`top` and `left` they broadcast to a mask (N, 1, h, w) for `X.masked_fill(mask, 0)`.",
    ],
    explanation="The corner has h - size + 1 rows to choose from; `randint` excludes its upper "
    "end. All comparisons broadcast to (N, 1, h, w), the same for all channels, and "
    "`masked_fill` (without an underscore) makes a new tensor.",
)
def ex05_6_erase(X, size):
    """Copy of (N, C, H, W) with one square of zeros per image, at a random place inside."""
    N, _, h, w = X.shape
    top = torch.randint(0, h - size + 1, (N, 1, 1, 1))
    left = torch.randint(0, w - size + 1, (N, 1, 1, 1))
    row, column = torch.arange(h)[:, None], torch.arange(w)
    inside = (row >= top) & (row < top + size) & (column >= left) & (column < left + size)
    return X.masked_fill(inside, 0)


def broken_dropout(X, p, training):
    keep = torch.rand(X.shape) >= p
    return X * keep


@exercise(
    title="Repair: dropout from memory",
    kind="repair",
    minutes=5,
    cases=lambda: [
        dropout_case(2, 3, p=0.5, training=False, note="in evaluation nothing is dropped"),
        dropout_case(3, 2, p=0.0, training=True, note="p = 0 drops nothing"),
        dropout_case(60, 70, p=0.5, training=True),
        dropout_case(70, 80, p=0.25, training=True, dtype=torch.float64),
    ],
    stub=broken_dropout,
    witness=draws_anew,
    shares=("X",),
    view=seen_of_dropout,
    misconceptions={
        "what is kept is not scaled up in training": lambda X, p, training: (
            broken_dropout(X, p, training) if training else X
        ),
        "evaluation drops numbers, too": lambda X, p, _: broken_dropout(X, p, True) / (1 - p),
        "evaluation scales: that belongs to the dropout of 2014, without the division": (
            lambda X, p, training: broken_dropout(X, p, training) if training else X * (1 - p)
        ),
        "numbers are divided by p, not by 1 - p": lambda X, p, training: (
            broken_dropout(X, p, training) / p if training else X
        ),
    },
    hints=[
        "Feed it `torch.ones(1000)` with p = 0.5. What is the mean before and after?",
        "Which argument is never used?",
    ],
    explanation="The survivors are divided by 1 - p, so that the next layer gets the same mean as "
    "without dropout; and in evaluation X passes as it is.",
)
def ex05_7_dropout(X, p, training):
    if not training:
        return X
    keep = torch.rand(X.shape) >= p
    return X * keep / (1 - p)


def broken_probabilities(logits):
    return F.softmax(logits)


@exercise(
    title="Repair: probabilities of what?",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case(torch.tensor([0.0, 1.0]), note="one example, two classes"),
        case(torch.zeros(2, 5, 4), note="two films of five frames, four classes"),
        case(counting(2, 3), note="two examples, three classes"),
        case(torch.tensor([[0.0, 1000.0], [1000.0, 0.0]]), note="large logits"),
        case(distinct(2, 3, 2, 4).double()),
    ],
    reference=lambda logits: (logits - logits.logsumexp(dim=-1, keepdim=True)).exp(),
    stub=broken_probabilities,
    misconceptions={
        "it normalises over the first axis": lambda logits: torch.softmax(logits, 0),
        "it normalises over the second axis": lambda logits: torch.softmax(logits, 1),
        "it normalises over all axes together": lambda x: x.flatten().softmax(0).view_as(x),
        "without powers of e": lambda logits: logits / logits.sum(dim=-1, keepdim=True),
    },
    gradient=True,
    hints=[
        "Print `ex05_8_probabilities(torch.zeros(2, 5, 4)).sum(-1)`. What should it be?",
        "Say over which dimension. Counted from the end the classes are always at the same place.",
    ],
    explanation="Counted from the end, the classes are dimension -1, whatever comes before. "
    "Without `dim` the choice depends on the number of dimensions: right for one, two and four, "
    "wrong for three.",
)
def ex05_8_probabilities(logits):
    return F.softmax(logits, dim=-1)


@exercise(
    title="Weights in groups",
    kind="code",
    minutes=5,
    cases=lambda: [
        *several((96, 256, 5, 2), (1, 1, 1, 1), (4, 6, 3, 2), (6, 12, 2, 3)),
        case(4, 6, 3, 1, note="one group: an ordinary convolution"),
        case(6, 6, 3, 6, note="each channel by itself"),
        refused(3, 4, 1, 2, note="2 does not divide 3"),
        refused(4, 3, 1, 2, note="2 does not divide 3"),
        refused(2, 4, 1, 4, note="more groups than channels"),
    ],
    reference=lambda c_in, c_out, k, groups: nn.Conv2d(
        c_in, c_out, k, groups=groups
    ).weight.numel(),
    misconceptions={
        "the groups are ignored": lambda c_in, c_out, k, groups: c_in * c_out * k**2,
        "both channels are divided, but there are several groups": lambda c_in, c_out, k, groups: (
            c_in // groups * (c_out // groups) * k**2
        ),
        "each group has as many weights as the whole": lambda c_in, c_out, k, groups: (
            c_in * c_out * k**2 * groups
        ),
    },
    hints=[
        "How many input channels does one filter see?",
        "There are still c_out filters; each has c_in / groups times k² weights. `%` finds out "
        "whether a number divides another.",
    ],
    explanation="A filter sees the input channels of its group only. So two groups need half of "
    "the weights, and as many groups as channels need one window per output channel.",
)
def ex05_9_groups(c_in, c_out, k, groups):
    """Number of weights, without biases, of a grouped convolution with k × k windows."""
    if c_in % groups or c_out % groups:
        raise ValueError(f"{groups} groups do not divide {c_in} and {c_out} channels")
    return c_out * (c_in // groups) * k * k


def as_linear(layer):
    """What to compare of an nn.Linear."""
    if not isinstance(layer, nn.Linear):
        return layer
    return {"weight": layer.weight.detach(), "bias": layer.bias}


def pair_of_layers(a, b, c, note=""):
    return case(nn.Linear(a, b), nn.Linear(b, c), note=note)


def merged_with(weight, bias):
    def merge(first, second):
        merged = nn.Linear(first.in_features, second.out_features)
        with torch.no_grad():
            merged.weight.copy_(weight(first, second))
            merged.bias.copy_(bias(first, second))
        return merged

    return merge


def at_zero(first, second):
    return second(first(torch.zeros(first.in_features)))


@exercise(
    title="Two layers are one",
    kind="code",
    minutes=15,
    cases=lambda: [
        pair_of_layers(1, 1, 1),
        pair_of_layers(2, 3, 1),
        pair_of_layers(3, 3, 3, note="square weights: which comes first?"),
        pair_of_layers(5, 1, 2, note="one unit in between"),
        pair_of_layers(20, 30, 10),
    ],
    reference=merged_with(
        lambda first, second: (
            (second(first(torch.eye(first.in_features))) - at_zero(first, second)).T
        ),
        at_zero,
    ),
    view=as_linear,
    misconceptions={
        "the bias of the first layer does not go through the second": merged_with(
            lambda first, second: second.weight @ first.weight,
            lambda first, second: second.bias,
        ),
        "the weights are multiplied in the wrong order": merged_with(
            lambda first, second: first.weight @ second.weight, at_zero
        ),
        "the weights are right and the bias is left as it was drawn": merged_with(
            lambda first, second: second.weight @ first.weight,
            lambda first, second: nn.Linear(first.in_features, second.out_features).bias,
        ),
    },
    hints=[
        "Write it down: $W_2 (W_1 x + b_1) + b_2$. What multiplies $x$, and what is left?",
        "The weight is $W_2 W_1$, the bias $W_2 b_1 + b_2$: that is the second layer, applied to "
        "the first one's bias.",
        "Fill a new `nn.Linear` inside `with torch.no_grad():` by `weight.copy_(…)`.",
    ],
    explanation="$W_2 (W_1 x + b_1) + b_2 = (W_2 W_1)\\,x + (W_2 b_1 + b_2)$. The second layer, "
    "applied to the first one's bias, is the new bias.",
)
def ex05_10_merge(first, second):
    """The nn.Linear that does what `first` and then `second` do."""
    merged = nn.Linear(first.in_features, second.out_features)
    with torch.no_grad():
        merged.weight.copy_(second.weight @ first.weight)
        merged.bias.copy_(second(first.bias))
    return merged


def kernel_by_torch(first, second):
    return F.conv_transpose2d(first.transpose(0, 1), second.transpose(0, 1)).transpose(0, 1)


@exercise(
    title="Two convolutions are one",
    kind="code",
    minutes=30,
    cases=lambda: [
        case(torch.full((1, 1, 1, 1), 3.0), counting(1, 1, 1, 1) + 5, note="windows of one pixel"),
        case(counting(1, 1, 2, 2), torch.full((1, 1, 1, 1), 2.0)),
        case(counting(1, 1, 2, 2), counting(1, 1, 2, 2) + 1),
        case(counting(2, 1, 1, 1) + 1, counting(1, 2, 2, 2), note="two channels in between"),
        case(distinct(2, 2, 3, 3), distinct(2, 2, 3, 3) + 0.5, note="all sizes are equal"),
        case(distinct(2, 1, 5, 5).double(), distinct(3, 2, 5, 5).double()),
    ],
    reference=kernel_by_torch,
    misconceptions={
        "the kernel is turned round": lambda *two: kernel_by_torch(*two).flip(-1, -2),
        "only the second kernel is turned round": lambda a, b: kernel_by_torch(a, b.flip(-1, -2)),
        "input and output channels are exchanged": lambda *two: kernel_by_torch(*two).transpose(
            0, 1
        ),
        "channels in between are not added up": lambda a, b: kernel_by_torch(a[:1], b[:, :1]),
    },
    gradient=True,
    hints=[
        "How large is the new window? Two windows of 5 give one of 9.",
        "Pixel (a, b) of the second window sees the first window's kernel, moved by (a, b). So "
        "add up moved copies of `first`, each times `second[:, :, a, b]`.",
        '`torch.einsum("om,mihw->oihw", second[:, :, a, b], first)` adds up the channels in '
        "between. It belongs to rows a to a + k of the result, and columns b to b + k.",
    ],
    explanation="Each entry of the second window places a copy of the first kernel at its own "
    "offset; a matrix product over the channels in between mixes the copies. In one line: "
    "`F.conv_transpose2d(first.transpose(0, 1), second.transpose(0, 1)).transpose(0, 1)`.",
)
def ex05_11_merge_convs(first, second):
    """Weight of the one convolution that does what weights `first` and then `second` do.

    first: (c, c_in, k, k). second: (c_out, c, m, m). Result: (c_out, c_in, k + m - 1, k + m - 1).
    """
    _, c_in, k, _ = first.shape
    c_out, _, m, _ = second.shape
    side = k + m - 1
    merged = first.new_zeros(c_out, c_in, side, side)
    for a in range(m):
        for b in range(m):
            part = torch.einsum("om,mihw->oihw", second[:, :, a, b], first)
            merged[:, :, a : a + k, b : b + k] += part
    return merged


def ratio_of_the_gradients(outcome, again):
    depth, gradients = outcome.arguments["depth"], outcome.spy.gradients(64, 64)
    layers = len(outcome.spy.results("linear|addmm|matmul|mm"))
    if layers != depth:
        return f"The batch went through {layers} linear layers, not {depth}."
    if len(gradients) < min(depth, 2):
        return "The gradients of the first and of the last weight were not both looked at."
    ratios = [a.norm() / b.norm() for a in gradients for b in gradients if a is not b]
    what = "The size of one of these gradients, divided by that of another,"
    return differs_from(outcome, *ratios, *[1.0] * (depth == 1), what=what)


@exercise(
    title="Experiment: what depth does to a gradient",
    kind="experiment",
    witness=ratio_of_the_gradients,
    minutes=15,
    cases=lambda: [
        case(1, expected=Band(0.999999, 1.000001), note="the first layer is the last"),
        # wide enough for other random numbers: a hundred draws stay inside
        case(2, expected=Band(0.14, 0.36)),
        case(4, expected=Band(0.006, 0.026)),
        case(8, expected=Band(9e-6, 1.05e-4)),
    ],
    hints=[
        "Make a list of `nn.Linear(64, 64)`, give each weight to `nn.init.xavier_uniform_`, and "
        "send the batch through, with `torch.sigmoid` after each layer.",
        "`torch.autograd.grad(Y.sum(), [layers[0].weight, layers[-1].weight])` gives both "
        "gradients. Divide their norms.",
    ],
    explanation="About 0.23, 0.012 and 0.000035 for 2, 4 and 8 layers: each further layer shrinks "
    "the gradient to about a quarter, the largest slope of a sigmoid. Xavier's weights keep the "
    "size of the rest.",
)
def ex05_12_depth(depth):
    """Size of the gradient in the first of `depth` layers, divided by that in the last."""
    layers = [nn.Linear(64, 64) for _ in range(depth)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
    Y = torch.rand(256, 64)
    for layer in layers:
        Y = torch.sigmoid(layer(Y))
    weights = [layers[0].weight, layers[-1].weight]
    first, last = torch.autograd.grad(Y.sum(), weights)
    return (first.norm() / last.norm()).item()
