"""The scratch repository in which the real programs run a script: for the oracle, and for tests.

An empty working tree that borrows the original's objects and has no references, configured so that nothing of the
host's and nothing in the history (attributes, ignore files, submodules) changes a byte of what git writes.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from pipeline.git.alternates import alternates_line
from pipeline.git.environment import git_environment
from pipeline.git.repository import Location, opened

UMASK = 0o022  # to be set in the shell: files 644, as git stores them
_DATE = "1600000000 +0000"
_SETTINGS = {
    **dict.fromkeys(("core.filemode", "core.symlinks"), "true"),
    **dict.fromkeys(
        (
            "core.ignorecase",
            "core.precomposeunicode",
            "core.autocrlf",
            "core.safecrlf",
            "core.fsmonitor",
            "core.untrackedCache",
            "core.logAllRefUpdates",
            "core.protectNTFS",
            "core.protectHFS",
            "maintenance.auto",
            "commit.gpgsign",
            "commit.status",
            "advice.detachedHead",
            "advice.addIgnoredFile",
            "advice.addEmbeddedRepo",
            "submodule.recurse",
        ),
        "false",
    ),
    **dict.fromkeys(("core.hooksPath", "core.excludesFile", "core.attributesFile"), os.devnull),
    "user.name": "Replay",
    "user.email": "replay@localhost",
    "gc.auto": "0",
    "core.abbrev": "40",
}
_ATTRIBUTES = "* -text !eol -ident -filter !working-tree-encoding -merge -diff -whitespace\n"


class Scratch(NamedTuple):
    """A working tree, and the environment for every program that runs in it."""

    folder: Path
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        """What a git command prints here, without the final newline. Raises subprocess.CalledProcessError."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def make_scratch(folder: Path, git_dir: Location) -> Scratch:
    """Make `folder` (new or empty) a scratch repository over the objects of `git_dir`. Raises SourceError."""
    source = opened(git_dir)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Scratch(folder, environment(folder))
    scratch.git("init", "-q", "--template=", f"--object-format={source.object_format}", "-b", "main", ".")
    dot_git = folder / ".git"
    with (dot_git / "config").open("a") as config:
        for name, value in _SETTINGS.items():
            section, key = name.split(".")
            config.write(f"[{section}]\n\t{key} = {value}\n")
    (dot_git / "info").mkdir(exist_ok=True)
    (dot_git / "info" / "attributes").write_text(_ATTRIBUTES)
    (dot_git / "objects" / "info" / "alternates").write_bytes(alternates_line(source.objects[0]))
    return scratch


def environment(folder: Path) -> dict[str, str]:
    """Variables for bash, vim and git in `folder`: a linux console, UTF-8, fixed dates, nothing of the host's."""
    return git_environment(home=folder / ".git") | {
        "TERM": "linux",
        "HISTFILE": "",
        "GIT_AUTHOR_DATE": _DATE,
        "GIT_COMMITTER_DATE": _DATE,
    }
