"""Answers to the exercises of chapter 09."""

import functools
import math
import statistics

import torch

from course_utils.measure import median_time
from exercises import answers

SYMMETRIC = "noise is symmetric"

answers(
    "09.1",
    right=[
        lambda macs, parameters: float(f"{macs / parameters:.1f}"),
        lambda macs, parameters: round(10 * macs / parameters) / 10,
        lambda macs, parameters: torch.tensor(macs / parameters).round(decimals=1),
    ],
    wrong={
        "not rounded": lambda macs, parameters: macs / parameters,
        "cut off": lambda macs, parameters: macs * 10 // parameters / 10,
        "rounded up": lambda macs, parameters: math.ceil(10 * macs / parameters) / 10,
        "whole": lambda macs, parameters: round(macs / parameters),
        "two decimals": lambda macs, parameters: round(macs / parameters, 2),
        "upside down": lambda macs, parameters: round(parameters / macs, 1),
        "a string": lambda macs, parameters: f"{macs / parameters:.1f}",
        "FLOPs": lambda macs, parameters: round(2 * macs / parameters, 1),
        "in training": lambda macs, parameters: round(3 * macs / parameters, 1),
        "the difference": lambda macs, parameters: macs - parameters,
        "the chapter's LeNet": lambda macs, parameters: 6.8,
    },
)

answers(
    "09.2",
    right=[
        lambda correct, n: (correct * (n - correct) / n**3) ** 0.5,
        lambda correct, n: math.sqrt((correct / n - (correct / n) ** 2) / n),
        lambda correct, n: (
            torch.tensor([1.0] * correct + [0.0] * (n - correct), dtype=torch.float64).var(
                correction=0
            )
            / n
        ).sqrt(),
        lambda correct, n: statistics.pstdev([1] * correct + [0] * (n - correct)) / math.sqrt(n),
    ],
    wrong={
        "variance": lambda correct, n: correct / n * (1 - correct / n) / n,
        "deviation of one image": lambda correct, n: math.sqrt(correct / n * (1 - correct / n)),
        "n outside of the root": lambda correct, n: math.sqrt(correct / n * (1 - correct / n)) / n,
        "of the count": lambda correct, n: math.sqrt(correct * (1 - correct / n)),
        "n - 1": lambda correct, n: math.sqrt(correct / n * (1 - correct / n) / (n - 1)),
        "95 %": lambda correct, n: 1.96 * math.sqrt(correct / n * (1 - correct / n) / n),
        "worst case": lambda correct, n: 0.5 / math.sqrt(n),
        "Poisson": lambda correct, n: math.sqrt(correct) / n,
        "of the errors": lambda correct, n: math.sqrt((1 - correct / n) / n),
        "in percent": lambda correct, n: 100 * math.sqrt(correct / n * (1 - correct / n) / n),
        "rounded": lambda correct, n: round(math.sqrt(correct / n * (1 - correct / n) / n), 3),
    },
)

FACTORS = [(1, 4, 4), (2, 2, 2), (4, 4, 2), (9, 9, 1), (1, 2, 2)]


def with_factors(i, factors):
    return lambda: [*FACTORS[:i], factors, *FACTORS[i + 1 :]]


answers(
    "09.3",
    right=[
        lambda: [list(factors) for factors in FACTORS],
        lambda: tuple(tuple(float(f) for f in factors) for factors in FACTORS),
        lambda: torch.tensor(FACTORS),
    ],
    wrong={
        "pixels doubled, not quadrupled": with_factors(0, (1, 2, 2)),
        "weights grow with the image": with_factors(0, (4, 4, 4)),
        "one channel count, squared": with_factors(1, (4, 4, 2)),
        "two channel counts, once": with_factors(2, (2, 2, 2)),
        "outputs quadrupled": with_factors(2, (4, 4, 4)),
        "kernel along one side": with_factors(3, (3, 3, 1)),
        "kernel in the outputs": with_factors(3, (9, 9, 9)),
        "kernel difference": with_factors(3, (6, 6, 1)),
        "weights grow with the batch": with_factors(4, (2, 2, 2)),
        "the batch is free": with_factors(4, (1, 1, 1)),
        "per image and parameter": lambda: [factors[0] for factors in FACTORS],
    },
)


