"""What stands in a tree, asked by path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.git.entries import empty_tree
from pipeline.git.objects import Blobs
from pipeline.git.tree import Tree
from tests.repositories import GITLINK, SYMLINK, File, Repository


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A file, a folder of folders, a link, a submodule."""
    r = Repository(tmp_path / "r")
    r.commit("one", {"f": b"12\n", "d/e/g": b"", "d/h": b"", "l": File(b"d", SYMLINK), "s": File(b"1" * 40, GITLINK)})
    with Blobs(r.path) as blobs:
        yield Tree(r.git("rev-parse", "main^{tree}"), blobs)


def test_a_file_is_found_with_its_size_and_content(tree: Tree) -> None:
    file = tree.file(b"f")
    assert file is not None
    assert (file.mode, file.size, file.content) == (0o100644, 3, b"12\n")
    assert (tree.file(b"d"), tree.file(b"f/x"), tree.file(b"x")) == (None, None, None)


def test_versions_and_trees_are_equal_by_what_they_name_not_by_where_they_are_read(tree: Tree, tmp_path: Path) -> None:
    with Blobs(tmp_path / "r") as others:
        other = Tree(tree.oid, others)
        assert other == tree
        assert other.file(b"f") == tree.file(b"f") != tree.file(b"d/h")
        assert len({other.file(b"f"), tree.file(b"f")}) == 1


@pytest.mark.parametrize(
    ("path", "taken"),
    [(b"f", True), (b"f/x", True), (b"d", True), (b"d/x", False), (b"d/e/g/x/y", True), (b"x", False), (b"s/x", True)],
)
def test_a_path_is_taken_by_what_stands_there_or_by_a_file_above_it(tree: Tree, path: bytes, taken: bool) -> None:
    assert tree.occupies(path) is taken


@pytest.mark.parametrize(
    ("path", "meets"), [(b"l", True), (b"l/x", True), (b"d/e", False), (b"x/l", False), (b"s", False)]
)
def test_a_link_on_the_way_is_met(tree: Tree, path: bytes, meets: bool) -> None:
    assert tree.meets_link(path) is meets


@pytest.mark.parametrize(
    ("folder", "gone", "kept"),
    [
        (b"d", set(), True),
        (b"d", {b"d/h"}, True),
        (b"d", {b"d/h", b"d/e/g"}, False),
        (b"d/e", {b"d/e/g"}, False),
        (b"d/e", {b"d/h"}, True),
        (b"f", set(), False),
        (b"x", set(), False),
    ],
)
def test_a_folder_is_kept_while_a_file_is_left_below_it(
    tree: Tree, folder: bytes, gone: set[bytes], kept: bool
) -> None:
    assert tree.keeps(folder, gone) is kept


@pytest.mark.parametrize("digits", [40, 64])
def test_the_empty_tree_is_known_without_being_read(tree: Tree, digits: int) -> None:
    empty = Tree(empty_tree(digits), tree.source)
    assert (empty.entry(b"f"), empty.occupies(b"f"), empty.keeps(b"d", ()), empty.entries()) == (None, False, False, {})
