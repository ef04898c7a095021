"""Pictures in the book: what they show, for those who cannot see them, and a numbered caption.

Both are written in the notebook: `alt` and `caption` in the metadata of the cell that draws, or a
caption as the paragraph below it, beginning in *italics*, which readers of the notebook see too.
"""

import re

import nbformat

ITALIC = re.compile(r"\s*(\*(?!\*).+?(?:\n\s*\n|\Z))", re.DOTALL)


def has_figures(cell):
    return any(_is_figure(output) for output in cell.get("outputs", []))


def _is_figure(output):
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def describe_figures(cell, heading):
    """Alt text for the cell's pictures: its own `alt`, else the heading it stands under."""
    image = {"alt": cell.metadata.get("alt") or f"Figure of the cell under “{heading}”"}
    # A retina figure says its size in CSS pixels: half of what the file holds.
    figures = [output for output in cell.outputs if _is_figure(output)]
    widths = [output.metadata.get("image/png", {}).get("width") for output in figures]
    if widths[0] and len(set(widths)) == 1:
        image["width"] = f"{widths[0]}px"
    options = dict(cell.metadata.get("mystnb", {}))
    cell.metadata["mystnb"] = {**options, "image": {**image, **options.get("image", {})}}


class Captions:
    """Numbers the captions of one chapter as its cells go by."""

    def __init__(self, chapter):
        self.chapter, self.count, self.open = chapter, 0, False

    def after(self, cell):
        """The caption's cell for a code cell that has pictures and a caption, in a list."""
        self.open = has_figures(cell) and not cell.metadata.get("caption")
        if not has_figures(cell) or self.open:
            return []
        return [nbformat.v4.new_markdown_cell(self._numbered(cell.metadata["caption"]))]

    def within(self, source):
        """Markdown below pictures without caption: its first paragraph, if in italics, is one."""
        found = ITALIC.match(source) if self.open else None
        self.open = False
        if found is None:
            return source
        return self._numbered(found[1].strip()) + "\n\n" + source[found.end() :]

    def _numbered(self, text):
        self.count += 1
        number = f"Figure {self.chapter.number}.{self.count}."
        return f"::::{{div}} figure-caption\n**{number}** {text}\n::::"
