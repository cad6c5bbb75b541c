"""Film of a small history, recorded once for the modules that read it."""

from pathlib import Path

import pytest

from tests.training.recorded import film_history
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_history(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def reader(root: Path) -> FilmReader:
    return FilmReader(Warehouse(root))
