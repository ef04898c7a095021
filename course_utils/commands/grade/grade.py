"""`course grade`: run the checks on a folder of returned notebooks.

Each notebook is judged in a process of its own, in an empty folder, with limits on time and memory
and without this process's environment variables. These limits stop accidents; they are no wall
against an attack. Students' code runs as you: it may read and change your files, read of other
processes what the system shows you (on Linux also their environment variables), use the network,
fill the disk, leave processes behind, and, since it shares its process with the checks, forge its
own grade. For code that you do not trust use a container or another account.
"""

import csv
import hashlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from course_utils.commands.notebooks import plain
from course_utils.commands.run.folder import prepare_folder
from course_utils.commands.run.pool import cpu_count, python_path
from course_utils.commands.run.progress import make_console
from course_utils.commands.run.report_page import html_page
from course_utils.errors import RunError
from course_utils.files import write_whole

STATUSES = ("passed", "failed", "error", "not attempted")
LARGEST = 50_000_000  # bytes of a notebook
_END = 5  # seconds from a process's last word to its end
_LINE = 1_000_000  # characters that a process may say at a time
_START = 180  # seconds; on a busy machine torch loads slowly
_KEPT = ("PATH", "LANG", "LC_ALL", "COURSE_DATA", "LD_LIBRARY_PATH", "SYSTEMROOT")
_EXERCISE = re.compile(rb"\bex(\d\d)_\d+_\w")


@dataclass(frozen=True)
class Grade:
    """note: a few words for the instructor. text: the feedback for the student."""

    status: str  # one of STATUSES: "failed" was judged, "error" could not be
    note: str = ""
    text: str = ""


@dataclass
class Student:
    """name: of the file or sub-folder. files: what was returned. grades: exercise id -> Grade.

    notes: what the instructor should know.
    """

    name: str
    files: list[Path] = field(default_factory=list)
    grades: dict[str, Grade] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self):
        return sum(grade.status == "passed" for grade in self.grades.values())

    @property
    def line(self):
        """One line for the terminal, whatever line ends a name or a message may have."""
        notes = f" ({'; '.join(self.notes)})" if self.notes else ""
        return " ".join(f"{self.name}: {self.passed} of {len(self.grades)}{notes}".split())


def grade_folder(folder, *, seconds=20, memory=2048, out=None, jobs=None):
    """Grade every student in `folder`; writes grades.csv and feedback/<student>.html.

    seconds: that one exercise may take. memory: MB, on top of what torch needs by itself.
    out: where to write; default `folder` + "-grades". jobs: notebooks at a time; default: cores.
    Returns 0. Raises RunError if there is nothing to grade or `out` cannot be written.
    """
    folder, console = Path(folder).resolve(), make_console()
    students = find_students(folder)
    ids = exercises_in(students)
    out = prepare_folder(Path(out) if out else folder.with_name(f"{folder.name}-grades"))
    pages = prepare_folder(out / "feedback")
    graders, done = Graders(seconds, memory), []
    pool = ThreadPoolExecutor(jobs or cpu_count())
    try:
        for student in pool.map(lambda student: grade(student, ids, graders), students):
            done.append(student)
            write_whole(pages / page_name(student.name), feedback(student))
            console.print(student.line, markup=False, highlight=False, soft_wrap=True)
    finally:  # also after Ctrl-C: what is done is written, what runs is stopped
        pool.shutdown(wait=False, cancel_futures=True)
        graders.stop()
        write_table(out / "grades.csv", done, ids)
    console.print(str(out / "grades.csv"), markup=False, highlight=False, soft_wrap=True)
    return 0


def page_name(student):
    """File name of a student's page; a long name is cut, and ends in what tells it apart."""
    if len(student.encode()) > 120:
        student = f"{student[:30]}-{hashlib.sha256(student.encode()).hexdigest()[:12]}"
    return f"{student}.html"


def find_students(folder):
    """One Student for each file or sub-folder, by name."""
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder: give the one with the returned notebooks")
    students = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        name = plain(path.name if path.is_dir() else path.stem) or "unnamed"
        student = students.setdefault(name, Student(name))
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        files = [
            file for file in files if not file.is_dir() and ".ipynb_checkpoints" not in file.parts
        ]
        notebooks = [file for file in files if file.suffix == ".ipynb"]
        student.files += notebooks
        if not notebooks:
            student.notes.append(f"no notebook in {plain(path.name)}")
    if not any(student.files for student in students.values()):
        raise RunError(f"{folder} holds no notebooks (*.ipynb) to grade")
    return list(students.values())


def exercises_in(students):
    """Ids of all exercises of the chapters that any of the notebooks has an exercise of."""
    from course_utils.exercises.registry import CHAPTERS, exercises_of

    mentioned = set()
    for student in students:
        for file in student.files:
            with suppress(OSError):
                if file.is_file() and file.stat().st_size <= LARGEST:
                    mentioned |= set(_EXERCISE.findall(file.read_bytes()))
    chapters = [chapter for chapter in CHAPTERS if chapter.encode() in mentioned]
    if not chapters:
        raise RunError(
            "none of the notebooks holds a function named as the exercises are (ex02_1_…)"
        )
    return [exercise.id for chapter in chapters for exercise in exercises_of(chapter)]


def grade(student, ids, graders):
    """The student with grades for all `ids`: of several answers the first of STATUSES counts."""
    for file in student.files:
        grades, problem = graders.grade(file, ids)
        if problem:
            student.notes.append(problem)
        for id, new in grades.items():
            old = student.grades.get(id)
            if old is None or STATUSES.index(new.status) < STATUSES.index(old.status):
                student.grades[id] = new
    for id in ids:
        new = student.grades.setdefault(id, Grade("error", text="There is no notebook."))
        if new.note:
            student.notes.append(f"{id}: {new.note}")
    return student


