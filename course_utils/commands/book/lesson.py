"""How long a chapter is: its core, what is folded away, and its exercises, each by itself.

A fold is a section whose heading begins with "Under the hood": JupyterLab shows it collapsed, the
book closed, and it runs like all the rest. A code cell tagged `hide-input` shows what it makes and
keeps its code closed. An exercise is its task and what follows, up to the cell tagged `hint`.
"""

from dataclasses import dataclass

from course_utils.commands.book.prose import HEADING, without_fences
from course_utils.commands.notebooks import FOLD, HIDDEN_TAG, TASK, tags_of

CORE, FOLDED, EXERCISES = "core", "folded", "exercises"

WORDS_A_MINUTE = 130  # of text that one stops to think about
LINES_A_MINUTE = 10  # of code that one follows


@dataclass
class Length:
    """words: of text, fenced code not counted. lines: of code, empty ones not counted. minutes: of
    reading, or as exercises state them."""

    words: int = 0
    lines: int = 0
    minutes: float = 0

    def add_text(self, text):
        words = len(without_fences(text).split())
        self.words += words
        self.minutes += words / WORDS_A_MINUTE

    def add_code(self, code):
        lines = sum(bool(line.strip()) for line in code.splitlines())
        self.lines += lines
        self.minutes += lines / LINES_A_MINUTE


def lengths(notebook):
    """{CORE: Length, FOLDED: Length, EXERCISES: Length} of a chapter's notebook.

    The further reading at its end is counted nowhere.
    """
    found = {CORE: Length(), FOLDED: Length(), EXERCISES: Length()}
    for part, kind, source in parts(notebook):
        if part == EXERCISES:
            task = TASK.match(source)
            found[part].minutes += int(task[1]) if task else 0
        elif part and kind == "markdown":
            found[part].add_text(source)
        elif part:
            found[part].add_code(source)
    return found


def parts(notebook):
    """[(part, cell type, source)], in order; the part is None in the further reading.

    A Markdown cell with headings comes in pieces, cut at each of them.
    """
    found, part, level, task = [], CORE, 0, False  # level: of the heading that set the part
    for cell in notebook["cells"]:
        kind, source, tags = cell["cell_type"], cell["source"], tags_of(cell)
        if kind != "markdown":
            mine = EXERCISES if task else FOLDED if part and HIDDEN_TAG in tags else part
            found.append((mine, kind, source))
            task = task and "hint" not in tags
            continue
        cuts = [0, *(match.start() for match in HEADING.finditer(without_fences(source)))]
        for start, end in zip(cuts, [*cuts[1:], len(source)], strict=True):
            piece = source[start:end]
            heading = HEADING.match(piece)
            if heading and (part == CORE or len(heading[1]) <= level):
                part = FOLDED if heading[2].startswith(FOLD) else CORE
                part = None if heading[2] == "Further reading" else part
                level = len(heading[1])
            task = task or bool(TASK.match(piece))
            found.append((EXERCISES if task else part, kind, piece))
    return found
