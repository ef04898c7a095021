"""How a Result looks: as text, for terminals and tests, and as HTML, for notebooks."""

import base64
import html
import io
import re
import textwrap

import torch

from course_utils.exercises.checker.compare import is_plain
from course_utils.exercises.checker.declare import Raises

MOST_CELLS = 8  # rows and columns of an array that are shown
IMAGE_SIZE = 12  # planes with at least so many rows and columns are shown as images too
MOST_LINES = 10  # of what the learner's code printed

_STYLE = {
    "passed": ("✅", "#2e7d32"),
    "wrong": ("❌", "#c62828"),
    "not attempted": ("⬜", "#757575"),
}
_WRONG_CELL = "background:rgba(230,80,60,.28);outline:2px solid #c62828;font-weight:bold;"


def display_both(text, rich, kind="html"):
    """Display `rich`, HTML or Markdown, in a notebook, its text beside it; else print the text."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(text)
    else:
        display({"text/plain": text, f"text/{kind}": rich}, raw=True)


def as_text(result):
    """The Result as plain text; the same every time, with no time or path in it."""
    exercise, failure = result.exercise, result.failure
    parts = [f"{_STYLE[result.status][0]} {exercise.id} {exercise.title}: {result.status}"]
    if failure is not None:
        note = failure.prepared.case.note
        boxes = [("called", call_line(failure)), *_arguments(failure)]
        boxes += [("why this case", note)] if note else []
        for title, *value in [*boxes, *_findings(failure)]:
            parts.append(f"{title}\n{textwrap.indent(value_text(*value), '    ')}")
    return "\n".join([*parts, result.diagnosis] if result.diagnosis else parts)


def as_html(result):
    """The Result as one self-contained piece of HTML. All that comes from a learner is escaped."""
    exercise, failure = result.exercise, result.failure
    mark, colour = _STYLE[result.status]
    parts = [f"{mark} <b>{exercise.id}</b> {html.escape(exercise.title)}: {result.status}"]
    if failure is not None:
        note = failure.prepared.case.note
        line = f"<code>{html.escape(call_line(failure))}</code>"
        parts.append(f"<div>{line}{' – ' + html.escape(note) if note else ''}</div>")
        parts.append("<div style='display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start'>")
        for title, *value in [*_arguments(failure), *_findings(failure)]:
            small = f"<small>{html.escape(title)}</small>{value_html(*value)}"
            parts.append(f"<div style='max-width:100%;overflow:auto'>{small}</div>")
        parts.append("</div>")
    if result.diagnosis:
        words = re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(result.diagnosis))
        parts.append(f"<p style='margin:.5em 0 0'><b>{words}</b></p>")
    style = f"border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0"
    return f"<div style='{style}'>{''.join(parts)}</div>"


# What there is to say about a failure: (title, text) or (title, tensor[, differing cells, marked])


def _arguments(failure):
    for name, value in failure.arguments.items():
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            yield f"{name}, {dtype} {tuple(value.shape)}", value
        elif not _fits(value):
            yield name, repr(value)


def _findings(failure):
    outcome, found = failure.outcome, failure.difference
    if outcome.trouble is not None:
        yield "exception", str(outcome.trouble)
    elif isinstance(failure.prepared.expected, Raises):
        yield "returned", brief(outcome.result)
    elif found is not None:
        place = f" gradient for {failure.gradient_of}" if failure.gradient_of else ""
        place += f" at {found.where}" if found.where else ""
        expected, actual = (
            value if is_plain(value) else brief(value) for value in (found.expected, found.actual)
        )
        if failure.exercise.reveals:
            yield f"expected{place}", expected, found.cells
        yield f"yours{place}: {found.words}", actual, found.cells, True
    lines = outcome.printed.rstrip().splitlines()
    more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    if lines:
        yield "printed", "\n".join(line[:200] for line in lines[:MOST_LINES] + more)


def call_line(failure):
    """The call as the learner would type it; arrays, networks and all that is long by name."""
    parts = (
        f"{name}={brief(value)}" if _fits(value) else name
        for name, value in failure.arguments.items()
    )
    return f"{failure.exercise.name}({', '.join(parts)})"


def _fits(value):
    """Whether a value can stand in the line of the call, whole."""
    return not isinstance(value, torch.Tensor) and len(repr(value)) <= 60


def brief(value):
    """A value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else text[:117] + "…"


