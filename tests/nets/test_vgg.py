"""VGG and Grad-CAM, against torchvision, d2l's form, and cases with a known answer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import assert_same_outputs, copy_in_order
from torch import nn
from torch.nn import functional as F

from course_utils.measure import count_macs, count_parameters, layer_shapes
from course_utils.nets.convolution import receptive_field
from course_utils.nets.vgg import VGG, VGG_DEPTHS, VGG_WIDTHS, grad_cam, vgg_block

COLOUR = {"in_channels": 3, "num_classes": 1000}
CASES = [
    ({}, (1, 224, 224), 128_806_154),
    ({"shrink": 4}, (1, 224, 224), 43_093_322),
    ({"config": "D", "in_channels": 3, "input_size": 32}, (3, 32, 32), 33_638_218),
    ({"config": "A", **COLOUR}, (3, 224, 224), 132_863_336),
    ({"config": "B", **COLOUR}, (3, 224, 224), 133_047_848),
    ({"config": "D", **COLOUR}, (3, 224, 224), 138_357_544),
    ({"config": "E", **COLOUR}, (3, 224, 224), 143_667_240),
]


@pytest.mark.parametrize(("options", "shape", "count"), CASES)
def test_parameters_and_logits(options, shape, count):
    with torch.device("meta"):
        net = VGG(**options)
        y_hat = net(torch.zeros(2, *shape))
    assert count_parameters(net) == count
    assert y_hat.shape == (2, options.get("num_classes", 10))


@pytest.mark.parametrize(("size", "config"), [(224, "D"), (32, "D"), (224, "A"), (96, "E")])
def test_documented_shapes(size, config):
    with torch.device("meta"):
        net = VGG(config, in_channels=3, input_size=size)
        X = torch.zeros(1, 3, size, size)
        blocks = layer_shapes(net.features, X)
        shapes = layer_shapes(net, X, leaves=True)
    expected = [(1, width, size >> (i + 1), size >> (i + 1)) for i, width in enumerate(VGG_WIDTHS)]
    assert [shape for _, _, shape in blocks] == expected
    convolutions = [shape for _, kind, shape in shapes if kind == "Conv2d"]
    assert len(convolutions) == sum(VGG_DEPTHS[config])
    assert convolutions[0] == (1, 64, size, size)
    assert next(s for _, kind, s in shapes if kind == "Flatten") == (1, 512 * (size // 32) ** 2)


def test_configurations_differ_in_depth_only():
    kinds = {}
    with torch.device("meta"):
        for config in VGG_DEPTHS:
            net = VGG(config)
            kinds[config] = sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules())
            assert {m.kernel_size for m in net.modules() if isinstance(m, nn.Conv2d)} == {(3, 3)}
    assert kinds == {"A": 11, "B": 13, "D": 16, "E": 19}


def test_macs_follow_the_formula():
    with torch.device("meta"):
        net = VGG("D", **COLOUR)
    total, c_in, side = 0, 3, 224
    for depth, width in zip(VGG_DEPTHS["D"], VGG_WIDTHS, strict=True):
        for _ in range(depth):
            total += side * side * 9 * c_in * width
            c_in = width
        side //= 2
    total += 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert count_macs(net, (3, 224, 224)) == total


def test_unknown_configuration_and_small_images_are_refused():
    with torch.device("meta"):
        with pytest.raises(ValueError, match="A, B, D, E, got 'C'"):
            VGG("C")
        VGG("A", input_size=32)
        with pytest.raises(ValueError, match="does not fit in 1"):
            VGG("A", input_size=31)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("config", VGG_DEPTHS)
def test_forward_and_backward_are_finite(config, training):
    torch.manual_seed(0)
    net = VGG(config, input_size=32, shrink=8, hidden=64).train(training)
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    y_hat = net(torch.rand(3, 1, 32, 32))
    F.cross_entropy(y_hat, torch.tensor([0, 1, 2])).backward()
    assert y_hat.isfinite().all()
    for name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("training", [True, False])
def test_the_published_size_runs_forward_and_backward(training):
    torch.manual_seed(0)
    net = VGG("A", shrink=4).train(training)  # the slim form of the full profile
    loss = F.cross_entropy(net(torch.rand(1, 1, 224, 224)), torch.tensor([7]))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(("config", "name"), [("A", 11), ("B", 13), ("D", 16), ("E", 19)])
def test_equal_to_torchvision(config, name):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    with torch.device("meta"):
        reference = getattr(models, f"vgg{name}")(weights=None, init_weights=False)
        net = VGG(config, **COLOUR)
    reference.to_empty(device="cpu").eval()  # half a gigabyte: drawn in place, once
    for module in reference.modules():
        if isinstance(module, nn.Conv2d):  # as torchvision draws them
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
    copy_in_order(net, reference.state_dict()).eval()  # both share one copy of the weights
    X = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(net(X), reference(X), rtol=0, atol=1e-5)


def d2l_vgg(architecture, side):
    """The form of Dive into Deep Learning, 8.2: blocks from (depth, channels), then a head."""
    layers, channels = [], 1
    for depth, width in architecture:
        block = []
        for _ in range(depth):
            block += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.Sequential(*block, nn.MaxPool2d(kernel_size=2, stride=2)))
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * side * side, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 10),
    )


@pytest.mark.parametrize("training", [True, False])
def test_equal_to_the_d2l_form(training):
    torch.manual_seed(0)
    slim = ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128))
    reference = d2l_vgg(slim, 2).train(training)
    with torch.device("meta"):
        net = VGG("A", input_size=64, shrink=4)
    copy_in_order(net, reference.state_dict()).train(training)
    X = torch.rand(2, 1, 64, 64)
    assert_same_outputs(net, reference, X)


def test_d2l_form_at_full_size_has_the_same_weights():
    with torch.device("meta"):
        reference = d2l_vgg(((1, 64), (1, 128), (2, 256), (2, 512), (2, 512)), 7)
        shapes = [v.shape for v in VGG().state_dict().values()]
    assert shapes == [v.shape for v in reference.state_dict().values()]


@given(depth=st.integers(1, 4), side=st.integers(2, 17), channels=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_block_halves_the_image_and_sees_as_far_as_computed(depth, side, channels):
    block = vgg_block(depth, 1, channels)
    assert block(torch.zeros(2, 1, side, side)).shape == (2, channels, side // 2, side // 2)
    field = receptive_field([(3, 1, 1)] * depth)
    assert field.size == 2 * depth + 1


def test_stack_of_positive_windows_sees_exactly_its_receptive_field():
    block = vgg_block(3, 1, 2)
    for parameter in block.parameters():
        nn.init.constant_(parameter, 0.1)
    X = torch.rand(1, 1, 21, 21, requires_grad=True)
    block[:-1](X)[0, 0, 10, 10].backward()
    seen = X.grad[0, 0] > 0
    assert seen[7:14, 7:14].all()
    assert seen.sum() == 49


@settings(max_examples=20, deadline=None)
@given(c=st.integers(1, 6), classes=st.integers(1, 5), side=st.integers(1, 6))
def test_grad_cam_equals_the_class_activation_map(c, classes, side):
    torch.manual_seed(c * 100 + classes * 10 + side)
    body, linear = nn.Conv2d(2, c, 1), nn.Linear(c, classes)
    net = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    X, labels = torch.randn(3, 2, side, side), torch.randint(classes, (3,))
    cam = torch.einsum("nc,nchw->nhw", linear.weight[labels], body(X)) / side**2
    torch.testing.assert_close(grad_cam(net, body, X, labels), F.relu(cam))


def test_grad_cam_finds_the_spot_and_leaves_no_hook():
    body = nn.Conv2d(1, 2, 1, bias=False)
    body.weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    linear = nn.Linear(2, 2, bias=False)
    linear.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    net = nn.Sequential(body, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    X = torch.zeros(2, 1, 5, 5)
    X[0, 0, 1, 3] = 2.0  # evidence for class 0
    X[1, 0, 4, 0] = -2.0  # evidence for class 1
    heat = grad_cam(net, net[1], X, torch.tensor([0, 1]))
    assert heat.shape == (2, 5, 5)
    assert heat.flatten(1).argmax(1).tolist() == [1 * 5 + 3, 4 * 5 + 0]
    assert (heat > 0).sum() == 2
    assert not heat.requires_grad
    assert not net[1]._forward_hooks


def test_grad_cam_removes_its_hook_when_the_net_fails():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(RuntimeError):
        grad_cam(net, net[0], torch.zeros(1, 1, 3, 3), torch.tensor([0]))
    assert not net[0]._forward_hooks
