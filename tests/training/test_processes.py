"""Several processes train as one: the same result, every example once, one writer."""

import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from publishing import assert_refused, called, course, environment, notebook

from course_utils.commands.train import fitted
from course_utils.nets.scaling import ring_all_reduce, shard
from course_utils.training import History, processes

SIZES = (1, 2, 4)
FEW = "--test-examples", 4, "--train-examples"
DATA = ("--train-examples", 520, "--test-examples", 110, "--batch-size", 64)  # last batch: 8


def torchrun(processes, script, *args, cwd, **env):
    """Run a script in several processes; what they printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={processes}", script, *args]
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment(OMP_NUM_THREADS="1", COURSE_PROGRESS="none", **env),
        capture_output=True,
        encoding="utf-8",
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Size -> (what each rank saw, its weights, its weights trained in parts, what was printed)."""
    folder = tmp_path_factory.mktemp("together")
    found = {}
    for size in SIZES:
        printed = torchrun(size, Path(__file__).with_name("together.py"), folder, cwd=folder)
        names = [f"{size}-{rank}" for rank in range(size)]
        found[size] = (
            [json.loads((folder / f"{name}.json").read_text()) for name in names],
            [torch.load(folder / f"{name}.pt", weights_only=True) for name in names],
            [torch.load(folder / f"{name}-parts.pt", weights_only=True) for name in names],
            printed,
        )
    return found


several = pytest.mark.parametrize("size", SIZES[1:])
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("distributed")]


@pytest.mark.parametrize("size", SIZES)
def test_processes_know_each_other(runs, size):
    ranks = runs[size][0]
    assert [(seen["rank"], seen["size"]) for seen in ranks] == [(r, size) for r in range(size)]
    assert [seen["writer"] for seen in ranks] == [True] + [False] * (size - 1)
    for seen in ranks:
        assert seen["total"] == [size, sum(range(size))] and seen["same"] == {"rank": 0}


def test_alone_nothing_happens():
    assert processes.world() == (0, 1) and processes.is_writer()
    processes.join()
    assert not torch.distributed.is_initialized()
    net, tensor = torch.nn.Linear(1, 1), torch.ones(2)
    assert processes.data_parallel(net) is net and processes.total(tensor) is tensor
    assert processes.same_everywhere(net) is net


