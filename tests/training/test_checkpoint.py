"""Checkpoints: a resumed run is the uninterrupted one; a foreign file is refused by name."""

import functools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import TrainingError
from course_utils.training import Runner, train_ch6
from course_utils.training.checkpoint import read_tensors, write_tensors


class Stop(BaseException):
    """As sudden as a kill: nothing in between may catch it."""


class Dying(nn.Module):
    """Dies in training step number `at`, before it changed anything."""

    def __init__(self, at):
        super().__init__()
        self.at, self.steps = at, 0

    def forward(self, X):
        self.steps += self.training
        if self.steps == self.at:
            raise Stop
        return X


def net(at=0):
    torch.manual_seed(3)
    return nn.Sequential(
        Dying(at),
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(144, 10),
    )


def loaders(n=50, batch_size=8, tested=20, data=0, **options):
    g = torch.Generator().manual_seed(data)
    images = torch.randint(256, (n, 8, 8), generator=g, dtype=torch.uint8)
    labels = torch.randint(10, (n,), generator=g)
    train = TensorLoader(images, labels, batch_size, shuffle=True, seed=5, **options)
    return train, TensorLoader(images[:tested], labels[:tested], 10)


def train(path, at=0, epochs=3, **options):
    train_iter, test_iter = options.pop("data", None) or loaders()
    model = net(at)
    options = {"optimizer": "adamw", "scheduler": "warmup-decay", "checkpoint_every": 2} | options
    lr = options.pop("lr", 0.01)
    history = train_ch6(
        model, train_iter, test_iter, epochs, lr, "cpu", checkpoint=path, seed=1, **options
    )
    return model, history


def halved(optimizer, steps, after):
    """A scheduler that keeps numbers of NumPy."""
    factors = np.where(np.arange(steps + 1) < after, 1.0, 0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factors[step])
    schedule.seen = {"first": factors[0], "all": [factors[-1]], "on": np.bool_(True)}
    return schedule


def assert_same(a, b):
    for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True):
        assert torch.equal(x, y)


@pytest.mark.parametrize("evaluated", ["test data", "training data"])
@pytest.mark.parametrize("at", range(1, 22))  # every step of three epochs
def test_a_killed_training_goes_on_bit_for_bit(tmp_path, at, evaluated):
    def data():
        train_iter, test_iter = loaders()
        return train_iter, test_iter if evaluated == "test data" else train_iter

    whole, expected = train(None, data=data())
    with pytest.raises(Stop):
        train(tmp_path / "c.pt", at, data=data())
    resumed, history = train(tmp_path / "c.pt", data=data())
    assert_same(resumed, whole)
    for name in ("loss", "train_acc", "test_acc", "step_loss", "examples"):
        assert getattr(history, name) == getattr(expected, name)
    assert len(history.seconds) == 3 and min(history.seconds) > 0


def test_at_most_the_stated_interval_is_lost(tmp_path):
    with pytest.raises(Stop):
        train(tmp_path / "c.pt", at=6)  # five steps were made, the fourth was kept
    saved = read_tensors(tmp_path / "c.pt")
    assert len(saved["parts"]["epoch so far"]["losses"]) == 4


def test_a_killed_training_may_be_killed_again(tmp_path):
    whole, _ = train(None)
    for at in (5, 5, 9):
        with pytest.raises(Stop):
            train(tmp_path / "c.pt", at)
    resumed, history = train(tmp_path / "c.pt")
    assert_same(resumed, whole)
    assert len(history.step_loss) == 3 * 7


def test_a_finished_training_is_not_trained_again(tmp_path, capsys):
    first, history = train(tmp_path / "c.pt")
    new = capsys.readouterr().out
    again, same = train(tmp_path / "c.pt", at=1)
    assert_same(first, again)
    assert same.test_acc == history.test_acc
    told = capsys.readouterr().out.splitlines()
    assert "3 of 3 epochs" in told[0] and "nothing is left to train" in told[1]
    assert told[2:] == new.splitlines()[:1], "no speed of a training that was not"


@pytest.mark.parametrize("kind", ["list", "DataLoader", "DataLoader with generator"])
def test_other_loaders_go_on_after_the_last_whole_epoch(tmp_path, kind):
    def data():
        source, test_iter = loaders()
        X, y = source.to_input(source.images), source.labels
        if kind == "list":
            return list(zip(X.split(8), y.split(8), strict=True)), test_iter
        g = torch.Generator().manual_seed(2) if "generator" in kind else None
        dataset = torch.utils.data.TensorDataset(X, y)
        return torch.utils.data.DataLoader(dataset, 8, shuffle=True, generator=g), test_iter

    whole, _ = train(None, data=data())
    with pytest.raises(Stop):
        train(tmp_path / "c.pt", at=12, data=data())
    resumed, _ = train(tmp_path / "c.pt", data=data())
    assert_same(resumed, whole)


