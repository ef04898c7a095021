"""How the book behaves: keyboard, phone, weight, figures, formulas, print, and its Markdown."""

import re

import nbformat
import pytest
from books import MATHS, code, edit, figure, notebook, small_course
from browser import Watch, full_in_browser, page_sizes
from nbformat import v4

from course_utils.commands.book import build_book, formulas
from course_utils.errors import BookError

pytestmark = pytest.mark.xdist_group("book")

WEIGHT = 1_200_000  # bytes of a chapter, all that it loads
SHIFT = """() => {
  window.shift = 0;
  const add = (list) => list.getEntries().forEach((entry) => (window.shift += entry.value));
  new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
}"""
FOCUS = """() => {
  let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const {outlineStyle, outlineWidth} = getComputedStyle(at);
  return at === document.body ? null : [at.outerHTML.slice(0, 90), outlineStyle, outlineWidth];
}"""


def address(site, name):
    return (site / f"{name}.html").resolve().as_uri()


def chapters_of(site):
    return sorted(path.stem for path in site.glob("[01][0-9]_*.html"))


# --- formulas and Markdown ------------------------------------------------------------------------


def test_a_formula_is_set_and_keeps_its_source():
    with formulas.typesetter() as typeset:
        made = typeset(r"a \le \frac{b}{c}", display=True)
        assert 'data-tex="a \\le \\frac{b}{c}"' in made and "<mfrac>" in made and "<path" in made
        for wrong in (r"\frac{1}", r"\nosuchmacro"):
            with pytest.raises(BookError, match="cannot be set"):
                typeset(wrong)


def test_pages_load_no_mathjax(small_site):
    page = (small_site / "01_window.html").read_text(encoding="utf-8")
    assert page.count("<mjx-container") == MATHS.count("$$") // 2 + 2
    assert "tex-svg" not in page and not list(small_site.rglob("tex-svg*"))


MARKDOWN = """# Window

It costs $25 here and $3 there, but $x$ is a formula. ~~gone~~

- [ ] to do
- [x] done

![a pasted picture](attachment:pasted.png)
"""


def test_markdown_is_read_as_jupyterlab_reads_it(tmp_path):
    manifest, run = small_course(tmp_path)
    cell = v4.new_markdown_cell(MARKDOWN, attachments={"pasted.png": {"image/png": figure()}})
    nbformat.write(notebook(cell, code("quiet = 1")), run / "01_window.ipynb")
    second = run / "02_train.ipynb"
    edit(second, lambda n: n.cells[0].update(source=n.cells[0].source.split("\nBack")[0]))
    site = build_book(manifest, run, tmp_path / "book").parent
    page = (site / "01_window.html").read_text(encoding="utf-8")
    assert "It costs $25 here and $3 there" in page and page.count("<mjx-container") == 1
    assert "<s>gone</s>" in page and page.count('type="checkbox"') >= 2
    assert 'alt="a pasted picture"' in page and "attachment:" not in page

    cell.attachments = {}
    nbformat.write(notebook(cell, code("quiet = 1")), run / "01_window.ipynb")
    with pytest.raises(BookError, match=r"01_window: the picture pasted\.png"):
        build_book(manifest, run, tmp_path / "book")


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_copied_formula_is_tex(small_site, browser):
    with Watch(browser) as watch:
        page = watch.open(address(small_site, "01_window"))
        copied = page.evaluate("""() => {
          getSelection().selectAllChildren(document.querySelector("p:has(mjx-container)"));
          const event = new ClipboardEvent("copy", {clipboardData: new DataTransfer()});
          dispatchEvent(event);
          return event.clipboardData.getData("text/plain");
        }""")
        assert r"of height $k$ has $\lfloor (n - k) / s \rfloor + 1$ rows" in copied
        assert watch.problems == []


