"""How the time of an epoch grows with the data, and shrinks with threads; and its plot."""

from dataclasses import asdict

from course_utils.commands.bench import cases
from course_utils.commands.bench.fresh import epoch_seconds, in_fresh_process
from course_utils.commands.bench.rounds import interleave, measured
from course_utils.commands.run.pool import cpu_count

FACTORS = (1, 2, 4)


def scaling(sizes, manifest, tell):
    """LeNet and ResNet: epochs per second on 1×, 2× and 4× the data, with 1 and 2 threads."""
    threads = {f"{n} thread{'s' * (n > 1)}": n for n in (1, 2) if n <= cpu_count()}
    jobs = []
    for case, base in (
        (cases.lenet_case(manifest), sizes.scaling["lenet"]),
        (cases.quick_case(manifest, "resnet"), sizes.scaling["resnet"]),
    ):
        once = case.whole_batches(base, least=1)
        jobs.append((case, [factor * once for factor in FACTORS]))
    plain = [(asdict(case), counts) for case, counts in jobs]
    found = interleave(
        {
            name: lambda _, number=number: in_fresh_process(epoch_seconds, plain, threads=number)
            for name, number in threads.items()
        },
        sizes.rounds,
        tell,
    )
    results = []
    for i, (case, counts) in enumerate(jobs):
        title = f"{case.title} ({case.preset})"
        rates = {  # threads -> for each count, a number per round
            name: [[1 / rounds[i][j] for rounds in entries] for j in range(len(counts))]
            for name, entries in found.items()
        }
        sides = [f"{count:,} examples" for count in counts]
        for name, number in threads.items():
            results.append(
                measured(
                    f"{title}, {name}: a cost that grows as the data has a ratio of {FACTORS[-1]}",
                    "epochs/s",
                    dict(zip(sides, rates[name], strict=True)),
                    ratio=(sides[0], sides[-1]),
                    net=case.title,
                    threads=number,
                    examples=counts,
                )
            )
        if len(threads) > 1:
            one, two = threads
            most = {name: rates[name][-1] for name in threads}
            what = f"{title}, {sides[-1]}: what threads give"
            results.append(measured(what, "epochs/s", most, ratio=(two, one)))
    return results


def plot(results, path):
    """Draw epochs per second against the number of examples, to a PNG at `path`.

    results: those of `scaling`; the ones that hold "examples" are drawn.
    """
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    from course_utils.plotting import STYLE

    curves = [result for result in results if "examples" in result]
    names = list(dict.fromkeys(result["net"] for result in curves))
    with style.context(STYLE):
        fig = Figure(figsize=(7.6, 3.2), layout="constrained")
        axes = fig.subplots(1, len(names), squeeze=False)[0]
        for ax, name in zip(axes, names, strict=True):
            for result in curves:
                if result["net"] == name:
                    _draw(ax, result)
            ax.set(title=name, xscale="log", yscale="log", xlabel="training examples")
            counts = next(result["examples"] for result in curves if result["net"] == name)
            ax.set_xticks(counts, [f"{count:,}" for count in counts])
            ax.set_xticks([], minor=True)
            for set_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
                set_formatter(LogFormatter())  # 0.2, not 2 × 10⁻¹
            ax.legend()
        axes[0].set_ylabel("epochs per second")
        fig.suptitle("dotted: cost that grows as the data", fontsize="medium")
        fig.savefig(path, format="png")


def _draw(ax, result):
    counts, sides = result["examples"], list(result["sides"].values())
    medians = [side["median"] for side in sides]
    below = [side["median"] - side["low"] for side in sides]
    above = [side["high"] - side["median"] for side in sides]
    label = f"{result['threads']} thread{'s' * (result['threads'] > 1)}"
    line, *_ = ax.errorbar(counts, medians, [below, above], marker="o", ms=4, label=label)
    ideal = [medians[0] * counts[0] / count for count in counts]
    ax.plot(counts, ideal, ":", color=line.get_color(), lw=1)
