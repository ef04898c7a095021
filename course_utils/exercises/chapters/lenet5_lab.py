"""Exercises of chapter 04, the LeNet-5 digits lab."""

import math
import weakref

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import counting, differs_from, distinct, several
from course_utils.exercises.checker.declare import Band, case, exercise
from course_utils.nets.lenet5_lab import LeNet5

TITLE = "The LeNet-5 digits lab"


@exercise(
    title="Normalise a batch",
    kind="warm-up",
    minutes=3,
    cases=lambda: [
        case(torch.full((1, 1, 2, 2), 0.5), note="one grey level: all zeros, not NaN"),
        case(torch.zeros(2, 1, 2, 3), note="all black"),
        case(counting(1, 1, 2, 2) / 4),
        case(counting(2, 1, 2, 2) / 8, note="one mean for the batch, not one for each image"),
        case(torch.rand(4, 1, 5, 5) + 3),
    ],
    reference=lambda X: F.layer_norm(X, X.shape, eps=1e-24),
    misconceptions={
        "the deviation is divided by one less than the count": lambda X: (X - X.mean()) / X.std(),
        "every image is normalised by itself": lambda X: F.instance_norm(X, eps=1e-12),
        "0.5 is taken for mean and deviation": lambda X: (X - 0.5) / 0.5,
        "it is scaled to [0, 1]": lambda X: (X - X.min()) / (X.max() - X.min()),
        "it is divided by the variance": lambda X: (X - X.mean()) / X.var(correction=0),
    },
    hints=[
        "`X.mean()` and `X.std(correction=0)` look at all numbers of the batch.",
        "Where all pixels are alike, the deviation is 0, and 0 / 0 is NaN. `clamp(min=…)` with a "
        "tiny number saves you.",
    ],
    explanation="`correction=0` divides by the count. The clamp changes nothing for real images, "
    "and turns 0 / 0 into 0 / a tiny number.",
)
def ex04_1_normalise(X):
    """X with mean 0 and standard deviation 1 over the whole batch; one grey level gives zeros."""
    return (X - X.mean()) / X.std(correction=0).clamp(min=1e-12)


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [
        *several((1, 1, 1, 1), (1, 1, 2, 3), (1, 6, 5, 32), (6, 16, 5, 14)),
        case(2, 3, 3, 3, note="the window just fits"),
        case(1, 2, 3, 8, 2, note="a row is left over"),
        case(3, 1, 2, 7, stride=3),
    ],
    reference=lambda c_in, c_out, k, n, stride=1: (
        c_in * F.conv2d(torch.zeros(1, 1, n, n), torch.zeros(c_out, 1, k, k), stride=stride).numel()
    ),
    hints=[
        "Which loops does `forward` still have? Batch and window are left to one operation.",
        "Rows of the output × columns of the output × filters × input channels.",
        "The output has (n - k) // stride + 1 rows, and as many columns.",
    ],
    explanation="Output positions × filters × channels. Neither the batch nor k² counts: one "
    "operation treats the window of all images at once. LeNet-5's second convolution takes 9,600 "
    "steps; number by number it would be 240,000 for each image.",
)
def ex04_2_inner_steps(c_in, c_out, k, n, stride=1):
    """How often the innermost line of `Conv2D.forward` runs for a batch of n × n images."""
    side = (n - k) // stride + 1
    return side * side * c_out * c_in


def columns_by_unfold(shape, k, stride=1, padding=0, bytes_per_number=4):
    return F.unfold(torch.zeros(shape), k, 1, padding, stride).numel() * bytes_per_number


def columns_of_others(change):
    return lambda shape, *args, **kwargs: columns_by_unfold(change(*shape), *args, **kwargs)