@full_in_browser
def test_a_figure_opens_above_the_page_and_escape_closes_it(real_book, browser):
    with Watch(browser) as watch:
        page = watch.open(address(real_book, "01_convolution"))
        before = page.url
        page.locator("a.image-reference").first.click()
        assert page.locator("dialog.lightbox img").is_visible()
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog.lightbox", state="detached")
        assert page.url == before and watch.problems == []


@pytest.mark.browser
def test_the_skip_link_lands_on_the_article(small_site, browser):
    with Watch(browser) as watch:
        page = watch.open(address(small_site, "01_window"))
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.matches('article')")
        assert watch.problems == []


@full_in_browser
def test_focus_is_seen_at_every_stop_and_code_that_fits_is_none(real_book, browser):
    for name in ("08_resnet", "index", "search", "playground"):
        with Watch(browser, viewport={"width": 1280, "height": 900}) as watch:
            page = watch.open(address(real_book, name))
            stops = []
            for _ in range(60):
                page.keyboard.press("Tab")
                stops.append(page.evaluate(FOCUS))
            stops = [stop for stop in stops if stop]
            assert len(stops) > 20
            assert [stop for stop in stops if stop[1] == "none" or stop[2] == "0px"] == []
            cut = "() => document.querySelectorAll('pre[tabindex=\"0\"]').length"
            assert page.evaluate(cut) == 0, "no line is cut at 1280 pixels"
            assert watch.problems == []


@full_in_browser
@pytest.mark.parametrize("width", [320, 390])
def test_no_page_scrolls_sideways(real_book, browser, width):
    wide = {}
    with Watch(browser, viewport={"width": width, "height": 800}) as watch:
        for path in sorted(real_book.glob("*.html")):
            if path.name != "print.html":
                page = watch.open(path.resolve().as_uri())
                wide[path.name] = page.evaluate("document.documentElement.scrollWidth")
    assert {name: found for name, found in wide.items() if found > width} == {}


@full_in_browser
def test_on_a_phone_branches_stay_parallel_and_the_answer_is_in_sight(real_book, browser):
    with Watch(browser, viewport={"width": 390, "height": 844}) as watch:
        page = watch.open(address(real_book, "07_googlenet"))
        tops = "e => [...e.shadowRoot.querySelectorAll('.branch')].map(b => b.offsetTop)"
        assert len(set(page.locator("course-block").first.evaluate(tops))) == 1
        for name in ("playground", "index"):
            page = watch.open(address(real_book, name))
            bottom = "document.getElementById('play-bars').getBoundingClientRect().bottom"
            assert page.evaluate(bottom) < 844, name
        assert watch.problems == []


@full_in_browser
def test_nothing_jumps_while_a_page_loads(real_book, browser):
    shifts = {}
    for name in [*chapters_of(real_book), "playground", "index"]:
        with Watch(browser, viewport={"width": 1280, "height": 900}) as watch:
            watch.page.add_init_script(f"({SHIFT})()")
            page = watch.open(address(real_book, name))
            page.wait_for_timeout(300)
            shifts[name] = page.evaluate("window.shift")
    assert {name: shift for name, shift in shifts.items() if shift >= 0.05} == {}


@pytest.mark.full
def test_a_chapter_is_light_and_every_figure_is_on_the_sheet(real_book):
    sizes = page_sizes(real_book)
    assert {n: size for n, size in sizes.items() if n[0] in "01" and size > WEIGHT} == {}
    sheet = (real_book / "figures.html").read_text(encoding="utf-8")
    for name in chapters_of(real_book):
        captions = re.findall(
            r"<strong>(Figure [\d.]+\.)</strong>", (real_book / f"{name}.html").read_text("utf-8")
        )
        assert captions and all(f">{caption} " in sheet for caption in captions), name


@full_in_browser
def test_paper_has_page_numbers_and_running_heads(real_book, browser):
    text = (real_book / "print.html").read_text(encoding="utf-8")
    for name in chapters_of(real_book):
        assert f"{{ page: p{name}; }}" in text and f"@page p{name} {{" in text
    assert "counter(page)" in (real_book / "_static/course.css").read_text(encoding="utf-8")