def images(p, margin, z=1.96, up=math.ceil):
    return up(p * (1 - p) * (z / margin) ** 2)


def images_by_halving(p, margin):
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        enough = 1.96 * math.sqrt(p * (1 - p) / middle) <= margin
        low, high = (low, middle) if enough else (middle, high)
    return high


answers(
    "09.4",
    right=[
        images_by_halving,
        lambda p, margin: -int(-p * (1 - p) * (1.96 / margin) ** 2 // 1),
        lambda p, margin: math.floor(1.96**2 * (p - p * p) / margin**2) + 1,
        lambda p, margin: torch.tensor((p - p * p) * (1.96 / margin) ** 2).ceil().long(),
    ],
    wrong={
        "rounded down": functools.partial(images, up=math.floor),
        "rounded to the nearest": functools.partial(images, up=round),
        "a float": functools.partial(images, up=float),
        "one standard error": functools.partial(images, z=1),
        "two standard errors": functools.partial(images, z=2.5),
        "margin from end to end": functools.partial(images, z=2 * 1.96),
        "worst case": lambda p, margin: images(0.5, margin),
        "no square": lambda p, margin: math.ceil(p * (1 - p) * 1.96 / margin),
        "root instead of square": lambda p, margin: math.ceil(math.sqrt(p * (1 - p)) / margin),
        "one too many": lambda p, margin: images(p, margin) + 1,
        "of the errors only": lambda p, margin: math.ceil((1 - p) * (1.96 / margin) ** 2),
    },
)


def told(p, q, n, z=1.96, add=lambda a, b: math.hypot(a, b), difference=lambda p, q: abs(p - q)):
    a, b = (math.sqrt(x * (1 - x) / n) for x in (p, q))
    return difference(p, q) > z * add(a, b)


answers(
    "09.5",
    right=[
        told,
        lambda p, q, n: n * (p - q) ** 2 > 1.96**2 * (p * (1 - p) + q * (1 - q)),
        lambda p, q, n: torch.tensor(told(p, q, n)),
        lambda p, q, n: max(p, q) - min(p, q) > 1.96 * math.sqrt((p + q - p**2 - q**2) / n),
    ],
    wrong={
        "error bars overlap": functools.partial(told, add=lambda a, b: a + b),
        "error of the first": functools.partial(told, add=lambda a, b: a),
        "error of the second": functools.partial(told, add=lambda a, b: b),
        "the larger error": functools.partial(told, add=max),
        "difference of the errors": functools.partial(told, add=lambda a, b: abs(a - b)),
        "mean of the errors": functools.partial(told, add=lambda a, b: (a + b) / 2),
        "one-sided": functools.partial(told, z=1.645),
        "no z": functools.partial(told, z=1),
        "without abs": functools.partial(told, difference=lambda p, q: p - q),
        "without abs, turned round": functools.partial(told, difference=lambda p, q: q - p),
        "not told apart": lambda p, q, n: not told(p, q, n),
        "as large as": lambda p, q, n: abs(p - q) >= 1.96 * math.sqrt((p + q - p * p - q * q) / n),
        "always": lambda p, q, n: True,
        "never": lambda p, q, n: False,
        "number": lambda p, q, n: int(told(p, q, n)),
        "worst case": lambda p, q, n: abs(p - q) > 1.96 * math.sqrt(0.5 / n),
    },
)


def mean_by_zip(batches):
    correct, sizes = zip(*batches, strict=True)
    return sum(correct) / sum(sizes)


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
    right=[
        mean_by_zip,
        mean_by_weights,
        mean_by_loop,
        lambda batches: (
            torch.tensor(batches).double().sum(dim=0).tolist()[0]
            / torch.tensor(batches).sum(dim=0).tolist()[1]
        ),
    ],
    wrong={
        "another mean of means": lambda batches: statistics.mean(c / n for c, n in batches),
        "by the batches": lambda batches: sum(c for c, _ in batches) / len(batches),
        "sum of the accuracies": lambda batches: sum(c / n for c, n in batches),
        "median": lambda batches: statistics.median(c / n for c, n in batches),
        "first size": lambda batches: sum(c for c, _ in batches) / batches[0][1] / len(batches),
        "last batch left out": lambda batches: (
            mean_by_loop(batches[:-1]) if batches[1:] else mean_by_loop(batches)
        ),
        "first batch only": lambda batches: batches[0][0] / batches[0][1],
        "upside down": lambda batches: sum(n for _, n in batches) / sum(c for c, _ in batches),
        "errors": lambda batches: 1 - mean_by_loop(batches),
        "whole": lambda batches: sum(c for c, _ in batches) // sum(n for _, n in batches),
        "empties the list": mean_in_place,
        "geometric": lambda batches: math.prod(c / n for c, n in batches) ** (1 / len(batches)),
        "in percent": lambda batches: 100 * mean_by_loop(batches),
    },
)


