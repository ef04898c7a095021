"""Exercises of chapter 09, Comparing networks."""

import math
import statistics
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from course_utils.exercises.chapters.inputs import differs_from, several
from course_utils.exercises.checker.declare import Band, case, exercise

TITLE = "Comparing networks"


@exercise(
    title="How often is a weight used?",
    kind="warm-up",
    minutes=2,
    cases=lambda: [
        *several((10, 5), (40, 3), (1_000_000, 999_999)),
        case(7, 2, note="half a time more"),
        case(6, 100, note="parameters that this image hardly uses"),
        case(416_520, 61_706, note="LeNet-5"),
    ],
    # in tenths, half up: another rounding than the solution's, but no case here is a tie
    reference=lambda macs, parameters: (20 * macs + parameters) // (2 * parameters) / 10,
    misconceptions={
        "it is not rounded": lambda macs, parameters: macs / parameters,
        "the fraction is upside down": lambda macs, parameters: round(parameters / macs, 1),
        "FLOPs are taken, two for each MAC": lambda macs, n: round(2 * macs / n, 1),
        "it is rounded to a whole number": lambda macs, parameters: round(macs / parameters),
    },
    hints=[
        "Each multiply-add uses one weight once.",
        "`round(number, digits)` rounds to so many decimals.",
    ],
    explanation="Every multiply-add takes one weight, so their number divided by the number of "
    "weights says how often each is used, on average. Dense layers give 1, convolutions the "
    "number of positions.",
)
def ex09_1_reuse(macs, parameters):
    """How often a weight is used per image, rounded to one decimal."""
    return round(macs / parameters, 1)


def deviation(correct, n):
    return statistics.pstdev([1.0] * correct + [0.0] * (n - correct)) / n**0.5


@exercise(
    title="The standard error",
    kind="code",
    minutes=5,
    cases=lambda: [
        *several((1, 2), (3, 4), (180, 200), (1843, 2000), (9000, 10_000)),
        case(5, 5, note="all right: no spread, says the formula"),
        case(0, 7, note="none right"),
    ],
    reference=deviation,
    misconceptions={
        "the root is missing": lambda *counts: deviation(*counts) ** 2,
        "it is not divided by the number of images": lambda hits, n: deviation(hits, n) * n**0.5,
        "it is the 95 % margin, 1.96 times too wide": lambda *counts: 1.96 * deviation(*counts),
        "it is the error of the count, not of the accuracy": lambda k, n: n * deviation(k, n),
    },
    hints=[
        "The accuracy is p = correct / n.",
        "The formula stands under *How sure are we?*: p (1 - p), divided by n, and the root of it.",
    ],
    explanation="Each image is a coin that shows 1 with probability p: variance p (1 - p). The "
    "mean of n coins has a variance n times smaller.",
)
def ex09_2_standard_error(correct, n):
    """Standard error of the accuracy when `correct` of `n` test images were right."""
    p = correct / n
    return math.sqrt(p * (1 - p) / n)


def layer_costs(channels=4, filters=4, k=3, side=32, batch=1):
    """Parameters, MACs and outputs of a convolution that keeps the size."""
    conv = nn.Conv2d(channels, filters, k, padding=k // 2, bias=False)
    outputs = conv(torch.zeros(batch, channels, side, side)).numel()
    return conv.weight.numel(), outputs * conv.weight[0].numel(), outputs


def factors_by_counting():
    before = layer_costs()  # a sixteenth of the task's channels: the factors are the same
    changed = [
        layer_costs(side=64),
        layer_costs(filters=8),
        layer_costs(channels=8, filters=8),
        layer_costs(k=9),
        layer_costs(batch=2),
    ]
    return [tuple(a / b for a, b in zip(after, before, strict=True)) for after in changed]


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [case()],
    reference=factors_by_counting,
    hints=[
        "Parameters: filters × channels × k × k. Neither the image nor the batch is in it.",
        "MACs: each parameter is used once at each position of each image.",
        "Outputs: filters × positions × images. The kernel is not in it.",
    ],
    explanation="Four times the pixels: the same weights are used four times as often. Both "
    "channel counts doubled make four times the weights, yet only twice the outputs. A kernel of "
    "9×9 has nine times the weights of 3×3. The batch costs arithmetic and memory, no weights.",
)
def ex09_3_predict():
    """Five tuples: by which factor (parameters, MACs, outputs) grow with each change."""
    return [(1, 4, 4), (2, 2, 2), (4, 4, 2), (9, 9, 1), (1, 2, 2)]


