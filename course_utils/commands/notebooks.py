"""What every command knows of notebooks: files as plain data, and text that others wrote.

A file may be a learner's or a student's: nothing here believes that it is well formed.
"""

import ast
import json
import os
import re

from course_utils.commands.manifest import nearest
from course_utils.errors import RunError

INJECTED_TAG = "injected-parameters"  # papermill's name for the cell that it adds
HIDDEN_TAG = "hide-input"  # MyST's name: what the cell makes is shown, its code is closed
SKIP_TAG = "skip-execution"  # Jupyter's own
# [text](03_lenet.ipynb#section), but no picture; the number is the second group
CHAPTER_LINK = re.compile(r"(?<!!)\[([^\]\[]+)\]\((\d+)_\w+\.ipynb(?:#[^)]*)?\)")
# the first line of an exercise; the group: its minutes
TASK = re.compile(r"\*\*\d\d\.\d+ [^*]+\*\*[^(]*\((?:[a-z-]+, )?(\d+) minutes?\)")
FOLD = "Under the hood"  # how the heading of a folded section begins
# what an empty notebook of ours says about itself
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
# Control characters, with which text could move the cursor or worse (also the C1 set, where one
# character begins a command); those that reverse the order of letters; lone surrogates.
_UNSEEN = re.compile(
    "[^\t\n\u0020-\u007e\u00a0-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def read_notebook(path):
    """The notebook as nested dicts and lists; every cell has a text as its "source".

    Whatever UTF it is in, with a byte-order mark or without; nbformat 3 is read as if it were 4.
    Raises RunError if the file cannot be read or is no notebook.
    """
    try:
        notebook = json.loads(path.read_bytes())
        if "worksheets" in notebook:
            notebook["cells"] = [c for sheet in notebook.pop("worksheets") for c in sheet["cells"]]
        for cell in notebook["cells"]:
            source = cell.pop("input") if "input" in cell else cell["source"]
            cell["source"] = "".join(source)
            cell["cell_type"] = str(cell["cell_type"])
            cell["metadata"] = dict(cell.get("metadata", {}))
        notebook["metadata"] = dict(notebook["metadata"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{path.name} is not a notebook ({type(error).__name__})") from None
    return notebook


def tags_of(cell):
    """The tags of a cell, none if the file says something else there."""
    tags = cell["metadata"].get("tags")
    return tags if isinstance(tags, list) else []


def code_cells(notebook):
    """Sources of the code cells, in order."""
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown_as(notebook, mime):
    """What a notebook's outputs (as nbformat reads them) hold under a MIME type, in order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data[mime] for output in outputs if mime in output.get("data", {})]


def parameter_cell(notebook):
    """Name -> expression (an `ast` node) in the notebook's `parameters` cell; None if it has none.

    Raises RunError if the file is not a notebook or the cell is not Python.
    """
    for cell in read_notebook(notebook)["cells"]:
        if "parameters" not in tags_of(cell):
            continue
        try:
            tree = ast.parse(cell["source"])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = getattr(error, "msg", None) or str(error) or type(error).__name__
            raise RunError(f"{notebook.name}: the parameters cell: {why}") from None
        found = {}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            found |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
        return found
    return None


def select_chapters(manifest, names):
    """Chapters for what users write – 3, 03, lenet, 03_lenet, a path –, in the book's order.

    Raises RunError with the nearest names for an unknown one.
    """
    if not names:
        return list(manifest.chapters)
    chosen = set()
    for name in names:
        bare = str(name).removesuffix(".ipynb")
        matches = [
            chapter.name
            for chapter in manifest.chapters
            if bare in (chapter.name, chapter.topic)
            or (bare.isdecimal() and int(bare) == chapter.number)
            or (os.sep in str(name) and os.path.realpath(name) == os.path.realpath(chapter.file))
        ]
        if not matches:
            known = [n for chapter in manifest.chapters for n in (chapter.name, chapter.topic)]
            close = nearest(bare, known)
            if close.startswith("known"):
                close = nearest(bare, [chapter.name for chapter in manifest.chapters])
            raise RunError(f"unknown chapter {name!r}; {close}")
        chosen.update(matches)
    return [chapter for chapter in manifest.chapters if chapter.name in chosen]


def plain(text):
    """Text without colours and without what neither XML, UTF-8 nor a terminal should get."""
    text = COLOUR_CODES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub("", text)
