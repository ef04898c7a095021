"""Exercises of chapter 02, Pooling."""

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import (
    counting,
    differs_from,
    distinct,
    refused,
    shapes_after,
    slope,
)
from course_utils.exercises.checker.declare import Band, Raises, case, exercise
from course_utils.nets.pooling import adaptive_windows

TITLE = "Pooling"


def images_and_window():
    yield case(counting(1, 1, 4, 4), 2)
    yield case(-counting(1, 1, 2, 2) - 1, 2, note="all numbers are negative")
    yield case(distinct(1, 1, 3, 3), 1)
    yield case(distinct(1, 2, 2, 6), 2, note="two channels, wider than high")
    yield case(distinct(2, 1, 4, 2), 2, note="two images, higher than wide")
    yield case(distinct(1, 1, 5, 7), 2, note="a row and a column are left over")
    yield case(distinct(2, 3, 9, 6).double(), 3)


def windows_of(X, window):
    return X.unfold(2, window, window).unfold(3, window, window)


@exercise(
    title="The smallest",
    kind="warm-up",
    minutes=2,
    cases=images_and_window,
    reference=lambda X, window: windows_of(X, window).amin(dim=(-1, -2)),
    misconceptions={
        "the largest number is taken": F.max_pool2d,
        "the sign is not turned back": lambda X, window: F.max_pool2d(-X, window),
        "the window moves by one pixel": lambda X, window: -F.max_pool2d(-X, window, 1),
    },
    gradient=True,
    hints=[
        "PyTorch has a layer for the largest number. Which numbers become the largest if you "
        "change every sign?",
        "Pool `-X` by the maximum, and change the sign of what comes out.",
    ],
    explanation="The smallest number is minus the largest of the negatives. The gradient comes "
    "with it: each step is differentiable.",
)
def ex02_1_min_pool2d(X, window):
    """Smallest number of each window: (N, C, H, W) -> (N, C, H // window, W // window)."""
    return -F.max_pool2d(-X, window)


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [case()],
    reference=lambda: shapes_after(
        [
            nn.MaxPool2d(3),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.AvgPool2d(2, ceil_mode=True),
            nn.AdaptiveAvgPool2d(2),
        ],
        torch.zeros(8, 4, 32, 44),
    ),
    hints=[
        "Each axis by itself: rows 32 and columns 44. The stride of `nn.MaxPool2d(3)` is 3.",
        "With window k, padding p and stride s, n pixels become (n + 2p - k) // s + 1. With "
        "`ceil_mode` the division rounds up.",
        "Only a convolution changes the number of channels, and nothing changes the 8.",
    ],
    explanation="Rows: 32, by 3: 10 (two rows are left over), 10, (10 + 2 - 3) // 2 + 1 = 5, "
    "rounded up 3, and 2 because we said so. Columns: 44, 14, 14, 7, 4, 2. Pooling keeps the "
    "channels.",
)
def ex02_2_predict():
    """Shapes after each of the five layers: a list of five tuples (N, C, H, W)."""
    return [(8, 4, 10, 14), (8, 6, 10, 14), (8, 6, 5, 7), (8, 6, 3, 4), (8, 6, 2, 2)]


def strided_reference(X, pool_size, mode="max", stride=None):
    pool = F.max_pool2d if mode == "max" else F.avg_pool2d
    return pool(X[None], pool_size, stride)[0]


def with_stride(fixed):
    return lambda X, pool_size, mode="max", stride=None: strided_reference(
        X, pool_size, mode, fixed
    )


def cropped(X, pool_size, mode="max", stride=None):
    rows, columns = strided_reference(X, pool_size, mode, stride).shape
    return strided_reference(X, pool_size, mode, (1, 1))[:rows, :columns]


