"""Lines that hold a secret, by detect-secrets' own detectors, offline: nothing is ever verified.

Every line of a file is scanned once: clean lines are remembered, and a file's revisions share most
of theirs. New lines are first searched, all at once, for what every possible finding contains;
only then do the detectors run. The matched value is never returned, stored or logged.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.high_entropy_strings import HighEntropyStringsPlugin
from detect_secrets.plugins.ip_public import IPPublicDetector
from detect_secrets.plugins.keyword import CONFIG_DENYLIST_REGEX_TO_GROUP, DENYLIST, KeywordDetector

REASON = "secret"
MEMORY = 1 << 20  # clean lines remembered before the memory starts afresh
MAX_LINE = 20_000  # bytes; longer lines are scanned in overlapping pieces, so that no pattern runs away
OVERLAP = 1_000
CONFIG_SUFFIXES = (
    b".yml",
    b".yaml",
    b".ini",
    b".cfg",
    b".conf",
    b".cnf",
    b".properties",
    b".toml",
    b".env",
)

# What every finding contains, in lower case (a test holds it to the detectors). One pattern each: those that start with
# a literal run at 1 ns a character, all together at 70; as alternatives of one pattern they took 680.
_SUSPECTS = tuple(
    re.compile(pattern)
    for pattern in (
        *DENYLIST,
        r"['\"][0-9a-f]{9,}['\"]",  # hex: more than 3 bits a character needs 9 different ones
        r"['\"][a-z0-9+/\\\-_=]{23,}['\"]",  # base64: more than 4.5 bits needs 23
        r"://[^\s]+:[^\s]+@",
        r"akc[a-z0-9]{10}", r"ap[0-9a-f][a-z0-9]{8}",  # artifactory
        r"a3t[0-9a-z]{13}", r"abia[0-9a-z]{13}", r"acca[0-9a-z]{13}", r"akia[0-9a-z]{13}", r"asia[0-9a-z]{13}",
        r"aws.{0,60}['\"][0-9a-z/+]{40}['\"]", r"accountkey=",
        r"[mno][a-z0-9_-]{23,25}\.[a-z0-9_-]{6}\.", r"gh[pousr]_[a-z0-9]", r"gl[a-z]{2,6}-[a-z0-9_]", r"gr1348941",
        r"key.{0,8}[a-z0-9_\-]{24}", r"pw.{0,9}[a-z0-9_\-]{24}", r"pass.{0,8}[a-z0-9_\-]{24}",
        r"token.{0,8}[a-z0-9_\-]{24}", r"cloudant", r"softlayer", r"eyj[a-z0-9_=-]+\.",
        r"-us[0-9]", r"_authtoken", r"sk-[a-z0-9_-]{20}", r"t3blbkfj", r"private key", r"putty-user-key", r"pypi-age",
        r"sg\.[a-z0-9_-]{22}\.", r"xox[abposr]-", r"hooks\.slack\.com", r"sq0csp-", r"k_live_",
        r":[0-9a-z_-]{35}", r"ac[a-z0-9]{32}", r"sk[a-z0-9]{32}",
    )
)  # fmt: skip

# A password made of these words alone is documentation: two findings in three on real history.
_PLACEHOLDERS = frozenset(
    json.loads(Path(__file__).with_name("placeholders.json").read_text(encoding="utf-8"))["words"]
)
_PART = 3  # letters at least of each of two words that are run together
_WORDS = re.compile(r"%[0-9a-fA-F]{2}|[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])")
_CHECKSUM = re.compile(  # a random-looking value on such a line is a checksum, not a credential
    r"\b_?(?:etag|sha[-_]?(?:1|2|224|256|384|512)?|md5|digest|checksum|integrity|commit|rev|revision"
    r"|nonce|cnonce|opaque|fingerprint|crc\d*|hexdigest|hash(?:es)?)\b",
    re.IGNORECASE,
)


class Detectors(NamedTuple):
    """detect-secrets' detectors; public IP addresses are left out: version numbers look like them."""

    pattern: tuple[RegexBasedDetector, ...]
    entropy: tuple[HighEntropyStringsPlugin, ...]
    keyword: KeywordDetector


def secret_filter(lines: Iterable[bytes | str], path: bytes = b"") -> tuple[bool, str]:
    """(False, 'secret') if a line holds a secret, else (True, '').

    `lines` is what is typed or shown: lines of a file, a subject, rows of a screen; `path` picks the
    rules for configuration files, where values stand without quotes.
    """
    config_file = path.lower().endswith(CONFIG_SUFFIXES)
    clean = _CLEAN[config_file]
    fresh = list(set(lines) - clean)
    if any(_detect(text, config_file) for text in _suspects(fresh)):
        return False, REASON
    if len(clean) + len(fresh) > MEMORY:
        clean.clear()
    clean.update(fresh[:MEMORY])
    return True, ""


