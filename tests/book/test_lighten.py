"""Figures of the book can be read on light and on dark pages; pictures in them stay as they are."""

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

matplotlib.use("agg")

from course_utils.commands.book.lighten import ON_DARK, ON_LIGHT, for_light_and_dark
from course_utils.plotting import STYLE, show_images

WHITE, NIGHT = (255, 255, 255), (0x14, 0x18, 0x1D)  # the pages' grounds, as in course.css


def drawn(make):
    """The picture that a chapter's figure becomes, as an RGBA array."""
    from matplotlib import pyplot as plt

    with plt.style.context(STYLE):
        figure = make(plt)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        plt.close(figure)
    return Image.open(buffer).convert("RGBA")


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = [c / 255 for c in colour]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize(("ink", "page"), [(ON_LIGHT, WHITE), (ON_DARK, NIGHT)])
def test_contrast_of_ink_and_page_is_more_than_aa(ink, page):
    high, low = sorted((luminance(ink), luminance(page)), reverse=True)
    assert (high + 0.05) / (low + 0.05) > 7


def test_text_and_axes_change_and_nothing_else():
    def curve(plt):
        figure, ax = plt.subplots()
        ax.plot([3, 1, 2], color="C1")
        ax.set(xlabel="epoch", title="A curve")
        return figure

    before = drawn(curve)
    pages = [np.array(page) for page in for_light_and_dark(before)]
    before = np.array(before)
    for page, ink in zip(pages, (ON_LIGHT, ON_DARK), strict=True):
        changed = (page != before).any(axis=-1)
        assert (page[..., 3] == before[..., 3]).all(), "the shape of letters stays"
        assert (np.abs(before[changed][:, :3].astype(int) - 128) <= 2).all()
        assert (page[changed][:, :3] == ink).all()
        opaque = page[page[..., 3] > 200][:, :3].astype(int)
        assert not (np.abs(opaque - 128).max(axis=-1) <= 2).any(), "no ink is left"


def test_a_grey_inside_a_picture_stays():
    greys = np.full((1, 24, 24), 128 / 255)
    before = drawn(lambda plt: show_images(greys, ["grey"], scale=2, vmin=0, vmax=1))
    for page in for_light_and_dark(before):
        assert (np.array(page) == np.array(before))[60:-60, 60:-60].all()
        assert (np.array(page) != np.array(before)).any(), "its title does not"


def test_a_picture_without_ink_is_left_alone():
    assert for_light_and_dark(Image.new("RGBA", (20, 20), (0, 114, 178, 255))) is None
