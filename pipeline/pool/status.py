"""The status of a harvest as small files in one folder: each repository's progress and outcome, messages, and a
request to stop.

Workers may be threads, processes or Dask workers: a folder is what they all share. A worker that cannot reach it
(another machine) works on without reporting.
"""

import contextlib
import os
from pathlib import Path

from pydantic import ValidationError

from pipeline.harvester import Outcome, Progress
from pipeline.temporary import TemporaryFolder

STOP = "stop"
SAID = "said"
ENDED = ".ended"  # of the names of files with outcomes


class StatusFolder:
    """One run's status folder. `folder` travels to the workers as text; one that was made here ends with `remove`."""

    def __init__(self, folder: str | None = None) -> None:
        self._own = None if folder else TemporaryFolder("status")
        self.folder = self._own.path if self._own else Path(folder or "")

    def report(self, place: int, progress: Progress) -> None:
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

    def begin(self, place: int) -> None:
        """Note that repository number `place` is tried, perhaps again."""
        with contextlib.suppress(OSError):
            (self.folder / f"{place}{ENDED}").unlink(missing_ok=True)

    def end(self, place: int, outcome: Outcome) -> None:
        """Note what became of repository number `place`."""
        with contextlib.suppress(OSError):
            staged = self.folder / f".{place}{ENDED}.{os.getpid()}"
            staged.write_text(outcome.model_dump_json())
            staged.replace(self.folder / f"{place}{ENDED}")

    def outcome(self, place: int) -> Outcome | None:
        """What became of it; None before it has ended."""
        try:
            return Outcome.model_validate_json((self.folder / f"{place}{ENDED}").read_bytes())
        except (OSError, ValidationError):
            return None

    def written(self) -> dict[str, tuple[int, int]]:
        """The names of its files, each with what differs when it is written again."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            return {entry.name: _version(entry) for entry in entries}
        return {}

    def say(self, line: str) -> None:
        """Add a message for whoever watches, such as what is waited for and why."""
        with contextlib.suppress(OSError), (self.folder / SAID).open("ab") as file:
            file.write(" ".join(line.split()).encode() + b"\n")  # one write to a file opened for appending: never mixed

    def said(self, known: int = 0) -> list[str]:
        """The messages so far, without the first `known`."""
        try:
            whole = (self.folder / SAID).read_bytes().rpartition(b"\n")[0]
        except OSError:
            return []
        return whole.decode(errors="replace").splitlines()[known:]

    def stop(self) -> None:
        """Ask every worker to end soon, with what it has."""
        with contextlib.suppress(OSError):
            (self.folder / STOP).touch()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, by anyone."""
        return (self.folder / STOP).exists()

    def remove(self) -> None:
        """Remove a folder that was made here."""
        if self._own:
            self._own.remove()


def _version(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:  # just renamed
        return 0, 0
    return found.st_mtime_ns, found.st_ino
