"""Exercises of chapter 08, ResNet."""

import copy
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises.chapters.inputs import (
    counting,
    differs_from,
    distinct,
    refused,
    root_mean_square,
    several,
    used_norm,
)
from course_utils.exercises.chapters.portraits import portrait
from course_utils.exercises.checker.declare import Band, Raises, case, exercise
from course_utils.measure import count_parameters
from course_utils.nets.resnet import BasicBlock, Bottleneck, ResNet

TITLE = "ResNet"


@exercise(
    title="The residual",
    kind="warm-up",
    minutes=3,
    cases=lambda: [
        case(torch.neg, torch.tensor([1.0, -2.0]), note="f(X) = -X: nothing is left"),
        case(torch.sin, torch.tensor([3.0, -3.0, 5.0, -0.5])),
        case(torch.square, distinct(2, 3), note="f(X) = X²"),
        case(nn.Conv2d(2, 2, 3, padding=1), distinct(1, 2, 3, 4)),
        case(nn.Linear(3, 3).double(), distinct(4, 3).double()),
        refused(nn.Conv2d(2, 1, 1), distinct(1, 2, 2, 2), note="f(X) has one channel only"),
        refused(nn.MaxPool2d(2), distinct(1, 1, 4, 4), note="f halves the image"),
    ],
    reference=lambda f, X: torch.where(f(X) > -X, f(X) + X, 0 * X),
    misconceptions={
        "the ReLU comes before the addition": lambda f, X: torch.relu(f(X)) + X,
        "there is no ReLU": lambda f, X: f(X) + X,
        "the shortcut is missing": lambda f, X: torch.relu(f(X)),
    },
    gradient=True,
    hints=[
        "Two lines for the shapes, one for the result. `f(X)` is needed twice: compute it once.",
        "`if Y.shape != X.shape: raise ValueError(…)`, then `F.relu(Y + X)`.",
    ],
    explanation="The comparison is no fuss: tensors of shapes (N, 1, H, W) and (N, C, H, W) can "
    "be added up in PyTorch, by broadcasting, and a block with a forgotten projection would run.",
)
def ex08_1_residual(f, X):
    """ReLU(f(X) + X). Raises ValueError if their shapes differ."""
    Y = f(X)
    if Y.shape != X.shape:
        raise ValueError(f"f makes {tuple(Y.shape)} of {tuple(X.shape)}: nothing to add up")
    return F.relu(Y + X)


def parameters_by_building(c_in, c_out, stride):
    with torch.device("meta"):
        return count_parameters(BasicBlock(c_in, c_out, stride))


@exercise(
    title="Predict before you build",
    kind="predict",
    minutes=10,
    cases=lambda: [
        *several((64, 128, 2), (1, 1, 1), (3, 2, 1), (64, 64, 1), (256, 512, 2), (8, 5, 3)),
        case(1, 1, 2, note="as many channels, but half the image"),
        case(1, 2, 1, note="as large an image, but other channels"),
    ],
    reference=parameters_by_building,
    misconceptions={
        "the projection is forgotten": lambda a, b, stride: 9 * b * (a + b) + 4 * b,
        "there is always a projection": lambda a, b, stride: parameters_by_building(a, b, 2),
        "the projection has no normalisation": lambda c_in, c_out, stride: (
            parameters_by_building(c_in, c_out, stride) - 2 * c_out * (stride != 1 or c_in != c_out)
        ),
        "the convolutions have biases": lambda c_in, c_out, stride: (
            parameters_by_building(c_in, c_out, stride) + 2 * c_out
        ),
    },
    hints=[
        "Two 3×3 convolutions without bias. What does the second one read?",
        "A batch normalisation has two numbers per channel that are learned: scale and shift.",
        "With a stride, or if c_in is not c_out, there is a 1×1 convolution and a third "
        "normalisation.",
    ],
    explanation="9 · c_in · c_out and 9 · c_out² weights, two normalisations, and perhaps a "
    "projection, which is cheap: one weight where a 3×3 convolution has nine. The running "
    "averages are no parameters: nothing learns them by gradient.",
)
def ex08_2_basic_parameters(c_in, c_out, stride):
    """Number of parameters of BasicBlock(c_in, c_out, stride)."""
    total = 9 * c_in * c_out + 9 * c_out * c_out + 4 * c_out
    if stride != 1 or c_in != c_out:
        total += c_in * c_out + 2 * c_out
    return total


