"""Answers to the exercises of chapter 04."""

import math
import operator
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.convolution import im2col
from course_utils.nets.lenet5_lab import LeNet5
from exercises import alike, also_right, answers


def normalise_in_place(X):
    X -= X.mean()
    return X / X.std(correction=0).clamp(min=1e-12)


def normalise(X, dim=(0, 1, 2, 3), correction=0, least=1e-12):
    spread = X.std(dim=dim, correction=correction, keepdim=True)
    return (X - X.mean(dim=dim, keepdim=True)) / (spread + least)


answers(
    "04.1",
    right=[
        normalise,
        lambda X: ((X - X.mean()) / X.std(unbiased=False)).nan_to_num(),
    ],
    wrong={
        "n - 1": partial(normalise, correction=1),
        "NaN": partial(normalise, least=0),
        "image by image": partial(normalise, dim=(1, 2, 3)),
        "pixel by pixel": partial(normalise, dim=0),
        "in place": normalise_in_place,
        "to [0, 1]": lambda X: ((X - X.min()) / (X.max() - X.min())).nan_to_num(),
        "half": lambda X: (X - 0.5) / 0.5,
        "median": lambda X: ((X - X.median()) / X.std(correction=0)).nan_to_num(),
        "NumPy": lambda X: normalise(X).numpy(),
    },
)


