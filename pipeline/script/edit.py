"""The keys that turn one file into another in vim: (old bytes, new bytes) -> keys.

Lines are aligned by their longest common subsequence, then inside a changed block by likeness, and edited from top
to bottom: a line that stays much the same is patched span by span with the shortest of a few commands that a developer
would use, the others are typed anew. Nothing here knows the screen's size.
"""

import re
from bisect import bisect_left

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from pipeline.text.cells import LONG, display_column, has_odd_marks, has_odd_utf8, is_simple
from pipeline.text.clusters import bases, encoded
from pipeline.text.lines import split_lines
from pipeline.text.shared import shared_end, shared_start
from pipeline.text.words import next_word, word_end
from schema.errors import UnsupportedKeyError

ESC, ENTER, BACKSPACE, LITERAL = b"\x1b", b"\r", b"\x08", b"\x16"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_PAIRS = 1 << 16  # pairs of lines compared for likeness in one block; in a larger one only its first lines are
_LIKE = 0.6  # least likeness (2 x common / both lengths) of a line that is patched, not typed anew
_MAX_WORDS = 9  # a developer does not count further
_MUCH_ALIKE = (0.98, 0.9)  # is found in an eighth and half of the time
_MARGIN = 1e-6  # of likeness, far above what rounding does to it
_MERGE = 4  # units: spans that are nearer than a motion costs are changed as one
_MAX_ALIGNMENT = 1 << 31  # bits of the line-diff matrix; past it (~45,000 x 45,000 changed lines) do not align


