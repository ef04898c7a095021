"""The explorer of depth: its curves are the recorded rows, and how it answers."""

import re
import statistics

import pytest
import test_explorers
from browser import TOUCH, Watch, full_in_browser

from course_utils import settings
from course_utils.errors import CourseError
from course_utils.evidence import evidence
from course_utils.explorers import explore_depth

pytestmark = pytest.mark.xdist_group("book")  # the worker that has a browser already
page, page_file = test_explorers.page, test_explorers.page_file

DEPTHS = (8, 14, 20, 32, 44, 56)


def recorded(kind, depth, end=900):
    """What the explorer should say of the steps up to `end`: "0.475 ± 0.029"."""
    runs = evidence("depth", f"mean_{end}")[f"{kind}, {depth} layers"]
    return f"{statistics.mean(runs):.3f} ± {statistics.stdev(runs):.3f}"


def sentence(depth, end):
    plain, residual = (recorded(kind, depth, end) for kind in ("plain", "residual"))
    return (
        f"{depth} layers, steps {end - 49} to {end}: plain {plain}, with shortcuts {residual} "
        "(mean ± standard deviation of 5 seeds)."
    )


def test_its_curves_are_the_rows():
    state = explore_depth(32).state
    assert state["depths"] == [*DEPTHS] and state["depths"][state["at"]] == 32
    assert state["ends"] == [*range(50, 901, 50)]
    for name, kind in (("plain", "plain"), ("with shortcuts", "residual")):
        for depth, runs in zip(DEPTHS, state["losses"][name], strict=True):
            for i, end in enumerate(state["ends"]):
                rows = evidence("depth", f"mean_{end}")[f"{kind}, {depth} layers"]
                assert [curve[i] for curve in runs] == rows


def test_the_end_of_a_curve_is_the_recorded_final_loss():
    """The two are means of 50 steps and of 40 at the end of the same runs."""
    last, final = evidence("depth", "mean_900"), evidence("depth", "loss_900")
    assert last.keys() == final.keys()
    for arm, losses in last.items():
        assert losses == pytest.approx(final[arm], rel=0.1)


def test_text_tells_the_final_losses():
    lines = repr(explore_depth()).splitlines()
    assert lines[0] == "training loss, mean of steps 851 to 900 (± sd of 5 seeds)"
    for line, depth in zip(lines[2:], DEPTHS, strict=True):
        expected = f"{depth} {recorded('plain', depth)} {recorded('residual', depth)}"
        assert " ".join(line.split()) == expected


@pytest.mark.parametrize("depth", [9, "8", None])
def test_what_is_not_recorded_is_said(depth):
    said = f"no curves of {depth!r} layers are recorded, only of these: 8, 14, 20, 32, 44, 56"
    with pytest.raises(CourseError, match=f"^{re.escape(said)}$"):
        explore_depth(depth)


def test_rows_without_curves_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "REPOSITORY", tmp_path)
    for header in ("", 'arm,seed,loss_900\n"plain, 8 layers",0,0.5\n'):
        path = tmp_path / "chapters" / "evidence" / "depth.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header, encoding="utf-8")
        with pytest.raises(CourseError, match="only of these: none$"):
            explore_depth()


@full_in_browser
def test_every_depth_and_step_by_keyboard(page):
    element = page.locator("course-depth")
    said = element.locator("p[aria-live]")
    slider = element.get_by_label("layers with weights")
    slider.focus()
    for depth in DEPTHS:
        assert said.inner_text() == sentence(depth, 900)
        assert slider.get_attribute("aria-valuetext") == str(depth)
        page.keyboard.press("ArrowRight")
    element.get_by_role("application").focus()
    for end in range(900, 0, -50):
        assert said.inner_text() == sentence(56, end)
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert said.inner_text() == sentence(44, 50)
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    assert said.inner_text() == sentence(56, 900)


@full_in_browser
def test_kinds_can_be_hidden(page):
    element = page.locator("course-depth")
    curves = element.locator("figure").first.locator("path")
    assert curves.count() == 12, "five seeds and their mean, twice"
    element.get_by_label("with shortcuts").uncheck()
    assert curves.count() == 6
    said = element.locator("p[aria-live]")
    assert "shortcuts" not in said.inner_text() and recorded("plain", 8) in said.inner_text()
    element.get_by_label("plain").uncheck()
    assert curves.count() == 0 and "Tick at least one" in said.inner_text()
    element.get_by_label("with shortcuts").check()
    assert curves.count() == 6 and recorded("residual", 8) in said.inner_text()


@full_in_browser
def test_by_mouse(page):
    element = page.locator("course-depth")
    said = element.locator("p[aria-live]")
    left, right = element.locator("svg[viewBox$='230']").all()
    left.scroll_into_view_if_needed()
    box = left.bounding_box()
    place = lambda step: box["x"] + 34 + (box["width"] - 46) * step / 900  # noqa: E731
    page.mouse.move(place(310), box["y"] + 50)
    page.mouse.down()
    assert said.inner_text() == sentence(8, 300)
    page.mouse.move(place(590), box["y"] + 90)
    assert said.inner_text() == sentence(8, 600)
    page.mouse.up()
    box = right.bounding_box()
    page.mouse.click(box["x"] + 34 + (box["width"] - 46) * (32 - 4) / 56, box["y"] + 60)
    assert said.inner_text() == sentence(32, 600)
    caption = element.locator("figcaption").all_inner_texts()
    assert caption == ["training loss, 32 layers", "training loss in steps 551 to 600"]


@full_in_browser
def test_by_touch(browser, page_file):
    with Watch(browser, **TOUCH) as watch:
        element = watch.open(page_file).locator("course-depth")
        said = element.locator("p[aria-live]")
        left, right = element.locator("svg[viewBox$='230']").all()
        left.tap(position={"x": 36, "y": 60})
        assert said.inner_text() == sentence(8, 50)
        right.tap(position={"x": right.bounding_box()["width"] - 14, "y": 60})
        assert said.inner_text() == sentence(56, 50)
        assert watch.problems == []
