"""Experiments: the same thing done with and without what a claim names, over several seeds.

A chapter's experiments are functions in `chapters/`. `course evidence` runs them and keeps one row
a run in `chapters/evidence/NAME.csv`; chapters draw these rows beside their own live run.
"""

import csv
import datetime
import importlib
import io
import platform
import time
from dataclasses import dataclass

import torch

from course_utils import settings
from course_utils.errors import CourseError
from course_utils.files import write_whole
from course_utils.training import try_gpu

MODULES = ("lenet", "digits", "alexnet", "vgg", "googlenet", "resnet", "scaling")
ABOUT = ("arm", "seed", "seconds", "source", "settings", "device", "date")  # of every row
EXPERIMENTS = {}


@dataclass(frozen=True)
class Experiment:
    """One question, and the arms that answer it.

    name: also of its file. chapter: that it belongs to. question: one sentence. arms: names of what
    is compared. seeds: each arm is run with 0 … seeds - 1. settings: what all arms have in common;
    a row made with others is made again. run: a function (arm, seed, **settings) -> a dict of
    numbers and the `source` of the data.
    """

    name: str
    chapter: str
    question: str
    arms: tuple
    seeds: int
    settings: dict
    run: callable

    @property
    def path(self):
        return _path(self.name)

    @property
    def description(self):
        """The settings as one string, as rows carry them."""
        return " ".join(f"{name}={value}" for name, value in self.settings.items())


def experiment(chapter, arms, seeds=5, **shared):
    """Enter the function below as an experiment of its name; its docstring is the question."""

    def enter(run):
        question = " ".join(run.__doc__.split())
        name = run.__name__
        EXPERIMENTS[name] = Experiment(name, chapter, question, tuple(arms), seeds, shared, run)
        return run

    return enter


def experiments(chapters=()):
    """The experiments of these chapters (names, such as "03_lenet"), of all if there are none."""
    for module in MODULES:
        importlib.import_module(f"course_utils.evidence.chapters.{module}")
    found = [e for e in EXPERIMENTS.values() if not chapters or e.chapter in chapters]
    if not found:
        known = ", ".join(sorted({e.chapter for e in EXPERIMENTS.values()}))
        raise CourseError(f"{', '.join(chapters)} has no recorded experiments; these have: {known}")
    return found


def rows(name):
    """All recorded runs of an experiment, as dicts of strings, in the order of the file."""
    path = _path(name)
    try:
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise CourseError(f"{path.name} cannot be read: {error}") from error


def evidence(name, result="accuracy"):
    """Recorded results of an experiment: arm -> list of numbers, one per seed.

    name: of the experiment. result: a column of its table.
    Raises CourseError if nothing was recorded under this name.
    """
    table = rows(name)
    if not table:
        raise CourseError(f"nothing is recorded for {name!r}: run course evidence")
    if result not in table[0]:
        raise CourseError(f"{name} has no column {result!r}; it has {', '.join(table[0])}")
    found = {}
    for row in table:
        found.setdefault(row["arm"], []).append(float(row[result]))
    return found


def run_missing(chosen, device=None, tell=print):
    """Run what is not yet recorded of an experiment; each row is on disk before the next begins.

    chosen: an Experiment. device: None: `try_gpu()`. tell: gets a line for each run.
    Returns how many were run.
    """
    if settings.fast_dev_run():
        raise CourseError("a fast run trains too little to be evidence: unset COURSE_FAST_DEV_RUN")
    device = device or try_gpu()
    wanted = [(arm, seed) for arm in chosen.arms for seed in range(chosen.seeds)]
    kept = [row for row in rows(chosen.name) if row["settings"] == chosen.description]
    done = {(row["arm"], int(row["seed"])): row for row in kept}
    missing = [run for run in wanted if run not in done]
    for arm, seed in missing:
        start = time.perf_counter()
        torch.manual_seed(seed)  # of what `train_ch6` does not draw: biases, other rules
        results = chosen.run(arm, seed, device=device, **chosen.settings)
        results = {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in results.items()}
        done[arm, seed] = {
            "arm": arm,
            "seed": seed,
            **results,
            "seconds": round(time.perf_counter() - start, 1),
            "settings": chosen.description,
            "device": device_name(device),
            "date": datetime.date.today().isoformat(),
        }
        _write(chosen.path, [done[run] for run in wanted if run in done])
        shown = ", ".join(f"{name} {value}" for name, value in results.items())
        tell(f"{chosen.name}: {arm}, seed {seed}: {shown}")
    return len(missing)


def device_name(device):
    """How rows name the machine: the GPU, or how many processors with what instructions."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"


def _path(name):
    return settings.REPOSITORY / "chapters" / "evidence" / f"{name}.csv"


def _write(path, table):
    """The whole table, whole or not at all; columns of results stand between those of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = list(dict.fromkeys(name for row in table for name in row if name not in ABOUT))
    columns = [*ABOUT[:2], *results, *ABOUT[2:]]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_whole(path, text.getvalue())
