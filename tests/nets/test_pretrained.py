"""torchvision's weights in hand-built networks: the same outputs, or a refusal that names why."""

import copy
import hashlib
import io
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from course_utils.errors import CourseError, WeightsError
from course_utils.nets.alexnet import AlexNet
from course_utils.nets.googlenet import googlenet
from course_utils.nets.pretrained import fetch_torchvision_weights, load_torchvision_weights
from course_utils.nets.resnet import resnet18, resnet34, resnet50
from course_utils.nets.vgg import VGG


def hollow(make):
    """A network whose weights are not numbers yet, so that one that is not loaded shows."""
    with torch.device("meta"):
        net = make()
    net.to_empty(device="cpu")
    with torch.no_grad():
        for value in net.state_dict().values():
            value.fill_(float("nan") if value.is_floating_point() else 7)
    return net


def randomize_running(net):
    """Running statistics that are not 0 and 1, so that swapping them would show."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.2)
            nn.init.uniform_(module.bias, -0.2, 0.2)


def alexnet():
    return AlexNet(3, 1000, widths=(64, 192, 384, 256, 256), padding=2)


PAIRS = {
    "resnet18": (resnet18, 96),
    "resnet34": (resnet34, 96),
    "resnet50": (resnet50, 96),
    "alexnet": (alexnet, 224),
    "vgg11": (lambda: VGG("A", 3, 1000), 224),
    "vgg13": (lambda: VGG("B", 3, 1000), 224),
    "vgg16": (lambda: VGG("D", 3, 1000), 224),
    "vgg19": (lambda: VGG("E", 3, 1000), 224),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_outputs_are_torchvisions(name):
    from torchvision import models

    make, side = PAIRS[name]
    torch.manual_seed(0)
    theirs = models.get_model(name, init_weights=False) if "vgg" in name else models.get_model(name)
    theirs = theirs.eval()
    randomize_running(theirs)
    net = hollow(make)
    assert load_torchvision_weights(net, theirs.state_dict()) is net
    X = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        torch.testing.assert_close(net.eval()(X), theirs(X), rtol=1e-5, atol=1e-5)
    if name == "resnet18":
        assert int(net.norm1.num_batches_tracked) == 0  # copied too


def test_old_files_without_counters_load_as_well():
    net, other = resnet18(1, 10), resnet18(1, 10)
    randomize_running(other)
    state = {k: v for k, v in other.state_dict().items() if "num_batches" not in k}
    load_torchvision_weights(net, state)
    X = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(net.eval()(X), other.eval()(X), rtol=0, atol=0)


@pytest.fixture
def refused():
    """Asserts that loading is refused, that nothing changed, and returns the message."""

    def check(net, state):
        before = copy.deepcopy(net.state_dict())
        with pytest.raises(WeightsError) as caught:
            load_torchvision_weights(net, state)
        assert isinstance(caught.value, CourseError)
        after = net.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        return str(caught.value)

    return check


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def test_a_wrong_shape_is_refused_with_both_names_and_shapes(refused):
    state = {f"their.{k}": v + 1 for k, v in small().state_dict().items()}
    last = "their.2.weight"
    state[last] = torch.zeros(2, 5)
    message = refused(small(), state)
    for part in ("2.weight (2, 4)", f"{last} (2, 5)", "Nothing was changed"):
        assert part in message


def test_the_same_shape_of_another_kind_is_refused(refused):
    state = dict(small().state_dict())
    names = list(state)
    assert state["1.weight"].shape == state["1.bias"].shape
    i, j = names.index("1.weight"), names.index("1.bias")
    names[i], names[j] = names[j], names[i]
    message = refused(small(), {name: state[name] + 1.0 for name in names})
    assert "1.weight (4,)" in message and "1.bias (4,)" in message


@pytest.mark.parametrize("drop", ["last", "extra"])
def test_a_different_number_of_entries_is_refused(refused, drop):
    state = {name: value + 1 for name, value in small().state_dict().items()}
    if drop == "last":
        state.pop("2.bias")
    else:
        state["3.weight"] = torch.zeros(5, 6)
    message = refused(small(), state)
    assert ("2.bias (2,) of the net" if drop == "last" else "3.weight (5, 6)") in message


@pytest.mark.parametrize("wrong", [{}, 5, None, small(), {"weight": [1, 2]}])
def test_what_is_no_state_dict_is_refused(refused, wrong):
    refused(small(), wrong)


def test_another_depth_is_refused(refused):
    message = refused(resnet18(1, 10), resnet34(1, 10).state_dict())
    assert "stage2.0.conv1.weight" in message and "stage1.2.conv1.weight" in message


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_googlenet_is_refused_by_name(name):
    with torch.device("meta"):
        net = googlenet()
    with pytest.raises(WeightsError, match=f"torchvision's {name} is not the paper's"):
        load_torchvision_weights(net, name)


def test_an_unknown_name_is_refused():
    with pytest.raises(WeightsError, match="no classification weights named 'resnet17'"):
        fetch_torchvision_weights("resnet17")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def test_offline_says_what_to_do(empty_cache):
    with pytest.raises(WeightsError, match=r"offline.*resnet18-\w+\.pth.*torch\.hub\.get_dir"):
        fetch_torchvision_weights("resnet18")


def publish(monkeypatch, content, name="resnet18", base="https://127.0.0.1:9/"):
    """Make `content` the published weights of `name`; returns the file's name."""
    from torchvision import models

    file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    weights = SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=base + file))
    monkeypatch.setattr(models, "get_model_weights", lambda asked: weights)
    return file


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def test_no_network_is_given_up_and_leaves_nothing_behind(empty_cache, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_OFFLINE")
    publish(monkeypatch, b"")
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*refused.*torch\.hub"):
        fetch_torchvision_weights("resnet18")
    assert not list(empty_cache.iterdir())
    assert capsys.readouterr().out == ""


def test_a_cached_file_is_used_without_a_network(empty_cache, monkeypatch):
    theirs = resnet18()
    content = saved(theirs.state_dict())
    (empty_cache / publish(monkeypatch, content)).write_bytes(content)
    net = load_torchvision_weights(resnet18(), "resnet18")
    for ours, other in zip(net.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(ours, other)


def test_one_wrong_byte_in_a_cached_file_is_noticed(empty_cache, monkeypatch):
    content = bytearray(saved({"weight": torch.zeros(1000)}))
    path = empty_cache / publish(monkeypatch, content)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"{path.name} is damaged .*delete it"):
        fetch_torchvision_weights("resnet18")


class Harmful:
    """Pickles into a call; unpickling it would run code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


@pytest.mark.parametrize("content", [b"not weights", saved({"weight": Harmful()})])
def test_a_harmful_file_is_refused_though_its_checksum_is_right(empty_cache, monkeypatch, content):
    (empty_cache / publish(monkeypatch, content)).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read: delete it"):
        fetch_torchvision_weights("resnet18")