@exercise(
    title="The price of the columns",
    forbids=r"\w*(unfold|im2col)",
    kind="code",
    minutes=8,
    cases=lambda: [
        case((1, 1, 1, 1), 1),
        case((1, 1, 3, 3), 2),
        case((2, 1, 3, 3), 3, note="two images"),
        case((1, 2, 3, 5), 2, note="wider than high"),
        case((1, 1, 6, 4), 3, note="higher than wide"),
        case((1, 1, 5, 5), 2, 2, note="a row and a column are left over"),
        case((1, 3, 4, 4), 3, 1, 1, note="padded"),
        case((1, 1, 4, 6), 3, stride=2, padding=2),
        case((2, 3, 5, 8), 4, 3, 1, 8, note="numbers of eight bytes"),
        case((8, 6, 14, 14), 5, bytes_per_number=2),
    ],
    reference=columns_by_unfold,
    misconceptions={
        "it is the size of the image": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            math.prod(shape) * bytes_per_number
        ),
        "the columns of one image are counted, not of the batch": columns_of_others(
            lambda N, C, H, W: (1, C, H, W)
        ),
        "numbers are counted, not bytes": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (  # noqa: E501
            columns_by_unfold(shape, k, stride, padding, 1)
        ),
        "a column holds one channel only": columns_of_others(lambda N, C, H, W: (N, 1, H, W)),
    },
    hints=[
        "A column holds one window: C · k · k numbers.",
        "There is a column for each output position of each image.",
        "Positions along an axis: (n + 2 · padding - k) // stride + 1.",
    ],
    explanation="N · C · k² · rows · columns, times the bytes of a number. With stride 1 each "
    "pixel is in nearly k² windows, so the columns take nearly k² times the image.",
)
def ex04_3_column_bytes(shape, k, stride=1, padding=0, bytes_per_number=4):
    """Bytes of the columns that `im2col` makes of images of a shape (N, C, H, W)."""
    N, C, H, W = shape
    rows = (H + 2 * padding - k) // stride + 1
    columns = (W + 2 * padding - k) // stride + 1
    return N * C * k * k * rows * columns * bytes_per_number


def linear_portrait(layer):
    """What to compare of a linear layer; of anything else, what it is."""
    if not isinstance(layer, nn.Linear):
        return {"kind": type(layer).__name__}
    bias = None if layer.bias is None else layer.bias.detach()
    return {"kind": "Linear", "weight": layer.weight.detach(), "bias": bias}


def linear_by_probing(conv):
    """Read the matrix off: send in one image for each pixel, with a one there."""
    size = conv.in_channels * math.prod(conv.kernel_size)
    ones = torch.eye(size).reshape(size, conv.in_channels, *conv.kernel_size)
    zero = conv(torch.zeros_like(ones[:1])).flatten(1)
    layer = nn.Linear(size, conv.out_channels, bias=conv.bias is not None)
    layer.weight = nn.Parameter((conv(ones).flatten(1) - zero).T)
    if conv.bias is not None:
        layer.bias = nn.Parameter(zero[0])
    return layer


def linear_with_axes(conv, *axes):
    """A linear layer from the kernel with its axes in another order."""
    layer = linear_by_probing(conv)
    layer.weight = nn.Parameter(conv.weight.detach().permute(0, *axes).flatten(1))
    return layer


@exercise(
    title="A convolution that is a linear layer",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(nn.Conv2d(1, 1, 2), note="a single filter"),
        case(nn.Conv2d(2, 3, 2), note="two channels"),
        case(nn.Conv2d(3, 2, 2, bias=False), note="no bias"),
        case(nn.Conv2d(2, 2, (2, 3)), note="a window that is not square"),
        case(LeNet5().conv3, note="LeNet-5's third convolution"),
    ],
    reference=linear_by_probing,
    view=linear_portrait,
    misconceptions={
        "the order is rows, columns, channels; `flatten` gives channels, rows, columns": (
            lambda conv: linear_with_axes(conv, 2, 3, 1)
        ),
        "rows and columns are exchanged": lambda conv: linear_with_axes(conv, 1, 3, 2),
        "weights are new random numbers instead of the convolution's": lambda conv: nn.Linear(
            conv.weight[0].numel(), conv.out_channels, bias=conv.bias is not None
        ),
    },
    hints=[
        "The kernel covers the image, so there is one position: each filter makes one weighted sum "
        "of all C · k · k pixels, as a row of a linear layer's weight does.",
        "`conv.weight.flatten(1)` puts each filter into one row, in the order in which "
        "`nn.Flatten` puts the pixels.",
        "Copy with `layer.weight.copy_(…)` under `torch.no_grad()`; `conv.bias` may be `None`.",
    ],
    explanation="A convolution that is as large as its image is a linear layer, number for number. "
    "So LeNet-5's third convolution may be called either; old papers say C5 for it, and draw it as "
    "a convolution since larger images would give it more positions.",
)
def ex04_4_as_linear(conv):
    """nn.Linear that does to flattened images of the kernel's size what `conv` does to them."""
    filters = conv.weight.detach().flatten(1)
    linear = nn.Linear(filters.shape[1], len(filters), bias=conv.bias is not None)
    with torch.no_grad():
        linear.weight.copy_(filters)
        if conv.bias is not None:
            linear.bias.copy_(conv.bias)
    return linear


