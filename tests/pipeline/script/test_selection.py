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
from pipeline.script.filters import Marks
from pipeline.script.selection import Selector, Verdicts, count_changed, without_shared_ends
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
    middle = split(without_shared_ends(old, new)[1])
    assert set(split(new)) - set(split(old)) <= set(middle)
    assert set(middle) <= set(split(new))


def test_a_content_is_judged_once_and_only_its_new_lines_are_scanned(tmp_path: Path) -> None:
    scanned: list[list[bytes]] = []
    judged: list[bytes] = []

    def secrets(lines: Sequence[bytes], path: bytes) -> list[tuple[int, str]]:
        scanned.append(sorted(filter(None, lines)))
        return []

    def file(path: bytes, content: bytes, config: ReplayConfig, marks: Marks) -> tuple[bool, str]:
        judged.append(content)
        return True, ""

    commits: list[Files] = [{"a": b"1\n2\n3\n"}, {"a": b"1\nx\n3\n"}, {"a": b"1\nx\ny\n3\n"}]
    path = make_repository(tmp_path / "r", *commits)
    with Blobs(path) as blobs:
        selector = Selector(ReplayConfig(), Verdicts(secrets=secrets, file=file))
        for commit in walk(blobs):
            assert not selector.choose(commit.changes[0], commit.tree).reason
    assert scanned == [[b"1", b"2", b"3"], [b"x"], [b"y"]]
    assert judged == [commit["a"] for commit in commits]


def test_of_a_content_that_no_filmed_commit_wrote_only_other_lines_than_the_last_one_s_are_scanned(
    tmp_path: Path,
) -> None:
    scanned: list[list[bytes]] = []

    def secrets(lines: Sequence[bytes], path: bytes) -> list[tuple[int, str]]:
        scanned.append(sorted(filter(None, lines)))
        return [(number, "hush") for number, line in enumerate(lines) if b"HUSH" in line]

    versions = [b"1\nHUSH a\nHUSH b\n2\n3\n", b"1\nHUSH b\nHUSH c\nx\n3\n", b"1\nHUSH b\nHUSH c\nx\n3\ny\n"]
    path = make_repository(tmp_path / "r", *({"a": content} for content in versions))
    with Blobs(path) as blobs:
        first, _, last = walk(blobs)
        fresh, selector = (Selector(ReplayConfig(), Verdicts(secrets=secrets)) for _ in range(2))
        whole = fresh.choose(last.changes[0], last.tree)
        scanned.clear()
        selector.choose(first.changes[0], first.tree)
        assert selector.choose(last.changes[0], last.tree) == whole
    assert whole.masked
    assert scanned == [[b"1", b"2", b"3", b"HUSH a", b"HUSH b"], [b"HUSH c", b"x"], [b"y"]]


def test_a_path_is_searched_once_unless_it_is_private() -> None:
    scanned: list[list[bytes]] = []

    def secrets(lines: Sequence[bytes], path: bytes) -> list[tuple[int, str]]:
        scanned.append(list(lines))
        return [(number, "hush") for number, line in enumerate(lines) if b"HUSH" in line]

    selector = Selector(ReplayConfig(), Verdicts(secrets=secrets))
    assert [selector.private_words("one", paths) for paths in ([b"a", b"b"], [b"b", b"c"], [b"HUSH"], [b"HUSH"])] == [
        "", "", "secret", "secret"
    ]  # fmt: skip
    assert selector.private_words("HUSH", [b"a"]) == "secret"
    assert scanned == [[b"one", b"a", b"b"], [b"one", b"c"], [b"one", b"HUSH"], [b"one", b"HUSH"], [b"HUSH"]]


def reasons(tmp_path: Path, attributes: dict[str, bytes], path: str, content: bytes = b"x = 1\n") -> str:
    """Why the file of a second commit, whose tree has these .gitattributes, is not typed."""
    repository = make_repository(tmp_path / "r", attributes, {path: content})
    with Blobs(repository) as blobs:
        selector = Selector(ReplayConfig(), Verdicts())
        *_, commit = walk(blobs)
        return selector.choose(commit.changes[0], commit.tree).reason


