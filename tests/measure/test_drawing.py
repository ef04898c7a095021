"""Drawings of networks: one slab per layer, one bar per layer that costs something."""

import matplotlib

matplotlib.use("agg")

import pytest
from matplotlib import pyplot as plt
from torch import nn

from course_utils.measure import draw_architecture, plot_cost, summary


def stages(count):
    """A net of `count` blocks and a classifier."""
    block = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)) for _ in range(count)]
    return nn.Sequential(*block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 7))


@pytest.mark.parametrize(("count", "depth", "slabs"), [(3, 1, 6), (3, 2, 9), (20, 1, 23)])
def test_one_slab_for_each_layer_and_the_input(count, depth, slabs):
    fig = draw_architecture(stages(count), (3, 8, 8), depth=depth)
    fronts = [patch for ax in fig.axes for patch in ax.patches if patch.get_gid() == "front"]
    assert len(fronts) == slabs + 1
    words = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert words[:2] == ["input", "3×8×8"] and words[-2:] == ["Linear", "7"]
    assert fig.get_figwidth() <= 8.6  # fits the page
    plt.close(fig)


def test_slabs_shrink_with_the_image():
    net = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.Conv2d(2, 64, 1))
    fig = draw_architecture(net, (2, 32, 32))
    boxes = [p.get_extents() for p in fig.axes[0].patches if p.get_gid() == "front"]
    heights, widths = [b.height for b in boxes], [b.width for b in boxes]
    assert heights[0] > heights[1] > heights[2] == pytest.approx(heights[3])
    assert widths[3] > widths[2] == pytest.approx(widths[0])
    plt.close(fig)


def test_bars_are_the_costs():
    table = summary(stages(2), (3, 8, 8))
    fig = plot_cost(table)
    parameters, macs = ([bar.get_width() for bar in ax.patches] for ax in fig.axes)
    rows = [row for row in table.rows if row.parameters]
    assert parameters == [row.parameters for row in rows]
    assert macs == [row.macs for row in rows]
    plt.close(fig)
