"""Settings of every test: no downloads, no progress display, one thread per worker."""

import os

os.environ["COURSE_OFFLINE"] = "1"
os.environ["COURSE_PROGRESS"] = "none"
os.environ["COURSE_PROGRESS_FILE"] = "none"  # whoever runs the tests keeps their own
if os.environ.get("PYTEST_XDIST_WORKER"):  # workers share the cores; two pools would fight
    os.environ.setdefault("OMP_NUM_THREADS", "1")
for name in ("COURSE_FAST_DEV_RUN", "COURSE_STANDIN"):
    os.environ.pop(name, None)

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from books import real_book, small_site  # noqa: E402, F401
from browser import browser  # noqa: E402, F401
from hypothesis import settings  # noqa: E402

# No test asserts a time, and a red test must be red again when it is repeated.
settings.register_profile("course", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("course")

if not __debug__:
    pytest.exit("PYTHONOPTIMIZE takes asserts out of the tests: unset it", returncode=2)

REPOSITORY = Path(__file__).resolve().parent.parent
LONG = (
    "test_jupyterlab",
    "test_book",
    "test_book_parts",
    "test_accessibility",
    "test_chapters",
    "test_saved_outputs",
    "test_full_profile",
    "test_solved_chapters",
)


def pytest_collection_modifyitems(items):
    """Long tests first, so that at the end no worker waits for another's."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture
def real_data():
    """Folder with the real Fashion-MNIST; without it the test is skipped, and says so."""
    from course_utils.data.sources import FASHION_MNIST

    folder = FASHION_MNIST.find()
    if folder is None:
        pytest.skip("NOT RUN: needs the real data (course data --get fashion-mnist)")
    return folder
