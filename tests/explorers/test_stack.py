"""`explore_stack` against torch's gradients and counts, and how it answers to keys and pointers."""

import re

import pytest
import torch
from browser import PHONE, TOUCH, alone, full_in_browser
from torch import nn
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.explorers import explore_stack
from course_utils.explorers.stack import ways_through
from course_utils.measure import count_macs
from course_utils.nets.convolution import receptive_field

pytestmark = pytest.mark.xdist_group("book")  # the worker that has a browser already

STACKS = [(3, 3, 3), (7,), (3, 5), (5, 5, 5), (3, 7, 3, 5), (3,) * 6]


@pytest.fixture
def stack(browser):
    """The explorer as chapter 06 has it, on a page of its own."""
    with alone(browser, explore_stack()) as found:
        yield found


def by_gradient(windows):
    """(r, r): the gradient of one output through convolutions of ones, as the chapter takes it."""
    r = receptive_field([(k, 1, k // 2) for k in windows])[0]
    X = torch.zeros(1, 1, r, r, dtype=torch.float64, requires_grad=True)
    Y = X
    for k in windows:
        Y = F.conv2d(Y, torch.ones(1, 1, k, k, dtype=torch.float64))
    assert Y.shape == (1, 1, 1, 1)
    return torch.autograd.grad(Y, X)[0][0, 0].long()


@pytest.mark.parametrize("windows", [*STACKS, (7,) * 6])
def test_ways_are_the_gradient(windows):
    assert torch.equal(ways_through(windows), by_gradient(windows))


def test_text_tells_what_the_picture_shows():
    lines = repr(explore_stack()).splitlines()
    assert lines[0].endswith("each of 7×7 pixels reaches one output of 3×3 after 3×3 after 3×3")
    assert lines[4].split() == ["7", "21", "42", "49", "42", "21", "7"]
    assert "110,592, and one 7×7 window 200,704: 0.55 times" in repr(explore_stack())
    assert explore_stack(7).state["windows"] == [7]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: explore_stack([]), "one to six"),
        (lambda: explore_stack([3] * 7), "one to six"),
        (lambda: explore_stack([3, 4]), "[3, 4]"),
        (lambda: explore_stack(channels=100), "not 100"),
        (lambda: explore_stack(channels=0), "not 0"),
    ],
)
def test_wrong_arguments_are_explained(call, said):
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1


# Sets the stack; reads the sentence on each pixel, the cells' numbers and the table.
READ = """(element, state) => {
  element.dataset.state = JSON.stringify({ ...state, pixel: [0, 0] });
  const half = (element.line.length - 1) / 2;
  const offsets = element.line.map((_, i) => i - half);
  const number = (node) => Number(node.textContent.replaceAll(",", ""));
  return {
    cells: [...element.map.querySelectorAll("text")].map(number),
    sees: element.sees.textContent,
    table: [...element.body.querySelectorAll("td")].map(number),
    said: offsets.map((row) => offsets.map((column) => {
      element.update({ pixel: [row, column] });
      return element.says.textContent;
    })),
  };
}"""


@full_in_browser
def test_every_pixel_says_the_gradients_number(stack):
    for windows in STACKS:
        seen = stack.evaluate(READ, explore_stack(windows).state)
        ways = by_gradient(windows)
        r, total = len(ways), ways.sum()
        assert f"{r}×{r} pixels, by {total:,} ways" in seen["sees"]
        for line, row in zip(seen["said"], ways.tolist(), strict=True):
            for said, number in zip(line, row, strict=True):
                told, share = re.search(r"has ([\d,]+) of them, (<?[\d.]+)\s%", said).groups()
                assert told == f"{number:,}"
                shown = float(share.removeprefix("<"))
                assert shown == pytest.approx(100 * number / total, rel=0.06, abs=0.01)
        if r <= 7:
            assert seen["cells"] == ways.flatten().tolist()


