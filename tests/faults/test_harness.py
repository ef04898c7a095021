"""The fault tests' own tools: were they blind, no test of what is left would mean anything."""

import os
import sys

from faults.harness import Tree, wait_until

ORPHAN = "import subprocess; subprocess.Popen(['sleep', '300'], start_new_session=True)"


def test_a_tree_finds_and_kills_orphans(tmp_path):
    command = [sys.executable, "-c", ORPHAN]
    with Tree(command, cwd=tmp_path, env=dict(os.environ), output=tmp_path / "said") as tree:
        assert tree.end()[0] == 0
        (orphan,) = wait_until(tree.alive)
    assert tree.alive() == []
    assert not orphan.is_running() or orphan.status() == "zombie"
