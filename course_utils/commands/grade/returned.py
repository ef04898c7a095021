"""What lies in a folder of returned work: which student handed in which notebook.

Nothing here believes what others wrote: links are not followed, archives are read file by file, and
two students are never taken for one.
"""

import csv
import os
import re
import stat
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.commands.notebooks import code_cells, plain, read_notebook
from course_utils.errors import RunError
from course_utils.exercises.registry import CHAPTERS

LARGEST = 50_000_000  # bytes of a notebook
_MOST = 20 * LARGEST  # bytes that an archive may unpack to
_DEBRIS = {"__macosx", "desktop.ini", "thumbs.db", "__pycache__"}
_NAMED = re.compile(
    # late_12345_name_02_pooling_exercises-1: who, which chapter, which try
    rf"(?P<who>.*?)[ _-]*(?P<chapter>{'|'.join(CHAPTERS)})_[a-z]\w*?"
    r"(?P<again>[ _-]*(\(\d+\)|[-_]\d+))?$",
    re.IGNORECASE,
)
_LATE = re.compile(r"(?:^|(?<=_))late_", re.IGNORECASE)
_EXERCISE = re.compile(r"\bex(\d\d)_\d+_\w")
_SURE = ("id", "student id", "sis id", "sis user id", "sis login id", "login", "username", "email")
_SURE += ("email address", "student number", "matriculation number")
_NAMES = ("name", "student", "full name", "student name")


@dataclass
class Student:
    """name: in the table. files: what was returned. grades: exercise id -> Grade.

    notes: what the instructor should know. flags: what a person should look at.
    """

    name: str
    files: list = field(default_factory=list)
    grades: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    flags: list = field(default_factory=list)


def sources(path):
    """Sources of a returned notebook's code cells. Raises RunError if it is none."""
    if path.is_symlink() or not path.is_file():  # a named pipe would be read for ever
        raise RunError(f"{path.name} is not a notebook (not even a file)")
    if path.stat().st_size > LARGEST:
        raise RunError(f"{path.name} is larger than {LARGEST // 10**6} MB")
    cells = code_cells(read_notebook(path))
    return [cell.encode("utf-8", "replace").decode() for cell in cells]  # no lone surrogates


def chapters_in(cells):
    """Numbers of the chapters, such as "02", whose exercises code cells name."""
    return {number for cell in cells for number in _EXERCISE.findall(cell)} & set(CHAPTERS)


def find_students(folder, scratch, roster=None):
    """(list of Student, notes) of a folder or a zip. scratch: an empty folder for what is zipped.

    Each entry of the folder is a student's, be it a notebook, a folder or a zip. Two are one's only
    if the roster says so or their names differ in the chapter alone.
    """
    if not (folder.is_dir() or zipfile.is_zipfile(folder)):
        raise RunError(f"{folder} is not a folder: give the one with the returned notebooks")
    notes, found = [], []
    if not folder.is_dir():
        folder = _unpacked(folder, scratch / "all", notes)
    for number, path in enumerate(sorted(folder.iterdir())):
        if path.name.startswith("."):
            continue
        if path.name.lower() in _DEBRIS:
            notes.append(f"skipped: {plain(path.name)}")
            continue
        student = Student(plain(path.name))
        entry = path
        if path.suffix.lower() == ".zip" and not path.is_symlink():
            entry = _unpacked(path, scratch / str(number), student.notes)
        _collect(entry, student, plain(path.name))
        found.append((path, student))
    if not any(student.files for _, student in found):
        raise RunError(f"{folder} holds no notebooks (*.ipynb) to grade")
    return _named(found, roster), notes


def _collect(path, student, called):
    """Add the notebooks in a folder, or the one notebook, to the student."""
    if path.is_symlink():
        student.notes.append(f"{plain(path.name)} is a link, which is not followed")
        return
    files = [path]
    if path.is_dir():
        walked = [(Path(at), names + folders) for at, folders, names in os.walk(path)]
        files = [at / name for at, names in walked for name in sorted(names)]
        files = [f for f in files if not _unwanted(f.relative_to(path).parts)]
    for file in files:
        if file.is_symlink():
            student.notes.append(f"{plain(file.name)} is a link, which is not followed")
        elif file.suffix.lower() == ".ipynb" and not file.is_dir():
            student.files.append(file)
    if not student.files:
        student.notes.append(f"no notebook in {called}")


def _unwanted(parts):
    return any(part.lower() in _DEBRIS or part.startswith(".") for part in parts)


def _unpacked(archive, to, notes):
    """A folder with the notebooks of a zip, which may claim anything of itself."""
    to.mkdir()
    total = 0
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                parts = [plain(part) for part in re.split(r"[/\\:]", info.filename)]
                parts = [part for part in parts if part not in ("", ".", "..")]
                wanted = info.filename.lower().endswith((".ipynb", ".zip"))
                if info.is_dir() or not wanted or _unwanted(parts):
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    notes.append(f"{parts[-1]} is a link, which is not followed")
                    continue
                total += info.file_size
                if info.file_size > LARGEST or total > _MOST:
                    notes.append(f"{parts[-1]} is larger than {LARGEST // 10**6} MB")
                    continue
                file = to.joinpath(*parts)
                if file.exists():
                    notes.append(f"{parts[-1]} is twice in {plain(archive.name)}")
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(opened.read(info))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError, EOFError):
        notes.append(f"{plain(archive.name)} is no zip that can be read")
    return to


