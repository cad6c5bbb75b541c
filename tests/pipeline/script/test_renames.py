"""Pairs of a deleted and an added file that are one file."""

from pathlib import Path

import pytest

from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.script import renames as module
from pipeline.script.renames import find_renames
from pipeline.script.selection import Selector, Verdicts
from schema.config import ReplayConfig
from tests.repositories import SYMLINK, File, Files, make_repository

BODY = b"".join(b"line %d\n" % i for i in range(20))


def found(tmp_path: Path, before: Files, after: Files) -> list[tuple[bytes, bytes, bool]]:
    """(from, to, whether it is edited) for each move of the second commit."""
    path = make_repository(tmp_path / "r", before, after)
    with Blobs(path) as blobs:
        *_, commit = walk(blobs)
        moves, rest = find_renames(commit, Selector(ReplayConfig(), Verdicts()))
    assert len(rest) + 2 * len(moves) == len(commit.changes)
    return [(move.source.path, move.target.path, move.edited is not None) for move in moves]


def test_the_same_content_is_an_exact_move(tmp_path: Path) -> None:
    assert found(tmp_path, {"a": BODY}, {"a": None, "b": BODY}) == [(b"a", b"b", False)]


def test_half_of_the_content_is_enough_and_less_is_not(tmp_path: Path) -> None:
    lines = BODY.splitlines(keepends=True)
    for kept, wanted in ((12, [(b"a", b"b", True)]), (8, [])):
        new = b"".join(lines[:kept]) + b"other..\n" * (20 - kept)
        assert found(tmp_path / str(kept), {"a": BODY}, {"a": None, "b": new}) == wanted


def test_a_link_is_no_file_of_the_same_bytes(tmp_path: Path) -> None:
    assert found(tmp_path, {"a": File(b"target", SYMLINK)}, {"a": None, "b": b"target"}) == []


def test_what_cannot_be_typed_is_not_moved_for_it(tmp_path: Path) -> None:
    assert found(tmp_path, {"a": BODY}, {"a": None, "b": BODY + b"\x03\n"}) == []


def test_binary_files_are_only_moved_as_they_are(tmp_path: Path) -> None:
    assert found(tmp_path, {"a": BODY + b"\0"}, {"a": None, "b": BODY + b"\0"}) == [(b"a", b"b", False)]
    assert found(tmp_path / "x", {"a": BODY + b"\0"}, {"a": None, "b": BODY + b"\0x"}) == []


def test_of_very_many_only_the_same_names_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 3)
    before: Files = {"a/x": BODY, "a/y": BODY + b"y\n"}
    after: Files = {"a/x": None, "a/y": None, "b/x": BODY + b"1\n", "b/z": BODY + b"y\nz\n"}
    assert found(tmp_path, before, after) == [(b"a/x", b"b/x", True)]


def test_a_target_below_a_file_or_in_a_folders_place_is_no_move(tmp_path: Path) -> None:
    assert found(tmp_path, {"a": BODY}, {"a": None, "a/b": BODY}) == []
    assert found(tmp_path / "x", {"a/b": BODY}, {"a/b": None, "a": BODY}) == []
