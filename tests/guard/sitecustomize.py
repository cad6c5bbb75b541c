"""Refuses a test that reads or writes what belongs to whoever works in this checkout.

tests/conftest.py installs it in the tests' own process. In every Python program that a test starts, Python imports this
module by itself, since tests/conftest.py puts its folder on PYTHONPATH. It sees what Python opens, lists, makes, moves
and removes. It does not see what a library opens by itself (DuckDB, Arrow), or git: for that .ci/run fills the same
folders with rubbish and looks afterwards.
"""

import os
import sys
from typing import Any

REFUSED = "TESTS_REFUSED"  # folders that no test may touch, separated by os.pathsep
SPARED = "TESTS_SPARED"  # files in them that are the repository's own, separated by os.pathsep
LOG = "TESTS_REFUSED_LOG"  # a file of what was refused, a line each: the program may have caught the error

# Audit events and which of their arguments name files (docs.python.org/3/library/audit_events.html). The last argument
# of those in AT is the number of an open folder that the names start from, or -1.
PLAIN = {
    **dict.fromkeys(("open", "os.listdir", "os.scandir", "os.truncate", "os.chdir", "shutil.rmtree"), (0,)),
    **dict.fromkeys(("shutil.copyfile", "shutil.copytree", "shutil.move"), (0, 1)),
    "sqlite3.connect": (0,),
}
AT = {
    **dict.fromkeys(("os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.chown", "os.utime"), (0,)),
    **dict.fromkeys(("os.rename", "os.link"), (0, 1)),
    "os.symlink": (1,),
}


class RefusedPathError(AssertionError):
    """A test touched a folder of whoever works in this checkout."""


def refused(path: object) -> str | None:
    """The path in full where no test may touch it."""
    if not isinstance(path, str | bytes | os.PathLike):
        return None  # the number of an open file
    full = os.path.abspath(os.fsdecode(path))
    for folder in filter(None, os.environ.get(REFUSED, "").split(os.pathsep)):
        if full == folder or full.startswith(folder + os.sep):
            return None if full in os.environ.get(SPARED, "").split(os.pathsep) else full
    return None


def named(event: str, arguments: tuple[Any, ...]) -> list[object]:
    """The files that an event is about. What is named from an open folder is left out: that folder was looked at."""
    if event in PLAIN:
        path = arguments[0]
        if event == "open" and arguments[1] is None and not arguments[2] & os.O_ACCMODE and not os.path.isabs(path):
            return []  # os.open, as shutil.rmtree calls it from an open folder that the event does not tell
        return [arguments[place] for place in PLAIN[event]]
    if event in AT and arguments[-1] == -1:
        return [arguments[place] for place in AT[event]]
    return []


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """The hook. Raises RefusedPathError."""
    for path in named(event, arguments):
        if full := refused(path):
            tell(f"{event} {full}")
            raise RefusedPathError(f"{event} {full}: a test may not touch it; use tmp_path")


def tell(words: str) -> None:
    """A line for the test that is running: the program may catch what is raised."""
    with open(os.environ[LOG], "a") as log:
        log.write(words + "\n")


def install() -> None:
    """Watch this process from now on: a hook cannot be taken away again."""
    sys.addaudithook(audit)


if __name__ == "sitecustomize" and os.environ.get(REFUSED):
    install()
