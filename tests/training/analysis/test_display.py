"""What people are shown of a model: screens, likeliest keys, keys under guesses; plain where there is no terminal."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from schema.actions import Phase
from tests.training.warehouse import COLS, ROWS, write_warehouse
from training.analysis.display import Shown, colour, key_lines, lines, plain, screen_lines, show, typical_span
from training.analysis.predictor import NO_KEY
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

POINTS = 256


def screen(*rows: str, cols: int = 8) -> np.ndarray:
    """Cell ids [1, R, C] of plain text."""
    return np.array([[[ord(c) for c in row.ljust(cols, "\0")] for row in rows]], np.int32)


def shown(cells: np.ndarray, pressed: str, chances: list[dict[str, float]], points: int = POINTS) -> Shown:
    chances_TV = np.full((len(chances), 256), 1e-4, np.float32)
    for row, chance in zip(chances_TV, chances, strict=True):
        for key, value in chance.items():
            row[ord(key)] = value
    repeated = np.repeat(cells, len(chances), 0)
    return Shown(repeated, np.array([ord(key) for key in pressed]), chances_TV, points)


def test_the_likeliest_keys_stand_beside_the_screen_and_the_pressed_one_is_marked() -> None:
    rows = plain(lines(shown(screen("ab", "c", "", "", "", ""), "d", [{"d": 0.6, "e": 0.3}]))).split("\n")
    assert rows[:3] == ["┌────────┐", "│ab      │  the next key", "│c       │  d         60% ██████  < pressed"]
    assert rows[3] == "│        │  e         30% ███"


def test_a_pressed_key_that_is_not_among_the_likeliest_is_listed_below_them() -> None:
    chances = {key: 0.1 + ord(key) / 10_000 for key in "vwxyz"}
    rows = plain(lines(shown(screen(*[""] * 8), "\r", [chances]))).split("\n")
    listed = [row.split("│")[2].split() for row in rows[2:8]]
    assert [words[0] for words in listed] == ["z", "y", "x", "w", "v", "<CR>"]
    assert listed[-1][-2:] == ["<", "pressed"]


def test_on_a_narrow_terminal_the_likeliest_keys_stand_below() -> None:
    rows = plain(lines(shown(screen("ab"), "d", [{"d": 1.0}]), width=30)).split("\n")
    assert rows[:5] == ["┌────────┐", "│ab      │", "└────────┘", "the next key", "d        100% ██████████  < pressed"]


def test_pressed_keys_stand_under_predicted_ones_in_columns() -> None:
    rows = plain(key_lines(shown(screen(""), "a\r ", [{"a": 0.9}, {"b": 0.5, "\r": 0.26}, {"\x1b": 1.0}]))).split("\n")
    assert rows == ["predicted  a  b    <Esc>", "pressed    a  <CR> <Space>", "held at %  90 26   0"]


def test_keys_that_do_not_fit_a_line_go_on_in_another_block() -> None:
    rows = plain(key_lines(shown(screen(""), "abcd", [{key: 0.5} for key in "abcd"]), width=20)).split("\n")
    assert [row.split()[1:] for row in rows if row.startswith("pressed")] == [["a", "b", "c"], ["d"]]
    assert max(map(len, rows)) <= 20


def test_no_cell_of_a_screen_reaches_the_terminal_as_a_command() -> None:
    cells = np.array([[[27, 155, 65, POINTS - 1, 0, 0x4E2D, 0, 66]]], np.int32)
    (_, row, _) = plain(screen_lines(shown(cells, "a", [{}], points=0x110000))).split("\n")
    assert row == "│\ufffd\ufffdA\xff 中B│"
    clamped = plain(screen_lines(shown(cells[..., :4], "a", [{}]))).split("\n")[1]
    assert clamped == "│\ufffd\ufffdA\ufffd│"


def test_colours_are_written_to_a_terminal_alone() -> None:
    cells = screen("ab") + np.array([[[POINTS, 4 * POINTS, 0, 0, 0, 0, 0, 0]]])
    found = lines(shown(cells, "d", [{"d": 0.6}]))
    texts = {}
    for terminal in (True, False):
        file = io.StringIO()
        colours = "truecolor" if terminal else None
        Console(file=file, force_terminal=terminal, color_system=colours, width=40).print(
            *found, sep="\n", soft_wrap=True
        )
        texts[terminal] = file.getvalue()
    assert "\x1b" not in texts[False]
    assert "\x1b[1ma\x1b[0m\x1b[30;103mb\x1b[0m" in texts[True]  # bold, and the cursor's cell
    assert "\x1b[1;32md" in texts[True]


def test_a_probability_has_one_colour() -> None:
    assert [colour(p) for p in (1.0, 0.5, 0.49, 0.1, 0.0)] == ["bold green", "bold green", "green", "yellow", "red"]


def test_a_typical_span_is_typed_text_of_median_loss() -> None:
    losses = np.repeat([9.0, 1.0, 3.0, 2.0, 0.0], 4)
    phases = np.repeat([Phase.SHELL, Phase.INSERT, Phase.INSERT, Phase.INSERT, Phase.SHELL], 4).astype(np.uint8)
    assert typical_span(losses, phases, 4) == 12
    assert typical_span(losses, np.full(20, Phase.SHELL, np.uint8), 4) == 12
    assert typical_span(losses[:3], phases[:3], 4) == 0


class Repeats(nn.Module):
    """Holds the key pressed last likeliest."""

    def initial_state(self, batch: int) -> tuple[Tensor, ...]:
        return ()

    def forward(
        self, cells_BTRC: Tensor, previous_BT: Tensor, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return torch.nn.functional.one_hot(previous_BT, NO_KEY + 1)[..., :256] * 9.0, ()


@pytest.mark.parametrize("first", [0, 5, 150, 280])
def test_what_is_shown_are_the_film_s_own_steps(tmp_path: Path, first: int) -> None:
    reader = FilmReader(Warehouse(write_warehouse(tmp_path, {"a/one": 300})))
    found = show(Repeats(), reader, 0, first, 20, context=100)
    window = reader.window(0, first, 20)
    np.testing.assert_array_equal(found.cells_TRC, window.cells_TRC)
    np.testing.assert_array_equal(found.actions_T, window.action_T)
    np.testing.assert_array_equal(found.chances_TV.argmax(1)[1:], window.action_T[:-1])
    np.testing.assert_allclose(found.chances_TV.sum(1), 1, rtol=1e-5)
    assert found.cells_TRC.shape == (20, ROWS, COLS)


def test_weights_that_have_diverged_are_shown_to_expect_nothing(tmp_path: Path) -> None:
    class Diverged(Repeats):
        def forward(
            self, cells_BTRC: Tensor, previous_BT: Tensor, state: tuple[Tensor, ...] | None = None
        ) -> tuple[Tensor, tuple[Tensor, ...]]:
            return torch.full((*previous_BT.shape, 256), float("nan")), ()

    reader = FilmReader(Warehouse(write_warehouse(tmp_path, {"a/one": 300})))
    assert "0% " in plain(lines(show(Diverged(), reader, 0, 100)))
