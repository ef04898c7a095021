"""Training that is killed at random moments resumes, and ends as if nothing had happened."""

import json
import os

import pytest

from faults.harness import how_many
from faults.killed_training import EVERY, killed_training


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: needs fork")
@pytest.mark.parametrize("trainer", [pytest.param("train_ch6", marks=pytest.mark.full), "Runner"])
def test_killed_training_ends_as_if_nothing_had_happened(tmp_path, trainer):
    kills = how_many(4, 50)
    done = killed_training(tmp_path, kills, 0, trainer, timeout=how_many(300, 1800))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    print(result)
    assert result["kills"] >= kills and result["equal"] == result["runs"] > 0
    # a byte is written before its step ends, so that the step under way counts as one more
    assert result["most lost"] <= EVERY + 1
    assert not list(tmp_path.glob(".*.part"))  # of half-written files
