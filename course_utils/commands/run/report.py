"""What a run did: collected, judged against the published bands, written and shown."""

import datetime
import json
import math
from pathlib import Path

from course_utils.commands.notebooks import plain
from course_utils.errors import RunError
from course_utils.files import write_whole
from course_utils.settings import fast_dev_run

REPORT_NAME = "report.json"
_SCHEMA = Path(__file__).with_name("report.schema.json")  # of what is read from an earlier one
REAL_DATA = "Fashion-MNIST"  # only results on it can be held against published ones
_STYLES = dict.fromkeys(("passed", "reached", "above"), "green") | {
    "failed": "bold red",
    "below": "bold red",
    "interrupted": "yellow",
    "not run": "dim",
}
# what makes a result: a chapter that is kept keeps these
RESULT = ("seconds", "cells", "records", "parameters", "fingerprint", "output_sha256")


class Report:
    """The state of one run, saved after every chapter so that a broken run leaves it behind.

    chapters: the manifest's chapters of this run, in order. out: the folder of the report.
    """

    def __init__(self, chapters, profile, out, machine):
        self.out = Path(out)
        self.fast = fast_dev_run()
        self.data = {
            "profile": profile,
            "fast_dev_run": self.fast,
            "started": _now(),
            "finished": None,
            "interrupted": False,
            **machine,
            "chapters": [_entry(chapter) for chapter in chapters],
        }

    def __getitem__(self, name):
        """The entry of one chapter."""
        return next(entry for entry in self.data["chapters"] if entry["name"] == name)

    def entries(self):
        return self.data["chapters"]

    def begin(self, name):
        self[name]["status"] = "running"
        self.save()

    def add(self, name, result):
        """Enter what `pool.run_jobs` yielded for a chapter, then save."""
        entry = self[name]
        entry.update(result, records=_json_records(result["records"]))
        entry["status"] = "failed" if result["error"] else "passed"
        entry["verdict"] = self._verdict(entry)
        self.save()

    def keep(self, name, earlier):
        """Enter the results of a chapter that an earlier run passed; its own time stays."""
        entry = self[name]
        entry.update({key: earlier[key] for key in RESULT}, status="passed", resumed=True)
        entry["verdict"] = self._verdict(entry)

    def finish(self, interrupted=False):
        """Close the report: chapters that were under way become "interrupted"."""
        self.data.update(finished=_now(), interrupted=interrupted)
        for entry in self.entries():
            if entry["status"] == "running":
                entry["status"] = "interrupted"
        self.save()

    def failed(self):
        return [entry for entry in self.entries() if entry["status"] == "failed"]

    def _verdict(self, entry):
        band, value = entry["band"], accuracy(entry)
        real = entry["records"].get("source") == REAL_DATA
        if entry["status"] != "passed":
            return "not run"
        if band is None or value is None or not real or self.fast:
            return "–"
        if self.data["profile"] != "full":
            return "–"  # the band holds for the published settings only
        low, high = band
        return "below" if value < low else "above" if value > high else "reached"

    def save(self):
        write_whole(self.out / REPORT_NAME, json.dumps(self.data, indent=2) + "\n")


def _entry(chapter):
    return {
        "name": chapter.name,
        "title": chapter.title,
        "status": "not run",
        "seconds": None,
        "cells": [0, 0],
        "records": {},
        "band": (chapter.published or {}).get("test_acc"),
        "band_source": chapter.published_source,
        "verdict": "not run",
        "error": None,
        "parameters": {},
        "resumed": False,
        "fingerprint": None,
        "output_sha256": None,
    }


def _json_records(records):
    """JSON has no NaN and no infinity: they become words."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in records.items()
    }


def read_report(out):
    """The data of an earlier report in `out`; None if there is none.

    Raises RunError if the file is not a report.
    """
    from jsonschema import Draft202012Validator, ValidationError

    path, schema = Path(out) / REPORT_NAME, json.loads(_SCHEMA.read_text("utf-8"))
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        Draft202012Validator(schema).validate(data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, ValidationError):
        raise RunError(f"{path} is damaged") from None
    return data


def _refuse(constant):
    raise ValueError(constant)  # NaN and infinity, which we never write


def error_line(error):
    """ "code cell 7, `train(net)`: ValueError: lr is negative", one line."""
    place = f"code cell {error['cell']}, `{error['code']}`: " if error["cell"] else ""
    message = (plain(error["message"]).splitlines() or [""])[0]
    line = plain(f"{place}{error['name']}: {message}")
    return " ".join(line.split("\n")).removesuffix(": ")


def minutes(seconds):
    """12.3 -> "12.3 s", 83 -> "1 min 23 s", None -> "–"."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def accuracy(entry):
    """The recorded test accuracy, None if there is none."""
    value = entry["records"].get("test_acc")
    return float(value) if isinstance(value, int | float) else None


def rows(entries):
    """Cells of the table, the same on the terminal and in HTML:
    (name, status, time, source of data, test accuracy, band, verdict)."""
    for entry in entries:
        records = entry["records"]
        yield (
            entry["name"],
            entry["status"] + (" (earlier)" if entry["resumed"] else ""),
            minutes(entry["seconds"]),
            plain(str(records.get("source", "–"))),
            "–" if accuracy(entry) is None else f"{accuracy(entry):.3f}",
            "–".join(f"{edge:.3f}" for edge in entry["band"] or ()) or "–",
            entry["verdict"],
        )


COLUMNS = ("chapter", "status", "time", "data", "test acc", "published", "verdict")


def notes(data):
    """Sentences without which the table could be misread."""
    entries = data["chapters"]
    if data["fast_dev_run"]:
        yield "A fast dev run: a few batches each, so these accuracies mean nothing."
    if any("stand-in" in str(entry["records"].get("source")) for entry in entries):
        yield (
            "Some results are on the drawn stand-in, not on Fashion-MNIST itself. "
            "Get the real data: course data --get fashion-mnist"
        )
    if data["profile"] != "full" and any(entry["band"] for entry in entries):
        yield "Published bands hold for the full profile: course run --profile full"


def print_report(report, console):
    """The table, what to know about it, then one line per failure."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{report.data['profile']} profile", title_justify="left", box=box.SIMPLE)
    for column in COLUMNS:
        table.add_column(
            column,
            justify="right" if column in ("time", "test acc") else "left",
            no_wrap=column != "data",  # in a narrow window the long names of data sets fold
        )
    for entry, row in zip(report.entries(), rows(report.entries()), strict=True):
        styles = {1: _STYLES.get(entry["status"], ""), 6: _STYLES.get(entry["verdict"], "")}
        table.add_row(*(Text(text, styles.get(i, "")) for i, text in enumerate(row)))
    console.print(table)
    for note in notes(report.data):
        console.print(note, highlight=False, soft_wrap=True)
    for entry in report.failed():
        line = f"{entry['name']}: {error_line(entry['error'])}"
        console.print(line, markup=False, highlight=False, style="red", soft_wrap=True)


def _now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
