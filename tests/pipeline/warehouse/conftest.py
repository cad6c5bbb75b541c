"""Warehouses that hold film of one small repository."""

import shutil
from pathlib import Path

import pytest

from pipeline.warehouse import catalogue, listing
from pipeline.warehouse.build import build
from tests.pipeline.warehouse.films import film
from tests.repositories import Repository


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten commits: typed text, wide characters, a combining mark, a binary file, a deletion."""
    repository = Repository(tmp_path_factory.mktemp("history") / "r")
    text = b""
    for number in range(8):
        text += b"line %d: \xe6\xbc\xa2\xe5\xad\x97 e\xcc\x81 and a tab\there\n" % number
        repository.commit(f"Commit {number}", {"a.txt": text, f"b{number}": b"one\ntwo\n" * number})
    repository.commit("Add a picture", {"picture.png": b"\x89PNG\0\0" + bytes(range(256))})
    repository.commit("Remove one", {"b3": None})
    return repository.path


@pytest.fixture(scope="module")
def filmed(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a built warehouse."""
    folder = tmp_path_factory.mktemp("root")
    film(history, folder / "warehouse")
    build(folder / "warehouse")
    return folder


@pytest.fixture
def copy(filmed: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(filmed, tmp_path / "copy"))


@pytest.fixture
def several(history: Path, tmp_path: Path) -> Path:
    """Four short streams, one of them to grow."""
    for name in ("a/a", "b/b", "c/c"):
        film(history, tmp_path / "warehouse", name)
    film(history, tmp_path / "warehouse", "d/d", upto=5)
    build(tmp_path / "warehouse")
    return tmp_path


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of three streams, packs of three, two of either become one."""
    monkeypatch.setattr(catalogue, "RECENT", 2)
    monkeypatch.setattr(catalogue, "FEW", 2)
    monkeypatch.setattr(listing, "FIRST_STREAMS", 3)
    monkeypatch.setattr(listing, "FEW_PACKS", 2)
