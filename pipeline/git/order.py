"""The order in which a repository's commits are filmed.

The first-parent chain, oldest first; at a merge, first the non-merge commits that it alone brings (parents before
children, the first parent's line before the second's); merges themselves add nothing. What a chain commit adds depends
on its ancestors alone, so the order at an older tip is a prefix of the order at a newer one as long as the older tip
stays on the first-parent chain. A merge may put it elsewhere (a foxtrot merge, whose second parent it is). A stream
then keeps its own order: `continued`.

Memory: about 250 bytes a commit of the repository for the graph, 200 more where the order is a stream's own.
"""

import tempfile
from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pipeline.git.reader import Reader, reading
from pipeline.git.repository import Location, opened
from schema.errors import SourceError


class RewrittenHistoryError(SourceError):
    """The commit to go on after is not where it was: the history was rewritten, and its stream must start anew."""


class Graph(NamedTuple):
    """Commits by number: `first[i]` is the first parent's number or -1, `more[i]` the other parents of a merge.

    `tip` is a number, too, or -1 where nothing is left of the history.
    """

    shas: list[bytes]
    trees: list[bytes]
    first: "array[int]"
    more: dict[int, tuple[int, ...]]
    tip: int


def root(git_dir: Location, tip: str | None = None) -> str:
    """The oldest root commit of the first-parent chain: forks share it. Raises SourceError."""
    with reading(opened(git_dir)) as reader:
        graph = read_graph(reader, tip)
        at = graph.tip
        while graph.first[at] >= 0:
            at = graph.first[at]
        return graph.shas[at].hex()


def order(git_dir: Location, tip: str | None = None) -> list[str]:
    """Commit ids in the film's order, oldest first. Raises SourceError."""
    with reading(opened(git_dir)) as reader:
        graph = read_graph(reader, tip)
        return [graph.shas[number].hex() for number in ordered(graph)]


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


def read_graph(reader: Reader, tip: str | None, since: str | None = None) -> Graph:
    """All commits that `tip` (None: HEAD) reaches. Raises SourceError.

    `since`: without those that this one reaches, but for the parents that others have among them, which have none here.
    """
    tip_sha = reader.repository.commit(tip)
    numbers: dict[bytes, int] = {}
    shas: list[bytes] = []
    trees: list[bytes] = []
    first = array("i")
    more: dict[int, tuple[int, ...]] = {}
    size = len(tip_sha) // 2
    without = [f"^{since}"] if since else []
    with reader.stream("log", "--format=%H %T %P", tip_sha, *without, "--") as lines:
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
    return Graph(shas, trees, first, more, numbers.get(bytes.fromhex(tip_sha), -1))


def listed_graph(reader: Reader, commits: Sequence[str]) -> Graph:
    """These commits, numbered as they are listed, and their first parents, without what these descend from.

    Raises SourceError where one of them is not there.
    """
    facts = _facts(reader, commits)
    parents = _facts(reader, [ids[2] for ids in facts if len(ids) > 2])
    shas = [bytes.fromhex(ids[0]) for ids in (*facts, *parents)]
    numbers = {sha: number for number, sha in enumerate(shas)}
    first = array("i", [numbers[bytes.fromhex(ids[2])] if len(ids) > 2 else -1 for ids in facts])
    first.extend([-1] * len(parents))
    return Graph(shas, [bytes.fromhex(ids[1]) for ids in (*facts, *parents)], first, {}, 0)


def _facts(reader: Reader, commits: Sequence[str]) -> list[list[str]]:
    """Id, tree and parents of each commit."""
    if not commits:
        return []
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{commit}\n" for commit in commits).encode())
        wanted.seek(0)
        arguments = ("log", "--no-walk=unsorted", "--format=%H %T %P", "--stdin")
        with reader.stream(*arguments, stdin=wanted) as lines:
            found = {ids[0]: ids for ids in (line.decode().split() for line in lines)}
    return [found[commit] for commit in commits]


def chosen(
    git_dir: Location, tip: str, *, since: str | None = None, filters: Sequence[str] = (), path: str = ""
) -> list[str]:
    """Commit ids of a history up to `tip`, in the film's order, of which git's `filters` are true.

    `since`: only commits that are not part of its history. `filters` are options of `git rev-list`, such as
    `--author=NAME`; `path` is a file or folder that they changed. Merges are left out: they add nothing of their own.
    Raises SourceError.
    """
    with reading(opened(git_dir)) as reader:
        # a commit's place among the others depends on its ancestors alone: the rest of the history need not be read
        graph = read_graph(reader, tip, since)
        arguments = ["rev-list", "--no-merges", *filters, tip, *([f"^{since}"] if since else []), "--"]
        with reader.stream(*arguments, *([path] if path else [])) as lines:
            wanted = {line.strip().decode() for line in lines}
        return [sha for number in ordered(graph) if (sha := graph.shas[number].hex()) in wanted]


def ordered(graph: Graph) -> "array[int]":
    """The numbers of the graph's commits in the film's order."""
    chain = array("i", [graph.tip] if graph.tip >= 0 else [])
    while chain and graph.first[chain[-1]] >= 0:
        chain.append(graph.first[chain[-1]])
    seen = bytearray(len(graph.shas))
    found = array("i")
    for commit in reversed(chain):
        for parent in graph.more.get(commit, ()):
            _append_side(graph, parent, seen, found)
        seen[commit] = 1
        if commit not in graph.more:
            found.append(commit)
    return found


def _append_side(graph: Graph, tip: int, seen: bytearray, found: "array[int]") -> None:
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
            found.append(commit)


def remaining(
    graph: Graph, commits: Sequence[str] | None, after: str | int | None, at: int | None, shown: str
) -> "tuple[array[int], int]":
    """(commit numbers in order, ordinal of the first that is to be walked); numbers before it may be -1.

    `commits`, `after` and `at` as in `history.walk`; `shown` is the repository's name in the error.
    Raises RewrittenHistoryError.
    """
    if commits is None:
        numbers = ordered(graph)
        return numbers, _start(lambda i: graph.shas[numbers[i]].hex(), len(numbers), after, at, shown)
    ordinal = _start(commits.__getitem__, len(commits), after, at, shown)
    return array("i", [-1]) * ordinal + _numbers(graph, commits[ordinal:], shown), ordinal


def _numbers(graph: Graph, commits: Sequence[str], shown: str) -> "array[int]":
    number = {sha: i for i, sha in enumerate(graph.shas)}
    try:
        return array("i", [number[bytes.fromhex(commit)] for commit in commits])
    except KeyError as error:
        raise RewrittenHistoryError(
            f"{shown}: the history was rewritten: {error.args[0].hex()} is no longer part of it; "
            "harvest it again from the start"
        ) from None


def _start(commit: Callable[[int], str], count: int, after: str | int | None, at: int | None, shown: str) -> int:
    """The ordinal to start with, of `count` commits in order."""
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
