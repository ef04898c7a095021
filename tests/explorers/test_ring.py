"""`explore_ring`: its chunks are those of chapter 10's code, its seconds those of exercise 10.5."""

import math
import re

import pytest
from browser import PHONE, TOUCH, alone, full_in_browser

from course_utils.errors import CourseError
from course_utils.exercises.chapters.scaling import ex10_5_ring_seconds
from course_utils.explorers import explore_ring
from course_utils.explorers.ring import MOST, contributions

pytestmark = pytest.mark.xdist_group("book")  # the worker that has a browser already

RINGS = range(2, MOST + 1)
SECONDS = {"s": 1, "ms": 1e-3, "µs": 1e-6}


# --- what Python gives ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", RINGS)
def test_sums_grow_round_the_ring_and_then_spread(n):
    steps = contributions(n)
    assert len(steps) == 2 * n - 1 and steps[0] == [[1] * n] * n
    for at, workers in enumerate(steps[1:], start=1):
        full = [chunks.count(n) for chunks in workers]
        assert full == [max(0, at - n + 2)] * n, "one complete chunk each after n - 1 steps"
        assert max(map(max, workers)) == min(at + 1, n)
    assert steps[-1] == [[n] * n] * n


def test_text_has_every_step():
    lines = repr(explore_ring()).splitlines()
    assert [line.split()[0] for line in lines[2:9]] == ["start", *"123456"]
    rows = [re.findall(r"\b\d\b", line.partition("add" if at < 4 else "copy")[2])
            for at, line in enumerate(lines[2:9])]  # fmt: skip
    assert [list(map(int, row)) for row in rows[1:]] == [sum(s, []) for s in contributions(4)[1:]]
    assert lines[-1] == (
        "ResNet-18, latency 50 µs, bandwidth 1.25 GB/s: 56.4 ms round the ring, 225 ms with a boss"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 1}, "from 2 to 8, not 1"),
        ({"workers": 2.5}, "not 2.5"),
        ({"network": "AlexNet"}, "not 'AlexNet'"),
        ({"latency": 0}, "latency 0 "),
        ({"latency": math.nan}, "latency nan"),
        ({"bandwidth": math.inf}, "bandwidth inf"),
    ],
)
def test_wrong_arguments_are_explained(given, said):
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        explore_ring(**given)
    assert len(str(caught.value).splitlines()) == 1


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def ring(browser):
    """The explorer on a fresh page, for those who want no motion."""
    with alone(browser, explore_ring(), reduced_motion="reduce") as found:
        yield found


READ_CELLS = """element => [...element.ring.querySelectorAll("g > text")]
  .filter((text) => !text.closest(".parcel")).map((text) => Number(text.textContent))"""

# The numbers in the chunks of the ring, worker by worker, and the sentence, in every step.
READ_STEPS = """(element, n) => Array.from({ length: 2 * n - 1 }, (_, at) => {
  element.update({ n, at });
  const cells = [...element.ring.querySelectorAll("g > text")].map((text) => +text.textContent);
  const films = element.films.querySelectorAll("svg > g");
  const film = [...films[at].querySelectorAll("[fill-opacity]")];
  return { cells, said: element.said.textContent, films: films.length,
           shades: film.map((cell) => Math.round(n * cell.getAttribute("fill-opacity"))) };
})"""


@pytest.mark.browser
@pytest.mark.parametrize("n", [3, pytest.param(4, marks=pytest.mark.full), MOST])
def test_every_step_is_that_of_the_chapters_code(ring, n):
    steps = ring.evaluate(READ_STEPS, n)
    for at, (seen, workers) in enumerate(zip(steps, contributions(n), strict=True)):
        assert seen["cells"] == seen["shades"] == sum(workers, [])
        assert seen["films"] == 2 * n - 1
        if at:
            assert seen["said"].startswith(f"Step {at} of {2 * n - 2}: every worker sends")
            assert ("adds" in seen["said"]) == (at < n)
            sent = -(at - 1) % n  # (worker - step) % n in ring_all_reduce
            assert f"Worker 0 sends chunk {sent} to worker 1" in seen["said"]
    assert "Now all have the whole sum" in steps[-1]["said"]


def shown_seconds(ring):
    """{"ring": seconds, "boss": seconds} as they are written, with three digits."""
    lines = ring.locator(".sum").all_inner_texts()
    found = [re.search(r"^(\w+) .* = ([\d.]+)\s(\S+)$", line).groups() for line in lines]
    return {name: float(number) * SECONDS[of] for name, number, of in found}


