"""Film that the tests of this folder read."""

from pathlib import Path

import pytest

from tests.training.warehouse import write_warehouse
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two train streams, one validation, one test; shards of 400 steps in row groups of 150."""
    streams = {"a/long": 1000, "a/short": 90, "b/held": 500, "c/test": 300}
    splits = {"b/held": "validation", "c/test": "test"}
    return write_warehouse(tmp_path_factory.mktemp("w"), streams, splits)


@pytest.fixture(scope="module")
def reader(root: Path) -> FilmReader:
    return FilmReader(Warehouse(root))