def images_by_search(p, margin):
    n = 1
    while 1.96 * math.sqrt(p * (1 - p) / n) > margin:
        n += 1
    return n


@exercise(
    title="How many test images?",
    kind="code",
    minutes=8,
    cases=lambda: [
        *several((0.5, 0.4), (0.9, 0.3), (0.97, 0.05), (0.9, 0.02), (0.9, 0.011)),
        case(0.6, 0.9, note="nearly any margin will do"),
        case(0.2, 0.04, note="an accuracy far below one half"),
    ],
    reference=images_by_search,
    misconceptions={
        "it is rounded down: then the margin is just missed": lambda p, margin: (
            images_by_search(p, margin) - 1
        ),
        "the margin is one standard error, not 1.96": lambda p, m: math.ceil(p * (1 - p) / m**2),
        "the worst case p = 0.5 is taken": lambda p, margin: images_by_search(0.5, margin),
    },
    hints=[
        "Solve 1.96 · √(p (1 - p) / n) = margin for n.",
        "n = p (1 - p) (1.96 / margin)², and `math.ceil` rounds it up.",
    ],
    explanation="Half the margin takes four times the images: to tell 0.90 from 0.91 you need "
    "thousands, to tell 0.900 from 0.901 hundreds of thousands.",
)
def ex09_4_images_needed(p, margin):
    """Smallest number of test images for which 1.96 standard errors are at most `margin`."""
    return math.ceil(p * (1 - p) * (1.96 / margin) ** 2)


def told_by_squares(p, q, n):
    variance = (p - p * p + q - q * q) / n
    return (p - q) ** 2 > 1.96**2 * variance


@exercise(
    title="Told apart?",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(1.0, 1.0, 3, note="both are perfect: nothing to tell"),
        *several((1.0, 0.0, 3), (0.6, 0.4, 20), (0.5, 0.93, 7), (0.93, 0.5, 10), (0.9, 0.91, 2000)),
        case(0.5, 0.93, 10, note="two spreads that are not alike"),
        case(0.91, 0.90, 10_000, note="the first is the better one"),
        case(0.9, 0.9075, 10_000, note="less than 1.96 standard errors, more than 1.65"),
    ],
    reference=told_by_squares,
    misconceptions={
        "the two error bars must not overlap: that asks for too much": lambda p, q, n: (
            abs(p - q) > 1.96 * (math.sqrt(p * (1 - p) / n) + math.sqrt(q * (1 - q) / n))
        ),
        "only the error of one network counts": lambda p, q, n: (
            abs(p - q) > 1.96 * math.sqrt(p * (1 - p) / n)
        ),
        "the second must be the better one": lambda p, q, n: q > p and told_by_squares(p, q, n),
        "the first must be the better one": lambda p, q, n: p > q and told_by_squares(p, q, n),
    },
    hints=[
        "Two independent measurements: the variance of their difference is the *sum* of their "
        "variances.",
        "The standard error of p - q is √((p (1 - p) + q (1 - q)) / n).",
        "Which one is better must not matter: `abs`.",
    ],
    explanation="Variances add, standard errors do not. Two error bars may overlap although the "
    "difference is clear: √(a² + b²) is less than a + b.",
)
def ex09_5_told_apart(p, q, n):
    """Whether p and q, on n other images each, differ by more than 1.96 standard errors."""
    variance = (p * (1 - p) + q * (1 - q)) / n
    return abs(p - q) > 1.96 * math.sqrt(variance)


def broken_mean_accuracy(batches):
    return sum(correct / size for correct, size in batches) / len(batches)


