"""What kind of mistake does a failure look like?

There are three kinds of them. Facts are sure. Hypotheses name a wrong function, and must explain
what the learner's function does on other cases too. Signs look at wrong values or shapes, and must
be there in at least half of the other failures: one small case alone shows too many of them.
"""

import functools
import itertools
import operator

import torch

from course_utils.exercises.checker.call import bind, call
from course_utils.exercises.checker.compare import difference, is_plain
from course_utils.exercises.checker.declare import Band, Raises
from course_utils.exercises.checker.spy import state, unchanged
from course_utils.exercises.checker.trial import prepared_cases, try_case

QUICK = 0.2  # seconds; strange arguments may send a reference round and round
OTHER_CASES = 5  # looked at to confirm a guess


def diagnose(failure):
    """One or two sentences about the mistake; "" if none is known."""
    sure = _fact(failure)
    if sure is not None:
        return sure
    others = itertools.islice(_other_cases(failure), OTHER_CASES)
    tried = [(failure.prepared.case, failure.outcome, failure), *others]
    failures = [found for _, _, found in tried if found is not None]
    if any(found.gradient_of is None for found in failures):
        for words, wrong in _hypotheses(failure):
            if all(_explains(wrong, case, outcome, failure) for case, outcome, _ in tried):
                return f"It looks as if {words}."
    if failure.gradient_of is not None:
        return f"The values are right, but the gradient for `{failure.gradient_of}` is not."
    return _sign(failure, failures[1:])


def _fact(failure):
    """What is sure about the failure itself; None if that says too little."""
    outcome, found, name = failure.outcome, failure.difference, failure.gradient_of
    expected, trouble = failure.prepared.expected, outcome.trouble
    if outcome.endless:
        return (
            f"It ran for more than {failure.exercise.seconds:g} seconds and was stopped: "
            "a loop that never ends, or far too much work?"
        )
    if isinstance(expected, Raises):
        instead = "returned a result" if trouble is None else f"raised {trouble.name}"
        return f"Here it must raise {expected.error.__name__}; it {instead}."
    if trouble is not None and "in-place" in trouble.message:
        return "It changes a tensor in place that the gradient needs: work on a copy."
    if trouble is not None:
        return "Your code raised an exception."
    if outcome.result is None and expected is not None:
        if outcome.printed.strip():
            return "It prints its result but returns None: end with `return`."
        return "It returns None: is a `return` missing, or in the wrong place?"
    if failure.objections:
        also = "" if found is None or found.kind == "band" else " And the result is wrong."
        return " ".join(failure.objections) + also
    for changed in failure.exercise.changes:
        now = outcome.result[changed]
        was_to_change = not unchanged(expected[changed], now)
        if was_to_change and unchanged(state(failure.arguments[changed]), now):
            return f"`{changed}` is as it was before: nothing in it has changed."
    if found is None:
        return (
            f"The values are right, but no gradient reaches `{name}`. What cuts it: `.item()`, "
            "`.detach()`, `.data`, `torch.tensor(…)`, `torch.no_grad()`, NumPy?"
        )
    if found.kind == "dtype":
        return found.words[0].upper() + found.words[1:] + "."
    return f"It returns {found.words}." if found.kind == "type" else None


# Hypotheses: wrong functions that do the same


def _hypotheses(failure):
    """(what it would mean, wrong function), the exercise's own first."""
    exercise, result = failure.exercise, failure.outcome.result
    yield from exercise.misconceptions.items()
    if failure.arguments and not isinstance(failure.prepared.expected, Band):
        yield "the same comes out, whatever goes in", lambda *args, **kwargs: result
    if exercise.reference is not None:
        for words, taken in _mistaken_arguments(failure.arguments):
            yield words, functools.partial(_with_mistake, exercise, taken)


def _mistaken_arguments(given):
    """(what it would mean, {name of an argument: function of all of them that stands for it})."""
    for name, value in given.items():
        for other in _instead_of(value):
            shown = f'"{other}"' if isinstance(other, str) else other
            words = f"`{name}` is ignored, or taken for {shown}"
            yield words, {name: lambda _, other=other: other}
        if isinstance(value, tuple):
            words = f"rows and columns are exchanged in `{name}`"
            yield words, {name: lambda given, name=name: given[name] and given[name][::-1]}
    for one, two in itertools.combinations(given, 2):
        if type(given[one]) is type(given[two]):
            words = f"`{one}` and `{two}` are exchanged"
            yield words, {one: operator.itemgetter(two), two: operator.itemgetter(one)}


def _with_mistake(exercise, taken, *args, **kwargs):
    """What the reference returns for mistaken arguments; for the right ones if one is not given."""
    given = bind(exercise.solution, args, kwargs)
    if taken.keys() <= given.keys():
        given |= {name: instead(given) for name, instead in taken.items()}
    return exercise.reference(**given)


def _instead_of(value):
    """Values that an argument is taken for when it is ignored."""
    others = ()
    if isinstance(value, bool):
        others = (not value,)
    elif isinstance(value, int | float):
        others = (0, 1, 2)
    elif isinstance(value, str):
        others = ("max", "avg")
    elif isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
        others = ((1,) * len(value), (value[0],) * len(value))
    return [other for other in others if other != value]


