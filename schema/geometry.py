"""The screen's size, its styles and their colours."""

import re
from enum import IntEnum
from typing import NamedTuple

from schema.errors import ConfigError


class Geometry(NamedTuple):
    """Screen size in cells. Default 24 x 80; the paper's reference uses 48 x 160."""

    rows: int = 24
    cols: int = 80

    def __str__(self) -> str:
        return f"{self.rows}x{self.cols}"

    @classmethod
    def parse(cls, text: str) -> "Geometry":
        """'24x80' -> Geometry(24, 80). Raises ConfigError."""
        match = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
        if not match:
            raise ConfigError(f"geometry {text!r}: write ROWSxCOLS, for example 24x80")
        return cls(int(match[1]), int(match[2])).check()

    def check(self) -> "Geometry":
        """Return self, or raise ConfigError when the screen model does not hold at this size."""
        if not (4 <= self.rows <= 500 and 24 <= self.cols <= 1000):
            raise ConfigError(f"geometry {self}: rows must be 4-500 and cols 24-1000")
        return self


class Style(IntEnum):
    """How a cell is drawn. Bit 0: bold, bit 1: reverse."""

    PLAIN = 0
    BOLD = 1
    REVERSE = 2
    BOLD_REVERSE = 3


# style -> (foreground RGB, background RGB), each 0-255: a linux console's greys.
COLOURS: dict[Style, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    Style.PLAIN: ((170, 170, 170), (0, 0, 0)),
    Style.BOLD: ((255, 255, 255), (0, 0, 0)),
    Style.REVERSE: ((0, 0, 0), (170, 170, 170)),
    Style.BOLD_REVERSE: ((0, 0, 0), (255, 255, 255)),
}
