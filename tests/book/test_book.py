"""The book: what it refuses, what its pages say, and how it behaves in a real browser."""

import json
import shutil
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import pytest
from books import edit, first_chapter, small_course
from browser import PHONE, Watch, check_site, full_in_browser, search, served
from nbformat import v4

from course_utils.commands.book import build_book
from course_utils.commands.book.front import lanes_of, needed_directly
from course_utils.commands.book.page import facts_of
from course_utils.errors import BookError

pytestmark = pytest.mark.xdist_group("book")  # one worker: one site, one browser


@pytest.fixture
def course(tmp_path):
    return small_course(tmp_path)


# --- what the pages say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "has", "lacks"),
    [
        (
            "02_train.html",
            # drawn garments are never passed off as real; a chapter still to come is no link
            ["Fashion-MNIST stand-in", "<strong>cpu</strong>", "0.753", "0.700–0.800"]
            + ['class="run-note provisional"', "later in Depth too"]
            + ["Set differently for this run: <code>num_epochs = 3</code>"],
            ["vnd.course-record"],
        ),
        (
            "01_window.html",
            ["tag_hide-input", 'alt="Loss falls, accuracy rises"']
            + ['alt="Figure of the cell under “A formula, and its matrix”"'],
            ["run-note", "not_in_the_book"],
        ),
        (
            "status.html",
            ["1 min 12 s", "0.753", "reached", "our own three runs", "9.9.1", "not installed"],
            [],
        ),
        ("index.html", ["about 1 h 5 min"], ["github", "GitHub"]),
    ],
)
def test_pages_tell_the_run(small_site, page, has, lacks):
    text = (small_site / page).read_text(encoding="utf-8")
    assert [part for part in has if part not in text] == []
    assert [part for part in lacks if part in text] == []


def test_the_notebook_to_download_is_the_chapter_itself(small_site):
    link = "notebooks/02_train.ipynb"
    assert link in (small_site / "02_train.html").read_text(encoding="utf-8")
    assert json.loads((small_site / link).read_text(encoding="utf-8")) == {"original": "02_train"}


def test_a_repository_and_a_fast_run_are_told(course, tmp_path):
    manifest, run = course
    url = "https://github.com/someone/some-course"
    manifest = replace(manifest, html=replace(manifest.html, git_repository_url=url))
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    (run / "report.json").write_text(json.dumps(report | {"fast_dev_run": True}), encoding="utf-8")
    index = build_book(manifest, run, tmp_path / "book")
    assert f'href="{url}"' in index.read_text(encoding="utf-8")
    assert "fast run" in (index.parent / "02_train.html").read_text(encoding="utf-8")


def test_a_chapter_without_records_says_nothing_about_data():
    facts = facts_of(first_chapter(), None, "01_window")
    assert not facts.trained
    assert facts.seconds == 3.2


def chapters(*needs):
    """Chapters a, b, c, … that need what the strings name."""
    return [SimpleNamespace(name="abcdef"[i], needs=list(names)) for i, names in enumerate(needs)]


def test_course_map_draws_what_is_needed_and_no_more():
    assert needed_directly(chapters("", "a", "ab")) == [(0, 1), (1, 2)]  # a -> c follows
    assert needed_directly(chapters("", "a", "a", "bc")) == [(0, 1), (0, 2), (1, 3), (2, 3)]


def test_course_map_rails_do_not_cover_each_other():
    edges = [(0, 1), (0, 2), (1, 4), (2, 5)]
    lanes = lanes_of(edges)
    assert lanes[0, 1] == 0
    for (i, j), (a, b) in combinations([e for e in edges if lanes[e]], 2):
        assert lanes[i, j] != lanes[a, b] or j <= a or b <= i


# --- what it refuses ------------------------------------------------------------------------------


def refused(manifest, run, out):
    """The message of the BookError; it must be short."""
    with pytest.raises(BookError) as caught:
        build_book(manifest, run, out)
    message = str(caught.value)
    assert len(message.splitlines()) <= 5
    return message


def test_without_a_run_it_says_what_to_run(course, tmp_path):
    manifest, run = course
    assert "run `course run` first" in refused(manifest, tmp_path / "nowhere", tmp_path / "book")
    (run / "02_train.ipynb").unlink()
    assert "run `course run 02_train` first" in refused(manifest, run, tmp_path / "book")
    assert not (tmp_path / "book").exists()


def fail_last_cell(loaded, *tags):
    error = v4.new_output("error", ename="ValueError", evalue="lr is negative", traceback=[])
    loaded.cells[-1].update(outputs=[error])
    loaded.cells[-1].metadata.update(tags=list(tags))


