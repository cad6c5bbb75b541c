"""The parts of an error line: names that are safe to print, commands that are safe to paste, who may not read what."""

import os
import pwd
import re
import shlex
from pathlib import Path

_LONGEST = 200  # characters of a name that is shown
# 'user:password@host', with or without 'https://' before it. A password may hold '@', '/' and spaces: everything up to
# the last '@' goes. A name alone goes where it may be a token: before the host of a URL, or where it is long.
_CREDENTIALS = re.compile(r"(?<=//)(?:[^@/]*:.*|[^/]*)@|^[^/:@]*:(?!//).*@|^[^/:@]{17,}@", re.DOTALL)
_QUERY = re.compile(r"(?<=\?)[^/]*=.*", re.DOTALL)


def printable(text: str) -> str:
    """`text` in quotes for one line of a terminal: no control characters, the credentials of a URL hidden.

    >>> print(printable("https://me:secret@host/a"), printable("git@host:a"), printable("https://host/a?token=1"))
    'https://***@host/a' 'git@host:a' 'https://host/a?***'
    """
    hidden = _QUERY.sub("***", _CREDENTIALS.sub("***@", text))
    shown = hidden if hidden.isprintable() else ascii(hidden)[1:-1]
    return f"'{shown if len(shown) <= _LONGEST else shown[: _LONGEST - 3] + '...'}'"


def pasteable(word: str | os.PathLike[str]) -> str:
    r"""A path or URL as one word of a command line of bash.

    >>> pasteable("/data/c#/it's"), pasteable("a\nb")
    ('\'/data/c#/it\'"\'"\'s\'', "$'a\\012b'")
    """
    text = os.fspath(word)
    if text.isprintable():
        return shlex.quote(text)
    plain = (chr(byte) if 0x20 <= byte < 0x7F and byte not in b"'\\" else f"\\{byte:03o}" for byte in os.fsencode(text))
    return f"$'{''.join(plain)}'"


def may_read(place: Path) -> bool:
    """Whether this process may read a file, or list and enter a folder; of what is not there, True."""
    try:
        mode = os.R_OK | (os.X_OK if place.is_dir() else 0)
        return os.access(place, mode, effective_ids=os.access in os.supports_effective_ids) or not place.exists()
    except PermissionError:  # a folder above it may not be entered
        return False
    except OSError:  # a name that no disk holds, a link in a circle: there is nothing to read
        return True


def denied(place: Path) -> str:
    """That `place`, or the first folder above it that may not be entered, may not be read, and by whom it may."""
    for folder in reversed(place.absolute().parents):
        if not os.access(folder, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            place = folder
            break
    try:
        owner, user = place.stat().st_uid, os.geteuid()
    except PermissionError:  # whatever else forbids it
        return f"permission denied: {printable(str(place))} may not be read; run this as a user who may"
    if owner == user:
        return f"permission denied: {printable(str(place))} may not be read; run: chmod -R u+rX {pasteable(place)}"
    return (
        f"permission denied: {printable(str(place))} belongs to {_user(owner)}, and {_user(user)} may not read it; "
        f"run this as {_user(owner)}, or have it made readable: chmod -R a+rX {pasteable(place)}"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
