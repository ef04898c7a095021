"""`explore_depth`: recorded training curves by depth, with and without shortcuts."""

from statistics import fmean, stdev

from course_utils.errors import CourseError
from course_utils.evidence.experiment import rows
from course_utils.explorers.output import Explorer

KINDS = {"plain": "plain", "residual": "with shortcuts"}  # as arms say it, and as a reader does


def explore_depth(depth=8):
    """Scrub through the depths, and see the training losses of both kinds; an `Explorer`.

    depth: layers with weights of the networks that are shown first. The losses are the recorded
    ones of `course evidence 08`: means of some steps, of every seed.
    Raises CourseError if nothing is recorded of that depth.
    """
    runs, ends = _recorded()
    whole = [{int(arm.split()[1]) for arm in runs if arm.startswith(kind)} for kind in KINDS]
    depths = sorted(set.intersection(*whole))
    if depth not in depths:
        known = ", ".join(map(str, depths)) or "none"
        raise CourseError(f"no curves of {depth!r} layers are recorded, only of these: {known}")
    losses = {
        words: [runs[f"{kind}, {each} layers"] for each in depths] for kind, words in KINDS.items()
    }
    state = {"depths": depths, "ends": ends, "losses": losses, "at": depths.index(depth)}
    about = f"training losses of networks of {depths[0]} to {depths[-1]} layers"
    return Explorer("course-depth", state, about, _text(depths, ends, losses))


def _recorded():
    """(arm -> its curves, one a seed, of arms with a spread; steps where each mean ends)."""
    table = rows("depth")
    ends = [int(name[5:]) for row in table[:1] for name in row if name.startswith("mean_")]
    runs = {}
    for row in table if ends else []:
        curve = [float(row[f"mean_{end}"]) for end in ends]
        runs.setdefault(row["arm"], []).append(curve)
    return {arm: curves for arm, curves in runs.items() if len(curves) > 1}, ends


def _text(depths, ends, losses):
    """A row for each depth: the losses at the end of both kinds."""
    seeds = len(losses["plain"][0])
    lines = [
        f"training loss, mean of steps {ends[-2] + 1} to {ends[-1]} (± sd of {seeds} seeds)",
        "layers  " + "".join(f"{words:16}" for words in losses),
    ]
    for i, depth in enumerate(depths):
        last = ([curve[-1] for curve in runs[i]] for runs in losses.values())
        cells = (f"{fmean(values):.3f} ± {stdev(values):.3f}" for values in last)
        lines.append(f"{depth:6}  " + "".join(f"{cell:16}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)
