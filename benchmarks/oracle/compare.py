"""A film against the oracle, frame by frame: code points, styles, cursor. The first mismatch is drawn.

With another vim than the modelled one, a screen that differs counts only if every vim draws it alike (oracle.vims).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.oracle import vims
from benchmarks.oracle.machine import Oracle
from pipeline.film.frames import Film, RowTable
from pipeline.terminal.terminal import Terminal
from schema.actions import action_name
from schema.geometry import Geometry
from schema.screen import Runs, Screen
from schema.widths import CELLS


class Mismatch(NamedTuple):
    """A frame that is not the same: `step` in the keys played (len(keys): the screen after the last)."""

    step: int
    keys: bytes  # up to this frame
    film: Screen
    oracle: Screen

    def draw(self, geometry: Geometry) -> str:
        """Both screens side by side; rows that differ are marked with `!` and spelt out below."""
        tail = " ".join(action_name(key) for key in self.keys[-24:])
        lines = [
            f"step {self.step}, after: {tail}",
            f"cursor (row, column): film {self.film[2:]}, terminal {self.oracle[2:]}",
            "  " + "film".ljust(geometry.cols + 1) + "| terminal",
        ]
        details = []
        rows = zip(self.film.texts, self.film.runs, self.oracle.texts, self.oracle.runs, strict=True)
        for y, (text, runs, real, real_runs) in enumerate(rows):
            same = text == real and _canonical(runs) == _canonical(real_runs)
            lines.append(f"{' ' if same else '!'} {_pad(text, geometry.cols)} | {real}")
            if not same:
                details += [f"row {y} film     {text!r} {runs}", f"row {y} terminal {real!r} {real_runs}"]
        return "\n".join(lines + details)


class Comparison(NamedTuple):
    """`frames` compared, `wrong` of them differ, the first drawn by `first.draw`.

    `otherwise` of them differ as the installed vim draws otherwise than the modelled one: they are not wrong.
    """

    frames: int
    wrong: int
    first: Mismatch | None
    otherwise: int = 0


def _pad(text: str, cols: int) -> str:
    return text + " " * (cols - sum(int(CELLS[ord(c)]) for c in text))


def _canonical(runs: Runs) -> Runs:
    """Runs joined where the same style goes on."""
    joined: list[tuple[int, int, int]] = []
    for start, length, style in runs:
        if joined and joined[-1][2] == style and joined[-1][0] + joined[-1][1] == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + length, style)
        elif length:
            joined.append((start, length, style))
    return tuple(joined)


def same_screen(film: Screen, real: Screen) -> bool:
    """Whether two screens show the same cells, styles and cursor."""
    return film == real or (
        film.texts == real.texts
        and film[2:] == real[2:]
        and all(_canonical(a) == b for a, b in zip(film.runs, real.runs, strict=True))
    )


def frame(film: Film, table: RowTable, step: int) -> Screen:
    """The screen before key `step` of a film."""
    numbers = film.frames[step].tolist()
    return Screen(
        tuple(table.texts[n] for n in numbers),
        tuple(table.runs.get(n, ()) for n in numbers),
        int(film.cursor_row_T[step]),
        int(film.cursor_col_T[step]),
    )


def play_both(
    terminal: Terminal,
    oracle: Oracle,
    keys: bytes,
    contents: Sequence[bytes | None] = (),
    *,
    stop: bool = False,
) -> Comparison:
    """Play `keys` on both, compare every frame and the screen after the last key.

    With `stop`, end at the first mismatch (the two are then out of step). Raises UnsupportedKeyError before the
    oracle is touched.
    """
    return compare_film(terminal.play(keys, contents), terminal, oracle, stop=stop)


def compare_film(film: Film, terminal: Terminal, oracle: Oracle, *, stop: bool = False) -> Comparison:
    """Play the keys of a film, which left `terminal` as it is, on the oracle; `stop` as in `play_both`."""
    keys = film.action_T.tobytes()
    frames = wrong = otherwise = 0
    first = None

    def both() -> Iterator[tuple[Screen, Screen]]:
        for step, screen in enumerate(oracle.film(keys)):
            yield frame(film, terminal.table, step), screen
        yield terminal.screen(), oracle.screen()

    for step, (expected, screen) in enumerate(both()):
        frames += 1
        if same_screen(expected, screen) or same_screen(expected, screen := oracle.at_rest()):
            continue
        if oracle.editor != "nano" and not vims.is_modelled() and not vims.drawn_alike(expected):
            otherwise += 1
            continue
        wrong += 1
        first = first or Mismatch(step, keys[:step], expected, screen)
        if stop:
            break
    return Comparison(frames, wrong, first, otherwise)
