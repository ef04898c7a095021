"""book.toml: what the book is made of, read and checked once.

Everything that reads a chapter's title, its settings or its published band gets it from here.
Keys that no code uses are errors, so a slip of the pen cannot pass for a setting.
"""

import json
import sys
import textwrap
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from course_utils.errors import ManifestError
from course_utils.settings import REPOSITORY

FILE_NAME = "book.toml"
THEMES = ("auto", "light", "dark")
PROFILES = ("quick", "full")
_REQUIRED = object()
_LONGEST = 400  # characters of a message; a file can hold any nonsense
_DIGITS = 4  # of a chapter's number
_LARGEST = sys.float_info.max  # an edge of a band beyond it, or one that is no number, is refused


@dataclass(frozen=True)
class Book:
    title: str
    authors: list[str]
    language: str
    description: str
    src: Path  # folder with the chapters, absolute


@dataclass(frozen=True)
class Html:
    default_theme: str = "auto"
    git_repository_url: str | None = None
    git_branch: str = "main"  # where "open in Colab" and "open in Binder" find the chapters


@dataclass(frozen=True)
class Chapter:
    """One notebook of the book.

    full: parameter overrides of the full profile. published: result name -> (low, high), the band
    of repeated published runs of those settings, or None; published_source: where it is from.
    alone: it measures the machine, so that a batch run gives it all cores and nothing beside it.
    """

    file: Path
    name: str  # "03_lenet"
    number: int  # 3
    title: str
    minutes: int
    needs: list[str]
    summary: str
    full: dict = field(default_factory=dict)
    published: dict[str, tuple[float, float]] | None = None
    published_source: str | None = None
    alone: bool = False

    @property
    def topic(self):
        """The name without its number: "lenet"."""
        return self.name.split("_", 1)[1]


@dataclass(frozen=True)
class Manifest:
    path: Path
    root: Path  # folder of book.toml
    book: Book
    build_dir: Path  # absolute
    html: Html
    profiles: dict[str, str]  # name -> description
    chapters: list[Chapter]


