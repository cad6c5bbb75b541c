"""The order of commits, and how a stream's own order grows."""

import subprocess
from pathlib import Path

import pytest

from pipeline.git.order import chosen, continued, order
from schema.errors import SourceError
from tests.repositories import Repository
from tests.shapes import Shapes
from tests.walking import walked


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
    grown_by = walked(r.path, commits=grown, after=filmed, at=1)
    assert [(commit.ordinal, commit.sha) for commit in grown_by] == [(2, local), (3, after)]
    assert grown_by[0].parent_tree.oid == r.git("rev-parse", f"{root}^{{tree}}")


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


def test_every_commit_that_is_no_merge_comes_once_and_after_its_parents(branchy: Repository) -> None:
    found = order(branchy.path)
    assert sorted(found) == sorted(branchy.git("rev-list", "--no-merges", "main").split())
    place = {sha: i for i, sha in enumerate(found)}
    for commit in walked(branchy.path):
        if commit.parent in place:
            assert place[commit.parent] < place[commit.sha]


def test_a_long_side_branch_needs_no_recursion(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    root = side = r.commit("root", {"f": b""})
    for _ in range(1_050):
        side = r.commit("s", parents=[side])
    r.commit("merge", parents=[root, side])
    assert len(order(r.path)) == 1_051


def test_working_trees_and_their_git_files_are_found(tmp_path: Path) -> None:
    r = Repository(tmp_path / "bare")
    r.commit("one", {"a": b"1\n"})
    subprocess.run(["git", "clone", "-q", r.path, tmp_path / "tree"], check=True)
    r.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    assert order(tmp_path / "tree") == order(tmp_path / "linked") == order(r.path)


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


@pytest.mark.parametrize("seed", range(30, 36))
def test_the_commits_that_another_lacks_are_in_the_order_of_the_whole_history(tmp_path: Path, seed: int) -> None:
    shapes = Shapes(tmp_path / "r", seed)
    for head in [*shapes.grow(12)][::3]:
        whole = order(shapes.path, head)
        for since in (head, *whole[:: max(1, len(whole) // 5)]):
            known = set(shapes.git("rev-list", since).split())
            assert chosen(shapes.path, head, since=since) == [commit for commit in whole if commit not in known]
