"""`course bench`: measured in turn, computed right, shown as saved. No test asserts a time."""

import dataclasses
import json
import subprocess
import sys
from itertools import count
from unittest import mock

import pytest
import torch
from conftest import REPOSITORY
from publishing import assert_refused, course, environment, make_course, notebook
from smalldata import publish, small_dataset, write_dataset

from course_utils.commands.bench import cases, fresh, parts, rival, run
from course_utils.commands.bench.rounds import figure, interleave, lines, measured, not_run
from course_utils.commands.manifest import load_manifest
from course_utils.errors import RunError
from course_utils.measure import count_macs

EXAMPLES = {part: dict.fromkeys(topics, 40) for part, topics in run.EXAMPLES.items()}
EXAMPLES["scaling"] = {"lenet": 8, "resnet": 8}
TINY = run.Sizes(2, 0.001, 64, EXAMPLES)


@pytest.fixture(scope="module")
def manifest():
    return load_manifest(REPOSITORY / "book.toml")


@pytest.fixture
def small_files(tmp_path, monkeypatch):
    """A small data set in the place of Fashion-MNIST, for both sides."""
    write_dataset(tmp_path, train=1300, test=300)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return publish(monkeypatch, small_dataset(train=1300, test=300))


@pytest.fixture
def small_nets(monkeypatch):
    """LeNet in batches of 8, also in the place of the four larger networks."""

    def small_case(manifest, topic, published=False):
        title = "LeNet" if topic == "lenet" else "Small"
        return cases.Case(title, "lenet", 28, 8, 0.1, computing={"amp": True})

    monkeypatch.setattr(cases, "chapter_case", small_case)


def quiet(text):
    pass


# ------------------------------------------------------------------------------------- numbers


