"""Live progress of a run: bars in a terminal, plain lines elsewhere."""

import os
from contextlib import contextmanager

from rich.console import Console

from course_utils.commands.run.report import error_line, minutes


def make_console():
    """Where to print: as wide as the terminal; in a log, wide enough for the tables."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 110
    return console


@contextmanager
def show_progress(console, names, begin=lambda name: None):
    """Yields what `pool.run_jobs` reports to; `begin(name)` is called as a chapter starts."""
    if not console.is_terminal:
        yield _Lines(console, begin)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bars(progress, names, begin)


class _Lines:
    def __init__(self, console, begin):
        self.console, self.begin = console, begin

    def started(self, name):
        self.begin(name)
        self._say(f"{name}: started")

    def cell(self, name, done, total):
        pass  # a log needs no line per cell

    def ended(self, name, result):
        self._say(f"{name}: {_outcome(result)} after {minutes(result['seconds'])}")

    def _say(self, text):
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bars:
    def __init__(self, progress, names, begin):
        self.progress, self.begin = progress, begin
        self.tasks = {
            name: progress.add_task(name, start=False, total=None, note="waiting") for name in names
        }

    def started(self, name):
        self.begin(name)
        self.progress.start_task(self.tasks[name])
        self.progress.update(self.tasks[name], note="starting")

    def cell(self, name, done, total):
        note = f"cell {done + 1} of {total}"
        self.progress.update(self.tasks[name], completed=done, total=total, note=note)

    def ended(self, name, result):
        done, total = result["cells"]
        # short, for the bars share a line with it; the report says more
        note = f"failed, {result['error']['name']}" if result["error"] else "passed"
        self.progress.update(self.tasks[name], completed=done, total=total or 1, note=note)
        self.progress.stop_task(self.tasks[name])


def _outcome(result):
    return f"failed, {error_line(result['error'])}" if result["error"] else "passed"
