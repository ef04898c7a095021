"""`course bench`: measured in turn, computed right, shown as saved. No test asserts a time."""

import dataclasses
import json
import subprocess
import sys

import pytest
import torch
from conftest import REPOSITORY
from publishing import assert_refused, course, environment, make_course, notebook
from smalldata import publish, small_dataset, write_dataset

from course_utils.commands.bench import (
    cases,
    chapters,
    fresh,
    gpu,
    limit,
    operators,
    parts,
    rival,
    run,
    scaling,
    startup,
    table,
)
from course_utils.commands.bench.rounds import (
    NotRun,
    at_least,
    at_most,
    interleave,
    measured,
    not_run,
)
from course_utils.commands.cli import bench, main
from course_utils.commands.manifest import load_manifest
from course_utils.errors import RunError
from course_utils.measure import count_macs

TINY = run.Sizes(
    rounds=2,
    lenet_train=1280,
    lenet_test=30,
    nets=dict.fromkeys(cases.TOPICS, 40),
    published=40,
    limit=dict.fromkeys(("lenet", *cases.TOPICS), 40),
    product_seconds=0.001,
    product_size=64,
    operator_calls=1,
    scaling={"lenet": 16, "resnet": 8},
)


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
    small = cases.Case("Small", "lenet", 28, 8, 0.1, computing={"amp": True})
    lenet = dataclasses.replace(small, title="LeNet")
    monkeypatch.setattr(cases, "lenet_case", lambda manifest: lenet)
    monkeypatch.setattr(cases, "quick_case", lambda manifest, topic: small)
    monkeypatch.setattr(cases, "published_case", lambda manifest, topic, batch_size: small)


def quiet(text):
    pass


# ------------------------------------------------------------------------------------- numbers


def test_sides_are_measured_in_turn():
    calls, told = [], []
    sides = {
        name: lambda number, name=name: calls.append((name, number)) or number for name in "AB"
    }
    assert interleave(sides, 3, told.append) == {"A": [0, 1, 2], "B": [0, 1, 2]}
    assert calls == [("A", 0), ("B", 0), ("A", 1), ("B", 1), ("A", 2), ("B", 2)]
    assert told[0] == "round 1 of 3, A" and told[-1] == "round 3 of 3, B"
    calls.clear()
    assert interleave(sides, 1, warm_up=True) == {"A": [0], "B": [0]}
    assert len(calls) == 4, "a warming up that does not count"


def test_the_ratio_is_taken_round_by_round():
    """A machine that becomes ten times slower changes the medians, but not the ratio."""
    values = {"ours": [1.0, 10.0, 2.0, 1.0, 30.0], "theirs": [3.0, 30.0, 8.0, 2.0, 90.0]}
    result = measured("w", "s", values, ratio=("theirs", "ours"), goal=at_least(3), more=1)
    assert result["sides"]["ours"] == {
        "median": 2.0,
        "low": 1.0,
        "high": 30.0,
        "values": [1.0, 10.0, 2.0, 1.0, 30.0],
    }
    assert result["sides"]["theirs"]["median"] == 8.0
    assert result["ratio"]["values"] == [3.0, 3.0, 4.0, 2.0, 3.0]
    assert (result["ratio"]["median"], result["ratio"]["of"]) == (3.0, "theirs / ours")
    assert result["goal"] == {"of": "ratio", "at_least": 3, "met": True} and result["more"] == 1


@pytest.mark.parametrize(
    "goal, met",
    [
        (at_least(2), True),
        (at_least(2.01), False),
        (at_most(2), True),
        (at_most(1.99), False),
        (at_most(5, of="a"), False),
        (at_most(3, of="b"), True),
    ],
)
def test_goals(goal, met):
    result = measured("w", "s", {"a": [6.0], "b": [3.0]}, ratio=("a", "b"), goal=goal)
    assert result["goal"]["met"] is met


