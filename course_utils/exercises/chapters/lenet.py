"""Exercises of chapter 03, LeNet."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import (
    counting,
    differs_from,
    distinct,
    several,
    shapes_after,
)
from course_utils.exercises.chapters.portraits import portrait
from course_utils.exercises.checker.declare import Band, case, exercise
from course_utils.nets.lenet import lenet

TITLE = "LeNet"


@exercise(
    title="Output size",
    kind="warm-up",
    minutes=2,
    cases=lambda: [
        *several((28, 5, 2, 1), (1, 1, 0, 1), (7, 3, 0, 2), (8, 3, 1, 3), (224, 11, 2, 4)),
        case(5, 5, 0, 1, note="the window just fits"),
        case(8, 3, 0, 2, note="a pixel is left over"),
        case(10, 3, 0, 4, note="most of a step is left over: rounded down all the same"),
    ],
    reference=lambda n, k, p, s: F.max_pool1d(F.pad(torch.zeros(1, 1, n), (p, p)), k, s).shape[-1],
    misconceptions={
        "the padding counts on one side only": lambda n, k, p, s: (n + p - k) // s + 1,
        "the division rounds up": lambda n, k, p, s: -(-(n + 2 * p - k) // s) + 1,
        "the + 1 is missing": lambda n, k, p, s: (n + 2 * p - k) // s,
    },
    hints=[
        "How far can the window move from its first place to its last? In how many steps?",
        "(n + 2p - k) pixels in steps of s, rounded down, and one more for the first place.",
    ],
    explanation="The window's corner moves over n + 2p - k pixels in steps of s; the place where "
    "it starts counts too. `//` keeps it a whole number.",
)
def ex03_1_out_size(n, k, p, s):
    """Output size of a convolution: n pixels, window k, padding p, stride s."""
    return (n + 2 * p - k) // s + 1


@exercise(
    title="Predict before you run",
    kind="predict",
    minutes=5,
    cases=lambda: [case(28), case(12), case(29), case(30), case(32), case(64), case(227)],
    reference=lambda n: (
        [shape[-1] for shape in shapes_after(lenet()[:6], torch.zeros(1, 1, n, n))]
    ),
    hints=[
        "The six layers: convolution (5×5, padding 2), sigmoid, pooling, convolution (5×5, no "
        "padding), sigmoid, pooling.",
        "The first convolution keeps the size, sigmoids too. A pooling halves and rounds down; "
        "the second convolution takes 4 away.",
    ],
    explanation="n, n, n // 2, then four less, the same again, and half of that, rounded down.",
)
def ex03_2_shapes(n):
    """Side lengths after LeNet's first six layers, for images of n × n pixels: a list of six."""
    half = n // 2
    return [n, n, half, half - 4, half - 4, (half - 4) // 2]


@exercise(
    title="How many parameters?",
    kind="code",
    minutes=3,
    cases=lambda: [
        *several((1, 6, 5), (1, 1, 1), (6, 16, 5), (3, 2, 4), (2, 3, 1)),
        case(3, 5, 2, False, note="without a bias"),
        case(16, 16, 3, bias=False),
    ],
    reference=lambda c_in, c_out, k, bias=True: sum(
        p.numel() for p in nn.Conv2d(c_in, c_out, k, bias=bias).parameters()
    ),
    misconceptions={
        "the bias is ignored": lambda c_in, c_out, k, bias=True: c_in * c_out * k * k,
        "there is a bias for every input channel": lambda c_in, c_out, k, bias=True: (
            c_in * c_out * k * k + c_in * bias
        ),
        "the kernel has one side only": lambda c_in, c_out, k, bias=True: c_out * (c_in * k + bias),
        "each output channel reads only one input channel": lambda c_in, c_out, k, bias=True: (
            c_out * (k * k + bias)
        ),
    },
    hints=[
        "One filter reads all input channels: how many weights has it?",
        "There are c_out filters, each with c_in · k² weights and one bias.",
    ],
    explanation="A filter has c_in · k² weights and, if wanted, one bias; there are c_out of "
    "them. The size of the image does not matter.",
)
def ex03_3_parameters(c_in, c_out, k, bias=True):
    """Number of parameters of a convolution with k × k kernels."""
    return c_out * (c_in * k * k + bias)


def accuracy(logits, y):
    pairs = zip(logits.tolist(), y.tolist(), strict=True)
    return sum(row.index(max(row)) == label for row, label in pairs) / len(y)


@exercise(
    title="Accuracy",
    kind="code",
    minutes=5,
    cases=lambda: [
        case(torch.tensor([[1.0, 3.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 1, 1])),
        case(torch.tensor([[0.0, 5.0]]), torch.tensor([1]), note="one example, right"),
        case(torch.tensor([[0.0, 5.0]]), torch.tensor([0]), note="one example, wrong"),
        case(-counting(2, 3) - 1, torch.tensor([0, 2]), note="all logits are negative"),
        case(distinct(3, 7).double(), torch.tensor([6, 0, 3])),
        case(distinct(16, 3), torch.randint(3, (16,))),
    ],
    reference=accuracy,
    misconceptions={
        "the right answers are counted, not divided": lambda x, y: accuracy(x, y) * len(y),
        "it is in percent": lambda logits, y: 100 * accuracy(logits, y),
        "the wrong answers are counted": lambda logits, y: 1 - accuracy(logits, y),
    },
    python_number=True,
    hints=[
        "`argmax` along the axis of the classes gives the predicted class of each row.",
        "`==` gives booleans; as floats their mean is the fraction. `.item()` makes it Python's.",
    ],
    explanation="The class with the largest logit is the prediction; softmax would not change "
    "which that is. The mean of the hits is the accuracy.",
)
def ex03_4_accuracy(logits, y):
    """Fraction of rows of logits (N, C) whose largest entry is at y (N,); a Python float."""
    return (logits.argmax(dim=1) == y).double().mean().item()


def counted(y, y_hat, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    return counts.index_put((y, y_hat), torch.ones_like(y), accumulate=True)


@exercise(
    title="Confusion matrix",
    loop_free="y",
    kind="code",
    minutes=15,
    cases=lambda: [
        case(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2),
        case(torch.tensor([0]), torch.tensor([1]), 2, note="one example"),
        case(torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1]), 2, note="one pair, three times"),
        case(torch.tensor([1, 0]), torch.tensor([0, 1]), 4, note="classes that never occur"),
        case(torch.empty(0).long(), torch.empty(0).long(), 3, note="no example at all"),
        case(torch.randint(10, (50,)), torch.randint(10, (50,)), 10),
        case(torch.randint(3, (400,)), torch.randint(3, (400,)), 3, note="many examples"),
    ],
    reference=counted,
    misconceptions={
        "rows and columns are exchanged: rows are the true classes": lambda a, b, n: counted(
            b, a, n
        ),
        "a pair that comes again is counted once only": lambda *args: counted(*args).clamp(max=1),
    },
    hints=[
        "Give each pair (true, predicted) one number: true · num_classes + predicted.",
        "`torch.bincount` counts numbers. It must know how many there could be: `minlength`.",
        "`counts[y, y_hat] += 1` counts a pair that comes twice once only: why?",
    ],
    explanation="Pairs become numbers, `bincount` counts them, and `reshape` makes a matrix. "
    "Indexed `+=` reads all entries first and writes them back once, so repeated pairs are lost; "
    "`index_put_(…, accumulate=True)` would add them.",
)
def ex03_5_confusion(y, y_hat, num_classes):
    """Counts (num_classes, num_classes), int64: rows are true classes, columns predictions."""
    pairs = y * num_classes + y_hat
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def broken_flatten(X):
    return X.view(320)


@exercise(
    title="Repair: the batch that got lost",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case(distinct(1, 20, 4, 4), note="one image is a batch, too"),
        case(distinct(2, 20, 4, 4)),
        case(distinct(5, 20, 4, 4).double()),
        case(distinct(20, 20, 4, 4), note="as many images as channels"),
    ],
    reference=lambda X: torch.stack([image.reshape(-1) for image in X]),
    stub=broken_flatten,
    misconceptions={
        "the batch size is typed in": lambda X: X.view(1, 320),
    },
    gradient=True,
    hints=[
        "One axis must stay: the first.",
        "`torch.flatten` has an argument that says where to start.",
    ],
    explanation="`start_dim=1` leaves the batch alone, whatever its size. `X.view(len(X), -1)` "
    "works too. `view(-1, 320)` does as well – until the image size changes, and the batch grows "
    "without a word.",
)
def ex03_6_flatten(X):
    return torch.flatten(X, start_dim=1)


