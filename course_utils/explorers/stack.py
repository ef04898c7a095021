"""`explore_stack`: one large window, or a stack of small ones?"""

import math

import torch
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer, as_text

WINDOWS = (3, 5, 7)
DEEPEST = 6
CHANNELS = range(16, 513, 16)  # where the slider stops


def explore_stack(windows=(3, 3, 3), channels=64, share=False):
    """See by how many ways each pixel reaches one output, and what that costs; an `Explorer`.

    windows: side of each layer's window, 3, 5 or 7; one to six layers, stride 1. A number alone
        stands for one layer.
    channels: in and out, everywhere; a multiple of 16 up to 512.
    share: whether to start with shares of all ways, in percent, instead of numbers.
    Everything can be changed in the output. Raises CourseError for other windows or channels.
    """
    windows = [windows] if isinstance(windows, int) else list(windows)
    if not 1 <= len(windows) <= DEEPEST or not set(windows) <= set(WINDOWS):
        raise CourseError(f"windows must be one to six of 3, 5 and 7, not {windows}")
    if channels not in CHANNELS:
        raise CourseError(f"channels must be a multiple of 16 up to 512, not {channels}")
    ways = ways_through(windows)
    r, total = len(ways), math.prod(k * k for k in windows)
    layers = " after ".join(f"{k}×{k}" for k in windows)
    about = f"by how many ways each of {r}×{r} pixels reaches one output of {layers}"
    weights, one = channels**2 * sum(k * k for k in windows), channels**2 * r * r
    lines = [
        about,
        as_text(ways),
        f"ways together: {total:,}",
        f"with {channels} channels, weights, and multiply-adds per place:",
        f"  {weights:,}, and one {r}×{r} window {one:,}: {weights / one:.2f} times",
        f"ReLUs: {len(windows)}, and one window 1",
    ]
    state = {"windows": windows, "channels": channels, "share": bool(share)}
    return Explorer("course-stack", state, about, "\n".join(lines))


def ways_through(windows):
    """By how many ways a stack of windows, stride 1, leads from each pixel to one output.

    windows: sides of the layers' windows. Returns (r, r), int64, r being the receptive field.
    """
    line = torch.ones(1, 1, 1, dtype=torch.float64)  # whole numbers stay exact
    for k in windows:
        line = F.conv1d(line, torch.ones(1, 1, k, dtype=torch.float64), padding=k - 1)
    line = line.flatten().long()
    return torch.outer(line, line)
