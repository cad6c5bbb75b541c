"""A file's bytes as the lines of a buffer, and back."""

from functools import lru_cache

from pipeline.text.clusters import encoded, fold


def split_lines(content: bytes) -> tuple[list[str], bool]:
    """(lines as units, whether the last one ends in a newline) as vim reads them with `binary` set."""
    lines, ended = _split(content)
    return list(lines), ended


@lru_cache(maxsize=32)
def _split(content: bytes) -> tuple[tuple[str, ...], bool]:
    """The script and then the screen split the same content, and a commit often opens what the last one wrote."""
    text = content.decode("utf-8", "surrogateescape")
    ended = text.endswith("\n") or not text
    lines = (text if text.isascii() else fold(text)).split("\n")
    if ended:
        lines.pop()
    return tuple(lines) or ("",), ended


def join_lines(lines: list[str], ended: bool) -> bytes:
    """The bytes that vim writes for these lines."""
    return encoded("\n".join(lines) + ("\n" if ended else ""), "surrogateescape")
