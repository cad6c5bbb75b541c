"""Screens as pictures: one PNG, or a GIF that moves. Drawn by Pillow in matplotlib's own DejaVu Sans Mono.

Pictures have few colours (a theme's, and three steps between each ink and its paper), so that a GIF stays small. A
character that the font has not is drawn as the font's box.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from pipeline.watch.colours import CONSOLE, Theme
from pipeline.watch.pace import Pace
from pipeline.watch.recording import ChapterFilm, Recording
from schema.actions import action_name
from schema.geometry import Style
from schema.pages.files import whole_file
from schema.screen import Runs, Screen, row_cells, safe

FRAME_MS = 100  # a GIF counts hundredths of a second; browsers slow down what is faster than 20 ms
CURSOR = "#5fd75f"
_SIZE = 13  # pixels; cells of 8 x 16
_CELL = (8, 16)
_STEPS = (0.25, 0.5, 0.75)


class Drawn(NamedTuple):
    """What a GIF holds."""

    bytes: int
    pictures: int
    seconds: float


class Painter:
    """Draws screens of one size in one theme."""

    def __init__(self, cols: int, theme: Theme = CONSOLE) -> None:
        self.cols, self.theme = cols, theme
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        names = {False: "DejaVuSansMono.ttf", True: "DejaVuSansMono-Bold.ttf"}
        self._fonts = {bold: ImageFont.truetype(str(folder / name), _SIZE) for bold, name in names.items()}
        self._palette = _palette(theme)
        self._row = lru_cache(4096)(self._drawn_row)

    def picture(self, screen: Screen, below: Sequence[str] = ()) -> Image.Image:
        """A screen, and lines of words below it, as a picture of a few colours."""
        width, height = self.cols * _CELL[0], (len(screen.texts) + len(below)) * _CELL[1]
        found = Image.new("P", (width, height))
        found.putpalette(self._palette.getpalette() or [])
        for y, (text, runs) in enumerate(zip(screen.texts, screen.runs, strict=True)):
            found.paste(self._row(text, runs, screen.cursor_col if y == screen.cursor_row else -1), (0, y * _CELL[1]))
        for y, line in enumerate(below, start=len(screen.texts)):
            bar = self._drawn_row(line.ljust(self.cols)[: self.cols], ((0, self.cols, int(Style.REVERSE)),), -1)
            found.paste(bar, (0, y * _CELL[1]))
        return found

    def _drawn_row(self, text: str, runs: Runs, cursor: int) -> Image.Image:
        row = Image.new("RGB", (self.cols * _CELL[0], _CELL[1]), self.theme.paper)
        draw = ImageDraw.Draw(row)
        cells = row_cells(safe(text))[: self.cols]
        cells += [" "] * (self.cols - len(cells))
        looks = [0] * self.cols
        for start, length, style in runs:
            looks[start : start + length] = [style] * length
        for x, (letter, look) in enumerate(zip(cells, looks, strict=True)):
            ink, paper, bold = self._colours(look, x == cursor)
            width = _CELL[0] * (2 if cells[x + 1 : x + 2] == [""] else 1)
            if letter and paper != self.theme.paper:
                draw.rectangle((x * _CELL[0], 0, x * _CELL[0] + width - 1, _CELL[1]), paper)
            if letter.strip(" "):
                draw.text((x * _CELL[0], 0), letter, ink, self._fonts[bold])
        return row.quantize(palette=self._palette, dither=Image.Dither.NONE)

    def _colours(self, look: int, cursor: bool) -> tuple[str, str, bool]:
        """Ink, paper and whether the letter is bold."""
        bold = bool(look & Style.BOLD)
        ink, paper = (self.theme.bold if bold else self.theme.hues[look >> 2]), self.theme.paper
        if look & Style.REVERSE:
            ink, paper = paper, ink
        return (self.theme.paper, CURSOR, bold) if cursor else (ink, paper, bold)


def _palette(theme: Theme) -> Image.Image:
    """Every colour that is drawn, and the steps between an ink and its paper that smooth a letter's edge."""
    pairs = [(ink, theme.paper) for ink in (*theme.hues, theme.bold, CURSOR)]
    pairs += [(theme.paper, ink) for ink in (theme.ink, theme.bold)]
    numbers: dict[tuple[int, ...], None] = {}
    for ink, paper in pairs:
        one, other = _rgb(ink), _rgb(paper)
        for share in (0.0, *_STEPS, 1.0):
            numbers[tuple(round(a * share + b * (1 - share)) for a, b in zip(one, other, strict=True))] = None
    flat = [value for colour in numbers for value in colour]
    found = Image.new("P", (1, 1))
    found.putpalette(flat)
    return found


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def write_png(screen: Screen, cols: int, target: Path, theme: Theme = CONSOLE) -> int:
    """Write one screen, and return the file's bytes. Raises WarehouseError."""
    picture = Painter(cols, theme).picture(screen)
    with whole_file(target) as part:
        picture.save(part, "PNG", optimize=True)
    return target.stat().st_size


def write_gif(
    recording: Recording,
    films: Sequence[ChapterFilm],
    target: Path,
    *,
    pace: Pace,
    bars: bool = True,
    view: Callable[[Screen], Screen] = lambda screen: screen,
    theme: Theme = CONSOLE,
    report: Callable[[int], None] = lambda pictures: None,
) -> Drawn:
    """Write `films`, the recording's, as a GIF that starts anew; what is being typed stands below, if `bars`.

    `report` is told the number of pictures drawn so far. Raises WarehouseError.
    """
    painter = Painter(recording.geometry.cols, theme)
    places = _places(films, pace)
    pictures: list[Image.Image] = []
    durations: list[int] = []
    for number, (film, step) in enumerate(places):
        below = _below(recording, film, step) if bars else ()
        picture = painter.picture(view(film.step(step).screen), below)
        if pictures and picture.tobytes() == pictures[-1].tobytes():
            durations[-1] += FRAME_MS
        else:
            pictures.append(picture)
            durations.append(FRAME_MS)
        report(number + 1)
    durations[-1] += round(pace.last * 1000)
    with whole_file(target) as part:
        pictures[0].save(
            part, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True
        )
    return Drawn(target.stat().st_size, len(pictures), sum(durations) / 1000)


def pictures_of(keys: int, commits: int, pace: Pace) -> int:
    """How many pictures a film of so many keys becomes."""
    return ceil(pace.duration(keys, commits) * 1000 / FRAME_MS) + 1


def _places(films: Sequence[ChapterFilm], pace: Pace) -> list[tuple[ChapterFilm, int]]:
    """What each picture shows: the step that is on the screen at its time; the last one is the film's last screen."""
    found = []
    clock = 0.0
    start = 0.0
    for film in films:
        stop = start + len(film) / pace.rate
        while clock < stop:
            found.append((film, int((clock - start) * pace.rate)))
            clock += FRAME_MS / 1000
        start = stop + pace.pause
        while film is not films[-1] and clock < start:
            found.append((film, len(film)))
            clock += FRAME_MS / 1000
    return [*found, (films[-1], len(films[-1]))]


def _below(recording: Recording, film: ChapterFilm, step: int) -> tuple[str, str]:
    """Two lines: what is shown, and the keys pressed."""
    cols = recording.geometry.cols
    keys = " ".join(action_name(key) for key in film.film.action_T[max(0, step - cols // 2) : step + 1].tolist())
    chapter = film.chapter
    head = safe(f" {recording.repo_id} {chapter.commit[:8]} {chapter.subject}")
    return (head if len(head) <= cols else head[: cols - 1] + "…"), f" {keys}"[-cols:]