_CLEAN: dict[bool, set[bytes | str]] = {False: set(), True: set()}


def _suspects(lines: Iterable[bytes | str]) -> list[str]:
    """The lines that some detector could find a secret in, by one search of all lines for each pattern."""
    texts = [piece for line in lines for piece in _pieces(line)]
    lowered = [text.lower() for text in texts]
    joined = "\n".join(lowered)
    places = {match.start() for pattern in _SUSPECTS for match in pattern.finditer(joined)}
    if not places:
        return []
    starts = list(accumulate((len(text) + 1 for text in lowered), initial=0))
    return [texts[number] for number in sorted({bisect_right(starts, place) - 1 for place in places})]


def _pieces(line: bytes | str) -> list[str]:
    """A line as text; overlapping pieces of a long one."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    if len(text) <= MAX_LINE:
        return [text]
    return [text[start : start + MAX_LINE] for start in range(0, len(text), MAX_LINE - OVERLAP)]


def find_secrets(lines: Iterable[bytes | str], path: bytes = b"") -> Iterator[tuple[int, str]]:
    """Each finding's line number, from 0, and the name of its rule; never the value."""
    config_file = path.lower().endswith(CONFIG_SUFFIXES)
    for number, line in enumerate(lines):
        for text in _suspects([line]):
            for rule in _rules_met(text, config_file):
                yield number, rule


def _detect(line: str, config_file: bool) -> bool:
    """Whether any detector finds a value that none of detect-secrets' heuristics excuses."""
    return next(_rules_met(line, config_file), None) is not None


def _rules_met(line: str, config_file: bool) -> Iterator[str]:
    detectors = _detectors()
    for plugin in detectors.pattern:
        for value in plugin.analyze_string(line):
            if not _excused(value, line, plugin):
                yield plugin.secret_type
    for entropy in detectors.entropy:
        for value in entropy.analyze_string(line):
            if entropy.calculate_shannon_entropy(value) > entropy.entropy_limit and not _excused(value, line, entropy):
                yield entropy.secret_type
    groups = CONFIG_DENYLIST_REGEX_TO_GROUP if config_file else None
    for value in detectors.keyword.analyze_string(line, denylist_regex_to_group=groups):
        if not _excused(value, line, detectors.keyword):
            yield detectors.keyword.secret_type


def _excused(value: str, line: str, plugin: BasePlugin) -> bool:
    # in-line "allowlist" comments are not honoured: the author is not trusted
    if isinstance(plugin, KeywordDetector | BasicAuthDetector) and _placeholder(value):
        return True
    if isinstance(plugin, HighEntropyStringsPlugin) and _CHECKSUM.search(line):
        return True
    return (
        any(excuse(value) for excuse in _EXCUSES)
        or heuristic.is_likely_id_string(value, line, plugin)
        or (not isinstance(plugin, RegexBasedDetector) and heuristic.is_indirect_reference(line))
    )


def _placeholder(value: str) -> bool:
    """Placeholder words, two of them run together, and single characters alone: 'YOUR_APP_SECRET', 'testkey 2'."""
    words = [word.lower() for word in _WORDS.split(value) if word]
    return all(word in _PLACEHOLDERS or _two_placeholders(word) for word in words if len(word) > 1)


def _two_placeholders(word: str) -> bool:
    parts = ((word[:at], word[at:]) for at in range(_PART, len(word) - _PART + 1))
    return any(one in _PLACEHOLDERS and two in _PLACEHOLDERS for one, two in parts)


_EXCUSES: tuple[Callable[[str], bool], ...] = (
    heuristic.is_sequential_string,
    heuristic.is_potential_uuid,
    heuristic.is_templated_secret,
    heuristic.is_prefixed_with_dollar_sign,
    heuristic.is_not_alphanumeric_string,
)


def _kinds() -> Mapping[str, type[BasePlugin]]:
    return get_mapping_from_secret_type_to_class()


@cache
def _detectors() -> Detectors:
    plugins: list[BasePlugin] = [kind() for _, kind in sorted(_kinds().items()) if kind is not IPPublicDetector]
    keyword = [plugin for plugin in plugins if isinstance(plugin, KeywordDetector)]
    assert len(keyword) == 1
    return Detectors(
        pattern=tuple(p for p in plugins if isinstance(p, RegexBasedDetector)),
        entropy=tuple(p for p in plugins if isinstance(p, HighEntropyStringsPlugin)),
        keyword=keyword[0],
    )
