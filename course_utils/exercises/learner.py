"""What a learner calls in a notebook: `check`, `hint`, `solution`."""

from course_utils.errors import ExerciseError
from course_utils.exercises.checker.judge import judge_answer
from course_utils.exercises.checker.show import as_html, as_text, display_both
from course_utils.exercises.progress import remember
from course_utils.exercises.registry import find
from course_utils.exercises.solving import solution_source
from course_utils.settings import strict_exercises

_hints_given = {}  # id -> how many, since the kernel started


def check(id, fn):
    """Try the function `fn` as an answer to exercise `id`, such as "02.3", and show what is found.

    Returns a Result; `.passed` says whether all is well. A wrong answer is shown, not raised, but
    where COURSE_EXERCISES=strict (tests of solutions): there it raises ExerciseError.
    """
    result = judge(id, fn)
    display_both(as_text(result), as_html(result))
    if result.passed:
        trouble = remember(id)
        if trouble:
            print(trouble)
    elif strict_exercises():
        raise ExerciseError(as_text(result))
    return result


def judge(id, fn):
    """The Result of function `fn` as an answer to exercise `id`; shows and records nothing."""
    return judge_answer(find(id), fn)


def hint(id):
    """Show one more hint for exercise `id`; all over again after the kernel was restarted."""
    hints = find(id).hints
    given = min(_hints_given.get(id, 0) + 1, len(hints))
    _hints_given[id] = given
    shown = [f"**Hint {n} of {len(hints)}.** {text}" for n, text in enumerate(hints[:given], 1)]
    if given == len(hints):
        shown.append(f'These are all. `solution("{id}")` shows a solution.')
    text = "\n\n".join(shown)
    display_both(text, text, "markdown")


def solution(id):
    """Show a solution of exercise `id`, and why it is right."""
    text = f"```python\n{solution_source(id)}```\n\n{find(id).explanation}"
    display_both(text, text, "markdown")
