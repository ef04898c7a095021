"""Answers to the exercises of chapter 09."""

import math
import operator
import statistics
from bisect import bisect_left
from functools import partial
from itertools import accumulate, pairwise

import torch

from course_utils.measure import median_time
from exercises import alike, also_right, answers, with_entry

answers(
    "09.1",
    right=[
        lambda macs, parameters: round(10 * macs / parameters) / 10,
        lambda macs, parameters: torch.tensor(macs / parameters).round(decimals=1),
    ],
    wrong={
        "not rounded": lambda macs, parameters: macs / parameters,
        "cut off": lambda macs, parameters: macs * 10 // parameters / 10,
        "whole": lambda macs, parameters: round(macs / parameters),
        "upside down": lambda macs, parameters: round(parameters / macs, 1),
        "a string": lambda macs, parameters: f"{macs / parameters:.1f}",
        "FLOPs": lambda macs, parameters: round(2 * macs / parameters, 1),
        "the chapter's LeNet": lambda macs, parameters: 6.8,
    },
)

answers(
    "09.2",
    right=[
        lambda correct, n: (correct * (n - correct) / n**3) ** 0.5,
        lambda correct, n: statistics.pstdev([1] * correct + [0] * (n - correct)) / math.sqrt(n),
    ],
    wrong={
        "variance": lambda correct, n: correct / n * (1 - correct / n) / n,
        "deviation of one image": lambda correct, n: math.sqrt(correct / n * (1 - correct / n)),
        "of the count": lambda correct, n: math.sqrt(correct * (1 - correct / n)),
        "n - 1": lambda correct, n: math.sqrt(correct / n * (1 - correct / n) / (n - 1)),
        "95 %": lambda correct, n: 1.96 * math.sqrt(correct / n * (1 - correct / n) / n),
        "worst case": lambda correct, n: 0.5 / math.sqrt(n),
    },
)

FACTORS = [(1, 4, 4), (2, 2, 2), (4, 4, 2), (9, 9, 1), (1, 2, 2)]


answers(
    "09.3",
    right=[lambda: [list(map(float, three)) for three in FACTORS], lambda: torch.tensor(FACTORS)],
    wrong={
        "weights grow with the batch": with_entry(FACTORS, 4, (2, 2, 2)),
        "per image and parameter": lambda: [factors[0] for factors in FACTORS],
    },
)


def images(p, margin, z=1.96, up=math.ceil):
    return up(p * (1 - p) * (z / margin) ** 2)


answers(
    "09.4",
    right=[
        lambda p, margin: math.floor(1.96**2 * (p - p * p) / margin**2) + 1,
        lambda p, margin: torch.tensor((p - p * p) * (1.96 / margin) ** 2).ceil().long(),
    ],
    wrong={
        "rounded down": partial(images, up=math.floor),
        "rounded to the nearest": partial(images, up=round),
        "one standard error": partial(images, z=1),
        "worst case": lambda p, margin: images(0.5, margin),
        "no square": lambda p, margin: math.ceil(p * (1 - p) * 1.96 / margin),
    },
)


def told(p, q, n, add=math.hypot, larger=operator.gt):
    a, b = (math.sqrt(x * (1 - x) / n) for x in (p, q))
    return larger(abs(p - q), 1.96 * add(a, b))


answers(
    "09.5",
    right=[
        lambda p, q, n: n * (p - q) ** 2 > 1.96**2 * (p * (1 - p) + q * (1 - q)),
        lambda p, q, n: torch.tensor(told(p, q, n)),
    ],
    wrong={
        "error bars overlap": partial(told, add=lambda a, b: a + b),
        "error of the first": partial(told, add=lambda a, b: a),
        "without abs": lambda p, q, n: p > q and told(p, q, n),
        "without abs, turned round": lambda p, q, n: p < q and told(p, q, n),
        "as large as": partial(told, larger=operator.ge),
        "number": lambda p, q, n: int(told(p, q, n)),
    },
)


def mean_by_weights(batches):
    total = sum(size for _, size in batches)
    return math.fsum(correct / size * (size / total) for correct, size in batches)


def mean_by_loop(batches):
    correct = total = 0
    for c, n in batches:
        correct += c
        total += n
    return correct / total


def mean_in_place(batches):
    correct = total = 0
    while batches:
        c, n = batches.pop()
        correct, total = correct + c, total + n
    return correct / total