@pytest.mark.parametrize(
    ("attributes", "path", "reason"),
    [
        ({".gitattributes": b"*.csv linguist-generated\n"}, "a/b.csv", "generated"),
        ({".gitattributes": b"*.csv linguist-generated=true\n"}, "a/b.csv", "generated"),
        ({".gitattributes": b"*.csv linguist-vendored\n"}, "a/b.csv", "vendored"),
        (
            {".gitattributes": b"*.csv linguist-generated\n", "a/.gitattributes": b"*.csv -linguist-generated\n"},
            "a/b.csv",
            "",
        ),
        ({".gitattributes": b"*.csv linguist-generated\n*.csv linguist-generated=false\n"}, "a/b.csv", ""),
        ({".gitattributes": b"*.csv linguist-generated\n*.csv !linguist-generated\n"}, "a/b.csv", ""),
        ({".gitattributes": b"[attr]made linguist-generated\nout/** made\n"}, "out/x/y.py", "generated"),
        ({".gitattributes": b"out/ linguist-generated\n"}, "out/y.py", ""),
        ({".gitattributes": b"docs/** linguist-documentation\n"}, "docs/y.py", ""),
        ({".gitattributes": b"Cargo.lock -linguist-generated\n"}, "Cargo.lock", ""),
        ({".gitattributes": b"Cargo.lock linguist-generated=false\n"}, "x/Cargo.lock", ""),
        ({".gitattributes": b"Cargo.lock -linguist-vendored\n"}, "Cargo.lock", "lock"),
        ({".gitattributes": b"/vendor/own/** -linguist-vendored\n"}, "vendor/own/a.c", ""),
        ({".gitattributes": b"/vendor/own/** -linguist-vendored\n"}, "vendor/b/a.c", "vendored"),
        ({".gitattributes": b'"a b.csv" linguist-generated\n'}, "a b.csv", "generated"),
        ({"x/.gitattributes": b"* linguist-generated\n"}, "a/b.csv", ""),
    ],
)
def test_linguists_attributes_decide_as_on_github(
    tmp_path: Path, attributes: dict[str, bytes], path: str, reason: str
) -> None:
    assert reasons(tmp_path, attributes, path) == reason


def test_a_file_marked_as_written_is_typed_whatever_it_says_in_its_head(tmp_path: Path) -> None:
    content = b"// Code generated by hand. DO NOT EDIT.\n"
    assert reasons(tmp_path, {"x": b""}, "a.go", content) == "generated"
    assert reasons(tmp_path / "2", {".gitattributes": b"a.go linguist-generated=false\n"}, "a.go", content) == ""


def test_the_attributes_are_those_of_the_commits_own_tree(tmp_path: Path) -> None:
    commits: list[Files] = [
        {"a.csv": b"1\n"},
        {"a.csv": b"2\n", ".gitattributes": b"*.csv linguist-generated\n"},
        {"a.csv": b"3\n"},
        {"a.csv": b"4\n", ".gitattributes": None},
    ]
    repository = make_repository(tmp_path / "r", *commits)
    with Blobs(repository) as blobs:
        selector = Selector(ReplayConfig(), Verdicts())
        found = [
            selector.choose(change, commit.tree).reason
            for commit in walk(blobs)
            for change in commit.changes
            if change.path == b"a.csv"
        ]
    assert found == ["", "generated", "generated", ""]


def test_the_private_lines_of_a_revision_are_those_of_a_search_of_all_its_lines(tmp_path: Path) -> None:
    secret = b"password = '" + b"hunter2xq'"
    contents = [
        b"a\nb\n", b"a\n" + secret + b"\nb\n", b"x\n" + secret + b"\nb\n", secret + b"\nx\n" + secret + b"\nb\n",
        b"x\n" + secret + b"\nb", b"x\nb", secret, b"", b"z\n" + secret,
    ]  # fmt: skip
    repository = make_repository(tmp_path / "r", *[{"a.py": content} for content in contents])
    with Blobs(repository) as blobs:
        selector = Selector(ReplayConfig(), Verdicts())
        found = [selector.choose(commit.changes[0], commit.tree).reason for commit in walk(blobs)]
    holds = [secret in content for content in contents]
    before = [False, *holds]
    assert found == ["secret" if now or then else "" for now, then in zip(holds, before, strict=False)]
