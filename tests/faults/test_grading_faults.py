"""Returned notebooks that are torn, and disks that are full: a named error, and nothing is lost."""

import json
from datetime import timedelta

import nbformat
import pytest
from commands.answers import RIGHT, SETUP
from hypothesis import HealthCheck, given, settings
from nbformat import v4
from publishing import assert_refused, called

from course_utils.commands.grade import grade
from course_utils.commands.grade.export import write_autograder
from course_utils.commands.grade.returned import Student, sources
from course_utils.errors import RunError
from faults.harness import SOAK, fill, how_many, small_disk
from faults.test_manifest_fuzz import torn

pytest.importorskip("otter", reason='NOT RUN: pip install "classic-convnets[grade]"')
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("grade")]
CELLS = [v4.new_markdown_cell("A *task*"), *map(v4.new_code_cell, (SETUP, RIGHT, "print(1)"))]
NOTEBOOK = json.dumps(v4.new_notebook(cells=CELLS), indent=1).encode()


@pytest.fixture(scope="module")
def runners(tmp_path_factory):
    autograder = tmp_path_factory.mktemp("otter") / "autograder.zip"
    made = grade.Runners(["02.1"], 77, write_autograder(autograder, {"02.1": 1.0}, 77), 5, 1000)
    made.grade([SETUP], {"02.1": 1.0}, Student("first"))  # start it, out of the examples' time
    yield made
    made.stop()


@given(data=torn(NOTEBOOK))
@settings(
    max_examples=how_many(10, 1000),
    deadline=timedelta(seconds=2) if SOAK else None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_torn_notebook_is_refused_or_graded(tmp_path, runners, data):
    file, student = tmp_path / "torn.ipynb", Student("torn")
    file.write_bytes(data)
    try:
        cells = sources(file)
    except RunError as error:
        assert "torn.ipynb is not a notebook" in str(error)
        return
    (got,) = runners.grade(cells, {"02.1": 1.0}, student).values()
    assert got.status in grade.STATUSES and (got.score == 1) == (got.status == "passed")
    assert not any("process" in note for note in student.notes), student.notes


@pytest.mark.parametrize("moment", ["before", "during"])
def test_a_full_disk_keeps_the_table_that_was_there(tmp_path, monkeypatch, moment):
    (tmp_path / "in").mkdir()
    nbformat.write(v4.new_notebook(cells=CELLS), tmp_path / "in" / "a.ipynb")
    with small_disk(tmp_path / "disk", 4) as disk:
        (disk / "out").mkdir()
        (disk / "out" / "grades.csv").write_text("an older table")
        if moment == "before":
            fill(disk)
        else:  # as another program might, while notebooks run
            answer = grade.Grade("passed", text="x" * 10_000)
            graded = {"02.1": answer}
            monkeypatch.setattr(grade.Runners, "grade", lambda *_: fill(disk) and graded)
        result = called("grade", "in", "--out", disk / "out", cwd=tmp_path)
        assert_refused(result, "No space left on device")
        assert (disk / "out" / "grades.csv").read_text() == "an older table"
