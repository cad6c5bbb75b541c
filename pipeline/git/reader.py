"""Git's reading commands on a repository, run in an empty git folder of our own.

Neither the host's settings (`pipeline.git.environment`) nor the repository's decide anything: no hooks, attributes,
replacement objects, grafts or lazy fetches. Only reading commands are run here.
"""

import resource
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.git.environment import git_environment
from pipeline.git.repository import LocalRepository
from pipeline.messages import printable
from pipeline.temporary import temporary_folder

_PIPE_BYTES = 1 << 18

Git = subprocess.Popen[bytes]


class OutOfMemoryError(Exception):
    """A command of git needed more memory than it was given."""


class Reader(NamedTuple):
    """A repository's objects seen through an empty git folder of our own, and nothing else of it.

    No configuration, hook, attribute, graft or replacement of the repository applies, and what a partial clone lacks
    is missing instead of being fetched.
    """

    repository: LocalRepository
    folder: Path

    def start(self, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL, stderr: int | IO[bytes]) -> Git:
        """Start a reading command; its output is a pipe."""
        return subprocess.Popen(
            ["git", f"--git-dir={self.folder}", *arguments],
            env=git_environment() | {"GIT_OBJECT_DIRECTORY": str(self.repository.objects[0])},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=_PIPE_BYTES,
            process_group=0,  # a terminal's Ctrl-C is for us: a git that it ended would look like a broken repository
        )

    def complaint(self, *arguments: str) -> str:
        """What git says against a reading command that ends at once; '' where it takes it."""
        process = self.start(*arguments, stderr=subprocess.PIPE)
        _, errors = process.communicate()
        said = errors.decode(errors="replace").splitlines() or [f"exit code {process.returncode}"]
        return printable(said[0])[1:-1] if process.returncode else ""

    @contextmanager
    def stream(
        self, *arguments: str, stdin: IO[bytes] | None = None, memory: int = resource.RLIM_INFINITY
    ) -> Iterator[IO[bytes]]:
        """A reading command's output as a stream, which may be left early.

        Raises OutOfMemoryError past `memory` bytes of data, SourceError if the command fails otherwise.
        """
        with tempfile.TemporaryFile() as errors:
            process = self.start(*arguments, stdin=stdin or subprocess.DEVNULL, stderr=errors)
            assert process.stdout is not None
            if hasattr(resource, "prlimit"):  # Linux
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory, memory))
            finished = False
            try:
                yield process.stdout
                finished = process.stdout.read(1) == b""
            finally:
                if not finished:
                    process.kill()
                code = process.wait()
                process.stdout.close()
            if finished and code:
                errors.seek(0)
                said = errors.read(2_000).decode(errors="replace").splitlines() or [f"exit code {code}"]
                if "ut of memory" in said[0]:
                    raise OutOfMemoryError
                raise self.repository.unreadable(f"git cannot read the history ({printable(said[0])[1:-1]})")


@contextmanager
def reading(repository: LocalRepository) -> Iterator[Reader]:
    """A Reader; its folder is removed afterwards."""
    with temporary_folder("git") as folder:
        (folder / "refs").mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        sha1 = repository.object_format == "sha1"
        extension = "" if sha1 else f"[extensions]\n\tobjectFormat = {repository.object_format}\n"
        (folder / "config").write_text(
            f"[core]\n\trepositoryFormatVersion = {0 if sha1 else 1}\n\tbare = true\n{extension}"
        )
        yield Reader(repository, folder)