answers(
    "09.6",
    right=[mean_by_weights, mean_by_loop],
    wrong={
        "another mean of means": lambda batches: statistics.mean(c / n for c, n in batches),
        "by the batches": lambda batches: sum(c for c, _ in batches) / len(batches),
        "sum of the accuracies": lambda batches: sum(c / n for c, n in batches),
        "first size": lambda batches: sum(c for c, _ in batches) / batches[0][1] / len(batches),
        "last batch left out": lambda batches: mean_by_loop(batches[:-1] or batches),
        "whole": lambda batches: sum(c for c, _ in batches) // sum(n for _, n in batches),
        "empties the list": mean_in_place,
    },
)


def rate(net, X, clock, warm=1, grad=False, middle=statistics.median, count=len, of=slice(None)):
    """The right answer with something changed."""
    with torch.set_grad_enabled(grad):
        seconds = []
        for _ in range(warm + 5):
            start = clock()
            net(X[of] if len(seconds) >= warm else X)
            seconds.append(clock() - start)
    return count(X) / middle(seconds[warm:])


def rate_by_median_of_rates(net, X, clock):
    with torch.no_grad():
        net(X)
        ticks = [clock()]
        for _ in range(5):
            net(X)
            ticks.append(clock())
    return statistics.median(len(X) / (after - before) for before, after in pairwise(ticks))


def rate_by_real_time(net, X, clock):
    with torch.no_grad():
        return len(X) / median_time(lambda: net(X))


answers(
    "09.7",
    right=[rate, rate_by_median_of_rates],
    wrong={
        "no warm-up": partial(rate, warm=0),
        "two warm-ups": partial(rate, warm=2),
        "gradients on": partial(rate, grad=True),
        "mean": partial(rate, middle=statistics.mean),
        "fastest": partial(rate, middle=min),
        "calls per second": partial(rate, count=lambda X: 1),
        "image by image": partial(rate, of=slice(1)),
        "another clock": rate_by_real_time,
    },
)


def front(beats):
    """Who is beaten, by a rule for b and a with their prices p and gains g."""
    return lambda p, g: {a for a in p if any(beats(p, g, b, a) for b in p)}


def by_pairs(p, g, b, a):
    return (p[b], -g[b]) != (p[a], -g[a]) and p[b] <= p[a] and g[b] >= g[a]


def dominated_by_loops(prices, gains):
    found = set()
    for a in prices:
        for b in prices:
            cheaper = prices[b] < prices[a] and gains[b] >= gains[a]
            better = prices[b] <= prices[a] and gains[b] > gains[a]
            if cheaper or better:
                found.add(a)
    return found


def pareto_front(prices, gains):
    """As the chapter's."""
    return sorted(set(prices) - dominated_by_loops(prices, gains))


answers(
    "09.8",
    right=[dominated_by_loops, front(by_pairs)],
    wrong={
        "the front": lambda prices, gains: set(prices) - dominated_by_loops(prices, gains),
        "the chapter's own": lambda prices, gains: set(prices) - set(pareto_front(prices, gains)),
        "a list": lambda prices, gains: sorted(dominated_by_loops(prices, gains)),
        "worse in both": front(lambda p, g, b, a: p[b] < p[a] and g[b] > g[a]),
        "beats itself": front(lambda p, g, b, a: p[b] <= p[a] and g[b] >= g[a]),
        "twins beat each other": front(lambda p, g, b, a: b != a and p[b] <= p[a] and g[b] >= g[a]),
        "low gains are good": front(lambda p, g, b, a: b != a and p[b] <= p[a] and g[b] <= g[a]),
        "all but the best": lambda prices, gains: {
            a for a in prices if gains[a] < max(gains.values())
        },
    },
    equivalent=alike("both have the same names", "gains for prices", "gains for prices #2"),
)


def area(points, per=lambda ts: ts[-1] - ts[0]):
    whole = sum((u - t) * (a + b) / 2 for (t, a), (u, b) in pairwise(points))
    return whole / per([t for t, _ in points])


def area_by_shares(points):
    whole = points[-1][0] - points[0][0]
    return sum((u - t) / whole * statistics.mean((a, b)) for (t, a), (u, b) in pairwise(points))


answers(
    "09.9",
    right=[area, area_by_shares],
    wrong={
        "mean of the looks": lambda points: statistics.mean(a for _, a in points),
        "not divided": partial(area, per=lambda ts: 1),
        "by the last time": partial(area, per=lambda ts: ts[-1]),
        "by the number of looks": partial(area, per=len),
        "from time zero": lambda points: area([(0.0, 0.0), *points]),
    },
)


def time_to(points, target, between=lambda t, u, share: t + share * (u - t), never=None, which=0):
    """between: (time before, time after, share of the rise) -> time. which: of all crossings."""
    if points[0][1] >= target:
        return points[0][0]
    times = [
        between(t, u, (target - a) / (b - a))
        for (t, a), (u, b) in pairwise(points)
        if a < target <= b
    ]
    return times[which] if times else never


