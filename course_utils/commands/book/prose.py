r"""Chapters as text: prose without code and formulas, headings, links between pages, equations.

An equation has its number in the notebook, as `\tag{1.2}`, so that Jupyter, a code host and the
book show the same one. A sentence says "(1.2)", in the book a link to it; from another chapter it
may be written ([1.2](01_convolution.ipynb)), which is a link in Jupyter, too.
"""

import re

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$", re.MULTILINE)
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1", re.MULTILINE | re.DOTALL)
NO_PROSE = re.compile(
    rf"{FENCE.pattern.replace('.*?', '(?s:.*?)')}|`[^`]*`|\$\$(?s:.*?)\$\$|\$[^$\n]+\$",
    re.MULTILINE,
)
TAGGED = re.compile(r"^\$\$\n((?:(?!\$\$).)*?)\n?\\tag\{(\d+\.\d+)\}\n\$\$$", re.M | re.S)
MENTION = re.compile(r"\((?:(\d+\.\d+)|\[(\d+\.\d+)\]\(\d+_\w+\.ipynb\))\)")


def markdown_of(notebook):
    """Sources of the Markdown cells, in order."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def prose_of(notebook):
    """The chapter's text without its code and its formulas."""
    return NO_PROSE.sub("\0", "\n\n".join(markdown_of(notebook)))


def without_fences(source):
    """The same text, with fenced code blanked out so that a comment in it is no heading."""
    return FENCE.sub(lambda match: " " * len(match[0]), source)


def in_prose(pattern, replace, source):
    """`pattern.sub(replace, source)`, but code and formulas stay as they are."""
    parts, at = [], 0
    for match in NO_PROSE.finditer(source):
        parts += [pattern.sub(replace, source[at : match.start()]), match[0]]
        at = match.end()
    return "".join([*parts, pattern.sub(replace, source[at:])])


def headings(source):
    """[(level, text)] of a Markdown text, without its markup."""
    return [
        (len(marks), re.sub(r"[*`$\[\]]|\]\([^)]*\)", "", text))
        for marks, text in HEADING.findall(without_fences(source))
    ]


def slug(heading):
    """The anchor that MyST gives to a heading (the rule of GitHub)."""
    return re.sub(r"[^\w\- ]", "", heading.lower().replace(" ", "-"))


def sections(notebook, kind):
    """[(anchor, source)] of the cells of one kind, "markdown" or "code": where each of them stands.

    The anchor is that of the last heading of level 2 or 3 at or before the cell, "" before them.
    A cell with several headings comes once for each of them, cut at the headings.
    """
    anchor, found, seen = "", [], set()
    for cell in notebook.cells:
        if cell.cell_type == "code" == kind:
            found.append((anchor, cell.source))
        if cell.cell_type != "markdown":
            continue
        blank, cuts = without_fences(cell.source), [0]
        cuts += [match.start() for match in HEADING.finditer(blank)]
        for start, end in zip(cuts, [*cuts[1:], len(cell.source)], strict=True):
            part = cell.source[start:end]
            level, text = (headings(part) or [(0, "")])[0]
            if level in (2, 3) and slug(text) not in seen:  # MyST numbers those that come again
                anchor = slug(text)
                seen.add(anchor)
            if kind == "markdown" and part.strip():
                found.append((anchor, part))
    return found


def page_link(chapter, anchor=""):
    """Markdown: a link to a chapter's page or a section of it; its number keeps to its title."""
    target = f"{chapter.name}.ipynb" + (f"#{anchor}" if anchor else "")
    return f"[{chapter.number}\u00a0·\u00a0{chapter.title}]({target})"


def equation_numbers(notebook):
    """The numbers of a chapter's equations, in order."""
    return [number for source in markdown_of(notebook) for _, number in TAGGED.findall(source)]


def number_equations(source, pages):
    """Markdown with an anchor at every numbered equation, and links from where it is mentioned.

    pages: number of an equation -> the page that has it, such as "01_convolution.html".
    """

    def anchored(match):
        body, number = match.groups()
        return (
            f"```{{math}}\n:nowrap:\n:label: eq-{number.replace('.', '-')}\n"
            f"\\begin{{equation}}\n{body}\n\\tag{{{number}}}\n\\end{{equation}}\n```"
        )

    def linked(match):
        number = match[1] or match[2]
        if number not in pages:
            return match[0]
        return f'<a href="{pages[number]}#equation-eq-{number.replace(".", "-")}">({number})</a>'

    return TAGGED.sub(anchored, in_prose(MENTION, linked, source))
