"""Epochs of training with evaluation: the course's trainer and loader against d2l's."""

import math
import time

from course_utils.publish.bench import cases, rival
from course_utils.publish.bench.interleave import at_least, interleave, measured

PUBLISHED_BATCH = 32  # images of the full profile's size; its own batches are 4 to 8 times this


def lenet(sizes, manifest, tell):
    """LeNet, batches of 256, one epoch and the evaluation after it."""
    case = cases.lenet_case()
    seconds, accuracy = _duel(case, sizes.lenet_train, sizes.lenet_test, sizes.rounds, tell)
    what = f"LeNet, batch 256: an epoch of {_of(sizes.lenet_train, 60000)} with evaluation"
    goal = at_least(4)
    return [measured(what, "s", seconds, ratio=("d2l", "course"), goal=goal, test_acc=accuracy)]


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

            seconds, accuracy = _duel(case, examples, test, sizes.rounds, say)
            what = (
                f"{case.title} ({case.preset}), {case.image_size} px, batch {case.batch_size}: "
                f"{examples:,} examples, {test:,} to evaluate"
            )
            result = measured(
                what,
                "s",
                seconds,
                ratio=("d2l", "course"),
                goal=at_least(1.5),
                test_acc=accuracy,
                computing=case.computing,
            )
            factors.append(result["ratio"]["values"])
            results.append(result)
        means = [math.prod(row) ** (1 / len(row)) for row in zip(*factors, strict=True)]
        what = f"d2l / course, geometric mean of the four, {size} size"
        results.append(measured(what, "×", {"mean": means}, goal=at_least(1.8, of="mean")))
    return results


def _duel(case, train_examples, test_examples, rounds, tell):
    """Seconds of an epoch with evaluation, and test accuracies: two dicts by side.

    Both sides start from the same weights in each round and then draw Xavier's.
    """
    root, d2l = rival.real_data(), rival.load_d2l()
    counts = {"train_examples": train_examples, "test_examples": test_examples}
    few = {"train_examples": 5 * case.batch_size, "test_examples": case.batch_size}
    size = (case.batch_size, case.image_size)
    pairs = {
        "course": (case.loaders(**few), case.loaders(**counts)),
        "d2l": (rival.loaders(d2l, root, *size, **few), rival.loaders(d2l, root, *size, **counts)),
    }

    def course(loaders, number):
        start = time.perf_counter()
        history = case.train(*loaders, seed=number)
        return time.perf_counter() - start, history.test_acc[-1]

    def other(loaders, number):
        net = case.build(number)
        start = time.perf_counter()
        accuracy = rival.train(d2l, net, *loaders, case.lr)
        return time.perf_counter() - start, accuracy

    sides = {}
    for name, run in (("course", course), ("d2l", other)):
        warm, full = pairs[name]
        tell(f"warming up, {name}")
        run(warm, 0)
        sides[name] = lambda number, run=run, full=full: run(full, number)
    found = interleave(sides, rounds, tell)
    seconds = {name: [value for value, _ in values] for name, values in found.items()}
    return seconds, {name: [value for _, value in values] for name, values in found.items()}


def _of(examples, all_of_them):
    return f"{examples or all_of_them:,} examples"
