"""What kind of mistake does a failure look like? Each question is a small function.

A question takes a Failure and returns a sentence, or None. The first answer counts, so the sure
ones stand before the guesses.
"""

import itertools

import torch

from course_utils.exercises.comparing import difference, is_plain
from course_utils.exercises.exercise import Band, Case, Raises
from course_utils.exercises.running import call

QUICK = 0.2  # seconds; strange arguments may send a reference round and round


def diagnose(failure):
    """One or two sentences about the mistake; "" if none is known."""
    for question in QUESTIONS:
        answer = question(failure)
        if answer:
            return answer
    return ""


def stopped(failure):
    if failure.outcome.endless:
        return (
            f"It ran for more than {failure.exercise.seconds:g} seconds and was stopped: "
            "a loop that never ends, or far too much work?"
        )


def raised(failure):
    expected, trouble = failure.prepared.expected, failure.outcome.trouble
    if isinstance(expected, Raises):
        instead = "returned" if trouble is None else f"raised {trouble.name}"
        return f"Here it must raise {expected.error.__name__}; it {instead}."
    if trouble is not None and failure.difference is None and not failure.outcome.changed:
        if isinstance(trouble.error, RuntimeError) and "in-place" in trouble.message:
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
    if name is None:
        return None
    if failure.difference is None:
        return (
            f"The values are right, but no gradient reaches `{name}`. What cuts it: `.item()`, "
            "`.detach()`, `.data`, `torch.tensor(…)`, `torch.no_grad()`, NumPy?"
        )
    return f"The values are right, but the gradient for `{name}` is not."


def misconception(failure):
    for words, wrong in failure.exercise.misconceptions.items():
        if _equals(failure, _result_of(failure, wrong, failure.prepared.case)):
            return f"It looks as if {words}."


def right_but_wrong_type(failure):
    found = failure.difference
    if found.kind == "dtype":
        return found.words[0].upper() + found.words[1:] + "."
    if found.kind == "type":
        return f"It returns {found.words}."
    if not (is_plain(found.actual) and is_plain(found.expected)):
        return None
    if not found.actual.is_floating_point() and found.expected.is_floating_point():
        same = torch.equal(_cut(found.actual).double(), found.expected.double().trunc())
        return "The fractions are lost: the result has a whole-number dtype." if same else None


def hard_coded(failure):
    mine = failure.outcome.result
    for earlier in failure.passed:
        if difference(mine, earlier.expected, failure.exercise) is None:
            return "It gives the answer of another input: are values of an example typed in?"


def ignored_or_swapped(failure):
    """Does the reference give this result if an argument is replaced, or two are exchanged?"""
    if failure.exercise.reference is None:
        return None
    given = failure.arguments
    for name, value in given.items():
        for other in _others(value):
            if _equals(failure, _with(failure, {name: other})):
                return f"It looks as if `{name}` is ignored, or taken for {_brief(other)}."
        if isinstance(value, tuple) and _equals(failure, _with(failure, {name: value[::-1]})):
            return f"It looks as if rows and columns are exchanged in `{name}`."
    for (one, a), (two, b) in itertools.combinations(given.items(), 2):
        alike = type(a) is type(b) and getattr(a, "shape", 0) == getattr(b, "shape", 0)
        if alike and _equals(failure, _with(failure, {one: b, two: a})):
            return f"It looks as if `{one}` and `{two}` are exchanged."


def wrong_size(failure):
    found = failure.difference
    if found.kind != "shape":
        return None
    if isinstance(found.expected, list | tuple) and hasattr(found.actual, "__len__"):
        more = len(found.actual) - len(found.expected)
        much = "one entry" if abs(more) == 1 else f"{abs(more)} entries"
        return f"The list is {much} too {'long' if more > 0 else 'short'}."
    if not (is_plain(found.actual) and is_plain(found.expected)):
        return None
    return _wrong_shape(found.actual, found.expected)


