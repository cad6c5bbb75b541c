"""The real programs, or a clear word on how to get them."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.oracle.machine import INSTALL
from benchmarks.oracle.vims import version_here
from schema.widths import VIM_VERSION


@pytest.fixture(scope="session")
def vim_here() -> str:
    """The installed vim's version, to be named when a screen differs. Without vim: skipped, but in CI failed."""
    missing = [name for name in ("vim", "bash", "git") if not shutil.which(name)]
    if missing or not Path("/proc/self/syscall").exists():
        reason = f"needs Linux with {', '.join(missing) or '/proc/PID/syscall'}; {INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return f"the film is of vim {VIM_VERSION}, here is vim {version_here()}"
