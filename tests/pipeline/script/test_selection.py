"""Counting changed lines, and judging each content once."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Indel

from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.script.selection import Selector, Verdicts, _middles, count_changed
from schema.config import ReplayConfig
from tests.repositories import Files, make_repository

TEXT = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"ab\n", b"a", b"b\r\n", b"\xc3\xa9\n"]), max_size=8).map(
    b"".join
)


def split(content: bytes) -> list[bytes]:
    return io.BytesIO(content).readlines()


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (b"", b"", 0),
        (b"", b"a\nb\n", 2),
        (b"a\nb\n", b"", 2),
        (b"a\nb\nc\n", b"a\nx\nc\n", 2),
        (b"a\nb\nc\n", b"c\na\nb\n", 2),
        (b"a", b"a\n", 2),
        (b"a\n", b"\xff\n", 0),
        (b"a\n", b"a\0\n", 0),
        (b"x" * 9_000 + b"\ny\n", b"x" * 9_000 + b"\nz\n", 2),
    ],
)
def test_changed_lines_are_counted_as_git_does(old: bytes, new: bytes, changed: int) -> None:
    assert count_changed(old, new) == changed


@given(TEXT, TEXT)
def test_the_count_is_that_of_the_whole_contents(old: bytes, new: bytes) -> None:
    assert count_changed(old, new) == Indel.distance(split(old), split(new))


@given(TEXT, TEXT)
def test_every_line_that_only_the_new_content_has_is_whole_in_its_middle(old: bytes, new: bytes) -> None:
    middle = split(_middles(old, new)[1])
    assert set(split(new)) - set(split(old)) <= set(middle)
    assert set(middle) <= set(split(new))


def test_a_content_is_judged_once_and_only_its_new_lines_are_scanned(tmp_path: Path) -> None:
    scanned: list[list[bytes]] = []
    judged: list[bytes] = []

    def secrets(lines: Sequence[bytes], path: bytes) -> list[tuple[int, str]]:
        scanned.append(sorted(filter(None, lines)))
        return []

    def file(path: bytes, content: bytes, config: ReplayConfig) -> tuple[bool, str]:
        judged.append(content)
        return True, ""

    commits: list[Files] = [{"a": b"1\n2\n3\n"}, {"a": b"1\nx\n3\n"}, {"a": b"1\nx\ny\n3\n"}]
    path = make_repository(tmp_path / "r", *commits)
    with Blobs(path) as blobs:
        selector = Selector(blobs, ReplayConfig(), Verdicts(secrets=secrets, file=file))
        for commit in walk(path):
            assert not selector.choose(commit.changes[0]).reason
    assert scanned == [[b"1", b"2", b"3"], [b"x"], [b"y"]]
    assert judged == [commit["a"] for commit in commits]  # type: ignore[index]
