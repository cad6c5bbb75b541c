"""Counting the same commits in each editor: the keys between the prompt's lines, over the lines that are typed."""

import json
import subprocess
import sys
from pathlib import Path

from pipeline.script import nano
from tests.repositories import make_repository

ROOT = Path(__file__).resolve().parents[2]


def test_the_same_commits_are_counted_in_each_editor(tmp_path: Path) -> None:
    old, new = b"one two\n", b"one three\n"
    path = make_repository(tmp_path / "r", {"a": old}, {"a": new})
    command = [sys.executable, "-m", "benchmarks.editors", "--repo", str(path), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {figures[f"typed_line_share_{way}"] for way in ("vim", "nano_jumps", "nano_arrows")} == {1.0}
    for motion in ("jumps", "arrows"):
        edits = [nano.edit(*pair, arrows=motion == "arrows") for pair in ((None, old), (old, new))]
        keys = sum(len(edit + nano.SAVE_AND_LEAVE) for edit in edits)
        assert figures[f"keys_a_line_nano_{motion}"] == round(keys / 3, 1)  # a line comes, then goes, and another comes