def write_table(path, students, ids):
    """grades.csv: a row for each student."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["student", *ids, "passed", "of", "note"])
        for student in students:
            statuses = [student.grades[id].status for id in ids]
            note = _no_formula("; ".join(student.notes))
            table.writerow([_no_formula(student.name), *statuses, student.passed, len(ids), note])


def _no_formula(text):
    """Spreadsheets run cells that begin with one of these; an apostrophe makes them text.

    Where a semicolon parts cells, as in much of Europe, what follows one begins a cell, too.
    """
    return re.sub(r"(^|[;\t\n]\s*)(?=[=+\-@\t\n＝＋－＠])", r"\1'", text)


def feedback(student):
    """The page for one student. Everything that comes from a notebook is escaped."""
    from course_utils.exercises.registry import find

    files = ", ".join(escape(plain(file.name)) for file in student.files) or "no notebook"
    parts = [f"<p>{student.passed} of {len(student.grades)} exercises passed; from {files}.</p>\n"]
    for id, grade in student.grades.items():
        style = "failed" if grade.status == "error" else grade.status.replace(" ", "-")
        style = "not-run" if grade.status == "not attempted" else style
        parts.append(
            f'<h2>{id} {escape(find(id).title)}: <span class="{style}">{grade.status}</span></h2>\n'
        )
        if grade.status in ("failed", "error"):
            parts.append(f"<pre>{escape(grade.text)}</pre>\n")
    return html_page(f"Exercises: {escape(student.name)}", "".join(parts))


# The processes that judge: started with a clean environment, watched, ended


class Graders:
    """Judges notebooks, several at a time if called from several threads.

    seconds: that one exercise may take. memory: MB, on top of what torch needs by itself.
    """

    def __init__(self, seconds, memory):
        self.seconds, self.memory = seconds, memory
        self.live, self.stopped = set(), False

    def stop(self):
        """End all processes; none starts after this."""
        self.stopped = True
        for process in tuple(self.live):
            _kill(process)

    def grade(self, notebook, ids):
        """({exercise id: Grade}, what is wrong with the whole notebook or None)."""
        grades, todo = {}, list(ids)
        while todo:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                problem, got, end = self._attempt(notebook, todo, folder)
            if problem:
                return {id: Grade("error", text=problem) for id in ids}, problem
            grades |= got
            todo = todo[len(got) :]
            if todo and end:  # what it died of, the next process leaves out
                grades[todo.pop(0)] = Grade("error", end, end)
        return grades, None

    def _attempt(self, notebook, ids, folder):
        """(problem, {id: Grade} of the first of `ids`, why it ended over the next one or "")."""
        job = {"notebook": str(notebook.resolve()), "ids": ids}
        job |= {"memory": self.memory, "seconds": self.seconds, "largest": LARGEST}
        got = {}
        with tempfile.TemporaryFile() as errors:
            process, lines = self._start(job, folder, errors)
            try:
                first = lines.get(timeout=_START)
                if first is None:
                    errors.seek(0)
                    said = errors.read().decode(errors="replace").strip().splitlines()
                    raise RunError(f"a grading process could not start: {' '.join(said[-1:])}")
                if first["problem"]:
                    return plain(first["problem"]), {}, ""
                for id in ids:
                    grade = lines.get(timeout=self.seconds)
                    if grade is None:
                        return None, got, _death(process, got)
                    got[id] = grade
                return None, got, ""
            except queue.Empty:
                return None, got, f"stopped after {self.seconds:g} s"
            finally:
                _kill(process)
                process.stdin.close()
                process.wait()
                self.live.discard(process)

    def _start(self, job, folder, errors):
        if self.stopped:
            raise RunError("stopped")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "course_utils.commands.grade.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,  # so that it can be ended with all that it started
        )
        self.live.add(process)
        lines = queue.Queue()
        threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True).start()
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        return process, lines


def _death(process, got):
    """Why a process ended before it had judged all; "" if to make room for the next one."""
    try:
        status = process.wait(_END)
    except subprocess.TimeoutExpired:  # it did not end, but what it said made no sense
        return "its process disturbed the grading"
    if status == 0 and got:
        return ""
    if status < 0:
        return f"its process was ended by {signal.Signals(-status).name}"
    return f"its process ended with status {status}"


def _environment(folder):
    """Nothing of the instructor's that answers could read, but what Python needs to start."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PYTHONPATH": python_path(),
        "HOME": folder,
        "USERPROFILE": folder,
        "TMPDIR": folder,
        "TEMP": folder,
        "MPLBACKEND": "agg",
        "PYTHONUTF8": "1",
        "COURSE_OFFLINE": "1",
        "COURSE_PROGRESS": "none",
        "OMP_NUM_THREADS": "1",  # several notebooks share the cores
    }


def _listen(stream, lines):
    """Put what a process says into a queue; None at its end, or when it talks nonsense."""
    with suppress(ValueError, TypeError, KeyError):
        for line in iter(lambda: stream.readline(_LINE), ""):  # an answer may find the channel
            event = json.loads(line)
            if "problem" not in event:
                event = Grade(*(plain(event[key]) for key in ("status", "note", "text")))
                STATUSES.index(event.status)
            lines.put(event)
    lines.put(None)


def _kill(process):
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
