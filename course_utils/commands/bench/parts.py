"""The parts of `course bench`: each measures its sides in turn and returns its results."""

import statistics
import time
from dataclasses import replace
from datetime import datetime

from course_utils.commands.bench import cases, rival
from course_utils.commands.bench.fresh import first_batch, import_seconds, in_fresh_process
from course_utils.commands.bench.rounds import interleave, measured
from course_utils.commands.grade.needed import statements
from course_utils.commands.notebooks import code_cells, read_notebook
from course_utils.commands.run.machine import matrix_rate
from course_utils.commands.run.pool import cpu_count
from course_utils.commands.run.report import read_report
from course_utils.errors import RunError

PUBLISHED_BATCH = 32  # images of the full profile's size; its own batches are 4 to 8 times this
REFERENCE = 157  # GFLOP/s in fp32 of the two cores that the course's times are stated for
FACTORS = (1, 2, 4)  # of the data, in the part scaling
GPU = "cuda"
GPU_GOALS = {"lenet": 1_000_000, "resnet": 8 * 4700}  # examples/s; published ResNet: 4,700


def lenet(sizes, manifest, tell):
    """LeNet at the published settings: one epoch and the evaluation after it, against d2l's."""
    case = cases.chapter_case(manifest, "lenet")
    return [_duel(case, sizes.examples["lenet"]["lenet"], 4, sizes.rounds, tell)]


def nets(sizes, manifest, tell):
    """The four larger networks, at the quick profile's sizes and at the published ones."""
    results = []
    for size in ("quick", "published"):
        duels = []
        for topic in cases.TOPICS:
            case = cases.chapter_case(manifest, topic, size == "published")
            if size == "published":
                case = replace(case, batch_size=PUBLISHED_BATCH)
            duels.append(_duel(case, sizes.examples[size][topic], 1.5, sizes.rounds, tell))
        ratios = [duel["ratio"]["values"] for duel in duels]
        means = {"mean": list(map(statistics.geometric_mean, zip(*ratios, strict=True)))}
        what = f"d2l / course, geometric mean of the four, {size} size"
        results += [*duels, measured(what, "×", means, goal={"of": "mean", "at_least": 1.8})]
    return results


def _duel(case, examples, goal, rounds, tell):
    """Seconds of an epoch with evaluation, with the course's trainer and loader and with d2l's.

    Both start from the same weights in each round and then draw Xavier's.
    """
    root, d2l = rival.real_data(), rival.load_d2l()

    def sides(*counts):
        ours = case.loaders(*counts)
        theirs = rival.loaders(d2l, root, case.batch_size, case.image_size, *counts)

        def course(net):
            history = case.train(net, *ours)
            return {"accuracy": history.test_acc[-1], "precision": history.precision}

        def other(net):
            return {"accuracy": rival.train(d2l, net, *theirs, case.lr)}

        return {"course": _clocked(case, course), "d2l": _clocked(case, other)}

    train = case.whole_batches(examples)
    test = max(1, train // 6)  # as 10,000 to 60,000
    few = sides(case.whole_batches(0), case.batch_size)
    found = interleave(sides(train, test), rounds, _about(case, tell), warm_up=few)
    return measured(
        f"{case}, {case.image_size or 28} px, batch {case.batch_size}: "
        f"an epoch of {train:,} examples, {test:,} to evaluate",
        "s",
        found["seconds"],
        ratio=("d2l", "course"),
        goal={"at_least": goal},
        note=f"course: {', '.join(sorted(set(found['precision']['course'])))}; d2l: float32",
        test_acc=found["accuracy"],
    )


def _clocked(case, train):
    """A side: the seconds of `train(net)`, and what else it returns; the net is built before."""

    def epoch(number):
        net = case.build(number)
        start = time.perf_counter()
        found = train(net)
        return {"seconds": time.perf_counter() - start, **found}

    return epoch


def _about(case, tell):
    return lambda text: tell(f"{case.title}, {case.image_size or 28} px: {text}")


def limit(sizes, manifest, tell):
    """Each network's training step beside plain products of matrices, in the same rounds."""
    return [
        _step_and_products(cases.chapter_case(manifest, topic), examples, sizes, tell)
        for topic, examples in sizes.examples["limit"].items()
    ]


def _step_and_products(case, examples, sizes, tell):
    train_iter, _ = case.loaders(case.whole_batches(examples))
    each = step_flops(case) / case.batch_size / 1e9

    def step(number):
        history = case.train(case.build(number), train_iter)
        return {"rate": each * history.examples_per_sec, "precision": history.precision}

    def product(dtype):
        return lambda number: {"rate": matrix_rate(dtype, sizes.seconds, sizes.matrix)}

    products = {"fp32 product": product("float32"), "bf16 product": product("bfloat16")}
    found = interleave({"step": step, **products}, sizes.rounds, _about(case, tell))
    return measured(
        f"{case}, {train_iter.num_examples:,} examples: {each * 1e3:.1f} MFLOP each",
        "GFLOP/s",
        found["rate"],
        ratio=("step", "fp32 product"),
        goal={"at_least": 0.25 if case.title == "LeNet" else 0.9},
        source=train_iter.source,
        precision=sorted(set(found["precision"]["step"])),
    )


def step_flops(case):
    """Floating-point operations of the products in one training step on a whole batch.

    Two per multiply-add: forward once, backward twice (gradients of weights and of inputs), but for
    the first layer, whose input needs no gradient. Normalisation, activations, pooling, the
    optimiser and the loader are not counted, but their time is.
    """
    import torch
    from torch.nn import functional as F
    from torch.utils.flop_counter import FlopCounterMode

    side = case.image_size or 28
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), counter:  # shapes without memory or arithmetic
        net = case.build().train()
        X = torch.empty(case.batch_size, 1, side, side)
        y = torch.empty(case.batch_size, dtype=torch.int64)
        F.cross_entropy(net(X), y).backward()
    return counter.get_total_flops()


