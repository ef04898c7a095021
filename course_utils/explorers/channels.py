"""`explore_channels`: filters over an image with channels, and what each channel adds."""

import torch
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer, as_text

MOST = {"channels": 4, "filters": 4, "rows and columns": 8}  # still readable
COLOURS = ("red", "green", "blue")


def explore_channels(X=None, W=None, bias=None):
    """See how filters add up the channels of an image, place by place; an `Explorer`.

    X: (C, H, W) numbers; None: red, green and blue of a small picture.
    W: (filters, C, k_h, k_w); None: one that finds upright edges in all channels, and one that
        finds where red is brighter than blue.
    bias: a number for each filter; None: zeros.
    The weights and biases can be changed in the output. Raises CourseError if X, W and bias do not
    go together, or are too large to be read.
    """
    X = _small_picture() if X is None else X
    W = _two_filters() if W is None else W
    X, W = (torch.as_tensor(value, dtype=torch.float64).detach().cpu() for value in (X, W))
    bias = torch.as_tensor([0] * len(W) if bias is None else bias, dtype=torch.float64)
    if X.ndim != 3 or W.ndim != 4:
        raise CourseError(f"X must be 3-D and W 4-D, not {X.ndim}-D and {W.ndim}-D")
    sizes = (X.shape[0], W.shape[0], max(X.shape[1:]))
    for (what, most), size in zip(MOST.items(), sizes, strict=True):
        if not 1 <= size <= most:
            raise CourseError(f"there can be up to {most} {what} here, not {size}")
    if not all(values.isfinite().all() for values in (X, W, bias)):
        raise CourseError("some numbers are not finite")
    try:
        Y = F.conv2d(X, W, bias)
    except RuntimeError as error:
        raise CourseError(f"PyTorch refuses these: {str(error).splitlines()[0]}") from error
    names = COLOURS if len(X) == 3 else [f"channel {c}" for c in range(len(X))]
    shapes = ["×".join(map(str, tensor.shape)) for tensor in (X, W, Y)]
    about = f"{len(W)} filters, weights {shapes[1]}, over {shapes[0]} numbers: output {shapes[2]}"
    state = {name: value.tolist() for name, value in (("x", X), ("w", W), ("bias", bias))}
    text = "\n".join([about, *(f"output {o}\n{as_text(map_)}" for o, map_ in enumerate(Y))])
    return Explorer("course-channels", state | {"names": list(names)}, about, text)


def _small_picture():
    """(3, 5, 5): red on the left, blue on the right, green in a level line."""
    picture = torch.zeros(3, 5, 5)
    picture[0, :, :2] = 4
    picture[1, 2] = 2
    picture[2, :, 3:] = 4
    return picture


def _two_filters():
    """(2, 3, 3, 3): right minus left in all channels; red minus blue in the middle."""
    filters = torch.zeros(2, 3, 3, 3)
    filters[0, :, 1] = torch.tensor([-1.0, 0, 1])
    filters[1, :, 1, 1] = torch.tensor([1.0, 0, -1])
    return filters
