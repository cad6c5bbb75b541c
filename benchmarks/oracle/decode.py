"""What a terminal shows, from the bytes it receives: pyte, with vim's widths, read row by row.

pyte is changed in two points, both as a real terminal does it: cells per character come from schema.widths, and a
wide character that does not fit the row's last cell goes to the next row.
"""

import pyte
import pyte.modes

from schema.geometry import Geometry
from schema.screen import Runs, Screen
from schema.widths import CELLS, COMPOSING

_WIDTH = CELLS.tolist()


class _Cells(pyte.Screen):
    """pyte's screen with another `draw`."""

    def draw(self, data: str) -> None:
        """Put characters at the cursor. Raises ValueError for one that no program under film.vim writes raw."""
        cursor, columns = self.cursor, self.columns
        wraps = pyte.modes.DECAWM in self.mode
        for character in data:
            width = _WIDTH[ord(character)]
            if width > 2:
                raise ValueError(f"unprintable U+{ord(character):04X} was written to the terminal")
            if width and cursor.x + width > columns:
                if wraps:
                    self.dirty.add(cursor.y)
                    self.carriage_return()
                    self.linefeed()
                else:
                    cursor.x = columns - width
            line = self.buffer[cursor.y]
            x = cursor.x
            if width == 0:
                if x:
                    x -= 2 if x > 1 and not line[x - 1].data else 1
                    line[x] = line[x]._replace(data=line[x].data + character)
                continue
            # Half of a wide character that is overwritten leaves a blank.
            if x and not line[x].data:
                line[x - 1] = line[x - 1]._replace(data=" ")
            if x + width < columns and not line[x + width].data:
                line[x + width] = line[x + width]._replace(data=" ")
            line[x] = cursor.attrs._replace(data=character)
            if width == 2:
                line[x + 1] = cursor.attrs._replace(data="")
            cursor.x = min(x + width, columns)
        self.dirty.add(cursor.y)

    def debug(self, *args: object, **kwargs: object) -> None:
        """Called by pyte for a sequence that it does not know: nothing may go unseen. Raises ValueError."""
        raise ValueError(f"pyte does not know a sequence that was sent: {args!r} {kwargs!r}")


class Decoder:
    """Bytes in, the screen out; only rows that were written are read again."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._screen = _Cells(geometry.cols, geometry.rows)
        self._stream = pyte.ByteStream(self._screen)
        self._texts = [""] * geometry.rows
        self._runs: list[Runs] = [()] * geometry.rows
        self._screen.dirty.clear()

    def feed(self, data: bytes) -> None:
        """Take what the programs wrote."""
        self._stream.feed(data)

    def screen(self) -> Screen:
        """The screen as it is now. Raises ValueError for a style that films do not have."""
        screen = self._screen
        for row in screen.dirty:
            if row < self.geometry.rows:
                self._read(row)
        screen.dirty.clear()
        x = min(screen.cursor.x, self.geometry.cols - 1)
        return Screen(tuple(self._texts), tuple(self._runs), screen.cursor.y, x)

    def read_all(self) -> None:
        """Have the next `screen` read every row, changed or not."""
        self._screen.dirty.update(range(self.geometry.rows))

    def _read(self, row: int) -> None:
        line = self._screen.buffer[row]
        if not line:
            self._texts[row], self._runs[row] = "", ()
            return
        cells = [line[x] for x in range(max(line) + 1)]
        self._texts[row] = "".join([cell.data for cell in cells]).rstrip(" ")
        runs: list[tuple[int, int, int]] = []
        for x, cell in enumerate(cells):
            if cell.fg != "default" or cell.bg != "default" or cell.underscore or cell.italics or cell.blink:
                raise ValueError(f"row {row}, column {x}: a style that films do not have: {cell!r}")
            style = cell.bold + 2 * cell.reverse
            if not style:
                continue
            if runs and runs[-1][2] == style and runs[-1][0] + runs[-1][1] == x:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1, style)
            else:
                runs.append((x, 1, style))
        self._runs[row] = tuple(runs)


assert COMPOSING == 0
