"""What a trainer is given: used where it can be, else refused in a line before the training."""

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import CourseError, TrainingError
from course_utils.training import Runner, evaluate_accuracy_gpu, train_ch6, training_steps


def loader(n=40, batch_size=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 8, 8), generator=g, dtype=torch.uint8)
    return TensorLoader(images, torch.arange(n) % 10, batch_size, shuffle=True, seed=1)


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def lazy():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)
    )


def normalised():
    """Batch normalisation of one number a channel and example."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.1), nn.Linear(4, 10)
    )


def frozen():
    return linear().requires_grad_(False)


def train(net=None, train_iter=None, test_iter=None, num_epochs=1, lr=0.1, **options):
    options = {"device": "cpu", "verbose": False} | options
    train_iter = loader() if train_iter is None else train_iter
    return train_ch6(net or linear(), train_iter, test_iter, num_epochs, lr, **options)


def runner(net=None, **options):
    net = net or linear()
    return Runner(net, torch.optim.SGD(net.parameters(), 0.1), device="cpu", **options)


def pictures(count=8, side=8):
    return torch.rand(count, 1, side, side)


class Uncounted:
    def __iter__(self):
        return iter(loader())


class Streamed(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(loader())


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.both = linear()

    def forward(self, X):
        return self.both(X[0] + X[1])


# Labels that do not fit


@pytest.mark.parametrize(
    "y, outputs",
    [
        (torch.arange(8)[:, None], 2),  # compared with each other: accuracies of 3.84
        (torch.eye(10)[:8], 2),
        (torch.zeros(8, 6, 6, dtype=torch.int64), 4),  # for each pixel
        (torch.arange(4), 2),
        (torch.zeros(1, dtype=torch.int64), 2),
    ],
)
@pytest.mark.parametrize("use", ["train", "steps", "evaluate", "Runner", "Runner evaluates"])
def test_labels_that_do_not_fit_are_named_with_both_shapes(y, outputs, use):
    net = linear() if outputs == 2 else nn.Conv2d(1, 10, 3)
    data, sgd = [(pictures(), y)] * 2, torch.optim.SGD(net.parameters(), 0.1)
    ways = {
        "train": lambda: train(net, data, loss=lambda y_hat, y: y_hat.mean()),
        "steps": lambda: list(training_steps(net, data, sgd)),
        "evaluate": lambda: evaluate_accuracy_gpu(net, data),
        "Runner": lambda: runner(net).train(data, progress="off"),
        "Runner evaluates": lambda: runner(net).evaluate(data),
    }
    with pytest.raises(TrainingError) as told:
        ways[use]()
    shape = (8, 10) if outputs == 2 else (8, 10, 6, 6)
    assert str(tuple(y.shape)) in str(told.value) and str(shape) in str(told.value)


def test_a_label_beyond_the_classes_is_named():
    for way in (evaluate_accuracy_gpu, train):
        with pytest.raises(TrainingError, match="label 12 does not fit .* 0 to 9"):
            way(linear(), [(pictures(), torch.arange(8) + 5)])


@pytest.mark.parametrize("kind", [torch.uint8, torch.int32, torch.int64])
def test_labels_of_any_whole_numbers_will_do(kind):
    data = [(pictures(), torch.arange(8).to(kind))]
    assert len(train(linear(), data, data).test_acc) == 1
    with pytest.raises(TrainingError, match="whole numbers, .* not torch.float32"):
        train(linear(), [(pictures(), torch.arange(8) / 2)])


def test_another_metric_may_have_other_labels():
    """Only right answers need classes: a Runner with its own loss and metric takes any labels."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    data = [(pictures(), torch.rand(8, 1))]
    distance = nn.functional.l1_loss
    own = runner(net, loss=nn.MSELoss(), metric=lambda y_hat, y: -distance(y_hat, y))
    own.train(data, data, 2, progress="off")
    assert len(own.step_losses) == 2 and own.best_score < 0


# Nets


@pytest.mark.parametrize("options", [{}, {"amp": True}, {"amp": "auto"}, {"init": None}])
@pytest.mark.parametrize("as_list", [False, True])
def test_lazy_layers_take_their_sizes(options, as_list):
    data = list(loader()) if as_list else loader()
    net = lazy()
    history = train(net, data, data, seed=3, **options)
    assert [type(layer) for layer in net][::4] == [nn.Conv2d, nn.Linear]
    assert len(history.step_loss) == 5
    again = train(lazy(), list(data) if as_list else loader(), None, seed=3, **options)
    if not as_list:
        assert again.step_loss == history.step_loss  # the order of the data is not disturbed


