"""Which trees and files git can check out silently, on a file system as any Linux has one."""

from collections.abc import Iterable, Mapping

from pipeline.git.attributes import ATTRIBUTES_BYTES, quiet_attributes
from pipeline.git.changes import FileChange
from pipeline.git.entries import DIRECTORY, EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry
from pipeline.git.objects import Blobs
from pipeline.git.tree import FileVersion, Tree

UNPLAYABLE, MISSING = "unplayable", "missing"
PATH_BYTES, NAME_BYTES = 4_000, 255  # the file system's limits
_MAX_TREE_FILES = 1_000_000  # a tree of more is a bomb: no one can check it out
_REMEMBERED_TREES = 1 << 17
_REASONS = {-1: UNPLAYABLE, -2: MISSING}
_Below = tuple[int, int]  # files below a tree, and its longest path; or a key of _REASONS, and 0


class CheckoutRules:
    """Remembers its verdicts on trees."""

    def __init__(self) -> None:
        self._below: dict[tuple[str, bool], _Below] = {}  # (tree, at the top?)

    def refusal(self, tree: Tree) -> str:
        """Why git cannot check this tree out, a fixed word; empty if it can. Each tree object is read once.

        'unplayable': forbidden or overlong names, a bomb, what git complains about at every command; 'missing': a file
        whose content is not in this clone. Raises SourceError.
        """
        known, source = self._below, tree.source
        if len(known) > _REMEMBERED_TREES:
            known.clear()
        stack = [(tree.oid, True)]
        while stack:
            oid, top = at = stack[-1]
            if at in known:
                stack.pop()
                continue
            entries = Tree(oid, source).entries()
            below = {(entry.oid, False) for entry in entries.values() if entry.mode == DIRECTORY}
            if waiting := below - known.keys():
                source.prefetch_trees(oid for oid, _ in waiting)
                stack += waiting
                continue
            stack.pop()
            known[at] = self._judge(entries, source, top)
        return _REASONS.get(known[tree.oid, True][0], "")

    def _judge(self, entries: Mapping[bytes, Entry], source: Blobs, top: bool) -> _Below:
        """The verdict on a tree whose folders are known."""
        files = longest = worst = 0
        sizes = source.sizes(entry.oid for entry in entries.values() if entry.mode not in (DIRECTORY, GITLINK))
        for name, entry in entries.items():
            below, length = self._below[entry.oid, False] if entry.mode == DIRECTORY else (1, -1)
            if below < 0:
                worst = min(worst, below)
                continue
            files += below
            longest = max(longest, len(name) + 1 + length)
            if is_unplayable(name, FileVersion(*entry, source), top=top):
                worst = min(worst, -1)
        if None in sizes.values():
            worst = -2
        if worst == 0 and (files > _MAX_TREE_FILES or longest > PATH_BYTES):
            worst = -1
        return (worst, 0) if worst else (files, longest)


def lacks_content(files: Iterable[FileVersion]) -> bool:
    """Whether the clone lacks the content of one of these files; submodules have none. Raises SourceError."""
    return any(file.mode != GITLINK and file.size is None for file in files)


def cannot_follow(change: FileChange) -> bool:
    """Whether a checked-out folder cannot take up this change silently: by its path, or by the new file."""
    *folders, name = change.path.split(b"/")
    if len(change.path) > PATH_BYTES or any(is_forbidden(part, change.new_mode) for part in (*folders, name)):
        return True
    return change.new is not None and is_unplayable(name, change.new, top=not folders)


def is_unplayable(name: bytes, file: FileVersion, *, top: bool) -> bool:
    """Whether git cannot check out this entry of a tree, or complains of it. `top`: it stands in the root folder."""
    return is_forbidden(name, file.mode) or _is_bad_link(file) or _is_noisy(name, file, top)


def is_forbidden(name: bytes, mode: int) -> bool:
    """Whether git refuses to check out an entry of this name, or no file system holds it."""
    lower = name.lower()
    return (
        name in (b"", b".", b"..")
        or lower == b".git"
        or len(name) > NAME_BYTES
        or b"/" in name
        or (mode in (SYMLINK, DIRECTORY) and lower == b".gitmodules")  # no link below such a folder either
    )


def _is_noisy(name: bytes, file: FileVersion, top: bool) -> bool:
    """Whether git, reading this file at nearly every command, complains about it on the screen."""
    if file.mode == SYMLINK:
        return name in (b".gitattributes", b".gitignore")  # git does not follow them
    if name != b".gitattributes" or file.mode not in (REGULAR, EXECUTABLE):
        return False
    return (file.size or 0) > ATTRIBUTES_BYTES or not quiet_attributes(file.content, top=top)


def _is_bad_link(file: FileVersion) -> bool:
    """Whether no file system can hold this symlink: its target is empty, too long, or ends at a NUL."""
    if file.mode != SYMLINK or (size := file.size) is None:
        return False
    return not 0 < size <= PATH_BYTES or b"\0" in file.content
