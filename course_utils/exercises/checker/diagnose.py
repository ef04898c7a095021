"""What kind of mistake does a failure look like? Each question is a small function.

There are three kinds of them. Facts are sure. Hypotheses name a wrong function, and must explain
what the learner's function does on other cases too. Signs look at wrong values or shapes, and must
be there in at least half of the other failures: one small case alone shows too many of them.
"""

import inspect
import itertools
from dataclasses import dataclass

import torch

from course_utils.exercises.checker.call import Outcome, call
from course_utils.exercises.checker.compare import difference, is_plain
from course_utils.exercises.checker.declare import Band, Case, Raises
from course_utils.exercises.checker.trial import Failure, prepared_cases, try_case

QUICK = 0.2  # seconds; strange arguments may send a reference round and round
OTHER_CASES = 5  # looked at to confirm a guess


def diagnose(failure):
    """One or two sentences about the mistake; "" if none is known."""
    for fact in FACTS:
        words = fact(failure)
        if words:
            return words
    looks = _looks(failure)
    if any(look.failure is not None and look.failure.gradient_of is None for look in looks):
        for words, wrong in _hypotheses(failure):
            if all(_explains(wrong, look, failure.exercise) for look in looks):
                return f"It looks as if {words}."
    if failure.gradient_of is not None:
        return f"The values are right, but the gradient for `{failure.gradient_of}` is not."
    return _sign(failure, [look.failure for look in looks[1:] if look.failure is not None])


# Facts about the failure itself


def stopped(failure):
    if failure.outcome.endless:
        return (
            f"It ran for more than {failure.exercise.seconds:g} seconds and was stopped: "
            "a loop that never ends, or far too much work?"
        )


def raised(failure):
    expected, trouble = failure.prepared.expected, failure.outcome.trouble
    if isinstance(expected, Raises):
        instead = "returned a result" if trouble is None else f"raised {trouble.name}"
        return f"Here it must raise {expected.error.__name__}; it {instead}."
    if trouble is None:
        return None
    if "in-place" in trouble.message:
        return "It changes a tensor in place that the gradient needs: work on a copy."
    return "Your code raised an exception."


def no_result(failure):
    if failure.outcome.result is not None or failure.prepared.expected is None:
        return None
    if failure.outcome.printed.strip():
        return "It prints its result but returns None: end with `return`."
    return "It returns None: is a `return` missing, or in the wrong place?"


def changed_in_place(failure):
    if failure.outcome.changed:
        names = " and ".join(f"`{name}`" for name in failure.outcome.changed)
        also = "" if failure.difference is None else " And the result is wrong."
        return f"It changes its argument {names} in place: work on a copy.{also}"


def gradient(failure):
    name = failure.gradient_of
    if name is not None and failure.difference is None:
        return (
            f"The values are right, but no gradient reaches `{name}`. What cuts it: `.item()`, "
            "`.detach()`, `.data`, `torch.tensor(…)`, `torch.no_grad()`, NumPy?"
        )


def wrong_type(failure):
    found = failure.difference
    if found.kind == "dtype":
        return found.words[0].upper() + found.words[1:] + "."
    if found.kind == "type":
        return f"It returns {found.words}."


FACTS = (stopped, raised, no_result, changed_in_place, gradient, wrong_type)


# Hypotheses: wrong functions that do the same


def _hypotheses(failure):
    """(what it would mean, wrong function), the exercise's own first."""
    yield from failure.exercise.misconceptions.items()
    if failure.arguments and not isinstance(failure.prepared.expected, Band):
        result = failure.outcome.result
        yield "the answer to one example is typed in", lambda *args, **kwargs: result
    if failure.exercise.reference is None:
        return
    given = failure.arguments
    for name, value in given.items():
        for other in _instead_of(value):
            words = f"`{name}` is ignored, or taken for {_brief(other)}"
            yield words, _with(failure, _replace(name, other))
        if isinstance(value, tuple):
            words = f"rows and columns are exchanged in `{name}`"
            yield words, _with(failure, _reverse(name))
    for one, two in itertools.combinations(given, 2):
        if type(given[one]) is type(given[two]):
            yield f"`{one}` and `{two}` are exchanged", _with(failure, _exchange(one, two))


def _with(failure, change):
    """The reference, called with changed arguments. change: takes and changes a dict of them."""
    signature = inspect.signature(failure.exercise.solution)

    def wrong(*args, **kwargs):
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        change(arguments)
        return failure.exercise.reference(**arguments)

    return wrong


def _replace(name, value):
    def change(arguments):
        if name in arguments:
            arguments[name] = value

    return change


def _reverse(name):
    def change(arguments):
        if arguments.get(name):
            arguments[name] = arguments[name][::-1]

    return change


def _exchange(one, two):
    def change(arguments):
        if one in arguments and two in arguments:
            arguments[one], arguments[two] = arguments[two], arguments[one]

    return change


def _instead_of(value):
    """Values that an argument is taken for when it is ignored."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [other for other in (0, 1, 2) if other != value]
    if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
        return [other for other in ((1,) * len(value), (value[0],) * len(value)) if other != value]
    if isinstance(value, str):
        return [other for other in ("max", "avg") if other != value]
    return []


def _brief(value):
    return f'"{value}"' if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class _Look:
    """What the learner's function does on one case. failure: None where it is right."""

    case: Case
    outcome: Outcome
    failure: Failure | None


