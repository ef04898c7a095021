"""What a network costs, how long it takes, and how it looks."""

from course_utils.measure.drawing import draw_architecture, plot_cost
from course_utils.measure.summary import (
    count_macs,
    count_parameters,
    layer_shapes,
    median_time,
    median_times,
    summary,
)

__all__ = [
    "count_macs",
    "count_parameters",
    "draw_architecture",
    "layer_shapes",
    "median_time",
    "median_times",
    "plot_cost",
    "summary",
]
