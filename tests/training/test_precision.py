"""What makes the trainer fast changes how a step is computed, not what it computes."""

import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import TrainingError
from course_utils.nets import build
from course_utils.training import evaluate_accuracy_gpu, precision, train_ch6
from course_utils.training.loop import TrainingStep
from course_utils.training.precision import PLAIN, Precision, as_precision, fit

FAST32, FAST16 = Precision("float32", True), Precision("bfloat16", True)


def small_net():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(72, 10))


def loader(n=40, batch_size=8, side=8):
    g = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, side, side), generator=g, dtype=torch.uint8)
    return TensorLoader(images, torch.arange(n) % 10, batch_size, shuffle=True, seed=1)


@pytest.mark.parametrize(
    ("capabilities", "auto", "short"),
    [
        ({"amx_bf16": True}, FAST16, FAST16),
        ({"avx512_bf16": True, "amx_bf16": False}, FAST16, FAST16),
        ({}, FAST32, FAST16),
    ],
)
def test_a_cpu_computes_as_the_rule_says(monkeypatch, capabilities, auto, short):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert as_precision("auto", "cpu") == auto and as_precision(True, "cpu") == short


@pytest.mark.parametrize(
    ("capability", "auto"),
    [
        ((9, 0), "bfloat16, channels-last"),
        ((8, 0), "bfloat16, channels-last"),
        ((7, 5), "float16, channels-last"),
        ((7, 0), "float16, channels-last"),
        ((6, 1), "float32"),
    ],
)
def test_a_gpu_computes_as_the_rule_says(monkeypatch, capability, auto):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert str(as_precision("auto", "cuda")) == auto


def test_arguments_mean_what_they_say():
    assert as_precision(False, "cpu") == as_precision(False, "cuda") == PLAIN
    assert as_precision(FAST32, "cpu") is FAST32
    assert str(as_precision("auto", "mps")) == "float32"
    assert [str(form) for form in (PLAIN, FAST32, FAST16)] == [
        "float32",
        "float32, channels-last",
        "bfloat16, channels-last",
    ]
    for wrong in ("yes", None, 1):
        with pytest.raises(TrainingError, match="True, False or 'auto'"):
            as_precision(wrong, "cpu")


def test_layout_is_for_images_only():
    images = torch.rand(2, 3, 4, 4)
    assert fit(images, FAST16).is_contiguous(memory_format=torch.channels_last)
    assert fit(images, PLAIN).is_contiguous()
    flat = torch.rand(2, 3)
    assert fit(flat, FAST16) is flat
    train_ch6(nn.Linear(3, 10), [(flat, torch.tensor([1, 2]))], None, 1, 0.1, "cpu", amp=True)


@pytest.mark.parametrize("amp", ["auto", True])
def test_a_step_resolves_its_numbers_once(monkeypatch, amp):
    """Whoever walks over the loop may say "auto": where that is float16, the loss is scaled."""
    scalers = []
    monkeypatch.setattr(precision, "_short_format", lambda device: "float16")
    monkeypatch.setattr(
        torch.amp, "GradScaler", lambda device, enabled: scalers.append((device, enabled))
    )
    assert TrainingStep(small_net(), None, amp=amp).amp == Precision("float16", True)
    assert TrainingStep(small_net(), None, amp=False).amp == PLAIN
    assert scalers == [("cuda", True), ("cuda", False)]


def test_auto_trains_like_the_precision_of_the_rule():
    nets, runs = [small_net(), small_net()], []
    for net, amp in zip(nets, ("auto", as_precision("auto", "cpu")), strict=True):
        runs.append(train_ch6(net, loader(), loader(), 2, 0.1, "cpu", amp=amp, seed=2))
    first, second = runs
    assert first.step_loss == second.step_loss and first.test_acc == second.test_acc
    assert first.precision == str(as_precision("auto", "cpu"))
    for x, y in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(x, y)


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
    with pytest.raises(TrainingError, match="accumulate must be a whole number"):
        train_ch6(small_net(), loader(), None, 1, 0.1, "cpu", accumulate=0)


def test_compiling_without_a_compiler_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(TrainingError, match=r"needs a C\+\+ compiler"):
        train_ch6(small_net(), loader(), None, 1, 0.1, "cpu", compile=True)


@pytest.mark.slow
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
