"""Notebook files as plain data, for what must also read a learner's or a student's file."""

import json

from course_utils.errors import RunError


def read_notebook(path):
    """The notebook as nested dicts and lists; every cell has a text as its "source".

    Raises RunError if the file cannot be read or is no notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            cell["cell_type"] = str(cell["cell_type"])
            cell["metadata"] = dict(cell["metadata"])
        notebook["metadata"] = dict(notebook["metadata"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunError(f"{path.name} is not a notebook ({type(error).__name__})") from None
    return notebook


def tags_of(cell):
    """The tags of a cell, none if the file says something else there."""
    tags = cell["metadata"].get("tags")
    return tags if isinstance(tags, list) else []


def code_cells(notebook):
    """Sources of the code cells, in order."""
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
