"""Answers to the exercises of chapter 04."""

import functools
import math
from itertools import pairwise, product

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.convolution import im2col
from course_utils.nets.lenet5_lab import LeNet5
from exercises import answers

ANY_COUNT = "the mean over a few more or fewer gives the same share, within the band"
ROUNDED = "half of 33 is 16 again; a 33rd row of pixels is left over by the poolings"


def normalise_in_steps(X):
    X = X - X.mean()
    deviation = X.square().mean().sqrt()
    return X / deviation if deviation > 0 else X


def normalise_in_place(X):
    X -= X.mean()
    return X / X.std(correction=0).clamp(min=1e-12)


def normalise(X, dim=None, correction=0, least=1e-12):
    if dim is None:
        dim = (0, 1, 2, 3)
    spread = X.std(dim=dim, correction=correction, keepdim=True)
    return (X - X.mean(dim=dim, keepdim=True)) / (spread + least)


answers(
    "04.1",
    right=[
        normalise,
        normalise_in_steps,
        lambda X: ((X - X.mean()) / X.std(unbiased=False)).nan_to_num(),
        lambda X: torch.where(X.amax() > X.amin(), normalise(X), torch.zeros_like(X)),
    ],
    wrong={
        "n - 1": functools.partial(normalise, correction=1),
        "NaN": functools.partial(normalise, least=0),
        "image by image": functools.partial(normalise, dim=(1, 2, 3)),
        "pixel by pixel": functools.partial(normalise, dim=0),
        "row by row": functools.partial(normalise, dim=3),
        "coarse": functools.partial(normalise, least=1e-2),
        "in place": normalise_in_place,
        "mean only": lambda X: X - X.mean(),
        "deviation only": lambda X: X / X.std(correction=0).clamp(min=1e-12),
        "variance": lambda X: (X - X.mean()) / X.var(correction=0).clamp(min=1e-12),
        "to [0, 1]": lambda X: ((X - X.min()) / (X.max() - X.min())).nan_to_num(),
        "half": lambda X: (X - 0.5) / 0.5,
        "as MNIST": lambda X: (X - 0.1307) / 0.3081,
        "median": lambda X: ((X - X.median()) / X.std(correction=0)).nan_to_num(),
        "NumPy": lambda X: normalise(X).numpy(),
    },
)


def inner(c_in, c_out, k, n, stride=1, side=lambda n, k, s: (n - k) // s + 1, more=1):
    return side(n, k, stride) ** 2 * c_out * c_in * more


answers(
    "04.2",
    right=[
        inner,
        lambda c_in, c_out, k, n, stride=1: len(range(0, n - k + 1, stride)) ** 2 * c_in * c_out,
        lambda c_in, c_out, k, n, stride=1: len(
            list(product(*[range(0, n - k + 1, stride)] * 2, range(c_out), range(c_in)))
        ),
    ],
    wrong={
        "MACs": lambda c_in, c_out, k, n, stride=1: inner(c_in, c_out, k, n, stride) * k * k,
        "batch": functools.partial(inner, more=64),
        "outputs": lambda c_in, c_out, k, n, stride=1: inner(1, c_out, k, n, stride),
        "one filter": lambda c_in, c_out, k, n, stride=1: inner(c_in, 1, k, n, stride),
        "positions": lambda c_in, c_out, k, n, stride=1: inner(1, 1, k, n, stride),
        "same size": functools.partial(inner, side=lambda n, k, s: n),
        "off by one": functools.partial(inner, side=lambda n, k, s: (n - k) // s),
        "rounded up": functools.partial(inner, side=lambda n, k, s: -(-(n - k) // s) + 1),
        "stride ignored": functools.partial(inner, side=lambda n, k, s: n - k + 1),
        "one row": lambda c_in, c_out, k, n, stride=1: ((n - k) // stride + 1) * c_in * c_out,
        "sum of channels": lambda c_in, c_out, k, n, stride=1: (
            inner(1, 1, k, n, stride) * (c_in + c_out)
        ),
        "a float": functools.partial(inner, side=lambda n, k, s: (n - k) / s + 1),
    },
)


def bytes_of(shape, k, stride=1, padding=0, bytes_per_number=4, **change):
    N, C, H, W = change.get("images", lambda *s: s)(*shape)
    size = change.get("size", lambda n: (n + 2 * padding - k) // stride + 1)
    window = change.get("window", lambda k: k * k)(k)
    return N * C * window * size(H) * size(W) * bytes_per_number


def changed(**change):
    return lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
        shape, k, stride, padding, bytes_per_number, **change
    )


answers(
    "04.3",
    right=[
        bytes_of,
        lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            im2col(torch.zeros(shape), k, stride, padding).numel() * bytes_per_number
        ),
        lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            math.prod(len(range(0, side + 2 * padding - k + 1, stride)) for side in shape[2:])
            * math.prod((shape[0], shape[1], k, k, bytes_per_number))
        ),
    ],
    wrong={
        "one image": changed(images=lambda N, C, H, W: (1, C, H, W)),
        "one channel": changed(images=lambda N, C, H, W: (N, 1, H, W)),
        "square by the height": changed(images=lambda N, C, H, W: (N, C, H, H)),
        "square by the width": changed(images=lambda N, C, H, W: (N, C, W, W)),
        "k once": changed(window=lambda k: k),
        "positions only": changed(window=lambda k: 1),
        "numbers": lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
            shape, k, stride, padding, 1
        ),
        "always four bytes": lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
            shape, k, stride, padding
        ),
        "stride ignored": lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
            shape, k, 1, padding, bytes_per_number
        ),
        "padding ignored": lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
            shape, k, stride, 0, bytes_per_number
        ),
        "padding on one side": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            F.unfold(F.pad(torch.zeros(shape), (0, padding, 0, padding)), k, 1, 0, stride).numel()
            * bytes_per_number
        ),
        "stride and padding exchanged": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            bytes_of(shape, k, padding or 1, stride, bytes_per_number)
        ),
        "the image": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            math.prod(shape) * bytes_per_number
        ),
        "k² times the image": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            math.prod(shape) * k * k * bytes_per_number
        ),
        "bits": lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
            shape, k, stride, padding, 8 * bytes_per_number
        ),
    },
)


