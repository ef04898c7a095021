"""How a Result looks: as text, for terminals and tests, and as HTML, for notebooks."""

import base64
import html
import struct
import zlib

import torch

from course_utils.exercises.checker.compare import is_plain
from course_utils.exercises.checker.declare import Band, Raises

MOST_CELLS = 8  # rows and columns of an array that are shown
IMAGE_SIZE = 12  # planes with at least so many rows and columns are shown as images too
MOST_LINES = 10  # of what the learner's code printed

_STYLE = {
    "passed": ("✅", "#2e7d32"),
    "wrong": ("❌", "#c62828"),
    "not attempted": ("⬜", "#757575"),
}
_WRONG_CELL = "background:rgba(230,80,60,.28);outline:2px solid #c62828;font-weight:bold;"


def show(result):
    """Display a Result, in a notebook as HTML, else as text."""
    text, page = as_text(result), as_html(result)
    display_both(text, page)


def display_both(text, page):
    """Display HTML in a notebook, with its text beside it; print the text elsewhere."""
    _display(text, {"text/html": page})


def display_markdown(text):
    """Display Markdown in a notebook; print it elsewhere."""
    _display(text, {"text/markdown": text})


def _display(text, rich):
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(text)
    else:
        display({"text/plain": text, **rich}, raw=True)


def as_text(result):
    """The Result as plain text; the same every time, with no time or path in it."""
    exercise = result.exercise
    head = f"{_STYLE[result.status][0]} {exercise.id} {exercise.title}: {result.status}"
    if result.failure is None:
        return head
    parts = [head, *(f"{title}\n{_indent(body)}" for title, body in _texts(result.failure))]
    return "\n".join([*parts, result.diagnosis] if result.diagnosis else parts)


def as_html(result):
    """The Result as one self-contained piece of HTML. All that comes from a learner is escaped."""
    mark, colour = _STYLE[result.status]
    exercise = result.exercise
    head = f"{mark} <b>{exercise.id}</b> {html.escape(exercise.title)}: {result.status}"
    body = ""
    if result.failure is not None:
        body = "".join(_pages(result.failure))
        if result.diagnosis:
            body += f"<p style='margin:.5em 0 0'><b>{_code_html(result.diagnosis)}</b></p>"
    return (
        f"<div style='border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0'>"
        f"{head}{body}</div>"
    )


# What there is to say about a failure, once as (title, text) and once as HTML.


def _texts(failure):
    yield "called", call_line(failure)
    for name, value in _arrays(failure):
        yield f"{name}, {_kind(value)}", array_text(value)
    if failure.prepared.case.note:
        yield "why this case", failure.prepared.case.note
    trouble, found = failure.outcome.trouble, failure.difference
    if trouble is not None:
        yield "exception", _trouble_text(trouble)
    elif isinstance(failure.prepared.expected, Raises):
        yield "returned", brief(failure.outcome.result)
    elif found is not None:
        place = _place(failure)
        cells = found.cells
        if failure.exercise.reveals:
            yield f"expected{place}", value_text(found.expected, cells)
        yield f"yours{place}: {found.words}", value_text(found.actual, cells, marked=True)
    if failure.outcome.printed.strip():
        yield "printed", _shortened(failure.outcome.printed)


def _pages(failure):
    line = f"<code>{html.escape(call_line(failure))}</code>"
    note = failure.prepared.case.note
    yield f"<div>{line}{' – ' + html.escape(note) if note else ''}</div>"
    boxes = [(f"{name}, {_kind(value)}", array_html(value)) for name, value in _arrays(failure)]
    trouble, found = failure.outcome.trouble, failure.difference
    if trouble is not None:
        boxes.append(("exception", _pre(_trouble_text(trouble))))
    elif isinstance(failure.prepared.expected, Raises):
        boxes.append(("returned", _pre(brief(failure.outcome.result))))
    elif found is not None:
        place = _place(failure)
        if failure.exercise.reveals:
            boxes.append((f"expected{place}", value_html(found.expected, found.cells)))
        title = f"yours{place}: {found.words}"
        boxes.append((title, value_html(found.actual, found.cells, marked=True)))
    if failure.outcome.printed.strip():
        boxes.append(("printed", _pre(_shortened(failure.outcome.printed))))
    yield "<div style='display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start'>"
    for title, body in boxes:
        yield f"<div style='max-width:100%;overflow:auto'><small>{html.escape(title)}</small>"
        yield f"{body}</div>"
    yield "</div>"


def call_line(failure):
    """The call as the learner would type it; arrays by their names."""
    parts = []
    for name, value in failure.arguments.items():
        if isinstance(value, torch.Tensor):
            parts.append(name)
        else:
            parts.append(f"{name}={brief(value)}")
    return f"{failure.exercise.name}({', '.join(parts)})"


