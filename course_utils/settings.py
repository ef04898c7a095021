"""The environment variables that the course listens to, each in one place.

COURSE_DATA           folder with data sets, tried before the repository's `data/`
COURSE_OFFLINE        1: never try to download
COURSE_STANDIN        1: act as if no real data could be had
COURSE_FAST_DEV_RUN   1: three batches and one epoch everywhere, results are not judged
COURSE_EAGER          1: on a GPU, compute each step anew instead of replaying a recorded one
COURSE_REPORT         report.json of the batch run that a notebook is part of
COURSE_PROGRESS       live, bar or none; by default the place the code runs in decides
COURSE_PROGRESS_FILE  where solved exercises are remembered, or none; else the user's data folder
COURSE_EXERCISES      strict: an exercise that is not solved is an error (tests of solutions)
"""

import os
from pathlib import Path

from course_utils.errors import CourseError

REPOSITORY = Path(__file__).resolve().parent.parent
FAST_RUN_BATCHES = 3


def fast_dev_run():
    """True when only a few batches should run, to see that the code works."""
    return _is_set("COURSE_FAST_DEV_RUN")


def offline():
    """True when nothing may be downloaded."""
    return _is_set("COURSE_OFFLINE")


def standin_only():
    """True when the embedded data is to be used even if the real one is there."""
    return _is_set("COURSE_STANDIN")


def eager_only():
    """True when no training step is to be recorded as a CUDA graph."""
    return _is_set("COURSE_EAGER")


def download_dir():
    """Where downloads land: $COURSE_DATA, else the repository's `data/`."""
    folder = os.environ.get("COURSE_DATA")
    return Path(folder) if folder else REPOSITORY / "data"


def data_dirs(root=None):
    """Folders to look for data sets in, first match wins; only `root` when it is given."""
    if root is not None:
        return [Path(root)]
    return list(dict.fromkeys([download_dir(), REPOSITORY / "data"]))


def report_path():
    """The report of the batch run under way, else of the latest quick one (it may not exist)."""
    path = os.environ.get("COURSE_REPORT")
    return Path(path) if path else REPOSITORY / "build" / "run" / "quick" / "report.json"


def progress_file():
    """$COURSE_PROGRESS_FILE, else `progress.json` in the user's data folder for this course.

    None if that variable is "none": batch runs neither show nor change a learner's progress.
    """
    chosen = os.environ.get("COURSE_PROGRESS_FILE")
    if chosen:
        return None if chosen == "none" else Path(chosen)
    from platformdirs import user_data_path

    return user_data_path("classic-convnets", appauthor=False) / "progress.json"


def strict_exercises():
    """True when an exercise that is not solved is an error."""
    return os.environ.get("COURSE_EXERCISES") == "strict"


def require_asserts():
    """Raises CourseError where Python leaves out asserts: nothing could fail, so nothing passes."""
    if not __debug__:
        raise CourseError(
            "Python leaves out all asserts here (PYTHONOPTIMIZE, or -O), so nothing can be judged: "
            "unset PYTHONOPTIMIZE and start again"
        )


def in_notebook():
    """True in a Jupyter kernel (JupyterLab, VS Code, Colab, papermill), False in a terminal."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    kinds = type(get_ipython()).__mro__  # Colab's shell is derived from the kernel's
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in kinds)


def progress_mode():
    """How to show training: "live" plot, progress "bar", or "none" (only the final figure)."""
    mode = os.environ.get("COURSE_PROGRESS", "")
    if mode in ("live", "bar", "none"):
        return mode
    return "live" if in_notebook() else "bar"


def _is_set(name):
    return os.environ.get(name, "") not in ("", "0")