def linear(conv, weight=lambda W: W.flatten(1), bias=lambda b: b, keep_bias=True):
    W = weight(conv.weight.detach())
    layer = nn.Linear(W.shape[1], W.shape[0], bias=keep_bias and conv.bias is not None)
    layer.weight.data = W.clone()
    if layer.bias is not None:
        layer.bias.data = bias(conv.bias.detach()).clone()
    return layer


def linear_by_state(conv):
    state = {name: p.flatten(1) if p.ndim > 1 else p for name, p in conv.state_dict().items()}
    layer = nn.Linear(state["weight"].shape[1], conv.out_channels, "bias" in state)
    layer.load_state_dict(state)
    return layer


def linear_by_reshape(conv):
    layer = nn.Linear(1, 1)
    layer.weight = nn.Parameter(conv.weight.reshape(conv.out_channels, -1))
    layer.bias = conv.bias
    return layer


def linear_always_with_bias(conv):
    layer = nn.Linear(conv.weight[0].numel(), conv.out_channels)
    layer.weight.data = conv.weight.detach().flatten(1)
    if conv.bias is not None:
        layer.bias.data = conv.bias.detach()
    return layer


answers(
    "04.4",
    right=[linear, linear_by_state, linear_by_reshape],
    wrong={
        "new weights": lambda conv: nn.Linear(conv.weight[0].numel(), conv.out_channels),
        "bias lost": functools.partial(linear, keep_bias=False),
        "bias zero": functools.partial(linear, bias=torch.zeros_like),
        "bias without need": linear_always_with_bias,
        "channels last": functools.partial(
            linear, weight=lambda W: W.permute(0, 2, 3, 1).flatten(1)
        ),
        "rows and columns exchanged": functools.partial(linear, weight=lambda W: W.mT.flatten(1)),
        "turned round": functools.partial(linear, weight=lambda W: W.flip(2, 3).flatten(1)),
        "transposed": functools.partial(linear, weight=lambda W: W.flatten(1).T),
        "scaled": functools.partial(linear, weight=lambda W: W.flatten(1) / W[0].numel()),
        "mean over the window": functools.partial(linear, weight=lambda W: W.mean(dim=(2, 3))),
        "reshaped across filters": functools.partial(
            linear, weight=lambda W: W.flatten(1).T.reshape(len(W), -1)
        ),
        "one filter": functools.partial(linear, weight=lambda W: W[:1].flatten(1)),
        "the convolution itself": lambda conv: conv,
        "the matrix": lambda conv: conv.weight.flatten(1),
    },
)


