"""What the walk says of each commit, and what it reads ahead."""

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pytest

from pipeline.git import history
from pipeline.git.attribute_rules import find_attributes
from pipeline.git.changes import Commit
from pipeline.git.entries import empty_tree
from pipeline.git.history import walk
from pipeline.git.objects import Blobs, CatFile
from pipeline.git.order import RewrittenHistoryError, order
from schema.errors import SourceError
from tests.repositories import EXECUTABLE, GITLINK, SYMLINK, File, Files, Repository, make_repository
from tests.walking import walked


def subjects(path: Path, tip: str | None = None) -> list[str]:
    return [commit.subject.decode() for commit in walked(path, tip=tip)]


def test_side_commits_come_before_their_merge_and_merges_add_nothing(branchy: Repository) -> None:
    assert subjects(branchy.path) == ["root", "a", "s1", "t1", "t2", "s2", "b", "o1", "u1", "c"]


def test_an_order_of_ones_own_must_be_part_of_the_history(branchy: Repository) -> None:
    commits = order(branchy.path)
    assert [c.sha for c in walked(branchy.path, commits=commits[::-1])] == commits[::-1]
    assert walked(branchy.path, commits=["1" * 40, *commits[:2]], after=2) == []
    with pytest.raises(RewrittenHistoryError, match="no longer part of it"):
        walked(branchy.path, commits=[*commits, "1" * 40])


def test_a_commit_is_compared_with_its_first_parent(branchy: Repository) -> None:
    for commit in walked(branchy.path):
        parent = branchy.trees[commit.parent] if commit.parent else {}
        files = branchy.trees[commit.sha]
        changed = {path for path in parent | files if parent.get(path) != files.get(path)}
        assert {change.path for change in commit.changes} == changed
        assert commit.tree.oid == branchy.git("rev-parse", f"{commit.sha}^{{tree}}")
        above = branchy.git("rev-parse", f"{commit.parent}^{{tree}}") if commit.parent else empty_tree(40)
        assert commit.parent_tree.oid == above


def test_changes_say_modes_and_ids(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    link = "1" * 40
    r.commit("one", {b"a \xff\n": b"x\n", "run": File(b"#!\n", EXECUTABLE), "sub": File(link.encode(), GITLINK)})
    r.commit("two", {b"a \xff\n": None, "run": File(b"a", SYMLINK)})
    first, second = walked(r.path)
    assert [(c.path, c.old_mode, c.new_mode) for c in first.changes] == [
        (b"a \xff\n", 0, 0o100644),
        (b"run", 0, 0o100755),
        (b"sub", 0, 0o160000),
    ]
    assert [c.new.oid for c in first.changes[2:] if c.new] == [link]
    assert [(c.path, c.old_mode, c.new_mode, c.new is None) for c in second.changes] == [
        (b"a \xff\n", 0o100644, 0, True),
        (b"run", 0o100755, 0o120000, False),
    ]


def test_renames_are_a_deletion_and_an_addition(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"old": b"same\n"}, {"old": None, "new": b"same\n"})
    *_, last = walked(path)
    assert [change.path for change in last.changes] == [b"new", b"old"]


