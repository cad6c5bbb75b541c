"""An environment for tests with a Prefect server: nothing of the user's."""

import json
import os
import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def empty_databases(tmp_path_factory):
    return tmp_path_factory.mktemp("databases")


@pytest.fixture
def environment(tmp_path, empty_databases):
    """Variables for processes whose home is in `tmp_path`; Prefect's empty database is made once for all tests."""
    home = tmp_path / "home/gitreel"
    shutil.copytree(empty_databases, home)
    yield os.environ | {
        "XDG_CACHE_HOME": str(home.parent), "TMPDIR": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }  # fmt: skip
    for made in home.glob("prefect-*.db"):
        shutil.copy(made, empty_databases)


@pytest.fixture
def told(tmp_path, environment):
    """Run a script in a process of its own: what its last line, JSON, says."""

    def run(script, *arguments, **variables):
        path = tmp_path / "script.py"
        path.write_text(script)
        command = [sys.executable, str(path), *arguments]
        done = subprocess.run(command, env=environment | variables, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
