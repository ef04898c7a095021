"""The glossary: terms of the field in English and Chinese, each with where it is explained.

Source: `glossary.md` beside the chapters. An entry is two lines, the number is its chapter's:

    receptive field · 感受野 · 01
    : The pixels of the input that can change an output.

Further names of the same thing follow the first, "shortcut = skip connection · 残差连接 · 08"; the
search knows them all.
"""

import re
from dataclasses import dataclass

from course_utils.commands.book.prose import headings, page_link, sections, slug
from course_utils.commands.book.templates import render
from course_utils.errors import BookError

FILE = "glossary.md"
ENTRY = re.compile(r"^(.+?) · (.+?) · (\d+)\n: (.+(?:\n  .+)*)", re.MULTILINE)

EMPHASIS = re.compile(r"(\*\*|\*)(?=[^\s*])([^*]{1,60})(?<=\S)\1")
ASIDES = ("what-you-will-be-able-to-do", "exercises", "summary", "further-reading")


@dataclass(frozen=True)
class Term:
    names: tuple[str, ...]  # the first is the course's
    chinese_names: tuple[str, ...]
    chapter: int  # number of the chapter that explains it
    text: str

    @property
    def name(self):
        return self.names[0]

    @property
    def chinese(self):
        return self.chinese_names[0]


def read_glossary(path):
    """The terms of the file, in its order.

    Raises BookError if lines are left over or a term comes twice.
    """
    # behind its title, and how to write it
    _, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    body = body[body.find("\n## ") + 1 :]
    body = re.sub(r"^## .*\n", "", body, flags=re.MULTILINE)
    terms = [
        Term(*(tuple(m[i].split(" = ")) for i in (1, 2)), int(m[3]), " ".join(m[4].split()))
        for m in ENTRY.finditer(body)
    ]
    rest = ENTRY.sub("", body).split("\n")
    if wrong := [line for line in rest if line.strip()]:
        raise BookError(f"{path.name}: no entry, but: {wrong[0]}")
    names = [name.lower() for term in terms for name in term.names]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BookError(f"{path.name}: twice: {', '.join(sorted(twice))}")
    return terms


def in_order(terms):
    """As the page has them."""
    return sorted(terms, key=lambda term: term.name.lower())


def section_of(term, notebook):
    """Anchor of the section that explains the term; None if the notebook does not have it.

    The first one that has it in its heading or sets it off in *italics* or **bold**, as a term is
    that is being introduced; else the first that has it at all.
    """
    words = re.compile(r"\s+".join(map(re.escape, term.name.split())), re.IGNORECASE)
    places = [place for place in sections(notebook, "markdown") if place[0] not in ASIDES]
    for text_of in (_set_off, str):
        for anchor, text in places:
            if words.search(text_of(text)):
                return anchor
    return None


def _set_off(text):
    """The headings and the emphasised words of a text."""
    titles = [title for _, title in headings(text)]
    return "\n".join(titles + [words for _, words in EMPHASIS.findall(text)])


def glossary_page(terms, manifest, notebooks):
    """MyST source of the page.

    Raises BookError for a term that its chapter does not contain.
    """
    chapters = {chapter.number: chapter for chapter in manifest.chapters}
    entries = []
    for term in in_order(terms):
        chapter = chapters.get(term.chapter)
        anchor = chapter and section_of(term, notebooks[chapter.name])
        if anchor is None:
            raise BookError(f"{FILE}: “{term.name}” is not in chapter {term.chapter}")
        entries.append((term, slug(term.name), page_link(chapter, anchor)))
    return render("glossary.md", entries=entries)
