"""`explore_block`: Inception and residual blocks while their widths change."""

import torch

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer
from course_utils.measure import summary
from course_utils.nets.googlenet import INCEPTION, Inception
from course_utils.nets.resnet import BasicBlock, Bottleneck

RESIDUAL = {"basic": BasicBlock, "bottleneck": Bottleneck}


def explore_block(kind, in_channels=None, widths=None, size=28, stride=1, batch_norm=False):
    """Boxes with shapes, parameters and MACs of a block; an `Explorer`.

    kind: "inception", "basic" or "bottleneck".
    in_channels: None: 192 for Inception, 64 else. size: side of the image in pixels.
    widths: for Inception (1×1, (reduction, 3×3), (reduction, 5×5), pool projection), as in
        INCEPTION; None: those of 3a. Else the `channels` of the block; None: 64.
    stride: of residual blocks. batch_norm: of Inception; residual blocks always have it.
    Everything can be changed in the output. Raises CourseError for an unknown kind, or widths
    the block does not take.
    """
    state = {"kind": kind, "size": size}
    try:
        if kind == "inception":
            in_channels, widths = in_channels or 192, widths or INCEPTION["3a"]
            c1, (r3, c3), (r5, c5), cp = widths
            state |= {"c1": c1, "r3": r3, "c3": c3, "r5": r5, "c5": c5, "cp": cp}
            state |= {"batch_norm": batch_norm}
            with torch.device("meta"):
                net = Inception(in_channels, *widths, batch_norm=batch_norm)
        elif kind in RESIDUAL:
            in_channels, widths = in_channels or 64, widths or 64
            state |= {"channels": widths, "stride": stride}
            with torch.device("meta"):
                net = RESIDUAL[kind](in_channels, widths, stride)
        else:
            raise CourseError(f"kind must be inception, basic or bottleneck, not {kind!r}")
    except (TypeError, ValueError, RuntimeError) as error:
        raise CourseError(f"a block of kind {kind} does not take {widths}: {error}") from error
    table = summary(net, (in_channels, size, size))
    state["in_channels"] = in_channels
    return Explorer("course-block", state, f"shapes and cost of {table.caption}", str(table))
