"""The order of commits, and what the walk says of each."""

import subprocess
from pathlib import Path

import pytest

from pipeline.git import history
from pipeline.git.history import Blobs, RewrittenHistoryError, ahead, continued, order, walk
from schema.errors import SourceError
from tests.repositories import EXECUTABLE, GITLINK, SYMLINK, File, Repository, make_repository
from tests.shapes import Shapes


@pytest.fixture
def branchy(tmp_path: Path) -> Repository:
    """Two side branches, one merged into the other, an orphan line, and an octopus.

    root - a ------- m1 - b --- m2 - c
            s1 - s2 -/  /      /  /
            t1 - t2 ---/(m0)  o1  u1
    """
    r = Repository(tmp_path / "branchy")
    root = r.commit("root", {"f": b"0\n"})
    a = r.commit("a", {"a": b"1\n"}, parents=[root])
    s1 = r.commit("s1", {"s": b"1\n"}, parents=[root])
    t1 = r.commit("t1", {"t": b"1\n"}, parents=[root])
    t2 = r.commit("t2", {"t": b"2\n"}, parents=[t1])
    m0 = r.commit("m0", {"t": b"2\n"}, parents=[s1, t2])
    s2 = r.commit("s2", {"s": b"2\n"}, parents=[m0])
    m1 = r.commit("m1", {"s": b"2\n", "t": b"2\n"}, parents=[a, s2])
    b = r.commit("b", {"f": b"b\n"}, parents=[m1])
    o1 = r.commit("o1", {"o": b"1\n"}, parents=[])
    u1 = r.commit("u1", {"u": b"1\n"}, parents=[t1])
    m2 = r.commit("m2", {"o": b"1\n", "u": b"1\n"}, parents=[b, o1, u1])
    r.commit("c", {"f": b"c\n"}, parents=[m2])
    return r


def subjects(path: Path, tip: str | None = None) -> list[str]:
    return [commit.subject.decode() for commit in walk(path, tip=tip)]


def test_side_commits_come_before_their_merge_and_merges_add_nothing(branchy: Repository) -> None:
    assert subjects(branchy.path) == ["root", "a", "s1", "t1", "t2", "s2", "b", "o1", "u1", "c"]


