"""An environment for tests with a Prefect server: nothing of the user's."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def empty_databases(tmp_path_factory):
    return tmp_path_factory.mktemp("databases")


@pytest.fixture
def environment(tmp_path, empty_databases):
    """Variables for processes whose home is in `tmp_path`; Prefect's empty database is made once for all tests."""
    home = tmp_path / "home/gitreel"
    shutil.copytree(empty_databases, home)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "GITREEL"))}
    yield kept | {
        "XDG_CACHE_HOME": str(home.parent), "TMPDIR": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }  # fmt: skip
    for made in home.glob("prefect-*.db"):
        shutil.copy(made, empty_databases)
