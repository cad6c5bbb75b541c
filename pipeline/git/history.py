"""A repository's commits in the order in which they are filmed (`pipeline.git.order`), each with what it changed.

The walk is streamed, and it reads ahead: of 64 commits it asks git at once for the sizes of all files and for all
folders above them, and for contents as far as half of the cache of `Blobs` holds them. Every exchange with git costs
two context switches, and whoever types the commits asks git nothing more about most of them.

Memory: the graph of `pipeline.git.order`, the paths of 64 commits (one with 100,000 of them takes 40 MB), and the
caches of `Blobs`.
"""

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from pipeline.git.changes import Commit, FileChange, object_ids
from pipeline.git.entries import DIRECTORY, empty_tree
from pipeline.git.objects import Blobs
from pipeline.git.order import Graph, listed_graph, read_graph, remaining
from pipeline.git.reader import OutOfMemoryError
from pipeline.git.tree import FileVersion, Tree

# A commit that changes more paths than this is cut off there, and so is one for which git needs more memory than this
# (it holds a commit's whole list, some 700 bytes a path or folder): a tree can name 10^10 files in a few kilobytes.
CHANGES_LIMIT = 100_000
DIFF_MEMORY = 256 << 20
_CHUNK = 1 << 18
_AHEAD = 64  # commits
AHEAD_PATHS = 25_600  # about 10 MB of changes
_FORMAT = "%H%n%T%n%P%n%at%n%ct%n%ae%n%an%n%s"


class _Read(NamedTuple):
    """A commit as `git diff-tree` prints it, and the folders that differ from its parent's, of both trees."""

    commit: Commit
    folders: list[str]


def walk(
    blobs: Blobs,
    *,
    tip: str | None = None,
    after: str | int | None = None,
    at: int | None = None,
    commits: Sequence[str] | None = None,
    max_bytes: int = 1 << 20,
    max_files: int = 200,
) -> Iterator[Commit]:
    """Yield the commits up to `tip` (default: HEAD) in the film's order, or in the order `commits`.

    `after`: go on behind this commit id, or behind this ordinal; `at`: the ordinal that `after` had. Contents up to
    `max_bytes` bytes are read ahead, and nothing of commits with more than `max_files` files; what was not is read
    when it is asked for. Raises RewrittenHistoryError when `after` is not there any more, or one of `commits` to be
    yielded is no part of the history, SourceError when there is no complete history to read.
    """
    graph = read_graph(blobs.reader, tip)
    numbers, ordinal = remaining(graph, commits, after, at, blobs.repository.shown)
    yield from _read_ahead(blobs, _restarted(blobs, graph, numbers, ordinal), max_bytes, max_files)


def listed(blobs: Blobs, commits: Sequence[str], *, max_bytes: int = 1 << 20, max_files: int = 200) -> Iterator[Commit]:
    """Yield just these commits, in this order; the rest of the history is not read. Limits as of `walk`.

    Raises SourceError where one of them, or its parent, is not there.
    """
    graph = listed_graph(blobs.reader, commits)
    read = _restarted(blobs, graph, array("i", range(len(commits))), 0)
    yield from _read_ahead(blobs, read, max_bytes, max_files)


def _read_ahead(blobs: Blobs, read: Iterable[_Read], max_bytes: int, max_files: int) -> Iterator[Commit]:
    for batch in _batches(read):
        ahead = [one for one in batch if len(one.commit.changes) <= max_files]
        blobs.sizes(oid for one in ahead for oid in object_ids(one.commit.changes))
        blobs.prefetch_trees(oid for one in ahead for oid in one.folders)
        for group in _affordable(batch, blobs, max_bytes, max_files):
            blobs.prefetch((oid for one in group for oid in _wanted(one.commit, max_files)), max_bytes)
            for one in group:
                yield one.commit


def _wanted(commit: Commit, max_files: int) -> Iterator[str]:
    return object_ids(commit.changes) if len(commit.changes) <= max_files else iter(())


def _affordable(batch: Iterable[_Read], blobs: Blobs, max_bytes: int, max_files: int) -> Iterator[list[_Read]]:
    """The batch in groups whose contents, each counted once, can be read ahead together."""
    group: list[_Read] = []
    counted: set[str] = set()
    total = 0
    for one in batch:
        sizes = blobs.sizes(_wanted(one.commit, max_files))
        sized = {oid: size for oid, size in sizes.items() if size is not None and size <= max_bytes}
        more = sum(size for oid, size in sized.items() if oid not in counted)
        if group and total + more > blobs.ahead_bytes:
            yield group
            group, counted, total = [], set(), 0
            more = sum(sized.values())
        group.append(one)
        counted |= sized.keys()
        total += more
    yield group