def rate(net, X, clock, warm=1, calls=5, grad=False, middle=statistics.median, count=len, of=None):
    """The right answer with something changed."""
    with torch.set_grad_enabled(grad):
        for _ in range(warm):
            net(X)
        seconds = []
        for _ in range(calls):
            start = clock()
            net(X if of is None else of(X))
            seconds.append(clock() - start)
    return count(X) / middle(seconds)


@torch.inference_mode()
def rate_by_sorting(net, X, clock):
    times = []
    for _ in range(6):
        start = clock()
        net(X)
        end = clock()
        times.append(end - start)
    return X.shape[0] / sorted(times[1:])[2]


def rate_by_median_of_rates(net, X, clock):
    with torch.no_grad():
        net(X)
        ticks = [clock()]
        for _ in range(5):
            net(X)
            ticks.append(clock())
    pairs = zip(ticks, ticks[1:], strict=False)
    return statistics.median(len(X) / (after - before) for before, after in pairs)


def rate_in_one_go(net, X, clock):
    with torch.no_grad():
        net(X)
        start = clock()
        for _ in range(5):
            net(X)
    return 5 * len(X) / (clock() - start)


def rate_by_real_time(net, X, clock):
    with torch.no_grad():
        return len(X) / median_time(lambda: net(X))


answers(
    "09.7",
    right=[rate, rate_by_sorting, rate_by_median_of_rates],
    wrong={
        "no warm-up": functools.partial(rate, warm=0),
        "two warm-ups": functools.partial(rate, warm=2),
        "four calls": functools.partial(rate, calls=4),
        "six calls": functools.partial(rate, calls=6),
        "gradients on": functools.partial(rate, grad=True),
        "mean": functools.partial(rate, middle=statistics.mean),
        "fastest": functools.partial(rate, middle=min),
        "slowest": functools.partial(rate, middle=max),
        "sum": functools.partial(rate, middle=sum),
        "all five in one go": rate_in_one_go,
        "calls per second": functools.partial(rate, count=lambda X: 1),
        "numbers per second": functools.partial(rate, count=torch.numel),
        "image by image": functools.partial(rate, of=lambda X: X[:1]),
        "seconds per image": lambda net, X, clock: 1 / rate(net, X, clock),
        "another clock": rate_by_real_time,
        "one call after the warm-up": functools.partial(rate, calls=1),
    },
)


def front(prices, gains, beats):
    return {a for a in prices if any(beats(prices, gains, b, a) for b in prices)}


def beats_by_pairs(prices, gains, b, a):
    one, other = (prices[b], -gains[b]), (prices[a], -gains[a])
    return one != other and all(x <= y for x, y in zip(one, other, strict=True))


def dominated_by_loops(prices, gains):
    found = set()
    for a in prices:
        for b in prices:
            cheaper = prices[b] < prices[a] and gains[b] >= gains[a]
            better = prices[b] <= prices[a] and gains[b] > gains[a]
            if cheaper or better:
                found.add(a)
    return found


