"""What a model expects, for people: a screen with the most likely keys, and twenty keys under its guesses.

    console.print(*lines(shown), sep="\\n", soft_wrap=True)    coloured by probability where there is a terminal
    plain(lines(shown))                                        the same without colours, for samples.txt

Dimensions: T steps, R rows, C columns, V actions.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from schema.actions import Phase, action_name
from schema.geometry import Style
from training.analysis.predictor import NO_KEY, Predictor, read_chunk
from training.data.windows import FilmReader
from training.model.gradients import chunks

KEYS = 20
TOP = 5
WIDTH = 120  # of a line where there is no terminal, cells
BAR = 10  # cells of a certain key's bar
CONTEXT = 1024  # steps read before those that are shown
_STYLES = {Style.PLAIN: "", Style.BOLD: "bold", Style.REVERSE: "reverse", Style.BOLD_REVERSE: "bold reverse"}
_COLOURS = ((0.5, "bold green"), (0.2, "green"), (0.05, "yellow"), (0.0, "red"))


class Shown(NamedTuple):
    """Some steps as a model sees them: their screens, the keys pressed, and the probability that it gave every key."""

    cells_TRC: npt.NDArray[Any]
    actions_T: npt.NDArray[np.int64]
    chances_TV: npt.NDArray[np.float32]
    max_code_point: int


def show(
    model: Predictor,
    reader: FilmReader,
    stream: int,
    first: int,
    count: int = KEYS,
    context: int = CONTEXT,
    device: torch.device | None = None,
) -> Shown:
    """What a model expects at `count` steps of a stream, having read at most `context` steps before them."""
    begin = max(0, first - context)
    window = reader.window(stream, begin, first + count - begin)
    cells, previous, _ = (tensor.to(device) for tensor in read_chunk([window], [NO_KEY]))
    state, chances = model.initial_state(1), []
    with torch.no_grad():
        for part in chunks(cells.shape[1], 64):
            logits_BTV, state = model(cells[:, part], previous[:, part], state)
            chances.append(logits_BTV[0].float().softmax(-1))
    chances_TV = torch.cat(chances)[-count:].nan_to_num(0.0).cpu().numpy()  # weights that have diverged expect nothing
    return Shown(window.cells_TRC[-count:], window.action_T[-count:], chances_TV, reader.max_code_point)


def typical_span(losses_T: npt.NDArray[Any], phases_T: npt.NDArray[np.uint8], count: int = KEYS) -> int:
    """Where `count` steps begin that are predicted neither best nor worst.

    Of the spans in which most keys are typed text it is the one of median loss; of all spans where there is none.
    """
    spans = len(losses_T) // count
    loss_S = losses_T[: spans * count].reshape(spans, count).mean(1)
    typed_S = (phases_T[: spans * count].reshape(spans, count) == Phase.INSERT).mean(1) > 0.5
    among = np.flatnonzero(typed_S) if typed_S.any() else np.arange(spans)
    by_loss = among[np.argsort(loss_S[among], kind="stable")]
    return int(by_loss[len(by_loss) // 2]) * count if spans else 0


def typical(
    model: Predictor,
    reader: FilmReader,
    places: Sequence[tuple[int, int]],
    losses_WT: npt.NDArray[Any],
    phases_WT: npt.NDArray[np.uint8],
    unscored: int = 0,
    device: torch.device | None = None,
) -> Shown:
    """What a model expects at a `typical_span` of held-out windows.

    `places` are the windows' streams and first steps; losses and phases begin `unscored` steps later.
    """
    count = min(KEYS, losses_WT.shape[1])
    spans = losses_WT.shape[1] // count
    first = typical_span(losses_WT[:, : spans * count].ravel(), phases_WT[:, : spans * count].ravel(), count)
    window, offset = divmod(first, spans * count)
    stream, start = places[window]
    context = min(CONTEXT, unscored + offset)
    return show(model, reader, stream, start + unscored + offset, count, context, device)


def lines(shown: Shown, at: int = -1, width: int = WIDTH) -> list[Text]:
    """Step `at`'s screen with the likeliest keys, beside it if that fits `width` cells; then all steps' keys."""
    screen, guesses = screen_lines(shown, at), guess_lines(shown, at)
    if len(guesses) < len(screen) and len(screen[0]) + 2 + max(map(len, guesses)) <= width:
        for row, guess in enumerate(guesses, start=1):
            screen[row].append("  ").append_text(guess)
    else:
        screen += guesses
    return [*screen, Text(), *key_lines(shown, width)]


def screen_lines(shown: Shown, at: int = -1) -> list[Text]:
    """A frame around one screen; bold and reverse cells are styled, and so is the cursor."""
    cells_RC = shown.cells_TRC[at]
    cols = cells_RC.shape[1]
    inside = [_row(row_C, shown.max_code_point) for row_C in cells_RC]
    return [
        Text(f"┌{'─' * cols}┐"),
        *(Text("│").append_text(row).append("│") for row in inside),
        Text(f"└{'─' * cols}┘"),
    ]


def _row(row_C: npt.NDArray[Any], points: int) -> Text:
    row = Text()
    for cell in row_C.tolist():
        style, code = divmod(cell, points)
        cursor, style = divmod(style, 4)
        row.append(_character(code, points, row), "black on bright_yellow" if cursor else _STYLES[Style(style)])
    return row


def _character(code: int, points: int, row: Text) -> str:
    """What a cell shows; nothing for the second cell of a wide character."""
    if code == 0:
        return "" if row.plain and cell_len(row.plain[-1]) == 2 else " "
    if code == points - 1 or unicodedata.category(chr(code))[0] in "CM":  # clamped, a control character, a mark alone
        return "\N{REPLACEMENT CHARACTER}"
    return chr(code)


def guess_lines(shown: Shown, at: int = -1) -> list[Text]:
    """The most likely keys at one step, the one pressed marked; below them that one where it is not among them."""
    chance_V, pressed = shown.chances_TV[at], int(shown.actions_T[at])
    likeliest = np.argsort(-chance_V, kind="stable")[:TOP].tolist()
    listed = likeliest if pressed in likeliest else [*likeliest, pressed]
    found = [Text("the next key", "bold")]
    for key in listed:
        chance = float(chance_V[key])
        line = Text(f"{action_name(key):<8}{chance:5.0%} ", colour(chance)).append("█" * round(BAR * chance))
        found.append(line.append("  < pressed", "bold") if key == pressed else line)
    return found


def key_lines(shown: Shown, width: int = WIDTH) -> list[Text]:
    """Every step's likeliest key, the key pressed below it, and that one's probability, in columns."""
    likeliest_T = shown.chances_TV.argmax(1)
    heads = ("predicted", "pressed", "held at %")
    blocks, rows = [], [Text(f"{head:<11}") for head in heads]
    for step, pressed in enumerate(shown.actions_T.tolist()):
        guess = int(likeliest_T[step])
        chance, own = float(shown.chances_TV[step, guess]), float(shown.chances_TV[step, pressed])
        words = (action_name(guess), action_name(pressed), f"{100 * own:.0f}")
        cells = max(map(len, words)) + 1
        if len(rows[0]) + cells > width:
            blocks += [*rows, Text()]
            rows = [Text(f"{head:<11}") for head in heads]
        styles = (colour(chance), "green" if guess == pressed else "red", colour(own))
        for row, word, style in zip(rows, words, styles, strict=True):
            row.append(word.ljust(cells), style)
    return [*blocks, *rows]


def colour(chance: float) -> str:
    """The colour of a probability: bold green from a half on, green from a fifth, yellow from a twentieth, else red."""
    return next(name for least, name in _COLOURS if chance >= least)


def width_of(console: Console) -> int:
    """Cells of a line: the terminal's, or as many as a screen of 80 columns and its guesses need."""
    return console.width if console.is_terminal else WIDTH


def plain(rows: Iterable[Text]) -> str:
    """Lines without colours and without blanks at their ends."""
    return "\n".join(row.plain.rstrip() for row in rows)
