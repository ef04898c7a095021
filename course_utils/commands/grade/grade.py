"""`course grade`: run otter on a folder of returned notebooks, and write what came of it.

Each notebook runs whole, in processes of its own, with limits on time and memory and without this
process's environment variables. These limits stop accidents; they are no wall against an attack:
SECURITY.md says what they cannot stop, and how to put a wall around them.
"""

import collections
import csv
import hashlib
import io
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

from course_utils.commands.grade.export import fresh_seed, require_otter, write_autograder
from course_utils.commands.grade.returned import (
    chapters_in,
    find_students,
    read_points,
    read_roster,
    sources,
)
from course_utils.commands.notebooks import plain
from course_utils.commands.run.folder import prepare_folder
from course_utils.commands.run.pool import cpu_count, python_path
from course_utils.commands.run.progress import make_console
from course_utils.commands.run.report_page import html_page
from course_utils.errors import RunError
from course_utils.files import write_whole

STATUSES = ("passed", "failed", "error", "not attempted")
_KEPT = ("PATH", "LANG", "LC_ALL", "COURSE_DATA", "LD_LIBRARY_PATH", "SYSTEMROOT")
_START = 180  # seconds; on a busy machine torch loads slowly
_END = 5  # seconds that a runner has to end what it started


@dataclass(frozen=True)
class Grade:
    """note: a few words for the instructor. text: the feedback, and code the answer, for the
    student. score, of: points."""

    status: str  # one of STATUSES: "failed" was judged, "error" could not be
    note: str = ""
    text: str = ""
    code: str = ""
    score: float = 0
    of: float = 1


def grade_folder(
    folder, *, chapters=None, roster=None, points=None, seconds=20, memory=2048, out=None, jobs=None
):
    """Grade every student in `folder`; writes grades.csv, results.json, feedback/<student>.html.

    chapters: "02,05"; None: those that more than half of the notebooks have exercises of.
    roster, points: CSV files. seconds: that one cell or exercise may take. memory: MB, on top of
    what torch needs by itself. out: where to write; default `folder` + "-grades". jobs: notebooks
    at a time; default: cores. Returns 0. Raises RunError if there is nothing to grade, a file of
    the instructor's is wrong or `out` cannot be written.
    """
    require_otter("course grade")
    if not hasattr(os, "fork"):
        raise RunError("course grade needs Linux or macOS; on Windows use WSL or a container")
    folder, console = Path(os.path.realpath(folder)), make_console()

    def tell(text):
        console.print(" ".join(text.split()), markup=False, highlight=False, soft_wrap=True)

    with tempfile.TemporaryDirectory(prefix="course-grade-") as scratch:
        people = read_roster(roster) if roster else None
        (Path(scratch) / "zips").mkdir()
        students, notes = find_students(folder, Path(scratch) / "zips", people)
        ids = exercises_of_all(students, chapters)
        worth = read_points(points, ids)
        out = prepare_folder(Path(out) if out else folder.with_name(f"{folder.stem}-grades"))
        pages = prepare_folder(out / "feedback")
        for note in notes:
            tell(note)
        seed = fresh_seed(ids)
        autograder = write_autograder(Path(scratch) / "autograder.zip", worth, seed)
        runners, done = Runners(ids, seed, autograder, seconds, memory), []
        pool = ThreadPoolExecutor(jobs or min(cpu_count(), len(students)))
        try:
            for student in pool.map(lambda one: grade(one, worth, runners), students):
                write_whole(pages / page_name(student.name), feedback(student))
                done.append(student)
                tell(line_of(student))
            write_results(out, done, worth, seed)
        except OSError as error:
            raise RunError(
                f"{out} cannot be written ({error.strerror or error}); a table that was there is "
                "as it was"
            ) from None
        finally:  # also after Ctrl-C: what is done is written, what runs is stopped
            pool.shutdown(wait=False, cancel_futures=True)
            runners.stop()
            if len(done) < len(students):
                with suppress(OSError):
                    write_whole(out / "grades-unfinished.csv", table(done, worth))
    tell(str(out / "grades.csv"))
    return 0


def exercises_of_all(students, chosen=None):
    """Ids of the exercises that everybody is graded on."""
    from course_utils.exercises.registry import CHAPTERS, exercises_of

    if chosen:
        wanted = [part.strip().zfill(2) for part in chosen.split(",") if part.strip()]
        unknown = [part for part in wanted if part not in CHAPTERS]
        if unknown or not wanted:
            raise RunError(f"--chapters {chosen}: expected numbers such as 02,05")
    else:
        votes, voters = collections.Counter(), 0
        for student in students:
            named = set()
            for file in student.files:
                with suppress(RunError):
                    named |= chapters_in(sources(file))
            votes.update(named)
            voters += bool(named)
        wanted = [chapter for chapter, count in votes.items() if 2 * count > voters]
        if not votes:
            raise RunError(
                "none of the notebooks holds a function named as the exercises are (ex02_1_…)"
            )
        if not wanted:
            found = ", ".join(f"{chapter} ({count})" for chapter, count in sorted(votes.items()))
            raise RunError(f"the notebooks differ in their chapters: {found}; choose: --chapters")
    return [exercise.id for chapter in sorted(set(wanted)) for exercise in exercises_of(chapter)]