answers(
    "09.8",
    right=[
        dominated_by_loops,
        functools.partial(front, beats=beats_by_pairs),
        lambda prices, gains: (
            set(prices)
            - {
                a
                for a in prices
                if all(
                    prices[b] > prices[a]
                    or gains[b] < gains[a]
                    or (prices[b], gains[b]) == (prices[a], gains[a])
                    for b in prices
                )
            }
        ),
    ],
    wrong={
        "the front": lambda prices, gains: set(prices) - dominated_by_loops(prices, gains),
        "a list": lambda prices, gains: sorted(dominated_by_loops(prices, gains)),
        "worse in both": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: p[b] < p[a] and g[b] > g[a]
        ),
        "beats itself": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: p[b] <= p[a] and g[b] >= g[a]
        ),
        "twins beat each other": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: b != a and p[b] <= p[a] and g[b] >= g[a]
        ),
        "only cheaper": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: p[b] < p[a] and g[b] >= g[a]
        ),
        "only better": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: p[b] <= p[a] and g[b] > g[a]
        ),
        "worse in one": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: p[b] < p[a] or g[b] > g[a]
        ),
        "gain per price": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: g[b] / p[b] > g[a] / p[a]
        ),
        "low gains are good": lambda prices, gains: front(
            prices, gains, lambda p, g, b, a: b != a and p[b] <= p[a] and g[b] <= g[a]
        ),
        "all but the best": lambda prices, gains: {
            a for a in prices if gains[a] < max(gains.values())
        },
        "neighbours in order only": lambda prices, gains: {
            a
            for b, a in zip(list(prices), list(prices)[1:], strict=False)
            if beats_by_pairs(prices, gains, b, a)
        },
        "nobody": lambda prices, gains: set(),
    },
)


def area(points, height=lambda a, b: (a + b) / 2, per=lambda ts: ts[-1] - ts[0], skip=0):
    pairs = list(zip(points, points[1:], strict=False))[skip:]
    whole = sum((u - t) * height(a, b) for (t, a), (u, b) in pairs)
    return whole / per([t for t, _ in points])


answers(
    "09.9",
    right=[
        area,
        lambda points: sum(
            (after[0] - before[0])
            / (points[-1][0] - points[0][0])
            * statistics.mean((before[1], after[1]))
            for before, after in zip(points, points[1:], strict=False)
        ),
        lambda points: (
            torch.trapezoid(
                torch.tensor([a for _, a in points]), torch.tensor([t for t, _ in points])
            )
            / (points[-1][0] - points[0][0])
        ),
    ],
    wrong={
        "mean of the looks": lambda points: statistics.mean(a for _, a in points),
        "left heights": functools.partial(area, height=lambda a, b: a),
        "right heights": functools.partial(area, height=lambda a, b: b),
        "sum of heights": functools.partial(area, height=lambda a, b: a + b),
        "higher": functools.partial(area, height=max),
        "lower": functools.partial(area, height=min),
        "not divided": functools.partial(area, per=lambda ts: 1),
        "by the last time": functools.partial(area, per=lambda ts: ts[-1]),
        "by the number of looks": functools.partial(area, per=len),
        "first stretch left out": functools.partial(area, skip=1),
        "from time zero": lambda points: area([(0.0, 0.0), *points]),
        "accuracy at the end": lambda points: points[-1][1],
        "between first and last": lambda points: (points[0][1] + points[-1][1]) / 2,
    },
)


def time_to(points, target, reached=lambda a, target: a >= target, never=None, between=None):
    before = None
    for u, b in points:
        if reached(b, target):
            if before is None:
                return u
            t, a = before
            if between is not None:
                return between(t, a, u, b, target)
            return t + (u - t) * (target - a) / (b - a)
        before = u, b
    return never


def time_by_fine_steps(points, target):
    """The first crossing, for each stretch by weights."""
    if points[0][1] >= target:
        return torch.tensor(points[0][0])
    for (t, a), (u, b) in zip(points, points[1:], strict=False):
        if a < target <= b:
            share = (b - target) / (b - a)
            return torch.tensor(share * t + (1 - share) * u)


