"""Exercises in the book: hints and solutions become closed boxes, from the one source of each."""

import re

import nbformat

# commented out, or not
_CALL = re.compile(r'^(?:# )?(hint|check|progress_bar|progress_map)\((?:"([\d.]+)")?')


def exercise_cells(cell):
    """A code cell as the book shows it: a list of cells.

    A cell tagged `hint` becomes Markdown with closed boxes, the hints' and the solution's. That
    nothing was attempted says nothing to a reader, and nobody's progress belongs in a book.
    """
    called = _CALL.search(cell.source)
    if called is None:
        return [cell]
    name, id = called[1], called[2]
    if name in cell.metadata.get("tags", []) and id:
        return [nbformat.v4.new_markdown_cell(_boxes(id))]
    if name.startswith("progress"):
        return []
    if name == "check":
        cell.outputs = [o for o in cell.outputs if "not attempted" not in _text(o)]
    return [cell]


def _text(output):
    return output.get("data", {}).get("text/plain", "")


def _boxes(id):
    from course_utils.exercises import book_boxes

    hints, solution, explanation = book_boxes(id)
    boxes = [_box(f"Hint {n} of {len(hints)}", text) for n, text in enumerate(hints, 1)]
    boxes.append(_box("Solution", f"```python\n{solution}```\n\n{explanation}"))
    return "\n\n".join(boxes)


def _box(title, text):
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{dropdown}} {title}\n{text}\n{fence}"