def test_the_table_shows_what_is_saved():
    values = {"course": [0.5, 0.25, 1.0], "d2l": [2.0, 1500.0, 4.0]}
    result = measured("what", "s", values, ratio=("d2l", "course"), goal=at_most(0.5, of="course"))
    result = json.loads(json.dumps(result))
    assert list(table.rows(result)) == [
        ("course", "0.500 s", "0.250–1.00", "goal ≤ 0.5: met"),
        ("d2l", "4.00 s", "2.00–1,500", ""),
        ("d2l / course", "4.00 ×", "4.00–6,000", ""),
    ]
    trained = measured("t", "s", {"a": [1.0]}, test_acc={"a": [0.5, 0.7, 0.8]})
    assert table.lines(trained)[-1].split() == ["test", "accuracy,", "a", "0.700", "0.500–0.800"]
    one = measured("one", "MB", {"x": [12.34]}, goal=at_least(20, of="x"), note="why")
    assert table.lines(one)[:2] == ["one", "(why)"]
    assert table.lines(one)[2].split() == ["x", "12.3", "MB", "goal", "≥", "20:", "missed"]
    assert table.lines(not_run("GPU", "none here")) == ["GPU: not run (none here)"]


@pytest.mark.parametrize(
    "value, text",
    [(0.01234, "0.0123"), (2, "2.00"), (99.94, "99.9"), (99.96, "100"), (12345.6, "12,346")],
)
def test_three_digits(value, text):
    assert table.figure(value) == text


def test_the_geometric_mean_of_the_nets(manifest, monkeypatch):
    factors = iter([[1.0, 2.0], [4.0, 2.0], [1.0, 8.0], [4.0, 2.0]] * 2)

    def duel(case, train_examples, test_examples, goal, rounds, tell):
        return {"ratio": {"values": next(factors)}, "what": case.title, "examples": train_examples}

    monkeypatch.setattr(parts, "_duel", duel)
    results = parts.nets(TINY, manifest, quiet)
    assert [result["what"] for result in results[:4]] == ["AlexNet", "VGG", "GoogLeNet", "ResNet"]
    assert all(result["examples"] % 5 == 0 for result in results if "examples" in result)
    for mean in (results[4], results[9]):
        assert mean["sides"]["mean"]["values"] == pytest.approx([2.0, 8.0**0.5])
        assert mean["goal"]["at_least"] == 1.8


# --------------------------------------------------------------------------------------- cases


def test_cases_are_those_of_the_chapters(manifest):
    for topic, preset in zip(
        cases.TOPICS, ("alexnet", "vgg11-slim", "googlenet-d2l", "resnet18-d2l"), strict=True
    ):
        (chapter,) = [chapter for chapter in manifest.chapters if chapter.topic == topic]
        values = cases.parameters(chapter.file)
        quick = cases.quick_case(manifest, topic)
        assert (quick.preset, quick.image_size) == (values["preset"], values["image_size"])
        assert (quick.batch_size, quick.lr) == (values["batch_size"], chapter.full["lr"])
        assert quick.computing["amp"] == values["amp"]
        X = torch.zeros(2, 1, quick.image_size, quick.image_size)
        assert quick.build()(X).shape == (2, 10)
        published = cases.published_case(manifest, topic, 16)
        assert (published.preset, published.batch_size) == (preset, 16)
        assert published.image_size == chapter.full["image_size"]
        assert published.computing == quick.computing
        with torch.device("meta"):
            X = torch.zeros(2, 1, published.image_size, published.image_size)
            assert published.build()(X).shape == (2, 10)


def test_a_retuned_chapter_is_measured_as_it_is(tmp_path):
    text = 'preset = "resnet18"  # form\nimage_size = 20\nbatch_size = 7\namp = "auto"\nx = f()\n'
    made = notebook("1", parameters=text)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    make_course(
        tmp_path,
        {"08_resnet": made},
        extra={"08_resnet": "[chapter.full]\nlr = 0.3\n"},
    )
    made = load_manifest(tmp_path / "book.toml")
    case = cases.quick_case(made, "resnet")
    assert (case.image_size, case.batch_size, case.lr) == (20, 7, 0.3)
    assert case.computing == {"amp": "auto"}
    assert "x" not in cases.parameters(made.chapters[0].file)
    with pytest.raises(RunError, match="no chapter on vgg"):
        cases.quick_case(made, "vgg")


