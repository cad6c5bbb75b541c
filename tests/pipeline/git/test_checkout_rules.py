"""Which trees and files git can check out, each rule by itself."""

from pathlib import Path

import pytest

from pipeline.git.checkout_rules import CheckoutRules, is_unplayable
from pipeline.git.objects import Blobs
from pipeline.git.tree import Tree
from tests.repositories import GITLINK, SYMLINK, File, Files, Repository


def verdict(tmp_path: Path, files: Files, lost: bytes | None = None) -> str:
    """On a tree of these files, the content `lost` removed from the clone."""
    r = Repository(tmp_path / "r")
    r.commit("one", files)
    if lost is not None:
        oid = r.store("blob", lost)
        (r.path / "objects" / oid[:2] / oid[2:]).unlink()
    with Blobs(r.path) as blobs:
        return CheckoutRules().refusal(Tree(r.git("rev-parse", "main^{tree}"), blobs))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a": b"", "d/e/f": b"x", "l": File(b"d", SYMLINK), "s": File(b"1" * 40, GITLINK)}, ""),
        ({b"d/.Git": b"x"}, "unplayable"),
        ({b"d/" + b"n" * 255: b"x"}, ""),
        ({b"d/" + b"n" * 256: b"x"}, "unplayable"),
        ({b"/".join([b"n" * 250] * 17): b"x"}, "unplayable"),
        ({"d/l": File(b"", SYMLINK)}, "unplayable"),
        ({"d/l": File(b"x" * 4_001, SYMLINK)}, "unplayable"),
        ({".gitmodules/x": b""}, "unplayable"),
        ({".gitmodules": b""}, ""),
        ({".gitattributes": b"*.png binary # images\n"}, "unplayable"),
        ({"d/.gitattributes": b"[attr]m text\n"}, "unplayable"),
        ({".gitattributes": b"[attr]m text\n"}, ""),
        ({"d/.gitignore": File(b"x", SYMLINK)}, "unplayable"),
    ],
)
def test_the_whole_tree_is_looked_at(tmp_path: Path, files: Files, why: str) -> None:
    assert verdict(tmp_path, files) == why


def test_content_that_the_clone_lacks_is_told_before_what_else_is_wrong(tmp_path: Path) -> None:
    assert verdict(tmp_path, {"d/a": b"gone", b".git": b"x"}, lost=b"gone") == "missing"


def test_a_folder_is_judged_once_at_the_top_and_once_below(tmp_path: Path) -> None:
    """A macro is silent in the root folder alone, so that one tree object has two verdicts."""
    r = Repository(tmp_path / "r")
    inner = r.tree({b".gitattributes": (0o100644, r.store("blob", b"[attr]m text\n"))})
    outer = r.store("tree", b"40000 d\0" + bytes.fromhex(inner))
    with Blobs(r.path) as blobs:
        rules = CheckoutRules()
        assert [rules.refusal(Tree(oid, blobs)) for oid in (inner, outer, inner)] == ["", "unplayable", ""]


def test_a_verdict_is_remembered(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"d/a": b"", "e/a": b""})
    tree, rules = r.git("rev-parse", "main^{tree}"), CheckoutRules()
    with Blobs(r.path) as blobs:
        assert rules.refusal(Tree(tree, blobs)) == ""
    assert rules.refusal(Tree(tree, blobs)) == ""  # nothing is read any more


@pytest.mark.parametrize(("name", "top", "bad"), [(b"a", True, False), (b".", True, True), (b"a/b", False, True)])
def test_one_entry(tmp_path: Path, name: bytes, top: bool, bad: bool) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b""})
    with Blobs(r.path) as blobs:
        file = Tree(r.git("rev-parse", "main^{tree}"), blobs).file(b"a")
        assert file is not None
        assert is_unplayable(name, file, top=top) is bad
