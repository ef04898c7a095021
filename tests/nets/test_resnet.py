"""Chapter 08: counts, shapes, depths, an independent reference, and freezing."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_utils.measure import count_parameters, layer_shapes
from course_utils.nets.resnet import (
    BasicBlock,
    Bottleneck,
    Frozen,
    HalvingBlock,
    class_activation_map,
    resnet18,
    resnet18_d2l,
    resnet34,
    resnet50,
    resnet_stride2,
)
from course_utils.training import INITS


def on_meta(make, *args, **options):
    with torch.device("meta"):
        return make(*args, **options)


def depth(net):
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
        for name, module in net.named_modules()
    )


@pytest.mark.parametrize(
    ("make", "count", "layers"),
    [
        (resnet18, 11_689_512, 18),
        (resnet34, 21_797_672, 34),
        (resnet50, 25_557_032, 50),
        (resnet18_d2l, 11_178_378, 18),
        (resnet_stride2, 7_497_418, 10),
    ],
)
def test_exact_parameter_counts_and_depths(make, count, layers):
    net = on_meta(make)
    assert count_parameters(net) == count
    assert depth(net) == layers


def stages(net, channels, side):
    X = torch.zeros(2, channels, side, side, device="meta")
    found = {name: shape[1:] for name, _, shape in layer_shapes(net, X)}
    return [found[name] for name in ("conv1", "pool", *(f"stage{i}" for i in range(1, 5)), "fc")]


@pytest.mark.parametrize(
    ("make", "channels", "side", "expansion", "sides"),
    [
        (resnet18, 3, 224, 1, (112, 56, 56, 28, 14, 7)),
        (resnet34, 3, 224, 1, (112, 56, 56, 28, 14, 7)),
        (resnet50, 3, 224, 4, (112, 56, 56, 28, 14, 7)),
        (resnet18_d2l, 1, 224, 1, (112, 56, 56, 28, 14, 7)),
        (resnet18_d2l, 1, 96, 1, (48, 24, 24, 12, 6, 3)),
        (resnet18, 1, 32, 1, (16, 8, 8, 4, 2, 1)),
    ],
)
def test_shapes(make, channels, side, expansion, sides):
    net = on_meta(make, channels, 10)
    widths = [64, 64, *(expansion * w for w in (64, 128, 256, 512))]
    expected = [(w, s, s) for w, s in zip(widths, sides, strict=True)]
    assert stages(net, channels, side) == [*expected, (10,)]


def test_shapes_of_the_tutorials_network():
    X = torch.zeros(1, 3, 32, 32, device="meta")
    found = {name: shape[1:] for name, _, shape in layer_shapes(on_meta(resnet_stride2), X)}
    assert found["conv1"] == (64, 16, 16)
    blocks = [found[f"block{i}"] for i in range(1, 5)]
    assert blocks == [(128, 8, 8), (256, 4, 4), (512, 2, 2), (512, 1, 1)]


def test_the_d2l_form_equals_a_plain_reference():
    """The same weights in a functional version, written out stage by stage."""
    torch.manual_seed(0)
    net = resnet18_d2l().apply(INITS["kaiming"]).double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    left = iter(net.state_dict().values())

    def conv(X, **options):
        return F.conv2d(X, next(left), next(left), **options)

    def norm(X):
        weight, bias, mean, var, _ = (next(left) for _ in range(5))
        return F.batch_norm(X, mean, var, weight, bias)

    def residual(X, stride=1, project=False):
        Y = F.relu(norm(conv(X, stride=stride, padding=1)))
        Y = norm(conv(Y, padding=1))
        return F.relu(Y + (conv(X, stride=stride) if project else X))

    X = torch.rand(2, 1, 96, 96, dtype=torch.float64)
    Y = F.max_pool2d(F.relu(norm(conv(X, stride=2, padding=3))), 3, 2, 1)
    Y = residual(residual(Y))
    for _ in range(3):
        Y = residual(residual(Y, stride=2, project=True))
    Y = F.linear(Y.mean(dim=(2, 3)), next(left), next(left))
    assert next(left, None) is None
    torch.testing.assert_close(net(X), Y)


@pytest.mark.parametrize(
    ("make", "channels"),
    [(resnet18, 3), (resnet34, 1), (resnet50, 3), (resnet18_d2l, 1), (resnet_stride2, 3)],
)
def test_forward_and_backward_are_finite(make, channels):
    torch.manual_seed(0)
    net = make(in_channels=channels, num_classes=10).apply(INITS["kaiming"])
    for training in (True, False):
        net.train(training).zero_grad()
        y_hat = net(torch.rand(4, channels, 32, 32))
        assert y_hat.shape == (4, 10) and y_hat.isfinite().all()
        F.cross_entropy(y_hat, torch.arange(4)).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@hypothesis_settings(max_examples=20)
@given(
    block=st.sampled_from([BasicBlock, Bottleneck]),
    c_in=st.integers(1, 6),
    channels=st.integers(1, 6),
    stride=st.integers(1, 3),
    side=st.integers(2, 9),
)
def test_block_shapes_and_the_kind_of_shortcut(block, c_in, channels, stride, side):
    c_out = channels * block.expansion
    net = block(c_in, channels, stride)
    Y = net(torch.rand(2, c_in, side, side))
    out = (side - 1) // stride + 1
    assert Y.shape == (2, c_out, out, out)
    assert isinstance(net.shortcut, nn.Identity) == (stride == 1 and c_in == c_out)


@pytest.mark.parametrize("block", [BasicBlock(8, 8), Bottleneck(8, 2)])
def test_a_block_whose_residual_is_zero_is_the_identity(block):
    last = block.norm3 if isinstance(block, Bottleneck) else block.norm2
    nn.init.zeros_(last.weight)
    X = torch.rand(3, 8, 5, 5)
    torch.testing.assert_close(block(X), X, rtol=0, atol=0)
    assert (block(-X) == 0).all()  # the ReLU comes after the sum


@pytest.mark.parametrize("stem_relu", [False, True])
def test_the_tutorials_stem_is_linear_without_its_relu(stem_relu):
    torch.manual_seed(0)
    net = resnet_stride2(stem_relu=stem_relu).double().eval()
    first = net.block1.conv1
    stem = nn.Sequential(net.conv1, net.norm1, *([net.relu] if stem_relu else []), first)
    a, b = torch.randn(2, 1, 3, 32, 32, dtype=torch.float64)
    linear = torch.allclose(stem(a + b), stem(a) + stem(b) - stem(0 * a))
    assert linear is not stem_relu


def test_a_halving_block_always_projects():
    block = HalvingBlock(4, 4)
    assert not isinstance(block.shortcut, nn.Identity)
    assert block(torch.rand(2, 4, 8, 8)).shape == (2, 4, 4, 4)


def test_the_mean_of_the_class_activation_map_is_the_logit():
    torch.manual_seed(0)
    net = resnet18(1, 10).eval()
    body = nn.Sequential(*list(net)[:-3])
    X = torch.rand(2, 1, 64, 96)
    maps = class_activation_map(body, net.fc, X)
    assert maps.shape == (2, 10, 2, 3)
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + net.fc.bias, net(X))


def test_frozen_does_not_move_in_training():
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    net = nn.Sequential(Frozen(body), nn.Linear(4 * 26 * 26, 2)).train()
    before = copy.deepcopy(net[0].state_dict())
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.1)
    X, head = 3 + torch.randn(8, 1, 28, 28), net[1].weight.detach().clone()
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(net(X), torch.tensor([0, 1] * 4)).backward()
        optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in net[0].state_dict().items())
    assert not torch.equal(net[1].weight, head)
    assert net.training and not net[0].module[1].training