def test_whole_batches():
    case = cases.Case("t", "lenet", None, 100, 0.1)
    assert [case.whole_batches(n) for n in (1, 499, 500, 799)] == [500, 500, 500, 700]


def test_flops_of_a_step(manifest):
    """Six for each multiply-add, less two for each of the first layer's: nobody needs the
    gradient of the images. Counted by hand for LeNet."""
    first = 6 * 25 * 28 * 28
    macs = first + 16 * 150 * 10 * 10 + 400 * 120 + 120 * 84 + 84 * 10
    case = cases.lenet_case(manifest)
    assert limit.step_flops(case) == case.batch_size * (6 * macs - 2 * first)
    assert count_macs(case.build(), (1, 28, 28)) == macs


# --------------------------------------------------------------------------------------- parts


def check(results, sides, rounds=TINY.rounds):
    """Every result has these sides, a number for each round, and survives JSON."""
    assert json.loads(json.dumps(results)) == results
    for result in results:
        assert list(result["sides"]) == sides
        for side in result["sides"].values():
            assert len(side["values"]) == rounds and min(side["values"]) > 0
        assert table.lines(result)[0] == result["what"]


@pytest.mark.xdist_group("d2l")
def test_lenet_against_d2l(manifest, small_files):
    results = parts.lenet(TINY, manifest, quiet)
    check(results, ["course", "d2l"])
    (result,) = results
    assert "1,280 examples, 30 to evaluate" in result["what"]
    assert result["goal"]["at_least"] == 4 and result["ratio"]["of"] == "d2l / course"
    for accuracies in result["test_acc"].values():
        assert len(accuracies["values"]) == 2 and 0 <= accuracies["low"] <= accuracies["high"] <= 1


