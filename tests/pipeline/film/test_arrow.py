"""Film -> Arrow against a slow, readable reference, on films that hypothesis invents."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.film.arrow import Piece, first_appearance, piece_of, row_group
from pipeline.film.frames import Changes, Film, RowTable
from schema.columns import arrow_schema

ROWS = 4
unhurried = settings(max_examples=60)
SCHEMA = arrow_schema("steps")
runs = st.sampled_from([(), ((0, 1, 1),), ((0, 24, 3),), ((0, 1, 1), (3, 2, 2), (9, 1, 1))])
row = st.tuples(st.sampled_from(["", "~", "a", "漢字", "é x"]), runs)
screens = st.lists(st.lists(row, min_size=ROWS, max_size=ROWS), min_size=1, max_size=12)


def piece(frames: list[list[tuple[str, tuple[tuple[int, int, int], ...]]]], table: RowTable, episode: int) -> Piece:
    count = len(frames)
    numbers = np.array([[table.intern(*r) for r in frame] for frame in frames], np.int32)
    cursor = np.arange(count, dtype=np.int16)
    film = Film(
        Changes.of(numbers), cursor % ROWS, cursor, (cursor % 256).astype(np.uint8), (cursor % 5).astype(np.uint8)
    )
    return Piece(table, film, np.full(count, episode, np.int32))


def reference(pieces: list[Piece], first_step: int) -> list[dict[str, object]]:
    rows = []
    for part in pieces:
        for t in range(len(part)):
            numbers = part.film.frames[t].tolist()
            rows.append(
                {
                    "repo_id": "owner/name",
                    "stream_step": first_step + len(rows),
                    "episode": int(part.episode_T[t]),
                    "frame": [part.table.texts[n] for n in numbers],
                    "style": [
                        {"row": y, "start": a, "length": b, "style": c}
                        for y, n in enumerate(numbers)
                        for a, b, c in part.table.runs.get(n, ())
                    ],
                    "cursor_row": int(part.film.cursor_row_T[t]),
                    "cursor_col": int(part.film.cursor_col_T[t]),
                    "action": int(part.film.action_T[t]),
                    "phase": int(part.film.phase_T[t]),
                }
            )
    return rows


@unhurried
@given(st.lists(st.tuples(screens, st.booleans()), min_size=1, max_size=4), st.integers(0, 2**40))
def test_row_group_is_the_reference(parts: list[tuple[list, bool]], first_step: int) -> None:
    table, pieces = RowTable(), []
    for number, (frames, fresh) in enumerate(parts):
        table = RowTable() if fresh else table
        pieces.append(piece(frames, table, number))
    made = row_group("owner/name", first_step, pieces, SCHEMA)
    made.validate(full=True)
    assert made.to_pylist() == reference(pieces, first_step)


@unhurried
@given(screens)
def test_dictionary_stands_in_order_of_first_appearance(frames: list) -> None:
    made = row_group("owner/name", 0, [piece(frames, RowTable(), 0)], SCHEMA)
    texts = [text for frame in frames for text, _ in frame]
    words = made.column("frame").chunk(0).values.dictionary.to_pylist()
    assert words == list(dict.fromkeys(texts))


@unhurried
@given(screens)
def test_piece_of_is_the_inverse(frames: list) -> None:
    made = row_group("owner/name", 7, [piece(frames, RowTable(), 3)], SCHEMA)
    back = piece_of(made, ROWS)
    assert row_group("owner/name", 7, [back], SCHEMA).equals(made)


@unhurried
@given(screens, st.integers(0, 12))
def test_a_cut_changes_nothing(frames: list, at: int) -> None:
    whole = piece(frames, RowTable(), 0)
    halves = [whole.cut(*part) for part in ((0, at), (at, len(whole))) if part[0] < min(part[1], len(whole))]
    assert row_group("owner/name", 0, halves, SCHEMA).equals(row_group("owner/name", 0, [whole], SCHEMA))


@unhurried
@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=1, max_size=20))
def test_first_appearance_is_the_order_of_a_dict(numbers: list[list[int]]) -> None:
    found = first_appearance(np.array(numbers).ravel(), 10)
    assert found.tolist() == list(dict.fromkeys(Changes.of(np.array(numbers)).spans.as_read().tolist()))
    assert found.tolist() == list(dict.fromkeys(n for frame in numbers for n in frame))


def test_no_styles_at_all() -> None:
    made = row_group("owner/name", 0, [piece([[("a", ())] * ROWS] * 3, RowTable(), 0)], SCHEMA)
    assert made.column("style").to_pylist() == [[], [], []]
    assert pa.types.is_list(made.column("style").type)
