"""How large a repository on this machine is, found out without git: the bytes of its objects."""

import os
from collections.abc import Iterator
from pathlib import Path


def objects_bytes(folder: Path, most: int) -> int | None:
    """Bytes of the packs and loose objects of a bare repository or a working tree; counting ends above `most`.

    None where that is not known: for what is no repository or may not be read, for a linked working tree or a
    submodule, whose objects lie elsewhere, and for one that borrows objects.
    """
    git_dir = folder / ".git"
    objects = (folder if not git_dir.exists() else git_dir) / "objects"
    try:
        if (objects / "info" / "alternates").exists():
            return None
        total = 0
        for size in _sizes(objects):
            total += size
            if total > most:
                break
    except OSError:
        return None
    return total


def _sizes(objects: Path) -> Iterator[int]:
    """The sizes of packs, without their indices, then of loose objects: of a large repository one pack is enough."""
    with os.scandir(objects) as entries:
        folders = sorted(entry.path for entry in entries if entry.name == "pack" or len(entry.name) == 2)
    for place in sorted(folders, key=lambda place: not place.endswith("pack")):
        with os.scandir(place) as entries:
            for entry in entries:
                if not entry.name.endswith((".idx", ".rev", ".bitmap", ".keep", ".mtimes")):
                    yield entry.stat(follow_symlinks=False).st_size