def test_a_run_on_two_devices_is_recorded_as_that(tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(Stop):
        train(path, at=9)
    saved = read_tensors(path)
    saved["parts"]["history"]["device"] = "cuda:0"
    write_tensors(path, saved)
    assert train(path)[1].device == train(path)[1].device == "cuda:0 and cpu"


def test_a_loader_of_unknown_order_is_refused(tmp_path):
    class Stream:
        def __len__(self):
            return 1

        def __iter__(self):
            return iter(loaders()[0])

    with pytest.raises(TrainingError, match="order of a Stream"):
        train(tmp_path / "c.pt", data=(Stream(), None))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lr": 0.02}, "lr is 0.01 there and 0.02 here"),
        ({"epochs": 4}, "epochs is 3 there"),
        ({"optimizer": "sgd"}, "optimizer is 'AdamW"),
        ({"optimizer": functools.partial(torch.optim.AdamW, betas=(0.9, 0.8))}, "betas=.0.9, 0.8"),
        ({"scheduler": functools.partial(halved, after=5)}, "scheduler is 'warmup-decay' there"),
        ({"data": loaders(40)}, "batches of the training data is 7 there and 5 here"),
        ({"data": loaders(51)}, "examples of the training data is 50 there and 51 here"),
        ({"data": loaders(100, 16)}, "examples of the training data is 50 there and 100 here"),
        ({"data": loaders(batch_size=9)}, "batches of the training data"),
        ({"data": loaders(50, resize=8, source="stand-in")}, "source of the training data is ''"),
        ({"data": loaders(data=1)}, "digest of the training data"),
        ({"data": (list(loaders()[0]), loaders()[1])}, "kind of the training data"),
        ({"data": loaders(tested=19)}, "examples of the test data is 20 there and 19 here"),
        ({"data": (loaders()[0], None)}, "test data"),
        ({"amp": True}, "precision is 'float32' there"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, change, message):
    path = tmp_path / "c.pt"
    train(path)
    before = path.read_bytes()
    with pytest.raises(TrainingError, match=message):
        train(path, **change)
    assert path.read_bytes() == before


def test_foreign_and_torn_files_are_refused(tmp_path):
    path = tmp_path / "c.pt"
    train(path)
    whole = path.read_bytes()
    write_tensors(tmp_path / "weights.pt", net().state_dict())
    write_tensors(tmp_path / "old.pt", {"format": 0, "about": {}, "parts": {}})
    (tmp_path / "torn.pt").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(print))
    for name in ("weights", "old", "torn", "empty", "evil"):
        with pytest.raises(TrainingError, match=f"{name}.pt is no"):
            train(tmp_path / f"{name}.pt")


def test_a_checkpoint_of_another_net_is_refused(tmp_path):
    train(tmp_path / "c.pt")
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(TrainingError, match="another net: it has 2.weight"):
        train_ch6(
            other, *loaders(), 3, 0.01, "cpu", optimizer="adamw", scheduler="warmup-decay",
            checkpoint=tmp_path / "c.pt", seed=1,
        )  # fmt: skip


def test_bad_places_and_intervals_are_named(tmp_path):
    with pytest.raises(TrainingError, match="cannot write"):
        train(tmp_path / "nowhere" / "c.pt")
    with pytest.raises(
        TrainingError, match="checkpoint_every must be a whole number of at least 1"
    ):
        train(tmp_path / "c.pt", checkpoint_every=0)


def run(path, at=0, **options):
    train_iter, dev_iter = loaders()
    model = net(at)
    runner = Runner(model, torch.optim.SGD(model.parameters(), 0.05, momentum=0.9), device="cpu")
    more = {"checkpoint": path, "checkpoint_every": 2, "progress": "off"} | options
    runner.train(train_iter, dev_iter, 2, eval_every=3, seed=1, **more)
    second = None if path is None else path.with_suffix(".second")
    runner.train(train_iter, dev_iter, 9, num_steps=10, seed=2, **more | {"checkpoint": second})
    return runner


@pytest.mark.parametrize("at", [2, 6, 9, 15, 16, 22, 24])
def test_a_killed_runner_goes_on_bit_for_bit(tmp_path, at):
    whole = run(None)
    with pytest.raises(Stop):
        run(tmp_path / "c.pt", at)
    resumed = run(tmp_path / "c.pt")
    assert_same(resumed.net, whole.net)
    assert resumed.state_dict() == whole.state_dict()


def test_looking_at_a_batch_does_not_disturb_the_order_that_is_kept():
    train_iter, _ = loaders()
    next(iter(train_iter))
    state = train_iter.state_dict()
    expected = [y for _, y in train_iter]
    train_iter.load_state_dict(state)
    assert all(map(torch.equal, expected, [y for _, y in train_iter]))


# What is kept can be read again


