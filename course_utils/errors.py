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