def operators(sizes, manifest, tell):
    """The course's own convolution and pooling against torch's, forward and backward."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from course_utils.nets.convolution import conv2d_im2col
    from course_utils.nets.pooling import pool2d_windows

    torch.manual_seed(0)
    shape = (256, 6, 28, 28)  # a batch as LeNet's first pooling sees it
    X, W = (torch.randn(size, requires_grad=True) for size in (shape, (16, 6, 5, 5)))
    b = torch.zeros(16, requires_grad=True)
    results = []
    for what, ours, theirs, inputs, bound in (
        ("convolution, 6 to 16 channels, 5×5", conv2d_im2col, F.conv2d, (X, W, b), 3),
        ("maximum pooling, 2×2", pool2d_windows, nn.functional.max_pool2d, (X, 2), 2),
    ):
        sides = {f.__name__: _timed(f, inputs, sizes.seconds) for f in (ours, theirs)}
        found = interleave(sides, sizes.rounds, tell)["ms"]
        what += ", on " + "×".join(map(str, shape))
        goal = {"at_most": bound}
        results.append(measured(what, "ms", found, ratio=tuple(sides), goal=goal))
    return results


def _timed(function, arguments, seconds):
    """A side: milliseconds of a function and the gradients of all tensors that it takes."""
    import torch
    from torch.utils.benchmark import Timer

    inputs = [x for x in arguments if torch.is_tensor(x)]
    grad = torch.randn_like(function(*arguments))
    timer = Timer(
        "grad_of(function(*arguments), inputs, grad)",
        globals={"grad_of": torch.autograd.grad, **locals()},
        num_threads=torch.get_num_threads(),
    )
    return lambda number: {"ms": 1e3 * timer.blocked_autorange(min_run_time=seconds).median}


def data(sizes, manifest, tell):
    """All of Fashion-MNIST, from raw files to the first batch; the files are in memory's cache."""
    root = str(rival.real_data())
    rival.load_d2l()
    sides = {
        name: lambda number, name=name: in_fresh_process(first_batch, name, root)
        for name in ("course", "d2l")
    }
    found = interleave(sides, sizes.rounds, tell)
    what, over = "all of Fashion-MNIST, raw files to first batch", ("d2l", "course")
    return [
        measured(what, "s", found["seconds"], ratio=over, goal={"of": "course", "at_most": 0.5}),
        measured(
            f"{what}: memory",
            "MB",
            found["megabytes"],
            ratio=over,
            goal={"of": "course", "at_most": 120},
        ),
        measured("imports before that, torch's among them", "s", found["imports"], ratio=over),
    ]


