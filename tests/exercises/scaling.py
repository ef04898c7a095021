"""Answers to the exercises of chapter 10."""

import math
import operator
from functools import partial

import torch

from exercises import alike, also_right, answers, with_entry

answers(
    "10.1",
    right=[
        lambda one, many, n: one / (n * many),
        lambda one, many, n: torch.tensor(one / many / n, dtype=torch.float64),
    ],
    wrong={
        "speed-up": lambda one, many, n: one / many,
        "times exchanged": lambda one, many, n: many / one / n,
        "times n": lambda one, many, n: n * one / many,
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
    ],
    wrong={
        "floor": lambda n, size: [n // size] * size,
        "ceiling": lambda n, size: [-(-n // size)] * size,
        "fractions": lambda n, size: [n / size] * size,
        "rest to the last": lambda n, size: [n // size] * (size - 1) + [n // size + n % size],
        "rest to the first": lambda n, size: [n // size + n % size] + [n // size] * (size - 1),
        "only the first": lambda n, size: counted(n, size)[0],
        "only whom there is something for": lambda n, size: [k for k in counted(n, size) if k],
        "contiguous, filled up": lambda n, size: [
            max(0, min(-(-n // size), n - rank * -(-n // size))) for rank in range(size)
        ],
    },
)

PREDICTED = [64, 235, 24, 92_559, 235, 0.4]


answers(
    "10.3",
    right=[lambda: tuple(PREDICTED), lambda: torch.tensor(PREDICTED, dtype=torch.float64)],
    wrong={
        "last batch not shared": with_entry(PREDICTED, 2, 96),
        "all parameters": with_entry(PREDICTED, 3, 61_706),
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
    ],
    wrong={
        "plain mean": lambda gradients, counts: torch.stack(gradients).mean(dim=0),
        "sum over examples": partial(weighted, over=lambda counts: 1),
        "by the processes": partial(weighted, over=len),
        "weights by the root": partial(
            weighted, weigh=math.sqrt, over=lambda counts: sum(map(math.sqrt, counts))
        ),
        "in place": doubled_in_place,
    },
    equivalent=alike(
        "both have one entry for each part",
        "strict= dropped in 'zip(gradients, counts, strict=True)'",
        "True -> False",
    ),
)


def ring(parameters, n, bandwidth, latency, rounds=2, share=operator.truediv, each=4):
    seconds = 0.0
    for _ in range(rounds):  # added, and then copied
        for _ in range(1, n):
            seconds += latency + each * share(parameters, n) / bandwidth
    return seconds


answers(
    "10.5",
    right=[
        ring,
        lambda parameters, n, bandwidth, latency: (
            (n - 1) * (2 * latency + 8 * parameters / n / bandwidth)
        ),
    ],
    wrong={
        "numbers, not bytes": partial(ring, each=1),
        "one round": partial(ring, rounds=1),
        "whole tensors": partial(ring, share=lambda parameters, n: parameters),
        "one latency": lambda parameters, n, bandwidth, latency: (
            latency + ring(parameters, n, bandwidth, 0)
        ),
        "no latency": lambda parameters, n, bandwidth, latency: ring(parameters, n, bandwidth, 0),
        "latency shared, too": lambda parameters, n, bandwidth, latency: ring(
            parameters, n, bandwidth, latency / n
        ),
    },
)


def most(examples, seconds, parameters, bandwidth, least, share=operator.truediv, each=4, up_to=1):
    best = 1
    for n in range(1, up_to * examples + 1):
        compute = share(examples, n) * seconds
        talk = 2 * (n - 1) / n * each * parameters / bandwidth
        if compute / (compute + talk) >= least:
            best = n
    return best


def most_by_algebra(examples, seconds_each, parameters, bandwidth, least):
    """work / (work + talk (n - 1)) >= least, solved for n."""
    work, talk = examples * seconds_each, 8 * parameters / bandwidth
    n = 1 + work * (1 - least) / (least * talk)
    return max(1, min(examples, math.floor(n + 1e-9)))


answers(
    "10.6",
    right=[most, most_by_algebra],
    wrong={
        "one too many": lambda *args: min(args[0], most(*args) + 1),
        "no limit": partial(most, up_to=4),
        "batch not shared": partial(most, share=lambda examples, n: examples),
        "numbers, not bytes": partial(most, each=1),
        "largest power of two": lambda *args: 2 ** int(math.log2(most(*args))),
        "as a float": lambda *args: float(most(*args)),
    },
    equivalent={"1 -> 0": "one process alone is always efficient"},
)


def summed(w, X, y, size, weigh=lambda part, X: len(part) / len(X)):
    w = w.clone().requires_grad_()
    for part, target in zip(X.split(size), y.split(size), strict=True):
        (((part @ w - target) ** 2).mean() * weigh(part, X)).backward()
    return w.grad


answers(
    "10.7",
    right=[
        summed,
        lambda w, X, y, size: 2 * X.T @ (X @ w - y) / len(X),
    ],
    wrong={
        "sum of means": partial(summed, weigh=lambda part, X: 1),
        "mean of means": lambda w, X, y, size: (
            summed(w, X, y, size, lambda part, X: 1) / len(X.split(size))
        ),
        "by a full part": partial(summed, weigh=lambda part, X: len(part) / min(len(X), 2)),
        "downhill": lambda w, X, y, size: -summed(w, X, y, size),
        "the loss": lambda w, X, y, size: ((X @ w - y) ** 2).mean(),
    },
    equivalent={
        **alike("the parts may be of any size", "size taken for 1", "size taken for 3"),
        **alike(
            "both have one entry for each part",
            "strict= dropped in 'zip(X.split(size), y.split(size), strict=True)'",
            "True -> False",
        ),
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
        "own order in each epoch": partial(
            my_part, number=lambda seed, epoch, rank: seed + rank + epoch
        ),
        "same order in each epoch": partial(my_part, number=lambda seed, epoch, rank: seed),
        "epoch alone": partial(my_part, number=lambda seed, epoch, rank: epoch),
        "not split": lambda n, seed, epoch, rank, size: my_part(n, seed, epoch, 0, 1),
        "in a row": rows_in_a_row,
        "not shuffled": lambda n, seed, epoch, rank, size: torch.arange(rank, n, size),
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
    ],
    wrong={
        "from zero": partial(warm, start=0.0),
        "for ever": partial(warm, share=lambda step, steps: step / steps),
        "never": partial(warm, share=lambda step, steps: 0.0),
        "geometric": lambda step, steps, base, factor: base * factor ** min(1, step / steps),
        "jump": partial(warm, share=lambda step, steps: float(step >= steps)),
    },
    equivalent={"arguments exchanged in 'min(step / steps, 1.0)'": "the smaller one in any order"},
)

answers(
    "10.10",
    right=[
        lambda n, size: sum(max(counted(n, size)) - k for k in counted(n, size)),
        lambda n, size: torch.tensor(-n).remainder(size),
    ],
    wrong={
        "left over": lambda n, size: n % size,
        "missing, also when even": lambda n, size: size - n % size,
        "each": lambda n, size: -(-n // size),
        "every other process": lambda n, size: (size - 1) if n % size else 0,
        "a share": lambda n, size: (-n % size) / n,
        "negative": lambda n, size: -(-n % size),
        "modulo the number": lambda n, size: -size % n,
    },
)


def slowest(n, spread, noise=torch.randn, pick=lambda t: t.max(dim=1).values):
    return pick(1 + spread * noise(20_000, n)).mean().item()


def slowest_by_loop(n, spread):
    worst = torch.full((20_000,), -math.inf)
    for _ in range(n):
        worst = torch.maximum(worst, 1 + spread * torch.randn(20_000))
    return worst.mean()


answers(
    "10.11",
    right=[
        slowest,
        slowest_by_loop,
        lambda n, spread: torch.normal(1.0, spread, (20_000, n)).amax(dim=1).mean().item(),
        lambda n, spread: float((1 + spread * torch.randn(n, 20_000)).amax(dim=0).mean()),
    ],
    wrong={
        "mean": partial(slowest, pick=lambda t: t.mean(dim=1)),
        "a formula": lambda n, spread: 1 + spread * {1: 0, 8: 1.4236, 64: 2.3437}[n],
        "even noise": partial(slowest, noise=torch.rand),
        "slowest of all steps": partial(slowest, pick=torch.max),
    },
    equivalent={
        "operator in '1 + spread * torch.randn(20000, n)'": "noise is symmetric",
    },
)


def pooled(means, variances, counts, between=1.0, weights=lambda counts: counts):
    shares = weights(torch.tensor(counts, dtype=means.dtype))[:, None]
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
        lambda means, variances, counts: list(pooled_by_pairs(means, variances, counts)),
    ],
    wrong={
        "mean of variances": partial(pooled, between=0.0),
        "between, twice": partial(pooled, between=2.0),
        "equal weights": partial(pooled, weights=torch.ones_like),
        "weights squared": partial(pooled, weights=torch.square),
        "unbiased": lambda means, variances, counts: (
            pooled(means, variances, counts)[0],
            pooled(means, variances, counts)[1] * sum(counts) / max(1, sum(counts) - 1),
        ),
        "deviation": lambda means, variances, counts: (
            pooled(means, variances, counts)[0],
            pooled(means, variances, counts)[1].sqrt(),
        ),
        "exchanged": lambda means, variances, counts: pooled(means, variances, counts)[::-1],
        "mean only": lambda means, variances, counts: pooled(means, variances, counts)[0],
    },
)


also_right("10.7", "both are as long", "y for X #2")
also_right("10.12", "only the dtype is taken", "variances for means #2")
