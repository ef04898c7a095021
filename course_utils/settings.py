"""The environment variables that the course listens to, each in one place.

COURSE_DATA           folder with data sets, tried before the repository's `data/`
COURSE_OFFLINE        yes: never try to download
COURSE_STANDIN        yes: act as if no real data could be had
COURSE_FAST_DEV_RUN   yes: three batches and one epoch everywhere, results are not judged
COURSE_EAGER          yes: on a GPU, compute each step anew instead of replaying a recorded one
COURSE_REPORT         report.json of the batch run that a notebook is part of
COURSE_PROGRESS       live, bar, none or off; by default the place the code runs in decides
COURSE_PROGRESS_FILE  where solved exercises are remembered, or none; else the user's data folder
COURSE_EXERCISES      strict: an exercise that is not solved is an error (tests of solutions)

1, true, yes and on mean yes; 0, false, no, off and an empty value mean no; anything else is an
error. A relative path counts from where the command was started, or, without a command, from where
the notebook stands; ~ is the user's home.
"""

import os
from difflib import get_close_matches
from pathlib import Path

from course_utils.errors import CourseError

FAST_RUN_BATCHES = 3
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
_SWITCHES = ("COURSE_OFFLINE", "COURSE_STANDIN", "COURSE_FAST_DEV_RUN", "COURSE_EAGER")
_PATHS = ("COURSE_DATA", "COURSE_REPORT", "COURSE_PROGRESS_FILE")
_CHOICES = {
    "COURSE_PROGRESS": ("live", "bar", "none", "off"),
    "COURSE_EXERCISES": ("strict",),
}


def _repository():
    """The checkout: around this package, or, for an installed one, at or above the working folder;
    where there is neither, the working folder."""
    around = Path(__file__).resolve().parent.parent
    if (around / "book.toml").is_file():
        return around
    here = Path.cwd()
    return next((f for f in (here, *here.parents) if (f / "book.toml").is_file()), here)


REPOSITORY = _repository()


def absolute(path):
    """A path that a user gave, as a Path that means the same in every working folder."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def settle():
    """Check all variables and make the paths in them absolute, for every process started from here.

    A command does this first, since the kernels that it starts stand in another folder.
    Raises CourseError for a value, or the likely misspelling of a name, that would be overlooked.
    """
    for name in _SWITCHES:
        _is_set(name)
    for name in _CHOICES:
        _choice(name)
    for name in _PATHS:
        if path := _path(name):
            os.environ[name] = str(path)
    known = {name[7:].replace("_", ""): name for name in (*_SWITCHES, *_PATHS, *_CHOICES)}
    for name in os.environ.keys() - known.values():
        word = name[7:].replace("_", "") if name.startswith("COURSE_") else ""
        if close := get_close_matches(word, known, n=1, cutoff=0.85):
            raise CourseError(f"unknown variable {name}: did you mean {known[close[0]]}?")


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
    return _path("COURSE_DATA") or REPOSITORY / "data"


def data_dirs(root=None):
    """Folders to look for data sets in, first match wins; only `root` when it is given."""
    if root is not None:
        return [absolute(root)]
    return list(dict.fromkeys([download_dir(), REPOSITORY / "data"]))


def report_path():
    """The report of the batch run under way, else of the latest quick one (it may not exist)."""
    return _path("COURSE_REPORT") or REPOSITORY / "build" / "run" / "quick" / "report.json"


def progress_file():
    """$COURSE_PROGRESS_FILE, else `progress.json` in the user's data folder for this course.

    None if that variable is "none": batch runs neither show nor change a learner's progress.
    """
    if os.environ.get("COURSE_PROGRESS_FILE"):
        return _path("COURSE_PROGRESS_FILE")
    from platformdirs import user_data_path

    return user_data_path("classic-convnets", appauthor=False) / "progress.json"


def strict_exercises():
    """True when an exercise that is not solved is an error."""
    return _choice("COURSE_EXERCISES") == "strict"


def in_notebook():
    """True in a Jupyter kernel (JupyterLab, VS Code, Colab, papermill), False in a terminal."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    kinds = type(get_ipython()).__mro__  # Colab's shell is derived from the kernel's
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in kinds)


def progress_mode(chosen=None):
    """How to show training: "live" plot, progress "bar", "none" (only the final figure) or "off".

    chosen: by an argument; None: by $COURSE_PROGRESS, else by the place the code runs in.
    Raises CourseError for anything else.
    """
    if chosen is not None:
        return _one_of("COURSE_PROGRESS", "progress", chosen)
    return _choice("COURSE_PROGRESS") or ("live" if in_notebook() else "bar")


def _is_set(name):
    value = os.environ.get(name, "").strip().lower()
    if value not in _YES + _NO:
        raise CourseError(f"{name} is {os.environ[name]!r}: use 1 (yes) or 0 (no), or unset it")
    return value in _YES


def _choice(name):
    """The variable's value, one of its choices; None if it is not set."""
    value = os.environ.get(name)
    return _one_of(name, name, value) if value else None


def _one_of(variable, name, value):
    choices = _CHOICES[variable]
    if value not in choices:
        raise CourseError(f"{name} is {value!r}; known: {', '.join(choices)}")
    return value


def _path(name):
    """The variable's value as an absolute path; None if it is not set."""
    value = os.environ.get(name)
    none = name == "COURSE_PROGRESS_FILE" and value == "none"
    return absolute(value) if value and not none else None
