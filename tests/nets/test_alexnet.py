"""AlexNet and the parts of its chapter, against torch, torchvision and d2l's form."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import assert_same_outputs, copy_in_order
from torch import nn
from torch.nn import functional as F

from course_utils.measure import count_macs, count_parameters, layer_shapes
from course_utils.nets.alexnet import (
    AlexNet,
    AlexNetSmall,
    Augmented,
    dense_head,
    dropout,
    local_response_norm,
    random_flip,
    random_shift,
)

COLOUR = {"in_channels": 3, "num_classes": 1000, "padding": 2}
HALF = {**COLOUR, "widths": (48, 128, 192, 192, 128), "hidden": 2048}
TORCHVISION = {**COLOUR, "widths": (64, 192, 384, 256, 256)}
CASES = [
    (AlexNet, {}, (1, 224, 224), 46_764_746),
    (AlexNetSmall, {}, (3, 32, 32), 9_244_970),
    (AlexNet, HALF, (3, 224, 224), 16_630_440),
    (AlexNet, TORCHVISION, (3, 224, 224), 61_100_840),
    (AlexNet, {**COLOUR, "two_towers": True}, (3, 224, 224), 60_965_224),  # the paper's
]
SMALL = {**HALF, "in_channels": 1, "num_classes": 10, "widths": (4, 6, 8, 8, 6), "hidden": 16}


@pytest.mark.parametrize(("factory", "options", "shape", "count"), CASES)
def test_parameters_and_logits(factory, options, shape, count):
    with torch.device("meta"):
        net = factory(**options)
        y_hat = net(torch.zeros(2, *shape))
    assert count_parameters(net) == count
    assert y_hat.shape == (2, options.get("num_classes", 10))


@pytest.mark.parametrize(
    ("factory", "options", "shape", "sides", "channels"),
    [
        (AlexNet, {}, (1, 224, 224), [54, 26, 26, 12, 12, 12, 12, 5], (96, 256, 384, 384, 256)),
        (AlexNet, HALF, (3, 224, 224), [55, 27, 27, 13, 13, 13, 13, 6], HALF["widths"]),
        (AlexNetSmall, {}, (3, 32, 32), [32, 16, 16, 8, 8, 8, 8, 4], (48, 128, 192, 192, 128)),
    ],
)
def test_documented_shapes(factory, options, shape, sides, channels):
    with torch.device("meta"):
        net = factory(**options)
        shapes = layer_shapes(net, torch.zeros(1, *shape), leaves=True)
    seen = [s for _, kind, s in shapes if kind in ("Conv2d", "MaxPool2d")]
    assert [s[-1] for s in seen] == sides
    assert [s[-2] for s in seen] == sides
    assert tuple(s[1] for _, kind, s in shapes if kind == "Conv2d") == tuple(channels)
    flat = next(s for _, kind, s in shapes if kind == "Flatten")
    assert flat == (1, channels[-1] * sides[-1] ** 2)


def test_macs_of_the_large_form_follow_the_formula():
    with torch.device("meta"):
        net = AlexNet()
    convolutions = (
        54**2 * 96 * 1 * 11**2
        + 26**2 * 256 * 96 * 5**2
        + 12**2 * (384 * 256 + 384 * 384 + 256 * 384) * 3**2
    )
    dense = 6400 * 4096 + 4096 * 4096 + 4096 * 10
    assert count_macs(net, (1, 224, 224)) == convolutions + dense


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (lambda: AlexNet(**SMALL), (1, 224, 224)),
        (lambda: AlexNet(**SMALL, two_towers=True), (1, 224, 224)),
        (lambda: AlexNet(**SMALL, input_size=96, init_weights=True), (1, 96, 96)),
        (lambda: AlexNetSmall(in_channels=1), (1, 32, 32)),
        (lambda: AlexNetSmall(in_channels=1, input_size=28, hidden=64), (1, 28, 28)),
    ],
)
def test_forward_and_backward_are_finite(net, shape, training):
    torch.manual_seed(0)
    net = net().train(training)
    y_hat = net(torch.rand(3, *shape))
    F.cross_entropy(y_hat, torch.tensor([0, 1, 2])).backward()
    assert y_hat.shape == (3, 10)
    assert y_hat.isfinite().all()
    for name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("training", [True, False])
def test_the_published_sizes_run_forward_and_backward(training):
    torch.manual_seed(0)
    net = AlexNet(**HALF).train(training)
    loss = F.cross_entropy(net(torch.rand(1, 3, 224, 224)), torch.tensor([7]))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_an_image_too_small_is_refused():
    with torch.device("meta"):
        AlexNet(input_size=65)
        with pytest.raises(ValueError, match="window of 3 pixels does not fit in 2"):
            AlexNet(input_size=64)


def d2l_alexnet():
    """The form of Dive into Deep Learning, 8.1, as one plain list of layers."""
    return nn.Sequential(
        nn.Conv2d(1, 96, kernel_size=11, stride=4, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(96, 256, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(256, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Flatten(),
        nn.Linear(6400, 4096),
        nn.ReLU(),
        nn.Dropout(p=0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(p=0.5),
        nn.Linear(4096, 10),
    )


@pytest.mark.parametrize("training", [True, False])
def test_equal_to_the_d2l_form(training):
    torch.manual_seed(0)
    reference = d2l_alexnet().train(training)
    with torch.device("meta"):
        net = AlexNet()
    copy_in_order(net, reference.state_dict()).train(training)
    X = torch.rand(2, 1, 224, 224)
    assert_same_outputs(net, reference, X)


def test_equal_to_torchvision():
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    reference = models.alexnet(weights=None).eval()
    with torch.device("meta"):
        net = AlexNet(**TORCHVISION)
    copy_in_order(net, reference.state_dict()).eval()
    X = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(net(X), reference(X), rtol=0, atol=1e-5)


def test_optional_initialisation():
    torch.manual_seed(0)
    net = AlexNet(**HALF, init_weights=True)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            expected = (2 / fan_out) ** 0.5
        elif isinstance(module, nn.Linear):
            expected = 0.01
        else:
            continue
        assert module.weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(module.weight.mean().item()) < 0.05 * expected, name
        assert module.bias.eq(0).all(), name


def test_head_flattens_any_batch():
    head = dense_head(12, 5, 3)
    for n in (1, 7):
        assert head(torch.zeros(n, 3, 2, 2)).shape == (n, 3)
    drops = [m.p for m in dense_head(12, 5, 3, dropout=0.2) if isinstance(m, nn.Dropout)]
    assert drops == [0.2, 0.2]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3),
    c=st.integers(1, 9),
    h=st.integers(1, 5),
    size=st.sampled_from([1, 3, 5, 7]),
    alpha=st.floats(1e-5, 1.0),
    beta=st.floats(0.25, 2.0),
    k=st.floats(0.5, 3.0),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_response_norm_equals_torch(n, c, h, size, alpha, beta, k, dtype):
    generator = torch.Generator().manual_seed(n * 100 + c)
    X = torch.randn(n, c, h, h + 1, generator=generator, dtype=dtype, requires_grad=True)
    ours = local_response_norm(X, size, alpha, beta, k)
    theirs = F.local_response_norm(X, size, alpha * size, beta, k)
    torch.testing.assert_close(ours, theirs)
    G = torch.randn(ours.shape, generator=generator, dtype=dtype)
    grads = [torch.autograd.grad(Y, X, G)[0] for Y in (ours, theirs)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_stops_in_evaluation(p):
    torch.manual_seed(0)
    X = torch.rand(300, 1000) + 1
    Y = dropout(X, p)
    kept = Y != 0
    torch.testing.assert_close(Y[kept], X[kept] / (1 - p))
    assert kept.float().mean().item() == pytest.approx(1 - p, abs=0.01)
    assert Y.mean().item() == pytest.approx(X.mean().item(), rel=0.03)
    assert torch.equal(dropout(X, p, training=False), X)
    assert torch.equal(dropout(X, 0.0), X)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 4),
    c=st.integers(1, 3),
    h=st.integers(1, 6),
    w=st.integers(1, 6),
    pixels=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_shifted_images_are_slices_of_the_padded_ones(n, c, h, w, pixels, seed):
    torch.manual_seed(seed)
    X = torch.rand(n, c, h, w)
    Y = random_shift(X, pixels)
    assert Y.shape == X.shape
    padded = F.pad(X, (pixels,) * 4)
    steps = range(2 * pixels + 1)
    for image, shifted in zip(padded, Y, strict=True):
        assert any(
            torch.equal(shifted, image[:, i : i + h, j : j + w]) for i in steps for j in steps
        )


def test_images_move_independently_and_reach_every_place():
    torch.manual_seed(0)
    X = torch.zeros(500, 1, 5, 5)
    X[:, :, 2, 2] = 1
    places = random_shift(X, 2).flatten(1).argmax(1)
    assert len(places.unique()) == 25


def test_flips_whole_images_about_half_of_the_time():
    torch.manual_seed(0)
    X = torch.rand(1000, 2, 3, 4)
    Y = random_flip(X)
    same = (Y == X).flatten(1).all(1)
    mirrored = (X.flip(-1) == Y).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert mirrored.float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_augmented_loader_changes_images_only():
    class Loader(list):
        source = "a test"

    loader = Loader([(torch.ones(2, 1, 2, 2), torch.tensor([3, 4]))])
    changed = Augmented(loader, lambda X: 2 * X)
    assert len(changed) == 1 and changed.source == "a test"
    for _ in range(2):  # it can be walked through again
        ((X, y),) = list(changed)
        assert torch.equal(X, torch.full((2, 1, 2, 2), 2.0))
        assert torch.equal(y, torch.tensor([3, 4]))
