"""The references: every work that a chapter names, by name and year, on one page.

Source: `references.md` beside the chapters, a list item for each:

    - Zhang (2019): *Making convolutional networks shift-invariant again*. ICML. <https://…>

A chapter's further reading has items of the same form, with "and others" and a shorter title if it
likes; in the book they are links to the page.
"""

import re
from dataclasses import dataclass
from html import escape

from course_utils.commands.book.prose import in_prose, slug
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
    def anchor(self):
        return f"ref-{slug(first_author(self.authors))}-{self.year}-{slug(self.title.split()[0])}"

    def is_named(self, authors, year, title):
        """Whether the item of a chapter's further reading means this work."""
        same = first_author(authors) == first_author(self.authors) and int(year) == self.year
        return same and _plain(self.title).startswith(_plain(title))


def first_author(authors):
    return re.split(r",| and ", authors)[0]


def _plain(title):
    return re.sub(r"\W+", " ", title).strip().lower()


def read_references(path):
    """The works of the file, in its order."""
    text = path.read_text(encoding="utf-8")
    found = [Reference(m[1], int(m[2]), " ".join(m[3].split()), m[4]) for m in ITEM.finditer(text)]
    if len(found) != len(re.findall(r"^- ", text, re.MULTILINE)):
        raise BookError(f"{path.name}: an item is not of the form “Name (year): *Title*. …”")
    return found


def named_in(notebook):
    """{(first author, year)} of the works that a chapter's prose names, in any of the usual forms:
    "Zhang (2019)", "He and others, 2015", "(Lin, Chen and Yan, 2014)"."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = {}
    in_prose(NAMED, lambda match: found.setdefault((match[1], int(match[2]))) or "", text)
    return set(found)


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
    lines = [
        "# References",
        "",
        "The works that the chapters name, in the order of their years.",
        "",
    ]
    for work in sorted(references, key=lambda work: (work.year, work.authors, work.title)):
        where = [
            f"[{chapter.number}]({chapter.name}.ipynb#further-reading)"
            for chapter, items in named
            if (first_author(work.authors), work.year) in items
        ]
        lines.append(
            f'- <span id="{work.anchor}">{work.authors} ({work.year})</span>: '
            f"*{work.title}*{' '.join(work.rest.split())}"
            + (f" Chapter{'s' * (len(where) > 1)} {', '.join(where)}." if where else "")
        )
    return "\n".join(lines) + "\n"
