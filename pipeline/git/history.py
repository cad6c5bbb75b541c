"""A repository's commits in the order in which they are filmed, each with the files it changed.

Order: the first-parent chain, oldest first; at a merge, first the non-merge commits that it alone brings (parents
before children, the first parent's line before the second's), each against its first parent; merges themselves add
nothing. What a chain commit adds depends on its ancestors alone, so the order at an older tip is a prefix of the order
at a newer one as long as the older tip stays on the first-parent chain. A merge may put it elsewhere (a foxtrot merge,
whose second parent it is). A stream then keeps its own order: `continued`.

Memory: about 250 bytes a commit of the repository for the graph, 200 more where the order is a stream's own; the walk
is streamed.
"""

import resource
import subprocess
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import IO, NamedTuple

from pipeline.git.objects import GITLINK, Blobs, Reader, reading
from pipeline.git.repository import Location, opened
from pipeline.messages import printable
from schema.errors import SourceError

__all__ = ["Blobs", "Commit", "FileChange", "RewrittenHistoryError", "ahead", "continued", "order", "root", "walk"]

# A commit that changes more paths than this is cut off there, and so is one for which git needs more memory than this
# (it holds a commit's whole list, some 700 bytes a path): a tree can name 10^10 files in a few kilobytes.
CHANGES_LIMIT = 100_000
DIFF_MEMORY = 256 << 20
_CHUNK = 1 << 18
_AHEAD = 64  # commits
_FORMAT = "%H%n%T%n%P%n%at%n%ct%n%ae%n%an%n%s"


class RewrittenHistoryError(SourceError):
    """The commit to go on after is not where it was: the history was rewritten, and its stream must start anew."""


class FileChange(NamedTuple):
    """One path of a commit: mode 0 and object id None stand for absent."""

    path: bytes
    old_mode: int
    new_mode: int
    old: str | None
    new: str | None


class _OutOfMemoryError(Exception):
    """git reached DIFF_MEMORY."""


class Commit(NamedTuple):
    """A commit against its first parent. Times are seconds since 1970, None if unreadable; `ordinal` counts from 0."""

    ordinal: int
    sha: str
    tree: str
    parent: str | None
    parent_tree: str | None
    author_name: bytes
    author_email: bytes
    authored_at: int | None
    committed_at: int | None
    subject: bytes
    changes: tuple[FileChange, ...]
    truncated: bool = False  # too many paths; `changes` holds the first of them, or none


class _Graph(NamedTuple):
    """Commits by number: `first[i]` is the first parent's number or -1, `more[i]` the other parents of a merge."""

    shas: list[bytes]
    trees: list[bytes]
    first: "array[int]"
    more: dict[int, tuple[int, ...]]
    tip: int


def root(git_dir: Location, tip: str | None = None) -> str:
    """The oldest root commit of the first-parent chain: forks share it. Raises SourceError."""
    with _opened(git_dir, tip) as (_, graph):
        at = graph.tip
        while graph.first[at] >= 0:
            at = graph.first[at]
        return graph.shas[at].hex()


def order(git_dir: Location, tip: str | None = None) -> list[str]:
    """Commit ids in the film's order, oldest first. Raises SourceError."""
    with _opened(git_dir, tip) as (_, graph):
        return [graph.shas[number].hex() for number in _ordered(graph)]


def continued(filmed: Sequence[str], commits: Sequence[str]) -> list[str] | None:
    """The order of a stream that begins with the commits `filmed`, once all of `commits`, a history's order, are in it.

    What was filmed keeps its place; what is new follows in the history's order. With nothing new that is `filmed`, also
    where the history has fewer commits (HEAD was moved back). None where the history has new commits and lacks filmed
    ones: it was rewritten, or another branch is checked out.

    >>> continued(["a", "b"], ["a", "c", "b"]), continued(["a", "b"], ["a"]), continued(["a", "b"], ["a", "c"])
    (['a', 'b', 'c'], ['a', 'b'], None)
    """
    known = set(filmed)
    new = [commit for commit in commits if commit not in known]
    if new and len(commits) - len(new) < len(filmed):
        return None
    return [*filmed, *new]


