"""The course's chapters, and how a test runs one: in a kernel of its own, in a fast run."""

import pytest
from conftest import REPOSITORY
from nbclient import NotebookClient

CHAPTERS = sorted((REPOSITORY / "chapters").glob("[0-9]*.ipynb"))
every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def execute(notebook, monkeypatch, **settings):
    """Execute a notebook in place, on the stand-in."""
    for name, value in {"COURSE_FAST_DEV_RUN": "1", "COURSE_STANDIN": "1", **settings}.items():
        monkeypatch.setenv(name, value)
    resources = {"metadata": {"path": str(REPOSITORY / "chapters")}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
