"""The saved cells of chapter 01 against torch: outputs, gradients, sizes, bad arguments."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from course_utils.nets import convolution as ours

IMPLEMENTATIONS = [ours.conv2d_loops, ours.conv2d_im2col]
quick = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def convolutions(draw, max_images=2):
    """Arguments of a convolution whose window fits: X, W, b and the settings by name."""
    size = st.integers(1, 3)
    kernel, stride, dilation = (draw(st.tuples(size, size)) for _ in range(3))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    image = [
        draw(st.integers(max(1, span - 2 * p), max(1, span - 2 * p) + 4))
        for span, p in zip(spans, padding, strict=True)
    ]
    groups, depth, per_group = draw(size), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def random(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    X = random(draw(st.integers(1, max_images)), groups * depth, *image)
    W = random(groups * per_group, depth, *kernel)
    b = random(groups * per_group) if draw(st.booleans()) else None
    how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return X, W, b, how


def outputs_and_gradients(conv2d, X, W, b, how):
    leaves = [t.clone().requires_grad_() for t in (X, W, b) if t is not None]
    Y = conv2d(*leaves[:2], leaves[2] if b is not None else None, **how)
    weights = torch.linspace(-1, 1, Y.numel(), dtype=Y.dtype).reshape(Y.shape)
    return [Y, *torch.autograd.grad((Y * weights).sum(), leaves)]


@pytest.mark.parametrize("conv2d", IMPLEMENTATIONS, ids=lambda f: f.__name__)
@quick
@given(case=convolutions())
def test_outputs_and_gradients_equal_torch(conv2d, case):
    expected = outputs_and_gradients(F.conv2d, *case)
    actual = outputs_and_gradients(conv2d, *case)
    for mine, theirs in zip(actual, expected, strict=True):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@quick
@given(case=convolutions(max_images=7), images=st.integers(1, 3))
def test_im2col_in_parts_equals_torch(case, images):
    X, W, _, how = case
    outputs = F.conv2d(X, W, None, **how)[0, 0].numel()
    old = ours.CACHE
    ours.CACHE = images * X.element_size() * how["groups"] * W[0].numel() * outputs
    try:
        parts = ours.cache_slices(X, W, how["groups"], outputs)
        actual = outputs_and_gradients(ours.conv2d_im2col, *case)
    finally:
        ours.CACHE = old
    assert len(parts) == -(-len(X) // images)
    for mine, theirs in zip(actual, outputs_and_gradients(F.conv2d, *case), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@quick
@given(case=convolutions())
def test_im2col_and_col2im_equal_torch_unfold_and_fold(case):
    X, W, _, how = case
    window = {name: how[name] for name in ("stride", "padding", "dilation")}
    cols = ours.im2col(X, W.shape[2:], **window)
    assert torch.equal(cols, F.unfold(X, W.shape[2:], **window))
    back = ours.col2im(cols, X.shape, W.shape[2:], **window)
    theirs = F.fold(cols, X.shape[2:], W.shape[2:], **window)
    torch.testing.assert_close(back, theirs)


@pytest.mark.parametrize("frozen", ["X", "W"])
def test_im2col_with_one_argument_frozen(frozen):
    X = torch.randn(2, 2, 5, 5, requires_grad=frozen != "X")
    W = torch.randn(3, 2, 3, 3, requires_grad=frozen != "W")
    leaf = W if frozen == "X" else X
    (actual,) = torch.autograd.grad(ours.conv2d_im2col(X, W).sum(), leaf)
    (expected,) = torch.autograd.grad(F.conv2d(X, W).sum(), leaf)
    torch.testing.assert_close(actual, expected)


@quick
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_corr2d_equals_torch(H, W, k_h, k_w):
    assume(k_h <= H and k_w <= W)
    X, K = torch.randn(H, W), torch.randn(k_h, k_w)
    torch.testing.assert_close(ours.corr2d(X, K), F.conv2d(X[None, None], K[None, None])[0, 0])


def test_corr2d_keeps_fractions_of_an_integer_image():
    Y = ours.corr2d(torch.ones(3, 3, dtype=torch.int64), torch.full((3, 3), 0.5))
    assert Y.item() == 4.5


def test_corr2d_with_channels_equals_torch():
    X, K = torch.randn(3, 7, 6), torch.randn(4, 3, 3, 2)
    torch.testing.assert_close(ours.corr2d_multi_in_out(X, K), F.conv2d(X[None], K)[0])
    torch.testing.assert_close(ours.corr2d_multi_in(X, K[1]), F.conv2d(X[None], K[1:2])[0, 0])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 12),
    k=st.integers(1, 6),
    s=st.integers(1, 4),
    p=st.integers(0, 3),
    d=st.integers(1, 3),
)
def test_out_size_equals_torch(n, k, s, p, d):
    try:
        expected = F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), None, s, p, d).shape[2]
    except RuntimeError:
        with pytest.raises(ValueError, match="does not fit"):
            ours.out_size(n, k, s, p, d)
    else:
        assert ours.out_size(n, k, s, p, d) == expected


layer = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))


@quick
@given(st.lists(layer, min_size=1, max_size=4))
def test_receptive_field_is_what_the_gradient_reaches(layers):
    size, jump, start = ours.receptive_field(layers)
    # wide enough that the middle output is away from the padding of every layer
    n = 2 * size + 40 * jump
    X = torch.zeros(1, 1, n, dtype=torch.float64, requires_grad=True)
    Y = X
    for k, s, p, d in layers:
        Y = F.conv1d(Y, torch.ones(1, 1, k, dtype=torch.float64), None, s, p, d)
    i = Y.shape[2] // 2
    Y[0, 0, i].backward()
    reached = X.grad[0, 0].nonzero().flatten()
    first = start + i * jump
    assert [reached[0].item(), reached[-1].item()] == [first, first + size - 1]


def test_receptive_field_without_layers_is_one_pixel_and_defaults_are_those_of_conv2d():
    assert ours.receptive_field([]) == (1, 1, 0)
    conv = nn.Conv2d(1, 1, 3)
    full = (conv.kernel_size[0], conv.stride[0], conv.padding[0], conv.dilation[0])
    assert ours.receptive_field([(3,)]) == ours.receptive_field([full])


BAD_CONVOLUTIONS = [
    ({}, (3, 3), (1, 1, 2, 2), None, "4-D"),
    ({}, (1, 2, 5, 5), (4, 3, 3, 3), None, "X has 2 channels"),
    ({"groups": 2}, (1, 4, 5, 5), (3, 2, 3, 3), None, "3 filters cannot be split into 2"),
    ({"groups": 0}, (1, 4, 5, 5), (3, 2, 3, 3), None, "into 0 groups"),
    ({"groups": 2}, (1, 4, 5, 5), (4, 4, 3, 3), None, "2 groups of 4"),
    ({}, (1, 1, 5, 5), (4, 1, 3, 3), (3,), "bias of shape"),
    ({}, (1, 1, 3, 3), (1, 1, 4, 4), None, "window of 4 pixels does not fit in 3 "),
    ({"padding": 1}, (1, 1, 3, 3), (1, 1, 6, 3), None, "does not fit in 3 [+] 2[*]1"),
    ({"dilation": 2}, (1, 1, 4, 4), (1, 1, 3, 3), None, "window of 5 pixels"),
    ({"stride": 0}, (1, 1, 4, 4), (1, 1, 3, 3), None, "at least 1"),
    ({"padding": -1}, (1, 1, 4, 4), (1, 1, 2, 2), None, "at least 0"),
    *[
        (how, (1, 1, 4, 4), (1, 1, 2, 2), None, "whole number or a pair of them, got")
        for how in (
            {"stride": (1, 2, 3)},
            {"stride": 1.5},
            {"stride": (1, 1.5)},
            {"padding": "same"},
            {"padding": "ab"},
            {"dilation": None},
        )
    ],
]


@pytest.mark.parametrize("conv2d", IMPLEMENTATIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("how", "x", "w", "b", "message"), BAD_CONVOLUTIONS)
def test_bad_convolutions_are_refused_in_plain_words(conv2d, how, x, w, b, message):
    bias = None if b is None else torch.zeros(b)
    with pytest.raises(ValueError, match=message) as caught:
        conv2d(torch.zeros(x), torch.zeros(w), bias, **how)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ours.corr2d(torch.ones(2, 2), torch.ones(3, 1)),
            "3x1 kernel does not fit in a 2x",
        ),
        (lambda: ours.corr2d(torch.ones(2), torch.ones(1)), "2-D X and K, not 1-D"),
        (lambda: ours.corr2d_multi_in(torch.ones(2, 3, 3), torch.ones(3, 2, 2)), "X has 2 chan"),
        (lambda: ours.im2col(torch.ones(1, 1, 3, 3), 4), "does not fit"),
        (lambda: ours.im2col(torch.ones(3, 3), 2), "4-D"),
        (lambda: ours.out_size(0, 1), "at least 1"),
        (lambda: ours.receptive_field([(3, 0)]), "at least 1"),
        (lambda: ours.receptive_field([()]), r"a layer is \(k, s, p, d\)"),
        (lambda: ours.receptive_field([(3, 1, 0, 1, 1)]), r"a layer is \(k, s, p, d\)"),
    ],
)
def test_other_bad_arguments_are_refused_in_plain_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
