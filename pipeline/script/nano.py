"""The keys that turn one file into another in nano: (old bytes, new bytes) -> keys.

The edit script is that of pipeline.script.edit: lines are aligned and edited from top to bottom, a line that stays much
the same is patched span by span, the others are typed anew. Of the ways to a place the one with the fewest keys is
taken. `arrows` leaves only keys that every modeless editor has: one character or line at a time, Enter, backspace,
delete. Nothing here knows the screen's size.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

from pipeline.script.edit import Untypable, alike, blocks, spans
from pipeline.text.cells import is_simple
from pipeline.text.clusters import bases, encoded, fold, is_stand_in
from pipeline.text.nano_lines import column_of, next_word, unit_at, word_starts
from pipeline.text.shared import shared_end, shared_start
from schema.errors import UnsupportedKeyError

UP, DOWN, LEFT, RIGHT = b"\x10", b"\x0e", b"\x02", b"\x06"
HOME, END, NEXT_WORD, PREVIOUS_WORD = b"\x01", b"\x05", b"\x07", b"\x0f"
DELETE, BACKSPACE, CUT_LINE, CHOP_WORD = b"\x04", b"\x08", b"\x0b", b"\x14"
ENTER, VERBATIM, GO_TO = b"\r", b"\x11", b"\x1f"
SAVE_AND_LEAVE = b"\x13\x18"
OPEN_ABOVE = ENTER + UP  # from a line's start
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_WORDS = 9  # a developer does not count further
_MAX_LINES = 12  # nor does one press ^N more often where a line number takes fewer keys


class Way(NamedTuple):
    """Keys to a place, and the column that ^P and ^N then keep to."""

    keys: bytes
    wanted: int


def edit(old: bytes | None, new: bytes, *, arrows: bool = False) -> bytes:
    """Keys that turn a buffer just opened on `old` (None: no such file) into one that ^S writes as `new`.

    ^S and ^X are not included. Raises Untypable.
    """
    before = old or b""
    if before == new:
        return b""
    try:
        old_lines, new_lines = _split(before), _split(new)
        typist = _Typist(old_lines, arrows)
        typist.change(old_lines, new_lines)
    except UnsupportedKeyError as undrawn:  # a character of doubtful width, or marks that are not drawn
        raise Untypable("combining" if "combining" in str(undrawn) else "unsupported-key") from undrawn
    return b"".join(typist.keys)


def _split(content: bytes) -> list[str]:
    """Lines of units that nano moves over and deletes as one: a character with its marks."""
    text = content.decode("utf-8", "surrogateescape")
    return (text if text.isascii() else fold(text)).split("\n")


def typed(text: str) -> bytes:
    """The keys that put in `text`."""
    keys = encoded(text, "surrogateescape")
    if text.isascii() and text.isprintable():
        return keys
    return _CONTROL.sub(lambda found: ENTER if found[0] == b"\n" else VERBATIM + found[0], keys)


class _Typist:
    """Types into a buffer whose cursor it follows: `line` and `unit`, and `wanted` as nano keeps it.

    `text` is the cursor's line as it is now.
    """

    def __init__(self, lines: list[str], arrows: bool) -> None:
        self.arrows = arrows
        self.keys: list[bytes] = []
        self.text = lines[0]
        self.line = self.unit = self.wanted = 0

    def change(self, old: list[str], new: list[str]) -> None:
        """Edit every changed block."""
        for old_at, old_end, at, end in blocks(old, new):
            for i, j in [(i + old_at, j + at) for i, j in alike(old[old_at:old_end], new[at:end])]:
                self.replace(old, old_at, i, new, at, j)
                self.patch(j, old[i], new[j])
                old_at, at = i + 1, j + 1
            self.replace(old, old_at, old_end, new, at, end)

    def replace(self, old: list[str], old_at: int, old_end: int, new: list[str], at: int, end: int) -> None:
        """Make lines old[old_at:old_end], which are at line `at` of the buffer, new[at:end]."""
        gone, come = old[old_at:old_end], new[at:end]
        below = old[old_end] if old_end < len(old) else None
        above = new[at - 1] if at else None
        if gone and come:
            self.retype(at, gone, come, below)
        elif gone:
            self.remove(at, gone, above, below)
        elif come:
            self.insert(at, above, below, come)

    def patch(self, line: int, old: str, new: str) -> None:
        """Change the spans in which two lines differ, from left to right."""
        text = old
        for start, cut, put in spans(old, new):
            rest = text[start + cut :]
            ways = [self.to(line, text, start).keys + self.deletion(text, start, cut)]
            if cut and (text.isascii() or not any(map(is_stand_in, text[start : start + cut]))):
                ways.append(self.to(line, text, start + cut).keys + BACKSPACE * cut)
            text = text[:start] + put + rest
            self.press(min(ways, key=len) + typed(put), line, text, start + len(put))

    def retype(self, at: int, gone: list[str], come: list[str], below: str | None) -> None:
        """Put lines in the place of others: what differs is typed over, or they are cut and new ones put in."""
        last, text = at + len(come) - 1, "\n".join(come)
        head = shared_start(gone[0], come[0], min(len(gone[0]), len(come[0])))
        # a single line holds both the shared start and the shared end
        rest = [len(lines[-1]) - (head if len(lines) == 1 else 0) for lines in (gone, come)]
        tail = shared_end(gone[-1], come[-1], min(rest))
        cut = sum(len(line) + 1 for line in gone) - 1 - head - tail
        deleted = self.deletion(gone[0], head, cut) if len(gone) == 1 else DELETE * cut
        over = self.to(at, gone[0], head).keys + deleted + typed(text[head : len(text) - tail])
        # what is cut leaves the cursor on the line below, or on an empty last line
        anew = self.to_line(at, gone[0]) + CUT_LINE * (len(gone) - (below is None and not gone[-1]))
        anew += (OPEN_ABOVE if below is not None else b"") + typed(text)
        if self.arrows or len(over) <= len(anew):
            self.press(over, last, come[-1], len(come[-1]) - tail)
        else:
            self.press(anew, last, come[-1], len(come[-1]))

    def remove(self, at: int, gone: list[str], above: str | None, below: str | None) -> None:
        """Take lines out."""
        if below is not None:
            one_by_one = self.to(at, gone[0], 0).keys + DELETE * sum(len(line) + 1 for line in gone)
            cuts = self.to_line(at, gone[0]) + CUT_LINE * len(gone)
            self.press(one_by_one if self.arrows or len(one_by_one) < len(cuts) else cuts, at, below, 0)
            return
        assert above is not None, "a buffer has a line at least"
        ways = [self.to(at - 1, above, len(above)).keys + DELETE * sum(len(line) + 1 for line in gone)]
        if not self.arrows:
            ways.append(self.to_line(at, gone[0]) + CUT_LINE * (len(gone) - (not gone[-1])) + BACKSPACE)
        self.press(min(ways, key=len), at - 1, above, len(above))

    def insert(self, at: int, above: str | None, below: str | None, come: list[str]) -> None:
        """Put lines in, on a line opened behind the one above or before the one below, whichever is nearer."""
        ways = []
        if above is not None:
            ways.append(self.to(at - 1, above, len(above)).keys + ENTER)
        if below is not None:
            ways.append(self.to(at, below, 0).keys + OPEN_ABOVE)
        self.press(min(ways, key=len) + typed("\n".join(come)), at + len(come) - 1, come[-1], len(come[-1]))

    # -- places

    def press(self, keys: bytes, line: int, text: str, unit: int) -> None:
        """Note keys, the last of which puts something in or takes something out, and where the cursor is then."""
        self.keys.append(keys)
        self.line, self.text, self.unit = line, text, unit
        self.wanted = column_of(bases(text), unit)

    def to_line(self, line: int, text: str) -> bytes:
        """The fewest keys to any place of a line."""
        return min((keys for keys, _, _ in self._vertical(line, text)), key=len)

    def to(self, line: int, text: str, unit: int) -> Way:
        """The fewest keys to a unit of a line, whose text is `text` now."""
        column = column_of(bases(text), unit)
        ways = []
        for keys, at, wanted in self._vertical(line, text):
            across = steps(at, unit) if self.arrows else across_line(text, at, unit)
            ways.append(Way(keys + across, column if across else wanted))
        if line != self.line and not self.arrows:
            ways.append(Way(GO_TO + b"%d,%d" % (line + 1, column + 1) + ENTER, column))
        return min(ways, key=lambda way: len(way.keys))

    def _vertical(self, line: int, text: str) -> Iterator[tuple[bytes, int, int]]:
        """(keys to a line, unit where they land, the column wanted then)."""
        distance = line - self.line
        if not distance:
            yield b"", self.unit, self.wanted
            return
        landed = unit_at(bases(text), self.wanted)
        if self.arrows or abs(distance) <= _MAX_LINES:
            yield DOWN * distance + UP * -distance, landed, self.wanted
        if not self.arrows:
            yield GO_TO + b"%d" % (line + 1) + ENTER, landed, self.wanted
        if distance == 1:
            yield RIGHT * (len(self.text) - self.unit + 1), 0, 0
        elif distance == -1:
            yield LEFT * (self.unit + 1), len(text), column_of(bases(text), len(text))

    def deletion(self, text: str, start: int, cut: int) -> bytes:
        """Delete `cut` units behind the cursor at `start`."""
        if self.arrows or cut < 2 or not is_simple(text):
            return DELETE * cut
        end, at, words = start + cut, start, 0
        while at < end and (beyond := next_word(text, at) or len(text)) <= end:
            at, words = beyond, words + 1
        return CHOP_WORD * words + DELETE * (end - at)


def steps(at: int, unit: int) -> bytes:
    """The keys from one unit of a line to another, one by one."""
    return RIGHT * (unit - at) + LEFT * (at - unit)


def across_line(text: str, at: int, unit: int) -> bytes:
    """The fewest keys from one unit of a line to another; most ways need no search."""
    if abs(unit - at) <= 1:
        return steps(at, unit)
    if unit in (0, len(text)):
        return END if unit else HOME
    return fewest_across(text, at, unit)


def fewest_across(text: str, at: int, unit: int) -> bytes:
    """The first of the shortest ways: steps from where the cursor is, from an end of the line, from a word's start."""
    starts = [(b"", at), (HOME, 0), (END, len(text))]
    ways = [(len(keys) + abs(unit - start), keys, start) for keys, start in starts]
    if is_simple(text):
        ways += [way for keys, start in starts for way in _words(text, keys, start, unit)]
    _, keys, nearest = min(ways, key=itemgetter(0))
    return keys + steps(nearest, unit)


def _words(text: str, keys: bytes, at: int, unit: int) -> Iterator[tuple[int, bytes, int]]:
    """(keys pressed in all, those before single steps, where these start) of ways on by whole words.

    Each word that is passed saves a key at least, so that only the last one before `unit` counts, and the one beyond.
    """
    starts = word_starts(text)
    if unit > at:
        first, key, step = bisect_right(starts, at), NEXT_WORD, 1
        passed = bisect_left(starts, unit) - first
    else:
        first, key, step = bisect_left(starts, at) - 1, PREVIOUS_WORD, -1
        passed = first + 1 - bisect_right(starts, unit)
    for count in (min(passed, _MAX_WORDS), passed + 1):
        number = first + step * (count - 1)
        if 0 < count <= _MAX_WORDS and 0 <= number < len(starts):
            yield len(keys) + count + abs(unit - starts[number]), keys + key * count, starts[number]
