"""Measure several sides in turn, so that a machine that slows down slows all of them."""

import gc
import statistics


class NotRun(Exception):
    """Something cannot be measured here; the message says what is missing."""


def interleave(sides, rounds, tell=lambda text: None, *, warm_up=False):
    """Measure every side once in each round: A B A B …

    sides: name -> function of the round's number, from 0, that returns what it measured.
    tell: gets a line before each measurement. warm_up: whether to call each side once before.
    Returns name -> list of what was measured, one entry per round.
    """
    if warm_up:
        for name, measure in sides.items():
            tell(f"warming up, {name}")
            measure(0)
    found = {name: [] for name in sides}
    gc.collect()
    gc.freeze()  # what is there now need not be looked through each time
    try:
        for number in range(rounds):
            for name, measure in sides.items():
                tell(f"round {number + 1} of {rounds}, {name}")
                gc.collect()  # one side's garbage is not swept up in the other's time
                found[name].append(measure(number))
    finally:
        gc.unfreeze()
    return found


def spread(values):
    """Median, smallest and largest of some numbers, and the numbers in order."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": list(values),
    }


def at_least(bound, of="ratio"):
    """A goal for a median: of the ratio, or of the side called `of`."""
    return {"of": of, "at_least": bound}


def at_most(bound, of="ratio"):
    """As `at_least`, from above."""
    return {"of": of, "at_most": bound}


def measured(what, unit, values, *, ratio=None, goal=None, note=None, test_acc=None, **more):
    """One result, as bench.json holds it and the table shows it.

    values: side -> numbers in `unit`, one per round. ratio: two sides, (a, b), for a / b taken
    round by round. goal: from `at_least` or `at_most`. note: what a reader must know.
    test_acc: side -> test accuracy in each round. more: further entries.
    """
    result = {
        "what": what,
        "unit": unit,
        "sides": {side: spread(numbers) for side, numbers in values.items()},
    }
    if ratio is not None:
        a, b = ratio
        quotients = [x / y for x, y in zip(values[a], values[b], strict=True)]
        result["ratio"] = {"of": f"{a} / {b}", **spread(quotients)}
    if goal is not None:
        reached = result["ratio"] if goal["of"] == "ratio" else result["sides"][goal["of"]]
        median = reached["median"]
        met = median >= goal["at_least"] if "at_least" in goal else median <= goal["at_most"]
        result["goal"] = {**goal, "met": met}
    if note is not None:
        result["note"] = note
    if test_acc is not None:
        result["test_acc"] = {side: spread(numbers) for side, numbers in test_acc.items()}
    return result | more


def not_run(what, reason):
    """The result of something that could not be measured."""
    return {"what": what, "not_run": str(reason)}
