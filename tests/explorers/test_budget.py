"""The explorer of budgets: its numbers are the ledger's rows, and how it answers."""

import math
import re
import statistics

import pytest
import test_explorers
from browser import TOUCH, Watch, full_in_browser

from course_utils import settings
from course_utils.errors import CourseError
from course_utils.evidence import evidence
from course_utils.explorers import explore_budget

pytestmark = pytest.mark.xdist_group("book")  # the worker that has a browser already
page, page_file = test_explorers.page, test_explorers.page_file

PRICES = ("parameters", "macs", "training_seconds")


def mean_and_sd(runs):
    return f"{statistics.mean(runs):.4f} ± {statistics.stdev(runs):.4f}"


def costs(price):
    return {name: statistics.mean(runs) for name, runs in evidence("ledger", price).items()}


def ranked(price, budget):
    """Names within the budget, the best first."""
    means = {name: statistics.mean(runs) for name, runs in evidence("ledger").items()}
    names = [name for name, cost in costs(price).items() if cost <= budget + 5e-5]
    return sorted(names, key=lambda name: -means[name])


def front(price, names):
    """Those of the names that none beats on both price and mean accuracy, as chapter 09 has it."""
    paid, runs = costs(price), evidence("ledger")
    points = {name: (paid[name], -statistics.mean(runs[name])) for name in names}
    return {
        a
        for a, point in points.items()
        if not any(b != point and b[0] <= point[0] and b[1] <= point[1] for b in points.values())
    }


def told_apart(a, b):
    runs = [evidence("ledger")[name] for name in (a, b)]
    error = math.sqrt(sum(statistics.variance(values) / 5 for values in runs))
    return abs(statistics.mean(runs[0]) - statistics.mean(runs[1])) > 1.96 * error


def shown(element):
    """The rows of the list: (on the front?, name, accuracy, price)."""
    found = []
    for i, row in enumerate(element.locator("tbody tr").all(), start=1):
        name, accuracy, price = (cell.inner_text() for cell in row.locator("th, td").all())
        mark, words = re.fullmatch(rf"([●○]) {i}\. (.*?)(?: ★)?", name).groups()
        found.append((mark == "●", words, accuracy, price))
    return found


@pytest.mark.parametrize("price", PRICES)
def test_its_numbers_are_the_rows(price):
    state = explore_budget(price).state
    accuracies, paid = evidence("ledger"), costs(price)
    assert [net["name"] for net in state["nets"]] == [*accuracies]
    for net in state["nets"]:
        runs = accuracies[net["name"]]
        assert net["seeds"] == len(runs) == 5
        assert net["mean"] == pytest.approx(statistics.mean(runs), abs=1e-6)
        assert net["sd"] == pytest.approx(statistics.stdev(runs), abs=1e-6)
        assert net[price] == pytest.approx(paid[net["name"]], abs=1e-4)


def test_text_ranks_what_the_budget_buys():
    lines = repr(explore_budget("macs", 1e6)).splitlines()
    names = ranked("macs", 1e6)
    assert len(lines) == 1 + len(names) == 8
    for line, name in zip(lines[1:], names, strict=True):
        assert line.startswith(f"{name} ") and mean_and_sd(evidence("ledger")[name]) in line
        assert line.endswith(f"{costs('macs')[name]:,.0f}")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: explore_budget("watts"), "macs, training_seconds, not 'watts'"),
        (
            lambda: explore_budget(budget=100),
            "100 parameters there is none: the cheapest takes 7,850",
        ),
        (lambda: explore_budget(budget=math.nan), "nan parameters"),
        (lambda: explore_budget(budget="1000"), "'1000'"),
    ],
)
def test_wrong_arguments_are_explained(call, said):
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1


def test_more_than_the_dearest_buys_no_more():
    whole = explore_budget("macs").html()
    assert explore_budget("macs", math.inf).html() == whole == explore_budget("macs", 10**9).html()


def test_without_rows_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "REPOSITORY", tmp_path)
    with pytest.raises(CourseError, match="nothing is recorded"):
        explore_budget()


@full_in_browser
@pytest.mark.parametrize("price", PRICES)
def test_every_budget_by_keyboard(page, price):
    """From the cheapest network on, each arrow key buys the next: list, front and verdict."""
    element = page.locator("course-budget")
    element.get_by_label("price", exact=True).select_option(price)
    said = element.locator("p[aria-live]")
    element.get_by_role("application").focus()
    page.keyboard.press("Home")
    budgets = sorted(set(costs(price).values()))
    for budget in budgets:
        names, rows = ranked(price, budget), shown(element)
        assert [row[1] for row in rows] == names
        assert {row[1] for row in rows if row[0]} == front(price, names)
        assert [row[2] for row in rows] == [mean_and_sd(evidence("ledger")[n]) for n in names]
        assert element.locator(".faded").count() == 11 - len(names)
        apart = len(names) < 2 or told_apart(*names[:2])
        assert ("cannot be told apart" in said.inner_text()) == (not apart)
        assert all(f"“{name}”" in said.inner_text() for name in names[:2])
        page.keyboard.press("ArrowRight")
    assert "11 of 11 networks" in said.inner_text()
    page.keyboard.press("ArrowLeft")
    assert len(shown(element)) < 11


@full_in_browser
def test_the_slider_is_logarithmic(page):
    element = page.locator("course-budget")
    slider = element.get_by_label("budget", exact=True)
    slider.focus()
    assert slider.get_attribute("aria-valuetext") == "11,175,370 parameters"
    low, high = 7850, 11175370
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == f"{low:,} parameters"
    assert [row[1] for row in shown(element)] == ["linear"]
    for notch in range(1, 6):
        page.keyboard.press("ArrowRight")
        paid = test_explorers.numbers(slider.get_attribute("aria-valuetext"))[0]
        assert slider.input_value() == str(notch)
        assert paid == pytest.approx(low * (high / low) ** (notch / 300), rel=0.01)
    page.keyboard.press("End")
    assert len(shown(element)) == 11


@full_in_browser
def test_by_mouse(page):
    element = page.locator("course-budget")
    said = element.locator("p[aria-live]")
    element.locator("svg").scroll_into_view_if_needed()
    box = element.locator("svg").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 2, middle)
    page.mouse.down()
    assert "11 of 11" in said.inner_text()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=3)
    assert [row[1] for row in shown(element)] == ranked("parameters", 300_000)
    page.mouse.move(box["x"] + 2, middle, steps=3)
    page.mouse.up()
    assert said.inner_text().endswith("It is “linear”.")


@full_in_browser
def test_by_touch(browser, page_file):
    with Watch(browser, **TOUCH) as watch:
        element = watch.open(page_file).locator("course-budget")
        picture = element.locator("svg")
        picture.tap(position={"x": 50, "y": 100})
        assert [row[1] for row in shown(element)] == ["linear"]
        element.get_by_label("price", exact=True).select_option("macs")
        assert len(shown(element)) == 11
        assert watch.problems == []