@full_in_browser
def test_times_are_those_of_exercise_10_5(ring):
    parameters = ring.evaluate("element => element.state.networks")
    assert parameters["LeNet"] == 61_706 and parameters["ResNet-18"] == 11_689_512
    for name, count in parameters.items():
        for n, latency, bandwidth in ((2, 1e-6, 1e11), (5, 5e-5, 1.25e9), (8, 1e-2, 1e7)):
            state = {"network": name, "n": n, "latency": latency, "bandwidth": bandwidth}
            ring.evaluate("(element, state) => element.update(state)", state)
            seconds = ex10_5_ring_seconds(count, n, bandwidth, latency)
            boss = 2 * latency + 2 * (n - 1) * 4 * count / bandwidth
            expected = {"ring": seconds, "boss": boss}
            assert shown_seconds(ring) == pytest.approx(expected, rel=5.1e-3)
            share = float(re.search(r"is ([\d.]+)\s% of", ring.locator("p").last.inner_text())[1])
            assert share == pytest.approx(200 * (n - 1) * latency / seconds, rel=0.051)
            bars = [box.bounding_box()["width"] for box in ring.locator(".bar").all()]
            whole = (bars[0] + bars[1]) / (bars[2] + bars[3])
            assert whole == pytest.approx(seconds / boss, rel=0.01)


@full_in_browser
def test_ring_by_keyboard_and_mouse(ring):
    page, said = ring.page, ring.locator("p[aria-live]")
    assert "Before step 1 of 6" in said.inner_text(), "it does not play by itself"
    assert ring.evaluate(READ_CELLS) == [1] * 16
    ring.get_by_role("application").focus()
    for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 6)):
        page.keyboard.press(key)
        assert f"Step {at} of 6" in said.inner_text(), key
    page.keyboard.press("ArrowRight")
    assert "Step 6 of 6" in said.inner_text()
    page.keyboard.press("Home")
    assert "Before step 1" in said.inner_text()
    ring.locator("figure g").nth(3).click()
    assert "Step 3 of 6" in said.inner_text()
    ring.get_by_role("button", name="one step on").click()
    assert "Step 4 of 6" in said.inner_text() and "copies" in said.inner_text()
    workers = ring.get_by_label("workers", exact=True)
    workers.focus()
    page.keyboard.press("Home")
    assert "Step 2 of 2" in said.inner_text(), "there are no more with two workers"
    page.keyboard.press("End")
    assert workers.get_attribute("aria-valuetext") == "8" and "of 14" in said.inner_text()
    before = shown_seconds(ring)
    latency = ring.get_by_label("latency")
    assert latency.get_attribute("aria-valuetext") == "50\N{NO-BREAK SPACE}µs"
    latency.press("ArrowRight")
    assert latency.get_attribute("aria-valuetext") == "63\N{NO-BREAK SPACE}µs"
    ring.get_by_label("bandwidth").press("End")
    assert (
        ring.get_by_label("bandwidth").get_attribute("aria-valuetext")
        == "100\N{NO-BREAK SPACE}GB/s"
    )
    assert shown_seconds(ring)["ring"] < before["ring"]
    ring.get_by_label("gradients of").select_option("LeNet")
    latency.press("End")
    times = shown_seconds(ring)
    assert times["boss"] < times["ring"], "small messages: the boss waits twice only"


@full_in_browser
def test_ring_plays_when_asked_and_stops(browser):
    """Chunks fly, and land; nothing goes on when the output is gone."""
    with alone(browser, explore_ring()) as ring:
        said = ring.locator("p[aria-live]")
        ring.get_by_role("application").focus()
        ring.page.keyboard.press("ArrowRight")
        assert ring.locator(".parcel").count() == 4
        assert ring.evaluate(READ_CELLS) == [1] * 16, "nothing has come yet"
        ring.locator(".read").nth(3).wait_for()
        assert ring.locator(".parcel").count() == 0
        assert ring.evaluate(READ_CELLS) == sum(contributions(4)[1], [])
        ring.get_by_role("button", name="▶ play").click()
        assert ring.get_by_role("button", name="pause").is_visible()
        said.filter(has_text="Step 3 of 6").wait_for()
        ring.page.keyboard.press("Enter")
        assert ring.get_by_role("button", name="▶ play").is_visible()
        ring.get_by_role("button", name="▶ play").click()
        assert ring.evaluate("element => { element.remove(); return element.timer; }") is None


@full_in_browser
def test_ring_is_calm_for_those_who_ask(ring):
    ring.get_by_role("button", name="▶ play").click()
    assert "Step 1 of 6" in ring.locator("p[aria-live]").inner_text()
    assert ring.locator(".parcel").count() == 0 and ring.locator(".read").count() == 4


@full_in_browser
def test_ring_by_touch_on_a_phone(browser):
    with alone(browser, explore_ring(), **TOUCH) as ring:
        ring.locator("figure g").nth(5).tap()
        assert "Step 5 of 6" in ring.locator("p[aria-live]").inner_text()
        ring.evaluate("element => element.update({ n: 8 })")
        size = ring.evaluate(
            """element => Math.min(...[...element.shadowRoot.querySelectorAll("svg")].map((svg) =>
              12 * svg.getScreenCTM().a))"""
        )
        assert size >= 11, "pixels of a letter"
        assert ring.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
