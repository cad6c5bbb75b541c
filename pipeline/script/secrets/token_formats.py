"""Access tokens and private keys by the form that their makers document: `token_formats.json`.

A form is literal text and counted characters of an alphabet, so that the regular expression made of it takes a time
linear in the text: nothing in it is unbounded or nested. All forms but a private key's header stand without a space;
so only runs of 15 characters and more that can belong to a token are searched, about a tenth of source code, and a form
only in runs that hold its longest literal. Which forms those may be is told by the runs' sets of three characters:
looking for each of 281 literals takes 79 us for 650 bytes of source code, this takes 37.

>>> [kind for _, kind in find_tokens(b"export TOKEN=gh" + b"p_" + b"5gHq2ZtX9bRw" * 3)]
['GitHub token']
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from pipeline.script.secrets.placeholders import is_documented
from pipeline.script.secrets.web_tokens import is_sample_web_token

_RUN = re.compile(rb"[0-9A-Za-z_+/=.~%:$@&\\-]{15,}")
_RUN_ON = re.compile(rb"[^0-9A-Za-z_+/=.-].*", re.DOTALL)  # what follows a token
_END = 3  # characters of a mark by which it is looked up
_LONGEST = 400  # characters of a documented example
_PIECE = re.compile(r"\{(?P<alphabet>\w+):(?P<least>\d+)(?:-(?P<most>\d+))?\}|(?P<set>\[[^]]+\])|(?P<literal>[^[{]+)")
_CHOICE = re.compile(r"\[(\w+)\]")
# A token begins behind anything but a letter or digit, and behind those that end an escape: %3D in a URL, \n.
_BEGINS = rb"(?:(?<![0-9A-Za-z])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[abfnrtv0]))"
_ENDS = rb"(?![0-9A-Za-z_-])"
_APART = rb"(?<![0-9A-Za-z][+/])" + _BEGINS, rb"(?![0-9A-Za-z_+/=-])"
_PLACEHOLDER = re.compile(rb"(?i:example|placeholder|redacted)|x{6}|X{6}|\*{3}|\.{3}")
_VARIED = 5  # distinct characters of what a random generator made: fewer of 16 hex digits come once in 10^8 times
_MIN_JUDGED = 12  # a shorter variable part may hold few characters by chance
# A private key's header with an ellipsis for the key: '-----BEGIN PRIVATE KEY-----\n...'
_CUT_SHORT = re.compile(rb"(?:\\[nr]|\s)*[<\[{(]?(?:\.\.|\xe2\x80\xa6|xxx|XXX)")


class Format(NamedTuple):
    """One form: `pattern` finds it, the groups are its variable parts.

    Text without `mark`, or of less than `least` characters, holds none.
    """

    kind: str
    mark: bytes
    pattern: re.Pattern[bytes]
    least: int


def find_tokens(text: bytes) -> Iterator[tuple[int, str]]:
    """Yield (offset, kind) of tokens in lines of text, at least one for each run of characters that holds any.

    A placeholder in a token's form ('xxxx', EXAMPLE, a web token that says nothing) is none.
    """
    runs = [run.span() for run in _RUN.finditer(text)]
    joined = b"\n".join([text[start:end] for start, end in runs])
    starts = list(accumulate((end - start + 1 for start, end in runs), initial=0))
    for offset, kind, match in _matches(joined, _possible(joined)):
        if not (
            is_placeholder(match)
            or (kind == "JSON web token" and is_sample_web_token(match[0]))
            or is_documented(_RUN_ON.sub(b"", joined[offset : offset + _LONGEST]))
        ):
            number = bisect_right(starts, offset) - 1
            yield runs[number][0] + offset - starts[number], kind
    for offset, kind, match in _matches(text, formats()[0]):
        if not _CUT_SHORT.match(text, match.end()):
            yield offset, kind


def _possible(text: bytes) -> list[Format]:
    """The forms without a space that lines of text may hold, in the file's order, by length and the end of the mark."""
    longest = max(map(len, text.split(b"\n")))
    _, forms = formats()
    ends = _by_end()
    seen = ends.keys() & {text[at : at + _END] for at in range(len(text) - _END + 1)}
    numbers = sorted(number for end in (*seen, b"") for number in ends[end])
    return [form for form in map(forms.__getitem__, numbers) if form.least <= longest]


@cache
def _by_end() -> Mapping[bytes, Sequence[int]]:
    """The numbers of the forms without a space by their mark's last characters; b"" for those of a shorter mark."""
    numbers: dict[bytes, list[int]] = {b"": []}
    for number, form in enumerate(formats()[1]):
        numbers.setdefault(form.mark[-_END:] if len(form.mark) >= _END else b"", []).append(number)
    return numbers


def _matches(text: bytes, forms: Iterable[Format]) -> Iterator[tuple[int, str, re.Match[bytes]]]:
    for kind, mark, pattern, _ in forms:
        at = text.find(mark)
        while at >= 0:
            start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
            end = len(text) if end < 0 else end
            for match in pattern.finditer(text, start, end):
                yield match.start(), kind, match
            at = text.find(mark, end)


@cache
def formats() -> tuple[tuple[Format, ...], tuple[Format, ...]]:
    """(forms that hold a space, all others), in the file's order."""
    data = json.loads(Path(__file__).with_name("token_formats.json").read_text(encoding="utf-8"))
    spaced: list[Format] = []
    solid: list[Format] = []
    for entry in data["formats"]:
        for form in entry["forms"]:
            (spaced if " " in form else solid).extend(
                _compiled(entry["kind"], one, data["alphabets"], *_edges(entry, form)) for one in spelled_out(form)
            )
    return tuple(spaced), tuple(solid)


def spelled_out(form: str) -> Iterator[str]:
    """The forms with one character each for sets of letters, so that their literals are long: 'sk_' of '[sr]k_'."""
    found = _CHOICE.search(form)
    if found is None:
        yield form
        return
    for letter in found[1]:
        yield from spelled_out(form[: found.start()] + letter + form[found.end() :])


def _edges(entry: Mapping[str, object], form: str) -> tuple[bytes, bytes]:
    """What stands before and behind a form."""
    if entry.get("apart"):
        return _APART
    return b"" if form.startswith("-") else _BEGINS, _ENDS if entry.get("whole") else b""


def _compiled(kind: str, form: str, alphabets: Mapping[str, str], before: bytes, behind: bytes) -> Format:
    pattern, mark, shortest = "", "", 0
    for piece in _PIECE.finditer(form):
        if literal := piece["literal"]:
            pattern += re.escape(literal)
            mark = max(mark, literal, key=len)
            shortest += len(literal)
        elif piece["set"]:
            pattern += piece["set"]
            shortest += 1
        else:
            least, most = piece["least"], piece["most"] or piece["least"]
            pattern += f"([{alphabets[piece['alphabet']]}]{{{least},{most}}})"
            shortest += int(least)
    return Format(kind, mark.encode(), re.compile(before + pattern.encode() + behind), shortest)


def is_placeholder(match: re.Match[bytes]) -> bool:
    """Whether a match's variable parts are no random characters: one repeated, 'EXAMPLE', '...', or a sequence."""
    value = b"".join(match.groups(b""))
    if _PLACEHOLDER.search(match[0]):
        return True
    return len(value) >= _MIN_JUDGED and (len(set(value)) < _VARIED or is_sequence(value))


def is_sequence(value: bytes) -> bool:
    """Whether most characters are the one before or the next after it: 'aaaabbbb', '0123456789', 'abcdef'."""
    steps = sum(0 <= b - a <= 1 for a, b in pairwise(value))
    return 2 * steps > len(value)
