"""Figures as PNG at twice the resolution: what is kept, what they weigh."""

import base64
from io import BytesIO

import matplotlib.style
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from course_utils.plotting import STYLE, sharp_png


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
