"""Folders that a repository borrows objects from: the lines of `objects/info/alternates`.

Source: gitrepository-layout(5), and `link_alt_odb_entries` in git's object-file.c for quotes and comments.
"""

import os
import re
from pathlib import Path

from pipeline.messages import may_read

DEPTH = 5  # git follows alternates of alternates no further


def alternates_line(folder: Path) -> bytes:
    """A line of `objects/info/alternates`: quoted as C does where the path could be taken for something else."""
    path = os.fsencode(folder)
    if path.isascii() and not set(path) & set(b'"\\\n#') and path.decode().isprintable():
        return path + b"\n"
    escaped = (bytes([c]) if 0x20 <= c < 0x7F and c not in b'"\\' else b"\\%03o" % c for c in path)
    return b'"' + b"".join(escaped) + b'"\n'


def object_folders(own: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The folders whose objects a repository sees, its own first; and those that it should see and that are gone."""
    found, lost, pending = [own], [], [(own, 0)]
    while pending:
        folder, depth = pending.pop(0)
        listed = folder / "info" / "alternates"
        if depth == DEPTH or not may_read(listed) or not listed.is_file():
            continue
        for line in listed.read_bytes().split(b"\n"):
            if not line or line.startswith(b"#"):
                continue
            other = folder / os.fsdecode(_unquoted(line))
            if may_read(other) and not other.is_dir():
                lost.append(other)
            elif other not in found:
                found.append(other)
                pending.append((other, depth + 1))
    return tuple(found), tuple(lost)


def _unquoted(line: bytes) -> bytes:
    r"""A line of alternates without C's quotes: b'"a\n\303\244"' is b'a', a newline and b'\xc3\xa4'."""
    quoted = re.fullmatch(rb'"((?:[^"\\]|\\.)*)"', line)
    if quoted is None:
        return line
    plain = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

    def unescaped(match: re.Match[bytes]) -> bytes:
        return bytes([int(match[1], 8) & 0xFF]) if match[1].isdigit() else plain.get(match[1], match[1])

    return re.sub(rb"\\([0-3][0-7]{2}|.)", unescaped, quoted[1])
