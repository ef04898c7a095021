"""Recorded experiments, and claims that the numbers can refute."""

import csv

import pytest

from course_utils import settings
from course_utils.errors import CourseError, ExpectationError
from course_utils.evidence import claim, evidence, plot_evidence
from course_utils.evidence.claim import CLAIM_MIME
from course_utils.evidence.experiment import Experiment, experiments, rows, run_missing

CHAPTERS = settings.REPOSITORY / "chapters"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "REPOSITORY", tmp_path)
    return tmp_path


def tiny(**changes):
    """An experiment of two arms that counts how often it is run."""
    asked = []

    def run(arm, seed, device, bonus):
        asked.append((arm, seed))
        return {"accuracy": 0.5 + bonus * (arm == "with") + seed / 100, "source": "made up"}

    fields = {"arms": ("with", "without"), "seeds": 3, "settings": {"bonus": 0.2}} | changes
    return Experiment("tiny", "03_lenet", "Does it help?", run=run, **fields), asked


def test_rows_are_kept_and_only_missing_runs_are_made(root):
    chosen, asked = tiny()
    assert run_missing(chosen, "cpu", tell=lambda line: None) == 6
    assert evidence("tiny")["with"] == [0.7, 0.71, 0.72]
    table = rows("tiny")
    assert [row["source"] for row in table] == ["made up"] * 6
    assert all(row["settings"] == "bonus=0.2" and row["device"] for row in table)

    kept = [row for row in table if row["seed"] != "1"]
    with open(chosen.path, "w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        writer.writerows(kept)
    assert run_missing(chosen, "cpu", tell=lambda line: None) == 2
    assert asked[6:] == [("with", 1), ("without", 1)]
    assert rows("tiny") == table


def test_other_settings_make_rows_stale(root):
    run_missing(tiny()[0], "cpu", tell=lambda line: None)
    chosen, asked = tiny(settings={"bonus": 0.1})
    assert run_missing(chosen, "cpu", tell=lambda line: None) == len(asked) == 6
    assert evidence("tiny")["with"] == [0.6, 0.61, 0.62]


def test_an_interrupted_run_keeps_its_rows(root):
    chosen, _ = tiny()
    said = []

    def stop(line):
        said.append(line)
        if len(said) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_missing(chosen, "cpu", tell=stop)
    assert len(rows("tiny")) == 2


def test_a_fast_run_is_no_evidence(root, monkeypatch):
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    with pytest.raises(CourseError, match="COURSE_FAST_DEV_RUN"):
        run_missing(tiny()[0], "cpu")


def test_what_is_not_recorded_is_an_error(root):
    with pytest.raises(CourseError, match="run course evidence"):
        evidence("tiny")
    run_missing(tiny()[0], "cpu", tell=lambda line: None)
    with pytest.raises(CourseError, match="'loss'; it has arm, seed, accuracy"):
        evidence("tiny", "loss")
    with pytest.raises(CourseError, match="no recorded experiments; these have: 03_lenet"):
        experiments(["01_convolution"])


@pytest.mark.parametrize("each", experiments(), ids=lambda each: each.name)
def test_every_experiment_is_recorded_whole_and_as_it_is_defined(each):
    table = rows(each.name)
    wanted = {(arm, str(seed)) for arm in each.arms for seed in range(each.seeds)}
    assert {(row["arm"], row["seed"]) for row in table} == wanted
    assert len(table) == len(wanted)
    assert {row["settings"] for row in table} == {each.description}
    assert all(row["date"] and row["device"] for row in table)
    assert not any("stand-in" in row["source"] for row in table)
    assert (CHAPTERS / f"{each.chapter}.ipynb").is_file()
    assert each.question.endswith("?") or each.question.endswith(".")


GOOD, BAD = [0.90, 0.91, 0.92], [0.80, 0.81, 0.82]


@pytest.fixture
def shown(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: displayed.append(data))
    return displayed


@pytest.mark.parametrize(
    "values, control, more",
    [
        (GOOD, BAD, {}),
        (GOOD, BAD, {"by": 0.05}),
        (GOOD, [0.90, 0.92, 0.91], {"within": 0.02}),
        (GOOD, [0.901, 0.911, 0.921], {"within": 0.002, "paired": True}),
        (GOOD, None, {"by": 0.9, "why_none": "a count"}),
    ],
)
def test_a_claim_that_its_numbers_bear_out(shown, values, control, more):
    claim("It helps", values, control, **more)
    (data,) = shown
    assert data["text/plain"].startswith("✅ It helps: 0.910 ± 0.010 (3 seeds)")
    against = more.get("why_none")
    if control is not None:
        against = f"{sum(control) / 3:.3f} ± 0.010 (3 seeds)"
        assert data["text/plain"].endswith(f" against {against}")
    measured = "0.910 ± 0.010 (3 seeds)"
    assert data[CLAIM_MIME] == {"sentence": "It helps", "measured": measured, "control": against}


@pytest.mark.parametrize(
    "values, control, more, message",
    [
        (BAD, GOOD, {}, "the numbers do not say 'It helps': 0.810 ± 0.010"),
        (GOOD, GOOD, {}, "do not say"),
        ([0.8, 0.9, 1.0], [0.79, 0.89, 0.99], {}, "do not say"),  # within the spread
        (GOOD, BAD, {"by": 0.1}, "do not say"),
        (GOOD, BAD, {"within": 0.05}, "do not say"),
        (GOOD, [0.90, 0.92, 0.91], {"within": 0.01}, "do not say"),  # alike, but nobody knows how
        (GOOD, None, {"by": 0.95, "why_none": "a count"}, "do not say"),
        (GOOD, None, {}, "has no control: give one, or say why"),
    ],
)
def test_a_claim_that_they_refute(shown, values, control, more, message):
    with pytest.raises(ExpectationError, match=message):
        claim("It helps", values, control, **more)
    assert not shown


def test_a_fast_run_judges_recorded_numbers_but_not_its_own(shown, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_FAST_DEV_RUN", "1")
    claim("It helps", BAD, GOOD, live=True)
    assert "not checked in a fast run" in capsys.readouterr().out
    with pytest.raises(ExpectationError):
        claim("It helps", BAD, GOOD)


def test_the_figure_shows_every_run():
    ax = plot_evidence({"with": GOOD, "without": BAD}, "accuracy")
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [GOOD, BAD]
    assert ax.get_xlabel() == "accuracy"
