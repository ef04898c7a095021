"""The page of claims: every sentence that a chapter holds to numbers, with its control."""

from course_utils.commands.book.templates import render
from course_utils.commands.notebooks import shown_as
from course_utils.evidence.claim import CLAIM_MIME


def claims_page(manifest, notebooks):
    """MyST source of the page; "" when no chapter claims anything."""
    found = [(c, shown_as(notebooks[c.name], CLAIM_MIME)) for c in manifest.chapters]
    named = [(chapter, claims) for chapter, claims in found if claims]
    return render("claims.md", named=named) if named else ""