def test_lazy_layers_may_be_evaluated_first_and_run_and_resumed(tmp_path):
    net = lazy()
    evaluate_accuracy_gpu(net, loader())
    train(net)
    options = {"checkpoint": tmp_path / "c.pt", "progress": "off"}
    first = runner(lazy())
    first.train(loader(), **options)
    again = runner(lazy())
    again.train(loader(), **options)
    assert again.step_losses == first.step_losses
    first.save(tmp_path / "w.pt")
    fresh = runner(lazy())
    fresh.load(tmp_path / "w.pt")
    assert torch.equal(fresh.net[4].weight, first.net[4].weight)


def test_a_rehearsal_leaves_nothing_behind():
    """amp="auto" tries a step: weights, statistics and random numbers are those of amp=True."""
    torch.manual_seed(0)
    net = normalised()
    twin = normalised()
    twin.load_state_dict(net.state_dict())
    runs = [train(n, amp=amp, seed=1, init=None) for n, amp in ((net, True), (twin, "auto"))]
    if runs[0].precision == runs[1].precision:  # on a CPU that multiplies bfloat16
        assert runs[0].step_loss == runs[1].step_loss
        assert all(map(torch.equal, net.state_dict().values(), twin.state_dict().values()))
    assert int(twin[1].num_batches_tracked) == 5


class Viewed(nn.Module):
    """Takes maps that lie in memory channel by channel only."""

    def forward(self, X):
        return X.view(len(X), -1)


class Float32Only(nn.Module):
    def forward(self, X):
        if X.dtype != torch.float32:
            raise TypeError("no kernel for this")
        return X


@pytest.mark.parametrize(
    "layers, kept", [((Viewed(),), "bfloat16"), ((Float32Only(), nn.Flatten()), "float32")]
)
def test_amp_auto_drops_what_fails_on_a_net(monkeypatch, layers, kept):
    from course_utils.training import precision

    monkeypatch.setattr(precision, "_short_format", lambda device: "bfloat16")
    net = nn.Sequential(nn.Conv2d(1, 4, 3), *layers, nn.Linear(144, 10))
    history = train(net, amp="auto")
    assert history.precision == kept and len(history.step_loss) == 5
    with pytest.raises((RuntimeError, TypeError)):  # who asks for it gets it, or the reason
        train(net, amp=True)


@pytest.mark.parametrize(
    "net, words",
    [
        (frozen(), "nothing to train"),
        (nn.Flatten(), "nothing to train"),
        (TwoInputs, "the class TwoInputs: call it"),
        (lambda X: X, "must be an nn.Module"),
    ],
)
def test_what_cannot_be_trained_is_named(net, words):
    with pytest.raises(TrainingError, match=words):
        train(net)


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_training_without_gradients_is_named(off):
    with off(), pytest.raises(TrainingError, match="outside of torch.no_grad"):
        train()


# Data


def test_a_runner_takes_lists_of_inputs():
    data = [([pictures(), pictures()], torch.arange(8)) for _ in range(3)]
    own = runner(TwoInputs())
    own.train(data, data, progress="off")
    assert own.evaluate(data)[0] == evaluate_accuracy_gpu(own.net, data) == own.best_score
    assert own.predict(data[0][0]).shape == (8, 10)


@pytest.mark.parametrize(
    "data, words",
    [
        (Uncounted(), r"len\(\).* this Uncounted does not"),
        (iter(list(loader())), r"len\(\).* this list_iterator"),
        ((batch for batch in loader()), r"anew in every epoch"),
        (torch.utils.data.TensorDataset(pictures(), torch.arange(8)), "as a DataLoader makes"),
        ([{"X": 1, "y": 2}], "this is a dict"),
        ([(np.zeros((2, 1, 8, 8)), np.zeros(2))], r"\(X, y\) of tensors"),
        (7, "this int does not"),
    ],
)
def test_data_that_are_no_batches_are_named(data, words):
    for way in (train, lambda net, data: runner(net).train(data, progress="off")):
        with pytest.raises(TrainingError, match=words):
            way(linear(), data)


def test_test_data_that_come_once_are_named_and_need_no_len(tmp_path):
    with pytest.raises(TrainingError, match="test_iter must .* anew in every epoch"):
        train(test_iter=(batch for batch in loader()))
    with pytest.raises(TrainingError, match="test_iter must .* this int"):
        train(test_iter=7)
    stream = torch.utils.data.DataLoader(Streamed(), batch_size=None)  # has a __len__ that raises
    for name, again in {"uncounted": Uncounted(), "stream": stream}.items():
        history = train(test_iter=again, num_epochs=2, checkpoint=tmp_path / name)
        assert len(history.test_acc) == 2
    assert 0 <= evaluate_accuracy_gpu(linear(), (batch for batch in loader())) <= 1


