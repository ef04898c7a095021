"""Every line of every summary is backed by a cell of its chapter, or says why it cannot be."""

import re

import nbformat
import pytest
from kernels import every_chapter

# Words that compare: what they say was measured against something, in a claim.
COMPARING = re.compile(
    r"\b(beats?|better|needs?|fall|sooner|soonest|later|steadier|gain a|costs? accuracy|too high"
    r"|higher|harder|weakest)\b"
)
PROVES = re.compile(r"\b(claim|expect|assert|assert_close)\b")


def summary_of(notebook):
    """The summary's cell, and number from 1 -> text of each of its lines."""
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith("## Summary"))
    text = cell.source.split("\n## ")[0]
    items = re.split(r"^(?:- |\d\. )", text, flags=re.MULTILINE)[1:]
    return cell, {number: " ".join(item.split()) for number, item in enumerate(items, 1)}


def without_backing(notebook):
    """Lines of the summary that no cell backs: number -> text."""
    summary, lines = summary_of(notebook)
    reasons = summary.metadata.get("unclaimed", {})
    backing = {number: [] for number in lines}
    for cell in notebook.cells:
        for number in cell.metadata.get("backs", []):
            backing[number].append(cell.source)  # a KeyError: there is no such line
    assert not set(map(int, reasons)) & {n for n, cells in backing.items() if cells}
    found = {}
    for number, text in lines.items():
        proof = r"\bclaim\(" if COMPARING.search(text) else PROVES
        proven = any(re.search(proof, source) for source in backing[number])
        if not proven and not reasons.get(str(number)):
            found[number] = text
    return found


@every_chapter
def test_no_line_of_a_summary_lacks_its_proof(chapter):
    notebook = nbformat.read(chapter, as_version=4)
    _, lines = summary_of(notebook)
    assert 4 <= len(lines) <= 6
    assert not without_backing(notebook)


def small(summary, code="claim('a', [1], [0])", backs=(1,), **metadata):
    cells = [
        nbformat.v4.new_code_cell(code, metadata={"backs": list(backs)}),
        nbformat.v4.new_markdown_cell(f"## Summary\n\n{summary}", metadata=metadata),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.mark.parametrize(
    "notebook, missing",
    [
        (small("- ReLU beats it."), {}),
        (small("- ReLU beats it.\n- So does this."), {2: "So does this."}),
        (small("- ReLU beats it.", "assert 1"), {1: "ReLU beats it."}),
        (small("- It has 3 weights.", "assert 1"), {}),
        (small("- It has 3\n  weights.", "print(3)"), {1: "It has 3 weights."}),
        (small("- Be careful.", backs=(), unclaimed={"1": "advice"}), {}),
    ],
)
def test_what_lacks_a_proof_is_found(notebook, missing):
    assert without_backing(notebook) == missing
