"""Errors a user can cause. Each message says what was wrong, where, and what to do."""


class CourseError(Exception):
    """Base of them all; the `course` command prints it without a traceback and exits with 2."""


class DataError(CourseError, ValueError):
    """A data file or a loader's argument is wrong."""


class TrainingError(CourseError, ValueError):
    """A trainer's argument is wrong, or training went numerically astray."""


class WeightsError(CourseError, ValueError):
    """Pretrained weights do not fit the network, or cannot be had."""


class ExpectationError(CourseError, AssertionError):
    """A chapter's result is outside the range that its text claims."""


class ManifestError(CourseError):
    """book.toml is wrong; the message names the key."""


class SaveError(CourseError):
    """A `#@save` cell cannot be exported."""


class RunError(CourseError):
    """A batch run cannot start."""


class BookError(CourseError):
    """The book cannot be built."""


class ExerciseError(CourseError, AssertionError):
    """An exercise is named wrongly, or, where solutions are tested, not passed."""


def whole_number(name, value, least, error):
    """`value` as Python's int; 2.0 and the integers of NumPy and torch will do.

    least: the smallest that is allowed; None: any. Raises `error`, naming the argument, else.
    """
    try:
        number = None if isinstance(value, bool | str) else int(value)
        if number == value and (least is None or number >= least):
            return number
    except (TypeError, ValueError, OverflowError):  # None, nan, inf
        pass
    bound = "" if least is None else f" of at least {least}"
    raise error(f"{name} must be a whole number{bound}, got {value!r}")