def test_an_error_shown_on_purpose_is_no_failure(course, tmp_path):
    manifest, run = course
    edit(run / "02_train.ipynb", lambda n: fail_last_cell(n, "raises-exception"))
    assert build_book(manifest, run, tmp_path / "book").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (fail_last_cell, "stopped at code cell 4: ValueError: lr is negative"),
        (lambda n: n.cells[-1].metadata.update(papermill={"status": "pending"}), "was stopped"),
        (
            lambda n: [
                c.update(outputs=[], execution_count=None) for c in n.cells if "outputs" in c
            ],
            "no outputs",
        ),
        (lambda n: n.cells.pop(0), "no title"),
        (lambda n: n.cells[0].update(source="# T\n\n[gone](01_gone.ipynb)"), "01_gone"),
        (lambda n: n.cells[0].update(source="# T\n\n[gone](#nowhere)"), "nowhere"),
    ],
    ids=["failed", "stopped", "never run", "no title", "dead link", "dead anchor"],
)
def test_chapters_that_make_no_page(course, tmp_path, change, said):
    manifest, run = course
    edit(run / "02_train.ipynb", change)
    message = refused(manifest, run, tmp_path / "book")
    assert said in message and "02_train" in message


def test_a_failed_build_keeps_the_old_book(course, tmp_path):
    manifest, run = course
    book = tmp_path / "book"
    before = build_book(manifest, run, book).read_bytes()
    edit(run / "02_train.ipynb", lambda n: n.cells[0].update(source="# T\n\n[x](gone.ipynb)"))
    refused(manifest, run, book)
    assert (book / "index.html").read_bytes() == before
    assert not list(tmp_path.glob(".book-*"))


def test_never_overwrites_what_is_no_book(course, tmp_path):
    manifest, run = course
    kept = tmp_path / "home/letter.txt"
    kept.parent.mkdir()
    kept.write_text("dear reader")
    assert "is no book" in refused(manifest, run, kept.parent)
    assert kept.read_text() == "dear reader"


def test_a_report_of_a_failed_run_is_believed(course, tmp_path):
    manifest, run = course
    text = (run / "report.json").read_text(encoding="utf-8")
    (run / "report.json").write_text(text.replace("passed", "interrupted"), encoding="utf-8")
    assert "interrupted" in refused(manifest, run, tmp_path / "book")
    (run / "report.json").write_text("{", encoding="utf-8")
    assert "report.json" in refused(manifest, run, tmp_path / "book")


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_site_is_sound(small_site, browser):
    assert check_site(small_site / "index.html", browser) == []


@pytest.mark.browser
def test_check_site_sees_what_is_wrong(small_site, browser, tmp_path):
    """The checks above can fail: one page with every fault."""
    broken = tmp_path / "broken"
    shutil.copytree(small_site, broken)
    page = broken / "01_window.html"
    faults = (
        '<img src="https://example.org/x.png" alt="x"><img src="_static/mark.svg">'
        '<a href="gone.html">x</a><a href="#gone">y</a><div class="math">\\(\\frac{1}\\)</div>'
        '<div style="width:900px">wide</div><script>console.error("oops")</script>'
    )
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</article>", faults + "</article>"), encoding="utf-8")
    problems = "\n".join(check_site(broken / "index.html", browser))
    signs = [
        "outside request",
        "without alt text",
        "gone.html",
        "#gone",
        "formula not set: ",
        "sideways",
    ]
    assert [sign for sign in [*signs, "oops"] if sign not in problems] == []


@pytest.mark.browser
@pytest.mark.parametrize("transport", ["disk", "http"])
def test_search_finds_words(small_site, browser, transport):
    with served(small_site) as http, Watch(browser) as watch:
        base = small_site.resolve().as_uri() if transport == "disk" else http
        page, found = search(watch, base, "window")
        assert any("01_window.html" in link for link in found)
        assert page.locator("#search-results mark").count()
        assert watch.problems == []


@pytest.mark.browser
def test_theme_switches_and_figures_stay_transparent(small_site, browser):
    look = "() => getComputedStyle(document.body).backgroundColor"
    with Watch(browser, color_scheme="light") as watch:
        page = watch.open((small_site / "01_window.html").resolve().as_uri())
        light = page.evaluate(look)
        page.locator(".theme-switch-button:visible").first.click()
        page.locator(".theme-change-button[data-mode=dark]:visible").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate(look) != light
        style = page.eval_on_selector(
            ".cell_output img",
            "i => [getComputedStyle(i).backgroundColor, getComputedStyle(i).filter]",
        )
        assert style == ["rgba(0, 0, 0, 0)", "none"]
        page.reload()  # the choice is kept
        assert page.evaluate(look) != light
        assert watch.problems == []


@pytest.mark.browser
def test_course_map_leads_to_chapters_on_a_phone(small_site, browser):
    with Watch(browser, viewport=PHONE) as watch:
        page = watch.open((small_site / "index.html").resolve().as_uri())
        page.click(".course-map a:has-text('Training')")
        page.wait_for_url("**/02_train.html")
        assert watch.problems == []


@full_in_browser
def test_the_real_chapters_make_a_sound_book(real_book, browser):
    assert check_site(real_book / "index.html", browser) == []
