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
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from course_utils.commands.grade.process import LARGEST, STATUSES, Grade, Graders
from course_utils.commands.plain import plain
from course_utils.commands.run.folder import prepare_folder
from course_utils.commands.run.pool import cpu_count
from course_utils.commands.run.progress import make_console
from course_utils.commands.run.report_page import html_page
from course_utils.errors import RunError
from course_utils.files import write_whole

_EXERCISE = re.compile(rb"\bex(\d\d)_\d+_\w")


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
