"""A repository's objects, through long-lived `git cat-file` processes and an empty git folder of our own.

Neither the host's settings (`pipeline.git.environment`) nor the repository's decide anything: no hooks, attributes,
replacement objects, grafts or lazy fetches. Only reading commands are run here.
"""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from pipeline.git.environment import git_environment
from pipeline.git.repository import LocalRepository, Location, opened
from pipeline.temporary import temporary_folder
from schema.errors import SourceError

GITLINK, SYMLINK, EXECUTABLE, REGULAR, DIRECTORY = 0o160000, 0o120000, 0o100755, 0o100644, 0o040000
CACHE_BYTES = 64 << 20  # of blob contents; the old content of a file is mostly an earlier new one
_CACHED_TREES = 4_096
_CACHED_SIZES = 65_536
# Requests in flight: 400 x 75 bytes stay below the 64 KiB of a pipe, so that writing them never blocks while git
# blocks on writing its answers.
_IN_FLIGHT = 400
_PIPE_BYTES = 1 << 18
_MISSING = "missing"

Git = subprocess.Popen[bytes]


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


class Entry(NamedTuple):
    """One entry of a tree object."""

    mode: int
    oid: str


class Head(NamedTuple):
    """An object without its content."""

    oid: str
    kind: str
    size: int


class CatFile:
    """One `git cat-file` process: requests are answered in order."""

    def __init__(self, reader: Reader, mode: str) -> None:
        self.repository = reader.repository
        self.process = reader.start("cat-file", mode, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, names: Sequence[str]) -> None:
        """Send requests; at most _IN_FLIGHT may be unanswered."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(("\n".join(names) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._broken() from None

    def heads(self, names: Sequence[str]) -> Iterator[tuple[str, Head | None]]:
        """What each name stands for (--batch-check): object id, type and size; None for nothing. Raises SourceError."""
        for start in range(0, len(names), _IN_FLIGHT):
            part = names[start : start + _IN_FLIGHT]
            self.ask(part)
            yield from [(name, self.head()) for name in part]

    def head(self) -> Head | None:
        """The next answer; None for a missing object. Raises SourceError."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._broken()
        words = line.split()
        return Head(words[0].decode(), words[1].decode(), int(words[2])) if len(words) == 3 else None

    def body(self, size: int) -> bytes:
        """The content that follows `head` under --batch. Raises SourceError when it is cut short."""
        assert self.process.stdout is not None
        content = self.process.stdout.read(size)
        if len(content) != size or self.process.stdout.read(1) != b"\n":
            raise self._broken()
        return content

    def _broken(self) -> SourceError:
        return self.repository.unreadable("git stopped at a broken object")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # what was still buffered has no reader any more
            return


