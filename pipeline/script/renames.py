"""Which deleted and added files of a commit are one renamed file: `git mv`, and an edit where it changed too."""

from collections import Counter
from typing import NamedTuple

from pipeline.git.changes import Commit, FileChange
from pipeline.git.entries import EXECUTABLE, GITLINK, REGULAR, SYMLINK
from pipeline.git.tree import FileVersion, Tree
from pipeline.script.selection import Selection, Selector

SIMILAR = 0.5  # share of the larger file's bytes that stand in lines of both; git's own default
MAX_PAIRS = 400  # of files with other names; a commit of more is only searched for the same names
_FILES = (REGULAR, EXECUTABLE)


class Rename(NamedTuple):
    """`edited` is None for an exact one, else how the renamed file is edited."""

    source: FileChange
    target: FileChange
    edited: Selection | None


def find_renames(commit: Commit, selector: Selector) -> tuple[list[Rename], list[FileChange]]:
    """The renames that `git mv` can do one after the other, and all other changes. Raises SourceError."""
    sources = [c for c in commit.changes if c.old and not c.new and c.old_mode != GITLINK]
    targets = [c for c in commit.changes if c.new and not c.old and c.new_mode != GITLINK]
    if not sources or not targets:
        return [], list(commit.changes)
    targets = [c for c in targets if not commit.parent_tree.occupies(c.path)]
    renames = _exact(sources, targets)
    renames += _similar(
        _without(sources, [rename.source for rename in renames]),
        _without(targets, [rename.target for rename in renames]),
        selector,
        commit.tree,
    )
    renamed = [change for rename in renames for change in (rename.source, rename.target)]
    return renames, _without(commit.changes, renamed)


def _exact(sources: list[FileChange], targets: list[FileChange]) -> list[Rename]:
    left: dict[tuple[str, bool], list[FileChange]] = {}
    for source in sources:
        if source.old:
            left.setdefault((source.old.oid, source.old_mode == SYMLINK), []).append(source)
    renames = []
    for target in targets:
        if not target.new or not (candidates := left.get((target.new.oid, target.new_mode == SYMLINK))):
            continue
        same_name = [c for c in candidates if name_of(c.path) == name_of(target.path)]
        if not same_name and target.new.size == 0:
            continue  # empty files are alike by accident
        source = (same_name or candidates)[0]
        candidates.remove(source)
        renames.append(Rename(source, target, None))
    return renames


def _similar(sources: list[FileChange], targets: list[FileChange], selector: Selector, tree: Tree) -> list[Rename]:
    sources = [c for c in sources if c.old_mode in _FILES]
    targets = [c for c in targets if c.new_mode in _FILES]
    any_name = len(sources) * len(targets) <= MAX_PAIRS
    lines: dict[str, Counter[bytes] | None] = {}

    def counted(file: FileVersion) -> "Counter[bytes] | None":
        if file.oid not in lines:
            readable = file.size and file.size <= selector.config.max_file_bytes
            lines[file.oid] = Counter(file.content.split(b"\n")) if readable else None
        return lines[file.oid]

    pairs = []
    for j, target in enumerate(targets):
        for i, source in enumerate(sources):
            same_name = name_of(source.path) == name_of(target.path)
            if not (same_name or any_name):
                continue
            assert source.old
            assert target.new
            old, new = counted(source.old), counted(target.new)
            share = _share(old, new) if old and new else 0.0
            if share >= SIMILAR:
                pairs.append((not same_name, -share, j, i))
    renames = []
    free_sources, free_targets = set(range(len(sources))), set(range(len(targets)))
    for _, _, j, i in sorted(pairs):
        if i not in free_sources or j not in free_targets:
            continue
        source, target = sources[i], targets[j]
        change = FileChange(target.path, source.old, target.new)
        edited = selector.choose(change, tree)
        if not edited.reason:
            free_sources.remove(i)
            free_targets.remove(j)
            renames.append((j, Rename(source, target, edited)))
    return [rename for _, rename in sorted(renames, key=lambda item: item[0])]


def _share(old: "Counter[bytes]", new: "Counter[bytes]") -> float:
    """Bytes in lines of both over the bytes of the larger."""
    larger = max(sum((len(line) + 1) * n for line, n in side.items()) for side in (old, new))
    return sum((len(line) + 1) * n for line, n in (old & new).items()) / larger


def _without(changes: "list[FileChange] | tuple[FileChange, ...]", taken: list[FileChange]) -> list[FileChange]:
    paths = {change.path for change in taken}
    return [change for change in changes if change.path not in paths]


def folder_of(path: bytes) -> bytes:
    """b'a/b/c' -> b'a/b'; b'' at the top."""
    return path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes:
    """b'a/b/c' -> b'c'."""
    return path.rpartition(b"/")[2]