def walk(
    git_dir: Location,
    *,
    tip: str | None = None,
    after: str | int | None = None,
    at: int | None = None,
    commits: Sequence[str] | None = None,
) -> Iterator[Commit]:
    """Yield the commits up to `tip` (default: HEAD) in the film's order, or in the order `commits`.

    `after`: go on behind this commit id, or behind this ordinal; `at`: the ordinal that `after` had.
    Raises RewrittenHistoryError when it is not there any more, or one of `commits` to be yielded is no part of the
    history, SourceError when there is no complete history to read.
    """
    with _opened(git_dir, tip) as (reader, graph):
        shown = reader.repository.shown
        if commits is None:
            numbers = _ordered(graph)
            ordinal = _start(lambda i: graph.shas[numbers[i]].hex(), len(numbers), after, at, shown)
        else:
            ordinal = _start(commits.__getitem__, len(commits), after, at, shown)
            numbers = array("i", [-1]) * ordinal + _numbers(graph, commits[ordinal:], shown)
        while ordinal < len(numbers):
            for commit in _diffs(reader, graph, numbers, ordinal):
                parent = graph.first[numbers[ordinal]]
                ordinal += 1
                yield commit._replace(parent_tree=graph.trees[parent].hex()) if parent >= 0 else commit
                if commit.truncated:
                    break  # and start git again behind it


def ahead(
    commits: Iterable[Commit], blobs: Blobs, *, max_bytes: int = 1 << 20, max_files: int = 200
) -> Iterator[Commit]:
    """Yield `commits` unchanged, with the file contents of the next few already in the blobs' cache.

    Asking for 64 commits at once halves the walk's time: every exchange with git costs two context switches.
    Files over `max_bytes` and commits of more than `max_files` are left alone.
    """
    commits = iter(commits)
    while batch := list(islice(commits, _AHEAD)):
        blobs.prefetch(
            (
                oid
                for commit in batch
                if len(commit.changes) <= max_files
                for change in commit.changes
                for oid in (change.old, change.new)
                if oid and GITLINK not in (change.old_mode, change.new_mode)
            ),
            max_bytes,
        )
        yield from batch


@contextmanager
def _opened(git_dir: Location, tip: str | None) -> Iterator[tuple[Reader, _Graph]]:
    with reading(opened(git_dir)) as reader:
        yield reader, _graph(reader, tip)


def _graph(reader: Reader, tip: str | None) -> _Graph:
    tip_sha = reader.repository.commit(tip)
    numbers: dict[bytes, int] = {}
    shas: list[bytes] = []
    trees: list[bytes] = []
    first = array("i")
    more: dict[int, tuple[int, ...]] = {}
    size = len(tip_sha) // 2
    with _streamed(reader, "log", "--format=%H %T %P", tip_sha, "--") as lines:
        for line in lines:
            ids = bytes.fromhex(line.decode())  # a commit, its tree and its parents, one after the other
            those: list[int] = []
            for at in (0, *range(2 * size, len(ids), size)):
                sha = ids[at : at + size]
                known = numbers.setdefault(sha, len(shas))
                if known == len(shas):
                    shas.append(sha)
                    trees.append(b"")
                    first.append(-1)
                those.append(known)
            trees[those[0]] = ids[size : 2 * size]
            if len(those) > 1:
                first[those[0]] = those[1]
            if len(those) > 2:
                more[those[0]] = tuple(those[2:])
    return _Graph(shas, trees, first, more, numbers[bytes.fromhex(tip_sha)])


def _ordered(graph: _Graph) -> "array[int]":
    chain = array("i", [graph.tip])
    while graph.first[chain[-1]] >= 0:
        chain.append(graph.first[chain[-1]])
    seen = bytearray(len(graph.shas))
    ordered = array("i")
    for commit in reversed(chain):
        for parent in graph.more.get(commit, ()):
            _append_side(graph, parent, seen, ordered)
        seen[commit] = 1
        if commit not in graph.more:
            ordered.append(commit)
    return ordered


def _numbers(graph: _Graph, commits: Sequence[str], shown: str) -> "array[int]":
    number = {sha: i for i, sha in enumerate(graph.shas)}
    try:
        return array("i", [number[bytes.fromhex(commit)] for commit in commits])
    except KeyError as error:
        raise RewrittenHistoryError(
            f"{shown}: the history was rewritten: {error.args[0].hex()} is no longer part of it; "
            "harvest it again from the start"
        ) from None


def _append_side(graph: _Graph, tip: int, seen: bytearray, ordered: "array[int]") -> None:
    """Depth-first, a commit after its parents; without recursion, since lines are long."""
    stack = [tip]
    while stack:
        commit = stack[-1]
        if seen[commit] == 1:
            stack.pop()
            continue
        seen[commit] = 2  # its parents are under way
        parents = (graph.first[commit], *graph.more.get(commit, ()))
        waiting = [parent for parent in parents if parent >= 0 and not seen[parent]]
        if waiting:
            stack.append(waiting[0])
            continue
        seen[commit] = 1
        stack.pop()
        if commit not in graph.more:
            ordered.append(commit)