answers(
    "09.10",
    right=[time_to, time_by_fine_steps],
    wrong={
        "next look": functools.partial(time_to, between=lambda t, a, u, b, target: u),
        "look before": functools.partial(time_to, between=lambda t, a, u, b, target: t),
        "middle": functools.partial(time_to, between=lambda t, a, u, b, target: (t + u) / 2),
        "share of the way is forgotten": functools.partial(
            time_to, between=lambda t, a, u, b, target: t + (target - a) * (u - t)
        ),
        "upside down": functools.partial(
            time_to, between=lambda t, a, u, b, target: t + (b - a) / (target - a) * (u - t)
        ),
        "from the other end": functools.partial(
            time_to, between=lambda t, a, u, b, target: u - (target - a) / (b - a) * (u - t)
        ),
        "in logarithms": functools.partial(
            time_to,
            between=lambda t, a, u, b, target: math.exp(
                math.log(t) + (target - a) / (b - a) * math.log(u / t)
            ),
        ),
        "above only": functools.partial(time_to, reached=lambda a, target: a > target),
        "never is the end": lambda points, target: time_to(points, target) or points[-1][0],
        "never is zero": functools.partial(time_to, never=0.0),
        "never is infinite": functools.partial(time_to, never=math.inf),
        "the last time": lambda points, target: next(
            (
                t + (target - a) / (b - a) * (u - t)
                for (t, a), (u, b) in reversed(list(zip(points, points[1:], strict=False)))
                if a < target <= b
            ),
            points[0][0] if points[0][1] >= target else None,
        ),
        "first look forgotten": lambda points, target: next(
            (
                t + (target - a) / (b - a) * (u - t)
                for (t, a), (u, b) in zip(points, points[1:], strict=False)
                if a < target <= b
            ),
            None,
        ),
        "from zero": lambda points, target: time_to([(0.0, 0.0), *points], target),
        "best of all": lambda points, target: (
            max(points, key=lambda point: point[1])[0] if time_to(points, target) else None
        ),
    },
    equivalent={"1 -> 0": "the first look is never at the target here, whatever comes before it"},
)


def upset(p, q, n, z=1.0, noise=None, count=20_000, wins=torch.gt):
    a, b = (noise or scattered)(p, n, count, z), (noise or scattered)(q, n, count, z)
    return wins(b, a).double().mean().item()


def scattered(p, n, count, z=1.0):
    return p + z * torch.randn(count) * math.sqrt(p * (1 - p) / n)


def counted(p, n, count, z):
    return torch.binomial(torch.full((count,), float(n)), torch.full((count,), p)) / n


def same_noise(p, n, count, z):
    torch.default_generator.manual_seed(5)
    return scattered(p, n, count)


answers(
    "09.11",
    right=[
        functools.partial(upset, count=100_000),
        functools.partial(upset, count=100_000, noise=counted),
        lambda p, q, n: (
            statistics.NormalDist(p, math.sqrt(p * (1 - p) / n))
            - statistics.NormalDist(q, math.sqrt(q * (1 - q) / n))
        ).cdf(0),
    ],
    wrong={
        "the first wins": functools.partial(upset, wins=torch.lt),
        "percent": lambda p, q, n: 100 * upset(p, q, n),
        "number of victories": lambda p, q, n: 100_000 * upset(p, q, n),
        "no noise": functools.partial(upset, z=0.0),
        "noise doubled": functools.partial(upset, z=2.0),
        "noise halved": functools.partial(upset, z=0.5),
        "95 % margin": functools.partial(upset, z=1.96),
        "noise of one": lambda p, q, n: (scattered(q, n, 20_000) > p).double().mean().item(),
        "one noise for both": functools.partial(upset, noise=same_noise),
        "n ignored": lambda p, q, n: upset(p, q, 2000),
        "variance": functools.partial(
            upset, noise=lambda p, n, count, z: p + torch.randn(count) * p * (1 - p) / n
        ),
        "worst-case noise": functools.partial(
            upset, noise=lambda p, n, count, z: p + torch.randn(count) * 0.5 / math.sqrt(n)
        ),
        "even noise": functools.partial(
            upset,
            noise=lambda p, n, count, z: p + torch.rand(count) * math.sqrt(p * (1 - p) / n),
        ),
        "mean lead": lambda p, q, n: (scattered(q, n, 2000) - scattered(p, n, 2000)).mean().item(),
        "all of them": lambda p, q, n: torch.tensor([upset(p, q, n)] * 2),
    },
    equivalent={
        "comparison in 'b > a'": "noise never makes exact ties",
        "operator in 'p + torch.randn(100000) * math.sqrt(p * (1 - p) / n)'": SYMMETRIC,
        "operator in 'q + torch.randn(100000) * math.sqrt(q * (1 - q) / n)'": SYMMETRIC,
    },
)