class Untypable(ValueError):
    """This edit cannot be typed and drawn exactly; `reason` is a fixed word, counted in `drops`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def edit(old: bytes | None, new: bytes) -> bytes:
    """Keys that turn a buffer just opened on `old` (None: no such file) into one that `:w` writes as `new`.

    `:w` and `:q` are not included. Raises Untypable.
    """
    before = old or b""
    for content in (before, new):
        _check(content)
    try:
        old_lines, old_ended = split_lines(before)
        new_lines, new_ended = split_lines(new)
    except UnsupportedKeyError as full:  # of stand-ins; see pipeline.text.clusters
        raise Untypable("combining") from full
    typist = _Typist(old_lines)
    if before == new:
        return b""
    if not new:
        typist.delete(0, len(old_lines), old_lines[0], "")
    elif not before:
        typist.fill(new_lines)
    else:
        typist.change(old_lines, new_lines)
    if new and old_ended != new_ended:
        typist.keys.append(b":set nobin eol\r" if new_ended else b":set nobin noeol\r")
    return b"".join(typist.keys)


def _check(content: bytes) -> None:
    """Raise Untypable for content whose lines are not drawn exactly."""
    if content.isascii():
        if b"\0" in content:
            raise Untypable("binary")
        return
    if b"\0" in content:
        raise Untypable("binary")
    if has_odd_utf8(content):
        raise Untypable("invalid-utf8")
    if has_odd_marks(content):
        raise Untypable("combining")


def typed(lines: list[str]) -> bytes:
    """Insert-mode keys for these lines. Raises Untypable."""
    try:
        text = encoded("\n".join(lines))
    except UnicodeEncodeError as error:
        raise Untypable("invalid-utf8") from error
    if text.isascii() and text.decode("ascii").isprintable():
        return text
    return _CONTROL.sub(_literal, text)


def _literal(match: re.Match[bytes]) -> bytes:
    key = match[0]
    if key == b"\n":
        return ENTER
    if key == b"\x03":
        raise Untypable("control-c")
    return LITERAL + key


def blocks(old: list[str], new: list[str]) -> list[tuple[int, int, int, int]]:
    """Changed blocks (old start, old end, new start, new end) between two lists of lines, top to bottom."""
    limit = min(len(old), len(new))
    head = shared_start(old, new, limit)
    tail = shared_end(old, new, limit - head)
    old_end, new_end = len(old) - tail, len(new) - tail
    if head == old_end or head == new_end:
        return [(head, old_end, head, new_end)] if head < old_end or head < new_end else []
    if (old_end - head) * (new_end - head) > _MAX_ALIGNMENT:
        raise Untypable("too-many-lines")
    before, after = old[head:old_end], new[head:new_end]
    ids = {line: number for number, line in enumerate(dict.fromkeys(before + after))}
    a, b = list(map(ids.__getitem__, before)), list(map(ids.__getitem__, after))
    found: list[tuple[int, int, int, int]] = []
    for op in Indel.opcodes(a, b):
        if op.tag == "equal":
            continue
        block = (op.src_start + head, op.src_end + head, op.dest_start + head, op.dest_end + head)
        if found and found[-1][1] == block[0] and found[-1][3] == block[2]:
            found[-1] = (found[-1][0], block[1], found[-1][2], block[3])
        else:
            found.append(block)
    return found


class _Typist:
    """Types into a buffer whose cursor it follows: `line` and `unit`, as vim would leave them."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines  # as opened; lines above the cursor are known from what was typed
        self.keys: list[bytes] = []
        self.line = 0
        self.unit = first_word(lines[0])
        self.count = len(lines)  # lines in the buffer now

    def change(self, old: list[str], new: list[str]) -> None:
        """Edit every changed block."""
        for old_at, old_end, at, end in blocks(old, new):
            pairs = [(i + old_at, j + at) for i, j in alike(old[old_at:old_end], new[at:end])]
            for i, j in pairs:
                self.replace(old, old_at, i, new, at, j)
                self.patch(j, old[i], new[j])
                old_at, at = i + 1, j + 1
            self.replace(old, old_at, old_end, new, at, end)

    def replace(self, old: list[str], old_at: int, old_end: int, new: list[str], at: int, end: int) -> None:
        """Make lines old[old_at:old_end], which are at line `at` of the buffer, new[at:end]."""
        if old_at < old_end and at < end:
            self.retype(at, old[old_at], old_end - old_at, new[at:end])
        elif old_at < old_end:
            lands = old[old_end] if old_end < len(old) else new[at - 1] if at else ""
            self.delete(at, old_end - old_at, old[old_at], lands)
        elif at < end:
            above = new[at - 1] if at else ""
            below = old[old_at] if old_at < len(old) else ""
            self.insert(at, above, below, new[at:end])

    def fill(self, new: list[str]) -> None:
        """Type everything into an empty buffer."""
        text = typed(new) or b"x" + BACKSPACE  # a file of one empty line: vim must know of the line
        self.keys += (b"i", text, ESC)

    def go(self, line: int, text: str) -> None:
        """Move to `line`, whose text is `text` now."""
        distance = line - self.line
        if distance == 0:
            return
        if 0 < distance <= 3:
            self.keys.append(ENTER * distance)
        elif -3 <= distance < 0:
            self.keys.append(b"-" * -distance)
        else:
            self.keys.append(b"G" if line == self.count - 1 else b"%dG" % (line + 1))
        self.line = line
        self.unit = first_word(text)

    def to_unit(self, unit: int, text: str) -> bytes:
        """The motion to a unit of the cursor's line."""
        if unit == self.unit:
            return b""
        if unit == self.unit + 1:
            return b"l"
        words = words_between(text, self.unit, unit)
        if words == 1:
            return b"w"
        if unit > self.unit and " " < text[unit] <= "~" and bases(text).find(text[unit], self.unit + 1) == unit:
            return b"f" + text[unit].encode()
        if words:
            return b"%dw" % words
        column = display_column(text, unit)
        return b"%d|" % (column + 1) if column else b"0"

    def patch(self, line: int, old: str, new: str) -> None:
        """Change the spans in which two lines differ, from left to right."""
        self.go(line, old)
        text = old
        for start, cut, put in spans(old, new):
            self.change_span(text, start, cut, put)
            text = text[:start] + put + text[start + cut :]

    def change_span(self, text: str, start: int, cut: int, put: str) -> None:
        """In the cursor's line `text`, make the `cut` units from `start` on `put`."""
        insertion = typed([put])
        rest = start + cut == len(text)
        if start == len(text):
            keys = b"A"
        elif not put:
            keys = self.to_unit(start, text)
            keys += b"D" if rest else _delete(text, start, cut)
        elif cut == 0 and start == first_word(text) and bases(text[start]) not in " \t":
            keys = b"I"
        elif cut == 0:
            keys = self.to_unit(start, text) + b"i"
        elif rest:
            keys = self.to_unit(start, text) + b"C"
        else:
            keys = self.to_unit(start, text) + _change(text, start, cut)
        if put:
            keys += insertion + ESC
            self.unit = start + len(put) - 1
        else:
            self.unit = max(0, min(start, len(text) - cut - 1))
        self.keys.append(keys)

    def retype(self, line: int, first: str, count: int, new: list[str]) -> None:
        """Replace `count` lines, the first of which is `first`, by typing `new`."""
        self.go(line, first)
        self.keys += (_counted(count, b"cc"), typed(new), ESC)
        self.count += len(new) - count
        self._typed(line, new)

    def delete(self, line: int, count: int, first: str, after: str) -> None:
        """Delete `count` lines from `first` on; the cursor lands on `after`."""
        self.go(line, first)
        self.keys.append(_counted(count, b"dd"))
        self.count -= count
        self.line = max(0, min(line, self.count - 1))
        self.unit = first_word(after)

    def insert(self, line: int, above: str, below: str, new: list[str]) -> None:
        """Type new lines before what is now `line`."""
        if line == 0 or self.line == line:
            self.go(line, below)
            self.keys.append(b"O")
        else:
            self.go(line - 1, above)
            self.keys.append(b"o")
        self.keys += (typed(new), ESC)
        self.count += len(new)
        self._typed(line, new)

    def _typed(self, line: int, new: list[str]) -> None:
        self.line = line + len(new) - 1
        self.unit = max(0, len(new[-1]) - 1)


def first_word(text: str) -> int:
    """Unit of the first character that is not white; the last unit if all are."""
    stripped = text.lstrip(" \t")
    return len(text) - len(stripped) if stripped else max(0, len(text) - 1)


def _counted(count: int, command: bytes) -> bytes:
    return b"%d%b" % (count, command) if count > 1 else command


