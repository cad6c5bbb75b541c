"""Speeds of several histories: the slowest first, and what share of the median it has."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import histories
from tests.repositories import make_repository


def test_the_last_line_says_how_far_the_slowest_is_from_the_median(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [make_repository(tmp_path / name, {"a": b"1\n"}, {"a": b"2\n"}) for name in "xyz"]
    speeds = {"x": (2.0, 100), "y": (1.0, 400), "z": (1.0, 1000)}
    monkeypatch.setattr(histories, "whole", lambda path, config, commits: speeds[path.name])
    monkeypatch.setattr(sys, "argv", ["histories", *map(str, reversed(paths)), "--json"])
    assert histories.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1]) == {"slowest": 50.0, "median": 400.0, "fastest": 1000.0, "slowest_of_median": 0.125}
    assert [line.split()[0] for line in lines if line.startswith(str(tmp_path))] == list(map(str, paths))


def test_real_histories_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_repository(tmp_path / "r", {"a": b"1\n"}, {"a": b"2\n"})
    monkeypatch.setattr(sys, "argv", ["histories", str(path), "--editor", "nano", "--profile", "--json"])
    assert histories.main() == 0
    printed = capsys.readouterr().out
    assert json.loads(printed.splitlines()[-1])["slowest_of_median"] == 1
    assert "% of time" in printed
