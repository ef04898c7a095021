"""`explore_window`: a kernel or a pooling window over an input, one place at a time."""

import torch
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer, as_text

MODES = {"corr": "convolution", "max": "max pooling", "avg": "average pooling"}
MOST = 16  # rows and columns that are still readable
LARGEST = 5  # of a window


def explore_window(X=None, kernel=None, stride=1, padding=0, dilation=1, mode="corr"):
    """Slide a window over numbers and see the arithmetic of every place; an `Explorer`.

    X: (H, W), up to 16×16 numbers; None: 0, 1, 2, … as 6×6.
    kernel: (k_h, k_w), up to 5×5 numbers; None: the kernel for vertical edges. For pooling only
        its size counts, and a whole number k stands for k×k.
    stride, padding, dilation: whole numbers, as in PyTorch's layers; for both axes.
    mode: "corr" (F.conv2d), "max" (F.max_pool2d) or "avg" (F.avg_pool2d, which has no dilation).
    Everything can be changed in the output. Raises CourseError for arguments PyTorch refuses.
    """
    if mode not in MODES:
        raise CourseError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    if X is None:
        X = torch.arange(36).reshape(6, 6)
    if kernel is None:
        kernel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    elif isinstance(kernel, int):
        kernel = torch.ones(kernel, kernel)
    X, kernel = _matrix("X", X, MOST), _matrix("kernel", kernel, LARGEST)
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    for name, value in settings.items():
        if not isinstance(value, int):
            raise CourseError(f"{name} must be one whole number, for both axes, not {value!r}")
    try:
        Y = window_output(X, kernel, mode=mode, **settings)
    except RuntimeError as error:
        raise CourseError(f"PyTorch refuses this window: {str(error).splitlines()[0]}") from error
    shapes = ["×".join(map(str, matrix.shape)) for matrix in (X, kernel, Y)]
    given = ", ".join(f"{name} {value}" for name, value in settings.items())
    about = f"{MODES[mode]}, a {shapes[1]} window over {shapes[0]} numbers"
    parts = [f"{about}, {given}: output {shapes[2]}", "input", as_text(X)]
    parts += ["kernel", as_text(kernel)] if mode == "corr" else []
    state = {"x": _short_numbers(X), "kernel": _short_numbers(kernel), "mode": mode, **settings}
    return Explorer("course-window", state, about, "\n".join([*parts, "output", as_text(Y)]))


def window_output(X, kernel, mode, stride=1, padding=0, dilation=1):
    """What PyTorch computes for the explorer's settings: (H, W) -> (H_out, W_out)."""
    if mode == "corr":
        Y = F.conv2d(X[None, None], kernel[None, None], None, stride, padding, dilation)
    elif mode == "max":
        Y = F.max_pool2d(X[None, None], kernel.shape, stride, padding, dilation)
    else:
        if dilation != 1:
            raise CourseError("average pooling has no dilation in PyTorch: leave it at 1")
        Y = F.avg_pool2d(X[None, None], kernel.shape, stride, padding)
    return Y[0, 0]


def _matrix(name, value, most):
    matrix = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    if matrix.ndim != 2 or not 1 <= min(matrix.shape) <= max(matrix.shape) <= most:
        raise CourseError(
            f"{name} must be a matrix of at most {most}×{most}, not {tuple(matrix.shape)}"
        )
    if not matrix.isfinite().all():
        raise CourseError(f"{name} holds numbers that are not finite")
    return matrix


def _short_numbers(matrix):
    """Rows of numbers, whole ones as int: shorter, and the same in every output."""
    return [
        [int(v) if v.is_integer() else float(f"{v:.10g}") for v in row] for row in matrix.tolist()
    ]