@full_in_browser
def test_costs_are_what_torch_counts(stack):
    for windows, channels in (((3, 3, 3), 64), ((5, 3), 128), ((7,), 16), ((3, 7, 5, 3), 512)):
        seen = stack.evaluate(READ, explore_stack(windows, channels).state)["table"]
        r = len(by_gradient(windows))

        def cost(windows, channels=channels):
            with torch.device("meta"):
                convs = [
                    nn.Conv2d(channels, channels, k, padding=k // 2, bias=False) for k in windows
                ]
            net = nn.Sequential(*convs)
            return sum(p.numel() for p in net.parameters()), count_macs(net, (channels, 1, 1))

        (weights, macs), (one, one_macs) = cost(windows), cost([r])
        assert seen[0:2] == [weights, one] and seen[3:5] == [macs, one_macs]
        assert seen[6:8] == [len(windows), 1]
        assert seen[2] == seen[5] == pytest.approx(weights / one, abs=0.005)


@full_in_browser
def test_the_middle_third(stack):
    """Its share of the pixels, and of the ways, against the gradient's."""
    for windows, m in (((3, 3, 3), 3), ((7,), 3), ((3, 3), 1), ((3,) * 6, 5), ((5, 5, 5), 5)):
        stack.evaluate(READ, explore_stack(windows).state)
        said = stack.locator("p").last.inner_text()
        ways = by_gradient(windows)
        start = (len(ways) - m) // 2
        part = ways[start : start + m, start : start + m].sum() / ways.sum()
        area, share = re.findall(r"(?:are|is|have|has) ([\d.]+)\s% of", said)
        assert float(area) == pytest.approx(100 * m * m / ways.numel(), rel=0.06)
        assert float(share) == pytest.approx(100 * part.item(), rel=0.06)
        assert (f"middle {m}×{m} are" if m > 1 else "The one in the middle") in said


@pytest.mark.browser
def test_stack_by_keyboard(stack):
    page, says, map_ = stack.page, stack.locator("p").last, stack.get_by_role("application")
    first = "The pixel in the middle has 49 of them, 6.7 %. The middle 3×3 are 18 % of the pixels"
    assert says.inner_text().replace("\xa0", " ") == f"{first} and have 50 % of the ways."

    def shown():
        return stack.evaluate("element => element.shadowRoot.textContent")

    map_.focus()
    for key, words in (
        ("ArrowUp", "1 up of the middle has 42"),
        ("ArrowLeft", "1 up and 1 left of the middle has 36"),
        ("Home", "in the middle has 49"),
        *(3 * [("ArrowRight", "right of the middle has")]),
        ("ArrowRight", "3 right of the middle has 7 "),
    ):
        page.keyboard.press(key)
        assert words in says.inner_text(), key
    stack.get_by_label("layers").focus()
    page.keyboard.press("ArrowRight")
    assert "9×9 pixels, by 6,561 ways" in shown()
    stack.get_by_label("layer 4").focus()
    page.keyboard.press("End")
    assert stack.evaluate("element => element.state.windows") == [3, 3, 3, 7]
    assert "13×13 pixels" in shown()
    stack.get_by_label("channels").focus()
    page.keyboard.press("ArrowRight")
    assert f"{80 * 80 * (27 + 49):,}" in shown()
    assert page.evaluate("scrollY") == 0, "its keys do not scroll the page"


@full_in_browser
def test_stack_by_mouse(stack):
    says, cells = stack.locator("p").last, stack.locator("g")
    cells.nth(0).hover()
    assert "3 up and 3 left of the middle has 1 of them, 0.14\xa0%" in says.inner_text()
    assert cells.nth(0).text_content() == "1" and cells.nth(24).text_content() == "49"
    stack.get_by_label("share").check()
    assert cells.nth(0).text_content() == "0.1" and cells.nth(24).text_content() == "6.7"
    box = stack.get_by_role("application").bounding_box()
    stack.page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 20)
    assert "3 up and 3 left" in says.inner_text(), "beside the map is nothing"


@full_in_browser
def test_stack_by_touch_on_a_phone(browser):
    with alone(browser, explore_stack([7] * 6), **TOUCH) as stack:
        page = stack.page
        stack.locator("g").last.tap()
        assert "18 down and 18 right of the middle has 1 " in stack.locator("p").last.inner_text()
        assert stack.locator("g text").count() == 0, "37 columns are too narrow for numbers"
        stack.get_by_label("layers").fill("1")
        assert stack.locator("g text").count() == 49
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
