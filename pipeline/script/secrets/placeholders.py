"""Values that stand where a secret would: placeholder words, and whatever reads like words.

>>> is_placeholder_text("YOUR_APP_SECRET"), is_placeholder_text("s3cr3t"), is_placeholder_text("k9TzQ")
(True, True, False)
>>> reads_like_words("not-a-good-password1"), reads_like_words("hunter2xq"), reads_like_words("xkqzvbn")
(True, False, False)
"""

import hashlib
import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

_PART = 3  # letters at least of each of two words that are run together
_WORDS = re.compile(r"%[0-9a-fA-F]{2}|[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])")
_LEET = str.maketrans("01345789@$", "oleastbgas")
_LETTERS = re.compile(r"[A-Za-z]+")
_INSIDE = re.compile(r"[A-Za-z][0-9]+[A-Za-z]")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_REPEATED = re.compile(r"(.)\1+")
_DIGITS = 24  # hex digits of a documented value's sha256
_JUDGED, _MEAN = 8, 3  # of so many letters, the shortest mean length of words written in CamelCase
_NUMBER = 4  # digits at most of a number behind a word: a year


class Words(NamedTuple):
    """The file: placeholder words in lower case, pairs of letters that words do not hold, hashes of examples."""

    placeholders: frozenset[str]
    never_adjacent: frozenset[str]
    documented: frozenset[str]


def is_placeholder_text(value: str) -> bool:
    """Placeholder words, two of them run together, single characters and sequences: 'testkey 2', 'pa$$w0rd', '123'."""
    if value.lower().translate(_LEET) in words().placeholders:
        return True
    parts = [word.lower() for word in _WORDS.split(value) if word]
    return all(_is_placeholder(word) for word in parts if len(word) > 1)


def _is_placeholder(word: str) -> bool:
    known = words().placeholders
    if word in known or word.translate(_LEET) in known:
        return True
    if all(0 <= ord(b) - ord(a) <= 1 for a, b in pairwise(word)) or word == "1234567890":
        return True
    word = word.rstrip("0123456789")
    return word in known or any(word[:at] in known and word[at:] in known for at in range(_PART, len(word) - _PART + 1))


def reads_like_words(value: str) -> bool:
    """Whether letters could be words and digits numbers behind them; a random value of 8 letters does not in 19 of 20.

    Digits between letters, and pairs of letters that no word holds, are the sign of a random value.
    """
    if is_placeholder_text(value):
        return True
    if _INSIDE.search(value) or any(len(number) > _NUMBER for number in re.findall(r"[0-9]+", value)):
        return False
    parts = [part for run in _LETTERS.findall(value) for part in _HUMP.split(run)]
    letters = sum(map(len, parts))
    return not (letters >= _JUDGED and letters < _MEAN * len(parts)) and not strange_pairs(value)


def strange_pairs(value: str) -> int:
    """How many pairs of letters no word holds: about one in four of random ones. A repeated letter counts once."""
    unknown = words().never_adjacent
    runs = (_REPEATED.sub(r"\1", word.lower()) for run in _LETTERS.findall(value) for word in _HUMP.split(run))
    return sum(a + b in unknown for run in runs for a, b in pairwise(run))


def is_documented(value: bytes) -> bool:
    """Whether a standard or a vendor prints this very value as its example."""
    return hashlib.sha256(value).hexdigest()[:_DIGITS] in words().documented


@cache
def words() -> Words:
    """`placeholders.json`, read once."""
    data = json.loads(Path(__file__).with_name("placeholders.json").read_text(encoding="utf-8"))
    return Words(frozenset(data["words"]), frozenset(data["never_adjacent"]), frozenset(data["documented"]))
