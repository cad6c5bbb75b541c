"""What stands in a commit's tree, asked by path. A folder is read once, or was read ahead by the walk."""

from collections.abc import Collection
from dataclasses import dataclass, field

from pipeline.git.entries import DIRECTORY, GITLINK, SYMLINK, Entry, empty_tree
from pipeline.git.objects import Blobs


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One file in one tree. Two are equal if their mode and id are.

    Size and content are read on first use; the walk has read most of them ahead, many with one question to git.
    """

    mode: int
    oid: str  # of the blob, or of a submodule's commit
    source: Blobs = field(compare=False, repr=False)

    @property
    def size(self) -> int | None:
        """Bytes; None if the clone lacks the content, and for a submodule. Raises SourceError."""
        return None if self.mode == GITLINK else self.source.size(self.oid)

    @property
    def content(self) -> bytes:
        """The file's bytes, or a link's target; empty where `size` is None. Raises SourceError.

        `size` is to be asked first: a file may be larger than memory.
        """
        return b"" if self.mode == GITLINK else self.source.read(self.oid) or b""


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree object as a whole folder. Two are equal if their ids are. Each method may raise SourceError."""

    oid: str
    source: Blobs = field(compare=False, repr=False)

    def entry(self, path: bytes) -> Entry | None:
        """What stands at `path`; None if nothing does."""
        found = Entry(DIRECTORY, self.oid)
        for name in path.split(b"/"):
            if found.mode != DIRECTORY or (entry := self._entries(found.oid).get(name)) is None:
                return None
            found = entry
        return found

    def file(self, path: bytes) -> FileVersion | None:
        """The file, link or submodule at `path`; None if nothing or a folder stands there."""
        entry = self.entry(path)
        return None if entry is None or entry.mode == DIRECTORY else FileVersion(*entry, self.source)

    def occupies(self, path: bytes) -> bool:
        """Whether something stands at `path`, or a file where one of its folders would be."""
        at = path
        while at:
            entry = self.entry(at)
            if entry is not None:
                return entry.mode != DIRECTORY or at == path
            at = at.rpartition(b"/")[0]
        return False

    def meets_link(self, path: bytes) -> bool:
        """Whether `path` or a folder above it is a symlink."""
        ends = [at for at, byte in enumerate(path) if byte == 0x2F] + [len(path)]
        entries = (self.entry(path[:end]) for end in ends)
        return any(entry is not None and entry.mode == SYMLINK for entry in entries)

    def keeps(self, folder: bytes, gone: Collection[bytes]) -> bool:
        """Whether a file is left below `folder` once the paths `gone` have been removed."""
        top = self.entry(folder)
        if top is None or top.mode != DIRECTORY:
            return False
        if not any(path.startswith(folder + b"/") for path in gone):
            return True
        stack = [(folder, top.oid)]
        while stack:
            above, oid = stack.pop()
            for name, entry in self._entries(oid).items():
                path = above + b"/" + name
                if entry.mode == DIRECTORY:
                    stack.append((path, entry.oid))
                elif path not in gone:
                    return True
        return False

    def entries(self) -> dict[bytes, Entry]:
        """Its own entries by name, not those of its folders."""
        return self._entries(self.oid)

    def _entries(self, oid: str) -> dict[bytes, Entry]:
        return {} if oid == empty_tree(len(oid)) else self.source.tree(oid)