def imports(sizes, manifest, tell):
    """Imports in fresh processes, each after torch."""
    blocks = {
        "course_utils": "\n".join(course_imports(manifest)),
        "matplotlib.pyplot": "import matplotlib.pyplot",
        "torchvision": "import torchvision",
        "d2l": "from course_utils.commands.bench.rival import load_d2l; load_d2l()",
    }
    sides = {
        name: lambda number, block=block: in_fresh_process(import_seconds, block)
        for name, block in blocks.items()
    }
    found = interleave(sides, sizes.rounds, tell)
    return [
        measured("import torch", "s", {"torch": found["torch"]["course_utils"]}),
        measured(
            "import beyond torch; of course_utils, all that the chapters import of it",
            "s",
            found["beyond"],
            ratio=("d2l", "course_utils"),
            goal={"of": "course_utils", "at_most": 0.15},
        ),
    ]


def course_imports(manifest):
    """Every import of course_utils in the chapters' code cells, once each."""
    lines = set()
    for chapter in manifest.chapters:
        cells = code_cells(read_notebook(chapter.file))
        found = statements([source for source in cells if "course_utils" in source])
        lines |= {statement.source for statement in found if statement.imports}
    return sorted(line for line in lines if line.split()[1].split(".")[0] == "course_utils")


def chapters(sizes, manifest, tell):
    """Each chapter of the latest quick run, and all of them as at the reference rate.

    A whole run counts from its start to its end: chapters run side by side. Of one that was
    resumed, or did not end, only the sum of its chapters is known.
    """
    folder = manifest.build_dir / "run" / "quick"
    report = read_report(folder)
    if report is None or report["fast_dev_run"]:
        raise RunError(f"no report of a whole run in {folder} (course run)")
    passed = [e for e in report["chapters"] if e["status"] == "passed" and e.get("seconds")]
    if not passed:
        raise RunError(f"no chapter passed in the report in {folder}")
    seconds = {entry["name"]: [entry["seconds"]] for entry in passed}
    total, how = sum(entry["seconds"] for entry in passed), "one after the other"
    if report.get("finished") and not any(entry.get("resumed") for entry in report["chapters"]):
        begun, ended = (datetime.fromisoformat(report[key]) for key in ("started", "finished"))
        total, how = (ended - begun).total_seconds(), "as run"
    sums, goal, rate = {how: [total]}, None, report.get("matmul_gflops")
    if rate:
        scaled = f"at {REFERENCE} GFLOP/s"
        sums[scaled] = [total * rate / REFERENCE]
        if {chapter.name for chapter in manifest.chapters} == set(seconds):
            goal = {"of": scaled, "at_most": 600}
    what = f"{len(passed)} of {len(manifest.chapters)} chapters, machine at {rate or '?'} GFLOP/s"
    each = measured(f"chapters, run of {report.get('started', '?')}", "s", seconds)
    return [each, measured(what, "s", sums, goal=goal)]


def scaling(sizes, manifest, tell):
    """LeNet and ResNet: epochs per second on 1×, 2× and 4× the data, with 1 and 2 threads."""
    results = []
    for topic, examples in sizes.examples["scaling"].items():
        results += _curves(cases.chapter_case(manifest, topic), examples, sizes.rounds, tell)
    return results


def _curves(case, examples, rounds, tell):
    import torch

    counts = [factor * case.whole_batches(examples, least=1) for factor in FACTORS]
    loaders = {f"{count:,} examples": case.loaders(count)[0] for count in counts}
    threads = {f"{n} thread{'s' * (n > 1)}": n for n in (1, 2) if n <= cpu_count()}
    before = torch.get_num_threads()

    def side(number_of_threads):
        def epochs(number):
            torch.set_num_threads(number_of_threads)
            histories = {name: case.train(case.build(), it) for name, it in loaders.items()}
            torch.set_num_threads(before)
            return {name: 1 / history.seconds[0] for name, history in histories.items()}

        return epochs

    found = interleave({k: side(n) for k, n in threads.items()}, rounds, _about(case, tell))
    first, *_, most = loaders
    results = [
        measured(
            f"{case}, {name}: a cost that grows as the data has a ratio of {FACTORS[-1]}",
            "epochs/s",
            {count: rates[name] for count, rates in found.items()},
            ratio=(first, most),
            net=case.title,
            threads=n,
            examples=counts,
        )
        for name, n in threads.items()
    ]
    if len(threads) > 1:
        what, (one, two) = f"{case}, {most}: what threads give", threads
        results.append(measured(what, "epochs/s", found[most], ratio=(two, one)))
    return results


