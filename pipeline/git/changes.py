"""What a commit changed: for each path, the file before and the file after."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from pipeline.git.entries import GITLINK
from pipeline.git.tree import FileVersion, Tree

_GROUP = 64  # changes that are read with one question to git


class FileChange(NamedTuple):
    """One path of a commit; a file that was added has no `old`, one that was deleted no `new`."""

    path: bytes
    old: FileVersion | None
    new: FileVersion | None

    @property
    def old_mode(self) -> int:
        """0 for absent."""
        return self.old.mode if self.old else 0

    @property
    def new_mode(self) -> int:
        """0 for absent."""
        return self.new.mode if self.new else 0

    @property
    def same_content(self) -> bool:
        """Whether its mode alone changed."""
        return self.old is not None and self.new is not None and self.old.oid == self.new.oid

    @property
    def versions(self) -> list[FileVersion]:
        """Those that there are, the old one first."""
        return [version for version in (self.old, self.new) if version]


class Commit(NamedTuple):
    """A commit against its first parent. Times are seconds since 1970, None if unreadable; `ordinal` counts from 0.

    `parent_tree` of a root commit is the empty tree.
    """

    ordinal: int
    sha: str
    tree: Tree
    parent: str | None
    parent_tree: Tree
    author_name: bytes
    author_email: bytes
    authored_at: int | None
    committed_at: int | None
    subject: bytes
    changes: tuple[FileChange, ...]
    truncated: bool = False  # too many paths; `changes` holds the first of them, or none


def object_ids(changes: Iterable[FileChange]) -> Iterator[str]:
    """The ids of all contents in these changes; a submodule's commit is none."""
    return (version.oid for change in changes for version in change.versions if version.mode != GITLINK)


def in_bulk(changes: Iterable[FileChange], max_bytes: int) -> Iterator[FileChange]:
    """Yield the changes; contents of up to `max_bytes` bytes are read 64 changes ahead. Raises SourceError."""
    changes = iter(changes)
    while group := list(islice(changes, _GROUP)):
        if versions := group[0].versions:
            versions[0].source.prefetch(object_ids(group), max_bytes)
        yield from group
