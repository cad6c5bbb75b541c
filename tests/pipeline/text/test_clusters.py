"""Characters with combining marks are one unit of a line, and come out again as they went in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.terminal.terminal import Terminal
from pipeline.text.cells import display_column, draw, glyph
from pipeline.text.clusters import MAX_CLUSTERS, bases, fold, is_drawable, unfold
from pipeline.text.lines import join_lines, split_lines
from schema.errors import UnsupportedKeyError
from schema.geometry import Geometry

TEXT = st.text(st.sampled_from("ae \t\n漢é❤\U0001f600\u0301\u0302\ufe0f\u0651\U00040000\U00050000\udcff"), max_size=40)


@given(TEXT)
def test_what_is_folded_is_unfolded(text: str) -> None:
    if not is_drawable(text):
        return
    assert unfold(fold(text)) == text
    assert len(bases(fold(text))) == len(fold(text)) == len([c for c in text if c not in "\u0301\u0302\ufe0f\u0651"])
    content = text.encode("utf-8", "surrogateescape")
    assert content in (b"", join_lines(*split_lines(content)))


@pytest.mark.parametrize("plane", [4, 8, 13])
def test_a_text_of_what_stands_for_characters_is_drawn_as_it_is(plane: int) -> None:
    own = chr(plane << 16)
    text = fold(own + "e\u0301" + own + "\u0301")
    assert len(text) == 3
    assert draw(text, 0, 24) == (own + "e\u0301" + own + "\u0301", ())


def test_two_marks_are_drawn_and_the_others_are_kept() -> None:
    unit = fold("e\u0301\u0302\u0303")
    assert glyph(unit) == ("e\u0301\u0302", 1, False)
    assert unfold(unit) == "e\u0301\u0302\u0303"
    assert glyph(fold("漢\u0301")) == ("漢\u0301", 2, False)


def test_cells_are_those_of_what_the_marks_are_on() -> None:
    line = fold("e\u0301漢\ufe0f\tx")
    assert [display_column(line, end) for end in range(5)] == [0, 1, 3, 8, 9]


def test_a_file_of_very_many_different_ones_is_not_drawn() -> None:
    assert not is_drawable("".join(chr(0x4E00 + n) + "\u0301" for n in range(MAX_CLUSTERS + 1)))


def test_a_mark_is_typed_into_the_cell_before_the_cursor() -> None:
    terminal = Terminal(Geometry(8, 24))
    terminal.play(b"vim f\ria" + "e\u0301".encode(), [None])
    assert (terminal.screen().texts[0], terminal.screen().cursor_col) == ("ae\u0301", 2)
    terminal.play(b"\x1b")
    assert terminal.screen().cursor_col == 1
    terminal.play(b"x")
    assert terminal.screen().texts[0] == "a"


def test_the_first_word_of_a_line_whose_blanks_carry_a_mark_is_refused() -> None:
    terminal = Terminal(Geometry(8, 24))
    with pytest.raises(UnsupportedKeyError, match="on a space"):
        terminal.play(b"vim f\r\r", ["one\n \u0301two\n".encode()])


@pytest.mark.parametrize("character", ["\n\u0301", "\t\u0301", "\u200b\u0301", "\udc80\u0301", "e" + "\u0301" * 7])
def test_other_marks_have_no_unit(character: str) -> None:
    assert not is_drawable(character)
    with pytest.raises(UnsupportedKeyError):
        fold(character)


def test_a_mark_on_nothing_is_refused_not_drawn_wrong() -> None:
    terminal = Terminal(Geometry(8, 24))
    with pytest.raises(UnsupportedKeyError, match="start of a line"):
        terminal.play("vim f\ri\u0301".encode(), [None])
