"""Characters of several code points: one, and the combining marks that vim draws in its cell.

Vim moves over, deletes and counts such a character as one. So a line holds it as one unit, too: a code point of planes
4 to 13, where Unicode has no character, stands for it (a text's own code point there gets a stand-in, too). `fold` puts
them in, `unfold` takes them out; they do not leave a buffer's lines, and nothing depends on which stands for which.
"""

import re
import threading

import numpy as np

from schema.errors import UnsupportedKeyError
from schema.widths import CLASS, COMPOSING, NARROW, WIDE

DRAWN = 2  # vim's 'maxcombine': further marks are there, but not drawn
MAX_MARKS = 6
MAX_CLUSTERS = 1 << 12  # different ones a file: real text has hundreds
_FIRST, _LAST = 0x40000, 0xDFFFF
_texts: list[str] = []
_codes: dict[str, str] = {}
_lock = threading.Lock()
_ASCII = bytes(range(0x80))


_MARKS = frozenset(map(chr, np.flatnonzero(CLASS == COMPOSING).tolist()))
_RESERVED = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")


def _to_fold(text: str) -> re.Pattern[str] | None:
    """What finds each character of `text` that needs a stand-in; None if none does."""
    beyond = text.encode("utf-8", "surrogateescape").translate(None, _ASCII).decode("utf-8", "surrogateescape")
    marks = _MARKS.intersection(beyond)
    if marks:  # these few alone: a class of all marks takes ten times as long
        return re.compile(f".?[{''.join(sorted(marks))}]+|{_RESERVED.pattern}", re.DOTALL)
    return _RESERVED if _RESERVED.search(beyond) else None


def is_mark(unit: str) -> bool:
    """Whether it has no cell of its own."""
    return unit in _MARKS


def is_stand_in(unit: str) -> bool:
    """Whether a unit stands for a character with marks."""
    return _FIRST <= ord(unit) <= _LAST


def is_drawable(text: str) -> bool:
    """Whether every mark in `text` is on a printable character, one of six at most, not on blanks that start a line.

    Vim shows one at the start of a line on a blank, and what is typed before it takes it over; going to the first word
    of a line it skips a space and stops at the mark on it; on a tab or a control character it shows `<09>` and no mark.
    """
    pattern = _to_fold(text)
    if not pattern:
        return True
    found = set(pattern.findall(text))
    if len(found) > MAX_CLUSTERS or not all(map(_is_drawn, found)):
        return False
    spaces = any(character[0] == " " for character in found)
    return not spaces or not any(is_mark(line.lstrip(" \t")[:1]) for line in text.split("\n"))


def _is_drawn(character: str) -> bool:
    return len(character) <= 1 + MAX_MARKS and int(CLASS[ord(character[0])]) in (NARROW, WIDE)


def fold(text: str) -> str:
    """`text` with one unit for each character. Raises UnsupportedKeyError where it is not drawable."""
    pattern = _to_fold(text)
    return pattern.sub(_fold, text) if pattern else text


def _fold(match: re.Match[str]) -> str:
    return stand_in(match[0])


def stand_in(character: str) -> str:
    """The unit for a code point and its marks. Raises UnsupportedKeyError."""
    code = _codes.get(character)
    if code is None:
        if not _is_drawn(character):
            raise UnsupportedKeyError(f"vim: the combining marks of {character!r} are not drawn")
        with _lock:
            code = _codes.get(character)
            if code is None:
                if len(_texts) > _LAST - _FIRST:
                    raise UnsupportedKeyError("vim: too many different characters with combining marks for one process")
                code = chr(_FIRST + len(_texts))
                _texts.append(character)
                _codes[character] = code
    return code


def unfold(text: str) -> str:
    """What `fold` made of it, undone."""
    return text if text.isascii() else _RESERVED.sub(_unfold, text)


def _unfold(match: re.Match[str]) -> str:
    return _texts[ord(match[0]) - _FIRST]


def encoded(text: str, errors: str = "strict") -> bytes:
    """UTF-8 of a folded text."""
    data = text.encode("utf-8", errors)
    if b"\xf1" in data or b"\xf2" in data or b"\xf3" in data:  # what stand-ins begin with
        return unfold(text).encode("utf-8", errors)
    return data


def bases(text: str) -> str:
    """Each unit of a folded text without its marks."""
    return text if text.isascii() else _RESERVED.sub(_base, text)


def _base(match: re.Match[str]) -> str:
    return _unfold(match)[0]
