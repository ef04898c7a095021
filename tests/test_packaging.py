"""The files around the course: no registry in them, and what the tests' tools must do."""

import os
import re

import pytest
from conftest import REPOSITORY


def test_no_registry_and_no_lock_file_is_tracked():
    hosts = re.compile(r"https?://[a-z0-9.-]*(py" + "pi|python" + "hosted|npm" + "js)", re.I)
    for pattern in ("*.toml", "*.yml", "Makefile", ".ci/run", "*.md"):
        for path in REPOSITORY.glob(pattern):
            assert not hosts.search(path.read_text()), path


@pytest.mark.xdist_group("together")
def test_groups_of_tests_stay_together(request):
    """pytest-xdist gives a group to one worker by this mark in the name; some pairs of versions
    of it and pytest lose the mark, and browsers and data are then set up several times."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert request.node.nodeid.endswith("@together")
