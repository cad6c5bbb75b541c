"""A board of small files in one folder: how far each repository is, and whether everyone should stop.

Workers may be threads, processes or Dask workers: a folder is what they all share. A worker that cannot reach it
(another machine) works on, unseen.
"""

import contextlib
import os
from pathlib import Path

from pipeline.harvester import Progress
from pipeline.temporary import TemporaryFolder

STOP = "stop"


class Board:
    """One run's board. `folder` travels to the workers as text; one that was made here ends with this object."""

    def __init__(self, folder: str | None = None) -> None:
        self._own = None if folder else TemporaryFolder("board")
        self.folder = self._own.path if self._own else Path(folder or "")

    def tell(self, place: int, progress: Progress) -> None:
        """Note how far repository number `place` is."""
        with contextlib.suppress(OSError):
            staged = self.folder / f".{place}.{os.getpid()}"
            staged.write_text(" ".join(str(number) for number in progress))
            staged.replace(self.folder / str(place))

    def read(self, place: int) -> Progress | None:
        """How far it is; None before it started."""
        try:
            done, total, steps = (self.folder / str(place)).read_text().split()
        except (OSError, ValueError):
            return None
        return Progress(int(done), int(total), int(steps))

    def stop(self) -> None:
        """Ask every worker to end soon, with what it has."""
        with contextlib.suppress(OSError):
            (self.folder / STOP).touch()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, by anyone."""
        return (self.folder / STOP).exists()