def test_an_older_order_is_a_prefix_of_a_newer_one(branchy: Repository) -> None:
    newest = order(branchy.path)
    for tip in branchy.git("rev-list", "--first-parent", "main").split():
        older = order(branchy.path, tip)
        assert older == newest[: len(older)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_shape_a_streams_order_grows_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    shapes = Shapes(tmp_path / "r", seed)
    stream: list[str] = []
    for head in shapes.grow(12):
        wanted, commits = shapes.worked(head), order(shapes.path)
        assert set(commits) == wanted
        grown = continued(stream, commits)
        if grown is None:
            assert wanted - set(stream)
            assert set(stream) - wanted
            grown = commits
        elif wanted <= set(stream):
            assert grown == stream
        else:
            assert grown[: len(stream)] == stream
            assert set(grown) == wanted
        assert len(set(grown)) == len(grown)
        place = {commit: i for i, commit in enumerate(grown)}
        assert all(place[p] < place[c] for c in grown for p in shapes.parents[c] if p in place)
        stream = grown


@pytest.mark.parametrize("seed", range(20, 24))
def test_a_tip_that_stays_on_the_first_parent_chain_grows_as_at_once(tmp_path: Path, seed: int) -> None:
    shapes = Shapes(tmp_path / "r", seed, strange=0)
    heads = [*shapes.grow(12)]
    tip = heads[-1]
    chain = shapes.git("rev-list", "--first-parent", tip).split()
    stream: list[str] = []
    for head in [head for head in heads if head in chain]:
        stream = continued(stream, order(shapes.path, head)) or []
        assert stream == order(shapes.path, head)


def test_a_foxtrot_merge_comes_behind_what_was_filmed(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    root = r.commit("root", {"a": b""})
    filmed = r.commit("filmed", {"a": b"1\n"}, parents=[root])
    before = order(r.path)
    local = r.commit("local", {"l": b"1\n"}, parents=[root])
    r.commit("merge", {"a": b"1\n"}, parents=[local, filmed])
    after = r.commit("after", {"a": b"2\n"})
    assert order(r.path) == [root, local, filmed, after]
    grown = continued(before, order(r.path))
    assert grown == [root, filmed, local, after]
    walked = list(walk(r.path, commits=grown, after=filmed, at=1))
    assert [(commit.ordinal, commit.sha) for commit in walked] == [(2, local), (3, after)]
    assert walked[0].parent_tree == r.git("rev-parse", f"{root}^{{tree}}")


def test_orders_that_end_alike_are_told_apart(tmp_path: Path) -> None:
    """The last of an order may stand at the same place of another one that has another commit before it."""
    r = Repository(tmp_path / "r")
    a = r.commit("a", {"a": b""})
    b = r.commit("b", {"b": b""}, parents=[a])
    z = r.commit("z", {"z": b""}, parents=[a])
    merge = r.commit("merge", {"z": b""}, parents=[b, z])
    before = order(r.path)
    c = r.commit("c", {"c": b""}, parents=[a])
    second = r.commit("second merge", {"z": b""}, parents=[c, z])
    r.commit("third merge", {"b": b""}, parents=[second, merge])
    after = order(r.path)
    assert (before, after) == ([a, b, z], [a, c, z, b])
    assert continued(before, after) == [a, b, z, c]


def test_an_order_of_ones_own_must_be_part_of_the_history(branchy: Repository) -> None:
    commits = order(branchy.path)
    assert [c.sha for c in walk(branchy.path, commits=commits[::-1])] == commits[::-1]
    assert list(walk(branchy.path, commits=["1" * 40, *commits[:2]], after=2)) == []
    with pytest.raises(RewrittenHistoryError, match="no longer part of it"):
        list(walk(branchy.path, commits=[*commits, "1" * 40]))


def test_every_commit_that_is_no_merge_comes_once_and_after_its_parents(branchy: Repository) -> None:
    found = order(branchy.path)
    assert sorted(found) == sorted(branchy.git("rev-list", "--no-merges", "main").split())
    place = {sha: i for i, sha in enumerate(found)}
    for commit in walk(branchy.path):
        if commit.parent in place:
            assert place[commit.parent] < place[commit.sha]


def test_a_commit_is_compared_with_its_first_parent(branchy: Repository) -> None:
    for commit in walk(branchy.path):
        parent = branchy.trees[commit.parent] if commit.parent else {}
        files = branchy.trees[commit.sha]
        changed = {path for path in parent | files if parent.get(path) != files.get(path)}
        assert {change.path for change in commit.changes} == changed
        assert commit.tree == branchy.git("rev-parse", f"{commit.sha}^{{tree}}")
        assert commit.parent_tree == (commit.parent and branchy.git("rev-parse", f"{commit.parent}^{{tree}}"))


def test_a_long_side_branch_needs_no_recursion(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    root = side = r.commit("root", {"f": b""})
    for _ in range(1_050):
        side = r.commit("s", parents=[side])
    r.commit("merge", parents=[root, side])
    assert len(order(r.path)) == 1_051


def test_changes_say_modes_and_ids(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    link = "1" * 40
    r.commit("one", {b"a \xff\n": b"x\n", "run": File(b"#!\n", EXECUTABLE), "sub": File(link.encode(), GITLINK)})
    r.commit("two", {b"a \xff\n": None, "run": File(b"a", SYMLINK)})
    first, second = walk(r.path)
    assert [(c.path, c.old_mode, c.new_mode) for c in first.changes] == [
        (b"a \xff\n", 0, 0o100644),
        (b"run", 0, 0o100755),
        (b"sub", 0, 0o160000),
    ]
    assert first.changes[2].new == link
    assert [(c.path, c.old_mode, c.new_mode, c.new is None) for c in second.changes] == [
        (b"a \xff\n", 0o100644, 0, True),
        (b"run", 0o100755, 0o120000, False),
    ]


def test_renames_are_a_deletion_and_an_addition(tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"old": b"same\n"}, {"old": None, "new": b"same\n"})
    *_, last = walk(path)
    assert [change.path for change in last.changes] == [b"new", b"old"]


def test_empty_commits_and_messages_are_kept(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    for message in ("", "one", "", ""):
        r.commit(message)
    assert [(c.subject, c.changes) for c in walk(r.path)] == [(b"", ()), (b"one", ()), (b"", ()), (b"", ())]


def test_authors_and_times_are_as_recorded(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", author=b"J\xe9r\xf4me <j@e.org>")
    sha = r.commit("two", author=b"no address at all")
    r.git("update-ref", "refs/heads/main", sha)
    first, second = walk(r.path)
    assert (first.author_name, first.author_email) == (b"J\xe9r\xf4me", b"j@e.org")
    assert first.authored_at == 1_600_000_060
    assert second.authored_at is None or isinstance(second.authored_at, int)


@pytest.mark.parametrize("after", [0, 3, 8])
def test_the_walk_goes_on_behind_a_commit_or_an_ordinal(branchy: Repository, after: int) -> None:
    whole = list(walk(branchy.path))
    assert list(walk(branchy.path, after=after)) == whole[after + 1 :]
    assert list(walk(branchy.path, after=whole[after].sha)) == whole[after + 1 :]
    assert list(walk(branchy.path, after=whole[after].sha, at=after)) == whole[after + 1 :]


def test_nothing_is_left_behind_the_last_commit(branchy: Repository) -> None:
    assert list(walk(branchy.path, after=order(branchy.path)[-1])) == []


def test_a_rewritten_history_is_noticed(branchy: Repository) -> None:
    old = order(branchy.path)
    branchy.commit("another c", {"f": b"d\n"}, parents=[old[6]])
    with pytest.raises(RewrittenHistoryError, match="rewritten"):
        list(walk(branchy.path, after=old[-1]))
    with pytest.raises(RewrittenHistoryError):
        list(walk(branchy.path, after=old[3], at=2))
    with pytest.raises(RewrittenHistoryError):
        list(walk(branchy.path, after=len(old)))


def test_a_commit_of_endless_files_is_cut_off_and_the_walk_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CHANGES_LIMIT", 10)
    files = {f"f{i:03}": b"" for i in range(500)}
    path = make_repository(tmp_path / "r", {"a": b""}, files, {"a": b"1\n"}, dict.fromkeys(files), {"b": b""})
    assert [(len(c.changes), c.truncated) for c in walk(path)] == [
        (1, False), (10, True), (1, False), (10, True), (1, False),
    ]  # fmt: skip
    assert [c.ordinal for c in walk(path)] == [0, 1, 2, 3, 4]


def test_ahead_changes_nothing(branchy: Repository) -> None:
    with Blobs(branchy.path) as blobs:
        assert list(ahead(walk(branchy.path), blobs)) == list(walk(branchy.path))


def test_working_trees_and_their_git_files_are_found(tmp_path: Path) -> None:
    r = Repository(tmp_path / "bare")
    r.commit("one", {"a": b"1\n"})
    subprocess.run(["git", "clone", "-q", r.path, tmp_path / "tree"], check=True)
    r.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    assert order(tmp_path / "tree") == order(tmp_path / "linked") == order(r.path)


def test_replacements_and_grafts_do_not_count(branchy: Repository) -> None:
    before = list(walk(branchy.path))
    branchy.git("replace", before[1].sha, before[4].sha)
    (branchy.path / "info").mkdir(exist_ok=True)
    (branchy.path / "info" / "grafts").write_text(f"{before[-1].sha}\n")
    assert list(walk(branchy.path)) == before


def test_submodule_settings_do_not_hide_changes(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    modules = b'[submodule "s"]\n\tpath = s\n\turl = x\n\tignore = all\n'
    r.commit("one", {"s": File(b"1" * 40, GITLINK), ".gitmodules": modules})
    r.commit("two", {"s": File(b"2" * 40, GITLINK)})
    r.git("config", "submodule.s.ignore", "all")
    assert [len(commit.changes) for commit in walk(r.path)] == [2, 1]


class TestErrors:
    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no such folder"):
            order(tmp_path / "nowhere")

    def test_a_folder_inside_a_repository_is_not_one(self, tmp_path: Path) -> None:
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        (tmp_path / "inside").mkdir()
        with pytest.raises(SourceError, match="not a git repository"):
            order(tmp_path / "inside")

    def test_no_commits(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no commits"):
            order(Repository(tmp_path / "r").path)

    def test_an_unknown_tip(self, branchy: Repository) -> None:
        with pytest.raises(SourceError, match="no commit '--all'"):
            order(branchy.path, "--all")

    def test_a_shallow_clone(self, branchy: Repository, tmp_path: Path) -> None:
        url = f"file://{branchy.path}"
        subprocess.run(["git", "clone", "-q", "--bare", "--depth", "2", url, tmp_path / "shallow"], check=True)
        with pytest.raises(SourceError, match="--unshallow"):
            order(tmp_path / "shallow")

    def test_a_missing_tree(self, tmp_path: Path) -> None:
        r = Repository(tmp_path / "r")
        r.commit("one", {"d/f": b"1\n"})
        oid = r.git("rev-parse", "main:d")
        (r.path / "objects" / oid[:2] / oid[2:]).unlink()
        with pytest.raises(SourceError, match="fsck"):
            list(walk(r.path))