@pytest.mark.xdist_group("d2l")
def test_both_sides_train_the_same(manifest, small_files, monkeypatch):
    """From the same weights, on the same batches, d2l's trainer ends where ours does."""
    d2l, case = rival.load_d2l(), cases.Case("t", "lenet", None, 256, 0.9)
    train_iter, test_iter = case.loaders(1280, 300)
    batches = list(train_iter)
    seen = []
    build = case.build

    def remembered(self, seed=0):
        seen.append(build(seed))
        return seen[-1]

    monkeypatch.setattr(cases.Case, "build", remembered)
    history = case.train(batches, test_iter, seed=3)
    accuracy = rival.train(d2l, case.build(3), batches, test_iter, case.lr)
    assert accuracy == history.test_acc[-1]
    for ours, theirs in zip(seen[0].parameters(), seen[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.xdist_group("d2l")
def test_d2l_reads_the_same_files_and_writes_none(small_files, tmp_path):
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    train, test = rival.loaders(rival.load_d2l(), tmp_path, 10, train_examples=30)
    images, labels = small_files.read(tmp_path, "test")
    assert (len(train.dataset), len(test.dataset)) == (30, 300)
    X, y = test.dataset[7]
    assert torch.equal(X[0], torch.as_tensor(images[7].copy()) / 255) and y == labels[7]
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.xdist_group("d2l")
def test_the_larger_nets_against_d2l(manifest, small_files, small_nets, monkeypatch):
    monkeypatch.setattr(cases, "TOPICS", ("resnet",))
    results = parts.nets(dataclasses.replace(TINY, rounds=1), manifest, quiet)
    check(results[0::2], ["course", "d2l"], rounds=1)
    check(results[1::2], ["mean"], rounds=1)
    assert "40 examples, 6 to evaluate" in results[0]["what"]
    assert "bfloat16" in results[0]["note"]


@pytest.mark.xdist_group("d2l")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_first_batch(small_files, small_nets, manifest, monkeypatch):
    monkeypatch.setattr(startup, "in_fresh_process", lambda function, *a: function(*a))
    monkeypatch.setattr(fresh, "memory", iter(range(1_000_000, 10**9, 1_000_000)).__next__)
    results = startup.data(TINY, manifest, quiet)
    check(results, ["course", "d2l"])
    assert results[1]["sides"]["course"]["values"] == [1.0, 1.0]  # MB, from one look to the next
    assert [result.get("goal", {}).get("at_most") for result in results] == [0.5, 120, None]


def test_memory_counts_what_this_process_holds():
    before = fresh.memory()
    held = bytearray(64_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert 50e6 < fresh.memory() - before < 90e6


def test_limit(manifest, small_nets, monkeypatch):
    monkeypatch.setenv("COURSE_STANDIN", "1")
    results = limit.limit(TINY, manifest, quiet)
    check(results, ["step", "fp32 product", "bf16 product"])
    assert [result["goal"]["at_least"] for result in results] == [0.25, 0.9, 0.9, 0.9, 0.9]
    assert results[1]["precision"] == ["bfloat16, channels-last"]
    assert results[0]["source"] == "Fashion-MNIST stand-in"


def test_operators(manifest):
    results = operators.operators(TINY, manifest, quiet)
    check(results[:1], ["im2col", "F.conv2d"])
    check(results[1:], ["pool2d_windows", "nn.MaxPool2d"])
    assert [result["goal"]["at_most"] for result in results] == [3, 2]
    assert all("256×6×28×28" in result["what"] for result in results)


def test_imports(manifest, monkeypatch):
    asked = []

    def process(function, *blocks):
        asked.append(blocks)
        return [2.0, float(len(asked))]

    monkeypatch.setattr(startup, "in_fresh_process", process)
    torch_alone, beyond = startup.imports(TINY, manifest, quiet)
    assert torch_alone["sides"]["torch"]["values"] == [2.0, 2.0]
    assert beyond["sides"]["course_utils"]["values"] == [5.0, 9.0]  # after the warming up
    assert beyond["sides"]["d2l"]["values"] == [8.0, 12.0]
    assert all(blocks[0] == "import torch" for blocks in asked)


def test_imports_are_those_of_the_chapters(manifest):
    lines = startup.course_imports(manifest)
    assert all(line.startswith(("from course_utils", "import course_utils")) for line in lines)
    assert any("train_ch6" in line for line in lines) and lines == sorted(set(lines))


def test_a_fresh_process():
    first, second = fresh.in_fresh_process(fresh.import_seconds, "import json", "import wave")
    assert first > 0 and second > 0
    assert fresh.in_fresh_process(fresh.import_seconds) == []
    with pytest.raises(NotRun, match="import_seconds failed: ModuleNotFoundError"):
        fresh.in_fresh_process(fresh.import_seconds, "import no_such_module")


def test_scaling_and_its_plot(manifest, small_files, small_nets, monkeypatch, tmp_path):
    monkeypatch.setattr(scaling, "cpu_count", lambda: 2)
    asked = []

    def process(function, jobs, threads):
        asked.append(threads)
        return function(jobs)

    monkeypatch.setattr(scaling, "in_fresh_process", process)
    results = scaling.scaling(TINY, manifest, quiet)
    assert asked == [1, 2, 1, 2]
    curves = [result for result in results if "examples" in result]
    assert [(c["net"], c["threads"], c["examples"]) for c in curves] == [
        ("LeNet", 1, [16, 32, 64]),
        ("LeNet", 2, [16, 32, 64]),
        ("Small", 1, [8, 16, 32]),
        ("Small", 2, [8, 16, 32]),
    ]
    check(curves[:2], ["16 examples", "32 examples", "64 examples"])
    check([r for r in results if "examples" not in r], ["1 thread", "2 threads"])
    scaling.plot(results, tmp_path / "plot")
    assert (tmp_path / "plot").read_bytes().startswith(b"\x89PNG")


def test_threads_reach_the_process(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    code = "import os, pathlib; pathlib.Path({!r}).write_text(os.environ['OMP_NUM_THREADS'])"
    fresh.in_fresh_process(fresh.import_seconds, code.format(str(tmp_path / "n")), threads=1)
    assert (tmp_path / "n").read_text() == "1"


# ------------------------------------------------------------------------------------ not run


def write_report(folder, **changes):
    """A report of a quick run of every chapter, ten seconds each, at twice the reference rate."""
    entries = [
        {"name": chapter.name, "status": "passed", "seconds": 10.0}
        for chapter in load_manifest(REPOSITORY / "book.toml").chapters
    ]
    data = {"profile": "quick", "versions": {}, "fast_dev_run": False, "chapters": entries}
    data |= {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:15+00:00"}
    data |= {"matmul_gflops": 2.0 * chapters.REFERENCE, **changes}
    (folder / "run" / "quick").mkdir(parents=True)
    (folder / "run" / "quick" / "report.json").write_text(json.dumps(data))
    return len(entries)


def test_whole_chapters(manifest, tmp_path):
    count = write_report(tmp_path)
    each, whole = chapters.chapters(TINY, dataclasses.replace(manifest, build_dir=tmp_path), quiet)
    assert each["sides"]["03_lenet"]["values"] == [10.0] and len(each["sides"]) == count
    assert whole["sides"]["as run"]["median"] == 75.0  # they ran side by side
    assert whole["sides"]["at 157 GFLOP/s"]["median"] == 150.0
    assert whole["goal"]["met"] is True


@pytest.mark.parametrize("cut", ["resumed", "stopped"])
def test_of_a_run_in_pieces_the_chapters_are_added_up(manifest, tmp_path, cut):
    entries = [
        {"name": name, "status": "passed", "seconds": 40.0, "resumed": cut == "resumed"}
        for name in ("03_lenet", "05_alexnet")
    ]
    changes = {"finished": None} if cut == "stopped" else {}
    write_report(tmp_path, chapters=entries, **changes)
    _, whole = chapters.chapters(TINY, dataclasses.replace(manifest, build_dir=tmp_path), quiet)
    assert whole["sides"]["one after the other"]["median"] == 80.0


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"fast_dev_run": True}, "fast dev run"),
        ({"chapters": []}, "no chapter passed"),
    ],
)
def test_chapters_not_run(manifest, tmp_path, changes, reason):
    write_report(tmp_path, **changes)
    with pytest.raises(NotRun, match=reason):
        chapters.chapters(TINY, dataclasses.replace(manifest, build_dir=tmp_path), quiet)


def test_chapters_without_a_report(manifest, tmp_path):
    empty = dataclasses.replace(manifest, build_dir=tmp_path)
    with pytest.raises(NotRun, match="no report"):
        chapters.chapters(TINY, empty, quiet)
    (tmp_path / "run" / "quick").mkdir(parents=True)
    (tmp_path / "run" / "quick" / "report.json").write_text("{")
    with pytest.raises(NotRun, match="damaged"):
        chapters.chapters(TINY, empty, quiet)


def test_some_chapters_are_not_the_whole_course(manifest, tmp_path):
    write_report(tmp_path, chapters=[{"name": "03_lenet", "status": "passed", "seconds": 1.0}])
    _, whole = chapters.chapters(TINY, dataclasses.replace(manifest, build_dir=tmp_path), quiet)
    assert "goal" not in whole


def test_without_d2l_or_data(manifest, tmp_path, monkeypatch, small_files):
    monkeypatch.setitem(sys.modules, "d2l", None)
    for part in (parts.lenet, startup.data):
        with pytest.raises(NotRun, match="d2l cannot be imported"):
            part(TINY, manifest, quiet)
    monkeypatch.setenv("COURSE_STANDIN", "1")
    for part in (parts.lenet, parts.nets, startup.data):
        with pytest.raises(NotRun, match="no Fashion-MNIST here"):
            part(TINY, manifest, quiet)


def test_packed_files_are_not_for_d2l(tmp_path, monkeypatch):
    write_dataset(tmp_path, compressed=True)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    publish(monkeypatch, small_dataset())
    with pytest.raises(NotRun, match="packed"):
        rival.real_data()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_gpu_not_run(manifest):
    with pytest.raises(NotRun, match="none here"):
        gpu.gpu(TINY, manifest, quiet)


# --------------------------------------------------------------------------------- the command


@pytest.fixture
def one_part(monkeypatch):
    """A part that measures nothing, one that cannot run, and one that is stopped."""

    def stopped(sizes, manifest, tell):
        raise KeyboardInterrupt

    def impossible(sizes, manifest, tell):
        raise NotRun("no such thing")

    def quick(sizes, manifest, tell):
        return [measured("w", "s", {"a": [1.0, 2.0, 4.0]})]

    parts = {"quick": quick, "impossible": impossible, "stopped": stopped}
    monkeypatch.setattr(run, "PARTS", {name: (name.title(), f) for name, f in parts.items()})


def test_the_file_and_the_table(one_part, manifest, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert run.run_bench(manifest, "impossible,quick", tmp_path) == 0
    printed = capsys.readouterr().out
    saved = json.loads((tmp_path / "bench.json").read_text())
    assert list(saved) == ["quick", "impossible"]
    for part in saved.values():
        for key in ("started", "data", "threads", "versions", "cpu_count", "rounds", "seconds"):
            assert part[key] is not None
        for result in part["results"]:
            assert all(line in printed for line in table.lines(result))
    assert "Impossible: not run (no such thing)" in printed
    assert saved["quick"]["results"][0]["sides"]["a"]["median"] == 2.0


def test_earlier_parts_stay(one_part, manifest, tmp_path):
    run.run_bench(manifest, "impossible", tmp_path)
    run.run_bench(manifest, "quick", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.run_bench(manifest, "quick,stopped", tmp_path)
    assert set(json.loads((tmp_path / "bench.json").read_text())) == {"quick", "impossible"}
    (tmp_path / "bench.json").write_text('["something else"]')
    with pytest.raises(RunError, match="bench.json is damaged"):
        run.run_bench(manifest, "quick", tmp_path)
    assert (tmp_path / "bench.json").read_text() == '["something else"]'


def test_parts_by_name():
    assert run.chosen_parts() == list(run.PARTS)
    assert f"Parts: {', '.join(run.PARTS)}." in bench.help
    assert run.chosen_parts("gpu, lenet") == ["lenet", "gpu"]
    with pytest.raises(RunError, match="'operator'.*did you mean operators"):
        run.chosen_parts("lenet,operator")
    assert run.bench_sizes(3, 100).nets == dict.fromkeys(cases.TOPICS, 100)
    assert run.bench_sizes(3).rounds == 3


@pytest.mark.parametrize(
    "args, parts",
    [
        (["--only", "lenett"], ["no part 'lenett'", "lenet"]),
        (["--only", ""], ["no part ''"]),
        (["--only", "gpu", "--out", "book.toml"], ["book.toml", "--out"]),
    ],
)
def test_bad_arguments_are_refused(tmp_path, monkeypatch, capsys, args, parts):
    monkeypatch.chdir(make_course(tmp_path, {"01_a": notebook("1")}))
    assert main(["bench", *args]) == 2
    said = capsys.readouterr().err
    assert said.startswith("course: ") and len(said.splitlines()) <= 2
    assert all(part in said for part in parts)


def test_a_fast_run_measures_nothing(manifest, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    with pytest.raises(RunError, match="COURSE_FAST_DEV_RUN"):
        run.run_bench(manifest, "gpu", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")})
    assert_refused(course("bench", "--only", "chapter", cwd=tmp_path), "chapters")
    result = course("bench", "--only", "chapters", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "not run (no report in" in result.stdout
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
