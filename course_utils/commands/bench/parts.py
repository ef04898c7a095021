"""Epochs of training with evaluation: the course's trainer and loader against d2l's."""

import math
import time

from course_utils.commands.bench import cases, rival
from course_utils.commands.bench.rounds import at_least, interleave, measured

PUBLISHED_BATCH = 32  # images of the full profile's size; its own batches are 4 to 8 times this


def lenet(sizes, manifest, tell):
    """LeNet at the published settings: one epoch and the evaluation after it."""
    case = cases.lenet_case(manifest)
    train, test = sizes.lenet_train, sizes.lenet_test
    return [_duel(case, train, test, at_least(4), sizes.rounds, tell)]


def nets(sizes, manifest, tell):
    """The four larger networks, at the quick profile's sizes and at the published ones."""
    results = []
    for size in ("quick", "published"):
        factors = []
        for topic in cases.TOPICS:
            if size == "quick":
                case = cases.quick_case(manifest, topic)
                examples = case.whole_batches(sizes.nets[topic])
            else:
                case = cases.published_case(manifest, topic, PUBLISHED_BATCH)
                examples = case.whole_batches(sizes.published)
            test = max(1, examples // 6)  # as 10,000 to 60,000

            def say(text, case=case):
                tell(f"{case.title}, {case.image_size} px: {text}")

            result = _duel(case, examples, test, at_least(1.5), sizes.rounds, say)
            factors.append(result["ratio"]["values"])
            results.append(result)
        means = [math.prod(row) ** (1 / len(row)) for row in zip(*factors, strict=True)]
        what = f"d2l / course, geometric mean of the four, {size} size"
        results.append(measured(what, "×", {"mean": means}, goal=at_least(1.8, of="mean")))
    return results


def _duel(case, train_examples, test_examples, goal, rounds, tell):
    """Seconds of an epoch with evaluation, on both sides; None: all examples.

    Both start from the same weights in each round and then draw Xavier's.
    """
    root, d2l = rival.real_data(), rival.load_d2l()
    counts = {"train_examples": train_examples, "test_examples": test_examples}
    few = {"train_examples": case.whole_batches(0), "test_examples": case.batch_size}
    size = (case.batch_size, case.image_size)
    ours, theirs = case.loaders(**counts), rival.loaders(d2l, root, *size, **counts)
    precision = set()

    def course(number, loaders=ours):
        start = time.perf_counter()
        history = case.train(*loaders, seed=number)
        precision.add(history.precision)
        return time.perf_counter() - start, history.test_acc[-1]

    def other(number, loaders=theirs):
        net = case.build(number)
        start = time.perf_counter()
        accuracy = rival.train(d2l, net, *loaders, case.lr)
        return time.perf_counter() - start, accuracy

    tell("warming up")
    course(0, case.loaders(**few))
    other(0, rival.loaders(d2l, root, *size, **few))
    found = interleave({"course": course, "d2l": other}, rounds, tell)
    train, test = (loader.num_examples for loader in ours)
    return measured(
        f"{case.title} ({case.preset}), {case.image_size or 28} px, batch {case.batch_size}: "
        f"an epoch of {train:,} examples, {test:,} to evaluate",
        "s",
        {name: [seconds for seconds, _ in values] for name, values in found.items()},
        ratio=("d2l", "course"),
        goal=goal,
        note=f"course: {', '.join(sorted(precision))}; d2l: float32",
        test_acc={name: [accuracy for _, accuracy in values] for name, values in found.items()},
    )
