"""Cells per character as vim draws them, for every code point, read from vim itself (schema/widths.tsv).

Classes: 0 composing (drawn on the character before it), 1 and 2 printable cells, 3 unprintable, shown as `<xx>`,
`<xxxx>`, ..., 4 a control character below 0x80, shown as `^X` (a tab is cells up to the next multiple of 8).
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

COMPOSING, NARROW, WIDE, UNPRINTABLE, CONTROL = range(5)


def _read() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_], str, str]:
    lines = (Path(__file__).parent / "widths.tsv").read_text(encoding="ascii").splitlines()
    ranges = [line for line in lines if not line.startswith("#")]
    kinds = np.zeros(0x110000, np.uint8)
    safe = np.zeros(0x110000, np.bool_)
    for line in ranges:
        first, last, kind, shell = line.split("\t")
        where = slice(int(first, 16), int(last, 16) + 1)
        kinds[where] = int(kind)
        safe[where] = shell == "1"
    digest = hashlib.sha256("\n".join(ranges).encode()).hexdigest()[:16]
    return kinds, safe, lines[0].split()[-1], digest


# CLASS[code point]; SHELL_SAFE[code point]: printable, and bash moves the cursor by the same number of cells;
# VIM_VERSION: the vim the table was read from; WIDTH_HASH: 16 hex digits over the table
CLASS, SHELL_SAFE, VIM_VERSION, WIDTH_HASH = _read()

# CELLS[code point]: cells vim draws it in, 0-8 (composing 0; a tab's 2 holds only where it is shown as ^I)
CELLS: npt.NDArray[np.uint8] = np.array([0, 1, 2, 0, 2], np.uint8)[CLASS]
for _first, _last, _digits in ((0, 0xFF, 2), (0x100, 0xFFFF, 4), (0x10000, 0xFFFFF, 5), (0x100000, 0x10FFFF, 6)):
    CELLS[_first : _last + 1][CLASS[_first : _last + 1] == UNPRINTABLE] = 2 + _digits  # <xx> … <xxxxxx>
CLASS.flags.writeable = SHELL_SAFE.flags.writeable = CELLS.flags.writeable = False


def cell_width(text: str) -> int:
    """Cells of `text` on one row, tabs not expanded. 'añ漢' -> 4, '\\x1b' -> 2 (^[), '\\u200b' -> 6 (<200b>)."""
    if text.isascii() and text.isprintable():
        return len(text)
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return int(CELLS[points].sum())
