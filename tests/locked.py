"""Files that the code under test may not read, whoever runs the tests: root may read everything."""

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter; pytest's own is its user's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def refused_while_locked(place: Path, act: Callable[[], object]) -> str:
    """The error that `act` raises while `place` may not be read; '' if it raises none. For root it acts as nobody."""
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        return by_nobody(lambda: _error(act)) if os.geteuid() == 0 else _error(act)
    finally:
        place.chmod(mode)


def by_nobody(act: Callable[[], str]) -> str:
    """What `act` returns in a process without rights. Root may call it."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():  # Python 3.12 warns of threads that other tests may have left
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        said = "did not end"
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            said = act()
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def _error(act: Callable[[], object]) -> str:
    try:
        act()
    except Exception as error:
        return str(error)
    return ""
