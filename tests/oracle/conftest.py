"""The real programs, or a clear word on how to get them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.oracle.machine import INSTALL
from benchmarks.oracle.vims import version_here
from schema.editors import EDITOR_VERSIONS
from schema.widths import VIM_VERSION


@pytest.fixture(scope="session")
def vim_here() -> str:
    """The installed vim's version, to be named when a screen differs. Without vim: skipped, but in CI failed."""
    _need("vim")
    return f"the film is of vim {VIM_VERSION}, here is vim {version_here()}"


@pytest.fixture(scope="session")
def nano_here() -> str:
    """The installed nano's version. Without that nano: skipped, but in CI failed. The title shows the version."""
    _need("nano")
    found = subprocess.run(["nano", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    wanted = EDITOR_VERSIONS["nano"]
    if found.rsplit(" ", 1)[-1] != wanted:
        _go_without(f"the film is of nano {wanted}, here is {found}; Debian 12 has that one: apt-get install nano")
    return f"the film is of nano {wanted}, here is {found}"


def _need(editor: str) -> None:
    """Go on where an editor and what the oracle needs are there."""
    missing = [name for name in (editor, "bash", "git") if not shutil.which(name)]
    if missing or not Path("/proc/self/syscall").exists():
        need = ", ".join(missing) or "/proc/PID/syscall"
        _go_without(f"needs Linux with {need}; {INSTALL.format(' '.join(missing) or editor)}")


def _go_without(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