def test_sides_are_measured_in_turn():
    calls, told = [], []
    sides = {
        name: lambda number, name=name: calls.append((name, number)) or {"n": number}
        for name in "AB"
    }
    assert interleave(sides, 3, told.append) == {"n": {"A": [0, 1, 2], "B": [0, 1, 2]}}
    turns = [("A", 0), ("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2)]
    assert calls == turns[:2] + turns, "a warming up that does not count, then turns"
    assert told[2] == "round 1 of 3, A" and told[-1] == "round 3 of 3, B"


def test_the_ratio_is_taken_round_by_round():
    """A machine that becomes ten times slower changes the medians, but not the ratio."""
    values = {"ours": [1.0, 10.0, 2.0, 1.0, 30.0], "theirs": [3.0, 30.0, 8.0, 2.0, 90.0]}
    result = measured("w", "s", values, ratio=("theirs", "ours"), more=1)
    spread = {"median": 2.0, "low": 1.0, "high": 30.0, "values": values["ours"]}
    assert result["sides"]["ours"] == spread and result["sides"]["theirs"]["median"] == 8.0
    assert result["ratio"]["values"] == [3.0, 3.0, 4.0, 2.0, 3.0]
    assert (result["ratio"]["median"], result["ratio"]["of"]) == (3.0, "theirs / ours")
    assert "goal" not in result and result["more"] == 1


@pytest.mark.parametrize("of, median", [("ratio", 2), ("a", 6), ("b", 3)])
@pytest.mark.parametrize("key, missed", [("at_least", 0.01), ("at_most", -0.01)])
def test_goals(of, median, key, missed):
    for beyond in (0, missed):
        goal = {"of": of, key: median + beyond}
        result = measured("w", "s", {"a": [6.0], "b": [3.0]}, ratio=("a", "b"), goal=goal)
        assert result["goal"] == {**goal, "met": beyond == 0}


def test_the_table_shows_what_is_saved():
    values = {"course": [0.5, 0.25, 1.0], "d2l": [2.0, 1500.0, 4.0]}
    goal = {"of": "course", "at_most": 0.5}
    result = measured(
        "what it is", "s", values, ratio=("d2l", "course"), goal=goal, note="why",
        test_acc={"course": [0.5, 0.7, 0.8]},
    )  # fmt: skip
    assert [line.split() for line in lines(json.loads(json.dumps(result)))] == [
        ["what", "it", "is"],
        ["(why)"],
        ["course", "0.500", "s", "0.250–1.00", "goal", "≤", "0.5:", "met"],
        ["d2l", "4.00", "s", "2.00–1,500"],
        ["d2l", "/", "course", "4.00", "×", "4.00–6,000"],
        ["test", "accuracy,", "course", "0.700", "0.500–0.800"],
    ]
    one = measured("one", "MB", {"x": [12.34]}, goal={"of": "x", "at_least": 20})
    assert lines(one)[1].split() == ["x", "12.3", "MB", "goal", "≥", "20:", "missed"]
    assert lines(not_run("GPU", "none here")) == ["GPU: not run (none here)"]
    numbers = {0.01234: "0.0123", 2: "2.00", 99.94: "99.9", 99.96: "100", 12345.6: "12,346"}
    assert {value: figure(value) for value in numbers} == numbers


# --------------------------------------------------------------------------------------- cases


def test_cases_are_those_of_the_chapters(manifest):
    forms = ("alexnet", "vgg11-slim", "googlenet-d2l", "resnet18-d2l")
    for topic, form in zip(cases.TOPICS, forms, strict=True):
        (chapter,) = [chapter for chapter in manifest.chapters if chapter.topic == topic]
        values = cases.parameters(chapter.file)
        quick = cases.chapter_case(manifest, topic)
        for name in ("preset", "image_size", "batch_size"):
            assert getattr(quick, name) == values[name]
        assert quick.lr == chapter.full["lr"] and quick.computing["amp"] == values["amp"]
        published = cases.chapter_case(manifest, topic, published=True)
        assert (published.preset, published.computing) == (form, quick.computing)
        for name in ("image_size", "batch_size"):
            assert getattr(published, name) == chapter.full[name]
        for case in (quick, published):
            with torch.device("meta"):
                X = torch.zeros(2, 1, case.image_size, case.image_size)
                assert case.build()(X).shape == (2, 10)
        batches = [case.whole_batches(n) / case.batch_size for n in (1, 6 * case.batch_size + 1)]
        assert batches == [5, 6]
    with pytest.raises(RunError, match="no chapter on vgg16"):
        cases.chapter_case(manifest, "vgg16")
    lenet = cases.chapter_case(manifest, "lenet")
    assert (lenet.preset, lenet.image_size, lenet.batch_size, lenet.lr) == ("lenet", None, 256, 0.9)


def test_flops_of_a_step(manifest):
    """Six for each multiply-add, less two for each of the first layer's: nobody needs the
    gradient of the images. Counted by hand for LeNet."""
    first = 6 * 25 * 28 * 28
    macs = first + 16 * 150 * 10 * 10 + 400 * 120 + 120 * 84 + 84 * 10
    case = cases.chapter_case(manifest, "lenet")
    assert parts.step_flops(case) == case.batch_size * (6 * macs - 2 * first)
    assert count_macs(case.build(), (1, 28, 28)) == macs


# --------------------------------------------------------------------------------------- parts


def check(results, *sides, rounds=TINY.rounds):
    """Every result has these sides, a number for each round, and survives JSON."""
    assert json.loads(json.dumps(results)) == results
    for result in results:
        assert list(result["sides"]) == list(sides)
        for side in result["sides"].values():
            assert len(side["values"]) == rounds and min(side["values"]) > 0
        assert lines(result)[0] == result["what"]


@pytest.mark.xdist_group("d2l")
def test_lenet_against_d2l(manifest, small_files, small_nets):
    (result,) = parts.lenet(TINY, manifest, quiet)
    check([result], "course", "d2l")
    assert "batch 8: an epoch of 40 examples, 6 to evaluate" in result["what"]
    assert "bfloat16" in result["note"]
    assert result["goal"]["at_least"] == 4 and result["ratio"]["of"] == "d2l / course"
    for accuracies in result["test_acc"].values():
        assert len(accuracies["values"]) == 2 and 0 <= accuracies["low"] <= accuracies["high"] <= 1


@pytest.mark.xdist_group("d2l")
def test_both_sides_train_the_same(small_files):
    """From the same weights, on the same batches, d2l's trainer ends where ours does."""
    d2l, case = rival.load_d2l(), cases.Case("t", "lenet", None, 64, 0.9)
    train_iter, test_iter = case.loaders(320, 300)
    batches = list(train_iter)
    ours = case.build(3)
    history = case.train(ours, batches, test_iter)
    theirs = case.build(3)
    assert rival.train(d2l, theirs, batches, test_iter, case.lr) == history.test_acc[-1]
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert rival.train(d2l, case.build(3), batches, None, case.lr) == 0


@pytest.mark.xdist_group("d2l")
def test_d2l_reads_the_same_files_and_writes_none(small_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    train, test = rival.loaders(rival.load_d2l(), tmp_path, 10, train_examples=30)
    images, labels = small_files.read(tmp_path, "test")
    assert (len(train.dataset), len(test.dataset)) == (30, 300)
    assert (train.batch_size, train.num_workers) == (10, 4)
    assert [type(it.sampler).__name__[:6] for it in (train, test)] == ["Random", "Sequen"]
    X, y = test.dataset[7]
    assert torch.equal(X[0], torch.as_tensor(images[7].copy()) / 255) and y == labels[7]
    assert sorted(tmp_path.rglob("*")) == before
    assert not (tmp_path.parent / "data").exists()


@pytest.mark.xdist_group("d2l")
def test_the_larger_nets_against_d2l(manifest, small_files, small_nets, monkeypatch):
    monkeypatch.setattr(cases, "TOPICS", ("vgg", "resnet"))
    results = parts.nets(dataclasses.replace(TINY, rounds=1), manifest, quiet)
    for batch, first, second, mean in ((8, *results[:3]), (32, *results[3:])):
        check([first, second], "course", "d2l", rounds=1)
        assert f"batch {batch}:" in first["what"] and first["goal"]["at_least"] == 1.5
        product = first["ratio"]["median"] * second["ratio"]["median"]
        assert mean["sides"]["mean"]["median"] == pytest.approx(product**0.5)
        assert mean["goal"]["at_least"] == 1.8


@pytest.mark.xdist_group("d2l")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_first_batch(small_files, tmp_path, monkeypatch):
    monkeypatch.setattr(fresh, "memory", iter([1e6, 3e6] * 2).__next__)
    for side in ("course", "d2l"):
        found = fresh.first_batch(side, str(tmp_path))
        assert found["megabytes"] == 2 and min(found.values()) > 0


def test_memory_counts_what_this_process_holds():
    before = fresh.memory()
    held = bytearray(64_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert 50e6 < fresh.memory() - before < 90e6


def test_limit(manifest, small_nets, monkeypatch):
    monkeypatch.setenv("COURSE_STANDIN", "1")
    results = parts.limit(TINY, manifest, quiet)
    check(results, "step", "fp32 product", "bf16 product")
    assert [result["goal"]["at_least"] for result in results] == [0.25, 0.9, 0.9, 0.9, 0.9]
    assert results[1]["precision"] == ["bfloat16, channels-last"]
    assert results[0]["source"] == "Fashion-MNIST stand-in"


def test_operators(manifest):
    results = parts.operators(TINY, manifest, quiet)
    check(results[:1], "conv2d_im2col", "conv2d")
    check(results[1:], "pool2d_windows", "max_pool2d")
    assert [result["goal"]["at_most"] for result in results] == [3, 2]
    assert all("256×6×28×28" in result["what"] for result in results)


def test_parts_in_fresh_processes(manifest, small_files, monkeypatch):
    quantities, numbers = ("torch", "beyond", "imports", "seconds", "megabytes"), count(1.0)
    fake = mock.Mock(side_effect=lambda *asked: dict.fromkeys(quantities, next(numbers)))
    monkeypatch.setattr(parts, "in_fresh_process", fake)
    monkeypatch.setattr(rival, "load_d2l", lambda: None)
    torch_alone, beyond = parts.imports(TINY, manifest, quiet)
    assert torch_alone["sides"]["torch"]["values"] == [5.0, 9.0]  # after the warming up
    assert beyond["sides"]["course_utils"]["values"] == [5.0, 9.0]
    assert beyond["sides"]["d2l"]["values"] == [8.0, 12.0]
    results = parts.data(TINY, manifest, quiet)
    check(results, "course", "d2l")
    assert [result.get("goal", {}).get("at_most") for result in results] == [0.5, 120, None]


def test_imports_are_those_of_the_chapters(manifest):
    found = parts.course_imports(manifest)
    assert all(line.startswith(("from course_utils", "import course_utils")) for line in found)
    assert any("train_ch6" in line for line in found) and found == sorted(set(found))


def test_a_fresh_process():
    found = fresh.in_fresh_process(fresh.import_seconds, "import json; import wave")
    assert list(found) == ["torch", "beyond"] and min(found.values()) > 0
    with pytest.raises(RunError, match="import_seconds failed: ModuleNotFoundError"):
        fresh.in_fresh_process(fresh.import_seconds, "import no_such_module")
    killed = "import os, warnings; warnings.warn('of no matter'); os.kill(os.getpid(), 9)"
    with pytest.raises(RunError, match="failed: SIGKILL, often because memory ran out"):
        fresh.in_fresh_process(fresh.import_seconds, killed)


def test_scaling_and_its_plot(manifest, small_files, small_nets, monkeypatch, tmp_path):
    monkeypatch.setattr(parts, "cpu_count", lambda: 2)
    asked, before = [], torch.get_num_threads()
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    results = parts.scaling(TINY, manifest, quiet)
    assert asked == [1, before, 2, before] * 3 * 2  # warming up and two rounds, of two networks
    curves = [result for result in results if "examples" in result]
    assert [(c["net"], c["threads"], c["examples"]) for c in curves] == [
        (net, threads, [8, 16, 32]) for net in ("LeNet", "Small") for threads in (1, 2)
    ]
    check(curves, "8 examples", "16 examples", "32 examples")
    check([r for r in results if "examples" not in r], "1 thread", "2 threads")
    parts.plot(results, tmp_path / "plot")
    assert (tmp_path / "plot").read_bytes().startswith(b"\x89PNG")


# ------------------------------------------------------------------------------------ chapters


@pytest.fixture
def report(manifest, tmp_path):
    """Writes a report of a quick run, ten seconds a chapter, at twice the reference rate, and
    returns what the part chapters makes of it."""

    def measure(text=None, **changes):
        entries = [{"name": c.name, "status": "passed", "seconds": 10.0} for c in manifest.chapters]
        data = {"profile": "quick", "versions": {}, "fast_dev_run": False, "chapters": entries}
        data |= {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:15+00:00"}
        data |= {"matmul_gflops": 2.0 * parts.REFERENCE, **changes}
        (tmp_path / "run" / "quick").mkdir(parents=True)
        (tmp_path / "run" / "quick" / "report.json").write_text(text or json.dumps(data))
        return parts.chapters(TINY, dataclasses.replace(manifest, build_dir=tmp_path), quiet)

    return measure


def test_whole_chapters(manifest, report):
    each, whole = report()
    assert each["sides"]["03_lenet"]["values"] == [10.0]
    assert len(each["sides"]) == len(manifest.chapters)
    assert whole["sides"]["as run"]["median"] == 75.0  # they ran side by side
    assert whole["sides"]["at 157 GFLOP/s"]["median"] == 150.0
    assert whole["goal"]["met"] is True


@pytest.mark.parametrize("resumed, finished", [(True, "2026-01-01T00:01:15+00:00"), (False, None)])
def test_of_a_run_in_pieces_the_chapters_are_added_up(report, resumed, finished):
    passed = {"status": "passed", "seconds": 40.0, "resumed": resumed}
    entries = [{"name": name, **passed} for name in ("03_lenet", "05_alexnet")]
    _, whole = report(chapters=entries, finished=finished)
    assert whole["sides"]["one after the other"]["median"] == 80.0
    assert "goal" not in whole  # two chapters are not the whole course


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"fast_dev_run": True}, "no report of a whole run"),
        ({"chapters": []}, "no chapter passed"),
        ({"text": "{"}, "damaged"),
    ],
)
def test_chapters_not_run(report, changes, reason):
    with pytest.raises(RunError, match=reason):
        report(**changes)


# ------------------------------------------------------------------------------------- not run


def test_without_d2l_or_data(manifest, monkeypatch, small_files, tmp_path):
    def not_run(reason, *measures):
        for part in measures:
            with pytest.raises(RunError, match=reason):
                part(TINY, manifest, quiet)

    monkeypatch.setitem(sys.modules, "d2l", None)
    not_run("d2l cannot be imported", parts.lenet, parts.data)
    monkeypatch.setenv("COURSE_STANDIN", "1")
    not_run("no Fashion-MNIST here", parts.lenet, parts.nets, parts.data)
    monkeypatch.delenv("COURSE_STANDIN")
    write_dataset(tmp_path / "packed", compressed=True)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "packed"))
    publish(monkeypatch, small_dataset())
    not_run("packed", parts.lenet, parts.data)


