"""Explorers: their numbers against torch, and how they answer to mouse, keyboard and touch."""

import html
import json
import math
import random
import re

import nbformat
import pytest
import torch
from browser import PHONE, TOUCH, Watch, full_in_browser
from conftest import REPOSITORY
from torch import nn

from course_utils.errors import CourseError
from course_utils.explorers import (
    explore_block,
    explore_budget,
    explore_channels,
    explore_columns,
    explore_depth,
    explore_history,
    explore_network,
    explore_receptive_field,
    explore_ring,
    explore_stack,
    explore_window,
)
from course_utils.explorers.curves import MOST_POINTS
from course_utils.explorers.output import script
from course_utils.explorers.window import window_output
from course_utils.measure import summary
from course_utils.nets.convolution import corr2d
from course_utils.nets.googlenet import INCEPTION, Inception
from course_utils.nets.pooling import pool2d
from course_utils.nets.resnet import BasicBlock, Bottleneck
from course_utils.training import History

pytestmark = pytest.mark.xdist_group("book")  # the worker that has a browser already

LENET = {"conv1": (5, 1, 2), "pool1": (2, 2), "conv2": (5,), "pool2": (2, 2)}
CASES = 50  # random settings of the window


def history(epochs=3, steps=40, rate=0.5, **more):
    """A `History` as a training leaves it, with made-up curves."""
    losses = [2.3 * math.exp(-rate * i / steps) for i in range(epochs * steps)]
    by_epoch = [losses[e * steps : (e + 1) * steps] for e in range(epochs)]
    return History(
        loss=[sum(part) / steps for part in by_epoch],
        train_acc=[0.9 - 0.5 * math.exp(-rate * (e + 1)) for e in range(epochs)],
        test_acc=[0.8 - 0.5 * math.exp(-rate * (e + 1)) for e in range(epochs)],
        step_loss=losses,
        source="made up",
        **more,
    )


def outputs():
    """One explorer of each kind, by the name of its element."""
    return {
        "course-window": explore_window([[1, 2, 0], [0, 1, 3], [2, 0, 1]], [[1, -1], [2, 0]]),
        "course-field": explore_receptive_field(LENET, 28),
        "course-block": explore_block("inception"),
        "course-curves": explore_history({"slow": history(), "fast": history(2, 40, 3.0)}),
        "course-channels": explore_channels(bias=(0, 1)),
        "course-network": explore_network(BasicBlock(64, 128, 2), (64, 56, 56), title="A block"),
        "course-ring": explore_ring(workers=3),
        "course-columns": explore_columns(),
        "course-stack": explore_stack(),
        "course-budget": explore_budget(),
        "course-depth": explore_depth(),
    }


# --- what Python gives ----------------------------------------------------------------------------


def test_equal_arguments_give_equal_bytes():
    for one, other in zip(outputs().values(), outputs().values(), strict=True):
        assert one._repr_mimebundle_() == other._repr_mimebundle_()


def test_outputs_stand_for_themselves():
    for name, output in outputs().items():
        page = output.html()
        assert page.startswith(f"<{name} data-state=") and "JavaScript" in page.split("<script>")[0]
        assert "</script" not in script(name.removeprefix("course-"))
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page), "nothing from outside"


