"""What a tree's .gitattributes files say of a path, as `git check-attr` answers. No git process is asked.

`git check-attr --source` needs git 2.40, and a process for each commit. Source: gitattributes(5), and attr.c, dir.c and
wildmatch.c of git 2.39. Tested against `git check-attr` on random files.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from pipeline.git.attributes import ATTRIBUTES_BYTES, attribute_words
from pipeline.git.entries import EXECUTABLE, REGULAR
from pipeline.git.tree import Tree

FILE = b".gitattributes"
Value = bytes | bool  # set, unset or a string; an attribute that is unspecified has none
States = tuple[tuple[bytes, Value | None], ...]
_BINARY: States = ((b"binary", True), (b"diff", False), (b"merge", False), (b"text", False))
_FILES = 256  # parsed files that are remembered
_CLASSES = {
    b"alnum": rb"0-9A-Za-z", b"alpha": rb"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": rb"0-9",
    b"graph": rb"\x21-\x7e", b"lower": rb"a-z", b"print": rb"\x20-\x7e", b"punct": rb"!-/:-@\[-`{-~",
    b"space": rb" \t\r\n\v\f", b"upper": rb"A-Z", b"xdigit": rb"0-9A-Fa-f",
}  # fmt: skip


class Rule(NamedTuple):
    """One line: the attributes that it gives to paths that match. None means that it makes one unspecified again."""

    macro: bytes  # the name that a line in the top folder defines; empty for a pattern
    pattern: re.Pattern[bytes] | None  # None matches nothing
    whole: bool  # the pattern is for the path below the file's folder, not for the name alone
    states: States


def find_attributes(tree: Tree, path: bytes, names: Iterable[bytes]) -> dict[bytes, Value]:
    """Those of the attributes that the tree gives to `path`: set, unset or with a value. Raises SourceError."""
    files = list(_files(tree, path))  # from the path's own folder up to the top
    if not files:
        return {}
    macros: dict[bytes, States] = {b"binary": _BINARY}
    for _, rules in reversed(files):
        macros.update((rule.macro, rule.states) for rule in rules if rule.macro)
    found: dict[bytes, Value | None] = {}
    name = path.rpartition(b"/")[2]
    for folder, rules in files:
        below = path[len(folder) :]
        for rule in reversed(rules):
            if rule.pattern is not None and rule.pattern.fullmatch(below if rule.whole else name):
                _fill(found, rule.states, macros)
    return {name: value for name in names if (value := found.get(name)) is not None}


def _files(tree: Tree, path: bytes) -> Iterator[tuple[bytes, tuple[Rule, ...]]]:
    """(folder with its slash, its rules) for each folder above the path that has such a file, deepest first."""
    folders = [path[:at] for at, byte in enumerate(path) if byte == 0x2F]
    for folder in [*reversed(folders), b""]:
        place = folder + b"/" if folder else b""
        file = tree.file(place + FILE)
        if file is None or file.mode not in (REGULAR, EXECUTABLE):
            continue  # git does not follow a link
        if (size := file.size) is not None and size <= ATTRIBUTES_BYTES:
            yield place, parse(file.content, top=not place)


def _fill(found: dict[bytes, Value | None], states: States, macros: dict[bytes, States]) -> None:
    """Give what nothing stronger has given yet, the last word of a line first; a macro that is set gives its own."""
    for name, value in reversed(states):
        if name not in found:
            found[name] = value
            if value is True and name in macros:
                _fill(found, macros[name], macros)


@lru_cache(maxsize=_FILES)
def parse(content: bytes, *, top: bool) -> tuple[Rule, ...]:
    """The lines of a .gitattributes file that git reads silently: a commit with others is not filmed.

    `top`: the file stands in the root folder, the only one where a macro may be defined.
    """
    rules = []
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        words = attribute_words(line.partition(b"\0")[0], top)
        if words is None:
            continue
        macro, pattern, given = words
        states = tuple(_state(word) for word in given)
        whole = b"/" in pattern[:-1]
        rules.append(Rule(macro, None if macro else _compiled(pattern, whole), whole, states))
    return tuple(rules)


def _state(word: bytes) -> tuple[bytes, Value | None]:
    if word[:1] in (b"-", b"!"):
        return word[1:].partition(b"=")[0], False if word[:1] == b"-" else None
    name, equals, value = word.partition(b"=")
    return name, value if equals else True


def _compiled(pattern: bytes, whole: bool) -> re.Pattern[bytes] | None:
    """The regular expression of a pattern; None for one that matches no file: of a folder, or malformed."""
    if pattern.endswith(b"/") or not pattern:
        return None
    text = _translated(pattern.removeprefix(b"/") if whole else pattern, whole)
    try:
        return None if text is None else re.compile(text, re.DOTALL)
    except re.error:
        return None


def _translated(pattern: bytes, whole: bool) -> bytes | None:
    """wildmatch.c as a regular expression; None where it matches nothing. `whole`: `*` and `?` stop at a slash."""
    any_one = rb"[^/]" if whole else rb"."
    out, at = b"", 0
    while at < len(pattern):
        letter = pattern[at : at + 1]
        if letter == b"\\":
            if at + 1 == len(pattern):
                return None
            out += re.escape(pattern[at + 1 : at + 2])
            at += 2
        elif letter == b"?":
            out += any_one
            at += 1
        elif letter == b"*":
            end = at
            while pattern[end : end + 1] == b"*":
                end += 1
            alone = end - at >= 2 and pattern[at - 1 : at] in (b"", b"/") and pattern[end : end + 1] in (b"", b"/")
            if not whole:
                out += b".*"
            elif not alone:
                out += b"[^/]*"
            elif end < len(pattern):  # '**/': any folders, or none
                out += b"(?:.*/)?"
                end += 1
            else:
                out += b".*"
            at = end
        elif letter == b"[":
            found = _set(pattern, at)
            if found is None:
                return None
            characters, at = found
            out += (b"(?!/)" if whole else b"") + characters
        else:
            out += re.escape(letter)
            at += 1
    return out


def _set(pattern: bytes, at: int) -> tuple[bytes, int] | None:
    """The set of characters that begins at `[`, and where it ends; None if it does not."""
    at += 1
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    start, parts = at, b""
    while at < len(pattern) and (pattern[at : at + 1] != b"]" or at == start):
        if pattern[at : at + 2] == b"[:":
            end = pattern.find(b"]", at + 2)
            if end < 0:
                return None
            if pattern[end - 1 : end] == b":" and end > at + 2:
                name = pattern[at + 2 : end - 1]
                if name not in _CLASSES:
                    return None
                parts += _CLASSES[name]
                at = end + 1
                continue
        low, at = _letter(pattern, at)
        if low is None:
            return None
        if pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"", b"]"):
            high, at = _letter(pattern, at + 1)
            if high is None:
                return None
            parts += re.escape(low) + b"-" + re.escape(high) if low <= high else b""
        else:
            parts += re.escape(low)
    if at >= len(pattern):
        return None
    if not parts:
        return (b"." if negated else b"(?!)"), at + 1
    return b"[" + (b"^" if negated else b"") + parts + b"]", at + 1


def _letter(pattern: bytes, at: int) -> tuple[bytes | None, int]:
    if pattern[at : at + 1] == b"\\":
        at += 1
    letter = pattern[at : at + 1]
    return letter or None, at + 1