def broken_loss(logits, y):
    return F.cross_entropy(torch.softmax(logits, dim=1), y)


@exercise(
    title="Repair: softmax twice",
    kind="repair",
    minutes=3,
    cases=lambda: [
        case(torch.tensor([[2.0, 0.0]]), torch.tensor([0])),
        case(torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([1]), note="no opinion: ln 3"),
        case(torch.tensor([[200.0, 0.0]]), torch.tensor([1]), note="sure, and wrong"),
        case(distinct(4, 3), torch.tensor([0, 2, 1, 1])),
        case(distinct(6, 10).double(), torch.randint(10, (6,))),
    ],
    reference=lambda logits, y: F.nll_loss(F.log_softmax(logits, dim=1), y),
    stub=broken_loss,
    misconceptions={
        "the losses are added up, not averaged": lambda logits, y: F.cross_entropy(
            logits, y, reduction="sum"
        ),
        "the softmax goes over the batch": lambda x, y: F.nll_loss(F.log_softmax(x, dim=0), y),
        "the logarithm is missing": lambda logits, y: F.nll_loss(torch.softmax(logits, 1), y),
    },
    gradient=True,
    hints=[
        "What does `F.cross_entropy` expect: probabilities or logits?",
        "It applies a log-softmax itself.",
    ],
    explanation="`F.cross_entropy` takes logits. With probabilities in [0, 1] as logits the loss "
    "can never come near zero, and the gradients are small: training works, badly.",
)
def ex03_7_loss(logits, y):
    return F.cross_entropy(logits, y)