def words_between(text: str, start: int, end: int) -> int:
    """How many times `w` is pressed at unit `start` to land on unit `end`; 0 when it does not, or more than nine times.

    >>> words_between("return a + b", 0, 9), words_between("return a + b", 0, 2)
    (2, 0)
    """
    if not is_simple(text):
        return 0
    at: int | None = start
    for count in range(_MAX_WORDS + 1):
        if at is None or at >= end:
            return count if at == end else 0
        at = next_word(text, at)
    return 0


def _delete(text: str, start: int, cut: int) -> bytes:
    """Delete `cut` units from the cursor at `start` on, which end before the line does."""
    if cut > 1 and text[start] not in " \t" and is_simple(text) and next_word(text, start) == start + cut:
        return b"dw"
    return _counted(cut, b"x")


def _change(text: str, start: int, cut: int) -> bytes:
    """The shortest change of `cut` units from the cursor at `start` on, which end before the line does."""
    after = text[start + cut]
    if cut > 1 and is_simple(text) and word_end(text, start) == start + cut:
        return b"cw"
    by_count = b"c%dl" % cut if cut > 1 else b"cl"
    if len(by_count) > 3 - (cut > 3) and " " < after <= "~" and bases(text).find(after, start + 1) == start + cut:
        return b"ct" + after.encode()
    return by_count


def spans(old: str, new: str) -> list[tuple[int, int, str]]:
    """Changes (start, units to cut, text to put) that make `old` `new`, in order; each start counts what is done."""
    limit = min(len(old), len(new))
    head = shared_start(old, new, limit)
    tail = shared_end(old, new, limit - head)
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    whole = (head, len(a), b)
    if not a or not b or len(a) * len(b) > _MAX_PAIRS:
        return [whole]
    found: list[list[int]] = []  # source start, end, destination start, end
    for op in Indel.opcodes(a, b):
        if op.tag == "equal":
            continue
        if found and op.src_start - found[-1][1] < _MERGE:
            found[-1][1], found[-1][3] = op.src_end, op.dest_end
        else:
            found.append([op.src_start, op.src_end, op.dest_start, op.dest_end])
    cost = sum(end - start + 5 for _, _, start, end in found)
    if cost >= len(b) + 5:
        return [whole]
    return [(head + start, i_end - i, b[start:end]) for i, i_end, start, end in found]


def alike(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """Pairs (old index, new index), both rising, of lines that are alike enough to be patched."""
    if not old or not new:
        return []
    if len(old) == len(new) == 1:
        return [(0, 0)] if is_like(old[0], new[0]) else []
    if len(old) * len(new) > _MAX_PAIRS:
        count = 0
        while count < min(len(old), len(new)) and is_like(old[count], new[count]):
            count += 1
        return [(i, i) for i in range(count)]
    likeness = cdist(old, new, scorer=Indel.normalized_similarity, score_cutoff=_LIKE, dtype=np.float32)
    return _rising(likeness, new)


def is_like(old: str, new: str) -> bool:
    """Whether a line is alike enough to be patched. Most long ones are told by their ends, or by their lengths."""
    if (limit := min(len(old), len(new))) > LONG:
        both = len(old) + len(new)
        if 2 * limit < (_LIKE - _MARGIN) * both:
            return False
        head = shared_start(old, new, limit)
        same = head + shared_end(old, new, limit - head)
        if 2 * same > (_LIKE + _MARGIN) * both:
            return True
        if any(Indel.normalized_similarity(old, new, score_cutoff=least) for least in _MUCH_ALIKE):
            return True
    return bool(Indel.normalized_similarity(old, new) >= _LIKE)


def _rising(likeness: npt.NDArray[np.float32], new: list[str]) -> list[tuple[int, int]]:
    """The chain of pairs, rising in both, that saves most keys: sum over pairs of likeness x length."""
    # best[k]: (column, saved keys, pair's place) of the best chain that ends at or before a column; both rise with k
    ends: list[int] = []
    saved: list[float] = []
    places: list[int] = []
    previous: list[int] = []
    pairs = [(int(row), int(column)) for row, column in np.argwhere(likeness)]
    at = 0
    while at < len(pairs):
        row = pairs[at][0]
        stop = at
        fresh: list[tuple[int, float, int]] = []
        while stop < len(pairs) and pairs[stop][0] == row:
            column = pairs[stop][1]
            k = bisect_left(ends, column)
            total = (saved[k - 1] if k else 0.0) + float(likeness[row, column]) * (len(new[column]) + 1)
            previous.append(places[k - 1] if k else -1)
            fresh.append((column, total, stop))
            stop += 1
        for column, total, place in fresh:
            k = bisect_left(ends, column)
            if k < len(ends) and ends[k] == column:
                if saved[k] >= total:
                    continue
            elif k and saved[k - 1] >= total:
                continue
            drop = k
            while drop < len(ends) and saved[drop] <= total:
                drop += 1
            ends[k:drop], saved[k:drop], places[k:drop] = [column], [total], [place]
        at = stop
    chain = []
    place = places[-1] if places else -1
    while place >= 0:
        chain.append(pairs[place])
        place = previous[place]
    return chain[::-1]
