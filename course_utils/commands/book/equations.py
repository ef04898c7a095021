r"""Numbered equations: `\tag{1.2}` in a chapter, "(1.2)" in a sentence, in the book a link to it.

The number stands in the notebook, so that Jupyter, a code host and the book show the same one.
From another chapter it may be written ([1.2](01_convolution.ipynb)), a link in Jupyter, too.
"""

import re

from course_utils.commands.book.prose import in_prose

TAGGED = re.compile(r"^\$\$\n((?:(?!\$\$).)*?)\n?\\tag\{(\d+\.\d+)\}\n\$\$$", re.M | re.S)
MENTION = re.compile(r"\((?:(\d+\.\d+)|\[(\d+\.\d+)\]\(\d+_\w+\.ipynb\))\)")


def tags_of(notebook):
    """The numbers of a chapter's equations, in order."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    return [number for cell in cells for _, number in TAGGED.findall(cell.source)]


def mentions_of(notebook):
    """The numbers that a chapter's prose refers to."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            in_prose(MENTION, lambda match: found.append(match[1] or match[2]) or "", cell.source)
    return found


def number_equations(source, pages):
    """Markdown with an anchor at every numbered equation, and links from where it is mentioned.

    pages: number of an equation -> the page that has it, such as "01_convolution.html".
    """

    def anchored(match):
        body, number = match.groups()
        return (
            f"```{{math}}\n:nowrap:\n:label: {_label(number)}\n"
            f"\\begin{{equation}}\n{body}\n\\tag{{{number}}}\n\\end{{equation}}\n```"
        )

    def linked(match):
        number = match[1] or match[2]
        if number not in pages:
            return match[0]
        return f'<a href="{pages[number]}#equation-{_label(number)}">({number})</a>'

    return TAGGED.sub(anchored, in_prose(MENTION, linked, source))


def _label(number):
    return f"eq-{number.replace('.', '-')}"
