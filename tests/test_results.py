"""Published and reproduced numbers come from files, and what was not run is said not to be."""

import json
import tomllib
from statistics import fmean

import pytest
from conftest import REPOSITORY

from course_utils.commands.bench.cases import parameters
from course_utils.commands.manifest import load_manifest
from course_utils.errors import CourseError
from course_utils.results import published_and_reproduced, settings_tried


def write(path, text):
    path.write_text(text)
    return path


def test_rows_come_from_the_files(tmp_path):
    report = write(
        tmp_path / "report.json",
        json.dumps(
            {"chapters": [{"name": "08_resnet", "records": {"test_acc": 0.9, "source": "x"}}]}
        ),
    )
    results = write(
        tmp_path / "results.toml",
        '[[run]]\nchapter = "05_alexnet"\ntest_acc = [0.86, 0.88]\ndevice = "d"\n'
        "date = 2026-01-02\n",
    )
    rows = {row["chapter"]: row for row in published_and_reproduced(report, results)}
    assert list(rows) == ["LeNet", "AlexNet", "VGG", "GoogLeNet", "ResNet"]
    assert rows["AlexNet"]["full_mean"] == pytest.approx(0.87)
    assert rows["AlexNet"]["verdict"] == "below" and rows["AlexNet"]["date"] == "2026-01-02"
    assert rows["VGG"]["verdict"] == "not run" and rows["VGG"]["full_mean"] is None
    assert rows["ResNet"]["quick"] == 0.9 and rows["AlexNet"]["quick"] is None


def test_the_recorded_results_name_chapters_and_sources():
    chapters = {
        chapter.name: chapter for chapter in load_manifest(REPOSITORY / "book.toml").chapters
    }
    results = tomllib.loads((REPOSITORY / "chapters" / "results.toml").read_text())
    readme = (REPOSITORY / "README.md").read_text()
    for run in results["run"] + results["quick"]:
        assert chapters[run["chapter"]].published
        assert run["device"] and run["date"] and run["source"] == "Fashion-MNIST"
    for run in results["run"]:
        for accuracy in run["test_acc"]:
            assert f"{accuracy:.3f}" in readme, "README shows every recorded full run"
    for run in results["quick"]:
        assert f"| {fmean(run['test_acc']):.3f} | {run['seconds']} s |" in readme


def test_the_quick_profiles_are_among_the_settings_that_were_tried():
    """Each network has a curve of several budgets, and the chapter's settings lie on it."""
    tried = settings_tried()
    for name in ("05_alexnet", "06_vgg", "07_googlenet", "08_resnet"):
        quick = parameters(REPOSITORY / "chapters" / f"{name}.ipynb")
        same = [
            run
            for run in tried
            if run["chapter"] == name
            and all(run[key] == quick[key] for key in ("image_size", "batch_size", "lr"))
            and run["beta2"] == 0.95
            and not run["flip"]
        ]
        assert len(same) >= 3, name
        seen = quick["train_examples"] * quick["num_epochs"]
        assert max(run["examples"] for run in same) >= 0.75 * seen, name
        assert all(0.5 < run["accuracy"] < 1 and run["cpu_seconds"] > 0 for run in same)


RUN = '[[run]]\nchapter = "05_alexnet"\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[(name, None) for name in ("results.toml", "report.json", "tuning.csv")],
        *[("results.toml", text) for text in ("x", "run = 1", "[[run]]\na = 1", "[run]\na = 1")],
        *[("results.toml", f"{RUN}test_acc = {value}") for value in ('"a"', "0.5", '["a"]')],
        *[("report.json", text) for text in ("{", "{}", "[]", '{"chapters": 1}', "[" * 100_000)],
        *[("report.json", f'{{"chapters": [{entry}]}}') for entry in ("1", '{"name": "a"}')],
        ("report.json", '{"chapters": [{"name": "a", "records": 1}]}'),
        ("tuning.csv", "chapter,lr\n05_alexnet,fast\n"),
        ("tuning.csv", "chapter,lr\n05_alexnet\n"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, text):
    path = str(tmp_path / name)
    if text is not None:
        write(tmp_path / name, text)
    read = {
        "results.toml": lambda: published_and_reproduced(results=path),
        "report.json": lambda: published_and_reproduced(report=path),
        "tuning.csv": lambda: settings_tried(path),
    }
    with pytest.raises(CourseError, match=f"{name} cannot be read"):
        read[name]()
