'''Exercises that check themselves.

In a notebook an exercise is four cells: the task, a stub, the check, and one with two comments:

    check("02.3", ex02_3_pool2d)   # ✅, or the smallest input that goes wrong
    # hint("02.3")                 # without the "#": one more hint each time
    # solution("02.3")             # the solution, explained

It stands behind the section that it belongs to; `guess(question, answer)` asks before a page tells.
The chapter ends with `progress_bar("02")`; `progress_map()` shows the whole course.
Others may use `judge` (a Result, nothing shown or recorded), `exercises_of(chapter)`,
`solve(notebook)` (the solved copy) and `book_boxes(id)` (hints, solution, explanation).

How to write one
----------------
A chapter has a content module, such as `pooling.py`, with its line in `registry.CHAPTERS`, a
`TITLE` (that of book.toml), and one declaration per exercise. The decorated function *is* the
solution; it is what `solution()`, the book and the solved notebook show, so it may use only what
the chapter's notebook has in scope. Its name gives its number, its signature is the stub's.

    def cases():                             # from small to large is not needed: they get sorted
        yield case(counting(4, 4), 2)        # the example of the text
        yield case(-counting(2, 2), 2, note="negative numbers")
        yield case(torch.rand(2, 3, 9, 6).double(), 3, note="a rest is left over")
        yield case(torch.zeros(1, 1, 2, 2), 0, expected=Raises(ValueError))

    @exercise(
        title="The smallest of each window",
        kind="warm-up",                      # warm-up, code, repair, predict or experiment
        minutes=2,
        cases=cases,
        reference=min_by_unfold,             # another way than the solution's
        misconceptions={"the largest is taken": F.max_pool2d},
        hints=["PyTorch can find maxima.", "What is the maximum of `-X`?"],
        explanation="The minimum of X is minus the maximum of -X.",
        gradient=True,
    )
    def ex02_1_min_pool2d(X, window):
        """Smallest number of each window: (N, C, H, W) -> (N, C, H // window, W // window)."""
        return -F.max_pool2d(-X, window)

- *repair*: `stub=` takes the broken function, which stands in the notebook's stub cell as it is.
- *predict*: the answer is what the function returns; a wrong one is not told the right one.
- *experiment*: what is measured must lie in a `Band`, which nobody is told, and must be what came
  out: a `witness` compares it with what a `Spy` saw the answer do. It, too, takes under a second.
- Answers get copies, run with a time limit, are compared in value, shape, dtype and, with
  `gradient=True`, in gradient. Whatever comes out, an answer may neither change an argument, its
  mode or its `requires_grad`, nor share its memory, nor seed the global generator, nor call what
  the text forbids (`forbids=`), unless the solution does so too.

In the notebook the task's cells are: Markdown, stub (`def ex02_1_…`), `check(…)`, and the two
commented lines, tagged `hint`. `tests/exercises/<topic>.py` holds two other right answers and
some wrong ones for each; `test_exercises.py` beside it makes more wrong ones by itself.
'''

from course_utils.exercises.checker.judge import Result
from course_utils.exercises.guess import guess
from course_utils.exercises.learner import check, hint, judge, solution
from course_utils.exercises.progress import progress_bar, progress_map
from course_utils.exercises.registry import exercises_of
from course_utils.exercises.solving import book_boxes, solve

__all__ = [
    "Result",
    "book_boxes",
    "check",
    "exercises_of",
    "guess",
    "hint",
    "judge",
    "progress_bar",
    "progress_map",
    "solution",
    "solve",
]
