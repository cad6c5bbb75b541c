"""Small git repositories built by code: objects are written directly, so that any path, mode, message and shape goes.

>>> repository = Repository(tmp_path / "r")                                    # doctest: +SKIP
>>> first = repository.commit("first", {"a.txt": b"one\\n"})                    # doctest: +SKIP
>>> second = repository.commit("second", {"a.txt": b"two\\n", "b": b""})        # doctest: +SKIP

or, for a straight line of commits, `make_repository(tmp_path / "r", {"a": b"1\\n"}, {"a": b"2\\n"})`.
Dates are fixed, so that the same calls give the same commit ids. A hundred commits take a tenth of a second.
"""

import hashlib
import os
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

REGULAR, EXECUTABLE, SYMLINK, GITLINK, FOLDER = 0o100644, 0o100755, 0o120000, 0o160000, 0o040000
AUTHOR = b"Ada <ada@example.org>"
_START = 1_600_000_000


class File(NamedTuple):
    """A file's content (a symlink's target, a gitlink's commit id in hex) and its mode."""

    content: bytes
    mode: int = REGULAR


Files = Mapping[str, "bytes | File | None"] | Mapping[bytes, "bytes | File | None"]  # None: remove the path


class Repository:
    """A bare repository being built; `path` is the folder to give to the code under test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.trees: dict[str, dict[bytes, tuple[int, str]]] = {}  # commit -> its files
        self.head: str | None = None
        self.clock = _START
        self.git("init", "-q", "--bare", "--template=", "-b", "main", ".")

    def git(self, *arguments: str) -> str:
        """Run git here, neutral, and return its output without the final newline."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        done = subprocess.run(["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True)
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def store(self, kind: str, content: bytes) -> str:
        """Write an object, whatever it holds; its id."""
        whole = b"%s %d\0%s" % (kind.encode(), len(content), content)
        oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        file = self.path / "objects" / oid[:2] / oid[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(whole, 1))
        return oid

    def tree(self, files: Mapping[bytes, tuple[int, str]]) -> str:
        """Store the tree of `files` (path -> mode, id) and of the folders in them; its id."""
        entries: dict[bytes, tuple[int, str]] = {}
        folders: dict[bytes, dict[bytes, tuple[int, str]]] = {}
        for path, entry in files.items():
            folder, slash, rest = path.partition(b"/")
            if slash:
                folders.setdefault(folder, {})[rest] = entry
            else:
                entries[path] = entry
        for folder, inside in folders.items():
            entries[folder] = (FOLDER, self.tree(inside))
        ordered = sorted(entries.items(), key=lambda item: item[0] + (b"/" if item[1][0] == FOLDER else b""))
        return self.store(
            "tree", b"".join(b"%o %s\0%s" % (mode, name, bytes.fromhex(oid)) for name, (mode, oid) in ordered)
        )

    def commit(
        self,
        message: str | bytes,
        changes: Files | None = None,
        *,
        parents: Sequence[str] | None = None,
        author: bytes = AUTHOR,
        encoding: str | None = None,
        tree: str | None = None,
    ) -> str:
        """Commit `changes` on top of the first parent's files; its id. `parents` None: the last commit made.

        The branch `main` moves to it. `encoding` is the message's declared one; `tree` overrides the tree stored.
        """
        if parents is None:
            parents = [self.head] if self.head else []
        files = dict(self.trees[parents[0]]) if parents else {}
        for name, wanted in (changes or {}).items():
            path = name.encode() if isinstance(name, str) else name
            if wanted is None:
                del files[path]
                continue
            file = wanted if isinstance(wanted, File) else File(wanted)
            oid = file.content.decode() if file.mode == GITLINK else self.store("blob", file.content)
            files[path] = (file.mode, oid)
        self.clock += 60
        lines = [b"tree " + (tree or self.tree(files)).encode()]
        lines += [b"parent " + parent.encode() for parent in parents]
        lines += [b"%s %s %d +0000" % (role, author, self.clock) for role in (b"author", b"committer")]
        if encoding:
            lines.append(b"encoding " + encoding.encode())
        text = message.encode() if isinstance(message, str) else message
        sha = self.store("commit", b"\n".join(lines) + b"\n\n" + text + b"\n")
        self.trees[sha] = files
        self.move(sha)
        return sha

    def move(self, sha: str) -> None:
        """Let the branch `main` stand at a commit."""
        self.head = sha
        (self.path / "refs" / "heads").mkdir(parents=True, exist_ok=True)
        (self.path / "refs" / "heads" / "main").write_text(sha + "\n")


def make_repository(path: Path, *commits: Files) -> Path:
    """A repository with one commit for each mapping of path to content, each on top of the one before."""
    repository = Repository(path)
    for number, changes in enumerate(commits, 1):
        repository.commit(f"Commit {number}", changes)
    return path
