"""The course's own convolution and pooling against torch's, forward and backward."""

from course_utils.commands.bench.rounds import at_most, interleave, measured
from course_utils.measure import median_time

SHAPE = (256, 6, 28, 28)  # a batch as LeNet's first pooling sees it
FILTERS = (16, 6, 5, 5)


def operators(sizes, manifest, tell):
    """im2col convolution and pooling by views."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from course_utils.nets.convolution import conv2d_im2col
    from course_utils.nets.pooling import pool2d_windows

    torch.manual_seed(0)
    X = torch.randn(SHAPE, requires_grad=True)
    W = torch.randn(FILTERS, requires_grad=True)
    b = torch.zeros(FILTERS[0], requires_grad=True)

    def timed(function, *inputs):
        """A side: milliseconds of the function and the gradients of all its inputs."""
        grad = torch.randn_like(function(*inputs))

        def step():
            torch.autograd.grad(function(*inputs), inputs, grad)

        return lambda number: 1e3 * median_time(step, sizes.operator_calls)

    pairs = {
        "convolution, 6 to 16 channels, 5×5": (
            ("im2col", timed(conv2d_im2col, X, W, b)),
            ("F.conv2d", timed(F.conv2d, X, W, b)),
            3,
        ),
        "maximum pooling, 2×2": (
            ("pool2d_windows", timed(lambda X: pool2d_windows(X, 2), X)),
            ("nn.MaxPool2d", timed(nn.MaxPool2d(2), X)),
            2,
        ),
    }
    results = []
    for what, (ours, theirs, bound) in pairs.items():
        found = interleave(dict([ours, theirs]), sizes.rounds, tell)
        what += ", on " + "×".join(map(str, SHAPE))
        ratio = (ours[0], theirs[0])
        results.append(measured(what, "ms", found, ratio=ratio, goal=at_most(bound)))
    return results
