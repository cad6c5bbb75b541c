"""No test reads or writes runs/, warehouse/ or the home folder of whoever works in this checkout: the guard works."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guard import sitecustomize as guard

ROOT = Path(__file__).resolve().parents[1]
RUNS, WAREHOUSE = ROOT / "runs", ROOT / "warehouse"
HOME = Path(os.environ[guard.REFUSED].split(os.pathsep)[-1])  # the real one's .prefect


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is refused from now on is told here, and does not fail the test."""
    monkeypatch.setenv(guard.LOG, str(tmp_path / "log"))
    return tmp_path / "log"


TOUCHES: dict[str, Callable[[], object]] = {
    "read": (RUNS / "latest/config.json").read_text,
    "written": lambda: (WAREHOUSE / "new").write_text(""),
    "read by its number": lambda: os.open(WAREHOUSE / "actions.db", os.O_RDONLY),
    "read as bytes": lambda: open(os.fsencode(WAREHOUSE / "actions.db")),  # noqa: SIM115
    "listed": lambda: list(RUNS.iterdir()),
    "walked": lambda: list(os.scandir(WAREHOUSE)),
    "searched": lambda: list(ROOT.glob("warehouse/*.db")),
    "made": (RUNS / "new").mkdir,
    "moved away": (RUNS / "none").unlink,
    "moved in": lambda: os.rename("nothing", RUNS / "new"),
    "linked": lambda: (RUNS / "new").symlink_to("nothing"),
    "copied": lambda: shutil.copytree(WAREHOUSE, "nothing"),
    "removed": lambda: shutil.rmtree(RUNS / "none"),
    "the home": (HOME / "profiles.toml").read_text,
    "in a roundabout way": (ROOT / "tests/../runs/latest").read_text,
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_a_touch_is_refused_and_told(log: Path, touch: Callable[[], object]) -> None:
    with pytest.raises(guard.RefusedPathError, match="a test may not touch it; use tmp_path"):
        touch()
    assert log.read_text().count("\n") == 1


def test_a_path_from_here_is_refused_too(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(guard.RefusedPathError):
        Path("runs/latest").read_text()


def test_the_repositorys_own_files_and_names_alike_are_not_refused(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (WAREHOUSE / "README.md").read_text()
    assert (WAREHOUSE / "queries.sql").read_text()
    for name in ("runs", "warehouse"):
        (tmp_path / "film" / name / "deep").mkdir(parents=True)
    monkeypatch.chdir(ROOT)
    shutil.rmtree(tmp_path / "film")  # names both from an open folder
    assert guard.refused(ROOT / "runs-of-another") is None
    assert not log.exists()


@pytest.mark.parametrize("how", ["open('runs/latest')", "import os; os.listdir('warehouse')", "import training.fit"])
def test_a_program_that_a_test_starts_is_watched(log: Path, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", how], cwd=ROOT, capture_output=True, text=True)
    assert ("RefusedPathError" in done.stderr) is log.exists() is ("training" not in how)


def test_programs_live_in_a_home_of_their_own() -> None:
    code = "import pathlib; print(pathlib.Path.home())"
    home = Path(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
    assert home.name.startswith("gitreel-home-")
    assert {Path(os.environ[name]).parent for name in ("XDG_CACHE_HOME", "PREFECT_HOME")} == {home}


def test_nothing_ends_the_tests_own_process(log: Path) -> None:
    with pytest.raises(AssertionError, match="without a word"):
        os._exit(2)
    assert log.read_text() == "os._exit(2) in the tests' own process\n"


CAUGHT = """
from pathlib import Path

def test_it():
    try:
        (Path({root!r}) / "runs/latest").read_text()
    except BaseException:
        pass

def test_another():
    assert True
"""


def test_a_test_that_touches_fails_even_where_the_error_was_caught(tmp_path: Path) -> None:
    (tmp_path / "test_caught.py").write_text(CAUGHT.format(root=str(ROOT)))
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "base"), str(tmp_path / "test_caught.py")],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert f"open {ROOT}/runs/latest" in done.stdout, done.stdout + done.stderr
    assert "ERROR test_caught.py::test_it" in done.stdout
    assert "2 passed, 1 error" in done.stdout
