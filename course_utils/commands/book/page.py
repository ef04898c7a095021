"""One executed chapter: read, refused when it did not run to its end, its facts, its page.

What pictures show, for those who cannot see them, and their captions are written in the notebook:
`alt` and `caption` in the metadata of the cell that draws, or a caption as the paragraph below it,
beginning in *italics*, which readers of the notebook see too.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

import nbformat
from nbformat.v4 import new_markdown_cell

from course_utils.commands.book.prose import (
    HEADING,
    equation_numbers,
    headings,
    number_equations,
    without_fences,
)
from course_utils.commands.book.references import link_references
from course_utils.commands.book.templates import raw_html, render
from course_utils.commands.notebooks import CHAPTER_LINK, INJECTED_TAG, TASK, shown_as, tags_of
from course_utils.errors import BookError
from course_utils.evidence.claim import CLAIM_MIME
from course_utils.results import RECORD_MIME

ITALIC = re.compile(r"\s*(\*(?!\*)(?:\*\*.+?\*\*|[^*])+?\*(?!\*))\s*", re.DOTALL)
# commented out, or not
EXERCISE_CALL = re.compile(r'^(?:# )?(hint|check|progress_bar|progress_map)\((?:"([\d.]+)")?')
ATTACHMENT = re.compile(r"\]\(attachment:([^)\s]+)\)")
STYLE_SHEET = re.compile(r"<style.*?</style>", re.DOTALL)


@dataclass(frozen=True)
class Facts:
    """What a page says about the run behind it. None, or empty: not known."""

    seconds: float | None  # wall clock of the whole chapter
    sources: tuple[str, ...]  # names of the data sets, as the loaders give them
    device: str | None
    test_acc: float | None  # fraction
    verdict: str = "–"  # against the published band, as `course run` judged it
    fast: bool = False  # a fast dev run: nothing was really trained

    @property
    def trained(self):
        return bool(self.sources or self.device or self.test_acc is not None)

    @property
    def stand_in(self):
        return any("stand-in" in source for source in self.sources)


def read_executed(chapter, folder):
    """The executed notebook of `chapter` in `folder`.

    Raises BookError if it is unreadable, was never run, or stopped at an error.
    """
    path = folder / f"{chapter.name}.ipynb"
    again = f"run `course run {chapter.name}` first"
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise BookError(f"{path} is no readable notebook ({error}): {again}.") from error
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags_of(cell):
                raise BookError(
                    f"{chapter.name} stopped at code cell {number}: {output.ename}: "
                    f"{(output.evalue.strip().splitlines() or [''])[0]}\n"
                    f"Repair it and run `course run {chapter.name}` again."
                )
        if cell.metadata.get("papermill", {}).get("status") in ("pending", "running"):
            raise BookError(f"{chapter.name} was stopped at code cell {number}: {again}.")
    if code and not any(cell.outputs or cell.execution_count for cell in code):
        raise BookError(f"{path} holds no outputs: {again}.")
    return notebook


def facts_of(notebook, report, name):
    """Facts from the notebook's own records; time and verdict from the run's report, if any.

    report: as `read_report` gives it. Raises BookError if it says that the chapter did not pass.
    """
    records = shown_as(notebook, RECORD_MIME)
    merged = {key: value for record in records for key, value in record.items()}
    sources = [" ".join(str(r["source"]).split()) for r in records if r.get("source")]
    entries = {entry["name"]: entry for entry in (report or {}).get("chapters", [])}
    entry = entries.get(name, {})
    if entry and entry["status"] != "passed":
        raise BookError(
            f"{name}: the last run says “{entry['status']}”: run `course run {name}` first."
        )
    accuracy = merged.get("test_acc")
    return Facts(
        seconds=entry.get("seconds", notebook.metadata.get("papermill", {}).get("duration")),
        sources=tuple(dict.fromkeys(sources)),
        device=merged.get("device"),
        test_acc=float(accuracy) if isinstance(accuracy, int | float) else None,
        verdict=entry.get("verdict", "–"),
        fast=bool(report and report["fast_dev_run"]),
    )


def linker(chapters, notebooks, references):
    """The function that makes the links of a Markdown source: to equations and works.

    notebooks: chapter name -> executed notebook. references: list of Reference. Links to chapters
    that are still to come become plain text.
    """
    last = max(chapter.number for chapter in chapters)
    equations = {
        number: f"{chapter.name}.html"
        for chapter in chapters
        for number in equation_numbers(notebooks[chapter.name])
    }

    def with_links(source):
        source = CHAPTER_LINK.sub(lambda link: link[1] if int(link[2]) > last else link[0], source)
        return number_equations(link_references(source, references), equations)

    return with_links


def page_of(notebook, chapter, head, with_links):
    """The notebook as the book shows it.

    head: HTML that goes under the title. with_links: as `linker` gives it. Every figure gets alt
    text and, where the notebook has one, a numbered caption; papermill's injected cell becomes a
    sentence; an exercise gets a frame, its hints and solutions become closed boxes; style sheets
    that outputs carry with them are dropped for the book's own.
    """
    language = notebook.metadata.get("language_info", {"name": "python"})
    page = nbformat.v4.new_notebook(metadata={"language_info": language})
    heading, titled, task = chapter.title, False, False
    captions = Captions(chapter)
    for cell in notebook.cells:
        shown = [cell]
        if cell.cell_type == "markdown":
            heading = ([heading] + [text for _, text in headings(cell.source)])[-1]
            source = with_attachments(cell, chapter)
            cell.source = with_links(captions.within(source))
            if not titled and (title := _first_title(cell.source)):
                cell.source = f"{cell.source[:title]}\n\n{raw_html(head)}\n\n{cell.source[title:]}"
                titled = True
            if TASK.match(cell.source):
                shown = [new_markdown_cell(raw_html('<div class="exercise">')), cell]
                task = True
        elif INJECTED_TAG in tags_of(cell):
            shown = [new_markdown_cell(_injected_note(cell.source))]
        elif cell.cell_type == "code":
            describe_figures(cell, heading)
            _clean_outputs(cell)
            shown = exercise_cells(cell) + captions.after(cell)
            if task and "hint" in tags_of(cell):
                shown.append(new_markdown_cell(raw_html("</div>")))
                task = False
        page.cells += shown
    if not titled:
        raise BookError(f"{chapter.file}: no title. Give it one cell with one `# Title`.")
    return page


def with_attachments(cell, chapter):
    """The cell's Markdown with the pictures that were pasted into it, as data.

    Raises BookError for one that the cell does not hold.
    """

    def data(link):
        held = cell.get("attachments", {}).get(unquote(link[1]), {})
        for kind, text in held.items():
            return f"](data:{kind};base64,{''.join(text.split())})"
        raise BookError(
            f"{chapter.name}: the picture {link[1]} is not in its notebook: paste it again."
        )

    return ATTACHMENT.sub(data, cell.source)


def _first_title(source):
    """Where the first H1 ends, or 0."""
    titles = HEADING.finditer(without_fences(source))
    return next((match.end() for match in titles if len(match[1]) == 1), 0)


def _clean_outputs(cell):
    """Drop the records, and the colours of highlighted code: the theme's fit dark pages too."""
    for output in cell.outputs:
        data = output.get("data", {})
        for mime in (RECORD_MIME, CLAIM_MIME):
            data.pop(mime, None)
        if '<div class="highlight">' in data.get("text/html", ""):
            data["text/html"] = STYLE_SHEET.sub("", data["text/html"])


