"""Which exercises a learner has solved: one small JSON file on their disk.

    {"version": 1, "exercises": {"02.3": {"passed": "2026-03-01T10:20:30+00:00"}}}

Written under a lock and replaced whole, so that two notebooks open at once both keep what they
have, and a crash leaves the old file. What this version does not know is kept as it is.
"""

import contextlib
import html
import itertools
import json
import os
from datetime import UTC, datetime

from course_utils.exercises.checker.show import display_both
from course_utils.exercises.registry import CHAPTERS, exercises_of, module_of
from course_utils.files import remove_leftovers, write_whole
from course_utils.settings import progress_file

VERSION = 1
LOCK_SECONDS = 3


def solved(path=None):
    """The ids of the exercises that were passed at some time; none if the file is unreadable."""
    path = path or progress_file()
    try:
        return set() if path is None else set(_read(path)["exercises"])
    except OSError:
        return set()


def remember(id, path=None):
    """Note that exercise `id` was passed. Returns "", or a sentence if it could not be saved."""
    from filelock import FileLock

    path = path or progress_file()
    if path is None:
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_SECONDS):
            remove_leftovers(path)  # of a kernel that was killed as it wrote
            state = _read(path)
            if id not in state["exercises"]:
                state["exercises"][id] = {"passed": datetime.now(UTC).isoformat(timespec="seconds")}
                write_whole(path, json.dumps(state, indent=1))
    except (OSError, RecursionError) as error:
        return f"Your progress could not be saved ({type(error).__name__})."
    return ""


def _read(path):
    """The file's content; an empty one if there is none. A damaged file is put aside."""
    try:
        state = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        state = {}
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("exercises", {}), dict):
        _put_aside(path)
        state = {}
    return {"version": VERSION, **state, "exercises": dict(state.get("exercises", {}))}


def _put_aside(path):
    names = (f"{path.name}.bak{number or ''}" for number in itertools.count())
    kept = next(kept for kept in map(path.with_name, names) if not kept.exists())
    with contextlib.suppress(FileNotFoundError):  # another notebook was quicker
        os.replace(path, kept)
        print(f"Your progress file was damaged. It is kept as {kept.name}, and a new one begun.")


def progress_bar(chapter):
    """Show a small bar: how many exercises of chapter "02" are solved."""
    ((_, count, marked),) = _solved_in([chapter])
    total = len(marked)
    words = f"Chapter {chapter}: {count} of {total} exercises solved"
    bar = (
        f"<div style='margin:.3em 0'>{words}"
        f"<progress max='{total}' value='{count}' style='margin-left:.8em;width:12em'></progress>"
        "</div>"
    )
    display_both(f"{words}  {'■' * count}{'□' * (total - count)}", bar)


def progress_map():
    """Show all chapters with all their exercises, solved or not."""
    display_both(progress_text(), progress_html())


def progress_text():
    """The map as text, one line per chapter; `course progress` prints it."""
    lines = []
    for chapter, count, marked in _solved_in(CHAPTERS):
        words = f"{count} of {len(marked)}"
        marks = "".join("□■"[is_solved] for _, is_solved in marked)
        lines.append(f"{chapter}  {module_of(chapter).TITLE:24} {words:>8}  {marks}")
    return "\n".join(lines)


def progress_html():
    """The map as an HTML table; each square tells its exercise's title."""
    rows = []
    for chapter, count, marked in _solved_in(CHAPTERS):
        squares = ""
        for exercise, is_solved in marked:
            mark, colour = ("■", "#2e7d32") if is_solved else ("□", "inherit")
            words = html.escape(f"{exercise.id} {exercise.title}")
            squares += f'<span title="{words}" style="color:{colour}">{mark}</span>'
        rows.append(
            f"<tr><td>{chapter}</td><td>{html.escape(module_of(chapter).TITLE)}</td>"
            f"<td>{count} of {len(marked)}</td>"
            f"<td style='font-size:1.3em;letter-spacing:.1em'>{squares}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _solved_in(chapters):
    """(chapter, number of solved exercises, [(exercise, whether it is solved)]) of each."""
    done = solved()
    for chapter in chapters:
        marked = [(exercise, exercise.id in done) for exercise in exercises_of(chapter)]
        yield chapter, sum(is_solved for _, is_solved in marked), marked
