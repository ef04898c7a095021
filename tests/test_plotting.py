"""Figures as PNG at twice the resolution: what is kept, what they weigh."""

import base64
from io import BytesIO

import matplotlib.style
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from course_utils.plotting import STYLE, Animator, sharp_png


@pytest.fixture(autouse=True)
def course_style():
    with matplotlib.style.context(STYLE):
        yield


def photograph(colour):
    """A figure of random pixels."""
    figure = Figure(figsize=(2, 2))
    pixels = np.random.default_rng(0).random((64, 64, 3) if colour else (64, 64))
    figure.add_subplot().imshow(pixels, cmap="gray")
    return figure


def curves():
    figure = Figure()
    axes = figure.add_subplot()
    for n in range(6):
        axes.plot(np.arange(50) ** 0.5 * n, label=f"line {n}")
    axes.legend()
    return figure


def opened(figure):
    data, size = sharp_png(figure)
    return Image.open(BytesIO(base64.b64decode(data))), size


@pytest.mark.parametrize("draw", [curves, lambda: photograph(False), lambda: photograph(True)])
def test_twice_as_many_pixels_and_the_same_colours(draw):
    figure = draw()
    image, size = opened(figure)
    assert abs(image.width - 2 * size["width"]) <= 1
    assert abs(image.height - 2 * size["height"]) <= 1
    buffer = BytesIO()
    dpi = 2 * figure.dpi
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    want = np.asarray(Image.open(buffer).convert("RGBA")).astype(int)
    got = np.asarray(image.convert("RGBA")).astype(int)
    assert got.shape == want.shape
    visible = want[..., 3] > 16
    assert abs(got - want)[visible][:, :3].max() <= 4
    assert abs(got - want)[..., 3].max() <= 9


def test_grey_pictures_keep_their_greys_and_a_palette_makes_them_small():
    image, _ = opened(photograph(False))
    assert image.mode == "P"
    greys = np.asarray(image.convert("RGBA"))[..., 0]
    assert len(np.unique(greys)) > 120
    assert opened(photograph(True))[0].mode == "RGBA"


def test_the_same_figure_gives_the_same_bytes():
    assert sharp_png(curves())[0] == sharp_png(curves())[0]


def test_jupyter_puts_no_box_behind_a_figure():
    from matplotlib_inline.backend_inline import _fetch_figure_metadata

    assert _fetch_figure_metadata(curves()) in ({}, None)


@pytest.mark.parametrize(
    "y",
    [2, np.float64(2), np.array(2), torch.tensor(2), torch.tensor(2.0, requires_grad=True), [2]],
)
@pytest.mark.parametrize("legend", ["loss", ["loss"], ()])
def test_an_animator_of_one_line_takes_a_number_of_any_kind(y, legend):
    plot = Animator(legend=legend, live=False)
    for x in (1, torch.tensor(2)):
        plot.add(x, y)
    plot.add(3, None)
    assert plot.lines == [([1, 2], [2, 2])]
    (axes,) = plot.draw().axes
    assert len(axes.lines) == 1 and (not legend or axes.lines[0].get_label() == "loss")
    plt.close(axes.figure)


def test_an_animator_of_several_lines_takes_a_tensor_of_numbers():
    plot = Animator(legend=["a", "b"], live=False)
    plot.add(1, torch.tensor([1.0, 2.0]))
    plot.add(2, (None, 3))
    assert plot.lines == [([1], [1]), ([1, 2], [2, 3])]
