"""The trainer: equal to the plain loop and to d2l's, honest when interrupted, clear when wrong."""

import copy
import math

import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import ExpectationError, TrainingError
from course_utils.results import expect
from course_utils.training import History, evaluate_accuracy_gpu, train_ch6, training_steps
from course_utils.training.history import Tally


def small_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 169, 10)
    )


def batches(count=6, n=32, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [
        (torch.rand(n, 1, 28, 28, generator=g), torch.randint(10, (n,), generator=g))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def d2l():
    """d2l 0.17.0 under today's IPython, which no longer has one function that it imports."""
    import IPython.display
    import matplotlib
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    matplotlib.use("Agg")
    IPython.display.set_matplotlib_formats = set_matplotlib_formats
    from d2l import torch as d2l

    return d2l


@pytest.mark.xdist_group("d2l")
def test_losses_are_those_of_d2l(d2l, capsys, monkeypatch):
    """Same initial weights, same batches: per epoch the same loss and accuracies."""
    data, test = batches(7), batches(3, seed=1)
    drawn = []  # what d2l's trainer reports goes into its plot
    monkeypatch.setattr(d2l.Animator, "add", lambda self, x, y: drawn.append((x, y)))
    theirs = small_net()
    ours = copy.deepcopy(theirs)  # the biases, which neither trainer draws anew
    torch.manual_seed(0)
    d2l.train_ch6(theirs, data, test, num_epochs=3, lr=0.9, device=torch.device("cpu"))
    history = train_ch6(ours, data, test, 3, 0.9, "cpu", seed=0)
    loss, train_acc = zip(
        *[y[:2] for x, y in drawn if y[0] is not None and x == int(x)], strict=True
    )
    test_acc = [y[2] for _, y in drawn if y[2] is not None]
    assert history.loss == pytest.approx(list(loss), abs=1e-6)
    assert history.train_acc == pytest.approx(list(train_acc), abs=1e-6)
    assert history.test_acc == pytest.approx(test_acc, abs=1e-6)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    first, last = capsys.readouterr().out.strip().rsplit("\n", 2)[-2:]
    assert first.startswith(f"loss {history.loss[-1]:.3f}, train acc {history.train_acc[-1]:.3f}")
    assert last.endswith("examples/sec on cpu")


@pytest.mark.xdist_group("d2l")
def test_accuracy_is_that_of_d2l(d2l):
    net, data = small_net(), batches(3)
    assert evaluate_accuracy_gpu(net, data) == d2l.evaluate_accuracy_gpu(net, data)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_batches_work(count):
    """d2l's trainer divides by num_batches // 5 and dies below five batches."""
    history = train_ch6(small_net(), batches(count), batches(1), 2, 0.1, "cpu", verbose=False)
    assert len(history.step_loss) == 2 * count and len(history.test_acc) == 2


def test_history_of_loss_is_the_mean_over_examples():
    data = batches(2) + batches(1, n=5)
    history = train_ch6(small_net(), data, None, 1, 0.1, "cpu", verbose=False)
    weights = torch.tensor([32.0, 32.0, 5.0])
    mean = (torch.tensor(history.step_loss) * weights).sum() / weights.sum()
    assert history.loss[0] == pytest.approx(mean.item(), abs=1e-6)
    assert history.examples == [69] and history.test_acc == []


def test_seed_makes_a_run_repeatable_and_init_none_keeps_weights():
    net = small_net()
    nets = [copy.deepcopy(net) for _ in range(3)]
    runs = [
        train_ch6(net, batches(), None, 1, 0.1, "cpu", seed=seed)
        for net, seed in zip(nets, (1, 1, 2), strict=True)
    ]
    assert runs[0].step_loss == runs[1].step_loss != runs[2].step_loss
    nn.init.constant_(net[4].weight, 0)
    X, y = batches(1)[0]
    history = train_ch6(net, [(X, y)], None, 1, 1e-9, "cpu", init=None, verbose=False)
    with torch.no_grad():
        net[4].weight.zero_()
        assert history.loss[0] == pytest.approx(nn.functional.cross_entropy(net(X), y).item())


def test_modes_are_left_as_they_were():
    net = nn.Sequential(small_net(), nn.Dropout(0.5), nn.BatchNorm1d(10))
    net[2].eval()
    net[1].train()
    train_ch6(net, batches(2), batches(1), 1, 0.1, "cpu", verbose=False)
    assert net.training and net[1].training and not net[2].training
    net.eval()
    evaluate_accuracy_gpu(net, batches(1))
    assert not any(module.training for module in net.modules())


def test_a_net_with_several_inputs_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 10), nn.Linear(3, 10)

        def forward(self, X):
            main = self.a(X[0]) + self.b(X[1])
            return (main, self.a(X[0])) if self.training else main

    def loss(outputs, y):
        return sum(nn.functional.cross_entropy(output, y) for output in outputs)

    data = [([torch.rand(8, 3), torch.rand(8, 3)], torch.randint(10, (8,))) for _ in range(2)]
    history = train_ch6(Two(), data, data, 2, 0.5, "cpu", loss=loss, verbose=False)
    assert history.loss[1] < history.loss[0] and 0 <= history.test_acc[1] <= 1


def test_schedule_rises_and_falls_to_nothing():
    rates = []
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    from course_utils.training import SCHEDULERS

    schedule = SCHEDULERS["warmup-decay"](optimizer, 20)
    for _ in training_steps(net, batches(20, n=2), optimizer, scheduler=schedule):
        rates.append(schedule.get_last_lr()[0])
    assert max(rates) == 1.0 and rates.index(1.0) in (1, 2)
    assert rates[3:] == sorted(rates[3:], reverse=True) and rates[-1] == 0


def test_amp_trains_in_bfloat16_as_well():
    data = batches(20)
    net = small_net()
    fast = copy.deepcopy(net)
    plain = train_ch6(net, data, data, 3, 0.1, "cpu", seed=0, verbose=False)
    fast = train_ch6(fast, data, data, 3, 0.1, "cpu", seed=0, amp=True, verbose=False)
    assert fast.loss == pytest.approx(plain.loss, rel=0.02) and fast.loss != plain.loss


def test_loss_that_is_not_finite_names_step_and_rate():
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    data = batches(4)
    data[2][0][0] = math.nan
    with pytest.raises(TrainingError, match=r"loss became nan at step 3 \(lr 0.1\)"):
        train_ch6(net, data, None, 1, 0.1, "cpu", verbose=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_epochs": 0}, "num_epochs"),
        ({"lr": 0}, "lr"),
        ({"train_iter": []}, "zero batches"),
        ({"test_iter": []}, "test_iter has zero batches"),
        ({"optimizer": "adam"}, "unknown optimizer 'adam'; use one of sgd, adamw"),
        ({"init": "he"}, "unknown init 'he'"),
        ({"scheduler": "cosine"}, "unknown scheduler 'cosine'"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"train_iter": batches(1), "test_iter": batches(1), "num_epochs": 1, "lr": 0.1}
    with pytest.raises(TrainingError, match=message):
        train_ch6(small_net(), **{**arguments, **change}, device="cpu", verbose=False)


def test_interrupt_keeps_what_was_recorded(capsys):
    class Stopped(list):
        def __iter__(self):
            self.passes = getattr(self, "passes", 0) + 1
            for i, batch in enumerate(super().__iter__()):
                if self.passes == 2 and i == 2:
                    raise KeyboardInterrupt
                yield batch

    history = train_ch6(small_net(), Stopped(batches(4)), batches(1), 3, 0.1, "cpu")
    assert history.interrupted
    assert len(history.loss) == len(history.test_acc) == 1
    assert len(history.step_loss) == 4 + 2
    assert "stopped by hand after 1 of 3 epochs" in capsys.readouterr().out


def test_an_interrupt_of_an_evaluation_counts_no_step_twice(capsys):
    class Stopped(list):
        def __iter__(self):
            if len(self) == 2:
                raise KeyboardInterrupt
            self.append(self[0])
            return super().__iter__()

    history = train_ch6(small_net(), batches(4), Stopped(batches(1)), 3, 0.1, "cpu")
    assert history.interrupted and len(history.step_loss) == 8
    assert (len(history.loss), len(history.test_acc)) == (2, 1)
    told = capsys.readouterr().out  # the test accuracy is of another epoch
    assert f"train acc {history.train_acc[1]:.3f}\n" in told


def test_fast_run_trains_three_batches(monkeypatch):
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    images = torch.randint(256, (100, 28, 28), dtype=torch.uint8)
    loader = TensorLoader(images, torch.zeros(100), 10)
    history = train_ch6(small_net(), loader, loader, 5, 0.1, "cpu", verbose=False)
    assert len(history.step_loss) == 3


def test_history_on_disk(tmp_path):
    history = train_ch6(small_net(), batches(2), batches(1), 2, 0.1, "cpu", verbose=False)
    history.save(tmp_path / "run.json")
    assert History.load(tmp_path / "run.json") == history
    assert list(tmp_path.iterdir()) == [tmp_path / "run.json"]
    assert list(history.to_frame()["test_acc"]) == history.test_acc
    (tmp_path / "run.json").write_text('{"loss": [1]')
    with pytest.raises(TrainingError, match="no saved History"):
        History.load(tmp_path / "run.json")


def test_history_plots():
    import matplotlib

    matplotlib.use("Agg")
    history = train_ch6(small_net(), batches(2), batches(1), 2, 0.1, "cpu", verbose=False)
    figure = history.plot()
    assert [len(ax.lines) for ax in figure.axes] == [1, 2]


def test_expect_judges(capsys, monkeypatch):
    expect("accuracy", 0.9, low=0.8, high=1)
    assert "✅ accuracy 0.900 (expected at least 0.8 and at most 1)" in capsys.readouterr().out
    for value, bounds in ((0.7, {"low": 0.8}), (0.1, {"high": 0}), (math.nan, {"low": 0})):
        with pytest.raises(ExpectationError, match="accuracy is"):
            expect("accuracy", value, **bounds)
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    expect("accuracy", 0.1, low=0.8)
    assert "not checked in a fast run" in capsys.readouterr().out


def test_curves_show_the_latest_steps_not_the_mean_since_the_epoch_began():
    seen = Tally()
    for loss in (4.0, 2.0, 1.0):
        seen.add((torch.tensor(loss), torch.tensor(1), 2))
    assert seen.means() == (pytest.approx(7 / 3), 0.5)
    assert seen.means(1) == (1.0, 0.5)
    assert seen.means(2) == (1.5, 0.5)
