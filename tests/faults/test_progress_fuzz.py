"""Torn and twisted progress files, and notebooks that are killed as they write them."""

import json
import os
import random
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from publishing import environment

from course_utils.exercises.progress import remember, solved
from faults.harness import Tree, how_many, wait_until
from faults.test_manifest_fuzz import JSON, fuzzed, torn

STATE = {
    "version": 1,
    "exercises": {"01.1": {"passed": "2026-03-01T10:20:30+00:00"}, "02.3": {"passed": "x"}},
    "unknown": [1, 2],
}
WHOLE = json.dumps(STATE, indent=1).encode()
TWISTED = st.tuples(st.sampled_from([*STATE, "more"]), JSON).map(
    lambda entry: STATE | dict([entry])
)


@fuzzed
@given(data=torn(WHOLE) | st.binary() | (JSON | TWISTED).map(json.dumps).map(str.encode))
@example(data=b"[" * 100_000)
@example(data=b'{"exercises": {"a": ' + b'{"a":' * 700 + b"1" + b"}" * 702)
@example(data=b'{"exercises": null}')
@example(data=b'{"version": 7, "theme": "dark", "exercises": {"42.1": {"passed": 0, "stars": 3}}}')
def test_a_fuzzed_progress_file_stops_nobody(tmp_path, data):
    """It is used or put aside; either way exercises can be solved, and what was there is kept."""
    folder = tmp_path / os.urandom(8).hex()
    folder.mkdir()
    file = folder / "progress.json"
    file.write_bytes(data)
    before = solved(file)
    assert all(isinstance(id, str) for id in before)
    said = remember("09.9", file)
    if said:
        assert said.startswith("Your progress could not be saved")
        assert file.read_bytes() == data
        return
    assert solved(file) == before | {"09.9"}
    kept = file.with_name("progress.json.bak")
    if kept.exists():
        assert kept.read_bytes() == data
    else:
        now = json.loads(file.read_bytes())
        assert "passed" in now["exercises"].pop("09.9")
        state = {"version": 1, "exercises": {}, **json.loads(data)}
        assert json.dumps(now, sort_keys=True) == json.dumps(state, sort_keys=True)


def test_a_second_damage_keeps_the_first(tmp_path, capsys):
    file = tmp_path / "progress.json"
    for number, torn_text in enumerate(('{"a', "{", "[")):
        file.write_text(torn_text)
        assert remember(f"01.{number}", file) == ""
    kept = [tmp_path / f"progress.json.bak{number}" for number in ("", 1, 2)]
    assert [path.read_text() for path in kept] == ['{"a', "{", "["]
    assert "progress.json.bak2" in capsys.readouterr().out


# --- killed as they write -----------------------------------------------------------------------

WRITER = """
import sys, time
from pathlib import Path
from course_utils.exercises.progress import remember
print("ready", flush=True)
for number in range(10**6):
    if not remember(f"{sys.argv[2]}.{number}", Path(sys.argv[1])):
        print(number, flush=True)
    time.sleep(0.01)  # the other one may write, too
"""


@pytest.mark.parametrize("seed", range(how_many(1, 20)))
def test_notebooks_killed_as_they_write(tmp_path, seed):
    """Two write at once and are killed: what either was told to be saved is there."""
    file = tmp_path / "progress.json"
    writers = []
    for name in ("01", "02"):
        command = [sys.executable, "-c", WRITER, file, name]
        said = tmp_path / f"said-{name}"
        writers.append(Tree(command, cwd=tmp_path, env=environment(), output=said))
    try:
        wait_until(lambda: all(writer.text().count("\n") > 5 for writer in writers), 120)
        time.sleep(random.Random(seed).uniform(0, 0.5))
    finally:
        for writer in writers:
            writer.kill()
    done = solved(file)
    for name, writer in zip(("01", "02"), writers, strict=True):
        lines = writer.text().splitlines(keepends=True)
        told = {line.strip() for line in lines[1:] if line.endswith("\n")}
        assert told and all(number.isdecimal() for number in told), told
        assert {f"{name}.{number}" for number in told} <= done
    assert remember("03.1", file) == ""
    assert not list(tmp_path.glob(".*")), "temporary files of the killed are left"
    assert not list(tmp_path.glob("*.bak*"))
