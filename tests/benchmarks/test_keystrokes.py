"""Counting commands: every key of a script belongs to one, and the benchmark's last line is its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.keystrokes import commands, plain
from pipeline.script.edit import edit
from tests.repositories import make_repository

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        (b"3Gfx2wcwyes\x1b:w\r:q\r", ["{n}G", "f{c}", "{n}w", "cw", ":w", ":q"]),
        (b"c12lab\x16\x1bc\x1b5x-\r", ["c{n}l", "x", "-", "<CR>"]),
        (b"ct)(\x1b2dddwD0", ["ct{c}", "dd", "dw", "D", "0"]),
    ],
)
def test_each_key_belongs_to_one_command(keys: bytes, names: list[str]) -> None:
    found = list(commands(keys))
    assert [command.name for command in found] == names
    assert sum(command.keys + command.text for command in found) == len(keys)


def test_the_plain_script_types_changed_lines_whole() -> None:
    assert plain(b"a\nb\n", b"a\nb\n") == 0
    assert plain(b"a\nb\n", b"a\nbee\n") == len(b"2Gdd") + len(b"obee\x1b")
    assert len(edit(b"a\nb\n", b"a\nbee\n")) < plain(b"a\nb\n", b"a\nbee\n")


def test_command_line(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a": b"one two\n"}, {"a": b"one three\n"})
    command = [sys.executable, "-m", "benchmarks.keystrokes", "--repo", str(path), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["changed_lines"] == 3
    assert figures["commands"]["i"] == 1
    assert figures["ratio"] < 1
