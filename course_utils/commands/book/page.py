"""One executed chapter: read, refused when it did not run to its end, its facts, its page."""

import html
import re
from dataclasses import dataclass

import nbformat

from course_utils.commands.book.boxes import exercise_cells
from course_utils.commands.book.equations import number_equations, tags_of
from course_utils.commands.book.figures import Captions, describe_figures, has_figures
from course_utils.commands.book.prose import HEADING, headings, without_fences
from course_utils.commands.book.references import link_references
from course_utils.commands.notebooks import CHAPTER_LINK, INJECTED_TAG
from course_utils.errors import BookError
from course_utils.results import RECORD_MIME


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
            if output.output_type == "error" and "raises-exception" not in _tags(cell):
                raise BookError(
                    f"{chapter.name} stopped at code cell {number}: {output.ename}: "
                    f"{(output.evalue.strip().splitlines() or [''])[0]}\n"
                    f"Repair it and run `course run {chapter.name}` again."
                )
        if cell.metadata.get("papermill", {}).get("status") in ("pending", "running"):
            raise BookError(f"{chapter.name} was stopped at code cell {number}: {again}.")
    if code and not any(cell.outputs for cell in code):
        raise BookError(f"{path} holds no outputs: {again}.")
    return notebook


def facts_of(notebook, report, name):
    """Facts from the notebook's own records; time and verdict from the run's report, if any.

    report: as `read_report` gives it. Raises BookError if it says that the chapter did not pass.
    """
    merged, sources = {}, {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            values = output.get("data", {}).get(RECORD_MIME)
            if values:
                merged.update(values)
                if values.get("source"):
                    sources[str(values["source"])] = True
    entries = {entry["name"]: entry for entry in (report or {}).get("chapters", [])}
    entry = entries.get(name, {})
    if entry and entry["status"] != "passed":
        raise BookError(
            f"{name}: the last run says “{entry['status']}”: run `course run {name}` first."
        )
    accuracy = merged.get("test_acc")
    return Facts(
        seconds=entry.get("seconds", notebook.metadata.get("papermill", {}).get("duration")),
        sources=tuple(sources),
        device=merged.get("device"),
        test_acc=float(accuracy) if isinstance(accuracy, int | float) else None,
        verdict=entry.get("verdict", "–"),
        fast=bool(report and report["fast_dev_run"]),
    )


def page_of(notebook, chapter, head, book):
    """The notebook as the book shows it.

    head: HTML that goes under the title. book: the Shared of all chapters; links to chapters that
    are still to come become plain text. Every figure gets alt text and, where the notebook has one,
    a numbered caption; mentions of equations and works become links; papermill's injected cell
    becomes a sentence; hints and solutions of exercises become closed boxes; style sheets that
    outputs carry with them are dropped for the book's own.
    """
    language = notebook.metadata.get("language_info", {"name": "python"})
    page = nbformat.v4.new_notebook(metadata={"language_info": language})
    heading, titled = chapter.title, False
    captions = Captions(chapter)
    for cell in notebook.cells:
        shown = [cell]
        if cell.cell_type == "markdown":
            heading = ([heading] + [text for _, text in headings(cell.source)])[-1]
            cell.source = _with_links(captions.within(cell.source), book)
            if not titled and (title := _first_title(cell.source)):
                cell.source = f"{cell.source[:title]}\n\n{raw_html(head)}\n\n{cell.source[title:]}"
                titled = True
        elif cell.cell_type == "code":
            if INJECTED_TAG in _tags(cell):
                shown = [nbformat.v4.new_markdown_cell(_injected_note(cell.source))]
            else:
                if has_figures(cell):
                    describe_figures(cell, heading)
                _clean_outputs(cell)
                shown = exercise_cells(cell) + captions.after(cell)
        page.cells += shown
    if not titled:
        raise BookError(f"{chapter.file}: no title. Give it one cell with one `# Title`.")
    return page


@dataclass(frozen=True)
class Shared:
    """What the page of one chapter must know of the others."""

    last: int  # number of the last chapter
    equations: dict  # number of an equation -> page that has it, such as "01_convolution.html"
    references: list  # of Reference


def shared_of(chapters, notebooks, references):
    """The Shared of a book. notebooks: chapter name -> executed notebook."""
    equations = {
        number: f"{chapter.name}.html"
        for chapter in chapters
        for number in tags_of(notebooks[chapter.name])
    }
    return Shared(max(chapter.number for chapter in chapters), equations, references)


def _with_links(source, book):
    source = CHAPTER_LINK.sub(lambda link: link[1] if int(link[2]) > book.last else link[0], source)
    return number_equations(link_references(source, book.references), book.equations)


def raw_html(text):
    """HTML as MyST passes it through, untouched."""
    return f"```{{raw}} html\n{text}\n```"


def _tags(cell):
    return cell.metadata.get("tags", [])


def _first_title(source):
    """Where the first H1 ends, or 0."""
    for match in HEADING.finditer(without_fences(source)):
        if len(match[1]) == 1:
            return match.end()
    return 0


def _clean_outputs(cell):
    """Drop the records, and the colours of highlighted code: the theme's fit dark pages too."""
    for output in cell.outputs:
        output.get("data", {}).pop(RECORD_MIME, None)
        text = output.get("data", {}).get("text/html")
        if text and '<div class="highlight">' in text:
            output.data["text/html"] = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)


def _injected_note(source):
    """Papermill's cell `# Parameters` + assignments, as one sentence."""
    lines = [line.strip() for line in source.splitlines()]
    values = [line for line in lines if line and not line.startswith("#")]
    shown = ", ".join(f"<code>{html.escape(value)}</code>" for value in values)
    return raw_html(f'<p class="run-parameters">Set differently for this run: {shown}</p>')