def broken_conv(X, W):
    side = int(math.sqrt((X.shape[2] - W.shape[2] + 1) * (X.shape[3] - W.shape[3] + 1)))
    return (W.flatten(1) @ F.unfold(X, W.shape[2:])).unflatten(2, (side, -1))


@exercise(
    title="Repair: right numbers in wrong places",
    kind="repair",
    minutes=5,
    cases=lambda: [
        case(counting(1, 1, 2, 3), torch.ones(1, 1, 1, 1), note="wider than high"),
        case(counting(1, 1, 3, 2), torch.ones(1, 1, 1, 1), note="higher than wide"),
        case(counting(1, 1, 3, 3), torch.ones(1, 1, 2, 2), note="square"),
        case(distinct(2, 1, 3, 4), distinct(1, 1, 2, 1), note="a window that is not square"),
        case(distinct(1, 1, 4, 4), distinct(2, 1, 1, 3), note="only the window is not square"),
        case(distinct(2, 3, 4, 9).double(), distinct(2, 3, 3, 2).double()),
    ],
    reference=F.conv2d,
    stub=broken_conv,
    misconceptions={
        "rows and columns of the output are exchanged": lambda X, W: (
            W.flatten(1) @ F.unfold(X, W.shape[2:])
        ).unflatten(2, (X.shape[3] - W.shape[3] + 1, -1)),
        "the image is turned over, and back": lambda X, W: F.conv2d(X.mT, W).mT,
    },
    gradient=True,
    hints=[
        "The columns come row by row of the output. How many rows are there?",
        "Rows: `X.shape[2] - W.shape[2] + 1`. `unflatten` works out the -1 by itself.",
    ],
    explanation="The columns are in the order of the output's rows, so the first number must be "
    "the rows. The root of rows × columns is right for squares only. Try every function on "
    "something that is not square: it costs nothing and finds this kind of mistake.",
)
def ex04_5_conv(X, W):
    rows = X.shape[2] - W.shape[2] + 1
    return (W.flatten(1) @ F.unfold(X, W.shape[2:])).unflatten(2, (rows, -1))


class Mark(torch.autograd.Function):
    """Leaves its argument as it is, and hangs a token on the graph."""

    @staticmethod
    def forward(ctx, X, token):
        ctx.token = token
        return X.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class Token:
    """Lives as long as the graph that it hangs on."""


class GraphWatcher(nn.Linear):
    """A linear layer that refuses to go on while graphs of earlier batches are kept."""

    def __init__(self, inputs, classes):
        super().__init__(inputs, classes)
        self.tokens = []

    def forward(self, X):
        alive = sum(token() is not None for token in self.tokens)
        if alive > 1:  # that of the batch before may still have a name
            raise RuntimeError(f"the graphs of {alive} earlier batches are still in memory")
        token = Token()
        self.tokens.append(weakref.ref(token))
        return Mark.apply(super().forward(X), token)


def some_batches(*sizes, dtype=torch.float32):
    return [(distinct(n, 2).to(dtype), torch.randint(3, (n,))) for n in sizes]


def net_with(layer):
    return nn.Sequential(nn.Linear(2, 8), layer, nn.Linear(8, 3)).train()


def mean_loss_at_once(net, batches):
    """All batches as one."""
    X, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return F.cross_entropy(net.eval()(X), y).item()


def broken_mean_loss(net, batches):
    total = 0.0
    for X, y in batches:
        total += F.cross_entropy(net(X), y)
    return total / len(batches)


