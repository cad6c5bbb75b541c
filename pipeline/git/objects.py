"""A repository's objects by id, through long-lived `git cat-file` processes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from subprocess import DEVNULL, PIPE
from types import TracebackType
from typing import NamedTuple

from pipeline.git.entries import Entry, tree_entries
from pipeline.git.reader import Reader, reading
from pipeline.git.repository import Location, opened
from schema.errors import SourceError

CACHE_BYTES = 64 << 20  # of blob contents; the old content of a file is mostly an earlier new one
CACHED_ENTRIES = 1 << 18  # of trees; about 290 bytes each
_CACHED_HEADS = 65_536
_AHEAD_TREE_BYTES = 1 << 18  # a larger tree is not read ahead; about 6,000 entries
# Requests in flight: 400 x 75 bytes stay below the 64 KiB of a pipe, so that writing them never blocks while git
# blocks on writing its answers.
_IN_FLIGHT = 400
_MISSING = "missing"


class Head(NamedTuple):
    """An object without its content."""

    oid: str
    kind: str
    size: int


class CatFile:
    """One `git cat-file` process: requests are answered in order."""

    def __init__(self, reader: Reader, mode: str) -> None:
        self.repository = reader.repository
        self.process = reader.start("cat-file", mode, stdin=PIPE, stderr=DEVNULL)

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
        self.reader = self._stack.enter_context(reading(self.repository))
        self._cache_bytes = cache_bytes
        self._contents: dict[str, bytes] = {}  # by last use, oldest first
        self.cached_bytes = 0  # of contents
        self._heads: dict[str, Head | None] = {}
        self._trees: dict[str, dict[bytes, Entry]] = {}  # oldest first
        self._entries = 0
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

    def size(self, oid: str) -> int | None:
        """A blob's bytes, before it is read; None for one that is missing or no blob. Raises SourceError."""
        return self.sizes([oid])[oid]

    def sizes(self, oids: Iterable[str]) -> dict[str, int | None]:
        """`size` for several, with one exchange for all."""
        heads = self._look_up(oids)
        return {oid: head.size if head and head.kind == "blob" else None for oid, head in heads.items()}

    def _look_up(self, oids: Iterable[str]) -> dict[str, Head | None]:
        """Type and size of each object. Raises SourceError."""
        wanted = dict.fromkeys(oids)
        unknown = [oid for oid in wanted if oid not in self._heads]
        excess = len(self._heads) + len(unknown) - _CACHED_HEADS
        for oid in list(islice(self._heads, max(0, excess))):  # the oldest
            if oid not in wanted:
                del self._heads[oid]
        if unknown:
            if self._check is None:
                self._check = CatFile(self.reader, "--batch-check")
            for oid, head in self._check.heads(unknown):
                if head is None:
                    self.repository.check_missing(oid)
                self._heads[oid] = head
        return {oid: self._heads[oid] for oid in wanted}

    def read(self, oid: str) -> bytes | None:
        """A blob's content; None if it is missing or no blob. Raises SourceError. Look at its size first."""
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

    @property
    def ahead_bytes(self) -> int:
        """How much of what will be wanted soon is read ahead: half of the cache."""
        return self._cache_bytes // 2

    def prefetch(self, oids: Iterable[str], max_bytes: int) -> None:
        """Read what will be wanted soon with few exchanges: blobs up to `max_bytes` each, `ahead_bytes` of them."""
        room = self.ahead_bytes
        wanted = []
        for oid, size in self.sizes(oids).items():
            if size is not None and size <= min(max_bytes, room):
                wanted.append(oid)
                room -= size
        self.read_many(wanted)

    def prefetch_trees(self, oids: Iterable[str]) -> None:
        """Read trees that will be wanted soon with few exchanges, up to half of their cache."""
        room = CACHED_ENTRIES // 2
        wanted = []
        for oid, head in self._look_up(oid for oid in oids if oid not in self._trees).items():
            if head is not None and head.kind == "tree" and head.size <= _AHEAD_TREE_BYTES:
                room -= head.size // (len(oid) // 2 + 8)  # an entry has a mode of 6 bytes, two separators, a name
                if room < 0:
                    break
                wanted.append(oid)
        for oid, _, content in self._objects(wanted):
            self._remember_tree(oid, content or b"")

    def _objects(self, oids: Sequence[str]) -> Iterator[tuple[str, str, bytes | None]]:
        if self._batch is None and oids:
            self._batch = CatFile(self.reader, "--batch")
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
        self.cached_bytes += len(content)
        while self.cached_bytes > self._cache_bytes:
            oldest = next(iter(self._contents))
            self.cached_bytes -= len(self._contents.pop(oldest))

    def tree(self, oid: str) -> dict[bytes, Entry]:
        """A tree's own entries by name, not those of its folders. Raises SourceError when it is missing."""
        entries = self._trees.get(oid)
        if entries is None:
            ((_, kind, content),) = self._objects([oid])
            if kind != "tree" or content is None:
                raise self.repository.unreadable(f"tree {oid} is missing")
            entries = self._remember_tree(oid, content)
        return entries

    def _remember_tree(self, oid: str, content: bytes) -> dict[bytes, Entry]:
        try:
            entries = tree_entries(content, len(oid) // 2)
        except ValueError:
            raise self.repository.unreadable(f"tree {oid} is broken") from None
        self._trees[oid] = entries
        self._entries += len(entries)
        while self._entries > CACHED_ENTRIES and len(self._trees) > 1:
            self._entries -= len(self._trees.pop(next(iter(self._trees))))
        return entries
