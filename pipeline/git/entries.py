"""What an entry of a tree says: a mode, a name and an object id. Source: git's fast-import and tree-object formats."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

GITLINK, SYMLINK, EXECUTABLE, REGULAR, DIRECTORY = 0o160000, 0o120000, 0o100755, 0o100644, 0o040000
_EMPTY_TREES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}


class Entry(NamedTuple):
    """One entry of a tree object, without its name."""

    mode: int
    oid: str


def tree_entries(content: bytes, oid_bytes: int) -> Iterator[tuple[bytes, Entry]]:
    """The (name, entry) pairs of a tree object. `oid_bytes`: 20 (SHA-1) or 32 (SHA-256)."""
    at = 0
    while at < len(content):
        space, end = content.index(b" ", at), content.index(b"\0", at)
        at_next = end + 1 + oid_bytes
        yield content[space + 1 : end], Entry(int(content[at:space], 8), content[end + 1 : at_next].hex())
        at = at_next


def blob_id(content: bytes, digits: int) -> str:
    """Git's id of a file's content, of 40 (SHA-1) or 64 (SHA-256) hex digits."""
    kind = hashlib.sha1 if digits == 40 else hashlib.sha256
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def empty_tree(digits: int) -> str:
    """Git's id of the tree without entries, of 40 (SHA-1) or 64 (SHA-256) hex digits."""
    return _EMPTY_TREES[digits]