def inner(c_in, c_out, k, n, stride=1, side=lambda n, k, s: (n - k) // s + 1):
    return side(n, k, stride) ** 2 * c_out * c_in


answers(
    "04.2",
    right=[
        inner,
        lambda c_in, c_out, k, n, stride=1: len(range(0, n - k + 1, stride)) ** 2 * c_in * c_out,
    ],
    wrong={
        "MACs": lambda c_in, c_out, k, n, stride=1: inner(c_in, c_out, k, n, stride) * k * k,
        "positions": lambda c_in, c_out, k, n, stride=1: inner(1, 1, k, n, stride),
        "a float": partial(inner, side=lambda n, k, s: (n - k) / s + 1),
    },
)


def bytes_of(shape, k, stride=1, padding=0, bytes_per_number=4):
    N, C, H, W = shape
    rows, columns = ((n + 2 * padding - k) // stride + 1 for n in (H, W))
    return N * C * k * k * rows * columns * bytes_per_number


def of_other_images(change):
    return lambda shape, *args, **kwargs: bytes_of(change(*shape), *args, **kwargs)


answers(
    "04.3",
    right=[
        bytes_of,
        lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            bytes_per_number
            * (shape[0] * shape[1] * k * k)
            * math.prod(len(range(0, n + 2 * padding - k + 1, stride)) for n in shape[2:])
        ),
    ],
    wrong={
        "made": lambda shape, k, stride=1, padding=0, bytes_per_number=4: (
            im2col(torch.zeros(shape), k, stride, padding).numel() * bytes_per_number
        ),
        "one image": of_other_images(lambda N, C, H, W: (1, C, H, W)),
        "one channel": of_other_images(lambda N, C, H, W: (N, 1, H, W)),
        "square by the height": of_other_images(lambda N, C, H, W: (N, C, H, H)),
        "numbers": lambda shape, k, stride=1, padding=0, bytes_per_number=4: bytes_of(
            shape, k, stride, padding, 1
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


answers(
    "04.4",
    right=[linear, linear_by_state],
    wrong={
        "bias lost": partial(linear, keep_bias=False),
        "bias zero": partial(linear, bias=torch.zeros_like),
        "channels last": partial(linear, weight=lambda W: W.permute(0, 2, 3, 1).flatten(1)),
        "rows and columns exchanged": partial(linear, weight=lambda W: W.mT.flatten(1)),
        "turned round": partial(linear, weight=lambda W: W.flip(2, 3).flatten(1)),
        "transposed": partial(linear, weight=lambda W: W.flatten(1).T),
        "scaled": partial(linear, weight=lambda W: W.flatten(1) / W[0].numel()),
        "mean over the window": partial(linear, weight=lambda W: W.mean(dim=(2, 3))),
        "reshaped across filters": partial(
            linear, weight=lambda W: W.flatten(1).T.reshape(len(W), -1)
        ),
        "one filter": partial(linear, weight=lambda W: W[:1].flatten(1)),
    },
)


def conv_by_im2col(X, W):
    rows, columns = (X.shape[i] - W.shape[i] + 1 for i in (2, 3))
    return (W.flatten(1) @ im2col(X, W.shape[2:])).reshape(len(X), len(W), rows, columns)


def conv_by_einsum(X, W):
    patches = X.unfold(2, W.shape[2], 1).unfold(3, W.shape[3], 1)
    return torch.einsum("nchwij,ocij->nohw", patches, W)


def by_columns(X, W, shape):
    return (W.flatten(1) @ F.unfold(X, W.shape[2:])).unflatten(2, shape)


def rows_of(X, W):
    return X.shape[2] - W.shape[2] + 1


def columns_of(X, W):
    return X.shape[3] - W.shape[3] + 1


answers(
    "04.5",
    right=[conv_by_im2col, conv_by_einsum],
    wrong={
        "columns first": lambda X, W: by_columns(X, W, (columns_of(X, W), -1)),
        "exchanged": lambda X, W: by_columns(X, W, (columns_of(X, W), -1)).mT,
        "square": lambda X, W: by_columns(X, W, (rows_of(X, W),) * 2),
        "rounded root": lambda X, W: by_columns(
            X, W, (round(math.sqrt(rows_of(X, W) * columns_of(X, W))), -1)
        ),
        "window by its height only": lambda X, W: (
            W.flatten(1) @ F.unfold(X, W.shape[2])
        ).unflatten(2, (rows_of(X, W), -1)),
        "turned round": lambda X, W: F.conv2d(X, W.flip(2, 3)),
        "cut gradient of the weights": lambda X, W: F.conv2d(X, W.data),
    },
)


def mean_loss(net, batches, training=False, reduction="sum", by=len, item=float):
    net.train(training)
    total, examples = 0.0, 0
    with torch.no_grad():
        for X, y in batches:
            total += item(F.cross_entropy(net(X), y, reduction=reduction))
            examples += by(y)
    return total / examples


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
    right=[mean_loss, mean_loss_of_all],
    wrong={
        "training mode": partial(mean_loss, training=True),
        "a tensor": partial(mean_loss, item=lambda loss: loss),
        "graphs kept": mean_loss_with_graphs,
        "mean of means": partial(mean_loss, reduction="mean", by=lambda y: 1),
        "by the batches": partial(mean_loss, by=lambda y: 1),
        "last batch left out": lambda net, batches: mean_loss(net, batches[:-1] or batches),
        "weights changed": mean_loss_that_learns,
    },
)


def top(logits, k, make=lambda x: x.softmax(1), largest=True, order=lambda v, i: [i, v]):
    return order(*make(logits).topk(k, dim=1, largest=largest))


def top_by_exp(logits, k):
    values, classes = logits.sort(dim=1, descending=True)
    return classes[:, :k], (values[:, :k] - logits.logsumexp(dim=1, keepdim=True)).exp()


answers(
    "04.7",
    right=[top, top_by_exp],
    wrong={
        "values first": partial(top, order=lambda v, i: (v, i)),
        "logits": partial(top, make=lambda x: x),
        "log-probabilities": partial(top, make=lambda x: F.log_softmax(x, dim=1)),
        "over the batch": partial(top, make=lambda x: torch.softmax(x, dim=0)),
        "overflows": partial(top, make=lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
        "least likely": partial(top, largest=False),
        "least likely first": partial(top, order=lambda v, i: (i.flip(1), v.flip(1))),
        "among the k only": partial(top, order=lambda v, i: (i, v / v.sum(dim=1, keepdim=True))),
        "classes only": partial(top, order=lambda v, i: i),
        "transposed": partial(top, order=lambda v, i: (i.T, v.T)),
        "float classes": partial(top, order=lambda v, i: (i.to(v.dtype), v)),
    },
)


def stop(scores, patience, better=operator.gt, late=0, give=lambda i, best: i):
    best = 0
    for i, score in enumerate(scores):
        if i == 0 or better(score, scores[best]):
            best = i
        elif i - best >= patience + late:
            return give(i, best)
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
    right=[stop, stop_by_records],
    wrong={
        "as good is better": partial(stop, better=operator.ge),
        "one too late": partial(stop, late=1),
        "one too early": partial(stop, late=-1),
        "index of the best": partial(stop, give=lambda i, best: best),
        "always the index of the best": lambda scores, patience: scores.index(max(scores)),
        "number of scores": partial(stop, give=lambda i, best: i + 1),
        "not in a row": stop_total,
        "worse than the one before": stop_by_falls,
        "lower is better": lambda scores, patience: stop([-s for s in scores], patience),
        "at the end: None": lambda scores, patience: (
            None if stop([*scores, -math.inf], patience) >= len(scores) else stop(scores, patience)
        ),
        "starts from zero": lambda scores, patience: stop([0.0, *scores], patience) - 1,
        "empties the list": lambda scores, patience: (stop(scores, patience), scores.clear())[0],
    },
)


def middle(m, make=LeNet5, measure=torch.square, networks=10):
    """The right answer with something changed."""
    shares = []
    for _ in range(networks):
        X = torch.randn(4, 1, 32, 32, requires_grad=True)
        make()(X).sum().backward()
        G = measure(X.grad)
        shares.append(crop(G, m).sum() / G.sum())
    return sum(shares).item() / networks


def crop(G, m):
    return G[..., 16 - m // 2 : 16 + m // 2, 16 - m // 2 : 16 + m // 2]


def middle_with_ratio_of_sums(m):
    inside = whole = 0.0
    for _ in range(10):
        X = torch.randn(4, 1, 32, 32, requires_grad=True)
        LeNet5()(X).sum().backward()
        inside += crop(X.grad, m).pow(2).sum().item()
        whole += X.grad.pow(2).sum().item()
    return inside / whole


def middle_by_func(m):
    """Without `backward`, and with a gradient that is a function."""
    shares = []
    for _ in range(10):
        net = LeNet5()
        G = torch.func.grad(lambda X, net=net: net(X).sum())(torch.randn(4, 1, 32, 32)) ** 2
        shares.append(crop(G, m).sum() / G.sum())
    return torch.stack(shares).mean()


answers(
    "04.9",
    right=[middle, middle_with_ratio_of_sums, middle_by_func],
    wrong={
        "a formula": lambda m: 1 - (1 - m / 32) ** 1.2,
        "one network": lambda m: middle(m, networks=1),
        "not squared": partial(middle, measure=torch.abs),
        "signed": partial(middle, measure=lambda G: G),
        "one convolution": partial(middle, make=lambda: LeNet5().conv1),
        "not a number": lambda m: [middle(m)],
    },
    equivalent={
        **alike("half of 33 is 16 again", "32 -> 33 #3", "32 -> 33 #4"),
        "mean for sum": "the share is one of gradients, whatever their scale",
    },
)


def way_back_to_image(X, W, dY, turn=(2, 3), swap=True, left=None):
    """left: zeros on the left, of as many as are needed in all; None: half of them."""
    k_h, k_w = W.shape[2:]
    left = k_w - 1 if left is None else left
    around = F.pad(dY, (left, 2 * (k_w - 1) - left, k_h - 1, k_h - 1))
    kernel = W.flip(turn)
    return F.conv2d(around, kernel.transpose(0, 1) if swap else kernel)


def way_back_to_weights(X, dY):
    return F.conv2d(X.transpose(0, 1), dY.transpose(0, 1)).transpose(0, 1)


def way_back(X, W, dY, **slips):
    return way_back_to_image(X, W, dY, **slips), way_back_to_weights(X, dY)


def way_back_by_places(X, W, dY):
    dX, dW = torch.zeros_like(X), torch.zeros_like(W)
    (k_h, k_w), (rows, cols) = W.shape[2:], dY.shape[2:]
    for i in range(rows):
        for j in range(cols):
            g = dY[:, :, i, j]
            dX[:, :, i : i + k_h, j : j + k_w] += torch.einsum("no,ochw->nchw", g, W)
            dW += torch.einsum("no,nchw->ochw", g, X[:, :, i : i + k_h, j : j + k_w])
    return dX, dW


def way_back_by_padding(X, W, dY):
    k_h, k_w = W.shape[2:]
    dX = F.conv2d(dY, W.flip(2, 3).transpose(0, 1), padding=(k_h - 1, k_w - 1))
    return [dX, way_back_to_weights(X, dY)]


answers(
    "04.10",
    right=[way_back_by_places, way_back_by_padding],
    wrong={
        "PyTorch's own": lambda X, W, dY: (
            F.conv_transpose2d(dY, W),
            way_back_to_weights(X, dY),
        ),
        "turned in rows only": partial(way_back, turn=(2,)),
        "turned in columns only": partial(way_back, turn=(3,)),
        "channels and filters not exchanged": partial(way_back, swap=False),
        "padded at one side": partial(way_back, left=0),
        "not padded": lambda X, W, dY: (
            F.conv2d(dY, W.flip(2, 3).transpose(0, 1)),
            way_back_to_weights(X, dY),
        ),
        "filters and channels exchanged in dW": lambda X, W, dY: (
            way_back(X, W, dY)[0],
            way_back_to_weights(X, dY).transpose(0, 1),
        ),
        "first image for all": lambda X, W, dY: (
            way_back(X, W, dY)[0],
            way_back_to_weights(X[:1], dY[:1]),
        ),
        "only dX": lambda X, W, dY: way_back(X, W, dY)[0],
        "always float": lambda X, W, dY: way_back(X.float(), W.float(), dY.float()),
    },
    equivalent=alike(
        "two axes change places, or are turned, in either order",
        "arguments exchanged in 'F.conv2d(X.transpose(0, 1), dY.transpose(0, 1)).transpose(0, 1)'",
        "arguments exchanged in 'W.flip(2, 3).transpose(0, 1)'",
        "arguments exchanged in 'W.flip(2, 3)'",
        "arguments exchanged in 'X.transpose(0, 1)'",
        "arguments exchanged in 'dY.transpose(0, 1)'",
    ),
)


also_right("04.6", "both are 0", "ends exchanged in '(0.0, 0)'")
also_right("04.6", "the solution leaves evaluation mode: this goes back", "leaves another mode")
