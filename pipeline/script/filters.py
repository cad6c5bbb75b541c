"""What is not typed: bots, binary, generated, vendored, minified and lock files.

Each filter returns (keep, reason). A reason is one fixed word that is counted and stored in `drops`; it never quotes
what was matched. The rules for paths and content are data, with their source: `pipeline/generated.json`. The search
for secrets is `pipeline.script.secrets`.
"""

import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

from schema.config import ReplayConfig

__all__ = ["binary", "commit_filter", "email_filter", "file_filter", "mask_emails", "path_filter"]

KEEP = (True, "")
HEAD_BYTES = 8000  # git looks for a NUL in as many bytes to call a file binary
HEAD_LINES = 40  # no content rule looks further
# Letters, marks and digits beyond ASCII, and what else an international address may hold; no blanks or punctuation.
# U+DC80 to U+DCFF stand for bytes that are not UTF-8: the same address in Latin-1.
_INTERNATIONAL = (
    "\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u1fff\u200c\u200d\u2c00-\u2dff\u3005-\u3007\u3040-\ud7ff"
    "\udc80-\udcff\uf900-\ufdff\ufe70-\ufefc\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uffdc\U00010000-\U000e01ef"
)
# RFC 6531 for the part before the @, RFC 5890 for the labels, RFC 3490 for the full stops between them. The longest
# that SMTP carries bound the time: without a bound it grows with the square of a long run of letters.
EMAIL = re.compile(
    f"[A-Za-z0-9._%+{_INTERNATIONAL}-]{{1,64}}@[A-Za-z0-9{_INTERNATIONAL}-]{{1,63}}"
    f"(?:[.\u3002\uff0e\uff61][A-Za-z0-9{_INTERNATIONAL}-]{{1,63}})+"
)


class Authored(Protocol):
    """What `commit_filter` needs of a commit."""

    @property
    def author_name(self) -> bytes | str: ...
    @property
    def author_email(self) -> bytes | str: ...


class Marks(NamedTuple):
    """What .gitattributes say of a path: `linguist-generated`, `linguist-vendored`; None where they do not.

    As on GitHub, what they say goes before every rule of ours, either way; lock and minified files count as generated.
    `linguist-documentation` changes GitHub's statistics alone: people type documentation, and it is typed here.
    Source: linguist, docs/overrides.md and lib/linguist/lazy_blob.rb.
    """

    generated: bool | None = None
    vendored: bool | None = None


UNMARKED = Marks()


class ContentRule(NamedTuple):
    """One of `contains` within the first `within` lines of a file with one of `extensions`."""

    extensions: frozenset[str]
    within: int
    contains: tuple[bytes, ...]


class Rules(NamedTuple):
    """`generated.json`, compiled."""

    paths: tuple[tuple[str, re.Pattern[str]], ...]  # (reason, any of its paths)
    content: tuple[ContentRule, ...]
    cassette: ContentRule
    minified_extensions: frozenset[str]
    minified_mean_line: int
    bot_email: re.Pattern[str]
    bot_name: re.Pattern[str]


def commit_filter(commit: Authored, config: ReplayConfig) -> tuple[bool, str]:
    """Refuse commits by bots: a name or an address that says so. Reason: 'bot'."""
    if not config.skip_bots:
        return KEEP
    rules = _rules()
    if rules.bot_email.search(_text(commit.author_email)) or rules.bot_name.search(_text(commit.author_name).strip()):
        return False, "bot"
    return KEEP


def file_filter(path: bytes, content: bytes, config: ReplayConfig, marks: Marks = UNMARKED) -> tuple[bool, str]:
    """Refuse files no person types: 'binary', 'lock', 'minified', 'vendored', 'generated'."""
    if binary(content):
        return False, "binary"
    if not config.skip_generated:
        return KEEP
    keep, reason = path_filter(path, marks)
    return (keep, reason) if not keep or marks.generated is False else _content_filter(path, content)


def binary(content: bytes) -> bool:
    """Whether git would call the content binary: a NUL within its first 8,000 bytes."""
    return b"\0" in content[:HEAD_BYTES]


