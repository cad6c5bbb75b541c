"""Lists that people write: one name a line.

A `#` starts a comment where it begins the line or follows a blank, since 'c#/proj' is a path. A name between quotes is
taken as it stands: '"my #1 project"'. Blanks around a name, empty lines, CRLF and a byte order mark do not count.
"""

import re
from pathlib import Path

from schema.errors import ConfigError

_BYTE_ORDER_MARK = "\ufeff"  # also inside of a file: `cat a b` leaves that of b in the middle
_QUOTED = re.compile(r"""(["'])(.+?)\1(\s+#.*)?""")
_COMMENT = re.compile(r"(^|\s)#.*")


def read_list(path: str | Path, called: str, *, hash_in_names: bool = True) -> list[str]:
    """The names in a file, in order; `called` names the setting in errors. Raises ConfigError."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{called} {path}: cannot be read ({error.strerror}); pass a file of names") from None
    return names_in(content, f"{called} {path}", hash_in_names=hash_in_names)


def names_in(content: bytes, where: str, *, hash_in_names: bool = True) -> list[str]:
    r"""The names in a list's content. Bytes that are not UTF-8 stay what they are in a path. Raises ConfigError.

    Without `hash_in_names` a '#' starts a comment wherever it stands: owners on GitHub have none in theirs.

    >>> names_in(b"\xef\xbb\xbf/data/c#/proj  # ours\r\n\n'my #1 project'\n", "list")
    ['/data/c#/proj', 'my #1 project']
    """
    if b"\0" in content or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError(
            f"{where}: no UTF-8 text, but perhaps UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"
        )
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    names = [_name(line) if hash_in_names else _name(line).partition("#")[0].strip() for line in lines]
    return [name for name in names if name]


def _name(line: str) -> str:
    text = line.strip().removeprefix(_BYTE_ORDER_MARK).strip()
    quoted = _QUOTED.fullmatch(text)
    return quoted[2] if quoted else _COMMENT.sub("", text, count=1).strip()
