"""torchvision's weights in hand-built networks: the same outputs, or a refusal that names why."""

import copy

import pytest
import torch
from smalldata import publish_weights, saved
from torch import nn

from course_utils.errors import WeightsError
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


def small():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def state():
    """The state of another small net, all its numbers changed."""
    return {f"their.{name}": value + 1 for name, value in small().state_dict().items()}


def swapped():
    """Weight and bias of batch normalisation have one shape, but are not the same."""
    names = list(state())
    i, j = names.index("their.1.weight"), names.index("their.1.bias")
    names[i], names[j] = names[j], names[i]
    return {name: state()[name] for name in names}


REFUSED = {
    "shape": (
        lambda: state() | {"their.2.weight": torch.zeros(2, 5)},
        r"2\.weight \(2, 4\) of the net meets their\.2\.weight \(2, 5\).*Nothing was changed",
    ),
    "kind": (swapped, r"1\.weight \(4,\).*1\.bias \(4,\)"),
    "too few": (lambda: dict(list(state().items())[:-1]), r"2\.bias \(2,\) of the net"),
    "too many": (
        lambda: state() | {"3.weight": torch.zeros(5, 6)},
        r"3\.weight \(5, 6\) of the state dict",
    ),
    **{
        f"no state {number}": (lambda wrong=wrong: wrong, "do not fit|expected a torchvision")
        for number, wrong in enumerate(
            [
                *({}, 5, None, small(), {"weight": [1, 2]}, {"state_dict": state()}),
                dict(enumerate(state().values())),
                {"\x1b[31m": torch.zeros(2)},
                *(
                    state() | {"their.2.bias": odd(torch.zeros(2))}
                    for odd in (
                        torch.Tensor.to_sparse,
                        lambda value: value.to("meta"),
                        lambda value: value.to(torch.complex64),
                        lambda value: torch.quantize_per_tensor(value, 1, 0, torch.qint8),
                    )
                ),
            ]
        )
    },
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_and_changes_nothing(kind):
    make, said = REFUSED[kind]
    net = small()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(WeightsError, match=said):
        load_torchvision_weights(net, make())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_another_depth_is_refused():
    with pytest.raises(WeightsError, match=r"stage2\.0\.conv1\.weight.*stage1\.2\.conv1\.weight"):
        load_torchvision_weights(resnet18(1, 10), resnet34(1, 10).state_dict())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_googlenet_is_refused_by_name(name):
    with torch.device("meta"):
        net = googlenet()
    with pytest.raises(WeightsError, match=f"torchvision's {name} is not the paper's"):
        load_torchvision_weights(net, name)


def test_an_unknown_name_is_refused():
    with pytest.raises(WeightsError, match="no classification weights named 'resnet17'"):
        fetch_torchvision_weights("resnet17")


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    path = publish_weights(monkeypatch, tmp_path, b"")
    with pytest.raises(WeightsError, match=rf"offline.*{path.name}.*torch\.hub\.get_dir"):
        fetch_torchvision_weights("net")


def test_no_network_is_given_up_and_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_OFFLINE")
    path = publish_weights(monkeypatch, tmp_path, b"")
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*refused.*torch\.hub"):
        fetch_torchvision_weights("net")
    assert not list(path.parent.iterdir())
    assert capsys.readouterr().out == ""


def test_a_cached_file_is_used_without_a_network(tmp_path, monkeypatch):
    theirs = resnet18()
    content = saved(theirs.state_dict())
    publish_weights(monkeypatch, tmp_path, content).write_bytes(content)
    net = load_torchvision_weights(resnet18(), "net")
    for ours, other in zip(net.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(ours, other)


def test_one_wrong_byte_in_a_cached_file_is_noticed(tmp_path, monkeypatch):
    content = bytearray(saved({"weight": torch.zeros(1000)}))
    path = publish_weights(monkeypatch, tmp_path, content)
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"{path.name} is damaged .*delete it"):
        fetch_torchvision_weights("net")


class Harmful:
    """Pickles into a call; unpickling it would run code."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('code of the file ran')",))


@pytest.mark.parametrize("content", [5, {}, {"net": state()}, dict(enumerate(state().values()))])
def test_a_file_that_is_right_by_its_checksum_and_wrong_inside(tmp_path, monkeypatch, content):
    content = saved(content)
    publish_weights(monkeypatch, tmp_path, content).write_bytes(content)
    with pytest.raises(WeightsError, match="do not fit|expected a torchvision"):
        load_torchvision_weights(small(), "net")


@pytest.mark.parametrize("content", [b"not weights", saved({"weight": Harmful()})])
def test_a_harmful_file_is_refused_though_its_checksum_is_right(tmp_path, monkeypatch, content):
    publish_weights(monkeypatch, tmp_path, content).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read: delete it"):
        fetch_torchvision_weights("net")
