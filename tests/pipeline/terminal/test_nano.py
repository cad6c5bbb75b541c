"""What nano's window shows, spelt out; and that keys played at once leave the film of keys played one by one."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.oracle.nano_cases import NanoMaker
from pipeline.script import nano
from pipeline.terminal.env import TerminalEnv
from pipeline.terminal.nano import bars
from pipeline.terminal.nano.editor import Nano
from pipeline.terminal.terminal import Terminal
from schema.actions import Phase
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry, Style
from schema.screen import Screen

SIZE = Geometry(6, 40)
FILE = b"".join(b"line %d\n" % number for number in range(9))
REVERSED_ROW = ((0, 40, Style.REVERSE),)


def after(keys: bytes, content: bytes | None = FILE, size: Geometry = SIZE) -> Screen:
    terminal = Terminal(size)
    terminal.play(b"nano f\r" + keys, [content])
    return terminal.screen()


def test_a_file_is_opened_under_a_title_and_above_a_message() -> None:
    screen = after(b"")
    assert screen.texts == (
        "  GNU nano 7.2       f", "line 0", "line 1", "line 2", "line 3", "            [ Read 9 lines ]",
    )  # fmt: skip
    assert (screen.runs[0], screen.runs[5]) == (REVERSED_ROW, ((12, 16, Style.REVERSE),))
    assert (screen.cursor_row, screen.cursor_col) == (1, 0)


def test_a_message_lasts_until_the_next_key() -> None:
    assert after(nano.DOWN).texts[5] == ""
    assert after(b"x" + nano.SAVE_AND_LEAVE[:1]).texts[5] == "           [ Wrote 9 lines ]"
    assert after(b"", None).texts[5] == "              [ New File ]"


def test_the_title_says_that_the_file_was_changed_until_it_is_saved() -> None:
    changed = after(b"x")
    assert changed.texts[0] == "  GNU nano 7.2       f        Modified"
    assert after(b"x" + nano.SAVE_AND_LEAVE[:1]).texts[0] == after(b"").texts[0]


@pytest.mark.parametrize(
    ("name", "modified", "cols", "text"),
    [
        ("a" * 20, False, 40, "     " + "a" * 20),
        ("a" * 26, True, 40, "  " + "a" * 26 + "  Modified"),
        ("a" * 36, True, 40, "..." + "a" * 28 + " Modified"),
        ("漢" * 20, False, 24, "...]" + "漢" * 10),
        ("x\x01y", False, 40, "  GNU nano 7.2      x^Ay"),
    ],
)  # fmt: skip
def test_what_has_no_room_in_the_title_is_left_out(name: str, modified: bool, cols: int, text: str) -> None:
    assert bars.title(name, modified, cols) == (text, ((0, cols, Style.REVERSE),))


def test_a_line_number_is_asked_for_and_its_line_comes_to_the_middle() -> None:
    asked = after(nano.GO_TO + b"8")
    assert asked.texts[5] == "Enter line number, column number: 8"
    assert (asked.runs[5], asked.cursor_row, asked.cursor_col) == (REVERSED_ROW, 5, 35)
    gone = after(nano.GO_TO + b"8,3" + nano.ENTER)
    assert gone.texts[1:5] == ("line 5", "line 6", "line 7", "line 8")
    assert (gone.cursor_row, gone.cursor_col) == (3, 2)


def test_only_the_cursors_line_is_shown_from_a_later_page() -> None:
    wide = b"0123456789" * 6 + b"\n"
    screen = after(nano.END, wide * 2)
    assert screen.texts[1] == "<3456789012345678901234567890123456789"[:28]
    assert screen.texts[2] == "0123456789" * 3 + "012345678>"
    assert screen.runs[1][0] == (0, 1, Style.REVERSE)
    assert screen.runs[2] == ((39, 1, Style.REVERSE),)


def test_bytes_of_a_character_are_shown_until_it_is_whole() -> None:
    keys = "漢".encode()
    assert [after(keys[:count], b"").texts[1] for count in range(4)] == ["", "\ufffd", "\ufffd\ufffd", "漢"]


def test_a_mark_that_starts_a_line_is_not_shown() -> None:
    assert after(b"", "\u0301a\n".encode()).texts[1] == "a"
    assert after(b"", "a\u0301\n".encode()).texts[1] == "a\u0301"


def test_a_cut_line_and_the_end_of_what_can_be_cut() -> None:
    assert after(nano.CUT_LINE * 2).texts[1:3] == ("line 2", "line 3")
    assert after(nano.CUT_LINE * 10).texts[5] == "          [ Nothing was cut ]"


def test_the_prompt_comes_to_the_last_row_and_the_screen_stays() -> None:
    screen = after(b"x" + nano.SAVE_AND_LEAVE)
    assert screen.texts == ("  GNU nano 7.2       f", "xline 0", "line 1", "line 2", "line 3", "$")
    assert (screen.cursor_row, screen.cursor_col) == (5, 2)


def test_phases_say_what_a_key_does() -> None:
    terminal = Terminal(SIZE)
    keys = [
        (b"nano f\r", Phase.SHELL), (nano.DOWN * 3 + nano.DELETE * 2 + nano.CHOP_WORD + nano.BACKSPACE, Phase.MOTION),
        ("ab é\t\r\x11\x01".encode(), Phase.INSERT), (nano.GO_TO + b"2\r" + nano.SAVE_AND_LEAVE, Phase.COMMAND_LINE),
        (b"git", Phase.SHELL),
    ]  # fmt: skip
    film = terminal.play(b"".join(part for part, _ in keys), [FILE])
    assert film.phase_T.tolist() == [phase for part, phase in keys for _ in part]


@pytest.mark.parametrize(
    "keys",
    [
        b"x\x18", b"\x1b", b"\x0c", b"\x7f", b"\x16", b"\x1f\r", b"\x1fx", b"\x1f,3\r", b"\x1f3,\r", b"\x11a",
        b"\x11\n", b"\x05\x07", b"\x0f", b"\x05\x14",
    ],
)  # fmt: skip
def test_what_is_not_drawn_is_refused(keys: bytes) -> None:
    with pytest.raises(UnsupportedKeyError):
        after(keys)


@pytest.mark.parametrize("content", ["\ufeffa\n", "a\u200bb\n", "\u1160\n", "\U00040000\n"])
def test_text_of_doubtful_width_is_refused_when_it_would_be_shown(content: str) -> None:
    with pytest.raises(UnsupportedKeyError):
        after(b"", content.encode())
    after(b"", b"\n" * 9 + content.encode())  # out of sight


@pytest.mark.parametrize("name", ["-", "'~'", "'~x'", "$'a\\011b'"])
def test_names_that_nano_reads_otherwise_are_refused(name: str) -> None:
    terminal = Terminal(SIZE)
    with pytest.raises(UnsupportedKeyError):
        terminal.play(f"nano -- {name}\r".encode(), [b""])
    assert terminal.in_editor, "the file is refused, not the commit"


def test_a_cursor_inside_of_a_character_is_refused() -> None:
    for content, keys in ((b"\x80\xa9", b"\xe2"), (b"\xc3a\xa9", b"\x06\x04"), (b"\xc3\n\xa9", b"\x05\x04")):
        with pytest.raises(UnsupportedKeyError, match="inside of a character"):
            after(keys, content)


def test_both_editors_are_started_in_one_terminal() -> None:
    env = TerminalEnv(rows=8, cols=40, files={"a": b"one\n"})
    for key in b"vim a\rAx\x1b:w\r:q\rnano a\r\x05y\x13\x18":
        screen = env.step(key)
    assert env.files == {"a": b"onexy\n"}
    assert env.at_prompt
    assert screen.texts[1] == "onexy"


@given(st.integers(0, 1 << 30), st.sampled_from([Geometry(4, 24), Geometry(12, 40), Geometry(24, 80)]))
@settings(max_examples=60, deadline=None)
def test_keys_played_at_once_are_drawn_as_keys_played_one_by_one(seed: int, size: Geometry) -> None:
    case = NanoMaker(random.Random(seed), size, composing=True).case()
    assert_drawn_the_plain_way(case.keys, case.old, size)


WORDS = st.sampled_from(
    ["a", "bc ", "  ", "\t", "def", "\xe9", "\u6f22\u5b57", "\U0001f600", "e\u0301", "\r", "\x01", "\x7f"]
)
LINES = (
    st.text("ab .", max_size=150)
    | st.lists(WORDS, max_size=30).map("".join)
    | st.lists(WORDS, max_size=6).map(lambda words: "".join(words) * 9)
)


@given(LINES, LINES, st.lists(st.sampled_from([nano.LEFT, nano.LEFT * 5, nano.HOME, nano.END]), max_size=3))
@settings(max_examples=150, deadline=None)
def test_text_typed_at_once_anywhere_in_a_line_is_drawn_as_key_by_key(old: str, put: str, moves: list[bytes]) -> None:
    typed = "".join(unit for unit in put if unit >= " " and unit != "\x7f").encode()
    out = nano.DELETE * 3 + nano.BACKSPACE * 4 + b"q" + nano.BACKSPACE * 30 + nano.DELETE * 50
    keys = b"nano f\r" + nano.END + b"z" + b"".join(moves) + typed + out + typed
    assert_drawn_the_plain_way(keys, old.encode(), Geometry(6, 40))


def assert_drawn_the_plain_way(keys: bytes, old: bytes | None, size: Geometry) -> None:
    """The bulk ways of typing and moving, against one key after the other without them."""
    whole, slow = Terminal(size), Terminal(size)
    try:
        film = whole.play(keys, [old])
    except UnsupportedKeyError:
        film = None
    start = keys.index(b"\r")
    slow.play(keys[:start])
    with pytest.MonkeyPatch.context() as patch:
        for bulk in ("_type_simple", "_type_wide", "_repeated"):
            patch.setattr(Nano, bulk, lambda *_: 0)
        if film is None:
            with pytest.raises(UnsupportedKeyError):
                slow.play(keys[start:], [old])
            return
        for at in range(start, len(keys)):
            before = slow.screen()
            numbers = film.frames[at].tolist()
            assert before.texts == tuple(whole.table.texts[n] for n in numbers)
            assert before.runs == tuple(whole.table.runs.get(n, ()) for n in numbers)
            assert before[2:] == (film.cursor_row_T[at], film.cursor_col_T[at])
            step = slow.play(keys[at : at + 1], [old])
            assert np.array_equal(step.phase_T, film.phase_T[at : at + 1])
    assert slow.screen() == whole.screen()
    if whole.editor is not None and slow.editor is not None:
        assert whole.editor.content == slow.editor.content
