"""Executed notebooks in, a static site out: works from a folder on disk, needs no network."""

from course_utils.commands.book.site import build_book

__all__ = ["build_book"]
