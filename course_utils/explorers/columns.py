"""`explore_columns`: im2col, which writes every window of an image out as a column."""

import torch
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer, as_text
from course_utils.explorers.window import explore_window

MOST = 6  # rows and columns of an image whose columns can still be read
LARGEST = 3  # of a kernel


def explore_columns(X=None, kernel=None, stride=1, padding=0):
    """See the columns of im2col, and which window and which copies are in them; an `Explorer`.

    X: (H, W), up to 6×6 numbers; None: 1, 2, 3, … as 4×4.
    kernel: (k, k), up to 3×3 numbers and not larger than X; a whole number k stands for ones;
        None: a small one, 2×2.
    stride, padding: whole numbers, for both axes.
    Window, stride and padding can be changed in the output. Raises CourseError for arguments that
    PyTorch refuses, or that are too large to be read.
    """
    X = torch.arange(1, 17).reshape(4, 4) if X is None else X
    kernel = [[1, 2], [0, -1]] if kernel is None else kernel
    window = explore_window(X, kernel, stride, padding)  # it explains what PyTorch refuses
    state = {key: window.state[key] for key in ("x", "kernel", "stride", "padding")}
    X, kernel = (torch.tensor(state[key], dtype=torch.float64) for key in ("x", "kernel"))
    if max(X.shape) > MOST:
        raise CourseError(f"X may have up to {MOST}×{MOST} numbers here, not {_shape(X)}")
    k = len(kernel)
    if kernel.shape != (k, k) or k > min(LARGEST, *X.shape):
        raise CourseError(
            f"the kernel must be square, up to {LARGEST}×{LARGEST} and not larger than X, "
            f"not {_shape(kernel)}"
        )
    columns = F.unfold(X[None, None], k, stride=stride, padding=padding)[0]
    row = kernel.reshape(1, -1)
    about = f"im2col: the columns of a {k}×{k} window over {_shape(X)} numbers"
    lines = [
        f"{about}, stride {stride}, padding {padding}",
        f"columns {_shape(columns)}: {columns.numel()} numbers for {X.numel()} of the image",
        as_text(columns),
        "kernel, as a row",
        as_text(row),
        "row × columns, the output",
        as_text(row @ columns),
    ]
    return Explorer("course-columns", state, about, "\n".join(lines))


def _shape(matrix):
    return "×".join(map(str, matrix.shape))
