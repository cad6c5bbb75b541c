"""What a vim that is not the modelled one draws in another way, whatever is set, so that no comparison is made of it.

Looked at: every code point up to U+1FFFF and random edits, vim 9.2.995 beside 9.0.1378. Highlighting and options that
differ between versions are pinned in film.vim; these two cannot be. The film is the modelled version's everywhere.
"""

import subprocess
from functools import cache

from benchmarks.oracle.machine import find_editor
from benchmarks.oracle.widths import vim_version
from schema.geometry import Style
from schema.screen import Screen
from schema.widths import VIM_VERSION

# Code points that newer Unicode gives other cells, or that are composing there: first and last of each range.
ANOTHER_WIDTH = (
    (0x897, 0x897), (0x2630, 0x2637), (0x268A, 0x268F), (0x2FFC, 0x2FFF), (0x31E4, 0x31E5), (0x31EF, 0x31EF),
    (0x4DC0, 0x4DFF), (0x10D69, 0x10D6D), (0x10EFC, 0x10EFC), (0x113BB, 0x113C0), (0x113CE, 0x113CE),
    (0x113D0, 0x113D0), (0x113D2, 0x113D2), (0x113E1, 0x113E2), (0x1171E, 0x1171E), (0x11F5A, 0x11F5A),
    (0x1611E, 0x16129), (0x1612D, 0x1612F), (0x18CFF, 0x18CFF), (0x1D300, 0x1D356), (0x1D360, 0x1D376),
    (0x1E5EE, 0x1E5EF), (0x1FA89, 0x1FA89), (0x1FA8F, 0x1FA8F), (0x1FABE, 0x1FABE), (0x1FAC6, 0x1FAC6),
    (0x1FADC, 0x1FADC), (0x1FADF, 0x1FADF), (0x1FAE9, 0x1FAE9),
)  # fmt: skip
_ANOTHER_WIDTH = frozenset(chr(point) for first, last in ANOTHER_WIDTH for point in range(first, last + 1))


@cache
def version_here() -> str:
    """The installed vim's version, '9.0.1378'. Raises OracleError without vim."""
    told = subprocess.run([find_editor("vim"), "--version"], capture_output=True, text=True, check=True).stdout
    return vim_version(told)


def is_modelled() -> bool:
    """Whether the installed vim is the version that the film is of."""
    return version_here() == VIM_VERSION


def drawn_alike(screen: Screen) -> bool:
    """Whether every vim that was looked at draws a screen of the film alike.

    A control character (^X) that the window's left edge cuts is drawn whole by 9.0; 9.2 draws its right half.
    """
    return not any(
        (text.startswith("^") and bool(runs) and runs[0][0] == 0 and bool(runs[0][2] & Style.BOLD))
        or (not text.isascii() and not _ANOTHER_WIDTH.isdisjoint(text))
        for text, runs in zip(screen.texts, screen.runs, strict=True)
    )
