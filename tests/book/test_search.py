"""What a reader types into the search, and the page that must come first."""

import pytest
from browser import Watch, full_in_browser, search, served

pytestmark = pytest.mark.xdist_group("book")

FIRST = {
    "skip connection": "08_resnet",
    "shortcut": "08_resnet",
    "residual": "08_resnet",
    "vanishing gradient": "08_resnet",
    "1×1": "07_googlenet",
    "1x1": "07_googlenet",
    "1x1 convolution": "01_convolution",
    "receptive field": "01_convolution",
    "cross correlation": "01_convolution",
    "corr2d": "01_convolution",
    "im2col": "01_convolution",
    "adaptive pooling": "02_pooling",
    "max pool": "02_pooling",
    "confusion matrix": "03_lenet",
    "LeNet": "03_lenet",
    "LeNet-5 by hand": "04_lenet5_lab",
    "dropout": "05_alexnet",
    "He init": "05_alexnet",
    "image augmentation": "05_alexnet",
    "how do I freeze layers": "08_resnet",
    "class activation maps": "08_resnet",
    "inception": "07_googlenet",
    "batch normalization": "07_googlenet",
    "pareto": "09_comparison",
    "standard error": "09_comparison",
    "all-reduce": "10_scaling",
    "gradient accumulation": "10_scaling",
    "draw a digit": "playground",
    "this build": "status",
    "感受野": "01_convolution",
    "残差连接": "08_resnet",
    "跳跃连接": "08_resnet",
    "批量归一化": "07_googlenet",
    "什么是梯度消失": "08_resnet",
    "池化": "02_pooling",
    "1×1 卷积": "01_convolution",
}
LINKS = "#search-results li a"


def first_of(page, words):
    """The page that comes first after typing."""
    page.fill(".bd-search-container input", words)
    links = page.locator(LINKS)
    return links.first.get_attribute("href").partition(".html")[0] if links.count() else None


@full_in_browser
def test_the_page_that_must_be_first_is_first(real_book, browser):
    assert len(FIRST) >= 30 and sum(words[-1] >= "\u4e00" for words in FIRST) >= 5
    with Watch(browser) as watch:
        page = watch.open((real_book / "search.html").resolve().as_uri())
        found = {words: first_of(page, words) for words in FIRST}
        assert found == FIRST
        assert first_of(page, "zzyzx") is None
        assert watch.problems == []


@full_in_browser
@pytest.mark.parametrize("transport", ["disk", "http"])
def test_a_term_is_explained_above_what_is_found_with_excerpts(real_book, browser, transport):
    with served(real_book) as http, Watch(browser) as watch:
        base = real_book.resolve().as_uri() if transport == "disk" else http
        page, found = search(watch, base, "skip connection")
        term = page.locator(".search-term").first
        assert "残差连接" in term.inner_text() and "adds a block's input" in term.inner_text()
        assert term.locator("a").get_attribute("href") == "glossary.html#term-shortcut"
        marks = page.locator("#search-results li mark").all_inner_texts()
        assert (
            marks[0].lower() == "skip connection" and "shortcut" in marks
        )  # and by its other name
        page.goto(found[0])
        assert page.evaluate("document.querySelector(':target, h1') !== null")
        assert watch.problems == []