def grade(student, points, runners):
    """The student with grades for all exercises; of several answers the first of STATUSES counts.

    points: exercise id -> points.
    """
    for file in student.files:
        try:
            cells = sources(file)
        except RunError as problem:
            student.notes.append(plain(str(problem)))
            continue
        others = chapters_in(cells) - {id[:2] for id in points}
        if others:
            student.notes.append(f"not graded: chapter {', '.join(sorted(others))}")
        for id, new in runners.grade(cells, points, student).items():
            old = student.grades.get(id)
            if old is None or STATUSES.index(new.status) < STATUSES.index(old.status):
                student.grades[id] = new
    for id, of in points.items():
        status = "error" if student.files else "not attempted"
        new = student.grades.setdefault(id, Grade(status, text="There is no notebook.", of=of))
        if new.note:
            student.notes.append(f"{id}: {new.note}")
    return student


# --- what is written -----------------------------------------------------------------------------


def page_name(student):
    """File name of a student's page; a long name is cut, and ends in what tells it apart."""
    name = re.sub(r'[<>:"/\\|?*\n\t]', "_", student)
    if len(name.encode()) > 120 or name != student:
        name = f"{name[:30]}-{hashlib.sha256(student.encode()).hexdigest()[:12]}"
    return f"{name}.html"


def totals(student):
    """(exercises passed, points) of a student."""
    grades = student.grades.values()
    return sum(g.status == "passed" for g in grades), sum(g.score for g in grades)


def line_of(student):
    """One line for the terminal, whatever line ends a name or a message may have."""
    passed, score = totals(student)
    most = sum(grade.of for grade in student.grades.values())
    flags = [f"LOOK: {flag}" for flag in student.flags]
    notes = f" ({'; '.join([*flags, *student.notes])})" if flags or student.notes else ""
    return f"{student.name}: {passed} of {len(student.grades)}, {score:g} of {most:g} points{notes}"


def write_results(out, students, points, seed):
    """results.json, and then grades.csv: each whole or not at all."""
    everybody = [asdict(s) | {"files": [f.name for f in s.files]} for s in students]
    for one in everybody:  # as Gradescope names things
        one["tests"] = [
            {"name": id, "score": g["score"], "max_score": g["of"], "status": g["status"]}
            | {"output": g["text"]}
            for id, g in one.pop("grades").items()
        ]
        one["score"] = sum(test["score"] for test in one["tests"])
    text = json.dumps({"seed": seed, "points": points, "students": everybody}, indent=1)
    write_whole(out / "results.json", text)
    write_whole(out / "grades.csv", table(students, points))


def table(students, points):
    """Text of grades.csv: a row for each student."""
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(["student", *points, "passed", "of", "points", "max", "look", "note", "files"])
    for student in students:
        passed, score = totals(student)
        texts = ["; ".join(student.flags), "; ".join(student.notes)]
        texts.append("; ".join(plain(file.name) for file in student.files))
        statuses = [student.grades[id].status for id in points]
        numbers = [passed, len(points), f"{score:g}", f"{sum(points.values()):g}"]
        rows.writerow([_no_formula(student.name), *statuses, *numbers, *map(_no_formula, texts)])
    return file.getvalue()


def _no_formula(text):
    """Spreadsheets run cells that begin with one of these; an apostrophe makes them text.

    Where a semicolon parts cells, as in much of Europe, what follows one begins a cell, too.
    """
    return re.sub(r"(^|[;\t\n]\s*)(?=[=+\-@\t\n＝＋－＠])", r"\1'", text)


def feedback(student):
    """The page for one student. Everything that comes from a notebook is escaped."""
    from course_utils.exercises.registry import find

    passed, score = totals(student)
    most = sum(grade.of for grade in student.grades.values())
    files = ", ".join(escape(plain(file.name)) for file in student.files) or "no notebook"
    parts = [
        f"<p>{passed} of {len(student.grades)} exercises passed, {score:g} of {most:g} points; "
        f"from {files}.</p>\n"
    ]
    for id, grade in student.grades.items():
        exercise = find(id)
        style = {"error": "failed", "not attempted": "not-run"}.get(grade.status, grade.status)
        parts.append(
            f'<h2>{id} {escape(exercise.title)}: <span class="{style}">{grade.status}</span>, '
            f"{grade.score:g} of {grade.of:g}</h2>\n"
        )
        if grade.code and grade.status != "not attempted":
            parts.append(f'<pre style="border-color: var(--line)">{escape(grade.code)}</pre>\n')
        if grade.status in ("failed", "error"):
            parts.append(f"<pre>{escape(grade.text)}</pre>\n")
            parts.append(f"<p>Hint: {escape(exercise.hints[0])}</p>\n")
    return html_page(f"Exercises: {escape(student.name)}", "".join(parts))


# --- the processes that run otter ----------------------------------------------------------------


