"""The book's search: what search.js looks through, written when the book is built.

Sphinx's own knows no second name of a thing, reads its excerpts from other files, which a page on
disk may not, and ranks a listing like a chapter. Here every section of every page is an entry, and
a term's names in both languages (glossary.md) find what any of them finds.
"""

import json

from docutils import nodes

from course_utils.commands.book import glossary, printing

FILE = "searchindex.js"
SCRIPT = "search.js"
LEFT_OUT = ("search", printing.PAGE)
LISTING = "source"  # such a page is reached by the index of functions, which has its names
ASIDE = 0.6  # weight of a page, or a section, that explains nothing itself; of a chapter's: 1


class Index:
    """Collects the pages of a Sphinx application while it writes them."""

    def __init__(self, app, manifest):
        self.chapters = {chapter.name: chapter for chapter in manifest.chapters}
        path = manifest.book.src / glossary.FILE
        self.terms = glossary.read_glossary(path) if path.is_file() else []
        self.pages, self.explained = [], {}
        app.connect("doctree-resolved", self._add)

    def _add(self, app, doctree, name):
        if name in LEFT_OUT or name.startswith(LISTING):
            return
        chapter = self.chapters.get(name)
        if name == "glossary":
            self._add_terms(doctree)
        self.pages.append(
            {
                "url": f"{name}.html",
                "title": f"{chapter.number} · {chapter.title}" if chapter else None,
                "about": chapter.summary if chapter else "",
                "weight": 1 if chapter else ASIDE,
                "sections": [entry for s in doctree.children for entry in _entries(s)],
            }
        )

    def _add_terms(self, page):
        """Where each term is explained: the link at the end of its entry."""
        terms, entries = glossary.in_order(self.terms), page.findall(nodes.definition)
        for term, entry in zip(terms, entries, strict=True):
            self.explained[term.name] = list(entry.findall(nodes.reference))[-1]["refuri"]

    def write(self, site):
        """Write the index over Sphinx's, as a script: a page on disk may fetch nothing."""
        terms = [
            {
                "names": [*term.names, *term.chinese_names],
                "text": term.text,
                "anchor": f"term-{glossary.slug(term.name)}",
                "explained": self.explained[term.name],
            }
            for term in self.terms
        ]
        index = {"pages": self.pages, "terms": terms}
        text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
        (site / FILE).write_text(f"const SEARCH_INDEX = {text};\n", encoding="utf-8")


def _entries(section, level=1):
    """[[level, anchor, title, text]] of a section of a doctree and of those inside it."""
    if not isinstance(section, nodes.section):
        return
    inside = [child for child in section.children if isinstance(child, nodes.section)]
    own, tasks = _apart(c for c in section if not isinstance(c, nodes.section | nodes.title))
    anchor = section["ids"][0] if level > 1 else ""
    yield [level, anchor, _text(section.next_node(nodes.title)), _joined(own)]
    if tasks:
        yield [level + 1, anchor, "Exercises", _joined(tasks)]
    for child in inside:
        yield from _entries(child, level + 1)


def _apart(children):
    """What a section says, and the exercises in it, which stand between the marks of a frame."""
    said, tasks, framed = [], [], False
    for child in children:
        if isinstance(child, nodes.raw):
            framed = "exercise" in child.astext() or (framed and "</div>" not in child.astext())
        (tasks if framed else said).append(child)
    return said, tasks


def _joined(children):
    return " ".join(filter(None, map(_text, children)))


def _text(node):
    """What a reader reads there, but for what cells print."""
    if isinstance(node, nodes.raw | nodes.Invisible) or "cell_output" in node.get("classes", []):
        return ""
    if isinstance(node, nodes.TextElement):
        parts = (t for t in node.findall(nodes.Text) if not isinstance(t.parent, nodes.raw))
        return " ".join("".join(parts).split())
    inside = (c for c in node.children if isinstance(c, nodes.Element))
    return _joined(inside)