def _start(
    commit: Callable[[int], str],
    count: int,
    after: str | int | None,
    at: int | None,
    shown: str,
) -> int:
    """The ordinal to start with, of `count` commits."""
    if after is None:
        return 0
    if isinstance(after, int):
        ordinal = after
    else:
        places = range(count) if at is None else range(at, min(at + 1, count))
        ordinal = next((i for i in places if commit(i) == after), count)
    if not -1 <= ordinal < count:
        raise RewrittenHistoryError(
            f"{shown}: the history was rewritten: {after} is no longer commit {at if at is not None else ''} of it; "
            "harvest it again from the start"
        )
    return ordinal + 1


@contextmanager
def _streamed(
    reader: Reader, *arguments: str, stdin: IO[bytes] | None = None, memory: int = resource.RLIM_INFINITY
) -> Iterator[IO[bytes]]:
    """A reading command's output as a stream; it may be left early.

    Raises _OutOfMemoryError past `memory` bytes of data, SourceError if the command fails otherwise.
    """
    with tempfile.TemporaryFile() as errors:
        process = reader.start(*arguments, stdin=stdin or subprocess.DEVNULL, stderr=errors)
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
                raise _OutOfMemoryError
            raise reader.repository.unreadable(f"git cannot read the history ({printable(said[0])[1:-1]})")


def _diffs(reader: Reader, graph: _Graph, numbers: "array[int]", start: int) -> Iterator[Commit]:
    """Commits from ordinal `start` on, without their parent's tree; the last one may be truncated."""
    with tempfile.TemporaryFile() as wanted:
        for i in range(start, len(numbers)):
            parent = graph.first[numbers[i]]
            pair = graph.shas[numbers[i]].hex() + (" " + graph.shas[parent].hex() if parent >= 0 else "")
            wanted.write(pair.encode() + b"\n")
        wanted.seek(0)
        options = "--stdin -r -z --raw --root --no-renames --no-abbrev --always --ignore-submodules=none"
        header: bytes | None = None
        meta: bytes | None = None
        changes: list[FileChange] = []
        ordinal = start
        arguments = ("diff-tree", *options.split(), f"--format={_FORMAT}")
        diff = _streamed(reader, *arguments, stdin=wanted, memory=DIFF_MEMORY)
        exhausted = True
        with suppress(_OutOfMemoryError):
            with diff as stream:
                for token in _tokens(stream):
                    if meta is not None:
                        changes.append(_change(meta, token))
                        meta = None
                        if len(changes) > CHANGES_LIMIT:
                            break
                    elif token[:1] == b":":
                        meta = token
                    elif token[:2] == b"\n:":
                        meta = token[1:]
                    else:
                        if header is not None:
                            yield _commit(ordinal, header, changes)
                            ordinal += 1
                            changes = []
                        header = token
            exhausted = False
        # git keeps every commit it has read, too: after a long run it is started again, from its last, doubtful commit
        if header is not None and not (exhausted and ordinal > start):
            yield _commit(ordinal, header, changes)
        if header is None:  # the very first one was too much
            sha = graph.shas[numbers[start]].hex()
            with _streamed(reader, "log", "--no-walk", "--no-patch", "-z", f"--format={_FORMAT}", sha) as stream:
                yield _commit(start, stream.read().rstrip(b"\0"), [])._replace(truncated=True)


def _tokens(stream: IO[bytes]) -> Iterator[bytes]:
    """What stands between NUL bytes."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _change(meta: bytes, path: bytes) -> FileChange:
    old_mode, new_mode, old, new, _ = meta.decode().split(" ")
    before, after = int(old_mode[1:], 8), int(new_mode, 8)
    return FileChange(path, before, after, old if before else None, new if after else None)


def _commit(ordinal: int, header: bytes, changes: list[FileChange]) -> Commit:
    sha, tree, parents, authored, committed, email, name, subject = header.split(b"\n", 7)
    return Commit(
        ordinal,
        sha.decode(),
        tree.decode(),
        parents.split(b" ")[0].decode() or None,
        None,
        name,
        email,
        _seconds(authored),
        _seconds(committed),
        subject,
        tuple(changes[:CHANGES_LIMIT]),
        len(changes) > CHANGES_LIMIT,
    )


def _seconds(text: bytes) -> int | None:
    try:
        return int(text)
    except ValueError:  # a commit without a readable date
        return None