def brief(value):
    """A value in one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else text[:117] + "…"


def _arrays(failure):
    return [(n, v) for n, v in failure.arguments.items() if isinstance(v, torch.Tensor)]


def _kind(tensor):
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _place(failure):
    place = f" gradient for {failure.gradient_of}" if failure.gradient_of else ""
    return place + (f" at {failure.difference.where}" if failure.difference.where else "")


def _trouble_text(trouble):
    where = f"line {trouble.line}: {trouble.code}\n" if trouble.line is not None else ""
    return f"{where}{trouble.name}: {trouble.message}"


def _shortened(printed):
    lines = printed.rstrip().splitlines()
    more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    return "\n".join(line[:200] for line in lines[:MOST_LINES] + more)


# Arrays


def value_text(value, cells=None, marked=False):
    if is_plain(value):
        return array_text(value, cells, marked)
    if isinstance(value, Band):
        return f"between {value.low:g} and {value.high:g}"
    return brief(value)


def value_html(value, cells=None, marked=False):
    if is_plain(value):
        return array_html(value, cells, marked)
    return _pre(value_text(value))


def array_text(tensor, cells=None, marked=False):
    """A plane of the tensor as a table; differing cells in brackets."""
    plane, wrong, words = excerpt(tensor, cells)
    shown = [
        [f"[{text}]" if marked and bad else f"{text} " for text, bad in zip(row, bads, strict=True)]
        for row, bads in zip(_numbers(plane), wrong.tolist(), strict=True)
    ]
    width = max((len(text) for row in shown for text in row), default=0)
    lines = [" ".join(text.rjust(width) for text in row).rstrip() for row in shown]
    return "\n".join(([words] if words else []) + (lines or ["empty"]))


def array_html(tensor, cells=None, marked=False):
    """The same as an HTML table, below an image if the plane is large."""
    plane, wrong, words = excerpt(tensor, cells)
    rows = []
    for row, bads in zip(_numbers(plane), wrong.tolist(), strict=True):
        tds = [
            f"<td style='text-align:right;padding:2px 6px;{_WRONG_CELL if marked and bad else ''}'>"
            f"{text}</td>"
            for text, bad in zip(row, bads, strict=True)
        ]
        rows.append(f"<tr>{''.join(tds)}</tr>")
    table = f"<table style='font-family:monospace;margin:0'>{''.join(rows)}</table>"
    words = f"<div><small>{words}</small></div>" if words else ""
    return image_html(tensor, cells if marked else None) + words + (table if rows else "empty")


def excerpt(tensor, cells=None):
    """The part of a tensor to show: a plane of at most MOST_CELLS rows and columns.

    cells: bool tensor of the same shape; the part is around the first True.
    Returns (plane, its part of cells, words that say which part it is).
    """
    tensor = tensor.detach().cpu()
    if cells is None or cells.shape != tensor.shape:
        cells = torch.zeros(tensor.shape, dtype=torch.bool)
    while tensor.ndim < 2:
        tensor, cells = tensor[None], cells[None]
    first = cells.nonzero()[0].tolist() if cells.any() else [0] * tensor.ndim
    words = []
    if tensor.numel() == 0:
        return tensor.new_zeros(0, 0), cells.new_zeros(0, 0), ""
    if tensor.ndim > 2 and max(tensor.shape[:-2]) > 1:
        words.append(f"at [{', '.join(map(str, first[:-2]))}]")
    for index in first[:-2]:
        tensor, cells = tensor[index], cells[index]
    for axis, name in ((0, "rows"), (1, "columns")):
        size = tensor.shape[axis]
        if size > MOST_CELLS:
            start = min(max(0, first[-2 + axis] - 2), size - MOST_CELLS)
            tensor = tensor.narrow(axis, start, MOST_CELLS)
            cells = cells.narrow(axis, start, MOST_CELLS)
            words.append(f"{name} {start}–{start + MOST_CELLS - 1} of {size}")
    return tensor, cells, ", ".join(words)


def _numbers(plane):
    """The entries as strings, with as few digits as tell them apart."""
    values = plane.tolist()
    if not plane.is_floating_point():
        return [[str(value) for value in row] for row in values]
    return [[_short(value) for value in row] for row in values]


def _short(value):
    text = f"{value:.4g}"
    return "0" if text == "-0" else text


def image_html(tensor, cells=None):
    """The plane of `excerpt`, whole, as an image; "" if it is too small to be one."""
    tensor = tensor.detach().cpu()
    if tensor.ndim < 2 or min(tensor.shape[-2:]) < IMAGE_SIZE or not tensor.numel():
        return ""
    first = [0] * tensor.ndim
    if cells is not None and cells.any():
        first = cells.nonzero()[0].tolist()
    plane = tensor[tuple(first[:-2])].double().nan_to_num()
    wrong = None if cells is None else cells[tuple(first[:-2])]
    data = base64.b64encode(png(plane, wrong)).decode()
    return (
        f"<img alt='as an image' src='data:image/png;base64,{data}' "
        "style='width:10em;image-rendering:pixelated;display:block'>"
    )


def png(plane, wrong=None):
    """Bytes of a PNG of a plane (H, W), dark to bright; cells that are wrong are tinted red."""
    low, high = plane.min(), plane.max()
    grey = (plane - low) / (high - low if high > low else 1) * 255
    pixels = grey[..., None].expand(*plane.shape, 3).clone()
    if wrong is not None:
        pixels[wrong] = pixels[wrong] * 0.4 + torch.tensor([153.0, 0, 0], dtype=pixels.dtype)
    rows = [b"\0" + bytes(row) for row in pixels.round().to(torch.uint8).flatten(1).tolist()]

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = plane.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits each, RGB
    body = zlib.compress(b"".join(rows))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def _pre(text):
    return f"<pre style='margin:0'>{html.escape(text)}</pre>"


def _code_html(text):
    """Escaped, with `code` between backticks set as code."""
    pieces = html.escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if i % 2 and i < len(pieces) - 1 else piece
        for i, piece in enumerate(pieces)
    )


def _indent(text):
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
