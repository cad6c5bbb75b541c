"""Folders of runs: each run has its own, named by the date; a link may name the newest."""

import itertools
import time
from pathlib import Path


def make_dated_folder(parent: Path, prefix: str = "") -> Path:
    """Make and return a new folder in `parent`, for example 2026-11-25T22-31-05 (local time) behind `prefix`.

    No two callers get the same one: of two in the same second, the later gets 2026-11-25T22-31-05-2. Raises OSError.
    """
    name = prefix + time.strftime("%Y-%m-%dT%H-%M-%S")
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() does not end")


def real_folder(folder: Path) -> Path:
    """The folder that a link such as runs/latest names now; any other folder as it is.

    Who writes into a folder resolves it once: the link may name another one before the writing ends.
    """
    return folder.parent / folder.readlink() if folder.is_symlink() else folder
