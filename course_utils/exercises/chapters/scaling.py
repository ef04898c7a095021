"""Exercises of chapter 10, Scaling."""

import math

import torch

from course_utils.exercises.chapters.inputs import differs_from, several, slope
from course_utils.exercises.checker.declare import Band, case, exercise

TITLE = "Scaling"


@exercise(
    title="Efficiency",
    kind="warm-up",
    minutes=2,
    cases=lambda: [
        case(8.0, 4.0, 2, note="twice as fast with two: the ideal"),
        case(6.0, 2.0, 4),
        case(5.0, 5.0, 1, note="one process is compared with itself"),
        case(3.0, 4.0, 2, note="slower than alone"),
        case(100.0, 2.5, 64),
    ],
    reference=lambda one, many, n: (one / n) / many,
    misconceptions={
        "it is the speed-up, not yet divided by the number of processes": lambda one, many, n: (
            one / many
        ),
        "the two times are exchanged": lambda one, many, n: many / (n * one),
        "it is multiplied by the number of processes": lambda one, many, n: n * one / many,
    },
    hints=[
        "The speed-up says how many times as fast n processes are; the ideal is n.",
        "Divide the speed-up, one / many, by the ideal.",
    ],
    explanation="An efficiency of 0.8 with ten processes means that two of the ten are paid for "
    "waiting.",
)
def ex10_1_efficiency(one, many, n):
    """Efficiency of n processes that take `many` seconds for what one does in `one` seconds."""
    return one / many / n


