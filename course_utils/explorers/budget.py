"""`explore_budget`: which of the ledger's networks a budget buys, and how sure their order is."""

from statistics import fmean, stdev

from course_utils.errors import CourseError
from course_utils.evidence.experiment import evidence, rows
from course_utils.explorers.output import Explorer

PRICES = {"parameters": "parameters", "macs": "MACs", "training_seconds": "seconds of training"}


def explore_budget(price="parameters", budget=None):
    """Drag a budget over a picture of accuracy against price; an `Explorer`.

    price: "parameters", "macs" or "training_seconds". budget: the most that is paid, in that unit;
    None: whatever is asked. The networks are the ledger's, as `course evidence 03` recorded them.
    Raises CourseError for another price, or a budget under that of the cheapest network.
    """
    if price not in PRICES:
        raise CourseError(f"price must be one of {', '.join(PRICES)}, not {price!r}")
    paid = {each: evidence("ledger", each) for each in PRICES}
    nets = [
        _network(name, runs, {each: fmean(paid[each][name]) for each in PRICES})
        for name, runs in evidence("ledger").items()
    ]
    costs = [net[price] for net in nets]
    if budget is None:
        budget = max(costs)
    if not (isinstance(budget, int | float) and budget >= min(costs)):
        raise CourseError(
            f"for {budget!r} {PRICES[price]} there is none: the cheapest takes {min(costs):,}"
        )
    budget = min(budget, max(costs))
    state = {"nets": nets, "prices": PRICES, "price": price, "budget": budget}
    first = rows("ledger")[0]
    state["recorded"] = f"{first['settings']}, {first['device']}, {first['date']}"
    about = f"the test accuracy of {len(nets)} networks against what they cost"
    return Explorer("course-budget", state, about, _text(nets, price, budget))


def _network(name, accuracies, prices):
    """Mean and standard deviation of the accuracy over the seeds, and the mean prices."""
    return {
        "name": name,
        "mean": round(fmean(accuracies), 6),
        "sd": round(stdev(accuracies), 6),
        "seeds": len(accuracies),
        **{price: round(mean, 4) if mean % 1 else int(mean) for price, mean in prices.items()},
    }


def _text(nets, price, budget):
    """The networks within the budget, the best first."""
    within = [net for net in nets if net[price] <= budget]
    width = max(len(net["name"]) for net in within)
    lines = [f"{'network':{width}}  test accuracy    {PRICES[price]}"]
    for net in sorted(within, key=lambda net: -net["mean"]):
        accuracy = f"{net['mean']:.4f} ± {net['sd']:.4f}"
        lines.append(f"{net['name']:{width}}  {accuracy}  {net[price]:,}")
    return "\n".join(lines)
