"""Try a function on the prepared cases of an exercise."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from course_utils.exercises.checker.call import Outcome, bind, call
from course_utils.exercises.checker.compare import Difference, difference
from course_utils.exercises.checker.declare import FROM_REFERENCE, Case, Exercise, Raises
from course_utils.exercises.checker.spy import AGAIN


@dataclass(frozen=True)
class Prepared:
    """A case with what must come out of it. allowed: traces that the solution leaves, too."""

    case: Case
    expected: object
    gradients: dict | None
    size: float
    allowed: frozenset = frozenset()


@dataclass(frozen=True)
class Failure:
    """The smallest case that failed, and all that is known about it.

    fn: the learner's function. gradient_of: the argument whose gradient is wrong; then `outcome`
    has the right result, and `difference` is about gradients. objections: sentences about what it
    did, whatever came out.
    """

    exercise: Exercise
    fn: Callable
    prepared: Prepared
    outcome: Outcome
    difference: Difference | None = None
    gradient_of: str | None = None
    objections: tuple = ()

    @property
    def arguments(self):
        return bind(self.exercise.solution, self.prepared.case.args, self.prepared.case.kwargs)


@functools.cache
def prepared_cases(exercise, seed=0):
    """The cases of an exercise with what is expected, from small to large; worked out once."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        cases = list(exercise.cases())
    ready = [_prepare(exercise, case) for case in cases]
    return tuple(sorted(ready, key=lambda prepared: prepared.size))


def _prepare(exercise, case):
    size = _size([*case.args, *case.kwargs.values()])
    if isinstance(case.expected, Raises):
        return Prepared(case, case.expected, None, size)
    allowed = frozenset(call(exercise.solution, case, exercise).traces)
    if case.expected is not FROM_REFERENCE:
        return Prepared(case, case.expected, None, size, allowed)
    outcome = call(exercise.reference, case, exercise)
    if outcome.trouble is not None:  # a mistake in the exercise, not in an answer
        raise outcome.trouble.error
    gradients = None
    if exercise.gradient:
        gradients = call(exercise.reference, case, exercise, grad=True).gradients
    return Prepared(case, outcome.result, gradients, size, allowed)


def _size(value):
    """How much there is to look at: entries of tensors, sizes of numbers."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return abs(value) if isinstance(value, int | float) else 1


def try_case(exercise, fn, prepared, seconds=None):
    """The Outcome of `fn` on one case, and the Failure or None."""
    outcome = call(fn, prepared.case, exercise, seconds=seconds)
    failure = functools.partial(Failure, exercise, fn, prepared)
    expected = prepared.expected
    if isinstance(expected, Raises):
        trouble = outcome.trouble
        right = trouble is not None and isinstance(trouble.error, expected.error)
        return outcome, None if right else failure(outcome)
    if outcome.trouble is not None or outcome.endless:
        return outcome, failure(outcome)
    found = difference(outcome.result, expected, exercise)
    objections = tuple(trace for trace in outcome.traces if trace not in prepared.allowed)
    if exercise.witness is not None and (found is None or found.kind == "band"):
        again = functools.partial(call, fn, prepared.case, exercise, seconds=seconds, seed=AGAIN)
        said = exercise.witness(outcome, again)
        objections += (said,) if said else ()
    if found is not None or objections:
        return outcome, failure(outcome, found, objections=objections)
    if prepared.gradients is None:
        return outcome, None
    with_gradients = call(fn, prepared.case, exercise, grad=True, seconds=seconds)
    if with_gradients.trouble is not None or with_gradients.endless:
        return outcome, failure(with_gradients)
    for name, right in prepared.gradients.items():
        mine = with_gradients.gradients[name]
        if right is None or (mine is None and not right.any()):
            continue
        found = None if mine is None else difference(mine, right, exercise)
        if mine is None or found is not None:
            return outcome, failure(with_gradients, found, name)
    return outcome, None