def _injected_note(source):
    """Papermill's cell `# Parameters` + assignments, as one sentence."""
    lines = [line.strip() for line in source.splitlines()]
    values = [line for line in lines if line and not line.startswith("#")]
    return raw_html(render("parameters.html", values=values))


# --- figures --------------------------------------------------------------------------------------


def figures_of(cell):
    """The outputs of a cell that are pictures."""
    kinds = [(output, output.get("data", {})) for output in cell.get("outputs", [])]
    return [output for output, data in kinds if any(kind.startswith("image/") for kind in data)]


def describe_figures(cell, heading):
    """Alt text for the cell's pictures, if any: its own `alt`, else the heading it stands under."""
    image = {"alt": cell.metadata.get("alt") or f"Figure of the cell under “{heading}”"}
    # A retina figure says its size in CSS pixels: half of what the file holds.
    widths = {out.metadata.get("image/png", {}).get("width") for out in figures_of(cell)}
    if not widths:
        return
    if len(widths) == 1 and (width := widths.pop()):
        image["width"] = f"{width}px"
    options = cell.metadata.get("mystnb", {})
    cell.metadata["mystnb"] = options | {"image": image | options.get("image", {})}


class Captions:
    """Numbers the captions of one chapter as its cells go by."""

    def __init__(self, chapter):
        self.chapter, self.count, self.open = chapter, 0, False

    def after(self, cell):
        """The caption's cell for a code cell that has pictures and a caption, in a list."""
        caption = cell.metadata.get("caption")
        drawn = bool(figures_of(cell))
        self.open = drawn and not caption
        return [new_markdown_cell(self._numbered(caption))] if drawn and caption else []

    def within(self, source):
        """Markdown below pictures without caption: what it begins with in italics is one."""
        found = ITALIC.match(source) if self.open else None
        self.open = False
        if found is None:
            return source
        return self._numbered(found[1].strip()) + "\n\n" + source[found.end() :]

    def _numbered(self, text):
        self.count += 1
        number = f"Figure {self.chapter.number}.{self.count}."
        anchor = f"(figure-{self.chapter.number}-{self.count})="
        return f"{anchor}\n::::{{div}} figure-caption margin-caption\n**{number}** {text}\n::::"


# --- exercises ------------------------------------------------------------------------------------


def exercise_cells(cell):
    """A code cell as the book shows it: a list of cells.

    A cell tagged `hint` becomes Markdown with closed boxes, the hints' and the solution's. That
    nothing was attempted says nothing to a reader, and nobody's progress belongs in a book.
    """
    called = EXERCISE_CALL.search(cell.source)
    if called is None:
        return [cell]
    name, id = called.groups()
    if name in tags_of(cell) and id:
        return [new_markdown_cell(_boxes(id))]
    if name.startswith("progress"):
        return []
    if name == "check":
        texts = [(output, output.get("data", {}).get("text/plain", "")) for output in cell.outputs]
        cell.outputs = [output for output, text in texts if "not attempted" not in text]
    return [cell]


def _boxes(id):
    from course_utils.exercises import book_boxes

    hints, solution, explanation = book_boxes(id)
    boxes = {f"Hint {n} of {len(hints)}": text for n, text in enumerate(hints, 1)}
    boxes["Solution"] = f"```python\n{solution}```\n\n{explanation}"
    longest = max(len(run) for text in boxes.values() for run in re.findall("`+|$", text))
    fence = "`" * max(3, longest + 1)
    return "\n\n".join(f"{fence}{{dropdown}} {t}\n{text}\n{fence}" for t, text in boxes.items())