def plot(results, path):
    """Draw epochs per second against the number of examples, to a PNG at `path`.

    results: those of `scaling`; the ones that hold "examples" are drawn.
    """
    import numpy as np
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    from course_utils.plotting import STYLE

    curves = [result for result in results if "examples" in result]
    nets = list(dict.fromkeys(curve["net"] for curve in curves))
    with style.context(STYLE):
        fig = Figure(figsize=(7.6, 3.2), layout="constrained")
        axes = fig.subplots(1, len(nets), squeeze=False)[0]
        for curve in curves:
            ax, counts = axes[nets.index(curve["net"])], curve["examples"]
            spreads = [
                [side[k] for k in ("median", "low", "high")] for side in curve["sides"].values()
            ]
            medians, lows, highs = np.array(spreads).T
            label = f"{curve['threads']} thread{'s' * (curve['threads'] > 1)}"
            line, *_ = ax.errorbar(
                counts, medians, [medians - lows, highs - medians], marker="o", ms=4, label=label
            )
            ideal = medians[0] * counts[0] / np.array(counts)
            ax.plot(counts, ideal, ":", color=line.get_color(), lw=1)
            ax.set(title=curve["net"], xscale="log", yscale="log", xlabel="training examples")
            ax.set_xticks(counts, [f"{count:,}" for count in counts])
            ax.set_xticks([], minor=True)
            ax.yaxis.set_major_formatter(LogFormatter())  # 0.2, not 2 × 10⁻¹
            ax.yaxis.set_minor_formatter(LogFormatter())
            ax.legend()
        axes[0].set_ylabel("epochs per second")
        fig.suptitle("dotted: cost that grows as the data", fontsize="medium")
        fig.savefig(path, format="png")


def gpu(sizes, manifest, tell):
    """The five networks at their published sizes on a CUDA device: training only."""
    import torch

    if not torch.cuda.is_available():
        raise RunError("none here")
    results = []
    for topic, examples in sizes.examples["gpu"].items():
        case = cases.chapter_case(manifest, topic, published=True)
        results += _on_gpu(case, examples, GPU_GOALS.get(topic), sizes.rounds, tell)
    return results


def _on_gpu(case, examples, goal, rounds, tell):
    """Examples a second, and peak memory: the course's data is on the device, d2l's comes to it."""
    import torch

    root, d2l = rival.real_data(), rival.load_d2l()

    def sides(examples):
        ours, _ = case.loaders(examples, device=GPU)
        theirs, _ = rival.loaders(d2l, root, case.batch_size, case.image_size, examples, 1)

        def course(amp):
            computing = replace(case, computing={"amp": amp})
            return lambda net: {"precision": computing.train(net, ours, device=GPU).precision}

        def other(net):
            rival.train(d2l, net, theirs, None, case.lr, GPU)
            return {"precision": "float32"}

        def watched(train):
            clocked = _clocked(case, train)

            def epoch(number):
                torch.cuda.reset_peak_memory_stats()
                before = torch.cuda.memory_allocated()
                found = clocked(number)
                peak = torch.cuda.max_memory_allocated() - before
                return {"rate": examples / found["seconds"], "MB": peak / 1e6, **found}

            return epoch

        trains = {"course, float32": course(False), "course, auto": course("auto"), "d2l": other}
        return {name: watched(train) for name, train in trains.items()}

    examples, few = case.whole_batches(examples), case.whole_batches(0)
    found = interleave(sides(examples), rounds, _about(case, tell), warm_up=sides(few))
    what = f"{case}, {case.image_size or 28} px, batch {case.batch_size}, {examples:,} examples"
    ratio, took = ("course, auto", "d2l"), sorted(set(found["precision"]["course, auto"]))
    rates = measured(
        f"{torch.cuda.get_device_name()}: {what}",
        "examples/s",
        found["rate"],
        ratio=ratio,
        goal=goal and {"of": ratio[0], "at_least": goal},
        note=f"course, auto: {', '.join(took)}",
    )
    return [rates, measured(f"{what}: peak memory beside the data", "MB", found["MB"], ratio=ratio)]
