"""Recorded steps: all but the recording itself, with a recording that runs the function again."""

import random
import sys

import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.nets import build
from course_utils.training import captured, train_ch6
from course_utils.training.loop import TrainingStep, steps_of
from course_utils.training.recipes import OPTIMIZERS, SCHEDULERS


@pytest.fixture
def recorded(monkeypatch):
    """The functions recorded so far; replaying one runs it again, as a graph would."""
    functions = []
    monkeypatch.setattr(captured, "is_possible", lambda step, batches, device: True)
    monkeypatch.setattr(captured, "on_a_side_stream", lambda function: function())
    monkeypatch.setattr(captured, "record", lambda function: functions.append(function) or function)
    monkeypatch.delenv("COURSE_FAST_DEV_RUN", raising=False)
    return functions


def loader(n=105, batch_size=8, side=28):
    g = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, side, side), generator=g, dtype=torch.uint8)
    return TensorLoader(images, torch.arange(n) % 10, batch_size, shuffle=True, seed=1)


def small_net(*more):
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, stride=3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, *more, nn.Linear(324, 10))


@pytest.mark.parametrize("preset", ["lenet", "mnist-convnet", "batch norm and dropout"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adamw", "scheduler": "warmup-decay", "lr": 0.002},
        {"accumulate": 3},
        {"amp": True},
    ],
)
def test_losses_are_those_of_the_eager_loop(recorded, monkeypatch, preset, options):
    monkeypatch.setattr(captured, "_random_states", tuple)  # on a GPU dropout draws there
    options = {"lr": 0.1, "seed": 3} | options
    runs = []
    for eager in (True, False):
        torch.manual_seed(0)
        net = small_net(nn.Dropout(0.3)) if " " in preset else build(preset)
        with monkeypatch.context() as patch:
            if eager:
                patch.setattr(captured, "is_possible", lambda step, batches, device: False)
            runs.append((net, train_ch6(net, loader(), loader(), 3, device="cpu", **options)))
    (first, eager), (second, replayed) = runs
    assert len(recorded) == 1  # in the first of three epochs
    assert replayed.step_loss == pytest.approx(eager.step_loss, rel=1e-5)
    assert replayed.test_acc == eager.test_acc and replayed.train_acc == eager.train_acc
    assert replayed.precision == eager.precision + ", recorded steps"
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [True, "default", "reduce-overhead", "max-autotune"])
def test_steps_that_torch_records_are_not_recorded_again(recorded, monkeypatch, mode):
    monkeypatch.setattr(torch, "compile", lambda net, mode: net)
    monkeypatch.setenv("CXX", sys.executable)  # so that it is tried
    history = train_ch6(small_net(), loader(), None, 1, 0.1, "cpu", compile=mode)
    ours = mode in (True, "default")
    assert len(recorded) == ours and ("recorded steps" in history.precision) == ours


def test_a_schedule_reaches_the_recording(recorded):
    step = TrainingStep(net := small_net(), OPTIMIZERS["sgd"](net.parameters(), 0.5))
    schedule = SCHEDULERS["warmup-decay"](step.optimizer, 14)
    read = []
    for number, _ in enumerate(steps_of(step, loader(), "cpu", schedule), start=1):
        if number > captured.WARM_UP and number < 14:
            read.append(float(step.recording.rates[0]))
    wanted = [(14 - step) / 12 * 0.5 for step in range(captured.WARM_UP, 13)]
    assert read == pytest.approx(wanted)
    assert isinstance(step.optimizer.param_groups[0]["lr"], float)


def momentum_that_changes(parameters):
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.5, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    plain = schedule.step

    def step():
        plain()
        optimizer.param_groups[0]["momentum"] += 0.01

    schedule.step = step
    return optimizer, schedule


def test_settings_that_change_are_not_replayed(recorded):
    """A graph would go on with the momentum that it saw."""
    net = small_net()
    optimizer, schedule = momentum_that_changes(net.parameters())
    step = TrainingStep(net, optimizer)
    assert len(list(steps_of(step, loader(), "cpu", schedule))) == 14
    assert recorded == [] and step.recording.given_up and not step.is_recorded


def test_settings_that_change_later_end_the_replay(recorded):
    step = TrainingStep(net := small_net(), torch.optim.SGD(net.parameters(), 0.1))
    for number, _ in enumerate(steps_of(step, loader(), "cpu"), start=1):
        if number == 9:
            assert step.is_recorded  # the rate of an optimiser that is not fused is a constant
            step.optimizer.param_groups[0]["lr"] = 0.2
    assert step.recording.given_up and not step.is_recorded and len(recorded) == 1


class Random(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def forward(self, X):
        self.draw()
        return X


@pytest.mark.parametrize("draw", [random.random, lambda: torch.rand(())])
def test_random_numbers_of_the_cpu_are_not_replayed(recorded, draw):
    step = TrainingStep(net := small_net(Random(draw)), OPTIMIZERS["sgd"](net.parameters(), 0.1))
    assert len(list(steps_of(step, loader(), "cpu"))) == 14
    assert recorded == [] and not step.is_recorded


def test_what_cannot_be_recorded_runs_eagerly(recorded, monkeypatch):
    def record(function):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(captured, "record", record)
    step = TrainingStep(net := small_net(), OPTIMIZERS["adamw"](net.parameters(), 0.01))
    before = dict(step.optimizer.param_groups[0])
    assert len(list(steps_of(step, loader(), "cpu"))) == 14
    assert step.recording.given_up and not step.is_recorded
    after = step.optimizer.param_groups[0]
    assert after["lr"] == before["lr"] and after["capturable"] == before["capturable"]


def test_where_recording_is_not_tried(monkeypatch):
    step, data = TrainingStep(small_net(), None), loader()
    assert not captured.is_possible(step, data, "cpu")
    assert not captured.is_possible(step, list(data), "cuda")
    monkeypatch.setattr(TensorLoader, "device", torch.device("cuda", 0))
    assert captured.is_possible(step, data, "cuda") and captured.is_possible(step, data, None)
    assert not captured.is_possible(step, data, "cpu")
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_EAGER", "1")
        assert not captured.is_possible(step, data, "cuda")
    with monkeypatch.context() as patch:
        patch.setattr(captured, "WORTH_IT", 14)
        assert not captured.is_possible(step, data, "cuda")  # 13 whole batches
    with step.net[0].register_forward_hook(lambda *args: None):
        assert not captured.is_possible(step, data, "cuda")
    assert captured.is_possible(step, data, "cuda")