def sign_test(a, b, tail=None, sides=2, limit=True, least=min):
    wins, losses = int((a > b).sum()), int((b > a).sum())
    m, k = wins + losses, least(wins, losses)
    p = sides * sum(math.comb(m, i) for i in (tail or (lambda m, k: range(k + 1)))(m, k)) / 2**m
    return min(p, 1.0) if limit else p


def sign_test_by_rows(a, b):
    """The m-th row of Pascal's triangle, by adding up."""
    row = [1.0]
    for _ in range(int((a ^ b).sum())):
        row = [x + y for x, y in zip([0.0, *row], [*row, 0.0], strict=True)]
    lead = abs(int(a.sum()) - int(b.sum()))
    m = len(row) - 1
    return sum(x for i, x in enumerate(row) if abs(2 * i - m) >= lead) / sum(row)


def sign_test_by_convolving(a, b):
    coin, chances = torch.tensor([0.5, 0.5]).double(), torch.ones(1).double()
    for _ in range((a != b).sum().item()):
        chances = convolve(coin, chances)
    k = min((a & ~b).sum(), (~a & b).sum())
    return (2 * chances[: k + 1].sum()).clamp(max=1)


def convolve(coin, chances):
    longer = torch.zeros(len(chances) + 1, dtype=torch.float64)
    longer[:-1] += coin[0] * chances
    longer[1:] += coin[1] * chances
    return longer


def chi_square(a, b):
    wins, losses = int((a > b).sum()), int((b > a).sum())
    z = abs(wins - losses) / math.sqrt(max(wins + losses, 1))
    return math.erfc(z / math.sqrt(2))


def as_if_independent(a, b):
    p, q, n = a.double().mean(), b.double().mean(), len(a)
    error = math.sqrt((p * (1 - p) + q * (1 - q)) / n) or 1.0
    return math.erfc(abs(p - q) / error / math.sqrt(2))


answers(
    "09.12",
    right=[sign_test, sign_test_by_rows, sign_test_by_convolving],
    wrong={
        "one side": functools.partial(sign_test, sides=1),
        "above one": functools.partial(sign_test, limit=False),
        "larger count": functools.partial(sign_test, least=max),
        "less than k": functools.partial(sign_test, tail=lambda m, k: range(k)),
        "exactly k": functools.partial(sign_test, tail=lambda m, k: [k]),
        "one too far": functools.partial(sign_test, tail=lambda m, k: range(k + 2)),
        "normal approximation": chi_square,
        "as if on different images": as_if_independent,
        "all images are tosses": lambda a, b: min(
            1.0,
            2 * sum(math.comb(len(a), i) for i in range(int((a > b).sum()) + 1)) / 2 ** len(a),
        ),
        "wins of a only": lambda a, b: min(
            1.0,
            2
            * sum(math.comb(int((a ^ b).sum()), i) for i in range(int((a & ~b).sum()) + 1))
            / 2 ** int((a ^ b).sum()),
        ),
        "share of differences": lambda a, b: (a ^ b).double().mean().item(),
        "one minus": lambda a, b: 1 - sign_test(a, b),
        "difference of accuracies": lambda a, b: abs(a.double().mean() - b.double().mean()).item(),
    },
    equivalent={
        "arguments exchanged in 'min(only_a, only_b)'": "the smaller one in any order",
        "arguments exchanged in 'min(1.0, 2 * sum((math.comb(m, i) for i in range(k + 1))) / "
        "2 ** m)'": "the smaller one in any order",
    },
)
