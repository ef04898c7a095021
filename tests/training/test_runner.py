"""The step-wise trainer: its record, the best weights on disk, and files that do not fit."""

import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from course_utils.data import TensorLoader
from course_utils.errors import TrainingError
from course_utils.training import Runner


def blobs(count=96, batch_size=16, seed=0, shuffle=False):
    """Images whose brighter half says the class: easy to learn."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = torch.randint(0, 120, (count, 4, 4), generator=generator)
    images[labels == 1, 2:] += 110
    images[labels == 0, :2] += 110
    return TensorLoader(images.to(torch.uint8), labels, batch_size, shuffle=shuffle, seed=seed)


def small_net(classes=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, classes))


def make(net=None, lr=0.5, **options):
    net = net or small_net()
    return Runner(net, torch.optim.SGD(net.parameters(), lr), device="cpu", **options)


def test_record_and_learning(capsys):
    runner = make()
    runner.train(blobs(), blobs(seed=1), 20, eval_every=7, log_every=15, progress="none")
    assert len(runner.step_losses) == 120 and len(runner.epoch_losses) == 20
    assert all(isinstance(loss, float) for loss in runner.step_losses)
    assert [step for step, _, _ in runner.dev_scores] == [*range(7, 120, 7), 120]
    assert runner.epoch_losses[0] == pytest.approx(sum(runner.step_losses[:6]) / 6)
    assert runner.epoch_losses[-1] < 0.2 < runner.epoch_losses[0]
    assert runner.best_score == max(score for _, score, _ in runner.dev_scores) > 0.95
    printed = capsys.readouterr().out
    assert "step   15: loss" in printed and "step    8" not in printed
    assert any(
        line.startswith("step    7: loss") and "dev score" in line for line in printed.split("\n")
    )


def test_same_losses_as_a_plain_loop():
    runner, net = make(), small_net()
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    runner.train(blobs(), None, 2, progress="off")
    expected = []
    for _ in range(2):
        for X, y in blobs():
            loss = nn.functional.cross_entropy(net(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    assert runner.step_losses == expected


def test_best_weights_are_the_ones_on_disk(tmp_path):
    judged = iter([(0.2, 0.1), (0.9, 1.0), (0.5, 0.1), (0.9, 0.8), (0.9, 0.9)])
    kept = []

    class Scripted(Runner):
        def evaluate(self, data_iter):
            kept.append({k: v.clone() for k, v in self.net.state_dict().items()})
            return next(judged)

    net, path = small_net(), tmp_path / "best.pt"
    runner = Scripted(net, torch.optim.SGD(net.parameters(), 0.5), device="cpu")
    runner.train(blobs(), blobs(), num_steps=5, eval_every=1, save_path=path, progress="off")
    # of three equal scores the one with the smallest loss
    assert (runner.best_step, runner.best_score, runner.best_loss) == (4, 0.9, 0.8)
    assert not torch.equal(net[1].weight, kept[3]["1.weight"])
    runner.load(path)
    assert all(torch.equal(value, kept[3][name]) for name, value in net.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["best.pt"]  # no temporary file is left


def test_num_steps_and_training_again():
    runner = make()
    runner.net.eval()
    runner.train(blobs(), blobs(), 3, num_steps=8, eval_every=5, progress="off")
    assert len(runner.step_losses) == 8 and len(runner.epoch_losses) == 2
    assert not runner.net.training  # left in the mode it was in
    runner.train(blobs(), blobs(), num_steps=2, eval_every=5, progress="off")
    assert [step for step, _, _ in runner.dev_scores] == [5, 8, 10]


class Token:
    """Lives as long as the graph that it is attached to."""


class Attach(torch.autograd.Function):
    @staticmethod
    def forward(ctx, X, token):
        ctx.token = token
        return X.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def test_no_graph_is_kept():
    graphs = []

    class Watched(nn.Linear):
        def forward(self, X):
            token = Token()
            graphs.append(weakref.ref(token))
            return Attach.apply(super().forward(X.flatten(1)), token)

    runner = make(Watched(16, 2))
    runner.train(blobs(), blobs(), 2, progress="off")
    gc.collect()
    assert len(graphs) >= 12
    assert [graph() for graph in graphs] == [None] * len(graphs)


def test_evaluate_weighs_batches_by_their_size():
    data = blobs(count=21, batch_size=16)
    runner = make()
    score, loss = runner.evaluate(data)
    X, y = data.to_input(data.images), data.labels
    with torch.no_grad():
        y_hat = runner.net(X)
    assert score == pytest.approx((y_hat.argmax(1) == y).float().mean().item())
    assert loss == pytest.approx(nn.functional.cross_entropy(y_hat, y).item())
    with pytest.raises(TrainingError, match="zero examples"):
        runner.evaluate([])


def test_predict_gives_probabilities_in_evaluation_mode():
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(16, 3))
    runner = make(net)
    X = torch.rand(5, 1, 4, 4)
    probabilities = runner.predict(X)
    torch.testing.assert_close(probabilities, runner.predict(X))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(5))
    assert not probabilities.requires_grad and net.training


def test_custom_loss_and_metric():
    runner = make(
        loss=lambda y_hat, y: nn.functional.mse_loss(y_hat[:, 0], y.float()),
        metric=lambda y_hat, y: -(y_hat[:, 0] - y).abs().mean(),
        lr=0.1,
    )
    runner.train(blobs(), blobs(), 4, progress="off")
    assert runner.best_score < 0
    assert runner.evaluate(blobs())[0] == pytest.approx(runner.best_score)


def test_files_that_do_not_fit(tmp_path):
    runner = make()
    before = runner.net[1].weight.clone()
    make(small_net(classes=5)).save(tmp_path / "five.pt")
    (tmp_path / "text.pt").write_text("not weights")
    (tmp_path / "empty.pt").touch()
    torch.save({"1.weight": torch.zeros(8, 16)}, tmp_path / "part.pt")
    torch.save({**runner.net.state_dict(), "more": torch.zeros(1)}, tmp_path / "more.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, message in {
        "none.pt": "no weights at",
        "text.pt": "no file of tensors",
        "empty.pt": "no file of tensors",
        "five.pt": r"3.weight is \(5, 8\), the net needs \(2, 8\)",
        "part.pt": r"no 1.bias \(3 missing\)",
        "more.pt": "has more, which the net has not",
        "list.pt": "something else",
    }.items():
        with pytest.raises(TrainingError, match=message):
            runner.load(tmp_path / name)
    torch.testing.assert_close(runner.net[1].weight, before)
    with pytest.raises(TrainingError, match="cannot write"):
        runner.save(tmp_path / "no" / "folder.pt")


def test_a_file_with_code_in_it_is_refused(tmp_path):
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return ran.touch, ()

    path = tmp_path / "code.pt"
    path.write_bytes(pickle.dumps({"1.weight": Code()}))
    with pytest.raises(TrainingError, match="no file of tensors"):
        make().load(path)
    torch.save({"1.weight": Code()}, path)
    with pytest.raises(TrainingError, match="no file of tensors"):
        make().load(path)
    assert not ran.exists()


def test_interrupt_keeps_the_record(capsys):
    def interrupted():
        for i, batch in enumerate(blobs()):
            if i == 3:
                raise KeyboardInterrupt
            yield batch

    class Batches:
        def __iter__(self):
            return interrupted()

        def __len__(self):
            return 6

    runner = make()
    runner.train(Batches(), blobs(), 2, eval_every=2, progress="none", log_every=0)
    assert runner.interrupted and len(runner.step_losses) == 3
    assert "stopped by hand after step 3" in capsys.readouterr().out


def test_fast_dev_run_trains_three_batches(monkeypatch):
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    runner = make()
    runner.train(blobs(), blobs(), 50, progress="off")
    assert len(runner.step_losses) == 3 and [s for s, _, _ in runner.dev_scores] == [3]


def test_wrong_arguments():
    with pytest.raises(TrainingError, match="eval_every"):
        make().train(blobs(), blobs(), eval_every=0)


def test_plot_has_two_panels():
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    runner = make()
    runner.train(blobs(), blobs(), 2, eval_every=3, progress="off")
    fig = runner.plot()
    left, right = fig.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "score")
    assert len(left.lines[0].get_xdata()) == 12 and len(right.lines[0].get_xdata()) == 4
    plt.close(fig)
