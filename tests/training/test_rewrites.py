"""Rewritten layers give what torch's give, gradients included, and go the way that they say."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from course_utils.nets import build
from course_utils.training import rewrites
from course_utils.training.precision import Precision, autocast
from course_utils.training.rewrites import Rewrites


class Kernels(TorchFunctionMode):
    """Notes the kernels that torch really convolves with, and what it really pools."""

    def __init__(self):
        super().__init__()
        self.sizes, self.pooled = [], 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.conv2d:
            self.sizes.append(tuple(args[1].shape[-2:]))
        self.pooled += func is F.avg_pool2d
        return func(*args, **(kwargs or {}))


def both_ways(layer, X, device="cpu", images=False, **tolerance):
    """The layer's outputs and gradients, rewritten, are torch's; returns the Kernels.

    images: X is the net's input, whose gradient nobody wants.
    """
    results = []
    for rewritten in (False, True):
        x = X.clone(memory_format=torch.preserve_format).requires_grad_(not images)
        layer.zero_grad()
        with Kernels() as kernels:
            if rewritten:
                with Rewrites(device):
                    y = layer(x)
            else:
                y = layer(x)
        (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
        results.append([y, x.grad, *(p.grad.clone() for p in layer.parameters())])
    for a, b in zip(*results, strict=True):
        if a is not None:  # the images' gradient
            torch.testing.assert_close(a, b, **tolerance)
    return kernels


axis = st.tuples(
    st.integers(1, 6), st.integers(1, 5), st.integers(1, 3), st.integers(0, 4), st.integers(1, 2)
)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@given(
    axis,
    axis,
    st.sampled_from([(1, 3, 1), (2, 3, 1), (4, 4, 2), (3, 3, 3)]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_convolutions_are_torchs(device, rows, columns, channels, last, images, bias):
    size, kernel, stride, padding, dilation = zip(rows, columns, strict=True)
    reach = [n + 2 * p - d * (k - 1) for n, k, _, p, d in (rows, columns)]
    assume(min(reach) >= 1)
    torch.manual_seed(0)
    c_in, c_out, groups = channels
    layer = nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias)
    X = torch.randn(2, c_in, *size)
    if last:
        X = X.to(memory_format=torch.channels_last)
    both_ways(layer, X, device, images, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "size, layer",
    [
        (1, nn.Conv2d(2, 3, 3, padding=1)),
        (2, nn.Conv2d(2, 3, 3, padding=1, bias=False)),
        (2, nn.Conv2d(2, 3, 3, padding=1, stride=2)),
        (2, nn.Conv2d(2, 3, 5, padding=2)),
        (1, nn.Conv2d(2, 3, (5, 3), padding=(2, 1))),
        (5, nn.Conv2d(2, 3, 5)),
    ],
)
def test_kernels_that_span_the_map_are_products(size, layer):
    X = torch.randn(2, 2, size, size)
    assert both_ways(layer, X).sizes == []
    assert both_ways(layer, X.to(memory_format=torch.channels_last)).sizes == []


@pytest.mark.parametrize(
    "size, layer",
    [
        (3, nn.Conv2d(2, 3, 3, padding=1)),
        (1, nn.Conv2d(2, 3, 3, padding="same")),
        (2, nn.Conv2d(2, 3, 3, padding=2)),
        (2, nn.Conv2d(2, 2, 3, padding=1, groups=2)),
        (1, nn.Conv2d(2, 3, 3, padding=2, dilation=2)),
        (2, nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")),
        (6, nn.Conv2d(2, 3, 5)),
    ],
)
def test_others_stay_convolutions(size, layer):
    assert both_ways(layer, torch.randn(2, 2, size, size)).sizes == [layer.kernel_size]


@pytest.mark.parametrize(
    "layer, images, is_product",
    [
        (nn.Conv2d(1, 3, 5, padding=2), True, True),
        (nn.Conv2d(1, 3, (4, 3), stride=(3, 2), bias=False), True, True),
        (nn.Conv2d(1, 3, 5, padding=2), False, False),
        (nn.Conv2d(1, 3, 5, dilation=2), True, False),
        (nn.Conv2d(1, 3, 5, padding="same"), True, False),
    ],
)
def test_images_of_one_channel_are_a_product_on_a_gpu(layer, images, is_product):
    X = torch.randn(2, 1, 12, 11)
    kernels = both_ways(layer, X, "cuda", images, rtol=1e-4, atol=1e-5)
    assert kernels.sizes == ([] if is_product else [layer.kernel_size])
    maps = torch.cat([X, X], dim=1)
    assert len(both_ways(nn.Conv2d(2, 3, 5), maps, "cuda", images).sizes) == 1


def test_a_kernel_larger_than_the_image_is_torchs_error():
    with Rewrites("cuda"), pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        nn.Conv2d(1, 3, 5)(torch.randn(2, 1, 4, 9))


def test_one_picture_without_a_batch():
    X = torch.randn(2, 2, 2)
    assert both_ways(nn.Conv2d(2, 3, 3, padding=1), X).sizes == [(3, 3)]
    assert both_ways(nn.AvgPool2d(2), X).pooled == 1


@pytest.mark.parametrize("device, size", [("cpu", 2), ("cuda", 9)])
def test_gradients_of_the_weights_stay_float32(device, size):
    """In bfloat16 only the products are rounded: the weights' gradient is added up in float32."""
    layer = nn.Conv2d(1, 3, 3, padding=1)
    with torch.autocast("cpu", torch.bfloat16), Rewrites(device):
        y = layer(torch.randn(2, 1, size, size))
    assert y.dtype == torch.bfloat16 and y.shape == (2, 3, size, size)
    assert y.is_contiguous(memory_format=torch.channels_last)
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32


