"""What an exercise is, and how one is declared: the `exercise` decorator and `case`.

The package's docstring shows a complete declaration.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

KINDS = ("warm-up", "code", "repair", "predict", "experiment")
NAME = re.compile(r"ex(\d\d)_(\d+)_\w+")  # ex02_3_pool2d is exercise 02.3
FROM_REFERENCE = object()


@dataclass(frozen=True)
class Band:
    """An expected number of an experiment: anything in [low, high]."""

    low: float
    high: float

    def __repr__(self):
        return f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Raises:
    """Expected where an argument is wrong: an exception of this type."""

    error: type[Exception]


@dataclass(frozen=True)
class Case:
    """One call of the learner's function. Made by `case`."""

    args: tuple
    kwargs: dict
    expected: object
    note: str


def case(*args, expected=FROM_REFERENCE, note="", **kwargs):
    """One call to try: `case(X, 2, stride=1)`.

    expected: what must come out, if not what the exercise's reference returns; may hold `Band`
    and `Raises`. note: what is special about this case, shown when it fails.
    """
    return Case(args, kwargs, expected, note)


@dataclass(frozen=True, eq=False)
class Exercise:
    """An exercise, all of it. Declared by the decorator `exercise`, which explains the fields."""

    id: str
    name: str
    solution: Callable
    title: str
    kind: str
    minutes: int
    cases: Callable
    hints: Sequence[str]
    explanation: str
    reference: Callable | None = None
    stub: Callable | None = None
    misconceptions: Mapping[str, Callable] = field(default_factory=dict)
    view: Callable | None = None
    witness: Callable | None = None
    forbids: str = ""
    loop_free: str = ""
    shares: Sequence[str] = ()
    changes: Sequence[str] = ()
    gradient: bool = False
    dtype: str = "same"
    python_number: bool = False
    rtol: float | None = None
    atol: float | None = None
    seconds: float = 5.0

    @property
    def chapter(self):
        """Number of its chapter, such as "02"."""
        return self.id[:2]

    @property
    def number(self):
        """Its number within the chapter."""
        return int(self.id[3:])

    @property
    def reveals(self):
        """Whether a wrong answer is shown the right one: not where it is to be found out."""
        return self.kind not in ("predict", "experiment")


REGISTERED = {}  # id -> Exercise, filled as content modules are imported


def exercise(**about):
    """Declare the decorated function as the *solution* of the exercise that its name gives.

    `def ex02_3_pool2d(…)` is exercise 02.3, and `ex02_3_pool2d` is what the learner has to write.

    title: a few words. kind: one of KINDS. minutes: how long it takes a learner.
    cases: function without arguments that yields `case(…)`; it runs with a fixed random seed.
    reference: independent of the solution, called with a case's arguments; not needed if every
        case says what is expected.
    hints: two or more pieces of Markdown, from a nudge to nearly all. explanation: Markdown, shown
        below the solution.
    stub: the broken function of a repair, exactly as it stands in the notebook but for its name;
        None: a body of `...`.
    misconceptions: {"what it looks like": wrong function}; a wrong answer that equals what one of
        them returns gets these words.
    view: applied to results before they are compared, for results such as networks; may return
        a dict, whose keys are then named.
    witness: judges what an answer *did*. Called with its Outcome, whose `spy` saw every call of
        PyTorch, and with a function that calls the answer again and gives another Outcome; returns
        a sentence about what was done wrong, or "". Every experiment has one.
    forbids: a regular expression for names of PyTorch's functions that the text forbids;
        or the name of one function of the chapter.
    loop_free: name of the argument over whose entries no Python loop may go.
    shares: names of arguments with which a result may share memory though the solution's does not.
    changes: names of arguments that are to be changed in place, such as a network that is trained;
        what became of them is compared like the result.
    gradient: also compare gradients with respect to the floating-point tensors.
    dtype: of tensors, "same" as the reference's, or "kind" (any floats for floats).
    python_number: a number must be Python's own, not a tensor.
    rtol, atol: tolerances; by default what suits the dtype.
    seconds: limit for one case.
    """

    def declare(solution):
        match = NAME.fullmatch(solution.__name__)
        if match is None:
            raise ValueError(f"an exercise is named as ex02_3_topic, not {solution.__name__}")
        id = f"{match[1]}.{int(match[2])}"
        new = Exercise(id=id, name=solution.__name__, solution=solution, **about)
        if new.kind not in KINDS:
            raise ValueError(f"{id}: kind must be one of {', '.join(KINDS)}, got {new.kind!r}")
        if len(new.hints) < 2 or not new.explanation:
            raise ValueError(f"{id}: needs two hints or more, and an explanation")
        if new.kind == "experiment" and new.witness is None:
            raise ValueError(f"{id}: an experiment needs a witness of what was done")
        if (new.kind == "repair") != (new.stub is not None):
            raise ValueError(f"{id}: a repair, and only a repair, has a broken stub")
        REGISTERED[id] = new
        return solution

    return declare
