"""Fault tests wait long rather than fail on a busy machine; the long counts take longer still."""

from pathlib import Path

import pytest

from faults.harness import PATIENCE, SOAK


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(PATIENCE * (6 if SOAK else 2)))