def conv_by_im2col(X, W):
    rows, columns = (X.shape[i] - W.shape[i] + 1 for i in (2, 3))
    return (W.flatten(1) @ im2col(X, W.shape[2:])).reshape(len(X), len(W), rows, columns)


def conv_by_einsum(X, W):
    patches = X.unfold(2, W.shape[2], 1).unfold(3, W.shape[3], 1)
    return torch.einsum("nchwij,ocij->nohw", patches, W)


def by_columns(X, W, shape, weight=lambda W: W.flatten(1)):
    return (weight(W) @ F.unfold(X, W.shape[2:])).unflatten(2, shape)


def rows_of(X, W):
    return X.shape[2] - W.shape[2] + 1


def columns_of(X, W):
    return X.shape[3] - W.shape[3] + 1


answers(
    "04.5",
    right=[
        conv_by_im2col,
        conv_by_einsum,
        lambda X, W: by_columns(X, W, (-1, columns_of(X, W))),
        lambda X, W: F.fold(
            W.flatten(1) @ F.unfold(X, W.shape[2:]), (rows_of(X, W), columns_of(X, W)), 1
        ),
    ],
    wrong={
        "columns first": lambda X, W: by_columns(X, W, (columns_of(X, W), -1)),
        "exchanged": lambda X, W: by_columns(X, W, (columns_of(X, W), -1)).mT,
        "square": lambda X, W: by_columns(X, W, (rows_of(X, W),) * 2),
        "same size": lambda X, W: by_columns(X, W, (X.shape[2], -1)),
        "rounded root": lambda X, W: by_columns(
            X, W, (round(math.sqrt(rows_of(X, W) * columns_of(X, W))), -1)
        ),
        "one too few": lambda X, W: by_columns(X, W, (X.shape[2] - W.shape[2], -1)),
        "window by its height only": lambda X, W: (
            W.flatten(1) @ F.unfold(X, W.shape[2])
        ).unflatten(2, (rows_of(X, W), -1)),
        "window by the wrong side": lambda X, W: by_columns(
            X, W, (X.shape[2] - W.shape[3] + 1, -1)
        ),
        "not unflattened": lambda X, W: W.flatten(1) @ F.unfold(X, W.shape[2:]),
        "turned round": lambda X, W: F.conv2d(X, W.flip(2, 3)),
        "padded": lambda X, W: F.conv2d(X, W, padding=1),
        "cut gradient": lambda X, W: F.conv2d(X.detach(), W),
        "cut gradient of the weights": lambda X, W: F.conv2d(X, W.data),
        "window transposed": lambda X, W: by_columns(
            X, W, (rows_of(X, W), -1), weight=lambda W: W.mT.flatten(1)
        ),
    },
)


def mean_loss(net, batches, training=False, reduction="sum", by=None, item=float):
    net.train(training)
    total, examples = 0.0, 0
    with torch.no_grad():
        for X, y in batches:
            total += item(F.cross_entropy(net(X), y, reduction=reduction))
            examples += len(y) if by is None else by(X, y)
    return total / examples


def mean_loss_by_weights(net, batches):
    was = net.training
    net.eval()
    sizes = [len(y) for _, y in batches]
    losses = [F.cross_entropy(net(X), y).item() for X, y in batches]
    net.train(was)
    return sum(n * loss for n, loss in zip(sizes, losses, strict=True)) / sum(sizes)


@torch.inference_mode()
def mean_loss_of_all(net, batches):
    net.eval()
    logits = torch.cat([net(X) for X, _ in batches])
    return nn.CrossEntropyLoss()(logits, torch.cat([y for _, y in batches])).item()


def mean_loss_with_graphs(net, batches):
    net.eval()
    total = sum(F.cross_entropy(net(X), y, reduction="sum") for X, y in batches)
    return total.item() / sum(len(y) for _, y in batches)


def mean_loss_that_learns(net, batches):
    loss = mean_loss(net, batches)
    with torch.no_grad():
        next(net.parameters()).mul_(0.9)
    return loss


