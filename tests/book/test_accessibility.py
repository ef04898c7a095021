"""Everyone can read the book: axe-core's rules (WCAG 2.2 AA) in both modes; a quick first paint.

No test asserts a time: what is held is how much a page waits for before it paints anything.
"""

import pytest
from browser import Watch
from look_over import SCHEMES, accessibility_problems, blocking_files, pages_of, total_size

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book"), pytest.mark.timeout(900)]

BLOCKING_BUDGET = 700_000  # bytes, two thirds of them the theme's one style sheet


def problems_of(pages, browser):
    """What is wrong with these pages."""
    problems, seen = [], {}
    with Watch(browser, color_scheme="light") as watch:
        for path in pages:
            page = watch.open(path.as_uri())
            found = accessibility_problems(page, seen)
            problems += [f"{path.name}: {problem}" for problem in found]
    assert all(len(seen[scheme]) > 10 for scheme in SCHEMES)
    return problems + watch.problems


def test_axe_finds_nothing_on_a_small_page(small_site, browser):
    assert problems_of([small_site / "01_window.html"], browser) == []


@pytest.mark.full
def test_axe_finds_nothing_on_any_page(real_book, browser):
    assert problems_of(pages_of(real_book), browser) == []


def test_axe_sees_what_is_wrong(small_site, browser):
    """The check above can fail, in a closed box and in one mode only as well."""
    faults = """<div><details><summary>box</summary><p id="faint">faint</p></details>
      <img src="_static/mark.svg"><button></button>
      <div class="highlight"><pre><span>word</span><span id="pale">pale</span></pre></div>
      </div>
      <style>[data-theme=light] :is(#faint, #pale) {color: #aaa}</style>"""
    with Watch(browser, color_scheme="light") as watch:
        page = watch.open((small_site / "status.html").resolve().as_uri())
        add = "html => document.querySelector('article').insertAdjacentHTML('beforeend', html)"
        page.evaluate(add, faults)
        problems = "\n".join(accessibility_problems(page))
    assert "image-alt" in problems and "button-name" in problems
    assert problems.count("light: color-contrast") == 2
    assert "dark: color-contrast" not in problems


@pytest.mark.full
def test_little_stands_before_the_first_paint(real_book, browser):
    for name, files in blocking_files(real_book, browser).items():
        assert files, "the theme's style sheet at least: else nothing was seen"
        assert "tex-svg-full.js" not in {file.name for file in files}, name  # MathJax
        if name != "search.html":  # which needs the whole index
            assert total_size(files) < BLOCKING_BUDGET, name
