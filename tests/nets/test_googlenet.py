"""Chapter 07: counts, shapes, an independent reference, and batch normalisation by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_utils.measure import count_macs, count_parameters, layer_shapes
from course_utils.nets.googlenet import (
    INCEPTION,
    BatchNorm,
    GoogLeNet,
    Inception,
    batch_norm_2d,
    googlenet,
    googlenet_loss,
    googlenet_small,
)
from course_utils.training import INITS


def on_meta(make, *args, **options):
    with torch.device("meta"):
        return make(*args, **options)


@pytest.mark.parametrize(
    ("make", "options", "count"),
    [
        (googlenet_small, {}, 5_983_802),
        (googlenet_small, {"in_channels": 1}, 5_977_530),
        (googlenet, {}, 13_378_280),
        (googlenet, {"aux": False}, 6_998_552),
    ],
)
def test_exact_parameter_counts(make, options, count):
    assert count_parameters(on_meta(make, **options)) == count


def test_the_tutorials_typo_is_42890_parameters_short():
    typo = {**INCEPTION, "5b": (384, (182, 384), (48, 128), 128)}
    short = count_parameters(on_meta(GoogLeNet, 3, 10, blocks=typo))
    assert short == 5_940_912 == 5_983_802 - 42_890


def test_multiply_adds_stay_in_the_papers_budget():
    net = on_meta(googlenet)
    assert 1.5e9 < count_macs(net, (3, 224, 224)) < 1.6e9


PAPER = {  # Szegedy et al. (2015), table 1
    "conv1": (64, 112, 112),
    "pool1": (64, 56, 56),
    "conv2": (192, 56, 56),
    "pool2": (192, 28, 28),
    "inception3a": (256, 28, 28),
    "inception3b": (480, 28, 28),
    "pool3": (480, 14, 14),
    "inception4a": (512, 14, 14),
    "inception4b": (512, 14, 14),
    "inception4c": (512, 14, 14),
    "inception4d": (528, 14, 14),
    "inception4e": (832, 14, 14),
    "pool4": (832, 7, 7),
    "inception5a": (832, 7, 7),
    "inception5b": (1024, 7, 7),
    "average": (1024, 1, 1),
    "fc": (1000,),
}


def test_shapes_of_the_paper():
    net = on_meta(googlenet)
    found = {n: s[1:] for n, _, s in layer_shapes(net, torch.zeros(2, 3, 224, 224, device="meta"))}
    assert {name: found[name] for name in PAPER} == PAPER


@pytest.mark.parametrize(
    ("channels", "side", "sides"), [(1, 96, (48, 24, 12, 6, 3)), (3, 32, (16, 8, 4, 2, 1))]
)
def test_shapes_of_the_small_form(channels, side, sides):
    net = on_meta(googlenet_small, channels)
    X = torch.zeros(1, channels, side, side, device="meta")
    found = {name: shape[1:] for name, _, shape in layer_shapes(net, X)}
    chosen = ("conv1", "conv2", "inception3b", "inception4e", "inception5b")
    widths = (64, 192, 480, 832, 1024)
    for name, width, s in zip(chosen, widths, sides, strict=True):
        assert found[name] == (width, s, s)
    assert found["fc"] == (10,)


def test_the_small_form_equals_a_plain_reference():
    """The same weights in nested plain modules, built without a table, give the same logits."""

    class Branches(nn.Module):
        def __init__(self, *branches):
            super().__init__()
            self.branches = nn.ModuleList(branches)

        def forward(self, X):
            return torch.cat([branch(X) for branch in self.branches], dim=1)

    def block(i, a, b, c, d, e, f):
        relu = nn.ReLU
        return Branches(
            nn.Sequential(nn.Conv2d(i, a, 1), relu()),
            nn.Sequential(nn.Conv2d(i, b, 1), relu(), nn.Conv2d(b, c, 3, padding=1), relu()),
            nn.Sequential(nn.Conv2d(i, d, 1), relu(), nn.Conv2d(d, e, 5, padding=2), relu()),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(i, f, 1), relu()),
        )

    reference = nn.Sequential(
        nn.Conv2d(1, 64, 7, 2, 3),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(64, 64, 1),
        nn.ReLU(),
        nn.Conv2d(64, 192, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        block(192, 64, 96, 128, 16, 32, 32),
        block(256, 128, 128, 192, 32, 96, 64),
        nn.MaxPool2d(3, 2, 1),
        block(480, 192, 96, 208, 16, 48, 64),
        block(512, 160, 112, 224, 24, 64, 64),
        block(512, 128, 128, 256, 24, 64, 64),
        block(512, 112, 144, 288, 32, 64, 64),
        block(528, 256, 160, 320, 32, 128, 128),
        nn.MaxPool2d(3, 2, 1),
        block(832, 256, 160, 320, 32, 128, 128),
        block(832, 384, 192, 384, 48, 128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    torch.manual_seed(0)
    net = googlenet_small(1).apply(INITS["kaiming"])
    ours, theirs = list(net.parameters()), list(reference.parameters())
    assert [p.shape for p in ours] == [p.shape for p in theirs]
    with torch.no_grad():
        for p, q in zip(theirs, ours, strict=True):
            p.copy_(q)
    X = torch.randn(2, 1, 96, 96)
    torch.testing.assert_close(net(X), reference(X))


def test_three_outputs_in_training_and_one_in_evaluation():
    net = googlenet(in_channels=1, num_classes=7)
    X = torch.rand(2, 1, 224, 224)
    outputs = net.train()(X)
    assert [tuple(out.shape) for out in outputs] == [(2, 7)] * 3
    googlenet_loss(outputs, torch.tensor([0, 1])).backward()
    for parameter in net.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
    with torch.inference_mode():
        out = net.eval()(X)
    assert isinstance(out, torch.Tensor) and out.shape == (2, 7) and out.isfinite().all()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_forward_and_backward_are_finite(batch_norm):
    torch.manual_seed(0)
    net = googlenet_small(3, batch_norm=batch_norm).apply(INITS["kaiming"])
    for mode in (True, False):
        net.train(mode).zero_grad()
        y_hat = net(torch.rand(4, 3, 32, 32))
        F.cross_entropy(y_hat, torch.arange(4)).backward()
        assert y_hat.shape == (4, 10) and y_hat.isfinite().all()
        assert all(p.grad.isfinite().all() for p in net.parameters())


def test_the_loss_weighs_the_auxiliary_outputs():
    y, main, extra = torch.tensor([1, 2]), torch.randn(2, 5), torch.randn(2, 5)
    loss = F.cross_entropy(main, y) + 0.3 * 2 * F.cross_entropy(extra, y)
    torch.testing.assert_close(googlenet_loss((main, extra, extra), y), loss)
    torch.testing.assert_close(googlenet_loss(main, y), F.cross_entropy(main, y))


def test_auxiliary_losses_reach_the_early_layers():
    torch.manual_seed(0)
    net = googlenet(in_channels=1, num_classes=10)
    X, y, norms = torch.rand(2, 1, 224, 224), torch.tensor([0, 1]), []
    for weight in (0.0, 0.3):
        net.zero_grad()
        googlenet_loss(net(X), y, weight).backward()
        norms.append(net.conv1[0].weight.grad.norm())
    assert norms[1] > 10 * norms[0]


@settings(deadline=None, max_examples=20)
@given(
    channels=st.tuples(*[st.integers(1, 5)] * 7),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_an_inception_block_keeps_the_size(channels, size):
    c_in, c1, r3, c3, r5, c5, cp = channels
    block = Inception(c_in, c1, (r3, c3), (r5, c5), cp)
    Y = block(torch.randn(2, c_in, *size))
    assert Y.shape == (2, block.out_channels, *size)
    assert block.out_channels == c1 + c3 + c5 + cp


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    momentum=st.sampled_from([0.1, 0.3, 1.0]),
    eps=st.sampled_from([1e-5, 1e-2]),
    seed=st.integers(0, 2**16),
)
def test_batch_norm_by_hand_equals_torch(shape, dtype, momentum, eps, seed):
    torch.manual_seed(seed)
    ours = BatchNorm(shape[1], momentum, eps).to(dtype)
    theirs = nn.BatchNorm2d(shape[1], eps=eps, momentum=momentum).to(dtype)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight.copy_(torch.linspace(0.5, 2, shape[1]))
            layer.bias.copy_(torch.linspace(-1, 1, shape[1]))
    close = torch.testing.assert_close if dtype == torch.float64 else _nearly
    for training in (True, True, False):
        A = (torch.randn(shape, dtype=dtype) * 2 + 1).requires_grad_()
        B, weights = A.detach().clone().requires_grad_(), torch.randn(shape, dtype=dtype)
        outputs = []
        for layer, X in ((ours, A), (theirs, B)):
            layer.train(training).zero_grad()
            outputs.append(layer(X))
            (outputs[-1] * weights).sum().backward()
        close(*outputs)
        close(A.grad, B.grad)
        close(ours.weight.grad, theirs.weight.grad)
        close(ours.bias.grad, theirs.bias.grad)
        close(ours.running_mean, theirs.running_mean)
        close(ours.running_var, theirs.running_var)


def _nearly(a, b):
    # two values per channel may be nearly equal: their normalised gradient is then ill-conditioned
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_batch_norm_refuses_one_value_per_channel():
    layer = BatchNorm(3)
    with pytest.raises(ValueError, match="no variance"):
        layer(torch.randn(1, 3, 1, 1))
    assert torch.equal(layer.running_mean, torch.zeros(3))


def test_batch_norm_of_vectors_and_of_evaluation():
    X = torch.randn(6, 4, dtype=torch.float64)
    mean, var = torch.randn(4).double(), torch.rand(4).double() + 0.5
    ones, zeros = torch.ones(4).double(), torch.zeros(4).double()
    before = mean.clone(), var.clone()
    Y = batch_norm_2d(X, ones, zeros, mean, var, training=False)
    torch.testing.assert_close(Y, F.batch_norm(X, mean, var))
    assert torch.equal(mean, before[0]) and torch.equal(var, before[1])