answers(
    "04.6",
    right=[
        mean_loss,
        mean_loss_by_weights,
        mean_loss_of_all,
        lambda net, batches: mean_loss(net, [(X, y) for X, y in reversed(batches)]),
    ],
    wrong={
        "training mode": functools.partial(mean_loss, training=True),
        "a tensor": functools.partial(mean_loss, item=lambda loss: loss),
        "graphs kept": mean_loss_with_graphs,
        "mean of means": functools.partial(mean_loss, reduction="mean", by=lambda X, y: 1),
        "by the batches": functools.partial(mean_loss, by=lambda X, y: 1),
        "means by the examples": functools.partial(mean_loss, reduction="mean"),
        "by the numbers": functools.partial(mean_loss, by=lambda X, y: X.numel()),
        "by full batches": lambda net, batches: mean_loss(
            net, batches, by=lambda X, y: len(batches[0][1])
        ),
        "first batch": lambda net, batches: mean_loss(net, batches[:1]),
        "last batch": lambda net, batches: mean_loss(net, batches[-1:]),
        "last batch left out": lambda net, batches: mean_loss(net, batches[:-1] or batches),
        "weights changed": mean_loss_that_learns,
        "sum": functools.partial(mean_loss, by=lambda X, y: 0.5 / 2),
        "whole numbers": functools.partial(mean_loss, item=lambda loss: int(loss)),
        "accuracy": lambda net, batches: (
            sum((net.eval()(X).argmax(1) == y).sum().item() for X, y in batches)
            / sum(len(y) for _, y in batches)
        ),
    },
)


def top(logits, k, make=lambda x: torch.softmax(x, dim=1), largest=True, order=None):
    values, indices = make(logits).topk(k, dim=1, largest=largest)
    return (indices, values) if order is None else order(values, indices)


def top_by_sort(logits, k):
    p = logits.softmax(-1)
    order = p.argsort(dim=1, descending=True)[:, :k]
    return [order, p.gather(1, order)]


def top_by_exp(logits, k):
    values, classes = logits.sort(dim=1, descending=True)
    return classes[:, :k], (values[:, :k] - logits.logsumexp(dim=1, keepdim=True)).exp()


