"""Names of changed streams: whenever a build takes them, no stream is forgotten that it has not read."""

import os
from pathlib import Path

import pytest

from pipeline.shards.manifest import load, publish, publish_all
from pipeline.shards.store import Store
from pipeline.warehouse import changes
from pipeline.warehouse.build import build
from schema.catalogue import CHANGED
from schema.manifest import MANIFEST, Manifest, slug, stream_folder
from tests.pipeline.warehouse.films import told, write


def manifest_of(folder: Path, repo_id: str = "o/new") -> Manifest:
    write(folder, repo_id, 2)
    manifest = load(Store(folder), f"{stream_folder(repo_id)}/{MANIFEST}")
    assert manifest is not None
    return manifest


def name_of(manifest: Manifest) -> str:
    return f"{CHANGED}/{slug(manifest.repo_id)}"


@pytest.fixture
def taken_before_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build takes every name between the writing of a name and that of its manifest, and forgets it."""
    one, many = Store.write, Store.write_all

    def build_comes(store: Store) -> None:
        changes.take(store)
        changes.forget(store)

    def write_one(store: Store, name: str, data: bytes) -> None:
        if name.endswith(MANIFEST):
            build_comes(store)
        one(store, name, data)

    def write_many(store: Store, files: dict[str, bytes]) -> None:
        if any(name.endswith(MANIFEST) for name in files):
            build_comes(store)
        many(store, files)

    monkeypatch.setattr(Store, "write", write_one)
    monkeypatch.setattr(Store, "write_all", write_many)


@pytest.mark.usefixtures("taken_before_manifests")
def test_a_name_that_was_taken_before_its_manifest_was_there_is_named_again(tmp_path: Path) -> None:
    stream, store = manifest_of(tmp_path / "elsewhere"), Store(tmp_path / "w")
    publish(store, stream)
    assert store.exists(name_of(stream))
    other = manifest_of(tmp_path / "elsewhere", "o/other")
    publish_all(store, [stream, other])
    assert store.exists(name_of(other))
    assert [each.repo_id for each in changes.take(store).streams] == ["o/new", "o/other"]


def test_a_manifest_that_comes_while_its_name_is_taken_is_read_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = manifest_of(tmp_path / "old"), manifest_of(tmp_path / "new").model_copy(update={"licence": "MIT-0"})
    store = Store(tmp_path / "w")
    publish(store, old)
    real = changes.load

    def read_then_published(store: Store, name: str) -> Manifest | None:
        found = real(store, name)
        monkeypatch.setattr(changes, "load", real)
        publish(store, new)
        return found

    monkeypatch.setattr(changes, "load", read_then_published)
    assert changes.take(store).streams == [old]
    changes.forget(store)
    assert changes.take(store).streams == [new]


def test_a_name_that_is_being_written_is_left_to_its_writer(tmp_path: Path) -> None:
    store = Store(tmp_path)
    half = tmp_path / CHANGED / f".tmp-{os.getpid()}"
    half.parent.mkdir()
    half.write_bytes(b"")
    assert not changes.waiting(store)
    assert not changes.take(store)
    assert half.exists()


@pytest.mark.parametrize("name", ["taken", ".taken", "o/taken"])
def test_a_repository_may_be_called_as_a_folder_of_ours(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, 2)
    assert build(tmp_path).streams == 1
    write(tmp_path, name, 4)
    build(tmp_path)
    assert [row[0] for row in told(tmp_path)["repositories"]] == [name]
    assert not changes.waiting(Store(tmp_path))
