"""The published settings of every chapter run on a CPU: three batches each, so they cannot rot."""

import json
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from course_utils.commands.manifest import load_manifest

FULL = [chapter for chapter in load_manifest(REPOSITORY / "book.toml").chapters if chapter.full]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("chapter", FULL, ids=lambda chapter: chapter.name)
def test_full_profile_runs(chapter, tmp_path):
    command = [sys.executable, "-m", "course_utils.commands.cli", "run", chapter.name]
    command += ["--profile", "full", "--out", str(tmp_path), "--no-rate"]
    environment = os.environ | {"COURSE_FAST_DEV_RUN": "1", "COURSE_STANDIN": "1"}
    run = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    (entry,) = json.loads((tmp_path / "report.json").read_text())["chapters"]
    assert entry["status"] == "passed"
    assert entry["parameters"] == dict(chapter.full)
