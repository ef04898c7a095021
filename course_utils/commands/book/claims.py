"""The page of claims: every sentence that a chapter holds to numbers, with its control."""

from course_utils.commands.book.templates import render
from course_utils.evidence.claim import CLAIM_MIME


def claims_in(notebook):
    """The claims of an executed chapter, in order, as `claim` put them into its outputs."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    data = [output.get("data", {}) for output in outputs]
    return [mime[CLAIM_MIME] for mime in data if CLAIM_MIME in mime]


def claims_page(manifest, notebooks):
    """MyST source of the page; "" when no chapter claims anything."""
    named = [(chapter, claims_in(notebooks[chapter.name])) for chapter in manifest.chapters]
    named = [(chapter, claims) for chapter, claims in named if claims]
    return render("claims.md", named=named) if named else ""