def value_text(value, cells=None, marked=False):
    """Text as it is; of a tensor a plane as a table, differing cells in brackets."""
    if isinstance(value, str):
        return value
    words, rows = _excerpt(value, cells, marked)
    shown = [[f"[{text}]" if wrong else f"{text} " for text, wrong in row] for row in rows]
    width = max((len(text) for row in shown for text in row), default=0)
    lines = [" ".join(text.rjust(width) for text in row).rstrip() for row in shown]
    return "\n".join(([words] if words else []) + (lines or ["empty"]))


def value_html(value, cells=None, marked=False):
    """The same as HTML, the table below an image if the plane is large."""
    if isinstance(value, str):
        return f"<pre style='margin:0'>{html.escape(value)}</pre>"
    words, rows = _excerpt(value, cells, marked)
    td = "<td style='text-align:right;padding:2px 6px;{}'>{}</td>".format
    trs = ("".join(td(_WRONG_CELL * wrong, text) for text, wrong in row) for row in rows)
    table = "".join(f"<tr>{tr}</tr>" for tr in trs)
    table = f"<table style='font-family:monospace;margin:0'>{table}</table>" if rows else "empty"
    words = f"<div><small>{words}</small></div>" if words else ""
    return image_html(value, cells, marked) + words + table


def _excerpt(tensor, cells, marked):
    """What to show of a tensor: at most MOST_CELLS rows and columns of its `_plane`.

    Returns words that say which part it is, and rows of (number as text, whether to mark it).
    """
    plane, wrong, first = _plane(tensor, cells)
    words = [f"at {first[:-2]}"] if plane.numel() and tensor.shape[:-2].numel() > 1 else []
    for axis, name in enumerate(("rows", "columns")):
        size = plane.shape[axis]
        if size > MOST_CELLS:
            start = min(max(0, first[axis - 2] - 2), size - MOST_CELLS)
            plane, wrong = (t.narrow(axis, start, MOST_CELLS) for t in (plane, wrong))
            words.append(f"{name} {start}–{start + MOST_CELLS - 1} of {size}")
    rows = [
        [(f"{v:z.4g}" if isinstance(v, float) else str(v), bad and marked) for v, bad in pairs]
        for pairs in map(zip, plane.tolist(), wrong.tolist())
    ]
    return ", ".join(words), rows


def _plane(tensor, cells):
    """The last two axes at the first differing cell: (plane, its part of cells, that cell).

    cells: bool tensor of the same shape, or None. Without a differing cell it is the first plane.
    """
    tensor = tensor.detach().cpu()
    cells = torch.zeros(tensor.shape, dtype=torch.bool) if cells is None else cells
    tensor, cells = torch.atleast_2d(tensor, cells)
    if not tensor.numel():
        return tensor.new_zeros(0, 0), cells.new_zeros(0, 0), [0, 0]
    first = cells.nonzero()[0].tolist() if cells.any() else [0] * tensor.ndim
    plane = tuple(first[:-2])
    return tensor[plane], cells[plane], first


def image_html(tensor, cells=None, marked=False):
    """The whole plane, dark to bright, marked cells tinted red; "" if it is too small for that."""
    from PIL import Image

    plane, wrong, _ = _plane(tensor, cells)
    if min(plane.shape) < IMAGE_SIZE:
        return ""
    plane = plane.double().nan_to_num()
    low, high = plane.aminmax()
    pixels = ((plane - low) / (high - low or 1) * 255)[..., None].repeat(1, 1, 3)
    if marked:
        pixels[wrong] = pixels[wrong] * 0.4 + pixels.new_tensor([153, 0, 0])
    file = io.BytesIO()
    Image.fromarray(pixels.round().to(torch.uint8).numpy()).save(file, "png")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f"<img alt='as an image' src='data:image/png;base64,{data}' "
        "style='width:10em;image-rendering:pixelated;display:block'>"
    )
