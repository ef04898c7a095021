"""How a chapter states its results: judged, recorded for the report, shown with their source."""

import inspect

from course_utils.errors import ExpectationError
from course_utils.settings import fast_dev_run

RECORD_MIME = "application/vnd.course-record+json"


def expect(name, value, low=None, high=None):
    """Judge a *result* of training: is `value` within [low, high]?

    name: what was measured, such as "test accuracy".
    value: a number; low, high: bounds, either may be None.
    Prints the verdict. In a fast dev run nothing is judged, since nothing was trained.
    Raises ExpectationError if the value is outside. For facts that must always hold, use `assert`.
    """
    if fast_dev_run():
        print(f"{name}: not checked in a fast run")
        return
    value = float(value)
    bounds = {"at least": low, "at most": high}
    wanted = " and ".join(f"{word} {b:g}" for word, b in bounds.items() if b is not None)
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise ExpectationError(
            f"{name} is {value:.3f}, expected {wanted}. "
            "Restart the kernel, choose Run All, and compare the data source and the parameters."
        )
    print(f"✅ {name} {value:.3f} (expected {wanted})")


def record(**values):
    """Show results in one line and carry them in the cell's output, where `course run` reads them.

    values: numbers or strings. The report knows `test_acc` (fraction), `source` (of the data)
    and `device`; any other name is kept as it is.
    """
    from IPython.display import display

    plain = {name: _plain(value) for name, value in values.items()}
    shown = ", ".join(f"{name} {_short(value)}" for name, value in plain.items())
    display({RECORD_MIME: plain, "text/plain": f"recorded: {shown}"}, raw=True)


def show_source(obj):
    """Show the source code of a function or class, highlighted, where it is talked about."""
    from IPython.display import Code, display

    display(Code(inspect.getsource(obj), language="python"))


def _plain(value):
    """A value that JSON can hold: tensors and numpy numbers become Python ones."""
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _short(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)
