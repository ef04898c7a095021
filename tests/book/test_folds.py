"""What is under the hood is closed in the book and open on paper; an exercise has a frame."""

import pytest
from books import code, edit, small_course
from browser import Watch
from nbformat import v4

from course_utils.commands.book import build_book

pytestmark = [pytest.mark.xdist_group("book"), pytest.mark.browser]


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    root = tmp_path_factory.mktemp("folds")
    manifest, run = small_course(root)

    def change(notebook):
        notebook.cells += [
            v4.new_markdown_cell("### Under the hood: how it is made"),
            v4.new_markdown_cell("A long derivation.\n\n#### Deeper\n\nStill inside."),
            v4.new_markdown_cell("## After it\n\nIn the open."),
            v4.new_markdown_cell("**01.1 A name** (5 minutes). Do it."),
            code("def ex01_1_same_padding(k, d=1):\n    ..."),
            code('# hint("01.1")', tags=["hint"]),
            v4.new_markdown_cell("Behind the exercise."),
        ]

    edit(run / "02_train.ipynb", change)
    index = build_book(manifest, run, root / "book")
    with Watch(browser) as watch:
        yield watch.open((index.parent / "02_train.html").as_uri())
        assert watch.problems == []


def test_a_fold_is_closed_and_ends_with_its_section(page):
    text = page.get_by_text("A long derivation.")
    inside = page.get_by_text("Still inside.")
    assert page.get_by_role("heading", name="Under the hood: how it is made").is_visible()
    assert not text.is_visible() and not inside.is_visible()
    assert page.get_by_text("In the open.").is_visible()
    page.get_by_text("Show this part").click()
    assert text.is_visible() and inside.is_visible()
    page.get_by_text("Show this part").click()
    assert not text.is_visible()


def test_what_is_folded_away_is_printed(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.get_by_text("A long derivation.").is_visible()
    assert not page.locator(".exercise details").first.get_attribute("open")  # hints stay closed
    page.evaluate("dispatchEvent(new Event('afterprint'))")


def test_the_frame_of_an_exercise_holds_its_cells_and_no_more(page):
    frame = page.locator(".exercise")
    assert frame.count() == 1
    assert "01.1 A name" in frame.inner_text() and "ex01_1_same_padding" in frame.inner_text()
    assert "Behind the exercise" not in frame.inner_text()