@exercise(
    title="Repair: the small last batch",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case([(1, 2)]),
        case([(2, 2), (0, 1)], note="the last batch is smaller"),
        case([(3, 4), (1, 4)], note="batches of one size"),
        case([(0, 3), (1, 1), (2, 5)]),
        case([(0, 8), (0, 3)], note="nothing is right"),
        case([(60, 64), (59, 64), (61, 64), (1, 16)]),
    ],
    reference=lambda batches: statistics.mean(
        hit for correct, size in batches for hit in [1.0] * correct + [0.0] * (size - correct)
    ),
    stub=broken_mean_accuracy,
    misconceptions={
        "every batch counts alike, however small it is": broken_mean_accuracy,
        "it is divided by the number of batches": lambda b: sum(right for right, _ in b) / len(b),
        "all batches are taken to be as large as the first": lambda batches: (
            sum(correct for correct, _ in batches) / (batches[0][1] * len(batches))
        ),
    },
    hints=[
        "A batch of 16 images must weigh a quarter of one of 64.",
        "Add up what was right, add up the sizes, and divide once, at the end.",
    ],
    explanation="A mean of means is the mean only if all groups have one size. With 10,000 test "
    "images and batches of 64 the last has 16 images, and each of them would count four times.",
)
def ex09_6_mean_accuracy(batches):
    return sum(correct for correct, _ in batches) / sum(size for _, size in batches)


