"""The references: every work that a chapter names, by name and year, on one page.

Source: `references.md` beside the chapters, a list item for each:

    - Zhang (2019): *Making convolutional networks shift-invariant again*. ICML. <https://…>

A chapter's further reading has items of the same form, with "and others" and a shorter title if it
likes; in the book they are links to the page.
"""

import re
from dataclasses import dataclass
from html import escape

from course_utils.commands.book.prose import prose_of, slug
from course_utils.commands.book.templates import render
from course_utils.errors import BookError

FILE = "references.md"
ITEM = re.compile(r"^- ([^\n(*]+?) \((\d{4})\):\s+\*([^*]+)\*(.*(?:\n  .*)*)", re.MULTILINE)

NAMED = re.compile(
    r"\b([A-ZÀ-Þ][\w-]+)(?:(?:,|,?\sand)\s[A-ZÀ-Þ][\w-]+|\sand\sothers|\set\sal\.)*"
    r"(?:,\s|\s\()((?:19|20)\d\d)\b"
)


@dataclass(frozen=True)
class Reference:
    authors: str
    year: int
    title: str
    rest: str  # where it appeared, and its address

    @property
    def key(self):
        """What a sentence names it by: first author and year."""
        return first_author(self.authors), self.year

    @property
    def anchor(self):
        return f"ref-{slug(self.key[0])}-{self.year}-{slug(self.title.split()[0])}"

    def is_named(self, authors, year, title):
        """Whether the item of a chapter's further reading means this work."""
        same = (first_author(authors), int(year)) == self.key
        return same and _words(self.title).startswith(_words(title))


def first_author(authors):
    return re.split(r",| and ", authors)[0]


def _words(title):
    """A title without marks and capitals."""
    return re.sub(r"\W+", " ", title).strip().lower()


def read_references(path):
    """The works of the file, in its order."""
    text = path.read_text(encoding="utf-8")
    items = [
        (m[1], int(m[2]), *(" ".join(m[i].split()) for i in (3, 4))) for m in ITEM.finditer(text)
    ]
    found = [Reference(*item) for item in items]
    if len(found) != len(re.findall(r"^- ", text, re.MULTILINE)):
        raise BookError(f"{path.name}: an item is not of the form “Name (year): *Title*. …”")
    return found


def named_in(notebook):
    """{(first author, year)} of the works that a chapter's prose names, in any of the usual forms:
    "Zhang (2019)", "He and others, 2015", "(Lin, Chen and Yan, 2014)"."""
    return {(match[1], int(match[2])) for match in NAMED.finditer(prose_of(notebook))}


def link_references(source, references):
    """Further reading whose names are links to the page; what the page lacks stays as it is."""

    def linked(match):
        authors, year, title, rest = match.groups()
        for work in references:
            if work.is_named(authors, year, title):
                name = f'<a href="references.html#{work.anchor}">{escape(authors)} ({year})</a>'
                return f"- {name}: *{title}*{rest}"
        return match[0]

    return ITEM.sub(linked, source)


def references_page(references, manifest, notebooks):
    """MyST source of the page: works by year, then by name, each with the chapters that name it."""
    named = [(chapter, named_in(notebooks[chapter.name])) for chapter in manifest.chapters]
    works = [
        (work, [chapter for chapter, works in named if work.key in works])
        for work in sorted(references, key=lambda work: (work.year, work.authors, work.title))
    ]
    return render("references.md", works=works)
