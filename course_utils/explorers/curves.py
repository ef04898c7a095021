"""`explore_history`: the curves of one training run, or of several, to read off and to zoom."""

from math import isfinite
from statistics import fmean

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer
from course_utils.training import History

MOST_POINTS = 1000  # of a loss curve: more than a screen has


def explore_history(runs, title=None):
    """Training curves with the values at any place, and a zoom for all of them; an `Explorer`.

    runs: a `History`, or a dict of them by name. title: name of a single run.
    A long loss curve is thinned to the means of neighbouring steps.
    Raises CourseError if nothing was recorded.
    """
    if isinstance(runs, History):
        runs = {title or runs.source or "run": runs}
    runs = {str(name): run for name, run in runs.items()}
    empty = [name for name, run in runs.items() if not run.step_loss]
    if empty or not runs:
        raise CourseError(f"no step was recorded in {', '.join(empty) or 'no run'}: train first")
    state = {"runs": [_curves(name, run) for name, run in runs.items()]}
    text = "\n".join(_line(name, run) for name, run in runs.items())
    return Explorer("course-curves", state, f"training curves of {', '.join(runs)}", text)


def _curves(name, run):
    """What the browser needs: losses by `every` steps, accuracies by epoch."""
    every = -(-len(run.step_loss) // MOST_POINTS)
    steps = range(0, len(run.step_loss), every)
    return {
        "name": name,
        "loss": [_four_digits(fmean(run.step_loss[i : i + every])) for i in steps],
        "every": every,
        "steps": len(run.step_loss),
        "per_epoch": _steps_per_epoch(run),
        "train": [_four_digits(value) for value in run.train_acc],
        "test": [_four_digits(value) for value in run.test_acc],
    }


def _steps_per_epoch(run):
    """Steps of one whole epoch. Of a run that was stopped within one, they are found by the mean
    loss of the first epoch, which was recorded."""
    epochs, steps = len(run.loss), len(run.step_loss)
    if not epochs:
        return steps
    if not run.interrupted:
        return steps / epochs
    possible = range(steps // (epochs + 1) + 1, steps // epochs + 1)
    return min(possible, key=lambda n: abs(fmean(run.step_loss[:n]) - run.loss[0]))


def _four_digits(value):
    """Four digits of a number; None, which JSON knows, for one that is not finite."""
    return float(f"{value:.4g}") if isfinite(value) else None


def _line(name, run):
    parts = [f"{len(run.step_loss)} steps", f"last loss {run.step_loss[-1]:.3f}"]
    parts += [f"train acc {run.train_acc[-1]:.3f}"] if run.train_acc else []
    parts += [f"test acc {run.test_acc[-1]:.3f}"] if run.test_acc else []
    return f"{name}: {', '.join(parts)}"