def test_text_tells_what_the_picture_shows():
    texts = [repr(output) for output in outputs().values()]
    assert texts[0].endswith("output\n  -1  4\n   3 -2")
    assert texts[1].splitlines()[-1].split() == ["pool2", "2", "2", "0", "1", "5", "16", "4", "-2"]
    assert "163,696" in texts[2] and "128,049,152" in texts[2]
    assert texts[3].splitlines()[1].startswith("fast: 80 steps, last loss 0.006, train acc 0.899")
    assert "2 filters, weights 2×3×3×3, over 3×5×5 numbers: output 2×3×3" in texts[4]
    assert texts[4].splitlines()[-1].split() == ["5", "1", "-3"], "red, neither, blue; plus 1"
    assert texts[5] == str(summary(BasicBlock(64, 128, 2), (64, 56, 56), depth=1))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: explore_window(mode="median"), "median"),
        (lambda: explore_window(torch.zeros(3, 17)), "16×16"),
        (lambda: explore_window(kernel=6), "5×5"),
        (lambda: explore_window([[math.nan]]), "not finite"),
        (lambda: explore_window(kernel=[[1]], stride=(1, 2)), "stride"),
        (lambda: explore_window([[1, 2], [3, 4]]), "PyTorch refuses"),
        (lambda: explore_window(kernel=2, padding=2, mode="max"), "PyTorch refuses"),
        (lambda: explore_window(kernel=2, dilation=2, mode="avg"), "dilation"),
        (lambda: explore_receptive_field([]), "one layer"),
        (lambda: explore_receptive_field({"conv1": (5,), "wide": (9,)}, 8), "wide"),
        (lambda: explore_receptive_field([(3, 0)]), "layer 1"),
        (lambda: explore_network(BasicBlock(64, 128, 2), (3, 8, 8)), "does not take"),
        (lambda: explore_channels(torch.zeros(3, 3)), "3-D"),
        (lambda: explore_channels(torch.zeros(5, 3, 3)), "4 channels"),
        (lambda: explore_channels(torch.zeros(3, 9, 9)), "8 rows and columns"),
        (lambda: explore_channels(torch.zeros(2, 3, 3)), "PyTorch refuses"),
        (lambda: explore_channels(torch.zeros(3, 2, 2)), "PyTorch refuses"),
        (lambda: explore_channels(bias=[math.nan, 0]), "not finite"),
        (lambda: explore_block("dense"), "dense"),
        (lambda: explore_block("inception", widths=(1, 2)), "(1, 2)"),
        (lambda: explore_history({}), "no run"),
        (lambda: explore_history({"a": history(), "b": History()}), "in b"),
    ],
)
def test_wrong_arguments_are_explained(call, said):
    with pytest.raises(CourseError, match=re.escape(said)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1


def test_long_histories_are_thinned_to_means():
    run = history(epochs=10, steps=469)
    state = explore_history(run).state["runs"][0]
    assert len(state["loss"]) <= MOST_POINTS and state["per_epoch"] == 469
    first = sum(run.step_loss[: state["every"]]) / state["every"]
    assert state["loss"][0] == pytest.approx(first, rel=1e-3)


def test_a_stopped_run_knows_its_epochs():
    run = history(epochs=2, steps=40, interrupted=True)
    run.step_loss += [0.5] * 17
    assert explore_history(run).state["runs"][0]["per_epoch"] == 40
    run = History(step_loss=[2.0, math.inf, 1.0], interrupted=True)
    state = explore_history(run, title="cut").state["runs"][0]
    assert state["loss"] == [2, None, 1] and state["per_epoch"] == 3 and state["name"] == "cut"


def test_scripts_are_small():
    names = [name.removeprefix("course-") for name in outputs()]
    assert all(len(script(name).encode()) < 24_000 for name in names)


def test_chapters_with_explorers_show_them():
    found = 0
    for path in sorted((REPOSITORY / "chapters").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code" or not re.search(r"^explore_\w+\(", cell.source, re.M):
                continue
            found += 1
            assert "nbval-ignore-output" in cell.metadata.tags, "its script may change"
            data = cell.outputs[0].data
            assert data["text/html"].startswith("<course-") and data["text/plain"]
    assert found >= 6


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page with one explorer of each kind; the first stands there twice, script and all."""
    shown = list(outputs().values())
    body = "\n".join(output.html() for output in [*shown, shown[0]])
    path = tmp_path_factory.mktemp("explorers") / "page.html"
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Explorers</title>'
        '<meta name="viewport" content="width=device-width"><style>body { margin: 8px; '
        "font: 16px/1.5 sans-serif } @media (prefers-color-scheme: dark) { body { color: #dce2e8; "
        f"background: #14181d }} }}</style><main><h1>Explorers</h1>{body}</main></html>",
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture(scope="module")
def shared_page(browser, page_file):
    """The page, opened once, for tests that set explorers as they need them."""
    with Watch(browser) as watch:
        yield watch.open(page_file)
        assert watch.problems == []


@pytest.fixture
def page(browser, page_file):
    """The page, fresh, for tests that use mouse and keyboard."""
    with Watch(browser) as watch:
        yield watch.open(page_file)
        assert watch.problems == []


def numbers(text):
    """The numbers in a text, with its minus signs and thousands."""
    found = re.findall(r"−?\d[\d,]*(?:\.\d+)?|−?∞", text)
    return [float(n.replace("−", "-").replace(",", "").replace("∞", "inf")) for n in found]


# Sets a window explorer, and reads all that it shows: at every place the arithmetic.
READ_WINDOW = """state => {
  const element = document.querySelector("course-window");
  const find = (query) => element.shadowRoot.querySelector(query);
  element.dataset.state = JSON.stringify({ ...state, at: 0 });
  const places = [];
  const refused = find(".size").classList.contains("warn");
  const output = element.result;
  const cells = [...output.querySelectorAll("text")].map((text) => text.textContent);
  for (let at = 0; !refused && at < output.querySelectorAll("g").length; at++) {
    element.update({ at });
    places.push(find(".sum").textContent);
  }
  return { refused, places, cells, size: find(".size").textContent,
           caption: output.querySelector("figcaption")?.textContent };
}"""


def random_setting(rng):
    """Settings of a window, some of which PyTorch refuses."""
    mode = rng.choice(["corr", "max", "avg"])
    k_h, k_w = rng.randint(1, 4), rng.randint(1, 4)
    fine = rng.random() < 0.5  # eighths, or whole numbers
    rows, columns = rng.randint(3, 7), rng.randint(3, 7)
    value = (lambda: rng.randint(-40, 40) / 8) if fine else (lambda: rng.randint(-9, 9))
    return {
        "x": [[value() for _ in range(columns)] for _ in range(rows)],
        "kernel": [[value() for _ in range(k_w)] for _ in range(k_h)],
        "mode": mode,
        "stride": rng.randint(1, 3),
        "padding": rng.randint(0, 2),
        "dilation": 1 if mode == "avg" else rng.randint(1, 3),
    }


@full_in_browser
def test_window_shows_torchs_numbers(shared_page):
    rng = random.Random(0)
    compared, refused = 0, 0
    while compared < CASES:
        setting = random_setting(rng)
        X, K = (torch.tensor(setting[name], dtype=torch.float64) for name in ("x", "kernel"))
        options = {key: setting[key] for key in ("mode", "stride", "padding", "dilation")}
        seen = shared_page.evaluate(READ_WINDOW, setting)
        try:
            Y = window_output(X, K, **options)
        except RuntimeError:
            assert seen["refused"], setting
            refused += 1
            continue
        assert seen["caption"] == f"output {Y.shape[0]}×{Y.shape[1]}", setting
        sizes = [int(size) for size in re.findall(r"= (\d+)$", seen["size"], re.M)]
        assert {*sizes} == {*Y.shape}, setting
        shown = torch.tensor([numbers(text)[-1] for text in seen["places"]]).double()
        torch.testing.assert_close(shown, Y.flatten(), atol=5e-5, rtol=1e-6)
        cells = torch.tensor([numbers(text)[0] for text in seen["cells"]]).double()
        torch.testing.assert_close(cells, Y.flatten(), atol=5.1e-3, rtol=1e-6)
        compared += 1
    assert refused > 5


@pytest.mark.browser
def test_window_shows_what_corr2d_and_pool2d_give(shared_page):
    X = torch.arange(9.0).reshape(3, 3)
    K = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    ways = {"corr": corr2d(X, K), "max": pool2d(X, (2, 2)), "avg": pool2d(X, (2, 2), "avg")}
    plain = {"stride": 1, "padding": 0, "dilation": 1}
    for mode, Y in ways.items():
        state = {"x": X.tolist(), "kernel": K.tolist(), "mode": mode, **plain}
        seen = shared_page.evaluate(READ_WINDOW, state)
        assert [numbers(text)[-1] for text in seen["places"]] == Y.flatten().tolist()


@full_in_browser
def test_the_arithmetic_is_spelled_out(shared_page):
    X = [[1, -2], [3, 4]]
    state = {"x": X, "kernel": [[1, 0], [-1, 2]], "stride": 1, "padding": 1, "dilation": 1}
    told = {
        mode: shared_page.evaluate(READ_WINDOW, state | {"mode": mode})["places"]
        for mode in ("corr", "max", "avg")
    }
    flat = {mode: [re.sub(r"\s+", " ", text) for text in texts] for mode, texts in told.items()}
    assert flat["corr"][4] == "Y[1, 1] = 1·1 + (−2)·0 + 3·(−1) + 4·2 = 6"
    assert flat["corr"][0] == "Y[0, 0] = 0·1 + 0·0 + 0·(−1) + 1·2 = 2"
    assert flat["max"][0] == "Y[0, 0] = max(−∞, −∞, −∞, 1) = 1"
    assert flat["avg"][0] == "Y[0, 0] = (0 + 0 + 0 + 1) / 4 = 0.25"


# Sets the layers and reads the sentence on each unit of each layer.
READ_FIELD = """state => {
  const element = document.querySelector("course-field");
  element.dataset.state = JSON.stringify(state);
  return state.asked.map(([look, unit]) => {
    element.update({ look, unit });
    return [...element.shadowRoot.querySelectorAll("p")].map((p) => p.textContent);
  });
}"""


def by_gradient(layers, size, look, unit):
    """Pixels that a unit depends on: those with a gradient, through weights of ones."""
    stack = [nn.Conv1d(1, 1, k, s, p, d, bias=False).double() for k, s, p, d in layers[:look]]
    for conv in stack:
        nn.init.ones_(conv.weight)
    x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    nn.Sequential(*stack)(x)[0, 0, unit].backward()
    return x.grad[0, 0].nonzero().flatten().tolist()


@full_in_browser
def test_receptive_field_is_the_gradients(shared_page):
    stacks = [
        (28, [(5, 1, 2, 1), (2, 2, 0, 1), (5, 1, 0, 1), (2, 2, 0, 1)]),  # LeNet
        (15, [(3, 1, 0, 1)] * 3),
        (31, [(3, 1, 0, 1), (3, 1, 0, 2), (3, 1, 0, 4)]),
        (20, [(3, 1, 2, 2), (2, 1, 0, 3), (1, 2, 0, 1), (3, 1, 1, 2)]),  # leaves gaps
        (64, [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 1, 1), (3, 1, 1, 1)]),  # ResNet's stem
        (32, [(3, 1, 1, 1), (2, 2, 0, 1)] * 5),
    ]
    compared = 0
    for size, layers in stacks:
        named = [dict(zip("kspd", layer, strict=True)) | {"name": "layer"} for layer in layers]
        units, asked = size, []
        for look, (k, s, p, d) in enumerate(layers, start=1):
            units = (units + 2 * p - d * (k - 1) - 1) // s + 1
            asked += [[look, unit] for unit in {0, units // 2, units - 1}]
        state = {"size": size, "layers": named, "asked": asked}
        for (look, unit), (said, rule, *_) in zip(
            asked, shared_page.evaluate(READ_FIELD, state), strict=True
        ):
            expected = by_gradient(layers, size, look, unit)
            assert f"Unit {unit} of layer reads {len(expected)} of {size} pixels" in said
            ranges = said.split("axis: ")[1].split(". ")[0].split(", ")
            shown = []
            for part in ranges:
                ends = [int(n) for n in numbers(part)]
                shown += range(ends[0], ends[-1] + 1)
            assert shown == expected, (layers, look, unit)
            assert said.split("field is ")[1].split()[0] == rule.splitlines()[0].split("= ")[1]
            compared += 1
    assert compared > 50


READ_BLOCK = """state => {
  const element = document.querySelector("course-block");
  element.dataset.state = JSON.stringify(state);
  const boxes = [...element.shadowRoot.querySelectorAll(".branches .box")];
  const texts = (box) => [...box.querySelectorAll("strong, span")].map((part) => part.textContent);
  return { boxes: boxes.map(texts), total: element.shadowRoot.querySelector("p").textContent };
}"""


def random_block(rng):
    """(arguments of explore_block, the net) of a random block."""
    kind, size = rng.choice(["inception", "basic", "bottleneck"]), rng.randint(4, 60)
    channels = rng.randint(1, 300)
    if kind == "inception":
        r = [rng.randint(1, 200) for _ in range(6)]
        widths, norm = (r[0], (r[1], r[2]), (r[3], r[4]), r[5]), rng.random() < 0.5
        call = dict(kind=kind, in_channels=channels, widths=widths, size=size, batch_norm=norm)
        return call, Inception(channels, *widths, batch_norm=norm)
    block = BasicBlock if kind == "basic" else Bottleneck
    width, stride = rng.randint(1, 128), rng.randint(1, 3)
    if rng.random() < 0.4:  # an identity
        channels, stride = block.expansion * width, 1
    call = dict(kind=kind, in_channels=channels, widths=width, size=size, stride=stride)
    return call, block(channels, width, stride)


@full_in_browser
def test_blocks_cost_what_our_nets_cost(shared_page):
    rng = random.Random(1)
    kinds = set()
    for _ in range(36):
        with torch.device("meta"):
            call, net = random_block(rng)
        shape = (call["in_channels"], call["size"], call["size"])
        table = summary(net, shape, depth=None)
        shown = shared_page.evaluate(READ_BLOCK, explore_block(**call).state)
        out = net(torch.zeros(1, *shape, device="meta")).shape[1:]
        expected = [*out, table.total_parameters, table.total_macs]
        assert numbers(shown["total"]) == [float(n) for n in expected], call
        convs = [row for row in table.rows if row.type == "Conv2d"]
        boxes = [box for box in shown["boxes"] if "convolution" in box[0]]
        assert [numbers(box[3])[0] for box in boxes] == [row.macs for row in convs], call
        assert ["×".join(map(str, row.output_shape)) for row in convs] == [b[1] for b in boxes]
        identity = any(box[0] == "identity" for box in shown["boxes"])
        assert identity == isinstance(getattr(net, "shortcut", None), nn.Identity)
        kinds.add((call["kind"], identity))
    assert len(kinds) == 5


@full_in_browser
def test_presets_are_the_networks_own(shared_page):
    """The sizes that a block's list offers are GoogLeNet's."""
    element = shared_page.locator("course-block")
    element.evaluate("element => element.update({ kind: 'inception' })")
    for name in ("3b", "4a", "4e", "5b"):
        element.get_by_label("sizes of").select_option(name)
        state = element.evaluate("element => element.state")
        c1, (r3, c3), (r5, c5), cp = INCEPTION[name]
        widths = dict(c1=c1, r3=r3, c3=c3, r5=r5, c5=c5, cp=cp)
        assert widths.items() <= state.items()


# Sets filters over channels, and reads the sentence on every place of every filter, and all cells.
READ_CHANNELS = """state => {
  const element = document.querySelector("course-channels");
  element.dataset.state = JSON.stringify({ ...state, filter: 0, at: 0 });
  const maps = [...element.shadowRoot.querySelectorAll("[data-output]")];
  const cells = maps.map((map) => [...map.querySelectorAll("text")].map((t) => t.textContent));
  const said = cells.map((map, filter) => map.map((_, at) => {
    element.update({ filter, at });
    return element.shadowRoot.querySelector(".sum").textContent;
  }));
  return { cells, said };
}"""


@full_in_browser
def test_channels_add_up_to_torchs_numbers(shared_page):
    random = torch.Generator().manual_seed(0)
    for channels, filters, k_h, k_w in ((3, 2, 3, 3), (1, 1, 1, 1), (2, 4, 2, 3), (4, 3, 3, 1)):
        X = torch.randint(-4, 5, (channels, 5, 6), generator=random)
        W = torch.randint(-2, 3, (filters, channels, k_h, k_w), generator=random) / 2
        bias = torch.randint(-2, 3, (filters,), generator=random)
        seen = shared_page.evaluate(READ_CHANNELS, explore_channels(X, W, bias).state)
        Y = nn.functional.conv2d(X.double(), W.double(), bias.double()).flatten(1)
        shown = torch.tensor([[numbers(t)[-1] for t in texts] for texts in seen["said"]]).double()
        torch.testing.assert_close(shown, Y)
        cells = torch.tensor([[numbers(t)[0] for t in texts] for texts in seen["cells"]]).double()
        torch.testing.assert_close(cells, Y, atol=0.051, rtol=0)


@full_in_browser
def test_channels_by_mouse_and_keyboard(page):
    channels = page.locator("course-channels")
    said = channels.locator(".sum")
    assert "Y[0, 0, 0]" in said.inner_text() and "blue   0·" in said.inner_text()
    channels.get_by_role("application").focus()
    for key, place in (
        ("ArrowRight", "0, 0, 1"),
        ("ArrowDown", "0, 1, 1"),
        (" ", "1, 1, 1"),
        ("ArrowLeft", "1, 1, 0"),
        ("ArrowUp", "1, 0, 0"),
        (" ", "0, 0, 0"),
    ):
        page.keyboard.press(key)
        assert f"Y[{place}]" in said.inner_text(), key
    channels.locator("[data-output='1'] g").nth(8).click()
    assert "Y[1, 2, 2]" in said.inner_text()
    channels.locator("[data-input='2'] g").nth(12).click()
    assert "Y[1, 1, 1]" in said.inner_text(), "the window's middle goes there"
    channels.get_by_label("bias").fill("-2")
    channels.get_by_label("bias").press("Enter")
    channels.get_by_label("red, row 0, column 0").fill("0.5")
    channels.get_by_label("red, row 0, column 0").press("Enter")
    state = channels.evaluate("element => element.state")
    assert state["bias"] == [0, -2] and state["w"][1][0][0][0] == 0.5
    channels.get_by_label("weights of").select_option("0")
    assert channels.get_by_label("bias").input_value() == "0"


@full_in_browser
def test_controls_change_the_window(page):
    window = page.locator("course-window").first
    said = window.locator(".sum").first
    assert "Y[0, 0]" in said.inner_text() and "= −1" in said.inner_text()
    window.get_by_label("mode").select_option("max")
    assert "max(1, 2," in said.inner_text()
    window.get_by_label("padding", exact=True).fill("1")
    window.get_by_label("padding", exact=True).press("Enter")
    assert window.get_by_text("output 4×4").is_visible()
    window.get_by_role("button", name="stride +1").click()
    assert window.get_by_text("output 2×2").is_visible()
    window.get_by_role("button", name="padding +1").click()
    assert "more than half" in window.locator(".size").inner_text()
    window.get_by_role("button", name="padding −1").click()
    window.get_by_label("mode").select_option("corr")
    window.get_by_label("kernel, row 0, column 0").fill("1/2")
    window.get_by_label("kernel, row 0, column 0").press("Enter")
    window.get_by_label("input", exact=True).select_option("an edge")
    window.locator("summary").click()
    own = window.locator("textarea")
    own.fill("1 2\n3")
    own.blur()
    assert own.get_attribute("aria-invalid") == "true"
    own.fill("8 0\n0 0")
    own.blur()
    assert own.get_attribute("aria-invalid") == "false"
    state = window.evaluate("element => element.state")
    assert state["x"] == [[8, 0], [0, 0]] and state["kernel"] == [[0.5, -1], [2, 0]]
    assert window.get_by_text("output 2×2").is_visible()


@pytest.mark.browser
def test_window_by_keyboard(page):
    window = page.locator("course-window").first
    stage, said = window.get_by_role("application"), window.locator(".sum").first
    stage.focus()
    for key, place in (
        ("ArrowRight", "0, 1"),
        ("ArrowDown", "1, 1"),
        ("ArrowRight", "1, 1"),
        ("ArrowLeft", "1, 0"),
        ("ArrowUp", "0, 0"),
        ("End", "1, 1"),
        ("Home", "0, 0"),
    ):
        page.keyboard.press(key)
        assert f"Y[{place}]" in said.inner_text(), key
    page.keyboard.press(" ")
    assert window.get_by_role("button", name="pause").is_visible()
    window.locator(".sum", has_text="Y[1, 1]").wait_for()
    window.get_by_role("button", name="▶ play").wait_for()  # stops at the end by itself
    assert page.evaluate("scrollY") == 0, "its keys do not scroll the page"
    ring = stage.evaluate("node => getComputedStyle(node).outlineStyle")
    assert ring == "solid", "one sees where the focus is"


@full_in_browser
def test_window_by_mouse(page):
    window = page.locator("course-window").first
    said = window.locator(".sum").first
    cells = window.locator("figure").nth(1).locator("g")
    cells.nth(3).click()
    assert "Y[1, 1]" in said.inner_text()
    pixels = window.locator("figure").nth(0).locator("g")
    start, end = pixels.nth(0).bounding_box(), pixels.nth(2).bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    assert "Y[0, 0]" in said.inner_text()
    page.mouse.move(end["x"] + 15, end["y"] + 5)
    assert "Y[0, 1]" in said.inner_text()
    page.mouse.up()
    window.get_by_role("button", name="one step on").click()
    assert "Y[1, 0]" in said.inner_text()


@full_in_browser
def test_fields_by_mouse_and_keyboard(page):
    field = page.locator("course-field")
    said = field.locator("p[aria-live]")
    stage = field.get_by_role("application")
    stage.focus()
    assert "Unit 2 of pool2" in said.inner_text()
    page.keyboard.press("ArrowLeft")
    assert "Unit 1 of pool2" in said.inner_text()
    page.keyboard.press("ArrowDown")
    assert "of conv2" in said.inner_text()
    box = stage.bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] * 3.4 / 5)
    assert "Unit 0 of conv1 reads 3 of 28 pixels" in said.inner_text()
    field.get_by_label("kernel of layer 1").fill("3")
    field.get_by_label("kernel of layer 1").press("Enter")
    assert "Unit 0 of conv1 reads 1 of 28 pixels" in said.inner_text()
    assert field.get_by_label("network").input_value() == "own"
    field.get_by_role("button", name="+ layer").click()
    assert "of layer 5" in said.inner_text()
    field.get_by_role("button", name="remove layer 2").click()
    assert field.locator("tbody tr").count() == 4
    field.get_by_label("network").select_option("one 7×7")
    assert "7 of 15 pixels" in said.inner_text()
    field.get_by_label("image side", exact=True).fill("5")
    field.get_by_label("image side", exact=True).press("Enter")
    assert "does not fit" in said.inner_text()


@full_in_browser
def test_block_by_keyboard(page):
    block = page.locator("course-block")
    channels = block.get_by_label("channels c3")
    channels.focus()
    page.keyboard.press("ArrowUp")
    assert channels.input_value() == "129"
    assert "257×28×28" in block.locator("p[aria-live]").inner_text()
    block.get_by_label("block", exact=True).select_option("bottleneck")
    assert block.get_by_text("add, then ReLU: 256×56×56").is_visible()


@full_in_browser
def test_networks_tell_what_summary_counts(page):
    """Layer by layer with the arrow keys, then with the mouse; branches lie side by side."""
    net = page.locator("course-network")
    said = net.locator("p[aria-live]")
    rows = summary(BasicBlock(64, 128, 2), (64, 56, 56), depth=1).rows
    net.get_by_role("application").focus()
    page.keyboard.press("Home")
    assert said.inner_text().splitlines() == ["input", "Puts out 64×56×56."]
    seen = {}
    for _ in net.locator("g").all()[1:]:
        page.keyboard.press("ArrowRight")
        first, second = said.inner_text().splitlines()
        seen[first.split()[0]] = first, second
    for row in rows:
        first, second = seen[row.name]
        out, parameters, macs = ("×".join(map(str, row.output_shape)), row.parameters, row.macs)
        assert second.startswith(f"Puts out {out}.") and f"{macs:,} MACs" in second
        assert f"{parameters:,} parameters" in second and row.type in first
        assert f"{row.receptive_field}×{row.receptive_field} pixels" in second
    assert "Conv2d(64, 128, kernel_size=(3, 3), stride=(2, 2)" in seen["conv1"][0]
    assert {"+", "ReLU"} < set(seen)
    net.locator("g").nth(1).hover()
    assert "73,728 parameters (32\N{NO-BREAK SPACE}%)" in said.inner_text()
    shortcut, conv1 = (net.locator("g", has_text=word).first for word in ("shortcut", "Conv"))
    assert shortcut.bounding_box()["y"] > conv1.bounding_box()["y"] + 100


def view(curves):
    state = curves.evaluate("element => element.state")
    return state["from"], state["to"], state["at"]


@full_in_browser
def test_curves_zoom_together(page):
    curves = page.locator("course-curves")
    loss, accuracy = curves.locator("figure").all()
    table = curves.locator("tbody")
    loss.scroll_into_view_if_needed()
    box = loss.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 46 + (box["width"] - 54) / 3, middle)  # one of three epochs
    place = view(curves)[2]
    assert place == pytest.approx(1, abs=0.02)
    run = history()
    shown = [float(text) for text in table.locator("tr").first.locator("td").all_inner_texts()[0:1]]
    assert shown[0] == pytest.approx(run.step_loss[round(place * 40) - 1], abs=0.05)
    page.mouse.down()
    page.mouse.move(box["x"] + 46 + (box["width"] - 54) * 2 / 3, middle, steps=4)
    page.mouse.up()
    start, end, _ = view(curves)
    assert (start, end) == pytest.approx((1, 2), abs=0.05)
    # the other chart shows the same epochs
    assert accuracy.locator("text", has_text=re.compile("^3$")).count() == 0
    accuracy.focus()
    page.keyboard.press("0")
    assert view(curves)[:2] == (0, 3)
    page.keyboard.press("End")
    values = table.locator("tr").first.locator("td").all_inner_texts()
    expected = (run.step_loss[-1], run.train_acc[-1], run.test_acc[-1])
    assert values == [f"{value:.3f}" for value in expected]
    page.keyboard.press("+")
    assert view(curves)[:2] == pytest.approx((1.5, 3))
    page.keyboard.press("ArrowLeft")
    assert view(curves)[2] == pytest.approx(2.97)
    curves.get_by_role("button", name="all").click()
    assert view(curves)[:2] == (0, 3)
    curves.get_by_label("slow").uncheck()
    assert loss.locator(".plot path").count() == 1


PINCH = """element => {
  const chart = element.charts[0];
  const box = chart.getBoundingClientRect();
  const touch = (type, pointerId, share) => chart.dispatchEvent(new PointerEvent(type, {
    pointerId, pointerType: "touch", bubbles: true, buttons: 1,
    clientX: box.left + 46 + share * (box.width - 54), clientY: box.top + 90,
  }));
  chart.setPointerCapture = () => {};  // made-up pointers cannot be captured
  touch("pointerdown", 7, 0.4);
  touch("pointerdown", 8, 0.6);
  for (const step of [0.1, 0.2, 0.3]) touch("pointermove", 8, 0.6 + step);
  touch("pointerup", 8, 0.9);
  touch("pointerup", 7, 0.4);
}"""


# Controls that a finger could miss.
SMALL = """() => [...document.querySelectorAll("main > *")].flatMap((element) =>
  [...element.shadowRoot?.querySelectorAll("button, select, input, summary") ?? []]
    .filter((node) => node.type !== "checkbox" && node.checkVisibility())
    .map((node) => [node.outerHTML.slice(0, 80), node.getBoundingClientRect()])
    .filter(([, box]) => box.width < 31.5 || box.height < 31.5).map(([html]) => html))"""


@full_in_browser
def test_everything_by_touch_on_a_phone(browser, page_file):
    with Watch(browser, **TOUCH) as watch:
        page = watch.open(page_file)
        window = page.locator("course-window").first
        window.locator("figure").nth(1).locator("g").nth(2).tap()
        assert "Y[1, 0]" in window.locator(".sum").first.inner_text()
        field = page.locator("course-field")
        stage = field.get_by_role("application")
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        stage.tap(position={"x": box["width"] - 2, "y": box["height"] * 2.5 / 5})
        assert "Unit 13 of pool1" in field.locator("p[aria-live]").inner_text()
        block = page.locator("course-block")
        block.get_by_role("button", name="image side −1").tap()
        assert "27×27" in block.locator("p[aria-live]").inner_text()
        net = page.locator("course-network")
        net.locator("g").nth(2).tap()
        assert "BatchNorm2d(128" in net.locator("p[aria-live]").inner_text()
        curves = page.locator("course-curves")
        curves.get_by_role("button", name="zoom in").tap()
        curves.get_by_role("button", name="all").tap()
        curves.evaluate(PINCH)
        start, end, _ = view(curves)
        # 0.2 of three epochs lay between the fingers, and then took half of the width
        assert end - start == pytest.approx(3 * 0.2 / 0.5, rel=0.02)
        assert start + 0.4 * (end - start) == pytest.approx(1.2, abs=0.02)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        small = page.evaluate(SMALL)
        assert small == []
        assert watch.problems == []


@full_in_browser
def test_playing_is_calm_for_those_who_ask(browser, page_file):
    """With reduced motion the window waits longer; and it stops when its output goes away."""
    with Watch(browser, reduced_motion="reduce") as watch:
        watch.page.clock.install()
        page = watch.open(page_file)
        window = page.locator("course-window").first
        said = window.locator(".sum").first
        window.get_by_role("button", name="▶ play").click()
        page.clock.run_for(1500)
        assert "Y[0, 0]" in said.inner_text()
        page.clock.run_for(1000)
        assert "Y[0, 1]" in said.inner_text()
        timer = window.evaluate("element => { element.remove(); return element.timer; }")
        assert timer is None
        assert watch.problems == []


@full_in_browser
def test_without_scripts_there_is_a_sentence(browser, page_file):
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(page_file)
    text = shown.locator("course-window").first.inner_text()
    context.close()
    assert "a 2×2 window over 3×3 numbers" in text and "JavaScript" in text


@full_in_browser
def test_moving_an_explorer_keeps_its_state(page):
    """JupyterLab takes outputs off the page and puts them back while one scrolls."""
    state = page.evaluate(
        """() => {
          const window = document.querySelector("course-window");
          window.update({ at: 2 });
          window.remove();
          document.querySelector("main").prepend(window);
          return window.state;
        }"""
    )
    assert state["at"] == 2
    assert page.locator("course-window").first.locator("style").count() == 1


@full_in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_modes(browser, page_file, scheme):
    """WCAG AA: 4.5 to 1 between the text and what is behind it, tinted cells included."""
    with Watch(browser, color_scheme=scheme) as watch:
        page = watch.open(page_file)
        page.evaluate(
            "state => document.querySelector('course-window').update(state)",
            {"x": [[-9, 9], [0, 5]], "kernel": [[1]]},
        )
        worst = page.evaluate(CONTRAST)
        assert len(worst) > 40
        assert [found for found in worst if found[0] < 4.5] == []


# Every text of the explorers with its contrast, from colours as the browser resolves them: those of
# the elements around it, and of the cell or bar under an SVG text.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const parent = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host;
  const ground = (node) => {
    if (!node) return rgba(matchMedia("(prefers-color-scheme: dark)").matches ? "#14181d" : "#fff");
    return over(rgba(getComputedStyle(node).backgroundColor), ground(parent(node)));
  };
  const light = (colour) => {
    const linear = (c) => (c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const host of document.querySelectorAll("main > *")) {
    if (!host.shadowRoot) continue;
    for (const node of host.shadowRoot.querySelectorAll("*")) {
      const own = [...node.childNodes].filter((child) => child.nodeType === 3);
      const text = node.value ?? own.map((child) => child.data.trim()).join("");
      if (!text || node.matches("style, option") || !node.checkVisibility()) continue;
      const style = getComputedStyle(node);
      const svg = node.tagName === "text";
      let under = ground(node);
      const cell = svg && node.parentElement.querySelector(":scope > rect");
      if (cell && node.parentElement.tagName === "g") {
        const fill = rgba(getComputedStyle(cell).fill);
        under = over([...fill.slice(0, 3), fill[3] * getComputedStyle(cell).fillOpacity], under);
      }
      const [a, b] = [light(over(rgba(svg ? style.fill : style.color), under)), light(under)];
      found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text.slice(0, 30)]);
    }
  }
  return found;
}"""


def test_state_survives_any_name():
    """Names of runs go through HTML and JSON: a quote or a tag in one does no harm."""
    page = explore_history({'</script>"<b>&': history()}).html()
    element = page.split("<script>")[0]
    assert "<b>" not in element
    inside = html.unescape(re.search(r'data-state="([^"]*)"', element)[1])
    assert json.loads(inside)["runs"][0]["name"] == '</script>"<b>&'