@pytest.mark.parametrize("gpus, backend", [(0, "gloo"), (1, "gloo"), (2, "cpu:gloo,cuda:nccl")])
def test_processes_with_a_gpu_each_can_train_on_the_cpu_too(monkeypatch, gpus, backend):
    """nccl alone cannot see the memory of the CPU."""
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(processes.torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(processes.distributed, "rendezvous", lambda url: iter([(None, 0, 2)]))
    joined = mock.Mock()
    monkeypatch.setattr(processes.distributed, "init_process_group", joined)
    for name in processes.LAUNCHED:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(processes.distributed, "PrefixStore", mock.Mock())
    monkeypatch.setattr(processes.atexit, "register", mock.Mock())
    processes.join()
    assert joined.call_args.args == (backend,)


@several
def test_every_example_once_per_epoch_and_the_batches_of_one_process(runs, size):
    ranks, (alone,) = runs[size][0], runs[1][0]
    for epoch in range(2):
        parts = [seen["epochs"][epoch] for seen in ranks]
        flat = [number for mine in parts for batch in mine for number in batch]
        assert sorted(flat) == list(range(106))
        together = [sorted(sum(batches, [])) for batches in zip(*parts, strict=True)]
        assert together == [sorted(batch) for batch in alone["epochs"][epoch]]
    assert alone["epochs"][0] != alone["epochs"][1]
    assert all(seen["afterwards"] == [20] * 5 + [6] for seen in ranks), "shared only for a while"


@several
def test_same_loss_and_weights_as_one_process(runs, size):
    (ranks, weights, _, _), ((alone,), (right,), _, _) = runs[size], runs[1]
    for seen in ranks:
        assert seen["loss"] == pytest.approx(alone["loss"], abs=1e-5)
        assert seen["step_loss"] == pytest.approx(alone["step_loss"], abs=1e-5)
        assert seen["examples"] == [330, 330]
    for mine in weights:
        for name, weight in right.items():
            torch.testing.assert_close(mine[name], weight, rtol=0, atol=1e-5)
            assert torch.equal(mine[name], weights[0][name]), "replicas differ"


@several
def test_accumulation_is_the_whole_batch(runs, size):
    (ranks, _, in_parts, _), ((alone,), (right,), _, _) = runs[size], runs[1]
    assert ranks[0]["parts_loss"] == pytest.approx(alone["loss"], abs=1e-5)
    for name, weight in right.items():
        torch.testing.assert_close(in_parts[0][name], weight, rtol=0, atol=1e-5)


@several
def test_evaluation_over_all_ranks_is_exact(runs, size):
    for seen in runs[size][0]:
        assert seen["test_acc"] == runs[1][0][0]["test_acc"]
        assert seen["shared_acc"] == seen["whole_acc"] == seen["test_acc"][-1]


@pytest.mark.parametrize("size", SIZES)
def test_one_process_prints(runs, size):
    lines = runs[size][3].splitlines()
    assert len(lines) == 2 and "test acc" in lines[0] and "examples/sec" in lines[1]


@several
def test_ranks_draw_other_random_numbers(runs, size):
    assert len({tuple(seen["dice"]) for seen in runs[size][0]}) == size


@several
def test_what_cannot_be_shared_is_refused(runs, size):
    """A batch smaller than the processes (5 = 4 + 1), and a loader that is no TensorLoader."""
    assert all(seen["refused"] == [] for seen in runs[size][0])


# The networks that the chapter saves


@given(n=st.integers(1, 6), shape=st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_ring_sums_and_sends_little(n, shape):
    tensors = [torch.randn(shape, dtype=torch.float64) for _ in range(n)]
    before = [tensor.clone() for tensor in tensors]
    sums, sent = ring_all_reduce(tensors)
    for mine in sums:
        torch.testing.assert_close(mine, torch.stack(before).sum(dim=0))
        assert torch.equal(mine, sums[0]), "all hold the same, bit for bit"
    for tensor, kept in zip(tensors, before, strict=True):
        assert torch.equal(tensor, kept)
    assert sum(sent) == 2 * (n - 1) * before[0].numel()


@given(count=st.integers(0, 30), size=st.integers(1, 7))
def test_shards_are_disjoint_and_complete(count, size):
    parts = [shard(torch.arange(count), rank, size) for rank in range(size)]
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


# course train


@pytest.mark.parametrize(
    "network, size, options, side",
    [
        ("lenet", None, {}, 28),
        ("resnet18", None, {"in_channels": 1, "num_classes": 10}, 32),
        ("resnet18", 64, {"in_channels": 1, "num_classes": 10}, 64),
        ("alexnet", None, {}, 224),
        ("googlenet", None, {"in_channels": 1, "num_classes": 10}, 224),
        ("googlenet-cifar", None, {"in_channels": 1}, 32),
    ],
)
def test_networks_are_fitted_to_the_data(network, size, options, side):
    assert fitted(network, size) == (options, side)


@pytest.mark.parametrize(
    "args, parts",
    [
        (["lenett"], ["lenett", "lenet"]),
        (["lenet", "--size", 40], ["lenet", "40", "28"]),
        (["googlenet", "--size", 96], ["googlenet", "96", "224"]),  # its other heads want 224
        (["resnet18", *FEW, 5, "--batch-size", 4], ["batch of one example"]),
        (["resnet18", *FEW, 5, "--batch-size", 5, "--accumulate", 3], ["batch of one example"]),
        (["resnet18", *FEW, 3, "--batch-size", 1], ["batch of one example"]),
        (["lenet-rgb"], ["lenet-rgb", "3 channels"]),
        (["lenet", "--optimizer", "adam"], ["adam", "adamw"]),
        (["lenet", "--checkpoint", "nowhere/c.ckpt"], ["nowhere"]),
        (["lenet", "--train-examples", 70000], ["70,000"]),
    ],
)
def test_train_refuses_in_a_line_or_two(tmp_path, args, parts):
    assert_refused(called("train", *args, cwd=tmp_path, COURSE_STANDIN="1"), *parts)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_several_processes_is_one_line_and_no_restart(tmp_path):
    args = ("lenet", "--nproc", 2, "--optimizer", "sgd", "--lr", 1e39, *DATA)
    result = course("train", *args, cwd=tmp_path, COURSE_STANDIN="1", COURSE_PROGRESS="none")
    assert_refused(result, "loss became")
    assert "restart" not in result.stdout and list(tmp_path.iterdir()) == []


def train(folder, name, *args):
    """Run `course train lenet` with files of this name; its record and what was printed."""
    result = course(
        "train", "lenet", "--lr", 0.001, *DATA, "--history", f"{name}.json", "--save",
        f"{name}.pt", *args, cwd=folder, COURSE_STANDIN="1", COURSE_PROGRESS="none",
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return History.load(folder / f"{name}.json"), result


@pytest.mark.full
def test_train_in_two_processes_is_train_in_one(tmp_path):
    alone, printed = train(tmp_path, "one")
    two, both = train(tmp_path, "two", "--nproc", 2)
    assert two.loss == pytest.approx(alone.loss, abs=1e-5) and two.test_acc == alone.test_acc
    assert two.examples == [520]
    assert both.stdout.count("train acc") == printed.stdout.count("train acc") == 1
    assert both.stderr == "", "the launcher is quiet"
    weights = [torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-4)


@pytest.mark.full
def test_a_notebook_as_a_script_trains_together(tmp_path):
    """The lines of a chapter, exported as chapter 10 says."""
    from nbconvert import PythonExporter

    cells = [
        "from course_utils.data import load_data_fashion_mnist\n"
        "from course_utils.nets import build\n"
        "from course_utils.training import train_ch6, try_gpu",
        "train_iter, test_iter = load_data_fashion_mnist(64, train_examples=320, seed=0)",
        "history = train_ch6(build('lenet'), train_iter, test_iter, 1, 0.1, try_gpu(), seed=0)\n"
        "print('examples of all:', history.examples)",
    ]
    script, _ = PythonExporter().from_notebook_node(notebook(*cells))
    (tmp_path / "lenet.py").write_text(script)
    more = {"COURSE_FAST_DEV_RUN": "1", "COURSE_STANDIN": "1", "MPLBACKEND": "agg"}
    printed = torchrun(2, "--local-ranks-filter=0", "lenet.py", cwd=tmp_path, **more)
    assert printed.count("train acc") == printed.count("examples of all: [192]") == 1, printed
    assert os.listdir(tmp_path) == ["lenet.py"]