@exercise(
    title="Repair: the mean loss",
    kind="repair",
    minutes=8,
    cases=lambda: [
        case(nn.Linear(2, 3), some_batches(1), note="a single example"),
        case(nn.Linear(2, 3), some_batches(3, 1), note="the last batch is smaller"),
        case(net_with(nn.Dropout()), some_batches(4), note="a net with dropout"),
        case(net_with(nn.BatchNorm1d(8)), some_batches(4, 2), note="a net that normalises batches"),
        case(GraphWatcher(2, 3), some_batches(2, 2, 2, 2), note="a net that watches its graphs"),
        case(nn.Linear(2, 3).double(), some_batches(8, 8, 3, dtype=torch.float64)),
    ],
    reference=mean_loss_at_once,
    stub=broken_mean_loss,
    misconceptions={
        "every batch counts alike, however small it is": lambda net, batches: (
            sum(mean_loss_at_once(net, [batch]) for batch in batches) / len(batches)
        ),
        "the losses are added up, and not divided": lambda net, batches: (
            mean_loss_at_once(net, batches) * sum(len(y) for _, y in batches)
        ),
        "it is divided by the number of batches": lambda net, batches: (
            mean_loss_at_once(net, batches) * sum(len(y) for _, y in batches) / len(batches)
        ),
    },
    python_number=True,
    hints=[
        "Three things: the mode of the net, the graph behind each loss, and the weight of each "
        "batch.",
        "`net.eval()` switches dropout off; under `torch.no_grad()` no graphs are made, and "
        "`.item()` gives a number of Python's own.",
        '`F.cross_entropy(…, reduction="sum")` adds up over the examples of a batch. Divide once, '
        "at the end, by the number of all examples.",
    ],
    explanation="Evaluation mode, no graphs, and sums instead of means of means. A training that "
    "goes on afterwards has to call `net.train()` again; `Runner` does that by itself.",
)
def ex04_6_mean_loss(net, batches):
    net.eval()
    total, examples = 0.0, 0
    with torch.no_grad():
        for X, y in batches:
            total += F.cross_entropy(net(X), y, reduction="sum").item()
            examples += len(y)
    return total / examples


def top_by_sorting(logits, k):
    values, classes = logits.sort(dim=1, descending=True)
    return classes[:, :k], values.softmax(dim=1)[:, :k]


@exercise(
    title="The k most likely",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(torch.tensor([[0.0, 2.0, 1.0]]), 1),
        case(torch.tensor([[0.0, 2.0, 1.0]]), 2),
        case(torch.tensor([[3.0, 1.0], [0.0, 4.0]]), 1, note="as many images as classes"),
        case(-distinct(3, 3).abs(), 3, note="all logits are negative; all classes asked for"),
        case(torch.tensor([[500.0, 0.0, 501.0]]), 2, note="logits that overflow by themselves"),
        case(distinct(4, 10).double(), 5),
    ],
    reference=top_by_sorting,
    misconceptions={
        "logits are returned, not probabilities": lambda logits, k: logits.topk(k)[::-1],
        "probabilities come first: the classes should": lambda *args: top_by_sorting(*args)[::-1],
        "the softmax goes over the batch, not over the classes": lambda logits, k: torch.softmax(
            logits, dim=0
        ).topk(k)[::-1],
        "the probabilities are made from the k largest logits alone": lambda logits, k: (
            top_by_sorting(logits, k)[0],
            torch.softmax(logits.topk(k).values, dim=1),
        ),
        "the least likely come first": lambda x, k: x.softmax(1).topk(k, largest=False)[::-1],
    },
    hints=[
        "First make probabilities of the logits: along which axis must they add up to 1?",
        "`tensor.topk(k)` returns a pair: the values, and where they were.",
    ],
    explanation="Softmax over the classes, then `topk`. It returns (values, indices); the task "
    "wants the classes, which are the indices, first.",
)
def ex04_7_top(logits, k):
    """The k most likely classes of each row and their probabilities: two tensors (N, k)."""
    probabilities, classes = torch.softmax(logits, dim=1).topk(k)
    return classes, probabilities


def stop_by_slices(scores, patience):
    for i in range(patience, len(scores)):
        if max(scores[: i - patience + 1]) >= max(scores[i - patience + 1 : i + 1]):
            return i
    return len(scores) - 1


def never_reset(scores, patience):
    bests = [score > max(scores[:i]) for i, score in enumerate(scores) if i]
    without = [i for i, is_best in enumerate(bests, 1) if not is_best]
    return without[patience - 1] if len(without) >= patience else len(scores) - 1