def wide_lenet(width):
    a, b, c, d = (width * size for size in (6, 16, 120, 84))
    net = lenet()
    net[0], net[3] = nn.Conv2d(1, a, 5, padding=2), nn.Conv2d(a, b, 5)
    net[7], net[9], net[11] = nn.Linear(25 * b, c), nn.Linear(c, d), nn.Linear(d, 10)
    return net


@exercise(
    title="A wider LeNet",
    kind="code",
    minutes=20,
    cases=lambda: [case(1), case(2), case(4)],
    reference=wide_lenet,
    view=portrait(28, 28),
    hints=[
        "Start from the chapter's `lenet` and multiply what a layer gives. What does the next "
        "layer then take?",
        "The flattened size grows too: 16 · width channels of 5×5 pixels.",
    ],
    explanation="Width multiplies channels and units, but not the image's one channel and not the "
    "ten classes. The big dense and convolution layers grow with width², so width 4 has nearly 16 "
    "times the parameters.",
)
def ex03_8_lenet(width):
    """LeNet with `width` times the channels and units: (N, 1, 28, 28) -> (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 6 * width, kernel_size=5, padding=2),
        nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6 * width, 16 * width, kernel_size=5),
        nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * width * 5 * 5, 120 * width),
        nn.Sigmoid(),
        nn.Linear(120 * width, 84 * width),
        nn.Sigmoid(),
        nn.Linear(84 * width, 10),
    )


def loss_of_what_was_made(outcome, again):
    spy, classes = outcome.spy, outcome.arguments["num_classes"]
    logits = [Y for Y in spy.results("linear|addmm|matmul") if Y.shape[-1:] == (classes,)]
    count = sum(map(len, logits))
    if count != 512:
        return f"{count} images went through a network with {classes} outputs, not 512."
    if sum(t.numel() for t in spy.drawn(28 * 28)) < 512 * 28 * 28:
        return "No 512 random images of 28 × 28 pixels were drawn."
    losses = [call for call in spy.calls if call.name in ("cross_entropy", "nll_loss")]
    labels = [call.kwargs.get("target", call.args[-1]) for call in losses]
    labels = labels or [t for t in spy.drawn() if not t.is_floating_point()]
    labels = labels or [t for t in spy.results(".*") if t.dtype == torch.long and t.ndim == 1][:1]
    labels = torch.cat([t.flatten() for t in labels]) if labels else torch.zeros(0)
    if len(labels) != 512:
        return f"The loss is that of {len(labels)} random labels, not of 512."
    if labels.max() < 0.8 * classes:  # of 512 labels all are below it once in 10**49
        return f"The labels go from 0 to {labels.max()}, but there are {classes} classes."
    what = "The cross-entropy of the network's outputs and these labels"
    return differs_from(outcome, F.cross_entropy(torch.cat(logits), labels), what=what, rtol=1e-4)


@exercise(
    title="Experiment: the loss before learning",
    kind="experiment",
    witness=loss_of_what_was_made,
    minutes=10,
    cases=lambda: [
        # log C, and what the small random weights of the last layer add to it
        case(classes, expected=Band(math.log(classes) - 0.05, math.log(classes) + 0.2))
        for classes in (10, 100, 1000)
    ],
    hints=[
        "`lenet(num_classes=…)`, `torch.rand` for the images, `torch.randint` for the labels; no "
        "training, no gradients.",
        "`F.cross_entropy(net(X), y).item()`. Compare with `math.log(num_classes)`.",
    ],
    explanation="Who knows nothing gives every class the probability 1/C, and pays -ln(1/C) = ln "
    "C: 2.30 for ten classes. The first loss of a training far above that is a sign of a mistake: "
    "wrong scale of the inputs, wrong start of the weights, or wrong labels.",
)
def ex03_9_first_loss(num_classes):
    """Cross-entropy of an untrained LeNet on 512 random images with random labels."""
    net = lenet(num_classes=num_classes)
    X, y = torch.rand(512, 1, 28, 28), torch.randint(num_classes, (512,))
    with torch.no_grad():
        return F.cross_entropy(net(X), y).item()


def small_net(*sizes):
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    return nn.Sequential(*[piece for layer in layers for piece in (layer, nn.Tanh())][:-1])


def after_a_backward(net):
    """A net that still carries gradients of something else."""
    sum(p.square().sum() for p in net.parameters()).backward()
    return net


def step_by_backward(net, X, y, lr):
    net.zero_grad()  # torch.optim would take seconds to import
    return step_without_clearing(net, X, y, lr)


def step_without_clearing(net, X, y, lr):
    loss = F.cross_entropy(net(X), y)
    loss.backward()
    for p in net.parameters():
        p.data -= lr * p.grad
    return loss.item()


@exercise(
    title="One step of training by hand",
    forbids=r"\w+\.step",
    kind="code",
    minutes=30,
    cases=lambda: [
        case(small_net(1, 2), torch.tensor([[1.0]]), torch.tensor([0]), 0.5),
        case(small_net(2, 3), distinct(4, 2), torch.tensor([0, 1, 2, 1]), 0.1),
        case(small_net(2, 2), distinct(3, 2), torch.tensor([0, 1, 1]), 0.0, note="lr 0"),
        case(
            after_a_backward(small_net(2, 2)),
            distinct(3, 2),
            torch.tensor([1, 0, 1]),
            0.3,
            note="gradients of an earlier step are still there",
        ),
        case(small_net(3, 4, 2), distinct(5, 3), torch.tensor([0, 1, 1, 0, 0]), 0.2),
        case(small_net(4, 3).double(), distinct(4, 4).double(), torch.tensor([0, 1, 2, 2]), 0.9),
    ],
    reference=step_by_backward,
    misconceptions={
        "the loss is that after the step": lambda net, X, y, lr: (
            step_by_backward(net, X, y, lr),
            F.cross_entropy(net(X), y).item(),
        )[1],
        "the old gradients are not cleared": step_without_clearing,
        "it climbs instead of going down": lambda net, X, y, lr: step_by_backward(net, X, y, -lr),
    },
    changes=("net",),
    hints=[
        "Forward, loss, gradients, step: four lines, and a loop over `net.parameters()` in the "
        "last.",
        "`torch.autograd.grad(loss, list(net.parameters()))` gives fresh gradients. With "
        "`loss.backward()` you have to clear the old ones first.",
        "Change parameters inside `with torch.no_grad():` and in place, `p -= lr * g`.",
    ],
    explanation="`torch.autograd.grad` returns the gradients without touching `p.grad`, so there "
    "is nothing to clear. The step must be in place, or the network would never see it, and "
    "outside of autograd, which does not allow it otherwise.",
)
def ex03_10_sgd_step(net, X, y, lr):
    """One step of SGD on the cross-entropy, changes net; returns the loss before the step."""
    parameters = list(net.parameters())
    loss = F.cross_entropy(net(X), y)
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for p, g in zip(parameters, gradients, strict=True):
            p -= lr * g
    return loss.item()