class Runners:
    """Grades notebooks, several at a time if called from several threads.

    Each thread has a process of its own, started with a clean environment, which runs one notebook
    after the other (`runner.py`).
    """

    def __init__(self, ids, seed, autograder, seconds, memory):
        self.first = {"ids": ids, "seed": seed}
        self.job = {"autograder": str(autograder), "seconds": seconds, "memory": memory}
        self.mine, self.live, self.stopped = threading.local(), {}, False

    def stop(self):
        """End all processes; none starts after this."""
        self.stopped = True
        for process in tuple(self.live):
            self._end(process)

    def grade(self, cells, points, student):
        """{exercise id: Grade} of a notebook; what else there is to say becomes the student's."""
        process = getattr(self.mine, "process", None)
        if process not in self.live:
            process = self.mine.process = self._start()
        try:
            process.stdin.write(json.dumps(self.job | {"cells": cells}) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self._end(process)
            answer = {"events": [{"note": "the grading process ended"}], "results": None}
        return _grades(answer, cells, points, student)

    def _start(self):
        if self.stopped:
            raise RunError("stopped")
        folder = tempfile.TemporaryDirectory(prefix="course-grade-", ignore_cleanup_errors=True)
        errors = Path(folder.name) / "errors"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "course_utils.commands.grade.runner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                encoding="utf-8",
                cwd=folder.name,
                env=_environment(folder.name),
                start_new_session=True,  # Ctrl-C is for this process alone
            )
        self.live[process] = folder
        lines = queue.Queue()
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(self.first) + "\n")
            process.stdin.flush()
        reader = threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True)
        reader.start()
        try:
            ready = lines.get(timeout=_START)
        except queue.Empty:
            ready = ""
        if not ready and not self.stopped:
            said = errors.read_text("utf-8", "replace").strip().splitlines() or ["too slow"]
            self._end(process)
            raise RunError(f"a grading process could not start: {plain(said[-1])}")
        return process

    def _end(self, process):
        folder = self.live.pop(process, None)
        with suppress(OSError):
            process.stdin.close()  # it then ends what it started, and itself
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END)
        process.kill()
        process.wait()
        if folder is not None:
            folder.cleanup()


def _grades(answer, cells, points, student):
    """{exercise id: Grade} from the record of a run and otter's results, which must agree."""
    scores = {}
    for test in (answer["results"] or {}).get("tests", ()):
        with suppress(KeyError, TypeError):
            scores[test["name"]] = float(test["score"])
    verdicts, grades, troubles = {}, {}, []
    for event in answer["events"]:
        event = {key: plain(v) if isinstance(v, str) else v for key, v in event.items()}
        with suppress(KeyError, TypeError, IndexError):  # a forger may write lines of any form
            if "verdict" in event:
                verdicts[event["verdict"]] = event
            elif "trouble" in event:
                line = f", line {event['line']}" if event["line"] else ""
                words = f"code cell {event['cell']}{line}: {event['trouble']}".partition("\n")[0]
                troubles.append((cells[event["cell"] - 1], words))
            for kind, kept in (("note", student.notes), ("flag", student.flags)):
                if kind in event and "verdict" not in event and str(event[kind]) not in kept:
                    kept.append(str(event[kind]))
    for id, of in points.items():
        code = _answer(id, cells)
        verdict = verdicts.get(id, {"status": "error", "text": "It could not be judged."})
        status = verdict.get("status") if verdict.get("status") in STATUSES else "error"
        mine = [words for source, words in troubles if source == code]
        if status == "not attempted" and mine:
            verdict, status = {"note": mine[0], "text": "\n".join(mine)}, "error"
        score = scores.get(id, 0.0)
        if bool(score) != (status == "passed" and of > 0):
            if score or answer["results"]:
                student.flags.append(f"{id}: otter's result is not what the checker said")
            score, status = 0.0, "error" if status == "passed" else status
        texts = [str(verdict.get(key) or "") for key in ("note", "text")]
        grades[id] = Grade(status, *texts, code, min(score, of), of)
    return grades


def _answer(id, cells):
    """The last code cell that defines the exercise's function; "" if there is none."""
    from course_utils.exercises.registry import find

    name = re.escape(find(id).name)
    defines = re.compile(rf"(def|class)\s+{name}\b|\b{name}\s*=[^=]|import .*\b{name}\b")
    return next((cell for cell in reversed(cells) if defines.search(cell)), "")


def _environment(folder):
    """Nothing of the instructor's that answers could read, but what Python needs to start."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    fixed = """MPLBACKEND=agg PYTHONUTF8=1 COURSE_OFFLINE=1 COURSE_PROGRESS=none
        COURSE_PROGRESS_FILE=none COURSE_FAST_DEV_RUN=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
        CUDA_VISIBLE_DEVICES= JUPYTER_NO_CONFIG=1"""  # several notebooks share the cores
    kept |= dict(pair.split("=") for pair in fixed.split())
    homes = dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP"), folder)
    return kept | homes | {"PYTHONPATH": python_path()}
