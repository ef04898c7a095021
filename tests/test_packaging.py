"""The files around the course: no registry in them, and what the tests' tools must do."""

import os
import re
import tomllib
from pathlib import PurePosixPath

import pytest
from conftest import REPOSITORY


def test_no_registry_and_no_lock_file_is_tracked():
    hosts = re.compile(r"https?://[a-z0-9.-]*(py" + "pi|python" + "hosted|npm" + "js)", re.I)
    for pattern in ("*.toml", "*.yml", "Makefile", ".ci/run", "*.md"):
        for path in REPOSITORY.glob(pattern):
            assert not hosts.search(path.read_text()), path


def test_the_package_brings_every_file_it_needs():
    """Whoever installs the package instead of the checkout, as in Colab, has its assets, too."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["course_utils"]
    package = REPOSITORY / "course_utils"
    for path in package.rglob("*"):
        file = PurePosixPath(path.relative_to(package).as_posix())
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            assert any(file.match(pattern) for pattern in patterns), file


@pytest.mark.xdist_group("together")
def test_groups_of_tests_stay_together(request):
    """pytest-xdist gives a group to one worker by this mark in the name; some pairs of versions
    of it and pytest lose the mark, and browsers and data are then set up several times."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert request.node.nodeid.endswith("@together")