def time_by_curve(points, target):
    """The highest accuracy so far only rises: turned round, it gives the time."""
    times, highest = zip(*points, strict=True)
    highest = list(accumulate(highest, max))
    i = bisect_left(highest, target)
    if i in (0, len(points)):
        return times[0] if i == 0 else None
    share = (points[i][1] - target) / (points[i][1] - points[i - 1][1])
    return torch.tensor(share * times[i - 1] + (1 - share) * times[i])


answers(
    "09.10",
    right=[time_to, time_by_curve],
    wrong={
        "next look": partial(time_to, between=lambda t, u, share: u),
        "middle": partial(time_to, between=lambda t, u, share: (t + u) / 2),
        "from the other end": partial(time_to, between=lambda t, u, share: u - share * (u - t)),
        "in logarithms": partial(time_to, between=lambda t, u, share: t * (u / t) ** share),
        "never is infinite": partial(time_to, never=math.inf),
        "the last time": partial(time_to, which=-1),
        "from zero": lambda points, target: time_to([(0.0, 0.0), *points], target),
    },
    equivalent={"1 -> 0": "the first look is never at the target here, whatever comes before it"},
)


def scattered(p, n, draw=torch.randn):
    return p + draw(100_000) * math.sqrt(p * (1 - p) / n)


def counted(p, n):
    return torch.binomial(torch.full((100_000,), float(n)), torch.full((100_000,), p)) / n


def normal(p, n):
    return torch.normal(p, math.sqrt(p * (1 - p) / n), (100_000,))


def same_noise(p, n):
    torch.default_generator.manual_seed(5)
    return scattered(p, n)


def upset(p, q, n, noise=scattered):
    return (noise(q, n) > noise(p, n)).double().mean().item()


answers(
    "09.11",
    right=[upset, partial(upset, noise=counted), partial(upset, noise=normal)],
    wrong={
        "a formula": lambda p, q, n: (
            0.5 * math.erfc((p - q) / math.sqrt(2 * (p - p * p + q - q * q) / n))
        ),
        "noise of one": lambda p, q, n: (scattered(q, n) > p).double().mean().item(),
        "one noise for both": partial(upset, noise=same_noise),
        "even noise": partial(upset, noise=partial(scattered, draw=torch.rand)),
        "all of them": lambda p, q, n: torch.tensor([upset(p, q, n)] * 2),
    },
    equivalent={
        "comparison in 'b > a'": "noise never makes exact ties",
        **alike(
            "noise is symmetric",
            "operator in 'p + torch.randn(100000) * math.sqrt(p * (1 - p) / n)'",
            "operator in 'q + torch.randn(100000) * math.sqrt(q * (1 - q) / n)'",
        ),
    },
)


def sign_test(a, b, first=0, sides=2, most=1.0):
    wins, losses = int((a > b).sum()), int((b > a).sum())
    m, k = wins + losses, min(wins, losses)
    return min(most, sides * sum(math.comb(m, i) for i in range(first, k + 1)) / 2**m)


def sign_test_by_rows(a, b):
    """The m-th row of Pascal's triangle, by adding up."""
    row = [1.0]
    for _ in range(int((a ^ b).sum())):
        row = [x + y for x, y in zip([0.0, *row], [*row, 0.0], strict=True)]
    lead = abs(int(a.sum()) - int(b.sum()))
    m = len(row) - 1
    return sum(x for i, x in enumerate(row) if abs(2 * i - m) >= lead) / sum(row)


def as_if_independent(a, b):
    p, q, n = a.double().mean(), b.double().mean(), len(a)
    error = math.sqrt((p * (1 - p) + q * (1 - q)) / n) or 1.0
    return math.erfc(abs(p - q) / error / math.sqrt(2))


answers(
    "09.12",
    right=[sign_test, sign_test_by_rows],
    wrong={
        "one side": partial(sign_test, sides=1),
        "above one": partial(sign_test, most=2.0),
        "without zero": partial(sign_test, first=1),
        "as if on different images": as_if_independent,
    },
    equivalent=alike(
        "the smaller one in any order",
        "arguments exchanged in 'min(only_a, only_b)'",
        "arguments exchanged in 'min(1.0, 2 * sum((math.comb(m, i) for i in range(k + 1))) / "
        "2 ** m)'",
    ),
)


TOSSES = "ends exchanged in '((a & ~b).sum().item(), (b & ~a).sum().item())'"
also_right("09.12", "only the smaller one and the sum count", TOSSES)