@pytest.mark.parametrize(
    "options",
    [
        {"lr": np.float64(0.01)},
        {"lr": np.float32(0.01)},
        {"epochs": np.int64(3)},
        {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9)},
        {"optimizer": lambda parameters, lr: torch.optim.SGD(parameters, np.float64(lr))},
        {"scheduler": functools.partial(halved, after=5)},
        {"checkpoint_every": np.int64(2)},
    ],
)
def test_numbers_of_numpy_and_functions_of_all_kinds_are_resumed(tmp_path, options):
    whole, expected = train(None, **options)
    with pytest.raises(Stop):
        train(tmp_path / "c.pt", at=12, **options)
    resumed, history = train(tmp_path / "c.pt", **options)
    assert_same(resumed, whole)
    assert history.step_loss == expected.step_loss


def test_a_runner_with_numbers_of_numpy_is_resumed(tmp_path):
    for epochs in (np.int64(1), 1):
        model = net()
        runner = Runner(model, torch.optim.SGD(model.parameters(), np.float64(0.1)), device="cpu")
        options = {"seed": np.int64(epochs), "checkpoint": tmp_path / "c.pt", "progress": "off"}
        runner.train(loaders()[0], None, epochs, **options)
        assert len(runner.step_losses) == 7


class Remembering(nn.Module):
    """Keeps something besides its weights."""

    def __init__(self, first, later=None):
        super().__init__()
        self.state, self.later, self.steps = first, first if later is None else later, 0

    def forward(self, X):
        self.steps += 1
        self.state = self.later
        return X

    def get_extra_state(self):
        return self.state

    def set_extra_state(self, state):
        self.state = state


@pytest.mark.parametrize(
    "state", [np.zeros(3), frozenset({1}), {"deep": [1, range(3)]}, Stop, abs, lambda: 0]
)
def test_what_could_not_be_read_again_is_refused_before_the_training(tmp_path, state):
    remembering = Remembering(state)
    model = nn.Sequential(net(), remembering)
    with pytest.raises(TrainingError, match=r"c.pt could not be read again: .*extra_state"):
        train_ch6(model, *loaders(), 1, 0.1, "cpu", checkpoint=tmp_path / "c.pt")
    assert remembering.steps == 0 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("state", [np.float64(3), {"a": [np.int32(1)]}, {1, 2}, b"x", 2 + 1j])
def test_extra_state_of_plain_values_is_kept(tmp_path, state):
    for _ in range(2):
        model = nn.Sequential(net(), remembering := Remembering(state))
        train_ch6(model, *loaders(), 1, 0.1, "cpu", checkpoint=tmp_path / "c.pt")
        assert remembering.state == state


def test_a_state_that_becomes_unreadable_never_replaces_one_that_was_not(tmp_path):
    path = tmp_path / "c.pt"
    model = nn.Sequential(net(), Remembering(1, later=range(3)))
    with pytest.raises(TrainingError, match=r"extra_state'\] \(of type range\)"):
        train_ch6(model, *loaders(), 1, 0.1, "cpu", checkpoint=path, checkpoint_every=2)
    assert read_tensors(path)["parts"]["net"]["1._extra_state"] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "change",
    [
        lambda saved: saved.update(about=3),
        lambda saved: saved.update(parts=3),
        lambda saved: saved["parts"].update(history={}),
        lambda saved: saved["parts"]["history"].update(loss="low"),
        lambda saved: saved["parts"]["history"].update(step_loss=["low"]),
        lambda saved: saved["parts"].update(optimizer={"state": {}, "param_groups": []}),
        lambda saved: saved["parts"].update({"epoch so far": {"losses": 1}}),
        lambda saved: saved["parts"].update({"random numbers": {"cpu": 3, "cuda": 4}}),
        lambda saved: saved["parts"]["order"].pop("given"),
        lambda saved: saved["parts"]["net"].update({"1.weight": 3}),
    ],
)
def test_a_checkpoint_with_something_else_inside_is_refused(tmp_path, change):
    """Its sums are right: it was written like that. Nothing changes, neither it nor the net."""
    path = tmp_path / "c.pt"
    train(path)
    saved = read_tensors(path)
    change(saved)
    write_tensors(path, saved)
    before = path.read_bytes()
    model = net()
    with pytest.raises(TrainingError, match="c.pt is ") as told:
        train_ch6(
            model, *loaders(), 3, 0.01, "cpu", init=None, optimizer="adamw",
            scheduler="warmup-decay", checkpoint=path, seed=1,
        )  # fmt: skip
    assert len(str(told.value).splitlines()) == 1
    assert_same(model, net())
    assert path.read_bytes() == before


def test_a_path_from_home_is_that_of_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    _, history = train("~/c.pt", epochs=1)
    history.save("~/c.json")
    write_tensors("~/w.pt", {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "c.pt", "w.pt"]
