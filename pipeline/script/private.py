"""What can be typed of a change when some lines of the file are private: hold a secret, or an address not to be shown.

vim types every other line, and `git checkout` then brings the file as the commit has it. Of the old content private
lines are masked, byte for byte, in what is stored and played; the film is refused if one of them comes on the screen
(`pipeline.replay`), and the whole file comes by checkout instead. So no private line is typed, shown or stored.

>>> open_part(b"a\\nKEY\\nb\\n", b"a\\nKEY\\nc\\n", {b"KEY"})
OpenPart(opened=b'a\\nx.x\\nb\\n', written=b'a\\nx.x\\nc\\n')
>>> open_part(None, b"a\\nKEY\\nc\\n", {b"KEY"})
OpenPart(opened=None, written=b'a\\nc\\n')
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from pipeline.script.edit import blocks
from pipeline.script.secrets.credentials import looks_random
from schema.geometry import Style
from schema.screen import Runs

MASK = "x." * 5_000  # as long as a line is drawn; no row of it stands by chance in a file
_SEEN = 4  # cells of a masked line that count: fewer of its end tell nothing
_RUN = re.compile(r"[0-9A-Za-z+/=_-]{12,}")


class OpenPart(NamedTuple):
    """`opened` is what vim opens, None for a new file, and `written` what it writes, both with masks."""

    opened: bytes | None
    written: bytes


def open_part(old: bytes | None, new: bytes, private: Collection[bytes]) -> OpenPart | None:
    """The part of a change that can be typed; None if nothing can. Raises Untypable for too many lines.

    A block of changed lines is left out if it takes away a private line; a private line is never added. A line beside
    a private one is private too if it looks like the rest of a value that goes on there.
    """
    hushed = {line.decode("latin-1") for line in private}
    after = _lines(new)
    hidden_after = _hidden(after, hushed)
    if old is None:
        written = [line for line, hidden in zip(after, hidden_after, strict=True) if not hidden]
        return OpenPart(None, _joined(written)) if any(written) else None
    before = _lines(old)
    hidden_before = _hidden(before, hushed)
    masked = [_mask(len(line)) if hidden else line for line, hidden in zip(before, hidden_before, strict=True)]
    written, at = [], 0
    for start, end, to, stop in blocks(before, after):
        written += masked[at:start]
        if any(hidden_before[start:end]):
            written += masked[start:end]
        else:
            written += [after[number] for number in range(to, stop) if not hidden_after[number]]
        at = end
    written += masked[at:]
    return OpenPart(_joined(masked), _joined(written)) if written != masked else None


def is_masked(text: str, runs: Runs = ()) -> bool:
    """Whether a screen row may show a masked line; reversed cells at its ends say that the line goes on there."""
    for start, length, style in runs:
        if style == Style.REVERSE and start == 0:
            text = text[length:]
        elif style == Style.REVERSE and start + length >= len(text):
            text = text[:-length]
    return len(text) >= _SEEN and text in MASK


def _mask(length: int) -> str:
    return (MASK * (length // len(MASK) + 1))[:length]


def _lines(content: bytes) -> list[str]:
    return content.decode("latin-1").split("\n")  # byte for byte


def _joined(lines: list[str]) -> bytes:
    return "\n".join(lines).encode("latin-1")


def _hidden(lines: list[str], private: Collection[str]) -> list[bool]:
    hidden = [line in private for line in lines]
    for order in (range(1, len(lines)), range(len(lines) - 2, -1, -1)):
        step = -1 if order.step > 0 else 1
        for number in order:
            if hidden[number + step] and not hidden[number]:
                hidden[number] = any(looks_random(run) for run in _RUN.findall(lines[number]))
    return hidden
