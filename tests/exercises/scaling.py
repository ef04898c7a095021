"""Answers to the exercises of chapter 10."""

import functools
import math
import statistics

import torch

from exercises import answers

SAME_LENGTH = "both have one entry for each part"

answers(
    "10.1",
    right=[
        lambda one, many, n: one / (n * many),
        lambda one, many, n: (one / n) / many,
        lambda one, many, n: torch.tensor(one / many / n, dtype=torch.float64),
    ],
    wrong={
        "speed-up": lambda one, many, n: one / many,
        "upside down": lambda one, many, n: n * many / one,
        "times exchanged": lambda one, many, n: many / one / n,
        "times n": lambda one, many, n: n * one / many,
        "time saved": lambda one, many, n: (one - many) / one,
        "n - 1": lambda one, many, n: one / many / max(1, n - 1),
        "limited to 1/2": lambda one, many, n: min(one / many / n, 0.5),
        "in percent": lambda one, many, n: 100 * one / many / n,
        "rounded": lambda one, many, n: round(one / many / n, 1),
        "loss": lambda one, many, n: 1 - one / many / n,
    },
)


def counted(n, size, start=0):
    shares = [0] * size
    for example in range(start, n):
        shares[example % size] += 1
    return shares


answers(
    "10.2",
    right=[
        counted,
        lambda n, size: [(n - rank + size - 1) // size for rank in range(size)],
        lambda n, size: torch.tensor([len(range(n)[rank::size]) for rank in range(size)]),
        lambda n, size: [sum(divmod(n - rank + size - 1, size)[:1]) for rank in range(size)],
    ],
    wrong={
        "floor": lambda n, size: [n // size] * size,
        "ceiling": lambda n, size: [-(-n // size)] * size,
        "fractions": lambda n, size: [n / size] * size,
        "rest to the last": lambda n, size: [n // size] * (size - 1) + [n // size + n % size],
        "rest to the first": lambda n, size: [n // size + n % size] + [n // size] * (size - 1),
        "last ones get more": lambda n, size: counted(n, size)[::-1],
        "from one on": lambda n, size: counted(n, size, start=1),
        "only the first": lambda n, size: counted(n, size)[0],
        "only whom there is something for": lambda n, size: [k for k in counted(n, size) if k],
        "contiguous, filled up": lambda n, size: [
            max(0, min(-(-n // size), n - rank * -(-n // size))) for rank in range(size)
        ],
    },
)

PREDICTED = [64, 235, 24, 92_559, 235, 0.4]


def predicted(i, value):
    return lambda: [*PREDICTED[:i], value, *PREDICTED[i + 1 :]]


answers(
    "10.3",
    right=[
        lambda: tuple(PREDICTED),
        lambda: [256 // 4, math.ceil(60_000 / 256), 96 // 4, 1.5 * 61_706, 235, 0.05 * 8],
        lambda: torch.tensor(PREDICTED, dtype=torch.float64),
    ],
    wrong={
        "everybody gets the batch": predicted(0, 256),
        "last batch left out": predicted(1, 234),
        "steps of one process's batches": predicted(1, 938),
        "last batch not shared": predicted(2, 96),
        "last batch is like all": predicted(2, 64),
        "all parameters": predicted(3, 61_706),
        "bytes": predicted(3, 4 * 92_559),
        "one round": predicted(3, 92_559 / 2),
        "steps times four": predicted(4, 940),
        "steps by four": predicted(4, 59),
        "same rate": predicted(5, 0.05),
        "rate by the root": predicted(5, 0.05 * math.sqrt(8)),
    },
)


def weighted(gradients, counts, weigh=float, over=sum):
    whole = torch.zeros_like(gradients[0])
    for gradient, count in zip(gradients, counts, strict=True):
        whole = whole + gradient * weigh(count)
    return whole / over(counts)


def doubled_in_place(gradients, counts):
    for gradient, count in zip(gradients, counts, strict=True):
        gradient *= count
    return sum(gradients) / sum(counts)


answers(
    "10.4",
    right=[
        weighted,
        lambda gradients, counts: torch.einsum(
            "r,r...->...",
            torch.tensor(counts, dtype=gradients[0].dtype) / sum(counts),
            torch.stack(gradients),
        ),
        lambda gradients, counts: (
            sum(
                gradient * (count * len(counts) / sum(counts))
                for gradient, count in zip(gradients, counts, strict=True)
            )
            / len(counts)
        ),
    ],
    wrong={
        "plain mean": lambda gradients, counts: torch.stack(gradients).mean(dim=0),
        "sum": lambda gradients, counts: sum(gradients),
        "sum over examples": functools.partial(weighted, over=lambda counts: 1),
        "by the processes": functools.partial(weighted, over=len),
        "by the largest": functools.partial(weighted, over=lambda counts: max(counts)),
        "weights by the root": functools.partial(
            weighted, weigh=math.sqrt, over=lambda counts: sum(map(math.sqrt, counts))
        ),
        "first only": lambda gradients, counts: gradients[0],
        "median": lambda gradients, counts: torch.stack(gradients).median(dim=0).values,
        "a number": lambda gradients, counts: weighted(gradients, counts).mean(),
        "inverse weights": functools.partial(
            weighted,
            weigh=lambda count: 1 / max(count, 1),
            over=lambda counts: sum(1 / max(count, 1) for count in counts),
        ),
        "in place": doubled_in_place,
    },
    equivalent={
        "strict= dropped in 'zip(gradients, counts, strict=True)'": SAME_LENGTH,
        "True -> False": SAME_LENGTH,
    },
)


def ring(parameters, n, bandwidth, latency, rounds=2, steps=None, chunk=None, each=4):
    steps = n - 1 if steps is None else steps(n)
    chunk = parameters / n if chunk is None else chunk(parameters, n)
    return rounds * steps * (latency + each * chunk / bandwidth)


def ring_by_steps(parameters, n, bandwidth, latency):
    seconds = 0.0
    for _ in range(1, n):
        seconds += latency + 4 * (parameters / n) / bandwidth  # added
        seconds += latency + 4 * (parameters / n) / bandwidth  # copied
    return seconds


answers(
    "10.5",
    right=[
        ring,
        ring_by_steps,
        lambda parameters, n, bandwidth, latency: (
            2 * (n - 1) * latency + 8 * (n - 1) / n * parameters / bandwidth
        ),
    ],
    wrong={
        "numbers, not bytes": functools.partial(ring, each=1),
        "float64": functools.partial(ring, each=8),
        "bits": functools.partial(ring, each=32),
        "one round": functools.partial(ring, rounds=1),
        "n steps a round": functools.partial(ring, steps=lambda n: n),
        "whole tensors": functools.partial(ring, chunk=lambda parameters, n: parameters),
        "one latency": lambda parameters, n, bandwidth, latency: (
            latency + ring(parameters, n, bandwidth, 0)
        ),
        "no latency": lambda parameters, n, bandwidth, latency: ring(parameters, n, bandwidth, 0),
        "multiplied by the bandwidth": lambda parameters, n, bandwidth, latency: ring(
            parameters, n, 1 / bandwidth, latency
        ),
        "latency shared, too": lambda parameters, n, bandwidth, latency: ring(
            parameters, n, bandwidth, latency / n
        ),
        "by a boss": lambda parameters, n, bandwidth, latency: (
            2 * (n - 1) * (latency + 4 * parameters / bandwidth)
        ),
        "of all workers together": lambda parameters, n, bandwidth, latency: (
            n * ring(parameters, n, bandwidth, latency)
        ),
    },
)


def most(
    examples,
    seconds_each,
    parameters,
    bandwidth,
    least,
    share=lambda examples, n: examples / n,
    talk=lambda n: 8 * (n - 1) / n,
    good=lambda e, least: e >= least,
    limit=lambda examples: examples,
):
    best = 1
    for n in range(1, limit(examples) + 1):
        compute = share(examples, n) * seconds_each
        if good(compute / (compute + talk(n) * parameters / bandwidth), least):
            best = n
    return best


def most_by_algebra(examples, seconds_each, parameters, bandwidth, least):
    """work / (work + talk (n - 1)) >= least, solved for n."""
    work, talk = examples * seconds_each, 8 * parameters / bandwidth
    n = 1 + work * (1 - least) / (least * talk)
    return max(1, min(examples, math.floor(n + 1e-9)))


def most_by_halving(*args):
    cost, least = args[:4], args[4]
    low, high = 1, args[0] + 1
    while high - low > 1:
        middle = (low + high) // 2
        work = cost[0] * cost[1]
        fine = work / (work + 8 * cost[2] * (middle - 1) / cost[3]) >= least
        low, high = (middle, high) if fine else (low, middle)
    return low


answers(
    "10.6",
    right=[most, most_by_algebra, most_by_halving],
    wrong={
        "one too many": lambda *args: min(args[0], most(*args) + 1),
        "one too few": lambda *args: max(1, most(*args) - 1),
        "above only": functools.partial(most, good=lambda e, least: e > least),
        "all": lambda examples, *rest: examples,
        "alone": lambda *args: 1,
        "no limit": functools.partial(most, limit=lambda examples: 4 * examples),
        "batch not shared": functools.partial(most, share=lambda examples, n: examples),
        "one round of talk": functools.partial(most, talk=lambda n: 4 * (n - 1) / n),
        "talk of a boss": functools.partial(most, talk=lambda n: 8 * (n - 1)),
        "numbers, not bytes": functools.partial(most, talk=lambda n: 2 * (n - 1) / n),
        "largest power of two": lambda *args: 2 ** int(math.log2(most(*args))),
        "talk alone": functools.partial(most, talk=lambda n: 8),
        "as a float": lambda *args: float(most(*args)),
    },
    equivalent={"1 -> 0": "one process alone is always efficient"},
)


def summed(w, X, y, size, weigh=None):
    weigh = weigh or (lambda part, X: len(part) / len(X))
    w = w.clone().requires_grad_()
    for part, target in zip(X.split(size), y.split(size), strict=True):
        (((part @ w - target) ** 2).mean() * weigh(part, X)).backward()
    return w.grad


answers(
    "10.7",
    right=[
        summed,
        lambda w, X, y, size: 2 * X.T @ (X @ w - y) / len(X),
        lambda w, X, y, size: (
            sum(
                2 * part.T @ (part @ w - target)
                for part, target in zip(X.split(size), y.split(size), strict=True)
            )
            / len(y)
        ),
    ],
    wrong={
        "sum of means": functools.partial(summed, weigh=lambda part, X: 1),
        "mean of means": lambda w, X, y, size: (
            summed(w, X, y, size, lambda part, X: 1) / len(X.split(size))
        ),
        "by a full part": functools.partial(
            summed, weigh=lambda part, X: len(part) / min(len(X), 2)
        ),
        "number of whole parts": lambda w, X, y, size: (
            summed(w, X, y, size, lambda part, X: 1) / max(1, len(X) // size)
        ),
        "sum over examples": functools.partial(summed, weigh=lambda part, X: len(part)),
        "no 2": lambda w, X, y, size: summed(w, X, y, size) / 2,
        "last part only": lambda w, X, y, size: summed(
            w, X.split(size)[-1], y.split(size)[-1], size
        ),
        "last part left out": lambda w, X, y, size: summed(
            w, X.split(size)[0], y.split(size)[0], size
        ),
        "downhill": lambda w, X, y, size: -summed(w, X, y, size),
        "the loss": lambda w, X, y, size: ((X @ w - y) ** 2).mean(),
        "steps between the parts": lambda w, X, y, size: w - 0.1 * summed(w, X, y, size),
    },
    equivalent={
        "strict= dropped in 'zip(X.split(size), y.split(size), strict=True)'": SAME_LENGTH,
        "True -> False": SAME_LENGTH,
        "size taken for 1": "the parts may be of any size",
        "size taken for 3": "the parts may be of any size",
    },
)


def my_part(n, seed, epoch, rank, size, number=lambda seed, epoch, rank: seed + epoch):
    generator = torch.Generator()
    generator.manual_seed(number(seed, epoch, rank))
    return torch.randperm(n, generator=generator)[torch.arange(rank, n, size)]


def by_counting(n, seed, epoch, rank, size):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(epoch + seed))
    return order[torch.arange(n) % size == rank]


def rows_in_a_row(n, seed, epoch, rank, size):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + epoch))
    return order.tensor_split(size)[rank]


answers(
    "10.8",
    right=[my_part, by_counting],
    wrong={
        "own order in each epoch": functools.partial(
            my_part, number=lambda seed, epoch, rank: seed + rank + epoch
        ),
        "same order in each epoch": functools.partial(
            my_part, number=lambda seed, epoch, rank: seed
        ),
        "epoch alone": functools.partial(my_part, number=lambda seed, epoch, rank: epoch),
        "product": functools.partial(my_part, number=lambda seed, epoch, rank: seed * epoch),
        "next epoch": functools.partial(my_part, number=lambda seed, epoch, rank: seed + epoch + 1),
        "not split": lambda n, seed, epoch, rank, size: my_part(n, seed, epoch, 0, 1),
        "in a row": rows_in_a_row,
        "not shuffled": lambda n, seed, epoch, rank, size: torch.arange(rank, n, size),
        "sorted": lambda *args: my_part(*args).sort().values,
        "split before shuffling": lambda n, seed, epoch, rank, size: torch.arange(rank, n, size)[
            torch.randperm(
                len(range(rank, n, size)), generator=torch.Generator().manual_seed(seed + epoch)
            )
        ],
        "another rank's": lambda n, seed, epoch, rank, size: my_part(
            n, seed, epoch, size - 1 - rank, size
        ),
        "all of one size": lambda n, seed, epoch, rank, size: my_part(n, seed, epoch, rank, size)[
            : n // size
        ],
    },
)


def warm(step, steps, base, factor, share=lambda step, steps: min(1, step / steps), start=1.0):
    return base * (start + (factor - start) * share(step, steps))


answers(
    "10.9",
    right=[
        warm,
        lambda step, steps, base, factor: (
            base * factor if step >= steps else base + step * (base * factor - base) / steps
        ),
        lambda step, steps, base, factor: (
            base * (1 - min(step / steps, 1)) + base * factor * min(step / steps, 1)
        ),
    ],
    wrong={
        "from zero": functools.partial(warm, start=0.0),
        "for ever": functools.partial(warm, share=lambda step, steps: step / steps),
        "at once": functools.partial(warm, share=lambda step, steps: 1.0),
        "never": functools.partial(warm, share=lambda step, steps: 0.0),
        "one step ahead": functools.partial(
            warm, share=lambda step, steps: min(1, (step + 1) / steps)
        ),
        "one step late": functools.partial(
            warm, share=lambda step, steps: min(1, step / (steps + 1))
        ),
        "geometric": lambda step, steps, base, factor: base * factor ** min(1, step / steps),
        "quadratic": functools.partial(warm, share=lambda step, steps: min(1, step / steps) ** 2),
        "jump": functools.partial(warm, share=lambda step, steps: float(step >= steps)),
        "downwards": functools.partial(warm, share=lambda step, steps: max(0, 1 - step / steps)),
        "up to the factor": lambda step, steps, base, factor: warm(
            step, steps, base, factor / base if base else factor
        ),
        "adds the factor": lambda step, steps, base, factor: base + factor * min(1, step / steps),
        "by the root": lambda step, steps, base, factor: warm(step, steps, base, factor**0.5),
    },
    equivalent={"arguments exchanged in 'min(step / steps, 1.0)'": "the smaller one in any order"},
)

answers(
    "10.10",
    right=[
        lambda n, size: (size - n % size) % size,
        lambda n, size: math.ceil(n / size) * size - n,
        lambda n, size: sum(max(counted(n, size)) - k for k in counted(n, size)),
        lambda n, size: torch.tensor(-n).remainder(size),
    ],
    wrong={
        "left over": lambda n, size: n % size,
        "missing, also when even": lambda n, size: size - n % size,
        "each": lambda n, size: -(-n // size),
        "in all": lambda n, size: -(-n // size) * size,
        "none": lambda n, size: 0,
        "at most one": lambda n, size: int(n % size > 0),
        "every other process": lambda n, size: (size - 1) if n % size else 0,
        "a share": lambda n, size: (-n % size) / n,
        "processes without a copy": lambda n, size: size - n % size if n % size else size,
        "negative": lambda n, size: -(-n % size),
        "modulo the number": lambda n, size: -size % n,
    },
)


def slowest(n, spread, noise=torch.randn, pick=lambda t: t.max(dim=1).values, steps=20_000):
    return pick(1 + spread * noise(steps, n)).mean().item()


def slowest_by_quantiles(n, spread):
    """Mean of the largest, by adding up its distribution on a fine grid."""
    cdf = statistics.NormalDist().cdf
    grid = [i / 500 for i in range(-4000, 4000)]
    mean = sum((cdf(x + 0.002) ** n - cdf(x) ** n) * (x + 0.001) for x in grid)
    return 1 + spread * mean


def slowest_by_loop(n, spread):
    worst = torch.full((20_000,), -math.inf)
    for _ in range(n):
        worst = torch.maximum(worst, 1 + spread * torch.randn(20_000))
    return worst.mean()


answers(
    "10.11",
    right=[slowest, slowest_by_loop, slowest_by_quantiles],
    wrong={
        "mean": functools.partial(slowest, pick=lambda t: t.mean(dim=1)),
        "fastest": functools.partial(slowest, pick=lambda t: t.min(dim=1).values),
        "sum": functools.partial(slowest, pick=lambda t: t.sum(dim=1)),
        "median": functools.partial(slowest, pick=lambda t: t.median(dim=1).values),
        "even noise": functools.partial(slowest, noise=torch.rand),
        "slowest of all steps": functools.partial(slowest, pick=torch.max),
        "only what is lost": lambda n, spread: slowest(n, spread) - 1,
        "spread squared": lambda n, spread: slowest(n, spread**2),
        "spread doubled": lambda n, spread: slowest(n, 2 * spread),
        "one process more": lambda n, spread: slowest(n + 1, spread),
        "half the processes": lambda n, spread: slowest(max(1, n // 2), spread),
        "how often somebody is late": lambda n, spread: (
            (torch.randn(20_000, n) > 0).any(dim=1).float().mean().item()
        ),
        "all steps": lambda n, spread: slowest(n, spread) * 20_000,
    },
    equivalent={
        "operator in '1 + spread * torch.randn(20000, n)'": "noise is symmetric",
        "20000 -> 20001": "a step more or less is within the noise",
        "20000 -> 19999": "a step more or less is within the noise",
    },
)


def pooled(means, variances, counts, between=1.0, weights=None):
    shares = torch.tensor(counts, dtype=means.dtype)
    shares = (shares if weights is None else weights(shares))[:, None]
    shares = shares / shares.sum()
    mean = (means * shares).sum(dim=0)
    spread = variances + between * (means - mean).square()
    return mean, (spread * shares).sum(dim=0)


def pooled_by_pairs(means, variances, counts):
    """One process after the other is taken in (Chan, Golub and LeVeque, 1979)."""
    mean, square, n = means[0], variances[0] * counts[0], counts[0]
    for other, variance, count in zip(means[1:], variances[1:], counts[1:], strict=True):
        delta, n = other - mean, n + count
        mean = mean + delta * count / n
        square = square + variance * count + delta**2 * count * (n - count) / n
    return mean, square / n


answers(
    "10.12",
    right=[
        pooled,
        pooled_by_pairs,
        lambda means, variances, counts: list(pooled_by_pairs(means, variances, counts)),
    ],
    wrong={
        "mean of variances": functools.partial(pooled, between=0.0),
        "between, twice": functools.partial(pooled, between=2.0),
        "equal weights": functools.partial(pooled, weights=torch.ones_like),
        "weights squared": functools.partial(pooled, weights=torch.square),
        "unbiased": lambda means, variances, counts: (
            pooled(means, variances, counts)[0],
            pooled(means, variances, counts)[1] * sum(counts) / max(1, sum(counts) - 1),
        ),
        "deviation": lambda means, variances, counts: (
            pooled(means, variances, counts)[0],
            pooled(means, variances, counts)[1].sqrt(),
        ),
        "between only": lambda means, variances, counts: pooled(means, 0 * variances, counts),
        "exchanged": lambda means, variances, counts: pooled(means, variances, counts)[::-1],
        "mean only": lambda means, variances, counts: pooled(means, variances, counts)[0],
        "over the channels": lambda means, variances, counts: tuple(
            value.mean() for value in pooled(means, variances, counts)
        ),
        "first process": lambda means, variances, counts: (means[0], variances[0]),
        "sum of variances": lambda means, variances, counts: (
            pooled(means, variances, counts)[0],
            variances.sum(dim=0),
        ),
        "first mean for all": lambda means, variances, counts: (
            means[0],
            pooled(means, variances, counts)[1],
        ),
    },
)
