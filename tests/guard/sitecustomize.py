"""Refuses a test that reads or writes what belongs to whoever works in this checkout.

tests/conftest.py installs it in the tests' own process. In every Python program that a test starts, Python imports this
module by itself, since tests/conftest.py puts its folder on PYTHONPATH. It sees what Python opens, lists, makes, moves
and removes. It does not see what a library opens by itself (DuckDB, Arrow), or git: for that .ci/run fills the same
folders with rubbish and looks afterwards.
"""

import os
import sys

REFUSED = "TESTS_REFUSED"  # folders that no test may touch, separated by os.pathsep
SPARED = "TESTS_SPARED"  # files in them that are the repository's own, separated by os.pathsep
LOG = "TESTS_REFUSED_LOG"  # a file of what was refused, a line each: the program may have caught the error

# Audit events by how many of their first arguments name files (docs.python.org/3/library/audit_events.html).
FILES = dict.fromkeys(
    (
        *("open", "os.listdir", "os.scandir", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.chdir"),
        *("os.chmod", "os.chown", "os.utime", "shutil.rmtree", "sqlite3.connect"),
    ),
    1,
) | dict.fromkeys(("os.rename", "os.link", "os.symlink", "shutil.copyfile", "shutil.copytree", "shutil.move"), 2)


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


def audit(event: str, arguments: tuple[object, ...]) -> None:
    """The hook. Raises RefusedPathError."""
    for path in arguments[: FILES.get(event, 0)]:
        if full := refused(path):
            words = f"{event} {full}"
            with open(os.environ[LOG], "a") as log:
                log.write(words + "\n")
            raise RefusedPathError(f"{words}: a test may not touch it; use tmp_path")


def install() -> None:
    """Watch this process from now on: a hook cannot be taken away again."""
    sys.addaudithook(audit)


if __name__ == "sitecustomize" and os.environ.get(REFUSED):
    install()
