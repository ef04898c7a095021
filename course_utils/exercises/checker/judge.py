"""Judge a learner's function: try the cases from small to large, stop at the first that fails."""

from dataclasses import dataclass

from course_utils.exercises.checker.declare import Exercise
from course_utils.exercises.checker.diagnose import diagnose
from course_utils.exercises.checker.stubs import is_untouched
from course_utils.exercises.checker.trial import Failure, prepared_cases, try_case
from course_utils.settings import require_asserts


@dataclass(frozen=True)
class Result:
    """What `check` found. `status`: "passed", "wrong" or "not attempted"; `passed`: bool.

    failure: the smallest case that failed. diagnosis: what kind of mistake it looks like.
    """

    exercise: Exercise
    status: str
    failure: Failure | None = None
    diagnosis: str = ""

    @property
    def passed(self):
        return self.status == "passed"

    def __repr__(self):
        return f"<exercise {self.exercise.id}: {self.status}>"

    def _ipython_display_(self):
        """Nothing: as the last line of a cell, `check` has already shown what there is to see."""


def judge_answer(exercise, fn, seed=0):
    """The Result of function `fn` as an answer to an Exercise; shows and records nothing.

    seed: of the cases' random numbers. With another one they are fresh.
    """
    require_asserts()  # answers may use them
    if fn is None or is_untouched(fn, exercise.stub):
        return Result(exercise, "not attempted")
    for prepared in prepared_cases(exercise, seed):
        _, failure = try_case(exercise, fn, prepared)
        if failure is not None:
            return Result(exercise, "wrong", failure, diagnose(failure))
    return Result(exercise, "passed")
