"""Which exercises there are, by chapter. A content module is imported when first asked for."""

from importlib import import_module

from course_utils.errors import ExerciseError
from course_utils.exercises.checker.declare import REGISTERED

# A new chapter's exercises get their line here, the only place that lists them.
CHAPTERS = {
    "01": "convolution",
    "02": "pooling",
    "03": "lenet",
    "04": "lenet5_lab",
    "05": "alexnet",
    "06": "vgg",
    "07": "googlenet",
    "08": "resnet",
    "09": "comparison",
    "10": "scaling",
}


def module_of(chapter):
    """The content module of chapter "02". Raises ExerciseError for an unknown chapter."""
    if chapter not in CHAPTERS:
        known = ", ".join(CHAPTERS)
        raise ExerciseError(f"chapter {chapter!r} has no exercises; there are {known}")
    return import_module(f"course_utils.exercises.chapters.{CHAPTERS[chapter]}")


def exercises_of(chapter):
    """The exercises of chapter "02", in order."""
    module_of(chapter)
    mine = (exercise for exercise in REGISTERED.values() if exercise.chapter == chapter)
    return sorted(mine, key=lambda exercise: exercise.number)


def all_exercises():
    """Every exercise of the course, in order."""
    return [exercise for chapter in CHAPTERS for exercise in exercises_of(chapter)]


def find(id):
    """The exercise "02.3". Raises ExerciseError if there is none, and says which there are."""
    if not isinstance(id, str) or "." not in id:
        raise ExerciseError(f'an exercise is named by a string such as "02.3", not {id!r}')
    chapter = id.partition(".")[0]
    mine = {exercise.id: exercise for exercise in exercises_of(chapter)}
    if id not in mine:
        raise ExerciseError(f"there is no exercise {id!r}; chapter {chapter} has {', '.join(mine)}")
    return mine[id]
