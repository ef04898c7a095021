"""Right and wrong answers to every exercise, one module per chapter, named as its content module.

    answers(
        "02.1",
        right=[lambda X, window: …, …],             # two or more, in other ways than the solution
        wrong={"the largest": F.max_pool2d, …},     # each must be rejected with a counterexample
        equivalent={"1 -> 2 in 'x + 1'": "why"},    # made mutants that are right after all
    )

`mutation.py` makes most wrong answers out of the solution itself. Those by hand are the mistakes
that no mutant makes: they fail elsewhere or in another way, or are ones that people do make.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answers:
    right: list
    wrong: dict
    equivalent: dict


ANSWERS = {}


def answers(id, *, right, wrong, equivalent=None):
    assert id not in ANSWERS, f"{id} is declared twice"
    ANSWERS[id] = Answers(right, wrong, equivalent or {})


def alike(why, *mutants):
    """For `equivalent`: these mutants are right, all for one reason."""
    return dict.fromkeys(mutants, why)


def also_right(id, why, *mutants):
    """More of them: what these slips make is right after all."""
    ANSWERS[id].equivalent.update(alike(why, *mutants))


def with_entry(entries, place, value):
    """The answer `entries`, but for one of them."""
    return lambda: [*entries[:place], value, *entries[place + 1 :]]
