"""Everyone can read the book: axe-core's rules (WCAG 2.2 AA) in both modes; a quick first paint.

No test asserts a time: what is held is how much a page waits for before it paints anything.
`python tests/book/look_over.py build/book` says how long that took.
"""

import pytest
from browser import MATHJAX, Watch, chromium_or_skip
from look_over import (
    SCHEMES,
    accessibility_problems,
    blocking_files,
    first_paints,
    pages_of,
    total_size,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book"), pytest.mark.timeout(900)]

BLOCKING_BUDGET = 700_000  # bytes, two thirds of them the theme's one style sheet


@pytest.fixture(scope="module")
def browser():
    with chromium_or_skip() as instance:
        yield instance


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_on_any_page(real_book, browser, scheme):
    problems = []
    with Watch(browser, color_scheme=scheme) as watch:
        for path in pages_of(real_book):
            page = watch.open(path.as_uri())
            assert page.evaluate("document.documentElement.dataset.theme") == scheme
            problems += [f"{path.name}: {problem}" for problem in accessibility_problems(page)]
        problems += watch.problems
    assert problems == []


def test_axe_sees_what_is_wrong(real_book, browser):
    """The check above can fail, in a closed box and in one mode only as well."""
    faults = """<div><details><summary>box</summary><p id="faint">faint</p></details>
      <img src="_static/mark.svg"><button></button>
      <div class="highlight"><pre><span>word</span><span id="pale">pale</span></pre></div>
      </div>
      <style>[data-theme=light] :is(#faint, #pale) {color: #aaa}</style>"""
    found = {}
    for scheme in SCHEMES:
        with Watch(browser, color_scheme=scheme) as watch:
            page = watch.open((real_book / "status.html").as_uri())
            add = "html => document.querySelector('article').insertAdjacentHTML('beforeend', html)"
            page.evaluate(add, faults)
            found[scheme] = "\n".join(accessibility_problems(page))
    for problems in found.values():
        assert "image-alt" in problems and "button-name" in problems
    assert found["light"].count("color-contrast") == 2
    assert "color-contrast" not in found["dark"]


def test_little_stands_before_the_first_paint(real_book, browser):
    for name, files in blocking_files(real_book, browser).items():
        assert files, "the theme's style sheet at least: else nothing was seen"
        assert MATHJAX not in {file.name for file in files}, name
        if name != "search.html":  # which needs the whole index
            assert total_size(files) < BLOCKING_BUDGET, name


def test_every_page_paints_from_disk(real_book, browser):
    paints = first_paints(real_book, browser)
    assert paints.keys() == {path.name for path in pages_of(real_book)}
    print(*(f"{name}: first paint after {ms:.0f} ms" for name, ms in paints.items()), sep="\n")