def test_gpu(manifest, small_files, small_nets, monkeypatch, tmp_path):
    """As far as a CPU can tell: on the CPU, with what it says of a device put in its place."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RunError, match="none here"):
        parts.gpu(TINY, manifest, quiet)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    looks = {"is_available": True, "get_device_name": "a GPU", "reset_peak_memory_stats": None}
    looks |= {"memory_allocated": 1_000_000, "max_memory_allocated": 3_000_000}
    for name, value in looks.items():
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(parts, "GPU", "cpu")
    some = dataclasses.replace(TINY, examples={"gpu": {"lenet": 40, "resnet": 40}})
    results = parts.gpu(some, manifest, quiet)
    check(results, "course, float32", "course, auto", "d2l")
    for rates, memory in (results[:2], results[2:]):
        assert rates["what"].startswith("a GPU: ") and rates["unit"] == "examples/s"
        assert memory["sides"]["d2l"]["values"] == [2.0, 2.0]
    assert [result.get("goal", {}).get("at_least") for result in results[::2]] == [10**6, 37_600]


# --------------------------------------------------------------------------------- the command


@pytest.fixture
def small_parts(monkeypatch):
    """A part that measures nothing, one that cannot run, and one that is stopped."""
    found = {
        "quick": mock.Mock(return_value=[measured("w", "s", {"a": [1.0, 2.0, 4.0]})]),
        "impossible": mock.Mock(side_effect=RunError("no such thing")),
        "stopped": mock.Mock(side_effect=KeyboardInterrupt),
    }
    monkeypatch.setattr(run, "PARTS", {name: (name.title(), part) for name, part in found.items()})


def test_the_file_and_the_table(small_parts, manifest, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run.run_bench(manifest, "impossible,quick", tmp_path) == 0
    printed = capsys.readouterr().out
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert list(saved) == ["quick", "impossible"]
    for part in saved.values():
        for key in ("started", "data", "threads", "versions", "cpu_count", "rounds", "seconds"):
            assert part[key] is not None
        for result in part["results"]:
            assert all(line in printed for line in lines(result))
    assert "Impossible: not run (no such thing)" in printed
    assert saved["quick"]["results"][0]["sides"]["a"]["median"] == 2.0


def test_earlier_parts_stay(small_parts, manifest, tmp_path):
    run.run_bench(manifest, "impossible", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.run_bench(manifest, "quick,stopped", tmp_path)
    assert set(json.loads((tmp_path / "bench.json").read_text())) == {"quick", "impossible"}
    (tmp_path / "bench.json").write_text('["something else"]')
    with pytest.raises(RunError, match="bench.json is damaged"):
        run.run_bench(manifest, "quick", tmp_path)
    assert (tmp_path / "bench.json").read_text() == '["something else"]'


def test_a_fast_run_measures_nothing(manifest, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    with pytest.raises(RunError, match="COURSE_FAST_DEV_RUN"):
        run.run_bench(manifest, "gpu", tmp_path)
    assert not list(tmp_path.iterdir())


def test_parts_by_name():
    assert run.chosen_parts() == list(run.PARTS)
    assert run.chosen_parts("gpu, lenet") == ["lenet", "gpu"]
    for names, hint in {"lenet,operator": "'operator'.*did you mean operators", "": "''"}.items():
        with pytest.raises(RunError, match=hint):
            run.chosen_parts(names)
    assert run.bench_sizes(3, 100).examples["quick"] == dict.fromkeys(cases.TOPICS, 100)
    assert run.bench_sizes(3) == dataclasses.replace(run.Sizes(), rounds=3)


def test_the_command(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")})
    told = course("bench", "--help", cwd=tmp_path).stdout
    assert f"Parts: {', '.join(run.PARTS)}." in " ".join(told.split())
    assert_refused(
        course("bench", "--only", "chapter", cwd=tmp_path), "no part 'chapter'", "chapters"
    )
    result = course("bench", "--only", "gpu", "--out", "book.toml", cwd=tmp_path)
    assert_refused(result, "book.toml", "--out")
    result = course("bench", "--only", "chapters", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "not run (no report of a whole run in" in result.stdout
    assert (tmp_path / "build" / "bench" / "bench.json").is_file()


# ------------------------------------------------------------------------------------ start-up


HEAVY = [
    *("pandas", "torchvision", "d2l", "matplotlib", "IPython", "rich", "torchinfo", "scipy"),
    *("sklearn", "mlxtend", "nbformat", "papermill", "psutil", "onnx", "onnxruntime"),
]


def test_learners_modules_import_nothing_that_takes_long():
    """pandas, torchvision, d2l, matplotlib and their like only inside functions that use them."""
    package = REPOSITORY / "course_utils"
    paths = [path.relative_to(REPOSITORY).with_suffix("") for path in package.rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in sorted(paths)]
    learners = [name for name in names if not name.startswith("course_utils.commands")]
    assert {"course_utils.training.trainer", "course_utils.nets.resnet"} <= set(learners)
    code = f"""
import importlib, sys
for name in {learners}:
    importlib.import_module(name)
    loaded = set({HEAVY}) & set(sys.modules)
    assert not loaded, f"{{name}} imports {{loaded}}"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
