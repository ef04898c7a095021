"""book.toml: what the book is made of, read and checked once.

Everything that reads a chapter's title, its settings or its published band gets it from here.
Keys that no code uses are errors, so a slip of the pen cannot pass for a setting.
"""

import json
import textwrap
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from os.path import expanduser, isdir, isfile
from pathlib import Path

from course_utils.errors import ManifestError
from course_utils.settings import REPOSITORY, absolute

FILE_NAME = "book.toml"
PROFILES = ("quick", "full")
SCHEMA = Path(__file__).with_name("manifest.schema.json")
_LONGEST = 400  # characters of a message; a file can hold any nonsense


@dataclass(frozen=True)
class Book:
    title: str
    authors: list[str]
    src: Path  # folder with the chapters, absolute
    language: str = "en"
    description: str = ""


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
    summary: str
    needs: list[str] = field(default_factory=list)
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
    from jsonschema import Draft4Validator  # not for those who only want `nearest`

    path = absolute(path).resolve() if path is not None else find_manifest()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # more than tomllib's own: digits, depth, bytes
        raise ManifestError(f"{path}: is not valid TOML: {error}") from None
    for error in Draft4Validator(json.loads(SCHEMA.read_text("utf-8"))).iter_errors(data):
        raise _named(path, error)
    root, book, html = path.parent, data["book"], data.get("output", {}).get("html", {})
    src = root / expanduser(book.pop("src", "src"))
    chapters = []
    for entry in data["chapter"]:
        chapters.append(_chapter(path, entry, src, chapters, check_files))
    return Manifest(
        path=path,
        root=root,
        book=Book(**book, src=src),
        build_dir=root / expanduser(data.get("build", {}).get("build-dir", "build")),
        html=Html(**{key.replace("-", "_"): value for key, value in html.items()}),
        profiles=data["profiles"],
        chapters=chapters,
    )


def _chapter(path, entry, src, earlier, check_files):
    """The Chapter of a table; what the schema cannot see is checked here."""

    def wrong(key, message):
        return _wrong(path, ["chapter", len(earlier), *key], message)

    file, names = entry.pop("file"), [chapter.name for chapter in earlier]
    number = int(file.partition("_")[0])
    for position, chapter in enumerate(earlier, 1):
        if chapter.number == number:
            raise wrong(["file"], f"chapter[{position}] is number {number} already")
    if check_files and not isfile(src / file):  # a name may be too long for Path's own is_file
        present = [found.name for found in src.glob("*.ipynb")] if isdir(src) else []
        raise wrong(["file"], f"there is no {file} in {src.name}/; {nearest(file, present)}")
    for need in entry.get("needs", []):
        if need not in names:
            raise wrong(["needs"], f'"{need}" is not an earlier chapter; {nearest(need, names)}')
    bands = entry.pop("published", {})
    source = bands.pop("source", None)
    for key, (low, high) in bands.items():
        if not low <= high:  # or one is no number
            raise wrong(["published", key], f"expected [low, high], got [{low}, {high}]")
        bands[key] = (float(low), float(high))
    name = file.removesuffix(".ipynb")
    return Chapter(
        src / file, name, number, published=bands or None, published_source=source, **entry
    )


def _named(path, error):
    """The ManifestError for an error of jsonschema."""
    keys, table, known = (
        [*error.absolute_path],
        error.instance,
        [*error.schema.get("properties", [])],
    )
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in table)
        close = get_close_matches(missing, [key for key in table if key not in known], n=1)
        hint = "".join(f' ("{key}" looks like it)' for key in close)
        return _wrong(path, [*keys, missing], f"is missing{hint}")
    if error.validator == "additionalProperties":
        unknown = next(key for key in table if key not in known)
        return _wrong(path, [*keys, unknown], f"unknown key; {nearest(unknown, known)}")
    example = f", as {error.schema['title']} does" if "title" in error.schema else ""
    return _wrong(path, keys, error.message + example)


def _wrong(path, keys, message):
    key = "".join(f"[{key + 1}]" if isinstance(key, int) else f".{key}" for key in keys)[1:]
    text = f"{path.name}: {key}: {message}"
    return ManifestError(textwrap.shorten(text, _LONGEST, placeholder=" …"))
