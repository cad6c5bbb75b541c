"""Lines that hold a secret: a token or private key of a known form, or a value given to a name of credentials.

Whether a line holds a secret depends on that line and on whether its file is a configuration file, never on what was
searched before. Values are never returned, stored or logged.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from pipeline.script.secrets.credentials import find_credentials
from pipeline.script.secrets.token_formats import find_tokens

REASON = "secret"
BLOCKS = frozenset({"PEM private key", "PuTTY private key"})  # the secret itself stands in the lines that follow
CONFIG_SUFFIXES = (
    b".yml", b".yaml", b".ini", b".cfg", b".conf", b".cnf", b".properties", b".toml", b".env", b".tfvars", b".netrc",
)  # fmt: skip


def secret_filter(lines: Iterable[bytes | str], path: bytes = b"") -> tuple[bool, str]:
    """(False, 'secret') if a line holds a secret, else (True, '').

    `lines` is what is typed or shown: lines of a file, a subject, rows of a screen; `path` decides whether it is a
    configuration file, where values stand without quotes.
    """
    return (True, "") if next(find_secrets(lines, path), None) is None else (False, REASON)


def find_secrets(lines: Iterable[bytes | str], path: bytes = b"") -> Iterator[tuple[int, str]]:
    """Yield each finding's line number, from 0, and the name of its rule."""
    texts = [line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line for line in lines]
    text = b"\n".join(texts)
    starts = list(accumulate((len(one) + 1 for one in texts), initial=0))
    for offset, rule in find_tokens(text):
        yield bisect_right(starts, offset) - 1, rule
    for offset, rule in find_credentials(text, is_config_file(path)):
        yield bisect_right(starts, offset) - 1, rule


def is_config_file(path: bytes) -> bool:
    """Whether values stand without quotes in it: by its ending, or a name such as '.env.local'."""
    path = path.lower()
    return path.endswith(CONFIG_SUFFIXES) or path.rpartition(b"/")[2].startswith(b".env")
