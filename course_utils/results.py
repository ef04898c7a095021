"""Results: judged and recorded by a chapter, published by others, reached by recorded runs."""

import csv
import inspect
import json
import statistics
import tomllib

from course_utils import settings
from course_utils.errors import CourseError, ExpectationError
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


def published_and_reproduced(report=None, results=None):
    """One dict per chapter of book.toml that has a published accuracy.

    report: report.json of a batch run; None: of the one under way, else of the latest quick one.
    results: file of recorded full runs; None: chapters/results.toml.
    Keys: chapter (title), published (low, high), full (list of test accuracies, one per seed),
    full_mean (None if not run), device, date, verdict ("reached", "below" or "not run"), and of
    the batch run: quick (test accuracy or None) and source (of its data).
    Raises CourseError if a file cannot be read.
    """
    chapters = _read(settings.REPOSITORY / "book.toml", lambda text: tomllib.loads(text)["chapter"])
    full = _read(results or settings.REPOSITORY / "chapters" / "results.toml", _full_runs)
    recorded = report or settings.report_path()
    batch = _read(recorded, _batch_records) if report or recorded.is_file() else {}
    rows = []
    for chapter in chapters:
        if "published" not in chapter:
            continue
        name = chapter["file"].removesuffix(".ipynb")
        low, high = chapter["published"]["test_acc"]
        run, quick = full.get(name, {}), batch.get(name, {})
        mean = run.get("mean")
        rows.append(
            {
                "chapter": chapter["title"],
                "published": (low, high),
                "full": run.get("test_acc", []),
                "full_mean": mean,
                "device": run.get("device", ""),
                "date": str(run.get("date", "")),
                "verdict": "not run" if mean is None else "reached" if mean >= low else "below",
                "quick": quick.get("test_acc"),
                "source": quick.get("source", ""),
            }
        )
    return rows


def settings_tried(path=None):
    """The runs from which the quick profiles were chosen, one dict each, as measured.

    path: the table; None: chapters/tuning.csv. Keys: chapter (name), image_size (pixels),
    batch_size, examples (seen in training, repeats counted), lr (peak), beta2 (of AdamW), flip
    (mirrored at random, bool), accuracy (fraction of 10,000 training images that were held out)
    and cpu_seconds (of training, one thread).
    Raises CourseError if the file cannot be read.
    """
    path = path or settings.REPOSITORY / "chapters" / "tuning.csv"
    kinds = {"chapter": str, "lr": float, "beta2": float, "accuracy": float}
    return _read(
        path,
        lambda text: [
            {
                name: value == "yes" if name == "flip" else kinds.get(name, int)(value)
                for name, value in row.items()
            }
            for row in csv.DictReader(text.splitlines())
        ],
    )


def _full_runs(text):
    """Chapter name -> its run in results.toml, with the mean of its accuracies if it has any."""
    runs = tomllib.loads(text).get("run", [])
    means = [statistics.fmean(run["test_acc"]) if run.get("test_acc") else None for run in runs]
    return {run["chapter"]: run | {"mean": mean} for run, mean in zip(runs, means, strict=True)}


def _batch_records(text):
    """Chapter name -> its records in a report.json."""
    return {entry["name"]: dict(entry["records"]) for entry in json.loads(text)["chapters"]}


def _read(path, parse):
    """What `parse` makes of a file's text; whatever else is in the file is a CourseError."""
    path = settings.absolute(path)
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CourseError(f"{path.name} cannot be read: {error!r}") from error
