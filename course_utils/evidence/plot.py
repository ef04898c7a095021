"""`plot_evidence`: every run of every arm, with mean and spread."""

import statistics


def plot_evidence(results, label="test accuracy", ax=None):
    """One row an arm: a dot for each seed, the mean, and a bar of one standard deviation each way.

    results: arm -> list of numbers, as `evidence` gives them. label: of the axis.
    ax: axes to draw on, or None for a figure of its own. Returns the axes.
    """
    import matplotlib.pyplot as plt  # takes long: when a figure is wanted
    from matplotlib.ticker import MaxNLocator

    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.6 + 0.32 * len(results)), layout="constrained")
    for row, (arm, values) in enumerate(results.items()):
        mean = statistics.fmean(values)
        spread = statistics.stdev(values) if len(values) > 1 else 0
        ax.errorbar(mean, row, xerr=spread, fmt="|", color="C0", ms=12, capsize=4)
        ax.plot(values, [row] * len(values), "o", color="C1", ms=4, alpha=0.7)
        ax.annotate(
            f"{arm}  {mean:.3f} ± {spread:.3f}",
            (0, row),
            (-6, 0),
            ha="right",
            va="center",
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            fontsize=8,
        )
    ax.xaxis.set_major_locator(MaxNLocator(7))
    ax.set(yticks=[], ylim=(len(results) - 0.5, -0.5), xlabel=label)
    return ax