@given(
    st.integers(1, 6),
    st.integers(1, 12),
    st.integers(1, 12),
    st.booleans(),
    st.sampled_from([2, 3]),
)
def test_averages_are_torchs(channels, height, width, last, kernel):
    assume(min(height, width) >= kernel)
    torch.manual_seed(0)
    X = torch.randn(3, channels, height, width)
    if last:
        X = X.to(memory_format=torch.channels_last)
    both_ways(nn.AvgPool2d(kernel), X, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_which_averages_are_products(layout):
    X = torch.randn(2, 4, 8, 8).to(memory_format=layout)
    assert both_ways(nn.AvgPool2d(2), X).pooled == 0
    assert both_ways(nn.AvgPool2d(2, stride=1), X).pooled == 1
    assert both_ways(nn.AvgPool2d(2, padding=1, count_include_pad=False), X).pooled == 1
    assert both_ways(nn.AvgPool2d(2, divisor_override=3), X).pooled == 1
    wide = torch.randn(1, rewrites.WIDEST_ROWS, 2, 4).to(memory_format=torch.channels_last)
    assert both_ways(nn.AvgPool2d(2), wide).pooled == 1


def test_arguments_by_name_are_torchs():
    X, weight = torch.randn(2, 2, 4, 4), torch.randn(3, 2, 3, 3)
    sizes = {"kernel_size": 2, "stride": 1, "padding": 1, "ceil_mode": True}
    sizes |= {"count_include_pad": False, "divisor_override": 3}
    shape = {"bias": torch.randn(3), "stride": 2, "padding": 1, "dilation": 1, "groups": 1}
    expected = F.avg_pool2d(X, **sizes), F.conv2d(X, weight, **shape)
    with Rewrites():
        found = F.avg_pool2d(X, **sizes), F.conv2d(X, weight, **shape)
    torch.testing.assert_close(found, expected)


def test_whole_numbers_stay_exact_in_bfloat16():
    """float32 maps are not rounded, though matrix products are in bfloat16."""
    X = torch.full((1, 1, 2, 2), 1.001)
    with torch.autocast("cpu", torch.bfloat16), Rewrites():
        assert nn.AvgPool2d(2)(X).item() == pytest.approx(1.001, abs=1e-6)
        half = nn.AvgPool2d(2)(X.bfloat16())
    assert half.dtype == torch.bfloat16


def test_training_goes_on_after_an_evaluation():
    """The matrix of an average, first made where no gradients are kept, serves training too."""
    X = torch.randn(2, 1, 14, 14)
    rewrites._quarters.cache_clear()
    with torch.inference_mode(), Rewrites():
        nn.AvgPool2d(2)(X)
    both_ways(nn.Sequential(nn.Conv2d(1, 1, 1), nn.AvgPool2d(2)), X)


@pytest.mark.parametrize("preset, shape", [("lenet", (1, 28, 28)), ("resnet18", (1, 32, 32))])
def test_nets_compute_the_same(preset, shape):
    torch.manual_seed(0)
    net = build(preset, in_channels=1) if preset == "resnet18" else build(preset)
    X = torch.rand(4, *shape)
    with torch.inference_mode():
        expected = net.eval()(X)
        with Kernels() as kernels, autocast("cpu", Precision("float32", channels_last=True)):
            found = net(X)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert kernels.pooled == 0
    convolutions = sum(isinstance(module, nn.Conv2d) for module in net.modules())
    assert len(kernels.sizes) == convolutions - {"lenet": 0, "resnet18": 7}[preset]


@pytest.mark.parametrize("device, is_plain", [("cpu", True), ("cuda", False)])
def test_what_a_compiler_sees(monkeypatch, device, is_plain):
    """On a CPU the plain layers: it took ten times as long to compile the rewritten."""

    def rewritten(X, *args):
        return X + 1

    monkeypatch.setitem(rewrites._CONVOLUTIONS, device, rewritten)
    layer, X = nn.Conv2d(3, 3, 3, padding=1), torch.randn(2, 3, 2, 2)
    with Rewrites(device):
        found = torch.compile(layer, backend="aot_eager")(X)
        torch.testing.assert_close(layer(X), X + 1)
    torch.testing.assert_close(found, layer(X) if is_plain else X + 1)


def test_a_net_compiled_for_a_gpu_computes_the_same():
    torch.manual_seed(0)
    net, X = build("lenet"), torch.rand(4, 1, 28, 28)
    compiled, gradients = torch.compile(net, backend="aot_eager"), []
    for form in (net, compiled):
        net.zero_grad()
        with Rewrites("cuda"):
            form(X).square().sum().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
    torch.testing.assert_close(*gradients)