def test_empty_batches_count_for_nothing():
    empty = torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64)
    data = list(loader())
    with_empty = [empty, *data, empty]
    assert train(linear(), with_empty, seed=1).loss == train(linear(), data, seed=1).loss
    net = linear()
    assert evaluate_accuracy_gpu(net, with_empty) == evaluate_accuracy_gpu(net, data)
    with pytest.raises(TrainingError, match="zero batches"):
        train(train_iter=[empty])


@pytest.mark.parametrize("n, options", [(41, {}), (45, {"accumulate": 3}), (40, {"accumulate": 8})])
def test_a_batch_of_one_with_batch_normalisation_is_found_before_the_training(n, options):
    net = normalised()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(TrainingError, match="batch of one example"):
        train(net, loader(n), init=None, **options)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert train(normalised(), loader(42)).examples == [42]
    assert train(linear(), loader(41)).examples == [41]


def test_another_error_of_a_net_on_one_example_stays_itself():
    class Picky(nn.Module):
        def forward(self, X):
            raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        train(nn.Sequential(linear(), Picky()), loader(1))


def test_a_batch_of_one_in_a_list_is_named():
    with pytest.raises(TrainingError, match="batch of one example"):
        train(normalised(), list(loader(41)))


# Numbers and choices


@pytest.mark.parametrize("two", [2.0, np.int64(2), torch.tensor(2)])
def test_whole_numbers_of_any_kind_will_do(two):
    assert len(train(num_epochs=two, accumulate=two, seed=two, lr=np.float32(0.1)).loss) == 2


@pytest.mark.parametrize(
    "options, words",
    [
        ({"num_epochs": "2"}, "num_epochs must be a whole number of at least 1, got '2'"),
        ({"num_epochs": 1.5}, "num_epochs"),
        ({"num_epochs": True}, "num_epochs"),
        ({"num_epochs": float("nan")}, "num_epochs"),
        ({"lr": "0.1"}, "lr must be a number above 0, got '0.1'"),
        ({"lr": float("nan")}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"lr": None}, "lr"),
        ({"lr": [0.1]}, "lr"),
        ({"seed": "a"}, "seed must be a whole number, got 'a'"),
        ({"seed": 2**64}, "seed must be a whole number of 64 bits"),
        ({"accumulate": 2.5}, "accumulate"),
        ({"checkpoint_every": "a"}, "checkpoint_every"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"device": "cuda:77"}, "no device 'cuda:77'"),
        ({"device": torch.device("meta")}, "no device 'meta'"),
        ({"loss": nn.CrossEntropyLoss}, "the class CrossEntropyLoss: call it"),
        ({"loss": "cross_entropy"}, "loss must be a function"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, r"it gave a tensor \(8,\)"),
        ({"loss": lambda y_hat, y: 1.0}, "it gave 1.0"),
        ({"optimizer": torch.optim.SGD(linear().parameters(), 0.1)}, "not an object SGD"),
        ({"optimizer": lambda parameters, lr: None}, "must give a torch optimizer, it gave None"),
        ({"scheduler": lambda optimizer, steps: 3}, "must give a torch scheduler, it gave 3"),
        ({"scheduler": 3}, "scheduler must be a name or a function"),
        ({"compile": "fast"}, "no mode 'fast'"),
        ({"progress": "liev"}, "progress is 'liev'"),
    ],
)  # fmt: skip
def test_wrong_values_are_named_in_a_line(options, words):
    with pytest.raises(CourseError, match=words) as told:
        train(**options)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("way", ["evaluate", "Runner", "steps"])
def test_a_device_that_is_not_there_is_named_everywhere(way):
    net = linear()
    sgd = torch.optim.SGD(net.parameters(), 0.1)
    ways = {
        "evaluate": lambda: evaluate_accuracy_gpu(net, loader(), "cuda:77"),
        "Runner": lambda: Runner(net, sgd, device="cuda:77"),
        "steps": lambda: list(training_steps(net, loader(), sgd, device="cuda:77")),
    }
    with pytest.raises(TrainingError, match="no device 'cuda:77'"):
        ways[way]()


@pytest.mark.parametrize(
    "options, steps",
    [
        ({"num_steps": 100}, 100),  # of 5 batches: as many epochs as it takes
        ({"num_steps": 3}, 3),
        ({"num_epochs": 2, "num_steps": 100}, 10),
        ({"num_epochs": 2}, 10),
        ({}, 5),
    ],
)
def test_a_runner_makes_the_steps_that_are_asked_for(options, steps):
    own = runner()
    own.train(loader(), progress="off", **options)
    assert len(own.step_losses) == steps
    with pytest.raises(TrainingError, match="num_steps must be a whole number of at least 1"):
        own.train(loader(), num_steps=0)
