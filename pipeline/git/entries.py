"""What an entry of a tree says: a mode, a name and an object id. Source: git's fast-import and tree-object formats."""

import hashlib
import re
from itertools import chain
from typing import NamedTuple

GITLINK, SYMLINK, EXECUTABLE, REGULAR, DIRECTORY = 0o160000, 0o120000, 0o100755, 0o100644, 0o040000
_EMPTY_TREES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_ENTRIES = {size: re.compile(rb"([0-7]+) ([^\0]*)\0(.{%d})" % size, re.DOTALL) for size in (20, 32)}


class Entry(NamedTuple):
    """One entry of a tree object, without its name."""

    mode: int
    oid: str


def tree_entries(content: bytes, oid_bytes: int) -> dict[bytes, Entry]:
    """The entries of a tree object by name. `oid_bytes`: 20 (SHA-1) or 32 (SHA-256). Raises ValueError."""
    found = _ENTRIES[oid_bytes].findall(content)
    if sum(map(len, chain.from_iterable(found))) + 2 * len(found) != len(content):
        raise ValueError("not a tree object")
    return {name: Entry(int(mode, 8), oid.hex()) for mode, name, oid in found}


def blob_id(content: bytes, digits: int) -> str:
    """Git's id of a file's content, of 40 (SHA-1) or 64 (SHA-256) hex digits."""
    kind = hashlib.sha1 if digits == 40 else hashlib.sha256
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def empty_tree(digits: int) -> str:
    """Git's id of the tree without entries, of 40 (SHA-1) or 64 (SHA-256) hex digits."""
    return _EMPTY_TREES[digits]
