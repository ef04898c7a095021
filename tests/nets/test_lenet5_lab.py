"""Chapter 04's operators and network against PyTorch's: outputs, gradients, counts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_utils.data import load_data_digits
from course_utils.measure import count_macs, count_parameters, layer_shapes
from course_utils.nets.lenet5_lab import (
    Conv2D,
    LeNet5,
    Pool2D,
    Transformed,
    copy_weights,
    count_flops,
    move_randomly,
    tutorial_cost,
)
from course_utils.training import Runner

few = settings(max_examples=25, deadline=None)
dtypes = st.sampled_from([torch.float32, torch.float64])


def gradients(Y, *inputs):
    """Gradients of a sum that weighs every output differently."""
    weights = torch.linspace(-1, 2, Y.numel(), dtype=Y.dtype).view(Y.shape)
    return torch.autograd.grad((Y * weights).sum(), inputs)


def assert_close(ours, theirs, dtype):
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    torch.testing.assert_close(ours, theirs, **tolerance)


@few
@given(
    n=st.integers(1, 3),
    c_in=st.integers(1, 3),
    c_out=st.integers(1, 4),
    k=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    extra=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dtype=dtypes,
    seed=st.integers(0, 2**20),
)
def test_conv2d_equals_torch(n, c_in, c_out, k, stride, padding, dilation, extra, dtype, seed):
    torch.manual_seed(seed)
    span = dilation * (k - 1) + 1
    height, width = (max(1, span - 2 * padding) + more for more in extra)
    X = torch.randn(n, c_in, height, width, dtype=dtype, requires_grad=True)
    layer = Conv2D(c_in, c_out, k, stride, padding, dilation).to(dtype)
    W, b = layer.weight.detach().requires_grad_(), layer.bias.detach().flatten().requires_grad_()
    ours, theirs = layer(X), F.conv2d(X, W, b, stride, padding, dilation)
    assert ours.dtype == dtype and layer.bias.shape == (c_out, 1)
    assert_close(ours, theirs, dtype)
    dX, dW, db = gradients(ours, X, layer.weight, layer.bias)
    assert_close((dX, dW, db.flatten()), gradients(theirs, X, W, b), dtype)


@few
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 3),
    size=st.integers(1, 4),
    stride=st.one_of(st.none(), st.integers(1, 4)),
    mode=st.sampled_from(["max", "avg"]),
    extra=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    ties=st.booleans(),
    dtype=dtypes,
    seed=st.integers(0, 2**20),
)
def test_pool2d_equals_torch(n, channels, size, stride, mode, extra, ties, dtype, seed):
    torch.manual_seed(seed)
    X = torch.randn(n, channels, size + extra[0], size + extra[1], dtype=dtype)
    X = (X.round() if ties else X).requires_grad_()
    ours = Pool2D(size, mode, stride)(X)
    theirs = {"max": F.max_pool2d, "avg": F.avg_pool2d}[mode](X, size, stride)
    assert_close(ours, theirs, dtype)
    assert_close(gradients(ours, X), gradients(theirs, X), dtype)


def test_conv2d_starts_as_torch_does():
    torch.manual_seed(0)
    ours, theirs = Conv2D(16, 120, 5), nn.Conv2d(16, 120, 5)
    bound = 1 / math.sqrt(16 * 25)
    for layer in (ours, theirs):
        assert 0.98 * bound < layer.weight.abs().max() <= bound
        assert layer.bias.abs().max() <= bound
    spreads = [layer.weight.std().item() for layer in (ours, theirs)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.02)


def test_what_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="does not suit"):
        Conv2D(3, 2, 3)(torch.zeros(1, 2, 5, 5))
    with pytest.raises(ValueError, match="does not suit"):
        Conv2D(1, 2, 3)(torch.zeros(1, 1, 2, 5))
    with pytest.raises(ValueError, match="median"):
        Pool2D(2, "median")
    with pytest.raises(ValueError, match="parameter 8"):
        copy_weights(LeNet5(), LeNet5(num_classes=5))
    with pytest.raises(ValueError, match="shorter"):
        copy_weights(LeNet5(), nn.Linear(1, 1))


def test_lenet5_shapes_parameters_and_gradients():
    net = LeNet5()
    sizes = [p.weight.numel() + p.bias.numel() for p in net if isinstance(p, nn.Conv2d | nn.Linear)]
    assert sizes == [156, 2416, 48120, 10164, 850]
    assert count_parameters(net) == count_parameters(LeNet5(conv=Conv2D, pool=Pool2D)) == 61706
    shapes = {name: shape[1:] for name, _, shape in layer_shapes(net, torch.zeros(2, 1, 32, 32))}
    assert shapes["conv1"] == (6, 28, 28) and shapes["pool1"] == (6, 14, 14)
    assert shapes["conv2"] == (16, 10, 10) and shapes["pool2"] == (16, 5, 5)
    assert shapes["conv3"] == (120, 1, 1) and shapes["fc1"] == (84,) and shapes["fc2"] == (10,)
    assert isinstance(net.pool1, nn.MaxPool2d) and isinstance(net.pool2, nn.AvgPool2d)
    for mode in (True, False):
        net.train(mode).zero_grad()
        y_hat = net(torch.randn(3, 1, 32, 32))
        y_hat.square().sum().backward()
        assert y_hat.shape == (3, 10) and y_hat.isfinite().all()
        assert all(p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in net.parameters())


def test_the_four_costs():
    net, shape = LeNet5(), (1, 32, 32)
    cost = tutorial_cost(net, shape)
    assert list(cost.values()) == [122304, 241600, 400, 48120, 10080, 840]
    assert sum(cost.values()) == 423344
    assert count_macs(net, shape) == 416520
    assert count_flops(net, shape) == 833040


def test_loops_and_framework_train_alike():
    torch.manual_seed(0)
    net, hand_net = LeNet5(), LeNet5(conv=Conv2D, pool=Pool2D)
    copy_weights(net, hand_net)
    batches = [(torch.randn(4, 1, 32, 32), torch.randint(10, (4,))) for _ in range(2)]
    losses = []
    for model in (net, hand_net):
        runner = Runner(model, torch.optim.SGD(model.parameters(), 0.1), device="cpu")
        runner.train(batches, progress="off")
        losses.append(runner.step_losses)
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    assert losses[0][0] != losses[0][1]
    X = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net(X), hand_net(X), rtol=1e-4, atol=1e-5)


def test_equal_filters_stay_equal():
    net = LeNet5()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.02)
    batches = [(torch.randn(8, 1, 32, 32), torch.arange(8)) for _ in range(5)]
    Runner(net, torch.optim.SGD(net.parameters(), 0.1), device="cpu").train(batches, progress="off")
    assert (net.conv1.weight - 0.02).abs().max() > 1e-5  # it moved, all of it alike
    torch.testing.assert_close(net.conv1.weight, net.conv1.weight[:1].expand(6, -1, -1, -1))


def test_move_randomly():
    torch.manual_seed(0)
    X = torch.zeros(64, 1, 32, 32)
    X[:, :, 12:20, 12:20] = 1
    assert torch.equal(move_randomly(X, 0, 0, 0), X)
    places = torch.arange(32.0)
    moved = move_randomly(X, pixels=3, degrees=0, scale=0)
    for sums in (moved.sum(dim=(1, 2)), moved.sum(dim=(1, 3))):
        centre = (sums * places).sum(dim=1) / sums.sum(dim=1) - 15.5
        assert centre.abs().max() <= 3.01 and centre.std() > 1
    larger = move_randomly(X, pixels=0, degrees=0, scale=0.2).sum(dim=(1, 2, 3)) / 64
    assert (
        larger.max() < 1 / 0.8**2 * 1.1 and larger.min() > 1 / 1.2**2 * 0.9 and larger.std() > 0.1
    )
    assert move_randomly(X).min() >= 0 and move_randomly(X).max() <= 1


def test_move_randomly_measures_pixels_along_each_side():
    torch.manual_seed(0)
    X = torch.zeros(200, 1, 20, 60)
    X[:, :, 10, 30] = 1
    moved = move_randomly(X, pixels=4, degrees=0, scale=0)
    rows = (moved.sum(dim=(1, 3)) * torch.arange(20.0)).sum(dim=1) - 10
    columns = (moved.sum(dim=(1, 2)) * torch.arange(60.0)).sum(dim=1) - 30
    for shift in (rows, columns):
        assert 3.5 < shift.abs().max() <= 4.01


def test_digits_through_a_transformed_loader():
    train_iter, dev_iter, _ = load_data_digits(50, 32, train_examples=120, source="embedded")
    doubled = Transformed(dev_iter, lambda X: 2 * X)
    assert len(doubled) == len(dev_iter) == 4
    for (X, y), (X2, y2) in zip(dev_iter, doubled, strict=True):
        assert torch.equal(X2, 2 * X) and torch.equal(y, y2)
    assert next(iter(train_iter))[0].shape == (50, 1, 32, 32)
