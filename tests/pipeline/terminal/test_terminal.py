"""The screen model's own promises. Whether it is what the real programs show, tests/oracle asks them."""

import numpy as np
import pytest

from pipeline.film.frames import Film, RowTable
from pipeline.script.edit import edit
from pipeline.terminal.terminal import Terminal
from schema.actions import Phase
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry, Style

OLD = b"".join(b"line %d\n" % n for n in range(40))
NEW = OLD.replace(b"line 7\n", b"line seven\nand more\n").replace(b"line 33", b"LINE 33")
KEYS = b"mkdir -p d\rvim d/f.txt\r" + edit(OLD, NEW) + b":w\r:q\rgit add -Af && git commit -qm 'it works'\r"


def screens(film: Film, table: RowTable) -> list[tuple[str, ...]]:
    return [tuple(table.texts[n] for n in row) for row in film.frames]


def test_a_new_terminal_shows_a_prompt() -> None:
    film = (terminal := Terminal(Geometry(4, 24))).play(b"x")
    assert screens(film, terminal.table) == [("$", "", "", "")]
    assert (film.cursor_row_T[0], film.cursor_col_T[0]) == (0, 2)


def test_one_step_a_key_and_the_frame_is_the_one_before_it() -> None:
    terminal = Terminal(Geometry(4, 24))
    film = terminal.play(b"abc")
    assert film.action_T.tobytes() == b"abc"
    assert [screen[0] for screen in screens(film, terminal.table)] == ["$", "$ a", "$ ab"]
    assert terminal.screen().texts[0] == "$ abc"


def test_playing_in_pieces_gives_the_same_film() -> None:
    whole = Terminal(Geometry(12, 40))
    film = whole.play(KEYS, [OLD])
    pieces = Terminal(Geometry(12, 40))
    contents = iter([OLD])
    found = []
    for at in range(len(KEYS)):
        key = KEYS[at : at + 1]
        opens = key == b"\r" and KEYS[:at].endswith(b"d/f.txt")
        part = pieces.play(key, [next(contents)] if opens else [])
        found.append((screens(part, pieces.table)[0], int(part.cursor_row_T[0]), int(part.cursor_col_T[0])))
    expected = zip(screens(film, whole.table), film.cursor_row_T.tolist(), film.cursor_col_T.tolist(), strict=True)
    assert found == list(expected)
    assert pieces.screen() == whole.screen()


@pytest.mark.parametrize("keys", [1, 2, 7])
def test_polling_changes_no_frame_and_what_it_raises_ends_the_play(monkeypatch: pytest.MonkeyPatch, keys: int) -> None:
    def poll() -> None:
        calls.append(1)
        if len(calls) == 20:
            raise InterruptedError

    text = "漢字 é\x1b[0m\r\n".encode() + b"y" * 90 + b"\n"
    script = b"vim f\r" + edit(None, text) + b":w\r:q\rgit commit -qm '" + "漢字 ".encode() * 20 + b"'\r"
    whole = Terminal(Geometry(12, 40))
    film = whole.play(script, [None])
    monkeypatch.setattr("pipeline.terminal.terminal.POLL_KEYS", keys)
    calls: list[int] = []
    terminal = Terminal(Geometry(12, 40))
    polled = terminal.play(script, [None], poll=lambda: calls.append(1))
    assert len(calls) == -(-len(script) // keys)
    assert screens(film, whole.table) == screens(polled, terminal.table)
    assert all(np.array_equal(a, b) for a, b in zip(film[1:], polled[1:], strict=True))
    calls = []
    with pytest.raises(InterruptedError):
        terminal.play(script, [None], poll=poll)


def test_a_resumed_terminal_goes_on_where_the_other_was() -> None:
    first = Terminal(Geometry(12, 40))
    first.play(KEYS, [OLD])
    resumed = Terminal(Geometry(12, 40), first.screen())
    a, b = first.play(KEYS, [OLD]), resumed.play(KEYS, [OLD])
    assert screens(a, first.table) == screens(b, resumed.table)


def test_forgetting_rows_changes_no_screen() -> None:
    kept, forgetful = Terminal(Geometry(12, 40)), Terminal(Geometry(12, 40))
    kept.play(KEYS, [OLD])
    forgetful.play(KEYS, [OLD])
    forgetful.forget_rows()
    assert len(forgetful.table) < len(kept.table)
    assert screens(kept.play(KEYS, [OLD]), kept.table) == screens(forgetful.play(KEYS, [OLD]), forgetful.table)


def test_phases_say_what_kind_of_key_it_is() -> None:
    film = Terminal(Geometry()).play(KEYS, [OLD])
    told = {Phase(p): bytes(film.action_T[film.phase_T == p]) for p in np.unique(film.phase_T)}
    assert told[Phase.MESSAGE] == b"'it works'"
    assert told[Phase.COMMAND_LINE] == b":w\r:q\r"
    assert told[Phase.SHELL].startswith(b"mkdir -p d\rvim d/f.txt\r")
    assert b"and more" in told[Phase.INSERT]
    assert b"and more" not in told[Phase.MOTION]


def test_the_shell_wraps_at_once_and_scrolls() -> None:
    terminal = Terminal(Geometry(4, 24))
    terminal.play(b"a" * 22)  # two cells of prompt: the row is full, the cursor on the next one
    screen = terminal.screen()
    assert (screen.cursor_row, screen.cursor_col) == (1, 0)
    terminal.play(b"\r" * 5)
    screen = terminal.screen()
    assert screen.texts == ("$", "$", "$", "$")
    assert (screen.cursor_row, screen.cursor_col) == (3, 2)


def test_vim_leaves_its_screen_behind_and_the_prompt_on_the_last_row() -> None:
    terminal = Terminal(Geometry(6, 30))
    terminal.play(b"vim f\r:q\r", [b"one\n"])
    screen = terminal.screen()
    assert screen.texts == ("one", "~", "~", "~", "f                          1/1", "$")
    assert screen.runs[1] == ((0, 1, Style.BOLD),)
    assert screen.runs[4] == ((0, 30, Style.BOLD_REVERSE),)


def test_a_key_that_is_not_drawn_is_an_error_and_says_so() -> None:
    with pytest.raises(UnsupportedKeyError, match="not drawn"):
        Terminal(Geometry()).play(b"vim f\rZ", [b"one\n"])


def test_vim_without_a_content_is_an_error() -> None:
    with pytest.raises(UnsupportedKeyError, match="no content was given"):
        Terminal(Geometry()).play(b"vim f\r", [])
