"""Screens as the escape sequences that draw them, and nothing else: cells can hold no control character.

Whatever a repository contains, the editor has already shown it as `^X` or `<xx>`; `paint` refuses to pass on anything
that a terminal could take for a command.
"""

import unicodedata

from schema.geometry import Style
from schema.screen import Runs, Screen
from schema.widths import CLASS, COMPOSING, WIDE

_SGR = {Style.PLAIN: "0", Style.BOLD: "0;1", Style.REVERSE: "0;7", Style.BOLD_REVERSE: "0;1;7"}


def safe(text: str) -> str:
    """`text` with every control, format, surrogate and private character replaced by U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c)[0] == "C" else c for c in text)


def row_sequence(text: str, runs: Runs, cols: int) -> str:
    """One row from its left edge on, styled; the rest of it is blanked. Cells, not characters, are counted."""
    cells: list[str] = []
    for unit in safe(text):
        if not unit.isascii() and CLASS[ord(unit)] == COMPOSING and cells:
            cells[-1 if cells[-1] else -2] += unit
            continue
        cells.append(unit)
        if not unit.isascii() and CLASS[ord(unit)] == WIDE:
            cells.append("")
    filled = max([len(cells), *(start + length for start, length, _ in runs)])
    cells += [" "] * (filled - len(cells))
    out, at = [], 0
    for start, length, style in runs:
        out.append("".join(cells[at:start]))
        out.append(f"\x1b[{_SGR[Style(style)]}m{''.join(cells[start : start + length])}\x1b[0m")
        at = start + length
    out.append("".join(cells[at:]))
    # A full row leaves the terminal's cursor on the last cell: erasing from there would take that cell.
    return "\x1b[0m" + "".join(out) + ("\x1b[K" if filled < cols else "")


def paint(before: Screen | None, now: Screen, cols: int) -> str:
    """What turns screen `before` (None: unknown) into `now`: changed rows, then the cursor."""
    out = ["\x1b[0m\x1b[2J"] if before is None else []
    for y, (text, runs) in enumerate(zip(now.texts, now.runs, strict=True)):
        if before is None or (text, runs) != (before.texts[y], before.runs[y]):
            out.append(f"\x1b[{y + 1};1H{row_sequence(text, runs, cols)}")
    if out or before is None or now[2:] != before[2:]:  # the cursor
        out.append(f"\x1b[{now.cursor_row + 1};{now.cursor_col + 1}H")
    return "".join(out)
