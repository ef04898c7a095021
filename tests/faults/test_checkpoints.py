"""Training that is killed at random moments resumes, and ends as if nothing had happened."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.harness import how_many
from faults.killed_training import EVERY

SCRIPT = Path(__file__).with_name("killed_training.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: needs fork")
@pytest.mark.parametrize("trainer", [pytest.param("train_ch6", marks=pytest.mark.full), "Runner"])
def test_killed_training_ends_as_if_nothing_had_happened(tmp_path, trainer):
    kills = how_many(4, 50)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, str(kills), "0", trainer],
        capture_output=True,
        text=True,
        timeout=how_many(300, 1800),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert result["kills"] >= kills and result["equal"] == result["runs"] > 0
    # a byte is written before its step ends, so that the step under way counts as one more
    assert result["most lost"] <= EVERY + 1
    assert not list(tmp_path.glob(".*.part"))  # of half-written files
