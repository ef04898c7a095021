"""Live progress of a run: bars in a terminal, plain lines elsewhere."""

import os
from contextlib import contextmanager

from rich.console import Console

from course_utils.commands.run.report import error_line, minutes


class _Console(Console):
    def on_broken_pipe(self):
        raise BrokenPipeError  # the command's own end: rich would end the process here


def make_console():
    """Where to print: as wide as the terminal; in a log, wide enough for the tables."""
    console = _Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 110
    return console


@contextmanager
def show_progress(console, names, begin=lambda name: None):
    """Yields what `pool.run_jobs` reports to; `begin(name)` is called as a chapter starts."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    description, note = TextColumn("{task.description}"), TextColumn("{task.fields[note]}")
    columns = (description, BarColumn(), note, TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield _Progress(bars, names, begin)


class _Progress:
    def __init__(self, bars, names, begin):
        self.bars, self.begin = bars, begin
        self.tasks = {
            name: bars.add_task(name, start=False, total=None, note="waiting") for name in names
        }

    def started(self, name):
        self.begin(name)
        self.bars.start_task(self.tasks[name])
        self.bars.update(self.tasks[name], note="starting")
        self._log(f"{name}: started")

    def cell(self, name, done, total):
        note = f"cell {done + 1} of {total}"  # a log needs no line per cell
        self.bars.update(self.tasks[name], completed=done, total=total, note=note)

    def ended(self, name, result):
        (done, total), error = result["cells"], result["error"]
        # short, for the bars share a line with it; the report says more
        note = f"failed, {error['name']}" if error else "passed"
        self.bars.update(self.tasks[name], completed=done, total=total or 1, note=note)
        self.bars.stop_task(self.tasks[name])
        said = f"failed, {error_line(error)}" if error else "passed"
        self._log(f"{name}: {said} after {minutes(result['seconds'])}")

    def _log(self, text):
        if self.bars.disable:
            self.bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
