"""`explore_columns` against torch, and how it answers to keys, mouse and touch."""

import re

import pytest
import torch
from browser import PHONE, TOUCH, alone, full_in_browser
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.explorers import explore_columns

pytestmark = pytest.mark.xdist_group("book")  # the worker that has a browser already


@pytest.fixture
def columns(browser):
    """The explorer as chapter 04 has it, on a page of its own."""
    with alone(browser, explore_columns()) as found:
        yield found


def test_text_tells_what_the_picture_shows():
    lines = repr(explore_columns([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 2)).splitlines()
    assert lines[1] == "columns 4×4: 16 numbers for 9 of the image"
    assert lines[2].split() == ["1", "2", "4", "5"], "upper left corners of the windows"
    assert lines[-1].split() == ["12", "16", "24", "28"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: explore_columns(torch.zeros(7, 7)), "6×6 numbers here, not 7×7"),
        (lambda: explore_columns(torch.zeros(3)), "must be a matrix"),
        (lambda: explore_columns(kernel=4), "up to 3×3"),
        (lambda: explore_columns(kernel=[[1, 2]]), "square"),
        (lambda: explore_columns(torch.ones(2, 2), 3, padding=1), "not larger than X"),
        (lambda: explore_columns(stride=0), "PyTorch refuses"),
        (lambda: explore_columns(padding=(1, 2)), "padding"),
    ],
)
def test_wrong_arguments_are_explained(call, said):
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1


# Sets the explorer; reads the columns, the output, the price, and what is said of each column and
# of each pixel, the padding included.
READ = """(element, state) => {
  element.dataset.state = JSON.stringify({ ...state, at: 0, pixel: null });
  const root = element.shadowRoot;
  const said = (change) => {
    element.update(change);
    return root.querySelector(".sum").textContent;
  };
  const cells = (stage) => [...stage.querySelectorAll("g[data-spot]")].map((cell) =>
    [cell.dataset.spot, Number(cell.textContent.replace("−", "-"))]);
  const [columns, image] = [cells(element.columns), cells(element.image)];
  return {
    columns, image,
    price: element.price.textContent,
    products: element.matrix.map((_, at) => said({ at, pixel: null })),
    pixels: image.map(([spot]) => said({ pixel: spot.split(",").map(Number) })),
  };
}"""


@full_in_browser
def test_columns_are_those_of_unfold(columns):
    """Cell by cell, for images and kernels of all sizes; the products are F.conv2d's output."""
    random = torch.Generator().manual_seed(0)
    for (rows, across), k, stride, padding in (
        ((4, 4), 2, 1, 0),
        ((4, 4), 2, 2, 0),
        ((3, 6), 3, 1, 1),
        ((5, 4), 2, 3, 2),
        ((2, 2), 1, 1, 0),
        ((6, 5), 1, 3, 1),
    ):
        X = torch.randint(-9, 10, (rows, across), generator=random) / 2
        W = torch.randint(-3, 4, (k, k), generator=random)
        seen = columns.evaluate(READ, explore_columns(X, W, stride, padding).state)
        X, W = X.double()[None, None], W.double()[None, None]
        unfolded = F.unfold(X, k, stride=stride, padding=padding)[0]
        Y = F.conv2d(X, W, stride=stride, padding=padding)[0, 0]
        for at, (column, y) in enumerate(zip(unfolded.T, Y.flatten(), strict=True)):
            shown = [value for spot, value in seen["columns"] if spot == str(at)]
            assert shown == [*column.tolist(), y.item()]
            i, j = divmod(at, Y.shape[1])
            first, second, third = seen["products"][at].splitlines()
            assert first == f"Y[{i}, {j}] = row × column {at}"
            assert float(third.split()[-1].replace("−", "-")) == y
            assert second.count("·") == k * k
        assert f"= {unfolded.numel()} numbers, the image {X.numel()}" in seen["price"]
        check_copies(seen, X, k, stride, padding)