@exercise(
    title="When to stop",
    kind="code",
    minutes=12,
    cases=lambda: [
        case([0.5], 1, note="a single score"),
        case([0.5, 0.4], 1),
        case([0.4, 0.5], 1, note="better and better: never stopped"),
        case([0.5, 0.5, 0.6], 1, note="as good is no new best"),
        case([0.5, 0.5, 0.4, 0.6], 2),
        case([0.3, 0.5, 0.4, 0.6, 0.5, 0.4], 2, note="a new best starts the count again"),
        case([0.3, 0.2, 0.25, 0.28, 0.4], 3, note="better than the one before is not enough"),
        case([0.3, 0.6, 0.5, 0.4], 5, note="it never comes to that: the last index"),
        case([0.1, 0.4, 0.35, 0.5, 0.45, 0.48, 0.49, 0.9], 3),
        case([-3.0, -2.0, -2.5, -2.2, -1.0], 2, note="scores may be negative"),
    ],
    reference=stop_by_slices,
    misconceptions={
        "it is one step too patient": lambda scores, patience: stop_by_slices(scores, patience + 1),
        "the count goes on after a new best, where it should start again": never_reset,
        "it is the index of the best score": lambda scores, patience: scores.index(max(scores)),
        "a score as good as the best is taken for a new best": lambda scores, patience: (
            stop_by_slices([(score, i) for i, score in enumerate(scores)], patience)
        ),
    },
    hints=[
        "Remember the *index* of the best score so far.",
        "At index i, i - best scores in a row have come without a new best.",
    ],
    explanation="The index of the best is all there is to remember; a new best must be truly "
    "better. The weights that you keep are those of the best, not those of the stop.",
)
def ex04_8_stop(scores, patience):
    """Index of the `patience`-th score in a row without a new best; else the last index."""
    best = 0
    for i, score in enumerate(scores):
        if score > scores[best]:
            best = i
        elif i - best >= patience:
            return i
    return len(scores) - 1