def _wrong_shape(mine, right):
    for axes in itertools.permutations(range(right.ndim)):
        if mine.ndim == right.ndim and _same(mine, right.permute(axes)):
            return "The values are right, but the axes are in another order."
    if mine.numel() == right.numel() and _same(mine.reshape(right.shape), right):
        return "The values are right, but the shape is not."
    if mine.ndim < right.ndim and mine.shape == right.shape[right.ndim - mine.ndim :]:
        return "The batch dimension is dropped: every image must get its own result."
    if mine.ndim != right.ndim:
        return f"It has {mine.ndim} axes instead of {right.ndim}."
    off = [a - b for a, b in zip(mine.shape, right.shape, strict=True)]
    if set(off) <= {0, 1} or set(off) <= {0, -1}:
        way = "large" if max(off) > 0 else "small"
        return f"The output is one too {way}: off by one in the output size?"


def wrong_values(failure):
    found = failure.difference
    if _is_number(found.actual) and _is_number(found.expected):
        return _wrong_number(found.actual, found.expected)
    if not (is_plain(found.actual) and found.cells is not None):
        return None
    mine, right = found.actual.detach().cpu().double(), found.expected.detach().cpu().double()
    for axes in itertools.chain.from_iterable(
        itertools.combinations(range(right.ndim), n) for n in (1, 2)
    ):
        if _same(mine, right.flip(axes)):
            return "The values are there, but turned round: check the direction along the axes."
    for i, j in itertools.combinations(range(right.ndim), 2):
        if right.shape[i] == right.shape[j] and _same(mine, right.transpose(i, j)):
            return "The values are right, but two axes are exchanged (transposed)."
    if not mine.any():
        return "Everything is zero: is the result ever filled in?"
    return _scaled(mine, right) or _only_somewhere(found.cells)


def _wrong_number(mine, right):
    if abs(mine - right) == 1:
        return f"It is one too {'large' if mine > right else 'small'}: off by one?"
    if mine == -right:
        return "The sign is wrong."


def _scaled(mine, right):
    if _same(mine, -right):
        return "The sign is wrong."
    used = right.abs() > 1e-6
    if used.sum() < 2 or not mine[used].isfinite().all():
        return None
    factors = mine[used] / right[used]
    if (factors - factors.mean()).abs().max() < 1e-4 and _same(mine, right * factors.mean()):
        return f"Every value is {factors.mean():.4g} times what it should be."
    offsets = mine - right
    if (offsets - offsets.mean()).abs().max() < 1e-4:
        return f"Every value is too {'large' if offsets.mean() > 0 else 'small'} by the same."
    if (mine - right).abs().max() < 1e-2 * right.abs().max():
        return "It is close, but not close enough: is a number rounded on the way?"


def _only_somewhere(cells):
    if cells.ndim >= 2 and min(cells.shape[-2:]) >= 3 and not cells[..., 1:-1, 1:-1].any():
        return "Only values at the border are wrong: look at the padding and the first window."
    if cells.ndim >= 3 and len(cells) > 1 and not cells[0].any():
        return "The first image of the batch is right, later ones are not."
    if cells.ndim >= 4 and cells.shape[1] > 1 and not cells[:, 0].any():
        return "The first channel is right, later ones are not."


QUESTIONS = (
    stopped,
    raised,
    no_result,
    changed_in_place,
    gradient,
    misconception,
    right_but_wrong_type,
    hard_coded,
    ignored_or_swapped,
    wrong_size,
    wrong_values,
)


def _equals(failure, result):
    """Whether the learner's result is this one (and this one is another than the expected)."""
    if result is None or isinstance(result, Band):
        return False
    mine, exercise = failure.outcome.result, failure.exercise
    if difference(result, failure.prepared.expected, exercise) is None:
        return False
    return difference(mine, result, exercise) is None


def _with(failure, changes):
    """What the reference returns with some arguments replaced; None if it refuses."""
    case = Case((), {**failure.arguments, **changes}, None, "")
    return _result_of(failure, failure.exercise.reference, case)


def _result_of(failure, fn, case):
    return call(fn, case, failure.exercise, seconds=QUICK).result


def _others(value):
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


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cut(tensor):
    return tensor.detach().cpu()


def _same(mine, right):
    mine, right = mine.detach().cpu().double(), right.detach().cpu().double()
    return mine.shape == right.shape and torch.allclose(mine, right, 1e-4, 1e-5, equal_nan=True)
