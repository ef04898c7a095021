"""The files around the course agree with each other."""

import os
import re
import tomllib

import pytest
import yaml
from conftest import REPOSITORY

CONDA_NAMES = {"torch": "pytorch"}


def test_conda_environment_has_the_same_packages():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = {"pip", "python " + ",".join(sorted(project["requires-python"].split(","))[::-1])}
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        wanted |= {CONDA_NAMES.get(name, name) for name in group}
    listed = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    by_pip = listed.pop()["pip"]
    assert "--editable ." in by_pip
    found = {*listed, *by_pip} - {"--editable ."}
    assert found == wanted


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
