"""Files that are whole or not there: written beside, fsynced, renamed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from schema.errors import WarehouseError


def write_atomically(path: Path, data: bytes) -> None:
    """Put bytes at `path` atomically. Raises WarehouseError (disk full, read-only)."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise WarehouseError(f"{path}: {error.strerror}; free some space or use another --run folder") from error


def git_sha() -> str:
    """The commit of this program, or "unknown" where it is no checkout."""
    done = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
        # what a hook of git has set names another repository
        env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or "unknown"
