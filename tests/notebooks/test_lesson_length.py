"""A chapter's core can be finished in one sitting, and its first words say how long it takes."""

import re

import nbformat
import pytest
from kernels import every_chapter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_utils.commands.book.lesson import CORE, EXERCISES, FOLDED, lengths
from course_utils.commands.manifest import load_manifest
from course_utils.commands.notebooks import FOLD, HIDDEN_TAG, read_notebook

STATED = re.compile(
    r"about (\d+)\s+minutes\s+for\s+the\s+core,\s+(\d+)\s+for\s+what\s+is\s+folded\s+away"
    r"\s+and\s+(\d+)\s+for\s+the\s+exercises"
)


def minutes(length):
    """To five minutes, as one plans."""
    return max(5, 5 * round(length.minutes / 5))


@every_chapter
def test_the_core_is_one_sitting(chapter):
    core = lengths(read_notebook(chapter))[CORE]
    assert core.words <= 2000
    assert core.lines <= 260
    assert core.minutes <= 45


@every_chapter
def test_the_minutes_are_those_of_the_rule(chapter):
    found = lengths(read_notebook(chapter))
    said = STATED.search(read_notebook(chapter)["cells"][0]["source"])
    expected = [minutes(found[part]) for part in (CORE, FOLDED, EXERCISES)]
    assert said and [int(number) for number in said.groups()] == expected, expected
    stated = {c.name: c.minutes for c in load_manifest().chapters}[chapter.stem]
    assert stated == expected[0], "minutes in book.toml are the core's"


@every_chapter
def test_folds_are_folded_in_every_place(chapter):
    """JupyterLab reads the metadata, the book the heading and the tag: they say the same."""
    for cell in nbformat.read(chapter, as_version=4).cells:
        folded = re.match(rf"#+ {FOLD}", cell.source) is not None
        assert bool(cell.metadata.get("jp-MarkdownHeadingCollapsed")) == folded, cell.source
        assert not folded or "\n" not in cell.source, "JupyterLab shows what stands in its cell"
        hidden = HIDDEN_TAG in cell.metadata.get("tags", [])
        assert (cell.metadata.get("jupyter") == {"source_hidden": True}) == hidden, cell.source


@every_chapter
def test_an_exercise_follows_its_section(chapter):
    """In the chapter, not behind it: between the first section and the last."""
    cells = nbformat.read(chapter, as_version=4).cells
    tasks = [i for i, cell in enumerate(cells) if re.match(r"\*\*\d\d\.\d+ ", cell.source)]
    (last,) = (i for i, cell in enumerate(cells) if cell.source.startswith("## Exercises"))
    assert tasks and max(tasks) < last
    between = [
        sum(cell.source.startswith("#") for cell in cells[a:b] if cell.cell_type == "markdown")
        for a, b in zip([0, *tasks], [*tasks, last], strict=True)
    ]
    assert sum(count > 0 for count in between) >= 5, "they stand in one heap"


def test_lengths_of_a_small_chapter():
    task = "**01.1 A name** (warm-up, 3 minutes). Do it."
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# One two\n\nthree\n\n```sh\nnot counted\n```"),
            new_code_cell("a = 1\n\nb = 2"),
            new_code_cell("drawn = 1", metadata={"tags": [HIDDEN_TAG]}),
            new_markdown_cell(task),
            new_code_cell("def ex01_1_a():\n    ..."),
            new_code_cell("# hint", metadata={"tags": ["hint"]}),
            new_code_cell("c = 3"),
            new_markdown_cell(f"### {FOLD}: deep"),
            new_markdown_cell("#### Deeper"),
            new_code_cell("d = 4"),
            new_markdown_cell("## After\n\nfour\n\n## Further reading\n\n- a book"),
        ]
    )
    found = lengths(notebook)
    core, folded = found[CORE], found[FOLDED]
    assert (core.words, core.lines) == (4 + 3, 3)
    assert (folded.words, folded.lines) == (5 + 2, 2)
    assert found[EXERCISES].minutes == 3 and found[EXERCISES].lines == 0
    assert core.minutes == pytest.approx(7 / 130 + 3 / 10)
