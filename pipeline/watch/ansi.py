"""Screens as the escape sequences that draw them, and nothing else: cells can hold no control character.

Whatever a repository contains, the editor has already shown it as `^X` or `<xx>`; what a terminal could still take for
a command is replaced (schema.screen.safe).
"""

from functools import lru_cache

from pipeline.watch.colours import Hue, Theme
from schema.geometry import Style
from schema.screen import Runs, Screen, row_cells, safe

_SGR = {Style.PLAIN: "0", Style.BOLD: "0;1", Style.REVERSE: "0;7", Style.BOLD_REVERSE: "0;1;7"}
# of the terminal's own sixteen colours, where no theme says which
_OWN = {
    Hue.KEYWORD: "35", Hue.STRING: "32", Hue.COMMENT: "90", Hue.NUMBER: "33", Hue.NAME: "34", Hue.BUILTIN: "36",
    Hue.OPERATOR: "39",
}  # fmt: skip


@lru_cache(256)
def _style(style: int, theme: Theme | None) -> str:
    """The sequence that begins a run of this style (a hue above its two lowest bits)."""
    hue, plain = Hue(style >> 2), Style(style & 3)
    words = [_SGR[plain]]
    if theme is not None:
        ink = theme.bold if plain & Style.BOLD else theme.hues[hue]
        words += [f"38;2;{_rgb(ink)}", f"48;2;{_rgb(theme.paper)}"]
    elif hue:
        words.append(_OWN[hue])
    return f"\x1b[{';'.join(words)}m"


def _rgb(colour: str) -> str:
    return ";".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def row_sequence(text: str, runs: Runs, cols: int, theme: Theme | None = None) -> str:
    """One row from its left edge on, styled; the rest of it is blanked. Cells, not characters, are counted."""
    plain = _style(Style.PLAIN, theme)
    cells = row_cells(safe(text))
    filled = max([len(cells), *(start + length for start, length, _ in runs)])
    cells += [" "] * (filled - len(cells))
    out, at = [], 0
    for start, length, style in runs:
        out.append("".join(cells[at:start]))
        out.append(f"{_style(style, theme)}{''.join(cells[start : start + length])}{plain}")
        at = start + length
    out.append("".join(cells[at:]))
    # A full row leaves the terminal's cursor on the last cell: erasing from there would take that cell.
    return plain + "".join(out) + ("\x1b[K" if filled < cols else "")


def screen_sequence(before: Screen | None, now: Screen, cols: int, theme: Theme | None = None) -> str:
    """What turns screen `before` (None: unknown) into `now`: changed rows, then the cursor."""
    out = [f"{_style(Style.PLAIN, theme)}\x1b[2J"] if before is None else []
    for y, (text, runs) in enumerate(zip(now.texts, now.runs, strict=True)):
        if before is None or (text, runs) != (before.texts[y], before.runs[y]):
            out.append(f"\x1b[{y + 1};1H{row_sequence(text, runs, cols, theme)}")
    if out or before is None or now[2:] != before[2:]:  # the cursor
        out.append(f"\x1b[{now.cursor_row + 1};{now.cursor_col + 1}H")
    return "".join(out)