class Stopwatch:
    """A clock that only goes on while a `FakeNet` computes."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def __repr__(self):
        return "fake_clock"


fake_clock = Stopwatch()


class FakeNet(nn.Module):
    """Takes so many seconds, by `fake_clock`, for each image of its first, second, … call.

    After the last of them it is much faster, and with gradients it takes three times as long.
    """

    def __init__(self, *seconds):
        super().__init__()
        self.seconds, self.calls = seconds, 0

    def forward(self, X):
        took = self.seconds[self.calls] if self.calls < len(self.seconds) else 0.001
        self.calls += 1
        fake_clock.now += took * len(X) * (3 if torch.is_grad_enabled() else 1)
        return X.flatten(1)

    def __repr__(self):
        return f"FakeNet{self.seconds}"


def net_case(*seconds, images=(1, 1, 2, 2), note=""):
    return case(FakeNet(*seconds), torch.zeros(images), fake_clock, note=note)


def broken_throughput(net, X, clock):
    start = clock()
    net(X)
    return len(X) / (clock() - start)


@exercise(
    title="Repair: a throughput that is too low",
    kind="repair",
    minutes=15,
    cases=lambda: [
        net_case(9, 1, 1, 1, 1, 1, note="slow at the first call"),
        net_case(9, 2, 1, 30, 3, 1, note="once something else ran, too"),
        net_case(9, 5, 2, 4, 3, 1, images=(4, 1, 2, 2), note="four images"),
        net_case(4, 8, 9, 8, 7, 6, images=(2, 3, 2, 2)),
    ],
    reference=lambda net, X, clock: 1 / sorted(net.seconds[1:6])[2],
    stub=broken_throughput,
    misconceptions={
        "gradients are still recorded": lambda net, X, clock: 1 / sorted(net.seconds[1:6])[2] / 3,
        "the first call counts": lambda net, X, clock: 1 / sorted(net.seconds[:5])[2],
        "the mean is taken, which a single slow call moves": lambda net, X, clock: (
            5 / sum(net.seconds[1:6])
        ),
        "the fastest call is taken": lambda net, X, clock: 1 / min(net.seconds[1:6]),
        "it is per call, not per image": lambda net, X, _: 1 / sorted(net.seconds[1:6])[2] / len(X),
    },
    hints=[
        "Call the net once before the first look at the clock.",
        "`with torch.no_grad():` around all the calls.",
        "Collect the seconds of each of the five calls in a list; `statistics.median` takes the "
        "middle one.",
    ],
    explanation="The first call allocates memory and chooses algorithms; it is not what you want "
    "to know. Recording gradients takes time and memory. The median of several calls is not moved "
    "by one that met another program; the mean is. On a GPU wait for it before each look at the "
    "clock, as `clock` in this chapter does.",
)
def ex09_7_throughput(net, X, clock):
    seconds = []
    with torch.no_grad():
        net(X)
        for _ in range(5):
            start = clock()
            net(X)
            seconds.append(clock() - start)
    return len(X) / statistics.median(seconds)


def beaten(prices, gains):
    """Who stands behind a better pair of price and gain, in the order from cheap and good."""
    pairs = {name: (prices[name], -gains[name]) for name in prices}
    order = sorted(set(pairs.values()))
    return {
        name
        for name, (_, loss) in pairs.items()
        if any(other <= loss for _, other in order[: order.index(pairs[name])])
    }


@exercise(
    title="The dominated",
    forbids=r"pareto_front",
    kind="code",
    minutes=10,
    cases=lambda: [
        case({"a": 1}, {"a": 0.5}, note="alone"),
        case({"a": 1, "b": 2}, {"a": 0.5, "b": 0.4}),
        case({"a": 1, "b": 2}, {"a": 0.4, "b": 0.5}, note="dearer, but better"),
        case({"a": 1, "b": 2}, {"a": 0.5, "b": 0.5}, note="equally good, but dearer"),
        case({"a": 1, "b": 1}, {"a": 0.4, "b": 0.5}, note="one price, one is better"),
        case({"a": 1, "b": 1}, {"a": 0.5, "b": 0.5}, note="twins: neither beats the other"),
        case({"b": 9, "a": 3, "c": 5}, {"c": 0.7, "a": 0.8, "b": 0.9}),
        case({n: len(n) for n in ("x", "yy", "zzz")}, {"x": 0.9, "yy": 0.8, "zzz": 0.7}),
    ],
    reference=beaten,
    misconceptions={
        "these are the ones that are not dominated": lambda p, g: set(p) - beaten(p, g),
        "only who is worse in both is taken to be dominated": lambda prices, gains: {
            a for a in prices for b in prices if prices[b] < prices[a] and gains[b] > gains[a]
        },
        "networks that are alike in both beat each other, or themselves": lambda prices, gains: {
            a for a in prices for b in prices if prices[b] <= prices[a] and gains[b] >= gains[a]
        },
        "all but the best one are taken to be dominated": lambda prices, gains: {
            a for a in prices if gains[a] < max(gains.values())
        },
    },
    hints=[
        "Who beats a? Somebody who costs no more, is no worse, and is not just the same in both.",
        "A set comprehension with two `for`s looks at all pairs (a, b).",
    ],
    explanation="At most as dear, at least as good, and truly better in one of the two. Without "
    "the last part every network would beat itself.",
)
def ex09_8_dominated(prices, gains):
    """Set of the names that another one beats: as cheap and as good, and better in one."""
    return {
        a
        for a in prices
        for b in prices
        if prices[b] <= prices[a] and gains[b] >= gains[a]
        if prices[b] < prices[a] or gains[b] > gains[a]
    }


def height(points):
    seconds, accuracy = torch.tensor(points, dtype=torch.float64).T
    return (torch.trapezoid(accuracy, seconds) / (seconds[-1] - seconds[0])).item()


@exercise(
    title="One number for a whole curve",
    kind="code",
    minutes=10,
    cases=lambda: [
        case([(1.0, 0.2), (3.0, 0.6)]),
        case([(0.0, 0.5), (1.0, 0.7), (3.0, 0.9)], note="looks are not equally far apart"),
        case([(2.0, 0.3), (5.0, 0.3)], note="it starts late, and learns nothing"),
        case([(0.5, 0.1), (1.0, 0.8), (2.0, 0.6), (4.0, 0.85)], note="it falls in between"),
        case([(0.19, 0.41), (0.38, 0.55), (0.75, 0.66), (1.5, 0.74), (3.0, 0.79), (6.0, 0.83)]),
    ],
    reference=height,
    misconceptions={
        "the looks count alike, however far apart they are": lambda points: statistics.mean(
            accuracy for _, accuracy in points
        ),
        "it is the area, not divided by the time": lambda p: height(p) * (p[-1][0] - p[0][0]),
        "it is divided by the last time, although the curve does not start at 0": lambda points: (
            height(points) * (points[-1][0] - points[0][0]) / points[-1][0]
        ),
    },
    hints=[
        "Between two looks, t apart, with accuracies a and b, lies the area t (a + b) / 2.",
        "`zip(points, points[1:], strict=False)` gives all pairs of neighbours.",
        "Divide the sum of the areas by the time from the first look to the last.",
    ],
    explanation="A mean over *time*: long stretches count more. It rewards a network that is good "
    "early, which the accuracy at the end does not see.",
)
def ex09_9_area(points):
    """Mean accuracy over the time, by the trapezoidal rule; points: [(seconds, accuracy), …]."""
    area = 0.0
    for i in range(1, len(points)):
        (t, a), (u, b) = points[i - 1], points[i]
        area += (u - t) * (a + b) / 2
    return area / (points[-1][0] - points[0][0])


def earliest_time(points, target):
    """Of all places where the curve crosses the target on its way up, and of its start."""
    start, accuracy = points[0]
    crossings = [
        np.interp(target, (a, b), (t, u)).item()
        for (t, a), (u, b) in pairwise(points)
        if a < target <= b
    ]
    return start if accuracy >= target else min(crossings, default=None)


@exercise(
    title="Time to accuracy",
    kind="code",
    minutes=20,
    cases=lambda: [
        case([(1.0, 0.2), (3.0, 0.6)], 0.4, note="half-way between the two looks"),
        case([(1.0, 0.2), (3.0, 0.6)], 0.6, note="at the last look"),
        case([(1.0, 0.2), (3.0, 0.6)], 0.7, note="never"),
        case([(1.0, 0.5), (2.0, 0.7)], 0.3, note="at the first look already"),
        case([(1.0, 0.5), (2.0, 0.4), (3.0, 0.9)], 0.5, note="at the first look, just so"),
        case([(1.0, 0.8)], 0.8, note="a single look"),
        case([(1.0, 0.5)], 0.8, note="a single look, and not yet there"),
        case([(1.0, 0.5), (2.0, 0.8), (3.0, 0.6), (4.0, 0.9)], 0.8, note="the first time counts"),
        case([(0.5, 0.1), (1.0, 0.3), (2.0, 0.6), (4.0, 0.7), (8.0, 0.9)], 0.75),
    ],
    reference=earliest_time,
    misconceptions={
        "it is the time of the first look at or above the target": lambda points, target: next(
            (t for t, a in points if a >= target), None
        ),
        "it is the last look below the target": lambda points, target: next(
            (t for t, a in reversed(points) if a < target), None
        ),
    },
    hints=[
        "First the easy ends: at the first look already, and never (`None`).",
        "Find the first look at or above the target; the crossing lies between the look before it "
        "and this one.",
        "From (t, a) to (u, b) the line gets there at t + (target - a) / (b - a) · (u - t).",
    ],
    explanation="The turned-round `accuracy_at`: there the budget was given, here the accuracy "
    "is. Benchmarks such as DAWNBench and MLPerf rank by this time. It depends on the target: try "
    "several before you believe in an order.",
)
def ex09_10_time_to(points, target):
    """Seconds at which the curve first reaches the target, on straight lines; None: never."""
    if points[0][1] >= target:
        return points[0][0]
    for i in range(1, len(points)):
        (t, a), (u, b) = points[i - 1], points[i]
        if b >= target:
            return t + (target - a) / (b - a) * (u - t)
    return None


def share_of_the_draws(outcome, again):
    p, q, n = (outcome.arguments[name] for name in "pqn")
    draws = [t.flatten() for t in outcome.spy.drawn(10_000)]
    draws = torch.cat(draws).double() if draws else torch.zeros(0)
    if len(draws) != 200_000:
        return f"{len(draws):,} random numbers were drawn: two for each of 100,000 tests are meant."
    shares = []
    halves = (draws.chunk(2), (draws[::2], draws[1::2]))  # drawn as two rows, or as columns
    for x, y in (*halves, *(pair[::-1] for pair in halves)):
        shares.append((y > x).double().mean())
        for u, v in ((x, y), (-x, y), (x, -y), (-x, -y)):
            a, b = (m + z * math.sqrt(m * (1 - m) / n) for m, z in ((p, u), (q, v)))
            shares.append((b > a).double().mean())
    what = "The share in which q's network measured higher, with these random numbers,"
    return differs_from(outcome, *shares, what=what, atol=1e-4)


@exercise(
    title="Experiment: the worse network wins",
    kind="experiment",
    witness=share_of_the_draws,
    minutes=10,
    cases=lambda: [
        # from what counted images give (ties are no victory) to what normal noise gives
        case(0.9, 0.8, 100, expected=Band(0.012, 0.03)),
        case(0.9, 0.9, 2000, expected=Band(0.48, 0.51), note="equals"),
        case(0.6, 0.9, 10, expected=Band(0.85, 0.965), note="it is the better one here"),
        case(0.9, 0.89, 2000, expected=Band(0.14, 0.158)),
        case(0.99, 0.98, 2000, expected=Band(0.0015, 0.0065), note="nearer to 1: less noise"),
        case(0.9, 0.89, 10_000, expected=Band(0.008, 0.0135), note="five times the images"),
    ],
    hints=[
        "Under *The best epoch* the chapter adds `torch.randn(…)` times the standard error to 0.9.",
        "Do so for both networks, each with noise of its own and with its own standard error.",
        "`(b > a)` is a tensor of booleans; as floats their mean is the share.",
    ],
    explanation="Ten thousand test images tell 0.90 from 0.89 in 99 of 100 cases; two thousand "
    "leave every seventh comparison to the worse network. Who publishes only the comparisons that "
    "came out well needs no better network, only patience.",
)
def ex09_11_upset(p, q, n):
    """Share of 100,000 simulated tests on n images in which q's network measures above p's."""
    a = p + torch.randn(100_000) * math.sqrt(p * (1 - p) / n)
    b = q + torch.randn(100_000) * math.sqrt(q * (1 - q) / n)
    return (b > a).double().mean().item()


def hits(*pairs):
    """Two bool tensors from pairs (a, b) of 0 and 1."""
    a, b = zip(*pairs, strict=True)
    return torch.tensor(a).bool(), torch.tensor(b).bool()


def sign_test_by_tossing(a, b):
    """All outcomes of as many tosses as there are differences: how many are as lopsided?"""
    lead = abs(int(a.sum()) - int(b.sum()))
    m = int((a != b).sum())
    outcomes = torch.arange(2**m)
    heads = sum((outcomes >> i) & 1 for i in range(m)) if m else outcomes
    return ((2 * heads - m).abs() >= lead).double().mean().item()


@exercise(
    title="Two networks, the same test images",
    kind="code",
    minutes=30,
    cases=lambda: [
        case(*hits((1, 0)), note="they differ on a single image"),
        case(*hits((1, 1), (0, 0)), note="they never differ"),
        case(*hits((1, 0), (1, 0), (1, 0))),
        case(*hits((0, 1), (0, 1), (1, 0), (0, 1))),
        case(*hits((1, 0), (0, 1), (1, 1)), note="one for each: no difference at all"),
        case(*hits(*[(1, 0)] * 6, *[(1, 1)] * 20, (0, 0)), note="six to nothing"),
        case(*hits(*[(0, 1)] * 7, (1, 0), *[(1, 1)] * 30), note="one to seven"),
        case(*hits(*[(0, 1)] * 2, *[(1, 0)] * 9, *[(0, 0)] * 9), note="nine to two"),
        case(torch.rand(40) < 0.9, torch.rand(40) < 0.6),
    ],
    reference=sign_test_by_tossing,
    misconceptions={
        "only one side is counted: either network might have been the lucky one": lambda a, b: (
            0.5 * sign_test_by_tossing(a, b)
        ),
        "it is more than 1 when both have won as often": lambda a, b: (
            sign_test_by_tossing(a, b) + math.comb(m := int((a != b).sum()), m // 2) / 2**m
        ),
    },
    hints=[
        "Only images on which the two differ say anything. Count those that only a got right, "
        "and those that only b did: `a & ~b`, `b & ~a`.",
        "If both were equally good, each such image would be a fair coin. The chance of at most k "
        "heads in m tosses is the sum of `math.comb(m, i) / 2**m` over i from 0 to k.",
        "k is the smaller count; twice the sum, for either network might be the one ahead, and no "
        "more than 1.",
    ],
    explanation="This is the exact McNemar test, or sign test. Images that both get right, or both "
    "wrong, drop out, and with them most of the noise: on the *same* test set two networks are "
    "told apart much sooner than the formula for different sets says.",
)
def ex09_12_sign_test(a, b):
    """p-value of the difference of two networks; a, b: bool (n,), which images they got right."""
    only_a, only_b = (a & ~b).sum().item(), (b & ~a).sum().item()
    m = only_a + only_b
    k = min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(m, i) for i in range(k + 1)) / 2**m)