def nearest(name, known):
    """A sentence that offers the known names closest to `name`, or lists them all."""
    known = list(dict.fromkeys(map(str, known)))
    close = get_close_matches(str(name), known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known: {', '.join(known)}" if known else "there are none"


def find_manifest(start=None):
    """Path of the nearest book.toml at or above `start` (default: here), else the repository's."""
    start = Path(start or Path.cwd()).resolve()
    for folder in [start, *start.parents, REPOSITORY]:
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise ManifestError(
        f"no {FILE_NAME} in {start} or above it: change into the course's folder and try again"
    )


def load_manifest(path=None, *, check_files=True):
    """Read book.toml.

    path: the file; None: the nearest one (see `find_manifest`).
    check_files: whether every chapter's notebook must exist.
    Raises ManifestError that names the file and the key; chapters are counted from 1 in it.
    """
    path = Path(path).resolve() if path is not None else find_manifest()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # more than tomllib's own: digits, depth, bytes
        raise ManifestError(f"{path}: is not valid TOML: {error}") from None

    top = _Table(data, "", path.name)
    root = path.parent
    book = _read_book(top.table("book"), root)
    build = top.table("build", {})
    build_dir = root / build.text("build-dir", "build")
    build.end()
    output = top.table("output", {})
    html = _read_html(output.table("html", {}))
    output.end()
    profiles = _read_profiles(top.table("profiles"))
    chapters = []
    for index, entry in enumerate(top.take("chapter", list, "a list of tables: [[chapter]]"), 1):
        key = f"chapter[{index}]"
        if not isinstance(entry, dict):
            raise ManifestError(f"{path.name}: {key}: expected a table, got {_show(entry)}")
        table = _Table(entry, key, path.name)
        chapters.append(_read_chapter(table, book.src, chapters, check_files))
    if not chapters:
        raise ManifestError(f"{path.name}: chapter: expected at least one [[chapter]]")
    top.end()
    return Manifest(path, root, book, build_dir, html, profiles, chapters)


def _read_book(table, root):
    book = Book(
        title=table.text("title"),
        authors=table.texts("authors"),
        language=table.text("language", "en"),
        description=table.text("description", ""),
        src=root / table.text("src", "src"),
    )
    table.end()
    return book


def _read_html(table):
    theme = table.text("default-theme", "auto")
    if theme not in THEMES:
        table.fail("default-theme", f'"{theme}" is not a theme; {nearest(theme, THEMES)}')
    html = Html(
        default_theme=theme,
        git_repository_url=table.text("git-repository-url", None),
        git_branch=table.text("git-branch", "main"),
    )
    table.end()
    return html


def _read_profiles(table):
    profiles = {name: table.text(name) for name in PROFILES}
    table.end()
    return profiles


def _read_chapter(table, src, earlier, check_files):
    names = [chapter.name for chapter in earlier]
    file = table.text("file")
    name = file.removesuffix(".ipynb")  # with no folder before it: all lie in src
    number, _, topic = name.partition("_")
    numbered = number.isdecimal() and len(number) <= _DIGITS and topic.isidentifier()
    if not (file.endswith(".ipynb") and numbered):
        table.fail("file", f'expected a name such as "03_lenet.ipynb", got {_show(file)}')
    if name in names:
        table.fail("file", f"{file} is already chapter[{names.index(name) + 1}]")
    if int(number) in [chapter.number for chapter in earlier]:
        table.fail("file", f"{file}: another chapter has the number {int(number)}")
    if check_files and not _is_file(src / file):
        present = [path.name for path in src.glob("*.ipynb")] if _is_file(src, Path.is_dir) else []
        table.fail("file", f"there is no {file} in {src.name}/; {nearest(file, present)}")
    needs = table.texts("needs", [])
    for need in needs:
        if need not in names:
            table.fail("needs", f'"{need}" is not an earlier chapter; {nearest(need, names)}')
    full = table.table("full", {})
    published = table.table("published", {})
    source = published.text("source", None)
    bands = {key: published.band(key) for key in published.rest()}
    if bands and source is None:
        published.fail("source", "is missing: say where the published band is from")
    chapter = Chapter(
        file=src / file,
        name=name,
        number=int(number),
        title=table.text("title"),
        minutes=table.take("minutes", int, "an integer"),
        needs=needs,
        summary=table.text("summary"),
        full={key: full.take(key, (int, float, str, bool), "a value") for key in full.rest()},
        published=bands or None,
        published_source=source,
        alone=table.take("alone", bool, "true or false", default=False),
    )
    if chapter.minutes <= 0:
        table.fail("minutes", f"expected a positive integer, got {chapter.minutes}")
    published.end()
    table.end()
    return chapter


class _Table:
    """One TOML table that is read key by key; what is left at the `end` is unknown."""

    def __init__(self, data, key, file):
        self.data, self.key, self.file, self.asked = data, key, file, []

    def fail(self, name, message):
        text = f"{self.file}: {self._full(name)}: {message}"
        raise ManifestError(textwrap.shorten(text, _LONGEST, placeholder=" …"))

    def _full(self, name):
        return f"{self.key}.{name}" if self.key else name

    def take(self, name, kinds, expected, default=_REQUIRED):
        self.asked.append(name)
        if name not in self.data:
            if default is _REQUIRED:
                hint = "".join(f' ("{key}" looks like it)' for key in self._like(name))
                self.fail(name, f"is missing{hint}")
            return default
        value = self.data[name]
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        # bool is a subclass of int, but `true` is no number of minutes
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self.fail(name, f"expected {expected}, got {_show(value)}")
        return value

    def _like(self, name):
        return get_close_matches(name, [key for key in self.data if key not in self.asked], n=1)

    def text(self, name, default=_REQUIRED):
        value = self.take(name, str, "a string", default)
        if value and "\0" in value:
            self.fail(name, f"no text may hold the character U+0000, got {_show(value)}")
        return value

    def texts(self, name, default=_REQUIRED):
        values = self.take(name, list, "a list of strings", default)
        if not all(isinstance(value, str) for value in values):
            self.fail(name, f"expected a list of strings, got {_show(values)}")
        return values

    def band(self, name):
        value = self.take(name, list, "[low, high]")
        numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
        right = len(value) == len(numbers) == 2 and -_LARGEST <= value[0] <= value[1] <= _LARGEST
        if not right:
            self.fail(name, f"expected [low, high], got {_show(value)}")
        return (float(value[0]), float(value[1]))

    def table(self, name, default=_REQUIRED):
        value = self.take(name, dict, "a table", default)
        return _Table(value, self._full(name), self.file)

    def rest(self):
        return [key for key in self.data if key not in self.asked]

    def end(self):
        for key in self.rest():
            self.fail(key, f"unknown key; {nearest(key, self.asked)}")


def _is_file(path, kind=Path.is_file):
    try:
        return kind(path)
    except OSError:  # a name that is too long for the file system
        return False


def _show(value):
    return json.dumps(value, ensure_ascii=False, default=str)