def _looks(failure):
    """At the failing case, and then at a few more."""
    looks = [_Look(failure.prepared.case, failure.outcome, failure)]
    for prepared in prepared_cases(failure.exercise):
        if len(looks) > OTHER_CASES:
            break
        if prepared is failure.prepared or isinstance(prepared.expected, Raises):
            continue
        outcome = call(failure.fn, prepared.case, failure.exercise, seconds=QUICK)
        if not outcome.endless:
            found = try_case(failure.exercise, failure.fn, prepared, QUICK)
            looks.append(_Look(prepared.case, outcome, found))
    return looks


def _explains(wrong, look, exercise):
    """Whether `wrong` returns here what the learner's function does, or both raise."""
    theirs = call(wrong, look.case, exercise, seconds=QUICK)
    if theirs.endless or (theirs.trouble is None) != (look.outcome.trouble is None):
        return False
    if theirs.trouble is not None:
        return True
    return difference(look.outcome.result, theirs.result, exercise) is None


# Signs: what wrong shapes, values and numbers look like


def _sign(failure, others):
    """The first sign that is there, and in half of the other failures too."""
    for sign in SIGNS:
        words = _see(sign, failure)
        if words and 2 * sum(bool(_see(sign, other)) for other in others) >= len(others):
            return words
    return ""


def _see(sign, failure):
    """What a sign says about the two values that differ; None if it is not made for such."""
    found = failure.difference
    if found is None:
        return None
    mine, right = found.actual, found.expected
    if is_plain(mine) and is_plain(right):
        return sign(mine.detach().cpu().double(), right.detach().cpu().double())
    if all(isinstance(v, int | float) for v in (mine, right)):
        return sign(*(torch.tensor(v, dtype=torch.float64) for v in (mine, right)))
    if found.kind == "shape" and all(hasattr(v, "__len__") for v in (mine, right)):
        return sign(torch.zeros(len(mine)).double(), torch.zeros(len(right)).double())
    return None


def other_axes(mine, right):
    if mine.ndim == right.ndim and right.ndim < 6:
        for axes in itertools.permutations(range(right.ndim)):
            if list(axes) != sorted(axes) and _same(mine, right.permute(axes)):
                return "The values are right, but the axes are in another order (transposed)."


def other_shape(mine, right):
    if mine.shape == right.shape:
        return None
    if right.ndim > 3 and mine.shape == right.shape[1:]:
        return "The batch dimension is dropped: every image must get its own result."
    if mine.numel() == right.numel() > 0 and _same(mine.reshape(right.shape), right):
        return "The values are right, but the shape is not."
    if mine.ndim != right.ndim:
        return f"It has {mine.ndim} axes instead of {right.ndim}."


def one_too_many(mine, right):
    if mine.ndim != right.ndim or mine.shape == right.shape:
        return None
    off = [a - b for a, b in zip(mine.shape, right.shape, strict=True)]
    if set(off) <= {0, 1}:
        return "The output is one too large: off by one in the output size?"
    if set(off) <= {0, -1}:
        return "The output is one too small: off by one in the output size?"


def fractions_lost(mine, right):
    if _same(mine, right.trunc()) or _same(mine, right.floor()):
        return "The fractions are lost: a whole-number dtype, or a division with `//`?"


def turned_round(mine, right):
    for count in (1, 2):
        for axes in itertools.combinations(range(right.ndim), count):
            if mine.shape == right.shape and _same(mine, right.flip(axes)):
                return "The values are there, but turned round: check the direction of the axes."


def all_zero(mine, right):
    if mine.shape == right.shape and right.numel() > 1 and not mine.any():
        return "Everything is zero: is the result ever filled in?"


def opposite(mine, right):
    if _same(mine, -right):
        return "The sign is wrong."


def multiple(mine, right):
    if mine.shape != right.shape or right.numel() < 2 or not mine.isfinite().all():
        return None
    used = right.abs() > 1e-6
    factors = mine[used] / right[used]
    if used.any() and _same(mine, right * factors.mean()):
        return f"Every value is {factors.mean():.4g} times what it should be."


def offset(mine, right):
    if mine.shape != right.shape or not (mine - right).isfinite().all():
        return None
    off = mine - right
    if right.ndim == 0 and off.abs() == 1:
        return f"It is one too {'large' if off > 0 else 'small'}: off by one?"
    if right.numel() > 1 and _same(off, off.mean().expand(off.shape)):
        return f"Every value is too {'large' if off.mean() > 0 else 'small'} by the same."


def rounded(mine, right):
    if mine.shape == right.shape and (mine - right).abs().max() < 1e-3 * right.abs().max():
        return "It is close, but not close enough: is a number rounded on the way?"


def only_the_border(mine, right):
    cells = _cells(mine, right)
    is_image = cells is not None and cells.ndim >= 2 and min(cells.shape[-2:]) >= 3
    if is_image and not cells[..., 1:-1, 1:-1].any():
        return "Only values at the border are wrong: look at padding and the first window."


def first_image_right(mine, right):
    cells = _cells(mine, right)
    if cells is not None and cells.ndim >= 3 and len(cells) > 1 and not cells[0].any():
        return "The first image of the batch is right, later ones are not."


def first_channel_right(mine, right):
    cells = _cells(mine, right)
    if cells is not None and cells.ndim >= 4 and cells.shape[1] > 1 and not cells[:, 0].any():
        return "The first channel is right, later ones are not."


SIGNS = (
    other_axes,
    other_shape,
    one_too_many,
    fractions_lost,
    turned_round,
    all_zero,
    opposite,
    multiple,
    offset,
    rounded,
    only_the_border,
    first_image_right,
    first_channel_right,
)


def _cells(mine, right):
    return None if mine.shape != right.shape else ~torch.isclose(mine, right, 1e-4, 1e-5)


def _same(mine, right):
    return mine.shape == right.shape and torch.allclose(mine, right, 1e-4, 1e-5, equal_nan=True)