def _named(found, roster):
    """The Students: those of the roster first, if there is one, each under a name of its own."""
    listed = {person: Student(person) for person in roster or ()}
    groups, others = {}, []
    for path, student in found:
        stem = plain(path.name if path.is_dir() else path.stem)
        match = _NAMED.match(stem)
        who = _LATE.sub("", match["who"] if match else stem).strip(" _-")
        if _LATE.search(stem):
            student.notes.append("handed in late")
        people = _who_of(stem, roster) if roster else []
        if len(people) == 1:
            _join(listed[people[0]], student)
            continue
        if roster:
            said = "fits several of the roster" if people else "is not in the roster"
            student.notes.append(f"{stem} {said}")
        student.name = (who if match else stem) or stem
        chapter = match["chapter"] if match and who and not path.is_dir() else None
        groups.setdefault(student.name, []).append((chapter, stem, student))
    for name, entries in groups.items():
        chapters = [chapter for chapter, _, _ in entries]
        if None not in chapters and len(set(chapters)) == len(chapters):
            first = Student(name)
            for _, _, student in entries:
                _join(first, student)
            others.append(first)
            continue
        for _, stem, student in entries:
            student.name = stem
            student.notes += [f"named like another, {name}: not merged"] * (len(entries) > 1)
            others.append(student)
    return _apart([*listed.values(), *others])


def _join(student, other):
    student.files += other.files
    student.notes += other.notes


def _apart(students):
    """The same, with names that also a file system without capitals keeps apart."""
    taken = set()
    for student in students:
        name, count = student.name or "unnamed", 1
        while unicodedata.normalize("NFKC", student.name).casefold() in taken or not student.name:
            count += bool(student.name)
            student.name = f"{name} ({count})" if count > 1 else name
        taken.add(unicodedata.normalize("NFKC", student.name).casefold())
        if not student.files and not student.notes:
            student.notes.append("returned nothing")
    return students


# --- lists that instructors give -----------------------------------------------------------------


def read_roster(path):
    """{name in the table: (sure marks, words of the name)} of a CSV with columns such as name, id,
    email. Raises RunError that names the file and what it lacks."""
    rows = _table(path, "the roster")
    people = {}
    for number, row in enumerate(rows, 2):
        sure = {row.get(key, "").strip().casefold() for key in _SURE} - {""}
        names = [row[key] for key in _NAMES if row.get(key)]
        shown = (names or [row.get(key) for key in _SURE if row.get(key)] or [""])[0]
        if not shown:
            wanted = ", ".join(("name", *_SURE[:2], "login", "email"))
            raise RunError(f"{path}, line {number}: no student; columns may be {wanted}")
        if shown in people:
            shown = f"{shown} ({min(sure, default=number)})"
        people[plain(shown)] = (sure, frozenset(_words(names[0])) if names else frozenset())
    marks = [mark for sure, _ in people.values() for mark in sure]
    twice = sorted({mark for mark in marks if marks.count(mark) > 1})
    if twice:
        raise RunError(f"{path}: {twice[0]} stands for two students")
    return people


def _words(text):
    text = unicodedata.normalize("NFKC", text).casefold()
    return [word for word in re.split(r"[\W_]+", text) if word]


def _who_of(stem, roster):
    """Names of those in the roster whom a file's name names: by id or login, else by name."""
    words = _words(stem)
    pairs = {a + b for a in words for b in words}
    whole = stem.casefold()
    sure = [
        name
        for name, (marks, _) in roster.items()
        if any(m in words or re.search(rf"(?<!\w){re.escape(m)}(?![^\W_])", whole) for m in marks)
    ]
    if sure:
        return sure
    return [
        name
        for name, (_, own) in roster.items()
        if own and (own <= set(words) or (len(own) == 2 and _glued(own) & ({*words} | pairs)))
    ]


def _glued(own):
    first, second = own
    return {first + second, second + first}


def read_points(path, ids):
    """{exercise id: points} for all `ids`, 1 where a CSV of exercise,points says nothing."""
    points = dict.fromkeys(ids, 1.0)
    if path is None:
        return points
    for number, row in enumerate(_table(path, "the points"), 2):
        id = row.get("exercise", "").strip()
        try:
            value = float(row.get("points", ""))
            if not 0 <= value < 1e6:
                raise ValueError
        except ValueError:
            raise RunError(
                f"{path}, line {number}: points {row.get('points')!r} are not a number of 0 or more"
            ) from None
        if not re.fullmatch(r"\d\d\.\d+", id):
            raise RunError(f"{path}, line {number}: no exercise {id!r}: they are named as 02.10")
        points |= {id: value} if id in points else {}
    if not any(points.values()):
        raise RunError(f"{path}: no exercise that is graded has points")
    return points


def _table(path, what):
    """Rows of a CSV as dicts, keys in small letters; parted by comma, semicolon or tab."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        mark = max(",;\t", key=header.count)
        rows = list(csv.DictReader(text.splitlines(), delimiter=mark))
        rows = [{str(k).strip().lower(): str(v or "") for k, v in row.items()} for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise RunError(f"{path} cannot be read as {what} ({why}): give a CSV file") from None
    if not rows:
        raise RunError(f"{path}: {what} has no rows; give a CSV file with a first line of names")
    return rows
