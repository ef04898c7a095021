"""The published settings of every chapter run on a CPU: three batches each, so they cannot rot."""

import pytest
from conftest import REPOSITORY
from publishing import course, report_of

from course_utils.commands.manifest import load_manifest

FULL = [chapter for chapter in load_manifest(REPOSITORY / "book.toml").chapters if chapter.full]


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("chapter", FULL, ids=lambda chapter: chapter.name)
def test_full_profile_runs(chapter, tmp_path):
    out = tmp_path / "build" / "run" / "full"
    arguments = ["run", chapter.name, "--profile", "full", "--out", out, "--no-rate"]
    settings = {"COURSE_FAST_DEV_RUN": "1", "COURSE_STANDIN": "1"}
    run = course(*arguments, cwd=REPOSITORY, **settings)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    entry = report_of(tmp_path, "full")[chapter.name]
    assert entry["status"] == "passed"
    assert entry["parameters"] == dict(chapter.full)