@exercise(
    title="Who gets how many?",
    kind="code",
    minutes=5,
    cases=lambda: [
        *several((1, 1), (4, 2), (9, 4), (11, 4)),
        case(5, 2, note="one is left over"),
        case(0, 3, note="an empty batch"),
        case(2, 3, note="fewer examples than processes"),
        case(96, 8, note="the last batch of 60,000 examples in batches of 256"),
    ],
    reference=lambda n, size: [len(range(rank, n, size)) for rank in range(size)],
    misconceptions={
        "the examples that are left over are lost": lambda n, size: [n // size] * size,
        "everybody gets the same: some examples are counted twice": lambda n, size: (
            [-(-n // size)] * size
        ),
        "all that is left over goes to the last process": lambda n, size: (
            [n // size] * (size - 1) + [n // size + n % size]
        ),
        "all that is left over goes to the first process": lambda n, size: (
            [n // size + n % size] + [n // size] * (size - 1)
        ),
    },
    hints=[
        "Everybody gets `n // size`; how many are left over?",
        "Of the `n % size` that are left over, the first processes get one each.",
        "Or count: `len(range(rank, n, size))`.",
    ],
    explanation="Every size-th example: the numbers differ by one at most. A process may get none, "
    "and must still take part in the all-reduce, or all the others wait for it for ever.",
)
def ex10_2_shares(n, size):
    """How many of n examples each of `size` processes gets, as a list by rank."""
    return [n // size + (1 if rank < n % size else 0) for rank in range(size)]


def counted_by_hand():
    n, batch, size, parameters = 60_000, 256, 4, 61_706
    steps, last = -(-n // batch), n % batch
    sent = 2 * (size - 1) * parameters / size
    numbers = [batch // size, steps, last // size, sent, steps, 0.05 * batch / 32]
    return [float(number) for number in numbers]  # whole or not: no matter


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [case()],
    reference=counted_by_hand,
    hints=[
        "A step uses one batch, however many processes share it.",
        "60,000 = 234 × 256 + 96.",
        "Each sends 2 (n - 1) / n times the parameters. Accumulation makes parts of a batch, "
        "not more batches.",
    ],
    explanation="Neither more processes nor accumulation changes how many steps an epoch has: that "
    "is set by the batch of all together. What changes is who computes it, and in how many parts.",
)
def ex10_3_predict():
    """Six numbers, as the text asks."""
    return [64, 235, 24, 92_559, 235, 0.4]


def mean_of_copies(gradients, counts):
    """As if each example had its process's mean gradient."""
    pairs = zip(gradients, counts, strict=True)
    return torch.cat([g.expand(count, *g.shape) for g, count in pairs]).mean(dim=0)


@exercise(
    title="The mean of unlike parts",
    kind="code",
    minutes=8,
    cases=lambda: [
        case([torch.tensor([1.0]), torch.tensor([3.0])], [1, 1]),
        case([torch.tensor([1.0]), torch.tensor([4.0])], [2, 1], note="parts of unlike size"),
        case([torch.tensor([2.0, 5.0])], [7], note="one process"),
        case([torch.rand(2, 3).double() for _ in range(3)], [4, 4, 3]),
        case([torch.rand(3), torch.zeros(3)], [2, 0], note="a process without examples"),
        case([torch.randn(2, 2, 2) for _ in range(4)], [64, 64, 64, 63]),
    ],
    reference=mean_of_copies,
    misconceptions={
        "every process counts alike, however few examples it had": lambda gradients, counts: (
            sum(gradients) / len(gradients)
        ),
        "it is the sum, not yet divided by the number of examples": lambda gradients, counts: (
            mean_of_copies(gradients, counts) * sum(counts)
        ),
        "it is divided by the number of processes": lambda gradients, counts: (
            mean_of_copies(gradients, counts) * sum(counts) / len(counts)
        ),
    },
    hints=[
        "A mean over 3 examples must weigh three times a mean over one.",
        "Multiply each gradient by its count, add up, divide by all examples.",
    ],
    explanation="DDP divides by the number of processes, so that the loss of each must be "
    "multiplied by count × size / examples before `backward`. The course's trainer does that; in a "
    "plain DDP loop the last batch of an epoch is a little wrong.",
)
def ex10_4_average(gradients, counts):
    """Gradient of the whole batch; gradients: of each process's mean loss over its `counts`."""
    pairs = zip(gradients, counts, strict=True)
    return sum(gradient * count for gradient, count in pairs) / sum(counts)


def ring(parameters, n, bandwidth, latency):
    return math.fsum(latency + parameters * 4 / n / bandwidth for _ in range(2 * (n - 1)))


@exercise(
    title="How long does a ring take?",
    kind="code",
    minutes=5,
    cases=lambda: [
        *several((4.0, 2, 8.0, 1.0), (12.0, 3, 4.0, 0.5), (4.0, 64, 1.0, 0.0)),
        case(100.0, 1, 8.0, 1.0, note="alone: nothing to send"),
        case(61_706.0, 4, 1e9, 5e-5, note="LeNet: latency"),
        case(11_689_512.0, 8, 1.25e9, 5e-5, note="ResNet-18 over 10 Gbit/s"),
    ],
    reference=ring,
    misconceptions={
        "a number has four bytes": lambda parameters, n, *rest: ring(parameters / 4, n, *rest),
        "only the first round is counted, the one that adds": lambda *args: ring(*args) / 2,
        "whole tensors are sent in each step, not chunks": lambda parameters, n, *rest: ring(
            parameters * n, n, *rest
        ),
        "the latency is paid in every step": lambda parameters, n, bandwidth, latency: (
            latency + ring(parameters, n, bandwidth, 0)
        ),
    },
    hints=[
        "2 (n - 1) steps, each with one latency and one chunk.",
        "A chunk has parameters / n numbers of 4 bytes.",
    ],
    explanation="With many processes the chunks get small and the latency takes over: the time "
    "grows with n again. Libraries then change to trees, which need about log n steps.",
)
def ex10_5_ring_seconds(parameters, n, bandwidth, latency):
    """Seconds of a ring all-reduce of float32 numbers; bandwidth in bytes a second."""
    return 2 * (n - 1) * (latency + 4 * parameters / n / bandwidth)


def most_by_trying_all(examples, seconds_each, parameters, bandwidth, least, shared=True):
    def efficiency(n):
        compute = examples * seconds_each / (n if shared else 1)
        return compute / (compute + 8 * parameters * (n - 1) / n / bandwidth)

    return max(n for n in range(1, examples + 1) if efficiency(n) >= least)


@exercise(
    title="How many are worth it?",
    kind="code",
    minutes=10,
    cases=lambda: [
        *several((8, 1.0, 1.0, 4.0, 0.5), (256, 0.01, 1e6, 1e8, 0.79)),
        case(4, 1.0, 1.0, 1e9, 0.9, note="nothing to wait for: as many as there are examples"),
        case(10, 1e-9, 100.0, 1.0, 0.6, note="nobody can help"),
        case(6, 2.0, 1.0, 2.0, 0.5, note="an efficiency of exactly `least` will do"),
    ],
    reference=most_by_trying_all,
    misconceptions={
        "it is one too many: that one is below `least`": lambda *args: min(
            most_by_trying_all(*args) + 1, args[0]
        ),
        "the batch is not shared: everybody computes all of it": (
            lambda examples, *args: most_by_trying_all(examples, *args, shared=False)
        ),
    },
    hints=[
        "Everybody computes examples × seconds_each / n seconds and then talks "
        "2 (n - 1) / n × 4 × parameters / bandwidth seconds.",
        "With more processes the efficiency only falls: try n = 1, 2, 3, … as long as the next "
        "one is still good enough.",
        "More than `examples` processes cannot share a batch.",
    ],
    explanation="Strong scaling ends by itself: the computing shrinks as 1/n, the talking does "
    "not. Beyond this n it is cheaper to let the batch grow with the processes – and the learning "
    "rate with it.",
)
def ex10_6_most(examples, seconds_each, parameters, bandwidth, least):
    """Largest number of processes, at most `examples`, whose efficiency is at least `least`."""

    def efficiency(n):
        compute = examples * seconds_each / n
        talk = 2 * (n - 1) / n * 4 * parameters / bandwidth
        return compute / (compute + talk)

    n = 1
    while n < examples and efficiency(n + 1) >= least:
        n += 1
    return n


def broken_accumulate(w, X, y, size):
    total = torch.zeros_like(w)
    for part, target in zip(X.split(size), y.split(size), strict=True):
        total += 2 * part.T @ (part @ w - target) / len(part)
    return total


def slope_of_mean(w, X, y, size):
    return slope(lambda w: ((X @ w - y) ** 2).mean(), w)


@exercise(
    title="Repair: accumulated too much",
    kind="repair",
    minutes=8,
    cases=lambda: [
        case(torch.tensor([1.0]), torch.tensor([[1.0], [2.0]]), torch.zeros(2), 2),
        case(torch.tensor([1.0]), torch.tensor([[1.0], [2.0]]), torch.zeros(2), 1),
        case(torch.ones(2), torch.rand(5, 2), torch.rand(5), 2, note="a small part at the end"),
        case(torch.rand(3).double(), torch.rand(7, 3).double(), torch.rand(7).double(), 3),
        case(torch.rand(2), torch.rand(4, 2), torch.rand(4), 9, note="all in one part"),
    ],
    reference=slope_of_mean,
    stub=broken_accumulate,
    misconceptions={
        "the means of the parts are added, not averaged": broken_accumulate,
        "every part counts alike, also the small one at the end": lambda w, X, y, size: (
            broken_accumulate(w, X, y, size) / len(X.split(size))
        ),
        "it is divided by the size of a full part": lambda w, X, y, size: (
            slope_of_mean(w, X, y, size) * len(X) / size
        ),
    },
    hints=[
        "Two parts of one example each: what is the mean, and what does the function add up?",
        "Each example's share of the whole is 1 / len(X), in whatever part it is.",
    ],
    explanation="Divided by the length of the *part*, the sum is as many times too long as there "
    "are parts: a learning rate too high by that factor, without any error message. Dividing by "
    "the number of parts is right only if all are of one size.",
)
def ex10_7_accumulate(w, X, y, size):
    total = torch.zeros_like(w)
    for part, target in zip(X.split(size), y.split(size), strict=True):
        total += 2 * part.T @ (part @ w - target) / len(X)
    return total


def broken_my_part(n, seed, epoch, rank, size):
    generator = torch.Generator().manual_seed(seed + rank)
    order = torch.randperm(n, generator=generator)
    return order[rank::size]


def part_by_rows(n, seed, epoch, rank, size):
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed + epoch))
    return torch.stack([order[i] for i in range(rank, n, size)])


@exercise(
    title="Repair: some twice, some never",
    kind="repair",
    minutes=10,
    cases=lambda: [
        *several((4, 0, 0, 0, 1), (6, 3, 2, 1, 2), (7, 5, 1, 2, 3), (20, 11, 4, 3, 4)),
        case(6, 0, 0, 1, 2, note="the second process"),
        case(6, 0, 1, 0, 2, note="the second epoch"),
        case(7, 5, 1, 0, 3, note="not all parts are of one size"),
    ],
    reference=part_by_rows,
    stub=broken_my_part,
    misconceptions={
        "every process draws an order of its own": broken_my_part,
        "each epoch has the same order": lambda n, seed, _, *mine: part_by_rows(n, seed, 0, *mine),
        "every process draws an order of its own, another one in each epoch": (
            lambda n, seed, epoch, rank, size: part_by_rows(n, seed + rank, epoch, rank, size)
        ),
        "everybody gets all examples": lambda n, seed, epoch, *mine: part_by_rows(
            n, seed, epoch, 0, 1
        ),
    },
    hints=[
        "What must all processes agree on, so that their parts fit together?",
        "The seed may depend on what is the same for all: on `seed` and on `epoch`.",
    ],
    explanation="Parts of *different* orders overlap: with two processes a quarter of the examples "
    "is seen twice and a quarter never, in every epoch. Nothing crashes; the accuracy is a bit "
    "lower. With torch's `DistributedSampler` the other half of this mistake is to forget "
    "`set_epoch`.",
)
def ex10_8_my_part(n, seed, epoch, rank, size):
    generator = torch.Generator().manual_seed(seed + epoch)
    order = torch.randperm(n, generator=generator)
    return order[rank::size]


@exercise(
    title="Warm-up",
    kind="code",
    minutes=8,
    cases=lambda: [
        case(0, 4, 1.0, 3.0, note="the first step: the small batch's rate"),
        case(2, 4, 1.0, 3.0, note="half-way"),
        case(4, 4, 1.0, 3.0, note="warm"),
        case(9, 4, 1.0, 3.0, note="after the warm-up"),
        case(1, 10, 0.05, 8.0),
        case(7, 5, 0.1, 1.0, note="a batch as before: no change"),
        case(300, 1000, 0.1, 32.0),
    ],
    reference=lambda step, steps, base, factor: torch.lerp(
        *torch.tensor([base, base * factor, min(1, step / steps)]).double()
    ).item(),
    misconceptions={
        "it starts at zero": lambda step, steps, base, factor: base * factor * min(step / steps, 1),
        "after the warm-up it goes on rising": lambda step, steps, base, factor: (
            base * (1 + (factor - 1) * step / steps)
        ),
        "it grows by equal factors, not in a straight line": lambda step, steps, base, factor: (
            base * factor ** min(step / steps, 1.0)
        ),
        "the rate is not scaled": lambda step, steps, base, factor: base,
    },
    hints=[
        "How far are we? `min(step / steps, 1)`.",
        "A straight line from base to base × factor: base + share × (base × factor - base).",
    ],
    explanation="Goyal and others (2017) start from the small batch's rate and rise to the scaled "
    "one over five epochs.",
)
def ex10_9_rate(step, steps, base, factor):
    """Learning rate at `step` (from 0): from base in a straight line to base × factor."""
    share = min(step / steps, 1.0)
    return base + share * (base * factor - base)


@exercise(
    title="Evaluated twice",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(4, 2, note="it comes out even"),
        *several((5, 2), (9, 4), (10_000, 8), (10_000, 48)),
        case(3, 1, note="one process"),
        case(1, 4, note="one image, four processes"),
    ],
    reference=lambda n, size: max(len(range(rank, n, size)) for rank in range(size)) * size - n,
    misconceptions={
        "it is how many are left over, not how many are missing": lambda n, size: n % size,
        "where it comes out even, nobody is given more": lambda n, size: size - n % size,
        "it is how many each process gets": lambda n, size: -(-n // size),
    },
    hints=[
        "Everybody gets as many as the one who gets most.",
        "n is filled up to the next multiple of `size`.",
        "`-n % size`.",
    ],
    explanation="torch's `DistributedSampler` fills up so that nobody has to wait. For training "
    "that is harmless; an accuracy over 10,032 images of which 32 count twice is not the accuracy "
    "on the test set. The course's loader gives out what there is, and the trainer adds up hits "
    "and examples.",
)
def ex10_10_repeated(n, size):
    """How many evaluations too many, if each of `size` processes gets equally many of n images."""
    return -n % size


def wait_for_the_slowest(outcome, again):
    n, spread = outcome.arguments["n"], outcome.arguments["spread"]
    draws = outcome.spy.drawn(20_000)
    count = sum(t.numel() for t in draws)
    if count != 20_000 * n:
        return f"{count:,} random numbers were drawn: {n} for each of 20,000 steps are meant."
    one = len(draws) == 1 and draws[0].shape[:1] == (20_000,)
    steps = draws[0].view(-1, n) if one else torch.cat([t.flatten() for t in draws]).view(n, -1).T
    times = [1 + spread * steps.double(), 1 - spread * steps.double(), steps.double()]
    slowest = [each.max(dim=1).values.mean() for each in times]
    what = "The mean of the slowest, with these random numbers,"
    return differs_from(outcome, *slowest, what=what, rtol=1e-5)


SLOWEST = {1: 0.0, 8: 1.4236, 64: 2.3437}  # mean of the largest of so many normal numbers


def straggler_case(n, spread, **about):
    middle, room = 1 + spread * SLOWEST[n], 0.03 * spread
    return case(n, spread, expected=Band(middle - room, middle + room), **about)


@exercise(
    title="Experiment: the slowest sets the pace",
    seconds=15,
    kind="experiment",
    witness=wait_for_the_slowest,
    minutes=15,
    cases=lambda: [
        straggler_case(1, 0.1, note="nobody to wait for"),
        straggler_case(8, 0.1),
        straggler_case(8, 0.3),
        straggler_case(64, 0.1),
        straggler_case(64, 0.2),
    ],
    misconceptions={
        "it is the mean over the processes, but all wait for the slowest": (
            lambda n, spread: 1.0 + 0 * n
        ),
        "it is the fastest, but all wait for the slowest": lambda n, s: 1 - s * SLOWEST[n],
    },
    hints=[
        "`1 + spread * torch.randn(20_000, n)`: a row for each step, a column for each process.",
        "Everybody waits for the largest number of the row: `.max(dim=1).values`.",
    ],
    explanation="With 64 processes and a spread of a tenth, every step takes nearly a quarter "
    "longer, though no machine is slow *on average*. Add a rare hiccup, and it is worse: among "
    "many, somebody always has one.",
)
def ex10_11_straggler(n, spread):
    """Mean time of a step that waits for the slowest of n, each taking 1 + spread × normal."""
    times = 1 + spread * torch.randn(20_000, n)
    return times.max(dim=1).values.mean().item()


def parts_case(*parts, note=""):
    """What the processes know of their parts, each (examples, C)."""
    means = torch.stack([part.mean(dim=0) for part in parts])
    variances = torch.stack([part.var(dim=0, correction=0) for part in parts])
    return case(means, variances, [len(part) for part in parts], note=note)


def some(n, channels):
    return torch.randn(n, channels).double()


def statistics_by_squares(means, variances, counts):
    """Mean of the squares minus square of the mean."""
    weights = torch.tensor(counts, dtype=means.dtype) / sum(counts)
    mean = weights @ means
    return mean, weights @ (variances + means**2) - mean**2


@exercise(
    title="Statistics of the whole",
    shares=("means", "variances"),  # of a single process
    kind="code",
    minutes=25,
    cases=lambda: [
        parts_case(torch.tensor([[1.0], [3.0]]), note="one process"),
        parts_case(torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0], [3.0]]), note="each alike"),
        parts_case(some(4, 2), some(4, 2) + 1),
        parts_case(some(5, 2), some(2, 2) + 2, note="parts of unlike size"),
        parts_case(some(3, 3), some(8, 3) - 1, some(1, 3) + 4),
    ],
    reference=statistics_by_squares,
    misconceptions={
        "the variances are averaged, but the means differ, too": lambda means, variances, counts: (
            statistics_by_squares(means, variances, counts)[0],
            statistics_by_squares(variances, variances, counts)[0],
        ),
        "every process counts alike, however few examples it had": (
            lambda means, variances, counts: statistics_by_squares(
                means, variances, [1] * len(counts)
            )
        ),
        "it is the standard deviation, not the variance": lambda *args: (
            statistics_by_squares(*args)[0],
            statistics_by_squares(*args)[1].sqrt(),
        ),
    },
    hints=[
        "The mean of all is the mean of the means, weighted by the counts.",
        "A value differs from the mean of all by its distance from its own part's mean, plus that "
        "mean's distance. Squared and averaged over a part: variance + (mean - mean of all)².",
        "Weigh these by the counts, too.",
    ],
    explanation="This is what `nn.SyncBatchNorm` does in each layer: two numbers per channel and "
    "the count are exchanged, not the activations. The mean of the variances alone is too small, "
    "by the variance between the parts.",
)
def ex10_12_whole_statistics(means, variances, counts):
    """(mean, variance) per channel over all examples, from each process's own, (size, C) each."""
    weights = torch.tensor(counts, dtype=means.dtype) / sum(counts)
    mean = weights @ means
    return mean, weights @ (variances + (means - mean) ** 2)
