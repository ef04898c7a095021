"""Folders that may have been meant where a user named one that does not hold the data."""

import contextlib
import os
import re
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from course_utils.settings import absolute

_MOST = 200  # names of a folder that are looked at


def near(folder):
    """Paths like `folder`, an absolute one, in the order in which they are likely; any may not be.

    The folders above (it may be the innermost itself) and those in it, the same without the quotes
    and blanks that a settings file keeps, with one name spelt otherwise, and what a relative path
    means from the folders above the working folder.
    """
    yield from folder.parents[:2]
    yield from _inside(folder)
    yield absolute(re.sub(r"^.*?[\"']|[\"'\s]+$", "", str(folder)))
    existing = next((above for above in folder.parents if above.is_dir()), folder)
    name, *rest = folder.relative_to(existing).parts or ("",)
    names = [inner.name for inner in _inside(existing)]
    for other in get_close_matches(name, names):
        yield existing.joinpath(other, *rest)
    with contextlib.suppress(ValueError, OSError):  # on another drive, or we stand nowhere
        path = os.path.relpath(folder)
        yield from (absolute(above / path) for above in Path.cwd().parents)


def _inside(folder):
    try:
        return sorted(inner for inner in islice(folder.iterdir(), _MOST) if inner.is_dir())
    except OSError:
        return []