def check_copies(seen, X, k, stride, padding):
    """What is said of each pixel: in which columns it stands, by torch."""
    for (spot, value), said in zip(seen["image"], seen["pixels"], strict=True):
        row, column = map(int, spot.split(","))
        mark = F.pad(torch.zeros_like(X), [padding] * 4)
        mark[0, 0, row + padding, column + padding] = 1
        holds = F.unfold(mark, k, stride=stride)[0].any(dim=0).nonzero().flatten().tolist()
        times = {0: "nowhere", 1: "once"}.get(len(holds), f"{len(holds)} times")
        assert f" stands {times} in the columns" in said
        assert [int(n) for n in re.findall(r"\d+", said.split("columns")[1])] == holds
        inside = 0 <= row < X.shape[2] and 0 <= column < X.shape[3]
        assert value == (X[0, 0, row, column] if inside else 0)
        assert said.startswith(f"Pixel X[{row}, {column}]" if inside else "This zero")


@full_in_browser
def test_the_price(columns):
    price = columns.locator("p").last
    assert price.inner_text().endswith("4 × 9 = 36 numbers, the image 16: 2.25 times as many.")
    columns.get_by_role("button", name="stride +1").click()
    assert price.inner_text().endswith("4 × 4 = 16 numbers, the image 16: as many.")
    columns.get_by_role("button", name="window +1").click()
    columns.get_by_role("button", name="padding +1").click()
    assert "9 × 4 = 36 numbers" in price.inner_text()
    state = columns.evaluate("element => element.state")
    assert state["kernel"] == [[1, 2, 1], [0, -1, 1], [1, 1, 1]], "new entries are ones"


@pytest.mark.browser
def test_columns_by_keyboard(columns):
    page, said = columns.page, columns.locator(".sum")
    image, matrix = columns.get_by_role("application").all()
    first = "Y[0, 0] = row × column 0 = 1·1 + 2·2 + 0·5 + (−1)·6 = −1"
    assert " ".join(said.inner_text().split()) == first
    matrix.focus()
    for key, number in (("ArrowRight", 1), ("End", 8), ("ArrowRight", 8), ("ArrowLeft", 7)):
        page.keyboard.press(key)
        assert f"column {number}" in said.inner_text(), key
    image.focus()
    for key, words in (
        ("ArrowUp", "X[1, 1] = 6 stands 4 times in the columns (0, 1, 3, 4)"),
        ("ArrowLeft", "X[1, 0] = 5 stands 2 times in the columns (0, 3)"),
        ("ArrowUp", "X[0, 0] = 1 stands once in the columns (0)"),
        ("ArrowUp", "X[0, 0]"),
    ):
        page.keyboard.press(key)
        assert words in said.inner_text(), key
    assert page.evaluate("scrollY") == 0, "its keys do not scroll the page"
    ring = image.evaluate("node => getComputedStyle(node).outlineStyle")
    assert ring == "solid", "one sees where the focus is"


@full_in_browser
def test_columns_by_mouse(columns):
    said = columns.locator(".sum")
    image, matrix = columns.get_by_role("application").all()
    image.locator("g").nth(5).hover()
    assert "X[1, 1] = 6 stands 4 times" in said.inner_text()
    assert matrix.locator(".frame").count() == 4, "its copies are marked"
    matrix.locator("g[data-spot='4']").nth(2).hover()
    assert "Y[1, 1] = row × column 4" in said.inner_text()
    assert image.locator(".frame").get_attribute("x") == "32", "and its window in the image"


@full_in_browser
def test_columns_by_touch_on_a_phone(browser):
    with alone(browser, explore_columns(kernel=3, padding=2), **TOUCH) as columns:
        page = columns.page
        image, matrix = columns.get_by_role("application").all()
        image.locator("g").nth(0).tap()
        assert "zero of the padding stands once" in columns.locator(".sum").inner_text()
        matrix.locator("g[data-spot='1']").first.tap()
        assert "column 1" in columns.locator(".sum").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        matrix.focus()
        page.keyboard.press("End")
        box, last = matrix.bounding_box(), matrix.locator("g").last.bounding_box()
        assert last["x"] + last["width"] <= box["x"] + box["width"] + 1, "brought into sight"
