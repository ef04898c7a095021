"""The saved functions of chapter 02 against PyTorch's pooling: values, gradients, bad arguments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from course_utils.nets.pooling import (
    adaptive_avg_pool2d,
    adaptive_windows,
    pool2d,
    pool2d_windows,
    pooled_size,
    slide,
)

NINE = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
SIXTEEN = torch.arange(16, dtype=torch.float32).reshape(1, 1, 4, 4)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def poolings(draw):
    """Images with distinct entries, and arguments that PyTorch accepts for them."""
    window, stride = draw(pairs), draw(st.none() | pairs)
    padding = tuple(draw(st.integers(0, k // 2)) for k in window)
    size = tuple(
        draw(st.integers(max(1, k - 2 * p), 9)) for k, p in zip(window, padding, strict=True)
    )
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size)
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    count = torch.Size(shape).numel()
    X = (torch.randperm(count, generator=generator) - count / 2).reshape(shape).to(dtype) / 8
    return X.requires_grad_(), window, stride, padding, draw(st.booleans())


def assert_same(X, ours, theirs):
    """Equal values, type, and gradient of a sum with unequal weights."""
    torch.testing.assert_close(ours, theirs)
    weights = torch.linspace(-1, 2, theirs.numel(), dtype=X.dtype).reshape(theirs.shape)
    torch.testing.assert_close(
        torch.autograd.grad(ours, X, weights), torch.autograd.grad(theirs, X, weights)
    )


@settings(max_examples=100, deadline=None)
@given(poolings())
def test_max_is_pytorchs(pooling):
    X, window, stride, padding, ceil_mode = pooling
    ours = pool2d_windows(X, window, stride, padding, ceil_mode=ceil_mode)
    assert_same(X, ours, F.max_pool2d(X, window, stride, padding, ceil_mode=ceil_mode))


@settings(max_examples=100, deadline=None)
@given(poolings(), st.booleans())
def test_avg_is_pytorchs(pooling, count_include_pad):
    X, window, stride, padding, ceil_mode = pooling
    ours = pool2d_windows(X, window, stride, padding, "avg", ceil_mode, count_include_pad)
    theirs = F.avg_pool2d(X, window, stride, padding, ceil_mode, count_include_pad)
    assert_same(X, ours, theirs)


@settings(max_examples=40, deadline=None)
@given(poolings())
def test_ties_go_to_the_first_maximum_as_in_pytorch(pooling):
    X, window, stride, padding, ceil_mode = pooling
    X = X.detach().round().clamp(-1, 1).requires_grad_()
    ours = pool2d_windows(X, window, stride, padding, ceil_mode=ceil_mode)
    assert_same(X, ours, F.max_pool2d(X, window, stride, padding, ceil_mode=ceil_mode))


@settings(max_examples=40, deadline=None)
@given(pairs, st.sampled_from(["max", "avg"]), st.integers(4, 8), st.integers(4, 8))
def test_loops_and_views_agree(window, mode, height, width):
    X = torch.randn(height, width, dtype=torch.float64)
    views = pool2d_windows(X, window, stride=1, mode=mode)
    torch.testing.assert_close(pool2d(X, window, mode), views)


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 30),
    k=st.integers(1, 6),
    s=st.integers(1, 7),
    p=st.integers(0, 4),
    d=st.integers(1, 3),
    ceil_mode=st.booleans(),
)
def test_size_is_pytorchs_or_both_refuse(n, k, s, p, d, ceil_mode):
    try:
        expected = F.max_pool1d(torch.zeros(1, 1, n), k, s, p, d, ceil_mode).shape[-1]
    except RuntimeError:
        with pytest.raises(ValueError, match="window"):
            pooled_size(n, k, s, p, ceil_mode, d)
    else:
        assert pooled_size(n, k, s, p, ceil_mode, d) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(pairs, st.integers(1, 4), st.tuples(st.none(), st.integers(1, 4))),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_adaptive_is_pytorchs(output_size, height, width):
    X = torch.randn(2, 3, height, width, dtype=torch.float64)
    torch.testing.assert_close(
        adaptive_avg_pool2d(X, output_size), F.adaptive_avg_pool2d(X, output_size)
    )


@pytest.mark.parametrize("size", [0, -1, 2.0, "2", (1, 2, 3), (2,), (0, None)])
def test_an_adaptive_size_that_is_none(size):
    with pytest.raises(ValueError, match="output_size must be a whole number of at least 1"):
        adaptive_avg_pool2d(NINE, size)


def test_adaptive_windows_overlap_when_the_size_does_not_divide():
    assert adaptive_windows(6, 3) == [(0, 2), (2, 4), (4, 6)]
    assert adaptive_windows(7, 3) == [(0, 3), (2, 5), (4, 7)]


@pytest.mark.parametrize(
    ("mode", "expected"), [("max", [[4, 5], [7, 8]]), ("avg", [[2, 3], [5, 6]])]
)
def test_documented_loops(mode, expected):
    assert pool2d(NINE, (2, 2), mode).tolist() == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"window": 3}, [[10]]),  # the stride is the window
        ({"window": 3, "padding": 1, "stride": 2}, [[5, 7], [13, 15]]),
        (
            {"window": (2, 3), "stride": (2, 3), "padding": (1, 1)},
            [[1, 3], [9, 11], [13, 15]],
        ),
    ],
)
def test_documented_settings(arguments, expected):
    assert pool2d_windows(SIXTEEN, **arguments)[0, 0].tolist() == expected


def test_channels_pool_independently():
    two = torch.cat([SIXTEEN, SIXTEEN + 1], dim=1)
    Y = pool2d_windows(two, 3, padding=1, stride=2)
    assert Y[0].tolist() == [[[5, 7], [13, 15]], [[6, 8], [14, 16]]]


def test_padding_never_wins_a_maximum():
    negative = torch.full((1, 1, 4, 4), -5.0)
    assert pool2d_windows(negative, 3, stride=2, padding=1).eq(-5).all()
    assert pool2d_windows(negative.long(), 3, stride=2, padding=1).eq(-5).all()


@pytest.mark.parametrize("mode", ["max", "avg"])
def test_nan_is_not_hidden(mode):
    X = torch.ones(1, 1, 4, 4)
    X[..., 0, 0] = torch.nan
    assert pool2d_windows(X, 2, mode=mode)[0, 0].isnan().tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (0, 3, 5, 6), (2, 2, 3, 5, 6)])
def test_any_leading_axes(mode, shape):
    assert pool2d_windows(torch.rand(shape), 2, mode=mode).shape == (*shape[:-2], 2, 3)


@pytest.mark.parametrize("mode", ["max", "avg"])
def test_layout_of_the_input_does_not_matter(mode):
    X = torch.randn(2, 3, 6, 8)
    expected = pool2d_windows(X, 3, 2, 1, mode)
    for same in (X.contiguous(memory_format=torch.channels_last), X.mT.contiguous().mT):
        torch.testing.assert_close(pool2d_windows(same, 3, 2, 1, mode), expected)


def test_gradient_of_the_gradient():
    X = torch.randperm(2 * 36, dtype=torch.float64).reshape(1, 2, 6, 6).requires_grad_()
    for mode in ("max", "avg"):
        pool = lambda X, mode=mode: pool2d_windows(X, 3, 2, 1, mode)  # noqa: E731
        assert torch.autograd.gradgradcheck(pool, X)


def test_slide_copies_nothing():
    X = torch.arange(30.0).reshape(5, 6)
    views = slide(X, -1, 3, 2)
    assert [view[0].tolist() for view in views] == [[0, 2], [1, 3], [2, 4]]
    assert all(v.untyped_storage().data_ptr() == X.untyped_storage().data_ptr() for v in views)


@pytest.mark.parametrize("pool", [pool2d, pool2d_windows])
def test_unknown_mode_names_the_allowed_ones(pool):
    with pytest.raises(ValueError, match='"max" or "avg", got \'median\''):
        pool(NINE, (2, 2), mode="median")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "window must be a whole number of at least 1.*got 0"),
        ({"window": 2.0}, "window must be a whole number"),
        ({"window": (2, 2, 2)}, "window must be a whole number .*or two of them"),
        ({"window": 2, "stride": 0}, "stride must be a whole number of at least 1.*got 0"),
        ({"window": 2, "padding": -1}, "padding must be a whole number of at least 0.*got -1"),
        ({"window": 3, "padding": 2}, "padding 2 is more than half of the window"),
        ({"window": 5}, "window of 5 pixels does not fit into 4"),
        ({"window": 2, "dilation": 2}, "dilation must be 1 here .*got 2"),
    ],
)
def test_bad_arguments_are_explained(arguments, message):
    for mode in ("max", "avg"):
        with pytest.raises(ValueError, match=message):
            pool2d_windows(SIXTEEN, mode=mode, **arguments)


def test_whole_numbers_are_not_averaged_and_a_row_is_no_image():
    with pytest.raises(ValueError, match="floats for an average; got torch.int64"):
        pool2d_windows(SIXTEEN.long(), 2, mode="avg")
    with pytest.raises(ValueError, match="X must be images"):
        pool2d_windows(torch.rand(4), 2)