def _batches(read: Iterable[_Read]) -> Iterator[list[_Read]]:
    """Commits that are read ahead together: 64, or fewer if they have very many paths."""
    batch: list[_Read] = []
    paths = 0
    for one in read:
        batch.append(one)
        paths += len(one.commit.changes) + len(one.folders)
        if len(batch) == _AHEAD or paths > AHEAD_PATHS:
            yield batch
            batch, paths = [], 0
    if batch:
        yield batch


def _restarted(blobs: Blobs, graph: Graph, numbers: "array[int]", ordinal: int) -> Iterator[_Read]:
    """All commits from this ordinal on; git is started anew behind each one that was too large for it."""
    while ordinal < len(numbers):
        for one in _diffs(blobs, graph, numbers, ordinal):
            ordinal += 1
            yield one
            if one.commit.truncated:
                break


def _diffs(blobs: Blobs, graph: Graph, numbers: "array[int]", start: int) -> Iterator[_Read]:
    """Commits from ordinal `start` on; the last one may be truncated."""
    reader = blobs.reader
    parse = _Parser(blobs, graph, numbers)
    with tempfile.TemporaryFile() as wanted:
        for i in range(start, len(numbers)):
            parent = graph.first[numbers[i]]
            pair = graph.shas[numbers[i]].hex() + (" " + graph.shas[parent].hex() if parent >= 0 else "")
            wanted.write(pair.encode() + b"\n")
        wanted.seek(0)
        options = "--stdin -r -t -z --raw --root --no-renames --no-abbrev --always --ignore-submodules=none"
        header: bytes | None = None
        meta: bytes | None = None
        changes: list[FileChange] = []
        folders: list[str] = []
        ordinal = start
        arguments = ("diff-tree", *options.split(), f"--format={_FORMAT}")
        diff = reader.stream(*arguments, stdin=wanted, memory=DIFF_MEMORY)
        exhausted = True
        with suppress(OutOfMemoryError):
            with diff as stream:
                for token in _tokens(stream):
                    if meta is not None:
                        parse.change(meta, token, changes, folders)
                        meta = None
                        if len(changes) > CHANGES_LIMIT:
                            break
                    elif token[:1] == b":":
                        meta = token
                    elif token[:2] == b"\n:":
                        meta = token[1:]
                    else:
                        if header is not None:
                            yield parse.commit(ordinal, header, changes, folders)
                            ordinal += 1
                            changes, folders = [], []
                        header = token
            exhausted = False
        # git keeps every commit it has read, too: after a long run it is started again, from its last, doubtful commit
        if header is not None and not (exhausted and ordinal > start):
            yield parse.commit(ordinal, header, changes, folders)
        if header is None:  # the very first one was too much
            sha = graph.shas[numbers[start]].hex()
            with reader.stream("log", "--no-walk", "--no-patch", "-z", f"--format={_FORMAT}", sha) as stream:
                whole = parse.commit(start, stream.read().rstrip(b"\0"), [], [])
            yield whole._replace(commit=whole.commit._replace(truncated=True))


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between NUL bytes."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


class _Parser(NamedTuple):
    """The output of `git diff-tree` as commits."""

    blobs: Blobs
    graph: Graph
    numbers: "array[int]"

    def change(self, meta: bytes, path: bytes, changes: list[FileChange], folders: list[str]) -> None:
        """Add one raw line, ':100644 100755 OLD NEW M', to the changes or, of a folder, to the folders."""
        old_mode, new_mode, old, new, _ = meta.decode().split(" ")
        before, after = int(old_mode[1:], 8), int(new_mode, 8)
        if DIRECTORY in (before, after):
            folders += [oid for mode, oid in ((before, old), (after, new)) if mode]
            return
        changes.append(
            FileChange(
                path,
                FileVersion(before, old, self.blobs) if before else None,
                FileVersion(after, new, self.blobs) if after else None,
            )
        )

    def commit(self, ordinal: int, header: bytes, changes: list[FileChange], folders: list[str]) -> _Read:
        """What was read of one commit. `header` as _FORMAT says."""
        sha, tree, parents, authored, committed, email, name, subject = header.split(b"\n", 7)
        parent = self.graph.first[self.numbers[ordinal]]
        parent_tree = self.graph.trees[parent].hex() if parent >= 0 else empty_tree(len(sha))
        commit = Commit(
            ordinal,
            sha.decode(),
            Tree(tree.decode(), self.blobs),
            parents.split(b" ")[0].decode() or None,
            Tree(parent_tree, self.blobs),
            name,
            email,
            _seconds(authored),
            _seconds(committed),
            subject,
            tuple(changes[:CHANGES_LIMIT]),
            len(changes) > CHANGES_LIMIT,
        )
        return _Read(commit, [*([commit.parent_tree.oid] if parent >= 0 else []), commit.tree.oid, *folders])


def _seconds(text: bytes) -> int | None:
    try:
        return int(text)
    except ValueError:  # a commit without a readable date
        return None
