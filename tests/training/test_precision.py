"""What makes the trainer fast changes how a step is computed, not what it computes."""

import copy
import json

import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import TrainingError
from course_utils.nets import build
from course_utils.training import evaluate_accuracy_gpu, precision, train_ch6
from course_utils.training.precision import (
    FAST16,
    FAST32,
    PLAIN,
    Precision,
    as_precision,
    fastest,
    fit,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no fast run."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_FAST_DEV_RUN", raising=False)
    return tmp_path / "cache" / "precision.json"


def small_net():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(72, 10))


def loader(n=40, batch_size=8, side=8):
    g = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, side, side), generator=g, dtype=torch.uint8)
    return TensorLoader(images, torch.arange(n) % 10, batch_size, shuffle=True, seed=1)


def batch():
    return next(iter(loader()))


def test_arguments_mean_what_they_say():
    assert as_precision(True) == FAST16 and as_precision(False) == PLAIN
    assert as_precision(FAST32) is FAST32
    assert [str(form) for form in (PLAIN, FAST32, FAST16)] == [
        "float32",
        "float32, channels-last",
        "bfloat16, channels-last",
    ]
    for wrong in ("yes", None, 1):
        with pytest.raises(TrainingError, match="True, False or 'auto'"):
            as_precision(wrong)


def test_layout_is_for_images_only():
    images = torch.rand(2, 3, 4, 4)
    assert fit(images, FAST16).is_contiguous(memory_format=torch.channels_last)
    assert fit(images, PLAIN).is_contiguous()
    flat = torch.rand(2, 3)
    assert fit(flat, FAST16) is flat
    train_ch6(nn.Linear(3, 10), [(flat, torch.tensor([1, 2]))], None, 1, 0.1, "cpu", amp=True)


def test_the_fastest_is_measured_once_and_remembered(cache, monkeypatch):
    took = {PLAIN: 3.0, FAST32: 1.0, FAST16: 2.0}
    steps = []
    monkeypatch.setattr(
        precision, "_step", lambda net, X, y, loss, form: steps.append(form) or took[form]
    )
    net, (X, y) = small_net(), batch()
    for _ in range(2):
        assert fastest(net, X, y, nn.functional.cross_entropy) == FAST32
    assert steps == [form for form in (PLAIN, FAST32, FAST16) * 4 for _ in "ab"]
    (seconds,) = json.loads(cache.read_text()).values()
    assert seconds == {str(form): value for form, value in took.items()}
    fastest(net, X[:4], y[:4], nn.functional.cross_entropy)
    assert len(steps) == 48 and len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}'])
def test_a_spoiled_memory_is_measured_again(cache, text):
    cache.parent.mkdir()
    cache.write_text(text)
    net, (X, y) = small_net(), batch()
    assert fastest(net, X, y, nn.functional.cross_entropy) in (PLAIN, FAST32, FAST16)
    remembered = json.loads(cache.read_text())
    (key,) = [key for key in remembered if key != "x"]
    remembered[key] = {"float32": 1.0}
    cache.write_text(json.dumps(remembered))
    fastest(net, X, y, nn.functional.cross_entropy)
    assert len(json.loads(cache.read_text())[key]) == 3


def test_measuring_changes_nothing(cache):
    net, (X, y) = small_net(), batch()
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fastest(net, X, y, nn.functional.cross_entropy)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_auto_trains_like_the_precision_that_it_finds(cache):
    runs = []
    for amp in ("auto", None):
        net = small_net()
        found = amp or Precision(*_form_of(runs[0][1].precision))
        history = train_ch6(net, loader(), loader(), 2, 0.1, "cpu", amp=found, seed=2)
        runs.append((net, history))
    (a, first), (b, second) = runs
    assert first.step_loss == second.step_loss and first.test_acc == second.test_acc
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(x, y)


def _form_of(text):
    return text.startswith("bfloat16"), text.endswith("channels-last")


@pytest.mark.parametrize("form, tolerance", [(FAST32, 1e-5), (FAST16, 0.05)])
@pytest.mark.parametrize("preset", ["lenet", "mnist-cnn"])
def test_losses_are_those_of_plain_numbers(preset, form, tolerance):
    """float32 in another layout: to 1e-5. bfloat16, with its three digits: to 0.05."""
    runs = []
    for amp in (PLAIN, form):
        torch.manual_seed(0)
        net = build(preset)
        runs.append(train_ch6(net, loader(side=28), None, 2, 0.05, "cpu", amp=amp, seed=3))
    plain, fast = (torch.tensor(run.step_loss) for run in runs)
    torch.testing.assert_close(fast, plain, rtol=0, atol=tolerance)


@pytest.mark.parametrize("parts", [2, 3, 8, 20])
def test_accumulated_steps_are_those_of_the_whole_batch(parts):
    nets, runs = [], []
    for accumulate in (1, parts):
        torch.manual_seed(0)
        nets.append(build("lenet"))
        runs.append(
            train_ch6(
                nets[-1], loader(44, side=28), None, 2, 0.5, "cpu", seed=4, accumulate=accumulate
            )
        )
    assert runs[0].step_loss == pytest.approx(runs[1].step_loss, abs=1e-5)
    assert runs[0].train_acc == runs[1].train_acc and runs[0].examples == runs[1].examples
    for a, b in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_accumulation_of_several_inputs():
    class Sum(nn.Linear):
        def forward(self, X):
            return super().forward(X[0] + X[1])

    X, y = [torch.rand(5, 3), torch.rand(5, 3)], torch.arange(5)
    nets = [Sum(3, 10), Sum(3, 10)]
    nets[1].load_state_dict(nets[0].state_dict())
    runs = [
        train_ch6(net, [(X, y)], None, 3, 0.1, "cpu", init=None, accumulate=parts)
        for net, parts in zip(nets, (1, 2), strict=True)
    ]
    assert runs[0].step_loss == pytest.approx(runs[1].step_loss, abs=1e-6)


def test_evaluation_takes_larger_batches_of_the_same_data(monkeypatch):
    monkeypatch.delenv("COURSE_FAST_DEV_RUN", raising=False)
    net, data = small_net(), loader(n=700)
    sizes = []
    hook = net.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    accuracy = evaluate_accuracy_gpu(net, data)
    hook.remove()
    assert sizes == [512, 188] and data.batch_size == 8
    assert accuracy == evaluate_accuracy_gpu(net, list(data))


def test_wrong_numbers_are_named():
    with pytest.raises(TrainingError, match=r"accumulate \(0\)"):
        train_ch6(small_net(), loader(), None, 1, 0.1, "cpu", accumulate=0)


def test_compiling_without_a_compiler_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(TrainingError, match=r"needs a C\+\+ compiler"):
        train_ch6(small_net(), loader(), None, 1, 0.1, "cpu", compile=True)


def test_a_compiled_net_has_the_same_losses():
    import shutil

    if not shutil.which("c++"):
        pytest.skip("NOT RUN: there is no C++ compiler")
    runs = []
    for compiled in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        runs.append(train_ch6(net, loader(), loader(), 1, 0.1, "cpu", seed=5, compile=compiled))
        assert all("_orig_mod" not in name for name in net.state_dict())
    assert runs[1].step_loss == pytest.approx(runs[0].step_loss, abs=1e-4)