@exercise(
    title="Pooling with a stride",
    forbids=r"\w*pool\w*",
    kind="code",
    minutes=15,
    cases=lambda: [
        case(counting(3, 3), (2, 2), "max", (1, 1)),
        case(counting(3, 3), (2, 2), "avg", (1, 1)),
        case(counting(4, 4), (2, 2), note="without a stride: windows side by side"),
        case(-counting(2, 2) - 1, (2, 2), note="all numbers are negative"),
        case(distinct(5, 4), (2, 1), "max", (3, 2)),
        case(distinct(4, 6), (2, 3), "avg", (1, 2)),
        case(distinct(5, 7), (3, 2), "avg", note="a row and a column are left over"),
        case(distinct(9, 8).double(), (3, 3), "max", (2, 2)),
        refused(counting(3, 3), (2, 2), "median", (1, 1), note="no such mode"),
    ],
    reference=strided_reference,
    misconceptions={
        "the stride is ignored: the window moves by one pixel": with_stride((1, 1)),
        "the stride is ignored: it is always the window": with_stride(None),
        "the windows start one pixel apart although the output is smaller": cropped,
    },
    gradient=True,
    hints=[
        "Start from the chapter's `pool2d`. Two lines have to change: how many windows there are, "
        "and where each of them starts.",
        "Along the rows there are (H - p_h) // s_h + 1 windows, and window i starts at row i * "
        "s_h.",
        "`Y = X.new_zeros(rows, columns)` has the dtype of X, and writing `Y[i, j] = …` keeps the "
        "gradient, as long as no `.item()` is in between.",
    ],
    explanation="Only two things differ from `pool2d`: the number of windows is divided by the "
    "stride, and the corner of window (i, j) is (i * s_h, j * s_w).",
)
def ex02_3_pool2d(X, pool_size, mode="max", stride=None):
    """Pool one image (H, W). stride: (rows, columns); None: the window's size."""
    if mode not in ("max", "avg"):
        raise ValueError(f'mode must be "max" or "avg", got {mode!r}')
    p_h, p_w = pool_size
    s_h, s_w = pool_size if stride is None else stride
    Y = X.new_zeros((X.shape[0] - p_h) // s_h + 1, (X.shape[1] - p_w) // s_w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            window = X[i * s_h : i * s_h + p_h, j * s_w : j * s_w + p_w]
            Y[i, j] = window.max() if mode == "max" else window.mean()
    return Y


@exercise(
    title="Average pooling is a convolution",
    forbids=r"\w*pool\w*",
    kind="code",
    minutes=10,
    cases=images_and_window,
    reference=F.avg_pool2d,
    misconceptions={
        "the sum is not divided": lambda X, window: F.avg_pool2d(X, window, divisor_override=1),
        "the sum is divided by the window's side, not its area": lambda X, window: F.avg_pool2d(
            X, window, divisor_override=window
        ),
        "the stride is left at 1": lambda X, window: F.avg_pool2d(X, window, 1),
        "the channels are mixed": lambda X, window: (
            F.avg_pool2d(X, window).mean(dim=1, keepdim=True).expand(-1, X.shape[1], -1, -1)
        ),
    },
    gradient=True,
    hints=[
        "A kernel whose entries are all 1 / (number of pixels) makes the average of its window.",
        "`groups=C` gives each of the C channels its own kernel, of shape (1, window, window).",
        "So the weight is (C, 1, window, window). `X.new_full(shape, value)` has X's dtype.",
    ],
    explanation="One constant kernel per channel, `groups` keeps the channels apart, and the "
    "stride is the window. A convolution could learn this; average pooling need not.",
)
def ex02_4_avg_pool_by_conv(X, window):
    """Average pooling as a depthwise convolution."""
    C = X.shape[1]
    kernel = X.new_full((C, 1, window, window), 1 / window**2)
    return F.conv2d(X, kernel, stride=window, groups=C)


def broken_smooth(X):
    return F.avg_pool2d(X, 3, stride=1, padding=1)


@exercise(
    title="Repair: the dark border",
    kind="repair",
    minutes=5,
    cases=lambda: [
        case(torch.ones(1, 1, 2, 2), note="a white image must stay white up to its border"),
        case(counting(1, 1, 3, 3)),
        case(distinct(1, 1, 1, 1), note="a single pixel"),
        case(distinct(2, 2, 5, 6).double()),
    ],
    reference=lambda X: broken_smooth(X) / broken_smooth(torch.ones_like(X)),
    stub=broken_smooth,
    misconceptions={
        "the zeros of the padding count in the average": broken_smooth,
        "the border is left out": lambda X: F.avg_pool2d(X, 3, stride=1),
        "the border is repeated instead of left out of the average": lambda X: F.avg_pool2d(
            F.pad(X, (1, 1, 1, 1), mode="replicate"), 3, stride=1
        ),
    },
    gradient=True,
    hints=[
        "Try it on `torch.ones(1, 1, 4, 4)`. By what is the sum in a corner divided, and how many "
        "pixels are there really?",
        "Look at the arguments of `F.avg_pool2d`: one says whether padding counts.",
    ],
    explanation="By default the padding's zeros count as pixels, and the border gets darker. With "
    "`count_include_pad=False` the sum is divided by the pixels that are there.",
)
def ex02_5_smooth(X):
    return F.avg_pool2d(X, 3, stride=1, padding=1, count_include_pad=False)


def broken_max_pool2d(X, window):
    N, C, H, W = X.shape
    Y = torch.zeros(N, C, H // window, W // window)
    for i in range(H // window):
        for j in range(W // window):
            block = X[:, :, i : i + window, j : j + window]
            Y[:, :, i, j] = block.max().item()
    return Y


@exercise(
    title="Repair: four mistakes in five lines",
    forbids=r"\w*pool\w*",
    kind="repair",
    minutes=10,
    cases=images_and_window,
    reference=F.max_pool2d,
    stub=broken_max_pool2d,
    misconceptions={
        "one maximum is taken over all images and channels": lambda X, window: (
            F.max_pool2d(X, window).amax(dim=(0, 1), keepdim=True).expand(*X.shape[:2], -1, -1)
        ),
        "the windows start one pixel apart": lambda X, window: F.max_pool2d(X, window, 1)[
            :, :, : X.shape[2] // window, : X.shape[3] // window
        ],
        "the windows start one pixel apart, and images and channels are mixed": broken_max_pool2d,
    },
    gradient=True,
    hints=[
        "Where does window (i, j) start? Try it on 0…15 as 4×4, with window 2.",
        "`block.max()` is one number for the whole batch. `amax` takes the axes to reduce.",
        "`.item()` leaves the world of tensors: no gradient comes back. And what is the dtype of "
        "`torch.zeros` if X is float64?",
    ],
    explanation="Window (i, j) starts at (i * window, j * window); the maximum is taken over the "
    "last two axes only; `X.new_zeros` has X's dtype and device; and without `.item()` the "
    "gradient flows.",
)
def ex02_6_max_pool2d(X, window):
    N, C, H, W = X.shape
    Y = X.new_zeros(N, C, H // window, W // window)
    for i in range(H // window):
        for j in range(W // window):
            rows = slice(i * window, (i + 1) * window)
            columns = slice(j * window, (j + 1) * window)
            Y[:, :, i, j] = X[:, :, rows, columns].amax(dim=(2, 3))
    return Y


@exercise(
    title="Maximum from ReLU",
    forbids=r"\w*(max|min|where|cl[ai]m?p|abs|sort|topk)\w*",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(torch.tensor([1.0, 5.0]), torch.tensor([3.0, 2.0])),
        case(torch.tensor([-1.0]), torch.tensor([-2.0]), note="both are negative"),
        case(torch.tensor([-4.0]), torch.tensor([-3.0]), note="both are negative"),
        case(torch.tensor(0.5), torch.tensor(-2.0), note="tensors without an axis"),
        case(distinct(2, 3, 4).double(), distinct(2, 3, 4).double() + 0.01),
    ],
    reference=torch.maximum,
    misconceptions={
        "the minimum is computed": torch.minimum,
        "negative numbers are cut off": lambda a, b: torch.relu(torch.maximum(a, b)),
        "only the amount above the other is returned": lambda a, b: torch.relu(a - b),
    },
    gradient=True,
    hints=[
        "How much must you add to b so that it becomes the larger of the two?",
        "`relu(a - b)` is how much a is above b, and zero where it is not.",
    ],
    explanation="`relu(a - b)` is what b lacks, if anything. So a network of ReLUs can learn to "
    "pool by the maximum.",
)
def ex02_7_max_by_relu(a, b):
    """Element-wise maximum of a and b."""
    return b + torch.relu(a - b)


@exercise(
    title="Dilated max pooling",
    forbids=r"\w*pool\w*",
    kind="code",
    minutes=15,
    cases=lambda: [
        case(counting(1, 1, 4, 4), 2, 2),
        case(-counting(1, 1, 3, 3) - 1, 2, 2, note="all numbers are negative"),
        case(distinct(1, 1, 4, 5), 2, 1, note="dilation 1 is ordinary pooling"),
        case(distinct(2, 1, 7, 8), 3, 2, 2),
        case(distinct(1, 1, 6, 6), 2, 2, 3),
        case(distinct(2, 2, 8, 9).double(), 3, 3, stride=2),
    ],
    reference=lambda X, window, dilation, stride=1: F.max_pool2d(X, window, stride, 0, dilation),
    misconceptions={
        "the pixels between are looked at too": lambda X, window, dilation, stride=1: F.max_pool2d(
            X, dilation * (window - 1) + 1, stride
        ),
    },
    gradient=True,
    hints=[
        "A window reaches over `dilation * (window - 1) + 1` pixels. How many positions are there?",
        "For each place (i, j) inside of the window, cut out of X what all windows see there: a "
        "strided slice that starts at `i * dilation`.",
        "Collect these window² slices, `torch.stack` them, and take `amax(dim=0)`.",
    ],
    explanation="Only the start of each view changes: entry i of every window lies at `i * "
    "dilation`. The reach takes the place of the window in the formula of the size.",
)
def ex02_8_dilated_max_pool2d(X, window, dilation, stride=1):
    """Max pooling over `window` × `window` pixels that lie `dilation` apart."""
    reach = dilation * (window - 1) + 1
    rows = (X.shape[-2] - reach) // stride * stride + 1
    columns = (X.shape[-1] - reach) // stride * stride + 1
    starts = range(0, reach, dilation)
    views = [
        X[..., i : i + rows : stride, j : j + columns : stride] for i in starts for j in starts
    ]
    return torch.stack(views).amax(dim=0)


def backward_by_autograd(X, dY, window):
    return slope(lambda X: (F.max_pool2d(X, window) * dY).sum(), X)


def spread(dY, window):
    return dY.repeat_interleave(window, 2).repeat_interleave(window, 3)


@exercise(
    title="The gradient by hand",
    forbids=r"backward|grad|\w*_backward",
    kind="code",
    minutes=20,
    cases=lambda: [
        case(counting(1, 1, 2, 2), torch.full((1, 1, 1, 1), 5.0), 2),
        case(-counting(1, 1, 2, 4), counting(1, 1, 1, 2) + 1, 2),
        case(distinct(1, 2, 2, 2), distinct(1, 2, 1, 1), 2, note="two channels"),
        case(distinct(2, 1, 4, 2), distinct(2, 1, 2, 1), 2, note="two images"),
        case(distinct(2, 2, 6, 9).double(), distinct(2, 2, 2, 3).double(), 3),
        case(distinct(1, 1, 2, 3), distinct(1, 1, 2, 3), 1, note="window 1: nothing is pooled"),
    ],
    reference=backward_by_autograd,
    misconceptions={
        "every pixel of a window gets its gradient": lambda X, dY, window: spread(dY, window),
        "the gradient is shared out, as average pooling does it": lambda X, dY, window: (
            spread(dY, window) / window**2
        ),
        "only the place of the maximum is marked, whatever `dY` is": lambda X, dY, window: (
            backward_by_autograd(X, torch.ones_like(dY), window)
        ),
    },
    hints=[
        "The largest pixel of a window gets the window's gradient, all others get zero.",
        "Blow the pooled maxima up to the size of X (`repeat_interleave` along both axes): where "
        "X equals them is the maximum.",
        "Blow `dY` up in the same way, and multiply it by that mask.",
    ],
    explanation="Each maximum, repeated over its window, can be compared with X: the mask is one "
    "at the pixel that won. With ties this would give the gradient to all winners; PyTorch gives "
    "it to the first.",
)
def ex02_9_max_pool_backward(X, dY, window):
    """Gradient of max pooling: shapes (N, C, H, W) from dY (N, C, H // window, W // window)."""

    def spread(small):
        return small.repeat_interleave(window, dim=2).repeat_interleave(window, dim=3)

    winners = spread(F.max_pool2d(X, window)) == X
    return spread(dY) * winners


def soft_by_softmax(X, window, beta):
    patches = windows_of(X, window).flatten(-2)
    return (patches * torch.softmax(beta * patches, dim=-1)).sum(dim=-1)


@exercise(
    title="Between average and maximum",
    kind="code",
    minutes=20,
    cases=lambda: [
        case(counting(1, 1, 2, 2), 2, 1.0),
        case(counting(1, 1, 2, 2), 2, 0.0, note="beta 0 is average pooling"),
        case(-counting(1, 1, 2, 2), 2, 0.5, note="no number is positive"),
        case(counting(1, 1, 2, 2) * 3 + 1, 2, 100.0, note="e to the power of 1000 overflows"),
        case(-counting(1, 1, 2, 2) * 3 - 1, 2, 100.0, note="e to the power of -1000 underflows"),
        case(distinct(2, 1, 7, 5) / 4, 3, -1.0, note="a negative beta leans to the minimum"),
        case(distinct(2, 2, 6, 6).double() / 4, 3, 1.5),
        case(torch.tensor([[-9.0, 9, 900, 901]]).repeat(1, 1, 2, 1), 2, 1.0, note="far apart"),
    ],
    reference=soft_by_softmax,
    misconceptions={
        "beta is ignored": lambda X, window, beta: soft_by_softmax(X, window, 1.0),
        "the maximum is taken": lambda X, window, beta: F.max_pool2d(X, window),
        "the average is taken": lambda X, window, beta: F.avg_pool2d(X, window),
        "it overflows": lambda X, window, beta: (
            F.avg_pool2d(X * torch.exp(beta * X), window)
            / F.avg_pool2d(torch.exp(beta * X), window)
        ),
    },
    gradient=True,
    hints=[
        "Weights that are $e^{\\beta x}$ and divided by their sum: this function has a name.",
        "`X.unfold(2, window, window).unfold(3, window, window)` has shape (N, C, rows, columns, "
        "window, window): flatten the last two axes.",
        "`torch.softmax` subtracts the largest number of each window before it takes powers.",
    ],
    explanation="The weights are a softmax over the window. It is safe because $e^{\\beta x - m} "
    "/ \\sum e^{\\beta x - m}$ is the same for every $m$, and PyTorch takes the largest $\\beta "
    "x$.",
)
def ex02_10_soft_pool2d(X, window, beta):
    """Softmax-weighted mean of each window."""
    windows = X.unfold(2, window, window).unfold(3, window, window).flatten(start_dim=4)
    return (windows * torch.softmax(beta * windows, dim=4)).sum(dim=4)


@exercise(
    title="Any size to any size, by the maximum",
    forbids=r"adaptive_max_\w*",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(counting(1, 1, 4, 4), (2, 2)),
        case(-counting(1, 1, 3, 3) - 1, (1, 1), note="one number for all: global pooling"),
        case(distinct(1, 1, 3, 5), (2, 3), note="the sizes do not divide: windows overlap"),
        case(distinct(1, 2, 4, 2), (4, 2), note="nothing to do"),
        case(distinct(1, 1, 2, 3), (4, 5), note="more outputs than pixels"),
        case(distinct(2, 3, 7, 6).double(), (3, 4)),
    ],
    reference=lambda X, output_size: F.adaptive_max_pool2d(X, output_size),
    misconceptions={
        "the average is taken": lambda X, output_size: F.adaptive_avg_pool2d(X, output_size),
        "rows and columns are exchanged": lambda X, size: F.adaptive_max_pool2d(X, size[::-1]),
    },
    gradient=True,
    hints=[
        "`adaptive_windows(size, count)` gives the (start, end) of each window along one axis.",
        "`adaptive_avg_pool2d` in this chapter does the same for the average: what changes?",
    ],
    explanation="The windows are those of the average; only what is done with them changes. Loops "
    "over the *outputs* are fine here: there are few of them.",
)
def ex02_11_adaptive_max_pool2d(X, output_size):
    """Max pooling to a given size (rows, columns)."""
    rows = adaptive_windows(X.shape[-2], output_size[0])
    columns = adaptive_windows(X.shape[-1], output_size[1])
    grid = [[X[..., a:b, c:d].amax(dim=(-2, -1)) for c, d in columns] for a, b in rows]
    return torch.stack([torch.stack(row, dim=-1) for row in grid], dim=-2)


@exercise(
    title="A cost that does not grow with the window",
    forbids=r"\w*(pool|conv|unfold)\w*",
    kind="code",
    minutes=30,
    cases=lambda: [
        case(counting(1, 1, 3, 3).double(), 2),
        case(counting(1, 1, 2, 2).double() + 1, 1, note="window 1 changes nothing"),
        case(distinct(1, 1, 3, 3).double(), 3, note="one window is the image"),
        case(distinct(1, 2, 4, 6).double(), 2),
        case(distinct(2, 1, 7, 5).double(), 3),
        case(distinct(2, 2, 9, 8).double(), 4),
    ],
    reference=lambda X, window: F.avg_pool2d(X, window, stride=1),
    misconceptions={
        "the sum is not divided": lambda X, window: F.avg_pool2d(X, window, 1, divisor_override=1),
        "the first row and column of windows are missing": lambda X, window: F.avg_pool2d(
            X, window, 1
        )[..., 1:, 1:],
    },
    gradient=True,
    hints=[
        "In one dimension: the sum of x[i:j] is C[j] - C[i], if C[0] = 0 and C[j] is the sum of "
        "the first j numbers.",
        "`F.pad(X, (1, 0, 1, 0))` puts a row and a column of zeros before the image, so that the "
        "table begins with zeros. Then `cumsum` along both axes.",
        "A window's sum is S[bottom right] - S[top right] - S[bottom left] + S[top left].",
    ],
    explanation="Every window's sum is made of four entries of the table, however large the "
    "window is. The table adds up many numbers, so it wants `double`.",
)
def ex02_12_summed_area_avg(X, window):
    """Average pooling with stride 1 in four additions per pixel."""
    k = window
    S = F.pad(X, (1, 0, 1, 0)).cumsum(dim=-2).cumsum(dim=-1)
    sums = S[..., k:, k:] - S[..., :-k, k:] - S[..., k:, :-k] + S[..., :-k, :-k]
    return sums / k**2


class WatchedLayer(nn.Module):
    """A layer that remembers what went in and came out."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.seen = layer, []

    def forward(self, X):
        Y = self.layer(X)
        self.seen.append((X.detach().clone(), Y.detach().clone()))
        return Y

    def __repr__(self):
        return repr(self.layer)


def rolled_and_compared(outcome, again):
    seen = outcome.arguments["layer"].seen
    X, Y = map(torch.cat, zip(*seen, strict=True)) if seen else (torch.zeros(0),) * 2
    if len(X) != 1000 or X[0].numel() != 256:
        return (
            f"The layer got {len(X)} images: it should get 500 of 16 × 16 pixels, and the same "
            "again, moved."
        )
    X = X.view(-1, 16, 16)
    if not any(torch.equal(X[500:], X[:500].roll(by, dims=2)) for by in (1, -1)):
        return "The second images are not the first ones, rolled by one pixel along their width."
    change = (Y[500:] - Y[:500]).norm()
    shares = [change / Y[:500].norm(), change / Y[500:].norm()]
    return differs_from(outcome, *shares, what="The share by which what the layer gave changed")


@exercise(
    title="Experiment: how steady is a layer?",
    kind="experiment",
    minutes=15,
    witness=rolled_and_compared,
    cases=lambda: [
        # wide enough for ten times the spread that other random numbers of this count make
        case(WatchedLayer(layer), expected=Band(low, high))
        for layer, low, high in (
            (nn.Identity(), 0.69, 0.725),
            (nn.MaxPool2d(2), 0.21, 0.24),
            (nn.MaxPool2d(2, stride=1), 0.21, 0.24),
            (nn.AvgPool2d(2), 0.265, 0.29),
            (nn.AvgPool2d((1, 4)), 0.18, 0.215),
            (nn.AvgPool2d((4, 1)), 0.375, 0.41),
            (nn.AdaptiveAvgPool2d(1), 0, 1e-5),
        )
    ],
    hints=[
        "`X.roll(1, dims=3)` moves every image by one pixel along its width, as a ring.",
        "The share of change is that of `change` above: the norm of the difference, divided by "
        "the norm of what it was.",
        "Take both norms over the whole batch, of what the *layer* returns for X and for the "
        "rolled X.",
    ],
    explanation="On noise, which no neighbour resembles, 2×2 pooling lets through a third of the "
    "change. An average over 4 pixels of a row shares three of them with its neighbour after the "
    "move; one over a column shares none. The mean over the whole image never changes.",
)
def ex02_13_unsteadiness(layer):
    """Share by which layer(X) changes when 500 random images move by one pixel."""
    X = torch.rand(500, 1, 16, 16)
    before, after = layer(X), layer(X.roll(1, dims=3))
    return ((after - before).norm() / before.norm()).item()
