"""Whether a text names a date, as git reads one: git itself takes every word that it does not know for 'now'."""

import re
from datetime import date

_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december", "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
)
_DAYS = frozenset(("yesterday", "today", "now", "noon", "midnight", "tea", "never"))
_NUMBERS = frozenset(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "last"))
_UNITS = frozenset(("second", "minute", "hour", "day", "week", "month", "year"))
_WORDS = frozenset(("ago", "at", "on", "of", "the", "and", "am", "pm", "st", "nd", "rd", "th", "t"))
_ZONES = (
    *("z", "utc", "gmt", "wet", "west", "bst", "cet", "cest", "met", "mest", "eet", "eest", "msk", "jst"),
    *("est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt", "hst", "akst", "akdt", "aest", "aedt", "nzst", "nzdt"),
)
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")


def names_date(text: str) -> bool:
    """Whether git finds a date in it, and every word of it is one that git reads.

    >>> [names_date(text) for text in ("2024-02-29T10:00:00Z", "@1700000000", "2 weeks ago", "yesterday", "last may")]
    [True, True, True, True, True]
    >>> [names_date(text) for text in ("nonsense", "2024-02-30", "a week ago", "weeks ago", "-", "soon 3")]
    [False, False, False, False, False, False]
    """
    if any(not _is_date(*map(int, parts)) for parts in _ISO.findall(text)):
        return False
    words = re.findall(r"[^\W\d_]+", text.lower())
    named = [word for word in words if word in _DAYS or _is_name(word)]
    units = [word for word in words if word.removesuffix("s") in _UNITS]
    known = {*named, *units, *_NUMBERS, *_WORDS, *_ZONES}
    if not text.isascii() or not known.issuperset(words):
        return False
    return bool(named or re.search(r"\d", text) or (units and not _NUMBERS.isdisjoint(words)))


def _is_name(word: str) -> bool:
    return len(word) >= 3 and any(name.startswith(word) for name in _NAMES)


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
