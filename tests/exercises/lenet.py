"""Answers to the exercises of chapter 03."""

import math
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.lenet import lenet
from exercises import answers

answers(
    "03.1",
    right=[
        lambda n, k, p, s: len(range(0, n + 2 * p - k + 1, s)),
        lambda n, k, p, s: torch.div(torch.tensor(n + 2 * p - k), s, rounding_mode="floor") + 1,
    ],
    wrong={
        "+ 1 missing": lambda n, k, p, s: (n + 2 * p - k) // s,
        "padding once": lambda n, k, p, s: (n + p - k) // s + 1,
        "rounded up": lambda n, k, p, s: math.ceil((n + 2 * p - k) / s) + 1,
        "a float": lambda n, k, p, s: (n + 2 * p - k) / s + 1,
        "stride and padding exchanged": lambda n, k, p, s: (n + 2 * s - k) // max(p, 1) + 1,
        "rounded to the nearest": lambda n, k, p, s: round((n + 2 * p - k) / s) + 1,
    },
)


def sides(n, halve=lambda m: m // 2):
    half = halve(n)
    return [n, n, half, half - 4, half - 4, halve(half - 4)]


answers(
    "03.2",
    right=[
        lambda n: torch.tensor(sides(n)),
        lambda n: [n, n, n >> 1, (n >> 1) - 4, (n >> 1) - 4, (n >> 1) // 2 - 2],
    ],
    wrong={
        "rounded up": lambda n: sides(n, halve=lambda m: -(-m // 2)),
        "floats": lambda n: sides(n, halve=lambda m: m / 2),
        "without the sigmoids": lambda n: [n, n // 2, n // 2 - 4, (n // 2 - 4) // 2],
    },
)

answers(
    "03.3",
    right=[
        lambda c_in, c_out, k, bias=True: (c_in * k**2 + int(bias)) * c_out,
        lambda c_in, c_out, k, bias=True: math.prod((c_out, c_in, k, k)) + (c_out if bias else 0),
    ],
    wrong={
        "no bias": lambda c_in, c_out, k, bias=True: c_in * c_out * k * k,
        "bias of the input": lambda c_in, c_out, k, bias=True: c_in * (c_out * k * k + bias),
        "one bias": lambda c_in, c_out, k, bias=True: c_in * c_out * k * k + bias,
        "k once": lambda c_in, c_out, k, bias=True: c_out * (c_in * k + bias),
        "depthwise": lambda c_in, c_out, k, bias=True: c_out * (k * k + bias),
        "a float": lambda c_in, c_out, k, bias=True: float(c_out * (c_in * k * k + bias)),
    },
)


def accuracy(logits, y, over=len):
    return (logits.argmax(dim=1) == y).sum().item() / over(y)


answers(
    "03.4",
    right=[
        lambda logits, y: sum(int(logits[i].argmax() == y[i]) for i in range(len(y))) / len(y),
        lambda logits, y: float(torch.softmax(logits, 1).argmax(1).eq(y).double().mean()),
    ],
    wrong={
        "over the batch": lambda logits, y: (logits.argmax(0)[:1] == y[:1]).float().mean().item(),
        "counted": lambda logits, y: accuracy(logits, y, over=lambda y: 1),
        "percent": lambda logits, y: 100 * accuracy(logits, y),
        "errors": lambda logits, y: 1 - accuracy(logits, y),
        "a tensor": lambda logits, y: (logits.argmax(1) == y).float().mean(),
        "above zero": lambda logits, y: (logits.gather(1, y[:, None]) > 0).double().mean().item(),
        "all or nothing": lambda logits, y: float((logits.argmax(1) == y).all()),
    },
)


def by_one_hot(y, y_hat, num_classes):
    return F.one_hot(y, num_classes).T @ F.one_hot(y_hat, num_classes)


def by_comparison(y, y_hat, num_classes):
    classes = torch.arange(num_classes)
    return ((y == classes[:, None])[:, None] & (y_hat == classes[:, None])).sum(2)


def by_numpy(y, y_hat, num_classes):
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (y.numpy(), y_hat.numpy()), 1)
    return torch.from_numpy(counts)


def by_loop(y, y_hat, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for true, predicted in zip(y.tolist(), y_hat.tolist(), strict=True):
        counts[true, predicted] += 1
    return counts


def overwritten(y, y_hat, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    counts[y, y_hat] += 1
    return counts


answers(
    "03.5",
    right=[by_one_hot, by_comparison, by_numpy],
    wrong={
        "a loop": by_loop,
        "transposed": lambda y, y_hat, num_classes: by_one_hot(y_hat, y, num_classes),
        "repeated pairs lost": overwritten,
        "int32": lambda y, y_hat, num_classes: by_one_hot(y, y_hat, num_classes).int(),
        "no minlength": lambda y, y_hat, num_classes: torch.bincount(
            y * num_classes + y_hat
        ).reshape(num_classes, -1),
        "flat": lambda y, y_hat, num_classes: torch.bincount(
            y * num_classes + y_hat, minlength=num_classes**2
        ),
        "only the diagonal": lambda y, y_hat, num_classes: (
            by_one_hot(y, y_hat, num_classes) * torch.eye(num_classes, dtype=torch.int64)
        ),
        "only the errors": lambda y, y_hat, num_classes: (
            by_one_hot(y, y_hat, num_classes) * (1 - torch.eye(num_classes, dtype=torch.int64))
        ),
        "y changed": lambda y, y_hat, num_classes: torch.bincount(
            y.mul_(num_classes).add_(y_hat), minlength=num_classes**2
        ).view(num_classes, num_classes),
    },
    equivalent={
        "arguments exchanged in 'torch.bincount(pairs, minlength=num_classes ** 2)"
        ".reshape(num_classes, num_classes)'": "both are num_classes",
    },
)

answers(
    "03.6",
    right=[lambda X: X.reshape(len(X), -1), lambda X: X.view(-1, 320)],
    wrong={
        "batch size 1": lambda X: X.view(1, 320),
        "first image only": lambda X: X[0].reshape(1, 320),
        "batch last": lambda X: X.permute(1, 2, 3, 0).reshape(len(X), 320),
        "mean over pixels": lambda X: X.mean((2, 3)),
        "float32": lambda X: X.flatten(1).float(),
        "axes exchanged": lambda X: X.mT.flatten(1),
    },
)


def loss_from_probabilities(logits, y):
    return -torch.log_softmax(logits, dim=1).gather(1, y[:, None]).mean()


answers(
    "03.7",
    right=[nn.CrossEntropyLoss(), loss_from_probabilities],
    wrong={
        "sum": lambda logits, y: F.cross_entropy(logits, y, reduction="sum"),
        "one per example": lambda logits, y: F.cross_entropy(logits, y, reduction="none"),
        "no logarithm": lambda logits, y: F.nll_loss(torch.softmax(logits, 1), y),
        "over the batch": lambda logits, y: F.nll_loss(F.log_softmax(logits, 0), y),
        "overflows": lambda logits, y: F.nll_loss(
            torch.log(torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)), y
        ),
        "sign": lambda logits, y: -F.cross_entropy(logits, y),
    },
)


def wide(width, activation=nn.Sigmoid, pool=nn.AvgPool2d, units=None):
    a, b, c, d = 6 * width, 16 * width, *(units or (120 * width, 84 * width))
    first = nn.Sequential(nn.Conv2d(1, a, 5, padding=2), activation(), pool(2))
    second = nn.Sequential(nn.Conv2d(a, b, 5), activation(), pool(2), nn.Flatten())
    dense = [nn.Linear(25 * b, c), activation(), nn.Linear(c, d), activation(), nn.Linear(d, 10)]
    return nn.Sequential(first, second, *dense)


class WideLeNet(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6 * w, 5, padding=2), nn.Conv2d(6 * w, 16 * w, 5)
        self.fc1 = nn.Linear(400 * w, 120 * w)
        self.fc2, self.fc3 = nn.Linear(120 * w, 84 * w), nn.Linear(84 * w, 10)

    def forward(self, X):
        X = F.avg_pool2d(torch.sigmoid(self.conv1(X)), 2)
        X = F.avg_pool2d(torch.sigmoid(self.conv2(X)), 2).flatten(1)
        return self.fc3(torch.sigmoid(self.fc2(torch.sigmoid(self.fc1(X)))))


answers(
    "03.8",
    right=[wide, WideLeNet],
    wrong={
        "ReLU": partial(wide, activation=nn.ReLU),
        "maximum": partial(wide, pool=nn.MaxPool2d),
        "only channels": partial(wide, units=(120, 84)),
        "no activation between": partial(wide, activation=nn.Identity),
        "does not fit together": lambda width: nn.Sequential(
            *lenet()[:3], nn.Conv2d(6 * width, 16, 5), *lenet()[4:]
        ),
    },
    equivalent={
        "stride= dropped in 'nn.AvgPool2d(kernel_size=2, stride=2)'": "it is the default",
        "stride= dropped in 'nn.AvgPool2d(kernel_size=2, stride=2)' #2": "it is the default",
    },
)


def first_loss(num_classes, scale=1.0, count=512, change=lambda Y: Y, images=torch.rand):
    X, y = images(count, 1, 28, 28), torch.randint(num_classes, (count,))
    return F.cross_entropy(change(scale * lenet(num_classes=num_classes)(X)), y)


def first_loss_by_hand(num_classes):
    X, y = torch.rand(512, 1, 28, 28), (torch.rand(512) * num_classes).long()
    Y = lenet(num_classes=num_classes)(X)
    return (Y.logsumexp(1) - Y[range(512), y]).mean().item()


answers(
    "03.9",
    right=[
        first_loss,
        first_loss_by_hand,
        lambda num_classes: sum(first_loss(num_classes, count=64).item() for _ in range(8)) / 8,
    ],
    wrong={
        "scaled logits": lambda num_classes: first_loss(num_classes, scale=30).item(),
        "in bits": lambda num_classes: first_loss(num_classes).item() / math.log(2),
        "a formula": math.log,
        "ten labels only": lambda num_classes: F.cross_entropy(
            lenet(num_classes=num_classes)(torch.rand(512, 1, 28, 28)), torch.randint(10, (512,))
        ).item(),
        "softmax twice": partial(first_loss, change=lambda Y: Y.softmax(1)),
        "black images": partial(first_loss, images=torch.zeros),
        "loss per example": lambda num_classes: F.cross_entropy(
            lenet(num_classes=num_classes)(torch.rand(4, 1, 28, 28)),
            torch.zeros(4).long(),
            reduction="none",
        ),
    },
    equivalent={
        "randn for rand": "which random numbers the images are does not matter",
        "28 -> 29": "the pooling drops the 29th row",
        "28 -> 29 #2": "the pooling drops the 29th column",
    },
)


# imports for seconds when first used, which must not happen within a time limit
torch.optim.SGD([torch.zeros(1)], 0.1)


def step_by_optimizer(net, X, y, lr):
    optimizer = torch.optim.SGD(net.parameters(), lr)
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss()(net(X), y)
    loss.backward()
    optimizer.step()
    return loss


def step_by_backward(
    net, X, y, lr, clear=True, later=False, loss=F.cross_entropy, only="", apply=False
):
    """only: what the names of the parameters that learn must contain."""
    if clear:
        net.zero_grad()
    before = loss(net(X), y)
    before.backward()
    for name, p in net.named_parameters():
        if only in name and not apply:
            p.data -= lr * p.grad
    if apply:
        with torch.no_grad():
            net.load_state_dict({k: p - lr * p.grad for k, p in net.named_parameters()})
    return float(loss(net(X), y)) if later else before.item()


def rebound(net, X, y, lr):
    loss = F.cross_entropy(net(X), y)
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    for p, g in zip(net.parameters(), gradients, strict=True):
        p = p - lr * g  # a new tensor: the net never sees it
    return loss.item()


def in_autograd(net, X, y, lr):
    loss = F.cross_entropy(net(X), y)
    loss.backward()
    for p in net.parameters():
        p -= lr * p.grad
    return loss.item()


answers(
    "03.10",
    right=[partial(step_by_backward, apply=True), step_by_backward],
    wrong={
        "an optimizer": step_by_optimizer,
        "uphill": lambda net, X, y, lr: step_by_backward(net, X, y, -lr),
        "gradients not cleared": partial(step_by_backward, clear=False),
        "loss after the step": partial(step_by_backward, later=True),
        "softmax twice": partial(
            step_by_backward, loss=lambda o, y: F.cross_entropy(o.softmax(1), y)
        ),
        "net not changed": lambda net, X, y, lr: F.cross_entropy(net(X), y).item(),
        "rebound": rebound,
        "weights only": partial(step_by_backward, only="weight"),
        "first layer only": partial(step_by_backward, only="0."),
        "in place under autograd": in_autograd,
        "X is changed": lambda net, X, y, lr: step_by_backward(net, X.mul_(2), y, lr),
    },
    equivalent={
        "strict= dropped in 'zip(parameters, gradients, strict=True)'": "lengths are equal",
        "True -> False": "strict: lengths are equal",
    },
)