def test_empty_commits_and_messages_are_kept(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    for message in ("", "one", "", ""):
        r.commit(message)
    assert [(c.subject, c.changes) for c in walked(r.path)] == [(b"", ()), (b"one", ()), (b"", ()), (b"", ())]


def test_authors_and_times_are_as_recorded(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", author=b"J\xe9r\xf4me <j@e.org>")
    sha = r.commit("two", author=b"no address at all")
    r.git("update-ref", "refs/heads/main", sha)
    first, second = walked(r.path)
    assert (first.author_name, first.author_email) == (b"J\xe9r\xf4me", b"j@e.org")
    assert first.authored_at == 1_600_000_060
    assert second.authored_at is None or isinstance(second.authored_at, int)


@pytest.mark.parametrize("after", [0, 3, 8])
def test_the_walk_goes_on_behind_a_commit_or_an_ordinal(branchy: Repository, after: int) -> None:
    whole = walked(branchy.path)
    assert walked(branchy.path, after=after) == whole[after + 1 :]
    assert walked(branchy.path, after=whole[after].sha) == whole[after + 1 :]
    assert walked(branchy.path, after=whole[after].sha, at=after) == whole[after + 1 :]


def test_nothing_is_left_behind_the_last_commit(branchy: Repository) -> None:
    assert walked(branchy.path, after=order(branchy.path)[-1]) == []


def test_a_rewritten_history_is_noticed(branchy: Repository) -> None:
    old = order(branchy.path)
    branchy.commit("another c", {"f": b"d\n"}, parents=[old[6]])
    with pytest.raises(RewrittenHistoryError, match="rewritten"):
        walked(branchy.path, after=old[-1])
    with pytest.raises(RewrittenHistoryError):
        walked(branchy.path, after=old[3], at=2)
    with pytest.raises(RewrittenHistoryError):
        walked(branchy.path, after=len(old))


def test_a_commit_of_endless_files_is_cut_off_and_the_walk_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHANGES_LIMIT", 10)
    files = {f"f{i:03}": b"" for i in range(500)}
    path = make_repository(tmp_path / "r", {"a": b""}, files, {"a": b"1\n"}, dict.fromkeys(files), {"b": b""})
    assert [(len(c.changes), c.truncated) for c in walked(path)] == [
        (1, False), (10, True), (1, False), (10, True), (1, False),
    ]  # fmt: skip
    assert [c.ordinal for c in walked(path)] == [0, 1, 2, 3, 4]


def test_replacements_and_grafts_do_not_count(branchy: Repository) -> None:
    before = walked(branchy.path)
    branchy.git("replace", before[1].sha, before[4].sha)
    (branchy.path / "info").mkdir(exist_ok=True)
    (branchy.path / "info" / "grafts").write_text(f"{before[-1].sha}\n")
    assert walked(branchy.path) == before


def test_submodule_settings_do_not_hide_changes(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    modules = b'[submodule "s"]\n\tpath = s\n\turl = x\n\tignore = all\n'
    r.commit("one", {"s": File(b"1" * 40, GITLINK), ".gitmodules": modules})
    r.commit("two", {"s": File(b"2" * 40, GITLINK)})
    r.git("config", "submodule.s.ignore", "all")
    assert [len(commit.changes) for commit in walked(r.path)] == [2, 1]


def test_a_missing_tree(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"d/f": b"1\n"})
    oid = r.git("rev-parse", "main:d")
    (r.path / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(SourceError, match="fsck"):
        walked(r.path)


class Exchanges:
    """Counts the questions to `git cat-file`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        ask = CatFile.ask

        def counted(cat: CatFile, names: Sequence[str]) -> None:
            self.count += 1
            ask(cat, names)

        monkeypatch.setattr(CatFile, "ask", counted)


def nested(tmp_path: Path, commits: int, files: int) -> Path:
    """Commits that each change every one of so many files, in folders of their own."""
    changed = [{f"d{f}/e{f}/f": b"%d %d\n" % (f, c) for f in range(files)} for c in range(commits)]
    attributes: Files = {".gitattributes": b"*.x linguist-vendored\n"}
    return make_repository(tmp_path / "r", attributes, *changed)


def seen(commits: Iterable[Commit]) -> list[object]:
    """All that can be asked of commits: sizes, contents, folders, attributes."""
    return [
        (
            commit,
            [(version.size, version.content) for version in change.versions],
            commit.parent_tree.occupies(change.path),
            find_attributes(commit.tree, change.path, [b"x"]),
        )
        for commit in commits
        for change in commit.changes
    ]


def test_of_commits_that_were_read_ahead_git_is_asked_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, exchanges = nested(tmp_path, commits=20, files=15), Exchanges(monkeypatch)
    with Blobs(path) as blobs:
        commits = list(walk(blobs))
        walked_with = exchanges.count
        assert len(seen(commits)) == 1 + 20 * 15
        assert exchanges.count == walked_with
    assert walked_with <= 8  # 301 sizes and contents, 621 folders, at most 400 in a question


@pytest.mark.parametrize(
    ("max_bytes", "max_files", "cache_bytes"), [(0, 200, 1 << 20), (100, 1, 1 << 20), (100, 200, 9)]
)
def test_reading_ahead_changes_nothing(branchy: Repository, max_bytes: int, max_files: int, cache_bytes: int) -> None:
    with Blobs(branchy.path) as blobs:
        plain = seen(walk(blobs))
    with Blobs(branchy.path, cache_bytes) as blobs:
        assert seen(walk(blobs, max_bytes=max_bytes, max_files=max_files)) == plain


def test_no_more_is_read_ahead_than_half_of_the_cache_holds(tmp_path: Path) -> None:
    contents = [bytes([65 + n]) * 400 for n in range(12)]
    path = make_repository(tmp_path / "r", *[{"a": content} for content in contents])
    with Blobs(path, 2_000) as blobs:
        for commit, content in zip(walk(blobs), contents, strict=True):
            assert blobs.cached_bytes <= 2_000
            assert [version.content for version in commit.changes[0].versions[-1:]] == [content]


def test_many_paths_end_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "AHEAD_PATHS", 40)
    path = nested(tmp_path, commits=9, files=15)
    with Blobs(path) as blobs:
        list(islice(walk(blobs, max_bytes=100), 1))
        assert blobs.cached_bytes < 15 * 4 * 4


def test_a_file_that_the_clone_lacks_has_no_size_and_a_submodule_neither(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"gone\n", "s": File(b"1" * 40, GITLINK)})
    oid = r.store("blob", b"gone\n")
    (r.path / "objects" / oid[:2] / oid[2:]).unlink()
    with Blobs(r.path) as blobs:
        (commit,) = walk(blobs)
        assert [(v.size, v.content) for change in commit.changes for v in change.versions] == [(None, b"")] * 2