@lru_cache(maxsize=1 << 16)
def path_filter(path: bytes, marks: Marks = UNMARKED) -> tuple[bool, str]:
    """The part of `file_filter` that needs the path alone, and what the repository says of it."""
    if marks.vendored or marks.generated:
        return False, "vendored" if marks.vendored else "generated"
    text = path.decode("utf-8", "replace")
    for reason, pattern in _rules().paths:
        said = marks.vendored if reason == "vendored" else marks.generated
        if said is None and pattern.search(text):
            return False, reason
    return KEEP


def email_filter(content: bytes) -> tuple[bool, str]:
    """(False, 'email') if an e-mail address stands in what would be typed or shown, else (True, '')."""
    if b"@" not in content:
        return KEEP
    return (False, "email") if EMAIL.search(content.decode("utf-8", "surrogateescape")) else KEEP


def mask_emails(text: str) -> str:
    """Remove e-mail addresses: 'thanks a@b.org!' -> 'thanks !', 'by A <jörg@müller.example>' -> 'by A <>'."""
    return EMAIL.sub("", text) if "@" in text else text


def _content_filter(path: bytes, content: bytes) -> tuple[bool, str]:
    rules, own = _rules(), _rules_of(path)
    if own.may_be_minified and content:
        newlines = content.count(b"\n")
        if (len(content) - newlines) / (newlines + 1) > rules.minified_mean_line:
            return False, "minified"
    head = content[: 1 << 14].split(b"\n", HEAD_LINES)[:HEAD_LINES]
    for rule in own.content:
        shown = b"\n".join(head[: rule.within])
        if any(mark in shown for mark in rule.contains):
            return False, "generated"
    if own.may_be_cassette:
        tail = b"\n".join(content[-1024:].split(b"\n")[-rules.cassette.within :])
        if any(mark in tail for mark in rules.cassette.contains):
            return False, "generated"
    return KEEP


class _RulesOfPath(NamedTuple):
    """What is asked of the content of a file of this name."""

    may_be_minified: bool
    content: tuple[ContentRule, ...]
    may_be_cassette: bool


@lru_cache(maxsize=1 << 16)
def _rules_of(path: bytes) -> _RulesOfPath:
    """A file's rules by its extension; its path is the same in many commits."""
    rules = _rules()
    extension = Path(path.decode("utf-8", "replace")).suffix
    return _RulesOfPath(
        extension.lower() in rules.minified_extensions,
        tuple(rule for rule in rules.content if extension in rule.extensions or "*" in rule.extensions),
        extension in rules.cassette.extensions,
    )


@cache
def _rules() -> Rules:
    data = json.loads(Path(__file__).with_name("generated.json").read_text(encoding="utf-8"))

    def content_rule(entry: dict[str, object]) -> ContentRule:
        extensions, within, contains = entry["extensions"], entry["within"], entry["contains"]
        assert isinstance(extensions, list)
        assert isinstance(within, int)
        assert isinstance(contains, list)
        assert within <= HEAD_LINES
        return ContentRule(frozenset(extensions), within, tuple(str(mark).encode() for mark in contains))

    def either(patterns: list[str], flags: int = 0) -> re.Pattern[str]:
        # an inline (?i) is only legal at the very start: give each pattern its own scope
        scoped = [f"(?i:{p[4:]})" if p.startswith("(?i)") else f"(?:{p})" for p in patterns]
        return re.compile("|".join(scoped), flags)

    return Rules(
        paths=tuple((reason, either(data[reason])) for reason in ("lock", "minified", "vendored", "generated")),
        content=tuple(content_rule(entry) for entry in data["content"]),
        cassette=content_rule(data["vcr_cassette_last_lines"]),
        minified_extensions=frozenset(data["minified_extensions"]),
        minified_mean_line=int(data["minified_mean_line"]),
        bot_email=either(data["bot_emails"], re.IGNORECASE),
        bot_name=either(data["bot_names"], re.IGNORECASE),
    )


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
