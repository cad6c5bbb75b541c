"""Lines as cells: what is measured from where it was left is what is measured from the start."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.script import nano
from pipeline.script.edit import edit
from pipeline.terminal.nano import typing
from pipeline.terminal.terminal import Terminal
from pipeline.terminal.vim import insert
from pipeline.text import cells, nano_lines
from pipeline.text.cells import (
    TAB_STOP,
    WIDTHS,
    Ruler,
    Widths,
    cell_count,
    display_column,
    draw,
    glyph,
    is_simple,
    letter,
    unit_cells,
)
from pipeline.text.nano_lines import NanoRuler, page_start
from pipeline.text.nano_lines import draw as nano_draw
from schema.geometry import Geometry

LINE = st.text(st.sampled_from("ab \t\x01\x7f\xe9\u6f22\U0001f600\udcff\r"), max_size=40)

WIDE_LINE = st.text(st.sampled_from("a\xe9\u6f22\u5b57\U0001f600"), max_size=40) | LINE


@given(st.lists(st.tuples(LINE, st.integers(0, 40)), min_size=1, max_size=8))
def test_a_ruler_measures_every_line_as_if_it_were_its_first(lines: list[tuple[str, int]]) -> None:
    ruler = Ruler()
    for line, end in lines:
        assert ruler.column(line, end) == sum(widths(line)[:end])


@given(st.lists(st.tuples(LINE, st.integers(0, 80)), min_size=1, max_size=8))
def test_a_ruler_finds_the_unit_that_covers_a_column(lines: list[tuple[str, int]]) -> None:
    ruler = Ruler()
    for line, column in lines:
        cells = [(at, sum(widths(line)[:at])) for at, width in enumerate(widths(line)) for _ in range(width)]
        expected = cells[column] if column < len(cells) else (len(line), len(cells))
        assert ruler.cover(line, column) == expected


@given(LINE, st.integers(0, 80), st.integers(4, 20))
def test_a_line_drawn_from_its_left_edge_on_is_the_line_drawn_from_its_start(line: str, left: int, cols: int) -> None:
    assert draw(line, left, cols, Ruler().cover(line, left)) == draw(line, left, cols)


@given(WIDE_LINE, st.integers(0, 80), st.integers(8, 30))
def test_ordinary_characters_drawn_at_once_are_drawn_as_one_by_one(line: str, left: int, cols: int) -> None:
    drawn = draw(line, left, cols), nano_draw(line, 0, cols)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Widths, "within", lambda widths, line, at, column, edge: (at, column))
        assert (draw(line, left, cols), nano_draw(line, 0, cols)) == drawn


@given(WIDE_LINE.filter(bool), st.integers(0, 80), st.integers(12, 30))
def test_plain_cells_in_the_window_are_drawn_as_any_others(line: str, left: int, cols: int) -> None:
    left, page = min(left, cell_count(line.replace("\t", " " * TAB_STOP))), page_start(left, cols)
    covers = Ruler().cover(line, left), NanoRuler().cover(line, page)
    drawn = draw(line, left, cols, covers[0]), nano_draw(line, page, cols, covers[1])
    with pytest.MonkeyPatch.context() as patch:
        for module in (cells, nano_lines):
            patch.setattr(module, "is_simple", lambda line: False)
        assert (draw(line, left, cols, covers[0]), nano_draw(line, page, cols, covers[1])) == drawn


@pytest.mark.parametrize("behind", ["", "\xe9", "\t", "\x01"])
@pytest.mark.parametrize("typist", [edit, nano.edit])
def test_a_key_in_a_long_line_reads_no_more_of_it_than_a_window_shows(
    monkeypatch: pytest.MonkeyPatch, behind: str, typist: Callable[[bytes, bytes], bytes]
) -> None:
    read = 0

    def counting(line: str) -> bool:
        nonlocal read
        read += len(line) if line.isascii() else 0
        return is_simple(line)

    for module in (cells, nano_lines, insert, typing):
        monkeypatch.setattr(module, "is_simple", counting)
    old = ("word, " * 5000 + behind).encode()
    changes = typist(old, old[:12000] + b"f(x, y); " * 40 + old[18000:])
    keys = (b"vim x\r" if typist is edit else b"nano x\r") + changes
    Terminal(Geometry(12, 40)).play(keys, [old])
    assert len(changes) > 300
    assert read < 4 * len(old) + 6 * 40 * len(keys)  # all of it when the file is opened, else windows


@given(st.text(st.sampled_from("aZ9 _(\t"), max_size=30), st.integers(0, 30))
def test_words_are_found_from_where_the_cursor_is(line: str, at: int) -> None:
    at = min(at, len(line))
    starts = nano_lines.word_starts(line)
    assert nano_lines.next_word(line, at) == min((start for start in starts if start > at), default=None)
    assert nano_lines.previous_word(line, at) == max((start for start in starts if start < at), default=None)


@given(LINE, st.integers(0, 40))
def test_cells_of_units(line: str, end: int) -> None:
    assert display_column(line, end) == sum(widths(line)[:end])


def test_a_long_line_of_anything_is_drawn_without_measuring_it_for_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def counting(unit: str) -> tuple[str, int, bool]:
        nonlocal measured
        measured += 1
        return glyph(unit)

    monkeypatch.setattr("pipeline.text.cells.glyph", counting)
    keys = b"vim x\r" + edit(None, ("a\tb\x01\xe9\u6f22" * 400).encode())
    Terminal(Geometry(12, 40)).play(keys, [None])
    assert measured < 4 * 40 * len(keys)  # a few windows' width a key; ten times that from the line's start


@pytest.mark.parametrize(
    "keys",
    [
        b"vim x\ri" + "\u6f22\xe9".encode() * 400 + b"\x08" * 500,
        b"nano x\r" + "\u6f22\xe9".encode() * 400 + b"\x08" * 500,
    ],
)
def test_a_long_line_is_not_measured_again_when_the_cursor_goes_back(
    monkeypatch: pytest.MonkeyPatch, keys: bytes
) -> None:
    measured = 0

    def counting(line: str, end: int, start: int = 0, widths: Widths = WIDTHS) -> int:
        nonlocal measured
        measured += end
        return display_column(line, end, start, widths)

    for module in (cells, nano_lines):
        monkeypatch.setattr(module, "display_column", counting)
    Terminal(Geometry(12, 40)).play(keys, [None])
    assert measured < 20 * len(keys)


@pytest.mark.parametrize("beside", ["x = 1\n", "\xe9 = 1\n", "\x01\n"])
def test_a_long_line_is_not_measured_again_when_short_ones_beside_it_are_drawn(
    monkeypatch: pytest.MonkeyPatch, beside: str
) -> None:
    measured, within = 0, Widths.within

    def counting(widths: Widths, line: str, at: int, column: int, edge: int) -> tuple[int, int]:
        nonlocal measured
        found = within(widths, line, at, column, edge)
        measured += found[0] - at
        return found

    monkeypatch.setattr(Widths, "within", counting)
    keys = b"vim x\rO" + "\u6f22\xe9".encode() * 1500
    Terminal(Geometry(12, 40)).play(keys, [beside.encode() * 8])
    assert measured < 20 * len(keys)


@pytest.mark.parametrize("unit", ["h\xe9llo ", "\u6f22\u5b57", "a\tb", "a\x01b", "\x7f\u6f22\t", "plain text "])
def test_forgetting_how_lines_were_drawn_changes_nothing(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    keys = b"vim a\r" + edit(None, (unit * 200 + "\nshort\n" + unit * 30 + "\n").encode()) + b":w\r:q\r"
    shown = []
    for memory in (1, 1 << 24):
        monkeypatch.setattr("pipeline.terminal.recorder.MEMORY", memory)
        terminal = Terminal(Geometry(12, 40))
        film = terminal.play(keys, [None])
        shown.append([[terminal.table.row(number) for number in step] for step in film.frames.tolist()])
    assert shown[0] == shown[1]


def test_memory_does_not_grow_with_the_square_of_a_line() -> None:
    keys = b"vim a\r" + edit(None, b"h\xc3\xa9llo" * 1200)  # its growing line has 18 million units in all
    tracemalloc.start()
    try:
        Terminal(Geometry(12, 40)).play(keys, [None])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20


def widths(line: str) -> list[int]:
    """Cells of each unit, one after the other."""
    found: list[int] = []
    for at in range(len(line)):
        found.append(unit_cells(line, at, sum(found)))
    return found


@given(st.text(max_size=12))
def test_cells_of_a_row_are_those_of_its_letters(text: str) -> None:
    assert cell_count(text) == sum(letter(unit)[1] for unit in text)


def test_a_row_may_hold_a_code_point_that_stands_for_a_cluster_elsewhere() -> None:
    assert cell_count("a\U00063e97") == 1 + letter("\U00063e97")[1]