class Blobs:
    """A repository's blobs and trees by object id. A context manager; memory is bounded by its caches.

    >>> with Blobs("project") as blobs:  # doctest: +SKIP
    ...     blobs.sizes(["0123..."])
    """

    def __init__(self, location: Location, cache_bytes: int = CACHE_BYTES) -> None:
        self.repository = opened(location)
        self._stack = ExitStack()
        self._reader = self._stack.enter_context(reading(self.repository))
        self._cache_bytes = cache_bytes
        self._contents: dict[str, bytes] = {}  # by last use, oldest first
        self._held = 0
        self._sizes: dict[str, int | None] = {}
        self._trees: dict[str, dict[bytes, Entry]] = {}
        self._check: CatFile | None = None
        self._batch: CatFile | None = None

    def __enter__(self) -> "Blobs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the git processes; further calls are not allowed."""
        for process in (self._check, self._batch):
            if process is not None:
                process.close()
        self._check = self._batch = None
        self._stack.close()

    def sizes(self, oids: Iterable[str]) -> dict[str, int | None]:
        """Bytes of each blob, before any is read; None for one that is missing or no blob. Raises SourceError."""
        wanted = dict.fromkeys(oids)
        unknown = [oid for oid in wanted if oid not in self._sizes]
        if len(self._sizes) + len(unknown) > _CACHED_SIZES:
            self._sizes = {oid: self._sizes[oid] for oid in wanted if oid in self._sizes}
        for oid, head in self._heads(unknown):
            if head is None:
                self.repository.check_missing(oid)
            self._sizes[oid] = head.size if head and head.kind == "blob" else None
        return {oid: self._sizes[oid] for oid in wanted}

    def _heads(self, names: Sequence[str]) -> Iterator[tuple[str, Head | None]]:
        if self._check is None and names:
            self._check = CatFile(self._reader, "--batch-check")
        return self._check.heads(names) if self._check and names else iter(())

    def read(self, oid: str) -> bytes | None:
        """A blob's content; None if it is missing or no blob. Raises SourceError. Look at `sizes` first."""
        return self.read_many([oid])[oid]

    def read_many(self, oids: Iterable[str]) -> dict[str, bytes | None]:
        """`read` for several, with one exchange for all."""
        answers: dict[str, bytes | None] = {}
        unknown = []
        for oid in dict.fromkeys(oids):
            content = self._contents.pop(oid, None)
            if content is None:
                unknown.append(oid)
            else:
                answers[oid] = self._contents[oid] = content
        for oid, kind, content in self._objects(unknown):
            answers[oid] = content if kind == "blob" else None
            if kind == "blob" and content is not None:
                self._remember(oid, content)
        return answers

    def prefetch(self, oids: Iterable[str], max_bytes: int) -> None:
        """Read what will be wanted soon with few exchanges: blobs up to `max_bytes` each, up to half of the cache."""
        room = self._cache_bytes // 2
        wanted = []
        for oid, size in self.sizes(oids).items():
            if size is not None and size <= min(max_bytes, room):
                wanted.append(oid)
                room -= size
        self.read_many(wanted)

    def _objects(self, oids: Sequence[str]) -> Iterator[tuple[str, str, bytes | None]]:
        if self._batch is None and oids:
            self._batch = CatFile(self._reader, "--batch")
        for start in range(0, len(oids), _IN_FLIGHT):
            part = oids[start : start + _IN_FLIGHT]
            assert self._batch is not None
            self._batch.ask(part)
            found = []
            for oid in part:
                head = self._batch.head()
                found.append((oid, head.kind, self._batch.body(head.size)) if head else (oid, _MISSING, None))
            for oid, kind, _ in found:
                if kind == _MISSING:
                    self.repository.check_missing(oid)
            yield from found

    def _remember(self, oid: str, content: bytes) -> None:
        if len(content) > self._cache_bytes:
            return
        self._contents[oid] = content
        self._held += len(content)
        while self._held > self._cache_bytes:
            oldest = next(iter(self._contents))
            self._held -= len(self._contents.pop(oldest))

    def tree(self, oid: str) -> dict[bytes, Entry]:
        """A tree's own entries by name, not those of its folders. Raises SourceError when it is missing."""
        entries = self._trees.get(oid)
        if entries is None:
            ((_, kind, content),) = self._objects([oid])
            if kind != "tree" or content is None:
                raise self.repository.unreadable(f"tree {oid} is missing")
            entries = dict(_tree_entries(content, len(oid) // 2))
            if len(self._trees) >= _CACHED_TREES:
                self._trees.clear()
            self._trees[oid] = entries
        return entries

    def entry(self, tree: str | None, path: bytes) -> Entry | None:
        """What stands at `path` in a tree (None: the empty tree); None if nothing does. Raises SourceError."""
        if tree is None:
            return None
        found = Entry(DIRECTORY, tree)
        for name in path.split(b"/"):
            if found.mode != DIRECTORY or (entry := self.tree(found.oid).get(name)) is None:
                return None
            found = entry
        return found


def blob_id(content: bytes, digits: int) -> str:
    """Git's id of a file's content, of 40 (SHA-1) or 64 (SHA-256) hex digits."""
    kind = hashlib.sha1 if digits == 40 else hashlib.sha256
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def _tree_entries(content: bytes, oid_bytes: int) -> Iterator[tuple[bytes, Entry]]:
    at = 0
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        at_next = end + 1 + oid_bytes
        yield content[space + 1 : end], Entry(int(content[at:space], 8), content[end + 1 : at_next].hex())
        at = at_next