def sides_by_pooling(side):
    """Any layer of the same window, stride and padding makes the same size."""
    X, sides = torch.zeros(1, 1, side, side), []
    X = F.max_pool2d(F.max_pool2d(X, 7, 2, 3), 3, 2, 1)
    for stride in (1, 1, 2, 2, 2):
        X = F.max_pool2d(X, 3, stride, 1)
        sides.append(X.shape[-1])
    return sides


@exercise(
    title="Sides",
    forbids=r"\w*(conv|pool)\w*",
    kind="code",
    minutes=5,
    cases=lambda: [
        *(case(n) for n in (224, 100, 2, 3, 32, 28, 97)),
        case(1, note="one pixel"),
        case(33, note="one pixel more than 32"),
    ],
    reference=sides_by_pooling,
    misconceptions={
        "halves are rounded down": lambda side: [side // d for d in (4, 4, 8, 16, 32)],
    },
    hints=[
        "Windows of 7 and 3 pixels with padding 3 and 1 and stride 2: half, but rounded which way?",
        "(n - 1) // 2 + 1 is half of n, rounded up; so is (n + 1) // 2. Twice in the stem, then "
        "before each stage but the first.",
    ],
    explanation="With padding k // 2, a stride of 2 gives (n - 1) // 2 + 1, half of n rounded up, "
    "whatever k is. Five halvings: a 224 becomes a 7, and a 32 becomes a 1.",
)
def ex08_3_sides(side):
    """Sides of the image after the stem and after each of the four stages: a list of five."""
    sides = [-(-side // 4)]
    for stride in (1, 2, 2, 2):
        sides.append(-(-sides[-1] // stride))
    return sides


RESNET101 = {
    "convolutions and dense layers": 105,  # four of them are projections
    "parameters": 44_549_160,  # as torchvision's documentation has it
    "classes": 1000,
    "device": "meta",
}


def seen_of_large_net(net):
    """Counts only: it may be on the device "meta"."""
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return {
        "convolutions and dense layers": len(layers),
        "parameters": count_parameters(net),
        "classes": getattr(layers[-1], "out_features", 0) if layers else 0,
        "device": str(next(net.parameters()).device),
    }


@exercise(
    title="One hundred and one",
    kind="code",
    minutes=3,
    cases=lambda: [case(expected=RESNET101)],
    view=seen_of_large_net,
    hints=[
        "Look at `resnet50`: which of its numbers changes?",
        '`with torch.device("meta"):` around the line that builds it, and `return` inside.',
    ],
    explanation="Only the third stage grows, from 6 blocks to 23. 1 + 3 · (3 + 4 + 23 + 3) + 1 is "
    "101; the four projections are not counted.",
)
def ex08_4_resnet101():
    """The paper's ResNet-101 for 1,000 classes, on the device "meta"."""
    with torch.device("meta"):
        return ResNet(Bottleneck, (3, 4, 23, 3))


def option_a_by_conv(X, channels, stride=2):
    kernel = torch.eye(channels, X.shape[1], dtype=X.dtype)
    return F.conv2d(X, kernel[:, :, None, None], stride=stride)


@exercise(
    title="A shortcut for nothing",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(counting(1, 1, 2, 2) + 1, 2),
        case(counting(1, 1, 4, 4), 1, note="no channel is missing"),
        case(distinct(1, 2, 4, 2), 3, note="one channel is missing"),
        case(distinct(2, 2, 2, 4), 4, note="two images"),
        case(distinct(2, 3, 6, 4).double(), 7),
    ],
    reference=option_a_by_conv,
    misconceptions={
        "the zeros come before the channels, not after them": lambda X, channels: option_a_by_conv(
            X.flip(1), channels
        ).flip(1),
        "the average of four pixels is taken": lambda X, channels: option_a_by_conv(
            F.avg_pool2d(X, 2), channels, stride=1
        ),
        "the largest of four pixels is taken": lambda X, channels: option_a_by_conv(
            F.max_pool2d(X, 2), channels, stride=1
        ),
        "it takes the odd rows and columns, not those from 0 on": lambda X, channels: (
            option_a_by_conv(X[..., 1:, 1:], channels)
        ),
    },
    gradient=True,
    hints=[
        "A slice with a step takes every second row and column: `X[..., ::2, ::2]`.",
        "`F.pad` counts from the last axis: two numbers for the columns, two for the rows, two for "
        "the channels.",
    ],
    explanation="Slicing with a step is a stride. `F.pad(Y, (0, 0, 0, 0, 0, missing))` adds zeros "
    "after the channels only. So the shortcut costs nothing at all, and in the paper it was "
    "nearly as good as the projection (He et al., 2016, table 3).",
)
def ex08_5_option_a(X, channels):
    """(N, C, H, W) -> (N, channels, H / 2, W / 2): every second pixel, zeros for the rest."""
    Y = X[..., ::2, ::2]
    return F.pad(Y, (0, 0, 0, 0, 0, channels - X.shape[1]))


def used_block(c_in, c_out, stride=1):
    """A BasicBlock in use, whose normalisations have seen something."""
    block = BasicBlock(c_in, c_out, stride)
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.load_state_dict(used_norm(c_out).state_dict())
    return block.eval()


def broken_block(block, X):
    Y = F.relu(block.norm1(block.conv1(X)))
    Y = block.norm2(block.conv2(Y))
    X += Y
    return F.relu(X)


def block_before_relu(block, X):
    Y = F.relu(block.norm1(block.conv1(X)))
    return block.norm2(block.conv2(Y)) + block.shortcut(X)


@exercise(
    title="Repair: the input that changes",
    kind="repair",
    minutes=5,
    cases=lambda: [
        case(used_block(1, 1), counting(1, 1, 2, 2) + 1),
        case(used_block(2, 2), distinct(1, 2, 3, 3)),
        case(used_block(2, 2), distinct(3, 2, 3, 4), note="a batch of three"),
        case(used_block(2, 4, 2), distinct(2, 2, 4, 6), note="its shortcut is a projection"),
        case(used_block(1, 3), distinct(3, 1, 4, 4), note="more channels, same size"),
        case(used_block(2, 3, 2).double(), distinct(2, 2, 6, 6).double()),
    ],
    reference=lambda block, X: block(X),
    stub=broken_block,
    misconceptions={
        "the last ReLU is missing": block_before_relu,
        "the ReLU comes before the addition": lambda block, X: (
            F.relu(block_before_relu(block, X) - block.shortcut(X)) + block.shortcut(X)
        ),
        "the shortcut is missing": lambda block, X: F.relu(
            block_before_relu(block, X) - block.shortcut(X)
        ),
    },
    gradient=True,
    hints=[
        "`X += Y` writes into the tensor that the caller still holds. `X + Y` makes a new one.",
        "What if the block halves the image? `block.shortcut` is there for that.",
    ],
    explanation="`+=` saves memory, and is allowed only on tensors that nobody else needs: `Y` "
    "would be one, X never is. And not X is added but `block.shortcut(X)`, which is X itself where "
    "shapes agree.",
)
def ex08_6_block(block, X):
    Y = F.relu(block.norm1(block.conv1(X)))
    Y = block.norm2(block.conv2(Y))
    return F.relu(Y + block.shortcut(X))


def photo(height, width):
    return torch.randint(256, (height, width, 3), dtype=torch.uint8)


def broken_prepare(pixels):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    photo = pixels.reshape(1, 3, *pixels.shape[:2])
    return (photo - mean) / std


def prepare_by_colour(pixels, scale=255):
    colours = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]
    planes = [(pixels[:, :, i] / scale - mean) / std for i, (mean, std) in enumerate(colours)]
    return torch.stack(planes)[None]


@exercise(
    title="Repair: a photograph goes in",
    kind="repair",
    minutes=8,
    cases=lambda: [
        case(torch.tensor([[[255, 0, 128]]], dtype=torch.uint8), note="a single pixel"),
        case(torch.tensor([[[255, 0, 0], [0, 0, 255]]], dtype=torch.uint8), note="red, blue"),
        case(torch.full((2, 2, 3), 255, dtype=torch.uint8), note="white"),
        case(photo(3, 3)),
        case(photo(2, 5), note="wider than high"),
        case(photo(6, 4)),
    ],
    reference=prepare_by_colour,
    stub=broken_prepare,
    misconceptions={
        "the colours are still mixed up with the places: `reshape` does not move axes": (
            lambda pixels: prepare_by_colour(pixels.reshape(3, *pixels.shape[:2]).permute(1, 2, 0))
        ),
        "the numbers still go up to 255": lambda pixels: prepare_by_colour(pixels, scale=1),
        "rows and columns are exchanged": lambda pixels: prepare_by_colour(pixels).mT,
        "the colours are in the order blue, green, red": lambda pixels: prepare_by_colour(
            pixels.flip(2)
        ),
    },
    hints=[
        "Follow one red pixel: `torch.tensor([[[255, 0, 0], [0, 0, 255]]], dtype=torch.uint8)` is "
        "a red and a blue one. Where do they end up?",
        "`permute(2, 0, 1)` moves the axis of the colours to the front; `reshape` only cuts the "
        "same row of numbers into other pieces.",
        "mean and std belong to numbers between 0 and 1.",
    ],
    explanation="Both mistakes run without an error and make a network with 70 % accuracy guess. "
    "`permute` moves axes, `reshape` does not; and mean and std are those of numbers in [0, 1].",
)
def ex08_7_prepare(pixels):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    photo = pixels.permute(2, 0, 1).unsqueeze(0) / 255
    return (photo - mean) / std


def stages(*blocks):
    """A small network of the same build, with a stem that has a normalisation, too."""
    stem = OrderedDict(conv1=nn.Conv2d(1, 2, 3), norm1=nn.BatchNorm2d(2))
    return nn.Sequential(stem | {f"stage{i + 1}": nn.Sequential(b) for i, b in enumerate(blocks)})


def zero_by_classes(net):
    blocks = [module for module in net.modules() if isinstance(module, BasicBlock | Bottleneck)]
    for block in blocks:
        norms = [layer for layer in block.children() if isinstance(layer, nn.BatchNorm2d)]
        nn.init.zeros_(norms[-1].weight)
    return len(blocks)


def zero_named(*endings, part="weight", value=0.0):
    """Wrong: fills whatever has such a name."""

    def change(net):
        count = zero_by_classes(copy.deepcopy(net))
        for name, module in net.named_modules():
            if name.endswith(endings):
                nn.init.constant_(getattr(module, part), value)
        return count

    return change


@exercise(
    title="Start as a shallow network",
    kind="code",
    minutes=10,
    cases=lambda: [
        case(stages(BasicBlock(2, 2))),
        case(stages(BasicBlock(2, 3, 2)), note="with a projection, whose scale stays"),
        case(stages(Bottleneck(2, 1)), note="a bottleneck"),
        case(stages(BasicBlock(2, 2), BasicBlock(2, 4, 2), BasicBlock(4, 4))),
        case(stages(Bottleneck(2, 1, 2), BasicBlock(4, 4)), note="of both kinds"),
        case(stages(BasicBlock(2, 2)).double(), note="float64"),
    ],
    reference=zero_by_classes,
    changes=("net",),
    misconceptions={
        "the network did not change. (Was it looked for by class? Its classes have the names of "
        "yours, but are others)": lambda net: 0,
        "all normalisations are set to zero": zero_named("norm1", "norm2", "norm3"),
        "in a bottleneck the second normalisation is set to zero, too": zero_named(
            "norm2", "norm3"
        ),
        "in a bottleneck it is the second normalisation, not the third": zero_named("norm2"),
        "the shift is set to zero, not the scale": zero_named("norm2", "norm3", part="bias"),
    },
    hints=[
        "Which modules of a network are blocks? Those that have a `norm2`: "
        '`hasattr(module, "norm2")`.',
        "A bottleneck has a `norm3`, and then that is the last.",
        "`nn.init.zeros_(layer.weight)` sets a weight to zero, in place.",
    ],
    explanation="The branch of each block then gives zero, and the block passes on what it gets. "
    "Gradient still reaches the scale itself, and as it grows the block wakes up. Goyal et al. "
    "(2017) trained with large batches in this way.",
)
def ex08_8_zero_init(net):
    """Set the scale of the last normalisation of every block to 0, in place; how many blocks."""
    blocks = [module for module in net.modules() if hasattr(module, "norm2")]
    for block in blocks:
        last = block.norm3 if hasattr(block, "norm3") else block.norm2
        nn.init.zeros_(last.weight)
    return len(blocks)


def strength_of_the_sum(outcome, again):
    blocks, spy = outcome.arguments["blocks"], outcome.spy
    convolutions = [call for call in spy.calls if call.name == "conv2d"]
    if len(convolutions) != 2 * blocks:
        return f"{len(convolutions)} convolutions were run; {blocks} blocks have {2 * blocks}."
    if convolutions[0].args[0].shape != (8, 64, 8, 8):
        return f"Images of shape {tuple(convolutions[0].args[0].shape)} were sent in."
    last = spy.results("conv2d|batch_norm|relu_?")[-1]
    what = "The root mean square of what came out of the last block"
    return differs_from(outcome, root_mean_square(last), what=what)


@exercise(
    title="Experiment: the sum grows",
    kind="experiment",
    witness=strength_of_the_sum,
    minutes=10,
    cases=lambda: [
        # twice as wide as what fifteen other random networks show
        case(1, expected=Band(0.98, 1.025)),
        case(4, expected=Band(1.755, 1.825)),
        case(12, expected=Band(3.07, 3.24)),
    ],
    hints=[
        "`nn.Sequential(*[BasicBlock(64, 64) for _ in range(blocks)])`, left in training mode, "
        "no gradients.",
        "Square, mean, root: `Y.square().mean().sqrt().item()`.",
    ],
    explanation="Every branch ends in a normalisation, and so adds a variance of 1 to what is "
    "there. So the strength grows like the root of the depth – slowly, and that is why it works "
    "– and later blocks change less and less of what they get: each of them is near "
    "the identity.",
)
def ex08_9_growth(blocks):
    """Root mean square after `blocks` new BasicBlocks of 64 channels, for normal numbers."""
    net = nn.Sequential(*[BasicBlock(64, 64) for _ in range(blocks)])
    with torch.no_grad():
        Y = net(torch.randn(8, 64, 8, 8))
    return Y.square().mean().sqrt().item()


OLD = 7.0  # all weights of the old last layer: so it can be told


def small_resnet(channels, classes, block=BasicBlock):
    net = stages(block(2, channels))
    net.average, net.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    net.fc = nn.Linear(channels * block.expansion, classes)
    nn.init.constant_(net.fc.weight, OLD)
    return net


def seen_of_transfer(net):
    state = net.state_dict()
    return {
        "what learns": [name for name, p in net.named_parameters() if p.requires_grad],
        "shape of fc.weight": tuple(net.fc.weight.shape),
        "dtype of fc.weight": str(net.fc.weight.dtype),
        "all else": {name: value for name, value in state.items() if "fc." not in name},
        "fc is new": not bool((net.fc.weight == OLD).any()),
    }


def rebuilt(net, num_classes):
    body = OrderedDict(copy.deepcopy(net).requires_grad_(False).named_children())
    old = body.pop("fc").weight
    return nn.Sequential(body | {"fc": nn.Linear(old.shape[1], num_classes).to(old.dtype)})


@exercise(
    title="Made for something else",
    kind="code",
    minutes=15,
    cases=lambda: [
        case(small_resnet(2, 3), 4),
        case(small_resnet(2, 3), 3, note="as many classes as before: a new layer all the same"),
        case(small_resnet(3, 10), 1, note="one class"),
        case(small_resnet(2, 5, Bottleneck), 2),
        case(small_resnet(2, 3).requires_grad_(False), 4, note="it was frozen altogether"),
        case(small_resnet(4, 2).double(), 5, note="float64"),
    ],
    reference=rebuilt,
    view=seen_of_transfer,
    misconceptions={
        "nothing is frozen": lambda *args: rebuilt(*args).requires_grad_(True),
        "the new layer is frozen, too": lambda *args: rebuilt(*args).requires_grad_(False),
    },
    hints=[
        "`copy.deepcopy(net)` makes a copy that shares nothing with the network.",
        "`requires_grad_(False)` freezes all parameters of a module. New layers are not frozen: in "
        "which order do you need the two steps?",
        "`nn.Linear(new.fc.in_features, num_classes)` – and of the dtype of the old layer.",
    ],
    explanation="First freeze all, then replace the last layer: what is new learns. In training "
    "mode the running averages would still move; the chapter's `Frozen` stops them, too.",
)
def ex08_10_transfer(net, num_classes):
    """A copy of net with a new layer `fc` for num_classes, all else frozen. net stays as it is."""
    new = copy.deepcopy(net).requires_grad_(False)
    new.fc = nn.Linear(net.fc.in_features, num_classes, dtype=net.fc.weight.dtype)
    return new


def half_a_branch(c):
    return nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3, padding="same", bias=False)


class PreActivation(nn.Sequential):
    """The reference: pieces in a row, and the sum."""

    def __init__(self, c):
        super().__init__(*half_a_branch(c), *half_a_branch(c))

    def forward(self, X):
        return X + super().forward(X)


@exercise(
    title="Nothing in the way of the sum",
    kind="code",
    minutes=15,
    cases=lambda: [case(1), case(2), case(3), case(5)],
    reference=PreActivation,
    view=portrait(),
    misconceptions={
        "there is a ReLU after the sum": lambda c: nn.Sequential(PreActivation(c), nn.ReLU()),
        "the input is not added": lambda c: nn.Sequential(*PreActivation(c)),
    },
    hints=[
        "An `nn.Module` of its own, as `BasicBlock` is one: layers in `__init__`, the order in "
        "`forward`. It may be defined inside of the function.",
        "Normalisation, ReLU, convolution, and the same again; then add X.",
    ],
    explanation="X goes through all blocks of such a network without passing a single ReLU: from "
    "the first block to the last there is nothing but additions, forwards and backwards. The "
    "output may be negative, so a last normalisation and ReLU must follow before the average.",
)
def ex08_11_preactivation(c):
    """X + conv(ReLU(norm(conv(ReLU(norm(X)))))), 3×3 windows, c channels, no bias: a module."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1 = nn.BatchNorm2d(c)
            self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(c)
            self.conv2 = nn.Conv2d(c, c, 3, padding=1, bias=False)

        def forward(self, X):
            Y = self.conv1(F.relu(self.norm1(X)))
            return X + self.conv2(F.relu(self.norm2(Y)))

    return Block()


def cifar_by_list(n, width=16):
    layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for c_in, c_out, stride in ((1, 1, 1), (1, 2, 2), (2, 4, 2)):
        layers.append(BasicBlock(c_in * width, c_out * width, stride))
        layers += [BasicBlock(c_out * width, c_out * width) for _ in range(n - 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10))


@exercise(
    title="The paper's other network",
    kind="code",
    minutes=30,
    cases=lambda: [
        *several((1, 2), (2, 3), (3, 2)),
        case(1, note="without a width: 16"),
        case(2, width=5),
    ],
    reference=cifar_by_list,
    view=portrait(12, 9),
    hints=[
        "`ResNet` of this chapter is nearly it: another stem, three stages instead of four, and "
        "`width` instead of 64.",
        "Stage i has width · 2**i channels; its first block has stride 2 if i > 0, and reads what "
        "the stage before gave. Keep the number of channels in a variable, as `c_in` there.",
        "n blocks in each of 3 stages, two convolutions each: 6n layers, and the first and the "
        "last.",
    ],
    explanation="No pooling at the beginning: images of 32×32 pixels have nothing to give away. "
    "n = 3 is the paper's ResNet-20, n = 9 its ResNet-56 (but for the projections, where the paper "
    "took option A).",
)
def ex08_12_cifar(n, width=16):
    """He et al.'s network for (N, 3, 32, 32) and ten classes: 6n + 2 layers."""
    layers = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    c_in = width
    for i in range(3):
        c_out = width * 2**i
        for j in range(n):
            stride = 2 if i > 0 and j == 0 else 1
            layers.append(BasicBlock(c_in, c_out, stride))
            c_in = c_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 10))