answers(
    "04.7",
    right=[top, top_by_sort, top_by_exp],
    wrong={
        "values first": functools.partial(top, order=lambda v, i: (v, i)),
        "logits": functools.partial(top, make=lambda x: x),
        "log-probabilities": functools.partial(top, make=lambda x: F.log_softmax(x, dim=1)),
        "over the batch": functools.partial(top, make=lambda x: torch.softmax(x, dim=0)),
        "overflows": functools.partial(top, make=lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
        "exp, not divided": functools.partial(top, make=torch.exp),
        "sigmoid": functools.partial(top, make=torch.sigmoid),
        "least likely": functools.partial(top, largest=False),
        "least likely first": functools.partial(top, order=lambda v, i: (i.flip(1), v.flip(1))),
        "among the k only": functools.partial(
            top, order=lambda v, i: (i, v / v.sum(dim=1, keepdim=True))
        ),
        "classes only": functools.partial(top, order=lambda v, i: i),
        "transposed": functools.partial(top, order=lambda v, i: (i.T, v.T)),
        "best only": lambda logits, k: top(logits, 1),
        "unsorted": lambda logits, k: (
            torch.arange(k).expand(len(logits), k),
            logits.softmax(1)[:, :k],
        ),
        "float classes": functools.partial(top, order=lambda v, i: (i.to(v.dtype), v)),
    },
)


def stop(scores, patience, better=lambda score, best: score > best, late=0, give=None):
    best, waited, best_index = -math.inf, 0, 0
    for i, score in enumerate(scores):
        if better(score, best):
            best, waited, best_index = score, 0, i
        else:
            waited += 1
            if waited >= patience + late:
                return i if give is None else give(i, best_index, waited)
    return len(scores) - 1


def stop_total(scores, patience):
    """Counts all scores without a new best, in a row or not."""
    best, waited = scores[0], 0
    for i, score in enumerate(scores[1:], start=1):
        waited += score <= best
        best = max(best, score)
        if waited == patience:
            return i
    return len(scores) - 1


def stop_by_falls(scores, patience):
    """Compares with the score before, not with the best."""
    waited = 0
    for i, (before, score) in enumerate(pairwise(scores), start=1):
        waited = 0 if score > before else waited + 1
        if waited == patience:
            return i
    return len(scores) - 1


def stop_by_records(scores, patience):
    records = [i for i in range(len(scores)) if scores[i] > max(scores[:i], default=-math.inf)]
    ends = [i + patience for i in records]
    for end, next_record in zip(ends, [*records[1:], len(scores)], strict=True):
        if end < next_record:
            return end
    return len(scores) - 1


answers(
    "04.8",
    right=[
        stop,
        stop_by_records,
        lambda scores, patience: next(
            (i for i in range(len(scores)) if i - scores.index(max(scores[: i + 1])) >= patience),
            len(scores) - 1,
        ),
    ],
    wrong={
        "as good is better": functools.partial(stop, better=lambda score, best: score >= best),
        "one too late": functools.partial(stop, late=1),
        "one too early": functools.partial(stop, late=-1),
        "index of the best": functools.partial(stop, give=lambda i, best, waited: best),
        "always the index of the best": lambda scores, patience: scores.index(max(scores)),
        "number of scores": functools.partial(stop, give=lambda i, best, waited: i + 1),
        "the waiting": functools.partial(stop, give=lambda i, best, waited: waited),
        "not in a row": stop_total,
        "worse than the one before": stop_by_falls,
        "lower is better": lambda scores, patience: stop([-s for s in scores], patience),
        "never": lambda scores, patience: len(scores) - 1,
        "at the end: None": lambda scores, patience: (
            None if stop([*scores, -math.inf], patience) >= len(scores) else stop(scores, patience)
        ),
        "at the end: the length": lambda scores, patience: stop([*scores, -math.inf], patience),
        "starts from zero": lambda scores, patience: stop([0.0, *scores], patience) - 1,
        "patience only": lambda scores, patience: min(patience, len(scores) - 1),
        "the score": lambda scores, patience: scores[stop(scores, patience)],
        "empties the list": lambda scores, patience: (
            stop(scores, patience),
            scores.clear(),
        )[0],
    },
)


def middle(m, nets=10, images=4, make=LeNet5, measure=torch.square, cut=None, share=True):
    """The right answer with something changed."""
    shares = []
    for _ in range(nets):
        X = torch.randn(images, 1, 32, 32)
        X.requires_grad_()
        make()(X).sum().backward()
        G = measure(X.grad)
        inner = crop(G, m) if cut is None else cut(G, m)
        shares.append(inner.sum() / (G.sum() if share else 1))
    return (sum(shares) / nets).item()


def crop(G, m):
    return G[..., 16 - m // 2 : 16 + m // 2, 16 - m // 2 : 16 + m // 2]


def middle_by_mask(m):
    near = (torch.arange(32) - 15.5).abs() < m / 2
    mask = near[:, None] & near
    shares = torch.zeros(10)
    for i in range(10):
        X = torch.randn(4, 1, 32, 32, requires_grad=True)
        (G,) = torch.autograd.grad(LeNet5()(X).sum(), X)
        shares[i] = (G**2 * mask).sum() / (G**2).sum()
    return shares.mean()


def middle_with_ratio_of_sums(m):
    inside = whole = 0.0
    for _ in range(10):
        X = torch.randn(4, 1, 32, 32, requires_grad=True)
        LeNet5()(X).sum().backward()
        inside += crop(X.grad, m).pow(2).sum().item()
        whole += X.grad.pow(2).sum().item()
    return inside / whole


answers(
    "04.9",
    right=[middle, middle_by_mask, middle_with_ratio_of_sums],
    wrong={
        "the area": lambda m: (m / 32) ** 2,
        "the side": lambda m: m / 32,
        "not squared": functools.partial(middle, measure=torch.abs),
        "signed": functools.partial(middle, measure=lambda G: G),
        "fourth power": functools.partial(middle, measure=lambda G: G**4),
        "a corner": functools.partial(middle, cut=lambda G, m: G[..., :m, :m]),
        "rows only": functools.partial(
            middle, cut=lambda G, m: G[..., 16 - m // 2 : 16 + m // 2, :]
        ),
        "outside": lambda m: 1 - middle(m),
        "sum": functools.partial(middle, share=False),
        "mean instead of sum": functools.partial(
            middle, cut=lambda G, m: crop(G, m) / (m * m) * 1024
        ),
        "half as wide": functools.partial(middle, cut=lambda G, m: crop(G, m // 2)),
        "one convolution": functools.partial(middle, make=lambda: LeNet5().conv1),
        "pixels instead of gradients": lambda m: (lambda X: (crop(X, m).sum() / X.sum()).item())(
            torch.randn(40, 1, 32, 32) ** 2
        ),
        "in percent": lambda m: 100 * middle(m),
        "not a number": lambda m: [middle(m)],
    },
    equivalent={
        "10 -> 11": ANY_COUNT,
        "10 -> 9": ANY_COUNT,
        "4 -> 5": ANY_COUNT,
        "4 -> 3": ANY_COUNT,
        "32 -> 33": ROUNDED,
        "32 -> 33 #2": ROUNDED,
        "32 -> 33 #3": ROUNDED,
        "32 -> 33 #4": ROUNDED,
    },
)


def col2im_by_positions(columns, shape, k):
    N, C, H, W = shape
    X = torch.zeros(shape, dtype=columns.dtype)
    position = 0
    for i in range(H - k + 1):
        for j in range(W - k + 1):
            patch = columns[:, :, position].reshape(N, C, k, k)
            X = X + F.pad(patch, (j, W - k - j, i, H - k - i))
            position += 1
    return X


def col2im_by_gradient(columns, shape, k):
    """The task's remark, used: it is the gradient of im2col."""
    with torch.enable_grad():
        X = columns.new_zeros(shape).requires_grad_()
        made = im2col(X, k)
        return torch.autograd.grad(made, X, columns, create_graph=True)[0]


def col2im_by_index(columns, shape, k):
    N, C, H, W = shape
    places = F.unfold(torch.arange(H * W).reshape(1, 1, H, W).double(), k).long().flatten()
    flat = columns.reshape(N * C, -1)
    return columns.new_zeros(N * C, H * W).index_add(1, places, flat).reshape(shape)


def col2im(columns, shape, k, window=None, corner=lambda u, v: (u, v), add=True):
    N, C, H, W = shape
    rows, cols = H - k + 1, W - k + 1
    if window is None:
        windows = columns.reshape(N, C, k, k, rows, cols)
    else:
        windows = window(columns, N, C, k, rows, cols)
    X = columns.new_zeros(shape)
    for u in range(k):
        for v in range(k):
            a, b = corner(u, v)
            part = windows[:, :, u, v]
            if add:
                part = part + X[:, :, a : a + rows, b : b + cols]
            X[:, :, a : a + rows, b : b + cols] = part
    return X


answers(
    "04.10",
    right=[
        col2im_by_positions,
        col2im_by_index,
        col2im,
        lambda columns, shape, k: nn.Fold(shape[2:], k)(columns),
    ],
    wrong={
        "overwritten": functools.partial(col2im, add=False),
        "divided by the windows": lambda columns, shape, k: (
            col2im(columns, shape, k) / col2im(torch.ones_like(columns), shape, k)
        ),
        "window transposed": functools.partial(col2im, corner=lambda u, v: (v, u)),
        "always in the corner": functools.partial(col2im, corner=lambda u, v: (0, 0)),
        "rows and columns of the positions exchanged": functools.partial(
            col2im,
            window=lambda columns, N, C, k, rows, cols: columns.reshape(N, C, k, k, cols, rows).mT,
        ),
        "channels last": functools.partial(
            col2im,
            window=lambda columns, N, C, k, rows, cols: columns.reshape(
                N, k, k, C, rows, cols
            ).permute(0, 3, 1, 2, 4, 5),
        ),
        "positions before windows": functools.partial(
            col2im,
            window=lambda columns, N, C, k, rows, cols: columns.mT.reshape(
                N, rows, cols, C, k, k
            ).permute(0, 3, 5, 4, 1, 2),
        ),
        "turned round": functools.partial(
            col2im,
            window=lambda columns, N, C, k, rows, cols: columns.reshape(
                N, C, k, k, rows, cols
            ).flip(2, 3),
        ),
        "images and channels exchanged": functools.partial(
            col2im,
            window=lambda columns, N, C, k, rows, cols: columns.reshape(
                C, N, k, k, rows, cols
            ).transpose(0, 1),
        ),
        "cut gradient": lambda columns, shape, k: col2im(columns.detach(), shape, k),
        "always float": lambda columns, shape, k: col2im(columns.float(), shape, k),
        "first image for all": lambda columns, shape, k: col2im(
            columns[:1].expand_as(columns), shape, k
        ),
        "one padded column too many": lambda columns, shape, k: F.pad(
            col2im(columns, shape, k), (0, 1)
        ),
        "side by side": lambda columns, shape, k: columns.reshape(*shape[:2], -1, shape[3] - k + 1),
        "last window left out": lambda columns, shape, k: col2im(
            torch.cat([columns[..., :-1], torch.zeros_like(columns[..., -1:])], dim=2), shape, k
        ),
    },
)
