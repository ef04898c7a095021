"""The long counts take longer than a test usually may."""

from pathlib import Path

import pytest

from faults.harness import SOAK

_SOAK_TIMEOUT = 3600


def pytest_collection_modifyitems(items):
    for item in items if SOAK else ():
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(_SOAK_TIMEOUT))
