"""Colours for the text that an editor shows, by Pygments: a view of a screen. Stored film has none.

A coloured screen is a screen whose style runs also name a hue, above the two bits of schema.geometry.Style. The lexer
is chosen by the name in vim's status line, or in nano's title bar. Only what is on the screen is read: a row is lexed
behind the row that opened the string or comment it stands in, if that is on the screen; so what lies above the screen
is not known.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import pygments.style
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.styles import get_all_styles, get_style_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Token, _TokenType
from pygments.util import ClassNotFound

from pipeline.terminal.nano.bars import BRAND, MODIFIED
from schema.errors import ConfigError
from schema.geometry import Style
from schema.screen import Runs, Screen, row_cells, safe

_PROBE = "gitreelprobe"  # a word behind a row: what it is taken for tells whether the row left something open
_CHANGED = " [+]"
# offered by a page; --theme takes any other, too
OFFERED = ("monokai", "dracula", "nord", "github-dark", "solarized-dark", "solarized-light", "gruvbox-light", "default")


class Hue(IntEnum):
    """What a cell's text is; a run's style is `hue << 2 | Style`."""

    NONE = 0
    KEYWORD = 1
    STRING = 2
    COMMENT = 3
    NUMBER = 4
    NAME = 5  # of what is defined here: a function, a class, a tag
    BUILTIN = 6
    OPERATOR = 7


_TOKENS: dict[Hue, tuple[_TokenType, ...]] = {
    Hue.KEYWORD: (Keyword,),
    Hue.STRING: (String,),
    Hue.COMMENT: (Comment,),
    Hue.NUMBER: (Number,),
    Hue.NAME: (Name.Function, Name.Class, Name.Tag, Name.Decorator, Name.Attribute),
    Hue.BUILTIN: (Name.Builtin, Name.Exception, Name.Constant),
    Hue.OPERATOR: (Operator,),
}


class Theme(NamedTuple):
    """Colours as #rrggbb. `hues[h]` is that of Hue h; 0 is plain text."""

    name: str
    paper: str
    ink: str
    bold: str
    hues: tuple[str, ...]


# The stored film's own colours, a linux console's, and hues that go with them.
CONSOLE = Theme(
    "console",
    "#000000",
    "#aaaaaa",
    "#ffffff",
    ("#aaaaaa", "#c792ea", "#a5d6a7", "#7f8c8d", "#f2a65a", "#82aaff", "#6bc4d8", "#9aa5b1"),
)


def theme(name: str) -> Theme:
    """One of Pygments's styles as a theme. Raises ConfigError for a name that it has not."""
    if name == CONSOLE.name:
        return CONSOLE
    if name not in theme_names():
        raise ConfigError(f"--theme {name}: there is none; choose one of {', '.join(theme_names())}")
    style = get_style_by_name(name)
    paper = style.background_color
    ink = _colour(style, Token) or _colour(style, Name) or ("#000000" if _is_light(paper) else "#e0e0e0")
    hues = tuple(next((c for token in _TOKENS.get(hue, ()) if (c := _colour(style, token))), ink) for hue in Hue)
    return Theme(name, _long(paper), ink, "#000000" if _is_light(paper) else "#ffffff", (ink, *hues[1:]))


def offered(chosen: Theme | None) -> list[Theme]:
    """The themes that a page offers, the chosen one among them."""
    names = [CONSOLE.name, *(name for name in OFFERED if name in theme_names())]
    return [*([chosen] if chosen and chosen.name not in names else []), *map(theme, names)]


@lru_cache(1)
def theme_names() -> list[str]:
    """Every theme, by name."""
    return [CONSOLE.name, *sorted(get_all_styles())]


def _colour(style: type[pygments.style.Style], token: _TokenType) -> str | None:
    found = style.style_for_token(token)["color"]
    return f"#{found}" if found else None


def _long(colour: str) -> str:
    """#abc as #aabbcc."""
    digits = colour.lstrip("#")
    return "#" + ("".join(2 * digit for digit in digits) if len(digits) == 3 else digits.lower())


def _is_light(colour: str) -> bool:
    digits = _long(colour)[1:]
    return sum(int(digits[at : at + 2], 16) for at in (0, 2, 4)) > 3 * 127


def coloured(screen: Screen) -> Screen:
    """The screen with hues on the text that the editor shows; as it is where that is not known to be code."""
    name, rows = _shown_file(screen)
    lexer = _lexer(name)
    if lexer is None:
        return screen
    runs = list(screen.runs)
    opener = ""
    for y in rows:
        found, opener = _row_hues(lexer, opener, screen.texts[y])
        if not runs[y]:  # what the editor draws bold or reversed is no text of the file
            runs[y] = found
    return screen._replace(runs=tuple(runs))


def view(colour: bool) -> Callable[[Screen], Screen]:
    """What is shown of a screen."""
    return coloured if colour else _plain


def _plain(screen: Screen) -> Screen:
    return screen


def _shown_file(screen: Screen) -> tuple[str, range]:
    """The name of the file that the editor shows, or has last shown, and the rows of its text; no name: none."""
    looks = [[run[::2] for run in runs] for runs in screen.runs]
    bottom = max((y for y, look in enumerate(looks) if look == [(0, Style.BOLD_REVERSE)]), default=None)
    if bottom is not None:  # vim's status line stands below the text
        name, mark, _ = screen.texts[bottom].rpartition(_CHANGED)
        return name if mark else screen.texts[bottom].rpartition(" ")[0].strip(), range(bottom)
    if looks[0] == [(0, Style.REVERSE)]:  # nano's title bar stands above it, and a line for messages below
        title = screen.texts[0].strip().removeprefix(BRAND).removesuffix(MODIFIED)
        return title.strip(), range(1, len(screen.texts) - 1)
    return "", range(0)


@lru_cache(64)
def _lexer(name: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(name.rpartition("/")[2], stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@lru_cache(1 << 16)
def _row_hues(lexer: Lexer, opener: str, text: str) -> tuple[Runs, str]:
    """A row's hues, and the row that opened what is still open behind it, or "".

    `opener` is that of the row before.
    """
    head = f"{opener}\n" if opener else ""
    kinds: list[Hue] = []
    last: _TokenType = Token
    for token, piece in lexer.get_tokens(f"{head}{text}\n{_PROBE}"):
        kinds += [_hue(token)] * len(piece)
        last = token
    kinds = kinds[len(head) : len(head) + len(text)]
    still_open = last in String or last in Comment
    following = (opener or text) if still_open else ""
    return _runs(text, kinds), following


@lru_cache(1024)
def _hue(token: _TokenType) -> Hue:
    return next((hue for hue, kinds in _TOKENS.items() if any(token in kind for kind in kinds)), Hue.NONE)


def _runs(text: str, kinds: list[Hue]) -> Runs:
    """Style runs of a row's characters, counted in cells."""
    found: list[tuple[int, int, int]] = []
    at = 0
    for character, hue in zip(safe(text), kinds, strict=False):
        cells = len(row_cells("x" + character)) - 1
        if hue and cells:
            if found and found[-1][0] + found[-1][1] == at and found[-1][2] == hue << 2:
                found[-1] = (found[-1][0], found[-1][1] + cells, hue << 2)
            else:
                found.append((at, cells, hue << 2))
        at += cells
    return tuple(found)
