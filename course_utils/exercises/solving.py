"""From the one source of each solution: shown, put into the book, put into a notebook."""

import ast
import copy
import inspect

from course_utils.exercises.checker.declare import NAME
from course_utils.exercises.registry import CHAPTERS, exercises_of, find


def solution_source(id):
    """Source text of a solution, from its `def` on, ready to be run in its chapter."""
    source = inspect.getsource(find(id).solution)
    (function,) = ast.parse(source).body
    return "".join(source.splitlines(keepends=True)[function.lineno - 1 :])  # no decorator


def book_boxes(id):
    """(hints, solution, explanation) of an exercise: a list of Markdown, source code, Markdown."""
    exercise = find(id)
    return list(exercise.hints), solution_source(id), exercise.explanation


def solve(notebook):
    """A copy of a notebook in which each exercise's stub is replaced by its solution.

    notebook: as nbformat reads it. What else stands in a stub's cell stays, and so do the other
    cells: the commented `hint` and `solution`, be they in one cell or in two.
    """
    solved = copy.deepcopy(notebook)
    for cell in solved.cells:
        if cell.cell_type == "code":
            cell.source = _solved(cell.source)
    return solved


def exercise_names(source):
    """{function name: (first line, last line)} of the exercises' functions in a cell's source."""
    if "def ex" not in source:
        return {}
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {f.name: (f.lineno, f.end_lineno) for f in functions if NAME.fullmatch(f.name)}


def _solved(source):
    lines = source.splitlines()
    for name, (first, last) in reversed(exercise_names(source).items()):
        chapter = NAME.fullmatch(name)[1]
        ids = {e.name: e.id for e in exercises_of(chapter)} if chapter in CHAPTERS else {}
        if name in ids:
            lines[first - 1 : last] = solution_source(ids[name]).splitlines()
    return "\n".join(lines)
