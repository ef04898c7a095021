"""What a notebook's cell shows: an element for the browser, and the same facts as plain text."""

import html
import json
import re
from importlib.resources import files

FALLBACK = (
    "Here is a piece of the page that you can try: {about}. It needs JavaScript. In a notebook, "
    "run this cell; on a code host, open the book or the notebook instead."
)


class Explorer:
    """An interactive output. Equal arguments give equal bytes, so saved outputs do not churn.

    element: name of the custom element, "course-" and the name of its script.
    state: what it starts with, as JSON can hold it. about: what it shows, in half a sentence.
    text: the same for places where no scripts run.
    """

    def __init__(self, element, state, about, text):
        self.element, self.state, self.about, self.text = element, state, about, text

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": self.html(), "text/plain": self.text}

    def __repr__(self):
        return self.text

    def html(self):
        """The element and the script that defines it: each output stands for itself."""
        state = html.escape(json.dumps(self.state, ensure_ascii=False, separators=(",", ":")))
        fallback = html.escape(FALLBACK.format(about=self.about))
        return (
            f'<{self.element} data-state="{state}"><p>{fallback}</p></{self.element}>\n'
            f"<script>\n{script(self.element.removeprefix('course-'))}</script>"
        )


def as_text(matrix):
    """The numbers of a 2-D tensor in columns, for `text`."""
    cells = [[f"{round(v, 4):.15g}" for v in row] for row in matrix.tolist()]
    width = max(len(cell) for row in cells for cell in row)
    return "\n".join("  " + " ".join(cell.rjust(width) for cell in row) for row in cells)


def script(name):
    """JavaScript of one explorer with all that it needs; running it again changes nothing.

    Comments and indentation stay in the files: every output in a notebook carries its script.
    """
    shared, style, own = (_read(file) for file in ("shared.js", "explorers.css", f"{name}.js"))
    return f"{shared}courseExplorers.style ||= `{style}`;\n{own}"


def _read(name):
    text = (files("course_utils.explorers") / name).read_text(encoding="utf-8")
    lines = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).splitlines()
    stripped = (line.strip() for line in lines)
    return "".join(f"{line}\n" for line in stripped if line and not line.startswith("//"))
