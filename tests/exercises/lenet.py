"""Answers to the exercises of chapter 03."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.nets.convolution import out_size
from course_utils.nets.lenet import lenet
from exercises import answers

answers(
    "03.1",
    right=[
        lambda n, k, p, s: math.floor((n + 2 * p - k) / s) + 1,
        lambda n, k, p, s: out_size(n, k, s, p),
        lambda n, k, p, s: len(range(0, n + 2 * p - k + 1, s)),
        lambda n, k, p, s: torch.div(torch.tensor(n + 2 * p - k), s, rounding_mode="floor") + 1,
    ],
    wrong={
        "+ 1 missing": lambda n, k, p, s: (n + 2 * p - k) // s,
        "padding once": lambda n, k, p, s: (n + p - k) // s + 1,
        "rounded up": lambda n, k, p, s: math.ceil((n + 2 * p - k) / s) + 1,
        "a float": lambda n, k, p, s: (n + 2 * p - k) / s + 1,
        "stride ignored": lambda n, k, p, s: n + 2 * p - k + 1,
        "padding ignored": lambda n, k, p, s: (n - k) // s + 1,
        "stride and padding exchanged": lambda n, k, p, s: (n + 2 * s - k) // max(p, 1) + 1,
        "+ 1 divided too": lambda n, k, p, s: (n + 2 * p - k + 1) // s,
        "same": lambda n, k, p, s: -(-n // s),
        "rounded to the nearest": lambda n, k, p, s: round((n + 2 * p - k) / s) + 1,
    },
)


def sides(n, first=0, halve=lambda m: m // 2, second=4):
    a = n - first
    b = halve(a)
    c = b - second
    return [a, a, b, c, c, halve(c)]


answers(
    "03.2",
    right=[
        sides,
        lambda n: tuple(sides(n)),
        lambda n: torch.tensor(sides(n)),
        lambda n: [n, n, n >> 1, (n >> 1) - 4, (n >> 1) - 4, (n >> 1) // 2 - 2],
    ],
    wrong={
        "first padding forgotten": lambda n: sides(n, first=4),
        "second padded": lambda n: sides(n, second=0),
        "rounded up": lambda n: sides(n, halve=lambda m: -(-m // 2)),
        "floats": lambda n: sides(n, halve=lambda m: m / 2),
        "a 3×3 kernel": lambda n: sides(n, second=2),
        "without the sigmoids": lambda n: [n, n // 2, n // 2 - 4, (n // 2 - 4) // 2],
        "with the input": lambda n: [n, *sides(n)],
        "pixels, not sides": lambda n: [m * m for m in sides(n)],
        "the example": lambda n: [28, 28, 14, 10, 10, 5],
        "pooling takes one": lambda n: sides(n, halve=lambda m: m - 1),
        "as in a wrong drawing": lambda n: sides(n)[:3] + [sides(n)[5]] * 3,
    },
)

answers(
    "03.3",
    right=[
        lambda c_in, c_out, k, bias=True: (c_in * k**2 + int(bias)) * c_out,
        lambda c_in, c_out, k, bias=True: math.prod((c_out, c_in, k, k)) + (c_out if bias else 0),
        lambda c_in, c_out, k, bias=True: sum(
            map(torch.numel, nn.Conv2d(c_in, c_out, k, bias=bias).parameters())
        ),
    ],
    wrong={
        "no bias": lambda c_in, c_out, k, bias=True: c_in * c_out * k * k,
        "always a bias": lambda c_in, c_out, k, bias=True: c_out * (c_in * k * k + 1),
        "bias of the input": lambda c_in, c_out, k, bias=True: c_in * (c_out * k * k + bias),
        "one bias": lambda c_in, c_out, k, bias=True: c_in * c_out * k * k + bias,
        "k once": lambda c_in, c_out, k, bias=True: c_out * (c_in * k + bias),
        "2 k": lambda c_in, c_out, k, bias=True: c_out * (c_in * 2 * k + bias),
        "depthwise": lambda c_in, c_out, k, bias=True: c_out * (k * k + bias),
        "a bias per weight": lambda c_in, c_out, k, bias=True: c_out * c_in * (k * k + bias),
        "bias turned round": lambda c_in, c_out, k, bias=True: c_out * (c_in * k * k + (not bias)),
        "a float": lambda c_in, c_out, k, bias=True: float(c_out * (c_in * k * k + bias)),
    },
)


def accuracy(logits, y, dim=1, pick=torch.argmax, over=len):
    return (pick(logits, dim=dim) == y).sum().item() / over(y)


answers(
    "03.4",
    right=[
        accuracy,
        lambda logits, y: float((logits.max(1).indices == y).float().mean()),
        lambda logits, y: sum(int(logits[i].argmax() == y[i]) for i in range(len(y))) / len(y),
        lambda logits, y: float(torch.softmax(logits, 1).argmax(1).eq(y).double().mean()),
    ],
    wrong={
        "over the batch": lambda logits, y: (logits.argmax(0)[:1] == y[:1]).float().mean().item(),
        "argmin": lambda logits, y: accuracy(logits, y, pick=torch.argmin),
        "counted": lambda logits, y: accuracy(logits, y, over=lambda y: 1),
        "percent": lambda logits, y: 100 * accuracy(logits, y),
        "errors": lambda logits, y: 1 - accuracy(logits, y),
        "a tensor": lambda logits, y: (logits.argmax(1) == y).float().mean(),
        "divided by classes": lambda logits, y: accuracy(logits, y, over=lambda y: logits.shape[1]),
        "above zero": lambda logits, y: (logits.gather(1, y[:, None]) > 0).double().mean().item(),
        "without the first class": lambda logits, y: (
            (logits[:, 1:].argmax(1) == y).double().mean().item()
        ),
        "all or nothing": lambda logits, y: float((logits.argmax(1) == y).all()),
        "rounded": lambda logits, y: round(accuracy(logits, y), 1),
        "the first example": lambda logits, y: float(logits[0].argmax() == y[0]),
    },
)


def by_index_put(y, y_hat, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    return counts.index_put_((y, y_hat), torch.ones_like(y), accumulate=True)


def by_one_hot(y, y_hat, num_classes):
    return F.one_hot(y, num_classes).T @ F.one_hot(y_hat, num_classes)


def by_comparison(y, y_hat, num_classes):
    classes = torch.arange(num_classes)
    return ((y == classes[:, None])[:, None] & (y_hat == classes[:, None])).sum(2)


def overwritten(y, y_hat, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    counts[y, y_hat] += 1
    return counts


answers(
    "03.5",
    right=[by_index_put, by_one_hot, by_comparison],
    wrong={
        "transposed": lambda y, y_hat, num_classes: by_one_hot(y_hat, y, num_classes),
        "repeated pairs lost": overwritten,
        "floats": lambda y, y_hat, num_classes: by_one_hot(y, y_hat, num_classes).float(),
        "int32": lambda y, y_hat, num_classes: by_one_hot(y, y_hat, num_classes).int(),
        "fractions": lambda y, y_hat, num_classes: by_one_hot(y, y_hat, num_classes) / len(y),
        "as many classes as seen": lambda y, y_hat, num_classes: by_one_hot(
            y, y_hat, int(max(y.max(), y_hat.max())) + 1
        ),
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
        "ten classes always": lambda y, y_hat, num_classes: by_one_hot(y, y_hat, 10),
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
    right=[
        lambda X: X.reshape(len(X), -1),
        lambda X: X.view(X.size(0), 320),
        nn.Flatten(),
        lambda X: X.view(-1, 320),
    ],
    wrong={
        "batch size 1": lambda X: X.view(1, 320),
        "everything flat": lambda X: X.flatten(),
        "first image only": lambda X: X[0].reshape(1, 320),
        "transposed": lambda X: X.reshape(len(X), -1).T,
        "channels last": lambda X: X.permute(0, 2, 3, 1).flatten(1),
        "pixels only": lambda X: X.flatten(2),
        "batch last": lambda X: X.permute(1, 2, 3, 0).reshape(len(X), 320),
        "mean over pixels": lambda X: X.mean((2, 3)),
        "detached": lambda X: X.detach().flatten(1),
        "batch 2": lambda X: X.reshape(2, -1),
        "float32": lambda X: X.flatten(1).float(),
        "axes exchanged": lambda X: X.mT.flatten(1),
    },
)


def loss_from_probabilities(logits, y):
    return -torch.log_softmax(logits, dim=1).gather(1, y[:, None]).mean()


answers(
    "03.7",
    right=[
        nn.CrossEntropyLoss(),
        loss_from_probabilities,
        lambda logits, y: F.nll_loss(F.log_softmax(logits, 1), y),
        lambda logits, y: (
            logits.logsumexp(1) - (F.one_hot(y, logits.shape[1]) * logits).sum(1)
        ).mean(),
    ],
    wrong={
        "sum": lambda logits, y: F.cross_entropy(logits, y, reduction="sum"),
        "one per example": lambda logits, y: F.cross_entropy(logits, y, reduction="none"),
        "no logarithm": lambda logits, y: F.nll_loss(torch.softmax(logits, 1), y),
        "no softmax": F.nll_loss,
        "over the batch": lambda logits, y: F.nll_loss(F.log_softmax(logits, 0), y),
        "overflows": lambda logits, y: F.nll_loss(
            torch.log(torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)), y
        ),
        "sigmoids": lambda logits, y: F.binary_cross_entropy_with_logits(
            logits, F.one_hot(y, logits.shape[1]).to(logits)
        ),
        "sign": lambda logits, y: -F.cross_entropy(logits, y),
        "a number": lambda logits, y: F.cross_entropy(logits, y).item(),
        "detached": lambda logits, y: F.cross_entropy(logits, y).detach(),
        "base 2": lambda logits, y: F.cross_entropy(logits, y) / math.log(2),
        "smoothed": lambda logits, y: F.cross_entropy(logits, y, label_smoothing=0.1),
    },
)


def wide(
    width,
    activation=nn.Sigmoid,
    pool=nn.AvgPool2d,
    padding=2,
    sizes=lambda w: (6 * w, 16 * w, 120 * w, 84 * w),
    last=nn.Identity,
):
    a, b, c, d = sizes(width)
    convolutions = nn.Sequential(
        nn.Conv2d(1, a, 5, padding=padding),
        activation(),
        pool(2),
        nn.Conv2d(a, b, 5),
        activation(),
        pool(2),
        nn.Flatten(),
    )
    flat = convolutions(torch.zeros(1, 1, 28, 28)).shape[1]
    dense = [nn.Linear(flat, c), activation(), nn.Linear(c, d), activation(), nn.Linear(d, 10)]
    return nn.Sequential(convolutions, *dense, last())


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


def lazy(width):
    return nn.Sequential(
        nn.LazyConv2d(6 * width, 5, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.LazyConv2d(16 * width, 5),
        nn.Sigmoid(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(120 * width),
        nn.Sigmoid(),
        nn.LazyLinear(84 * width),
        nn.Sigmoid(),
        nn.LazyLinear(10),
    )


answers(
    "03.8",
    right=[wide, WideLeNet, lazy],
    wrong={
        "ReLU": lambda width: wide(width, activation=nn.ReLU),
        "maximum": lambda width: wide(width, pool=nn.MaxPool2d),
        "no padding": lambda width: wide(width, padding=0),
        "width ignored": lambda width: lenet(),
        "only channels": lambda width: wide(width, sizes=lambda w: (6 * w, 16 * w, 120, 84)),
        "only units": lambda width: wide(width, sizes=lambda w: (6, 16, 120 * w, 84 * w)),
        "softmax at the end": lambda width: wide(width, last=lambda: nn.Softmax(1)),
        "width added": lambda width: wide(width, sizes=lambda w: (5 + w, 15 + w, 119 + w, 83 + w)),
        "classes too": lambda width: nn.Sequential(
            *wide(width)[:-2], nn.Linear(84 * width, 10 * width)
        ),
        "no activation between": lambda width: wide(width, activation=nn.Identity),
        "does not fit together": lambda width: nn.Sequential(
            *lenet()[:3], nn.Conv2d(6 * width, 16, 5), *lenet()[4:]
        ),
        "the logits of an image": lambda width: wide(width)(torch.zeros(1, 1, 28, 28)),
        "double": lambda width: wide(width).double(),
    },
    equivalent={
        "stride= dropped in 'nn.AvgPool2d(kernel_size=2, stride=2)'": "it is the default",
        "stride= dropped in 'nn.AvgPool2d(kernel_size=2, stride=2)' #2": "it is the default",
    },
)


def first_loss(num_classes, scale=1.0, net=None, labels=None, count=512):
    net = lenet(num_classes=num_classes) if net is None else net(num_classes)
    X = torch.rand(count, 1, 28, 28)
    y = torch.randint(num_classes, (count,)) if labels is None else labels(net(X))
    return F.cross_entropy(scale * net(X), y)


answers(
    "03.9",
    right=[
        lambda num_classes: first_loss(num_classes).item(),
        first_loss,
        lambda num_classes: sum(first_loss(num_classes, count=64).item() for _ in range(8)) / 8,
    ],
    wrong={
        "ten classes always": lambda num_classes: first_loss(10).item(),
        "scaled logits": lambda num_classes: first_loss(num_classes, scale=30).item(),
        "summed": lambda num_classes: 512 * first_loss(num_classes).item(),
        "one class only": lambda num_classes: first_loss(
            num_classes, labels=lambda out: out.argmax(1), scale=5
        ).item(),
        "in bits": lambda num_classes: first_loss(num_classes).item() / math.log(2),
        "a probability": lambda num_classes: math.exp(-first_loss(num_classes).item()),
        "negative": lambda num_classes: -first_loss(num_classes).item(),
        "base 10": lambda num_classes: math.log10(num_classes),
        "the number of classes": lambda num_classes: float(num_classes),
        "loss per example": lambda num_classes: F.cross_entropy(
            lenet(num_classes=num_classes)(torch.rand(4, 1, 28, 28)),
            torch.zeros(4).long(),
            reduction="none",
        ),
    },
    equivalent={
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


def step_by_backward(net, X, y, lr, sign=-1, clear=True, later=False, loss=F.cross_entropy):
    if clear:
        for p in net.parameters():
            p.grad = None
    before = loss(net(X), y)
    before.backward()
    for p in net.parameters():
        p.data.add_(p.grad, alpha=sign * lr)
    return float(loss(net(X), y)) if later else before.item()


def changed_step(**changes):
    return lambda net, X, y, lr: step_by_backward(net, X, y, lr, **changes)


def rebound(net, X, y, lr):
    loss = F.cross_entropy(net(X), y)
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    for p, g in zip(net.parameters(), gradients, strict=True):
        p = p - lr * g  # a new tensor: the net never sees it
    return loss.item()


def only(choose):
    def step(net, X, y, lr):
        loss = F.cross_entropy(net(X), y)
        names, parameters = zip(*net.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for name, p, g in zip(names, parameters, gradients, strict=True):
                if choose(name):
                    p -= lr * g
        return loss.item()

    return step


def in_autograd(net, X, y, lr):
    loss = F.cross_entropy(net(X), y)
    loss.backward()
    for p in net.parameters():
        p -= lr * p.grad
    return loss.item()


answers(
    "03.10",
    right=[
        step_by_optimizer,
        step_by_backward,
        lambda net, X, y, lr: (
            [
                net.zero_grad(),
                (loss := F.cross_entropy(net(X), y)).backward(),
                net.load_state_dict({k: p - lr * p.grad for k, p in net.named_parameters()}),
            ]
            and loss.item()
        ),
    ],
    wrong={
        "uphill": changed_step(sign=1),
        "gradients not cleared": changed_step(clear=False),
        "loss after the step": changed_step(later=True),
        "summed loss": changed_step(loss=lambda o, y: F.cross_entropy(o, y, reduction="sum")),
        "softmax twice": changed_step(loss=lambda o, y: F.cross_entropy(o.softmax(1), y)),
        "net not changed": lambda net, X, y, lr: F.cross_entropy(net(X), y).item(),
        "rebound": rebound,
        "weights only": only(lambda name: "weight" in name),
        "first layer only": only(lambda name: name.startswith("0")),
        "in place under autograd": in_autograd,
        "lr ignored": lambda net, X, y, lr: step_by_backward(net, X, y, 0.5),
        "returns nothing": lambda net, X, y, lr: print(step_by_backward(net, X, y, lr)),
        "X is changed": lambda net, X, y, lr: step_by_backward(net, X.mul_(2), y, lr),
        "two steps": lambda net, X, y, lr: (
            step_by_backward(net, X, y, lr / 2),
            step_by_backward(net, X, y, lr / 2),
        )[0],
    },
    equivalent={
        "strict= dropped in 'zip(parameters, gradients, strict=True)'": "lengths are equal",
        "True -> False": "strict: lengths are equal",
    },
)
