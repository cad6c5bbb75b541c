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


def _mark_ranges() -> str:
    points = np.flatnonzero(CLASS == COMPOSING)
    runs = np.split(points, np.flatnonzero(np.diff(points) > 1) + 1)
    return "".join(f"\\U{run[0]:08x}-\\U{run[-1]:08x}" for run in runs)


_MARKS = _mark_ranges()
_RESERVED = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
_CLUSTER = re.compile(f"(.?)([{_MARKS}]+)|({_RESERVED.pattern})", re.DOTALL)


def is_mark(unit: str) -> bool:
    """Whether it has no cell of its own."""
    return int(CLASS[ord(unit)]) == COMPOSING


def is_stand_in(unit: str) -> bool:
    """Whether a unit stands for a character with marks."""
    return _FIRST <= ord(unit) <= _LAST


def is_drawable(text: str) -> bool:
    """Whether every mark in `text` is one of at most two on a printable character that is no blank."""
    found = set(_CLUSTER.findall(text))
    return len(found) <= MAX_CLUSTERS and all(_carries(base or alone, marks) for base, marks, alone in found)


def _carries(base: str, marks: str) -> bool:
    return len(marks) <= MAX_MARKS and base != "" and int(CLASS[ord(base)]) in (NARROW, WIDE)


def fold(text: str) -> str:
    """`text` with one unit for each character. Raises UnsupportedKeyError where it is not drawable."""
    return _CLUSTER.sub(_fold, text)


def _fold(match: re.Match[str]) -> str:
    return stand_in(match[0])


def stand_in(character: str) -> str:
    """The unit for a code point and its marks. Raises UnsupportedKeyError."""
    code = _codes.get(character)
    if code is None:
        if not _carries(character[0], character[1:]):
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


def bases(text: str) -> str:
    """Each unit of a folded text without its marks."""
    return text if text.isascii() else _RESERVED.sub(_base, text)


def _base(match: re.Match[str]) -> str:
    return _unfold(match)[0]
