"""Temporary folders that end with their process: what a killed one leaves behind, the next process removes.

A folder's owner holds a lock on its `.owner` file for as long as it lives. Whoever can take that lock may remove the
folder. One without that file (its process was killed in between, or is about to write it) is left to the system.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PREFIX = "gitreel-"
OWNER = ".owner"
_living: "weakref.WeakSet[TemporaryFolder]" = weakref.WeakSet()


class TemporaryFolder:
    """A fresh folder, `path`, removed by `remove`, with this object, or by a later process."""

    def __init__(self, purpose: str = "") -> None:
        _sweep_once()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX + (f"{purpose}-" if purpose else "")))
        _living.add(self)
        self._end = weakref.finalize(self, _remove, self.path, _own(self.path), os.getpid())

    def remove(self) -> None:
        """Remove it now."""
        self._end()


@contextlib.contextmanager
def temporary_folder(purpose: str = "") -> Iterator[Path]:
    """A fresh folder for the block."""
    folder = TemporaryFolder(purpose)
    try:
        yield folder.path
    finally:
        folder.remove()


def remove_all() -> None:
    """Remove this process's folders, and what dead processes left: for a process that is about to end at once."""
    for folder in list(_living):
        folder.remove()
    sweep(Path(tempfile.gettempdir()))


def sweep(parent: Path) -> list[Path]:
    """Remove what dead processes of this user left in `parent`; return it."""
    removed = []
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # gone, somebody else's, or its owner lives
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            with (folder / OWNER).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed


@cache
def _sweep_once() -> None:
    sweep(Path(tempfile.gettempdir()))


def _own(folder: Path) -> int:
    """Lock the folder's owner file before it has its name: nobody sees it unlocked."""
    staged = folder / f"{OWNER}-new"
    lock = os.open(staged, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    staged.rename(folder / OWNER)
    return lock


def _remove(folder: Path, lock: int, owner: int) -> None:
    if os.getpid() == owner:  # not a fork of it, that holds the same object
        shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