def _other_cases(failure):
    """(case, outcome, failure or None) of the learner's function at the other cases."""
    for prepared in prepared_cases(failure.exercise):
        if prepared is not failure.prepared and not isinstance(prepared.expected, Raises):
            outcome, found = try_case(failure.exercise, failure.fn, prepared, QUICK)
            if not outcome.endless:
                yield prepared.case, outcome, found


def _explains(wrong, case, outcome, failure):
    """Whether `wrong` returns for a case what the learner's function does, or both raise."""
    theirs = call(wrong, case, failure.exercise, seconds=QUICK)
    if theirs.endless or (theirs.trouble is None) != (outcome.trouble is None):
        return False
    if theirs.trouble is not None:
        return True
    return difference(outcome.result, theirs.result, failure.exercise) is None


# Signs: what wrong shapes, values and numbers look like


def _sign(failure, others):
    """The first sign that is there, and in half of the other failures too."""
    for sign in (*SIGNS_OF_SHAPE, *SIGNS_OF_VALUES):
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
        mine, right = mine.detach().cpu().double(), right.detach().cpu().double()
    elif all(isinstance(v, int | float) and not isinstance(v, bool) for v in (mine, right)):
        mine, right = (torch.tensor(v, dtype=torch.float64) for v in (mine, right))
    elif found.kind == "shape" and len(mine) != len(right):
        mine, right = torch.zeros(len(mine)).double(), torch.zeros(len(right)).double()
    else:
        return None
    made_for = SIGNS_OF_VALUES if mine.shape == right.shape else SIGNS_OF_SHAPE
    return sign(mine, right) if sign in made_for else None


def other_axes(mine, right):
    if mine.ndim == right.ndim and right.ndim < 6:
        for axes in itertools.permutations(range(right.ndim)):
            if list(axes) != sorted(axes) and _same(mine, right.permute(axes)):
                return "The values are right, but the axes are in another order (transposed)."


def other_shape(mine, right):
    if right.ndim > 3 and mine.shape == right.shape[1:]:
        return "The batch dimension is dropped: every image must get its own result."
    if mine.numel() == right.numel() > 0 and _same(mine.reshape(right.shape), right):
        return "The values are right, but the shape is not."
    if mine.ndim != right.ndim:
        return f"It has {mine.ndim} axes instead of {right.ndim}."


def one_too_many(mine, right):
    if mine.ndim != right.ndim:
        return None
    off = {a - b for a, b in zip(mine.shape, right.shape, strict=True)}
    for words, by in (("large", 1), ("small", -1)):
        if off <= {0, by}:
            return f"The output is one too {words}: off by one in the output size?"


def fractions_lost(mine, right):
    if _same(mine, right.trunc()) or _same(mine, right.floor()):
        return "The fractions are lost: a whole-number dtype, or a division with `//`?"


def turned_round(mine, right):
    for count in (1, 2):
        for axes in itertools.combinations(range(right.ndim), count):
            if _same(mine, right.flip(axes)):
                return "The values are there, but turned round: check the direction of the axes."


def all_zero(mine, right):
    if right.numel() > 1 and not mine.any():
        return "Everything is zero: is the result ever filled in?"


def opposite(mine, right):
    if _same(mine, -right):
        return "The sign is wrong."


def multiple(mine, right):
    if right.numel() < 2 or not mine.isfinite().all():
        return None
    used = right.abs() > 1e-6
    factors = mine[used] / right[used]
    factor = f"{factors.mean():.4g}"
    if factor != "1" and used.any() and _same(mine, right * factors.mean()):
        return f"Every value is {factor} times what it should be."


def offset(mine, right):
    off = mine - right
    if not off.isfinite().all():
        return None
    if right.ndim == 0 and off.abs() == 1:
        return f"It is one too {'large' if off > 0 else 'small'}."
    if right.numel() > 1 and _same(off, off.mean().expand(off.shape)):
        return f"Every value is too {'large' if off.mean() > 0 else 'small'} by the same."


def rounded(mine, right):
    if (mine - right).abs().max() < 1e-3 * right.abs().max():
        return "It is close, but not close enough: is a number rounded on the way?"


def only_the_border(mine, right):
    cells = _differing(mine, right)
    is_image = cells.ndim >= 2 and min(cells.shape[-2:]) >= 3
    if is_image and not cells[..., 1:-1, 1:-1].any():
        return "Only values at the border are wrong: look at padding and the first window."


def first_is_right(axis, name, mine, right):
    cells = _differing(mine, right)
    many = cells.ndim >= axis + 3 and cells.shape[axis] > 1
    if many and not cells.select(axis, 0).any():
        return f"The first {name} is right, later ones are not."


def _differing(mine, right):
    return ~torch.isclose(mine, right, 1e-4, 1e-5, equal_nan=True)


def _same(mine, right):
    return mine.shape == right.shape and not _differing(mine, right).any()


SIGNS_OF_SHAPE = (other_axes, other_shape, one_too_many)
SIGNS_OF_VALUES = (
    other_axes,
    fractions_lost,
    turned_round,
    all_zero,
    opposite,
    multiple,
    offset,
    rounded,
    only_the_border,
    functools.partial(first_is_right, 0, "image of the batch"),
    functools.partial(first_is_right, 1, "channel"),
)