def share_of_the_gradients(outcome, again):
    gradients = outcome.spy.gradients(32, 32)
    if [len(G) for G in gradients] != [4] * 10:
        return (
            f"Gradients of {sum(map(len, gradients))} images of 32 × 32 pixels were taken: it "
            "should be those of 4 images in each of ten networks."
        )
    if any(images.min() >= 0 for images in outcome.spy.drawn(4 * 32 * 32)):
        return "The images are no normal random numbers: none of them is below zero."
    m = outcome.arguments["m"]
    middle = slice((32 - m) // 2, (32 + m) // 2)
    squares = [G.square() for G in gradients]
    pairs = torch.stack([torch.stack([G[..., middle, middle].sum(), G.sum()]) for G in squares])
    shares = [(pairs[:, 0] / pairs[:, 1]).mean(), pairs[:, 0].sum() / pairs[:, 1].sum()]
    return differs_from(outcome, *shares, what="The mean share of the ten gradients")


@exercise(
    title="Experiment: where does LeNet-5 look?",
    kind="experiment",
    minutes=15,
    witness=share_of_the_gradients,
    cases=lambda: [
        case(8, expected=Band(0.11, 0.21)),
        case(16, expected=Band(0.5, 0.62)),
        case(24, expected=Band(0.88, 0.925)),
        case(32, expected=Band(1 - 1e-5, 1 + 1e-5), note="the whole image"),
    ],
    hints=[
        "`X = torch.randn(4, 1, 32, 32, requires_grad=True)`; after "
        "`LeNet5()(X).sum().backward()` there is a gradient for each pixel in `X.grad`.",
        "The middle m pixels of 32 are the slice from (32 - m) // 2 to (32 + m) // 2. Cut along "
        "both axes.",
        "The share: the sum of the squares in the middle, divided by the sum of all squares.",
    ],
    explanation="All 32×32 pixels are in the receptive field of the third convolution, but they do "
    "not count alike: a pixel in the middle lies in 25 windows of each convolution, one in the "
    "corner in a single one. Luo and others (2016) call what really counts the *effective* "
    "receptive field. It is one more reason to put the digit in the middle.",
)
def ex04_9_middle(m):
    """Share of the squared gradients of the pixels that falls on the middle m × m of 32 × 32."""
    shares = []
    for _ in range(10):
        X = torch.randn(4, 1, 32, 32, requires_grad=True)
        LeNet5()(X).sum().backward()
        G = X.grad.square()
        a, b = (32 - m) // 2, (32 + m) // 2
        shares.append(G[:, :, a:b, a:b].sum() / G.sum())
    return torch.stack(shares).mean().item()


def way_back(X, W, dY):
    return nn.grad.conv2d_input(X.shape, W, dY), nn.grad.conv2d_weight(X, W.shape, dY)


@exercise(
    title="The way back is a convolution, too",
    forbids=r"grad|backward|vjp|jacobian|conv2d_(input|weight)|conv_transpose2d|\w*fold|im2col|col2im"
    r"|im2col_\w+",
    kind="code",
    minutes=30,
    cases=lambda: [
        case(
            counting(1, 1, 2, 2),
            counting(1, 1, 2, 2) + 4,
            torch.ones(1, 1, 1, 1),
            note="a single window: dX is the kernel, dW is the image",
        ),
        case(counting(1, 1, 2, 2), torch.full((1, 1, 1, 1), 3.0), distinct(1, 1, 2, 2)),
        case(
            torch.ones(1, 1, 1, 3),
            torch.tensor([1.0, 10]).reshape(1, 1, 1, 2),
            torch.ones(1, 1, 1, 2),
            note="the middle pixel lies in two windows",
        ),
        case(
            distinct(1, 1, 3, 4),
            distinct(1, 1, 2, 2),
            distinct(1, 1, 2, 3),
            note="wider than high",
        ),
        case(
            distinct(1, 2, 3, 3),
            distinct(1, 2, 2, 2),
            distinct(1, 1, 2, 2),
            note="two channels",
        ),
        case(
            distinct(1, 1, 3, 4),
            distinct(2, 1, 2, 3),
            distinct(1, 2, 2, 2),
            note="two filters, wider than high",
        ),
        case(
            distinct(2, 1, 3, 3),
            distinct(1, 1, 2, 2),
            distinct(2, 1, 2, 2),
            note="two images: both have a part in dW",
        ),
        case(
            distinct(2, 3, 5, 6).double(),
            distinct(4, 3, 3, 2).double(),
            distinct(2, 4, 3, 5).double(),
        ),
    ],
    reference=way_back,
    misconceptions={
        "for dX the kernel has to be turned by 180°": lambda X, W, dY: (
            way_back(X, W.flip(2, 3), dY)[0],
            way_back(X, W, dY)[1],
        ),
        "dW is the sum over the images, not their mean": lambda X, W, dY: (
            way_back(X, W, dY)[0],
            way_back(X, W, dY)[1] / len(X),
        ),
        "dW is not turned round": lambda X, W, dY: (
            way_back(X, W, dY)[0],
            way_back(X, W, dY)[1].flip(2, 3),
        ),
        "W comes first and X second": lambda X, W, dY: way_back(X, W, dY)[::-1],
    },
    hints=[
        "dW first. The weight at (u, v) met the pixel (i + u, j + v) for every output (i, j). So "
        "dW is `dY`, slid over `X`. `F.conv2d` sums over the channels; here the sum goes over the "
        "images, so they have to stand where channels stand: `transpose(0, 1)`.",
        "dX: pixel (a, b) had a part in the output (a - u, b - v), through the weight at (u, v). "
        "Going back by u and v is a convolution with the kernel turned round: `W.flip(2, 3)`. It "
        "sums over the filters now, so these two axes change places.",
        "A pixel in the corner lies in one window, one in the middle in many. `F.pad` puts as many "
        "zeros around `dY` as it takes that dX gets as large as X: one less than the kernel.",
    ],
    explanation="Forward, the way back to the image and the way back to the weights are three "
    "convolutions of about the same cost, so a training step costs about three forward passes. "
    "The turned kernel with exchanged channels has a layer of its own, `nn.ConvTranspose2d`.",
)
def ex04_10_way_back(X, W, dY):
    """Gradients of X and W for Y = F.conv2d(X, W), given dY, the gradient of Y."""
    k_h, k_w = W.shape[2:]
    around = F.pad(dY, (k_w - 1, k_w - 1, k_h - 1, k_h - 1))
    dX = F.conv2d(around, W.flip(2, 3).transpose(0, 1))
    dW = F.conv2d(X.transpose(0, 1), dY.transpose(0, 1)).transpose(0, 1)
    return dX, dW
