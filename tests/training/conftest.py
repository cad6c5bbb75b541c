"""Film and a finished run that the tests of several rooms share."""

from pathlib import Path

import pytest

from tests.training.recorded import film_history
from tests.training.runs import settings
from tests.training.warehouse import write_warehouse
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.loop.run import fit


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FilmReader:
    return FilmReader(Warehouse(write_warehouse(tmp_path_factory.mktemp("w"), {"a/one": 600})))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_warehouse(tmp_path_factory.mktemp("w"), {"a/one": 900})


@pytest.fixture(scope="session")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("r") / "run"
    fit(settings(root, run))
    return run


@pytest.fixture(scope="session")
def history_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse recorded from a real history, where `root` has drawn-up film: a terminal can play its keys again."""
    return film_history(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="session")
def history_reader(history_root: Path) -> FilmReader:
    return FilmReader(Warehouse(history_root))
