r"""Words as they are typed at bash's prompt: always exact for bash, always drawable.

>>> quote(b"a b"), quote(b"it's"), quote(b"tab\there")
(b"'a b'", b'"it\'s"', b"$'tab\\011here'")
>>> unquote(b"git rm -q -- 'a b' $'tab\\011here'")
[b'git', b'rm', b'-q', b'--', b'a b', b'tab\there']
"""

import re
from collections.abc import Iterable, Iterator

from schema.widths import SHELL_SAFE

_BARE = re.compile(rb"[A-Za-z0-9_@%+=:,./-]+")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
# In "..." these would be read by bash; history expansion reads ! even there.
_ACTIVE = re.compile(rb"[$`\"\\!]")
_PIECE = re.compile(
    rb"""(?P<space>[ ]+) | \$'(?P<ansi>(?:[^'\\]|\\.)*)' | '(?P<single>[^']*)' | "(?P<double>[^"$`\\!]*)"
    | \\(?P<escaped>.) | (?P<bare>[^\s'"\\$`!*?\[\](){};<>|#~]+)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|['\\])")


def quote(word: bytes) -> bytes:
    r"""The shortest plain way to type `word`: bare, '...', "...", with '\'' inside, or $'\ooo' if it must.

    The last is for control characters, invalid UTF-8, and what bash and a screen do not give the same width.
    """
    if _BARE.fullmatch(word):
        return word
    if not _PRINTABLE.fullmatch(word) and not _drawable(word):
        return b"$'" + b"".join(_escaped(word)) + b"'"
    if b"'" not in word:
        return b"'" + word + b"'"
    if not _ACTIVE.search(word):
        return b'"' + word + b'"'
    return b"'" + word.replace(b"'", rb"'\''") + b"'"


def arguments(*words: bytes) -> bytes:
    """Quoted words side by side."""
    return b" ".join(quote(word) for word in words)


def operands(paths: Iterable[bytes]) -> bytes:
    """Paths as a command's last words, behind `--` if one of them looks like an option."""
    paths = list(paths)
    return (b"-- " if any(path[:1] in (b"-", b"+") for path in paths) else b"") + arguments(*paths)


def unquote(line: bytes) -> list[bytes]:
    """The words of a line that was typed with `quote`; `&&` is a word. Raises ValueError for any other syntax."""
    words: list[bytes] = []
    fresh = True
    at = 0
    while at < len(line):
        piece = _PIECE.match(line, at)
        if piece is None:
            raise ValueError(f"not quoted as a replay quotes: {line[at : at + 40]!r}")
        at = piece.end()
        kind, text = piece.lastgroup, piece[piece.lastgroup or 0]
        if kind == "space":
            fresh = True
            continue
        if kind == "ansi":
            text = _ESCAPE.sub(_unescaped, text)
        if fresh:
            words.append(text)
        else:
            words[-1] += text
        fresh = False
    return words


def _drawable(word: bytes) -> bool:
    try:
        text = word.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(
        character.isprintable() if character.isascii() else bool(SHELL_SAFE[ord(character)]) for character in text
    )


def _escaped(word: bytes) -> Iterator[bytes]:
    """The inside of $'...'. History expansion would see a `!` there."""
    for character in word.decode("utf-8", "surrogateescape"):
        raw = character.encode("utf-8", "surrogateescape")
        if character in "'\\":
            yield b"\\" + raw
        elif character == "!" or not _drawable(raw):
            yield b"".join(b"\\%03o" % byte for byte in raw)
        else:
            yield raw


def _unescaped(match: re.Match[bytes]) -> bytes:
    text = match[1]
    return text if text in (b"'", b"\\") else bytes([int(text, 8) & 0xFF])
