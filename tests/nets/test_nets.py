"""The registry: every name builds, has its exact size, and its documented input and output."""

import pytest
import torch

from course_utils.errors import CourseError
from course_utils.measure import count_parameters
from course_utils.nets import PRESETS, build, names, preset


@pytest.mark.parametrize("name", names())
def test_preset_has_its_exact_size_and_shapes(name):
    row = preset(name)
    with torch.device("meta"):  # shapes and counts need no memory
        net = build(name).eval()
        assert count_parameters(net) == row.parameters
        assert net(torch.empty(2, *row.input_shape)).shape == (2, row.classes)
        net.train()
        outputs = net(torch.empty(2, *row.input_shape))
    outputs = outputs if isinstance(outputs, tuple | list) else [outputs]
    assert len(outputs) == (3 if name == "googlenet" else 1)
    assert all(output.shape == (2, row.classes) for output in outputs)


# every preset but the giants, of which test_vgg and test_alexnet take care
@pytest.mark.parametrize("name", [n for n in names() if PRESETS[n].parameters < 50_000_000])
def test_forward_and_backward_are_finite(name):
    torch.manual_seed(0)
    row, net = preset(name), build(name)
    X = torch.rand(2, *row.input_shape)
    outputs = net(X)
    outputs = outputs if isinstance(outputs, tuple | list) else [outputs]
    sum(output.logsumexp(dim=1).sum() for output in outputs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    with torch.inference_mode():
        assert net.eval()(X).isfinite().all()


def test_overrides_and_unknown_names():
    assert build("lenet", num_classes=7)(torch.zeros(1, 1, 28, 28)).shape == (1, 7)
    for config, count in {"A": 132_863_336, "B": 133_047_848, "E": 143_667_240}.items():
        with torch.device("meta"):  # counts: Simonyan and Zisserman, 2015, table 2, unrounded
            assert count_parameters(build("vgg16", config=config)) == count
    with pytest.raises(CourseError, match="unknown network 'resnet-18'; did you mean resnet18"):
        build("resnet-18")
    with pytest.raises(CourseError, match="lenet: .*unexpected keyword argument 'depth'"):
        build("lenet", depth=3)
