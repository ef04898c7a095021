"""`claim`: a sentence, the numbers that back it, and the control that could have refuted it."""

import math
import statistics

from course_utils.errors import ExpectationError
from course_utils.settings import fast_dev_run

CLAIM_MIME = "application/vnd.course-claim+json"


def claim(
    sentence,
    values,
    control=None,
    *,
    by=0.0,
    within=None,
    paired=False,
    of="seeds",
    live=False,
    why_none="",
):
    """Judge a sentence by its numbers, and show both.

    sentence: what is claimed, as a reader should remember it.
    values: results, one per seed; control: those of the same thing without what is named, as many.
    by: how much larger the mean of `values` must be, beyond twice the standard error of the
        difference. within: instead, for a sentence that says that something makes little or no
        difference: as far as the means may be apart, either way, and twice the error added.
    paired: the same network judged twice, or the like: each value is compared with its own control.
    why_none: if there can be no control, why; then `by` is the least mean that is claimed.
    of: what there is one number of each. live: the numbers come from this page's own run, which a
        fast dev run does not judge.
    Raises ExpectationError if the numbers do not say what the sentence says.
    """
    values = [float(value) for value in values]
    control = None if control is None else [float(value) for value in control]
    if control is None and not why_none:
        raise ExpectationError(f"{sentence!r} has no control: give one, or say why none can be")
    if live and fast_dev_run():
        print(f"{sentence}: not checked in a fast run")
        return
    difference, error = _difference(values, control, paired)
    if within is not None:
        holds = abs(difference) + 2 * error <= within
    elif control is None:
        holds = difference >= by
    else:
        holds = difference - 2 * error > by
    sides = [_summary(side, of) for side in (values, control) if side is not None]
    numbers = " against ".join(sides)
    if not holds:
        raise ExpectationError(f"the numbers do not say {sentence!r}: {numbers}")
    from IPython.display import display

    about = {"sentence": sentence, "measured": sides[0]}  # for the book's page of claims
    about["control"] = why_none if control is None else sides[1]
    display({CLAIM_MIME: about, "text/plain": f"✅ {sentence}: {numbers}"}, raw=True)


def _difference(values, control, paired):
    """Difference of the means (without a control, the mean), and its standard error."""
    if control is None:
        return statistics.fmean(values), 0.0
    if paired:
        values = [value - other for value, other in zip(values, control, strict=True)]
        control = [0.0]
    parts = [statistics.variance(side) / len(side) for side in (values, control) if len(side) > 1]
    return statistics.fmean(values) - statistics.fmean(control), math.sqrt(sum(parts))


def _summary(values, of):
    """The mean with its spread over seeds: "0.869 ± 0.002 (5 seeds)"."""
    if len(values) == 1:
        return f"{values[0]:.3f} (one run)"
    spread = statistics.stdev(values)
    return f"{statistics.fmean(values):.3f} ± {spread:.3f} ({len(values)} {of})"
