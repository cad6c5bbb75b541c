"""Objects through long-lived git processes: sizes first, missing ones tolerated, memory bounded."""

import subprocess
from pathlib import Path

import pytest

from pipeline.git import objects
from pipeline.git.entries import Entry
from pipeline.git.objects import Blobs
from schema.errors import SourceError
from tests.repositories import EXECUTABLE, File, Repository
from tests.walking import walked


def test_sizes_and_contents(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    one, empty = r.store("blob", b"one\n"), r.store("blob", b"")
    with Blobs(r.path) as blobs:
        assert blobs.sizes([one, empty, one]) == {one: 4, empty: 0}
        assert blobs.read_many([empty, one]) == {one: b"one\n", empty: b""}


def test_a_missing_blob_is_none(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    one = r.store("blob", b"one\n")
    with Blobs(r.path) as blobs:
        assert blobs.sizes(["0" * 39 + "1", one]) == {"0" * 39 + "1": None, one: 4}
        assert blobs.read("0" * 39 + "1") is None
        assert blobs.read(one) == b"one\n"


def test_a_promised_blob_is_not_fetched(tmp_path: Path) -> None:
    r = Repository(tmp_path / "origin")
    r.commit("one", {"a": b"1\n"})
    r.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    url = f"file://{r.path}"
    subprocess.run(["git", "clone", "-q", "--bare", "--filter=blob:none", url, partial], check=True)
    (commit,) = walked(partial)
    (file,) = commit.changes[0].versions
    with Blobs(partial) as blobs:
        assert blobs.size(file.oid) is None


def test_other_objects_are_no_blobs(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    sha = r.commit("one", {"a": b"1\n"})
    with Blobs(r.path) as blobs:
        assert blobs.sizes([sha]) == {sha: None}
        assert blobs.read(sha) is None


def test_more_requests_than_a_pipe_holds(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    contents = {r.store("blob", b"%d" % i * 50): b"%d" % i * 50 for i in range(3_000)}
    with Blobs(r.path, cache_bytes=1_000) as blobs:
        assert set(blobs.sizes(contents)) == set(contents)
        assert blobs.read_many(contents) == contents


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    oids = [r.store("blob", bytes([i]) * 400) for i in range(10)]
    with Blobs(r.path, cache_bytes=1_000) as blobs:
        for oid in oids:
            blobs.read(oid)
            assert 400 <= blobs.cached_bytes <= 1_000


def test_entries_of_a_tree(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {b"d/e\n/f": File(b"x", EXECUTABLE), "g": b""})
    tree = r.git("rev-parse", "main^{tree}")
    with Blobs(r.path) as blobs:
        assert set(blobs.tree(tree)) == {b"d", b"g"}
        assert blobs.tree(tree)[b"d"].mode == 0o040000
        inner = blobs.tree(blobs.tree(tree)[b"d"].oid)[b"e\n"].oid
        assert blobs.tree(inner) == {b"f": Entry(0o100755, r.store("blob", b"x"))}
        with pytest.raises(SourceError, match="is missing"):
            blobs.tree(r.store("blob", b"x"))


def test_few_trees_are_remembered_and_all_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "CACHED_ENTRIES", 20)
    r = Repository(tmp_path / "r")
    blob = r.store("blob", b"x")
    wanted = {r.tree({b"%d" % i: (0o100644, blob) for i in range(size)}): size for size in (3, 30, 1, 0, 8, 9, 7, 6, 5)}
    with Blobs(r.path) as blobs:
        blobs.prefetch_trees([*wanted, blob, "0" * 40])  # what is no tree, or missing, is left for who asks for it
        for _ in range(2):
            assert {oid: len(blobs.tree(oid)) for oid in wanted} == wanted


def test_a_corrupt_object_is_missing_or_an_error_that_says_how_to_check(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    oid = r.store("blob", b"x" * 1_000)
    (r.path / "objects" / oid[:2] / oid[2:]).write_bytes(b"\x78\x01 not zlib")
    with Blobs(r.path) as blobs:
        try:
            assert blobs.read(oid) is None  # git calls it missing, or stops, by version
        except SourceError as error:
            assert f"git -C {r.path} fsck" in str(error)


def test_nothing_of_the_repositorys_configuration_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.alternateRefsCommand", "diff.external"):
        r.git("config", name, f"touch {canary}")
    (commit,) = walked(r.path)
    with Blobs(r.path) as blobs:
        (file,) = commit.changes[0].versions
        assert blobs.read(file.oid) == b"1\n"
    assert not canary.exists()
