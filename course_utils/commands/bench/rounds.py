"""Sides measured in turn, so that a machine that slows down slows all of them; and their table.

torch.utils.benchmark has neither: its Timer warms up twice as long as an epoch takes, and its
Compare shows medians alone, without their range, ratio and goal.
"""

import gc
import statistics

_SIGNS = {"at_least": "≥", "at_most": "≤"}


def interleave(sides, rounds, tell, warm_up=None):
    """Measure every side once in each round: A B A B …

    sides: name -> function of the round's number, from 0, that returns a dict of what it measured.
    tell: gets a line before each measurement. warm_up: sides that are called once before and do
    not count; None: the same.
    Returns quantity -> side -> list of values, one per round.
    """
    for name, measure in (warm_up or sides).items():
        tell(f"warming up, {name}")
        measure(0)
    found = {}
    gc.collect()
    gc.freeze()  # what is there now need not be looked through each time
    try:
        for number in range(rounds):
            for name, measure in sides.items():
                tell(f"round {number + 1} of {rounds}, {name}")
                gc.collect()  # one side's garbage is not swept up in the other's time
                for quantity, value in measure(number).items():
                    found.setdefault(quantity, {}).setdefault(name, []).append(value)
    finally:
        gc.unfreeze()
    return found


def measured(what, unit, values, *, ratio=None, goal=None, test_acc=None, **more):
    """One result, as bench.json holds it and the table shows it.

    values: side -> numbers in `unit`, one per round. ratio: two sides, (a, b), for a / b taken
    round by round. goal: {"at_least": bound} or {"at_most": bound} for the median of the ratio,
    or with "of" of that side. test_acc: side -> test accuracy in each round. more: further entries,
    among them "note", what a reader must know.
    """
    result = {"what": what, "unit": unit, "sides": _spreads(values)}
    if ratio is not None:
        a, b = ratio
        quotients = [x / y for x, y in zip(values[a], values[b], strict=True)]
        result["ratio"] = {"of": f"{a} / {b}", **_spread(quotients)}
    if goal is not None:
        of = goal.get("of", "ratio")
        median = (result["ratio"] if of == "ratio" else result["sides"][of])["median"]
        met = goal.get("at_least", median) <= median <= goal.get("at_most", median)
        result["goal"] = {"of": of, **goal, "met": met}
    if test_acc is not None:
        result["test_acc"] = _spreads(test_acc)
    return result | more


def not_run(what, reason):
    """The result of something that could not be measured."""
    return {"what": what, "not_run": str(reason)}


def lines(result):
    """The lines of one result: what it is, then a row for each side, the ratio and accuracies."""
    if "not_run" in result:
        return [f"{result['what']}: not run ({result['not_run']})"]
    found = [result["what"], *([f"({result['note']})"] if "note" in result else [])]
    goal, ratio = result.get("goal", {"of": None}), result.get("ratio")
    rows = [(name, numbers, result["unit"], name) for name, numbers in result["sides"].items()]
    rows += [(ratio["of"], ratio, "×", "ratio")] if ratio else []
    rows += [(f"test accuracy, {k}", v, "", "") for k, v in result.get("test_acc", {}).items()]
    for name, numbers, unit, of in rows:
        median, low, high = (figure(numbers[key]) for key in ("median", "low", "high"))
        between = f"{low}–{high}" if len(numbers["values"]) > 1 else ""
        row = f"  {name:32}{f'{median} {unit}'.rstrip():>16}{between:>18}"
        found.append(f"{row}   {_said(goal) if of == goal['of'] else ''}".rstrip())
    return found


def figure(value):
    """Three digits, or all those before the point: 0.0123, 1.23, 12.3, 1,230."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"  # 99.96 is 100 in three


def _said(goal):
    (bound,) = goal.keys() & _SIGNS
    return f"goal {_SIGNS[bound]} {goal[bound]:,g}: {'met' if goal['met'] else 'missed'}"


def _spreads(values):
    return {side: _spread(numbers) for side, numbers in values.items()}


def _spread(values):
    median, low, high = statistics.median(values), min(values), max(values)
    return {"median": median, "low": low, "high": high, "values": list(values)}
