"""How the time of an epoch grows with the data, and shrinks with threads; and its plot."""

from dataclasses import asdict

from course_utils.publish.bench import cases
from course_utils.publish.bench.fresh import epoch_seconds, in_fresh_process
from course_utils.publish.bench.interleave import interleave, measured
from course_utils.publish.pool import cpu_count

FACTORS = (1, 2, 4)


def scaling(sizes, manifest, tell):
    """LeNet and ResNet: epochs per second on 1×, 2× and 4× the data, with 1 and 2 threads."""
    results = []
    threads = [number for number in (1, 2) if number <= cpu_count()]
    for case, base in (
        (cases.lenet_case(), sizes.scaling["lenet"]),
        (cases.quick_case(manifest, "resnet"), sizes.scaling["resnet"]),
    ):
        counts = [factor * case.whole_batches(base, least=1) for factor in FACTORS]

        def side(number, case=case, counts=counts):
            return lambda _: in_fresh_process(epoch_seconds, asdict(case), counts, threads=number)

        names = {f"{n} thread{'s' * (n > 1)}": n for n in threads}
        found = interleave(
            {name: side(number) for name, number in names.items()},
            sizes.rounds,
            lambda text, case=case: tell(f"{case.title}: {text}"),
        )
        for name, rounds in found.items():
            rates = {
                f"{count:,} examples": [1 / seconds[i] for seconds in rounds]
                for i, count in enumerate(counts)
            }
            first, last = (f"{count:,} examples" for count in (counts[0], counts[-1]))
            results.append(
                measured(
                    f"{case.title} ({case.preset}), {name}",
                    "epochs/s",
                    rates,
                    ratio=(first, last),
                    note=f"a cost that grows as the data gives a ratio of {FACTORS[-1]}",
                    net=case.title,
                    threads=names[name],
                    examples=counts,
                )
            )
        if len(names) > 1:
            most = {name: [1 / seconds[-1] for seconds in rounds] for name, rounds in found.items()}
            one, two = names
            what = f"{case.title} ({case.preset}), {counts[-1]:,} examples: what threads give"
            results.append(measured(what, "epochs/s", most, ratio=(two, one)))
    return results


def plot(results, path):
    """Draw epochs per second against the number of examples, to a PNG at `path`."""
    from matplotlib import style
    from matplotlib.figure import Figure

    from course_utils.plotting import STYLE

    curves = [result for result in results if "examples" in result]
    with style.context(STYLE):
        fig = Figure(figsize=(6.4, 3.6))
        ax = fig.subplots()
        for result in curves:
            counts, sides = result["examples"], list(result["sides"].values())
            medians = [side["median"] for side in sides]
            errors = [
                [side["median"] - side["low"] for side in sides],
                [side["high"] - side["median"] for side in sides],
            ]
            label = f"{result['net']}, {result['threads']} thread{'s' * (result['threads'] > 1)}"
            (line, *_) = ax.errorbar(counts, medians, errors, marker="o", ms=4, label=label)
            ideal = [medians[0] * counts[0] / count for count in counts]
            ax.plot(counts, ideal, ":", color=line.get_color(), lw=1)
        ax.set(xscale="log", yscale="log", xlabel="training examples", ylabel="epochs per second")
        ax.set_title("dotted: cost that grows as the data")
        ax.legend()
        fig.savefig(path, format="png")
