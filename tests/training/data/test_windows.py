"""Windows: the same steps wherever they lie, decoded no further than needed."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import training.data.windows
from tests.training.warehouse import COLS, ROWS, make_stream
from training.data.warehouse import RowGroup, Warehouse
from training.data.windows import FilmReader, compact_frames


def expected_cells(steps: slice, seed: int = 0) -> np.ndarray:
    """Cell ids of a stream's steps, cell by cell."""
    rows = make_stream(1000, seed).to_pylist()[steps]
    cells = np.full((len(rows), ROWS, COLS), ord(" "))
    for t, row in enumerate(rows):
        for y, text in enumerate(row["frame"]):
            for x, character in enumerate(text):
                cells[t, y, x] = ord(character)
        for run in row["style"]:
            cells[t, run["row"], run["start"] : run["start"] + run["length"]] += 256 * run["style"]
        cells[t, row["cursor_row"], row["cursor_col"]] += 4 * 256
    return cells


@pytest.mark.parametrize(("start", "length"), [(0, 5), (140, 20), (390, 30), (100, 700), (995, 5)])
def test_a_window_is_those_steps_across_groups_and_shards(reader: FilmReader, start: int, length: int) -> None:
    window = reader.window(0, start, length)
    np.testing.assert_array_equal(window.cells_TRC, expected_cells(slice(start, start + length)))
    table = make_stream(1000).slice(start, length)
    np.testing.assert_array_equal(window.action_T, table.column("action").to_numpy())
    np.testing.assert_array_equal(window.phase_T, table.column("phase").to_numpy())


def test_a_window_outside_of_the_stream_is_an_index_error(reader: FilmReader) -> None:
    with pytest.raises(IndexError, match="a/long"):
        reader.window(0, 996, 5)


def test_a_small_cache_gives_the_same_windows(root: Path, reader: FilmReader) -> None:
    small = FilmReader(Warehouse(root), cache_bytes=1)
    for start in (0, 800, 10):
        np.testing.assert_array_equal(small.window(0, start, 50).cells_TRC, reader.window(0, start, 50).cells_TRC)


def test_a_window_decodes_its_own_steps_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    decode = training.data.windows.decode_cells

    def counted(table: pa.Table, *others: Any) -> Any:
        decoded.append(table.num_rows)
        return decode(table, *others)

    monkeypatch.setattr("training.data.windows.decode_cells", counted)
    FilmReader(Warehouse(root), cache_bytes=1).window(0, 140, 20)
    assert decoded == [10, 10]


def test_a_row_group_is_read_once_while_it_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(root)
    read: list[tuple[int, int | None]] = []
    original = warehouse.read

    def counted(group: RowGroup, columns: Any, steps: int | None = None) -> pa.Table:
        read.append((group.row_group, steps))
        return original(group, columns, steps)

    monkeypatch.setattr(warehouse, "read", counted)
    reader = FilmReader(warehouse)
    for start in (0, 100, 130, 0):
        reader.window(0, start, 40)
    assert read == [(0, None), (1, None)]
    read.clear()
    little = FilmReader(warehouse, cache_bytes=1)  # the latest is kept all the same
    for start in (0, 100, 200, 0, 10, 20, 90, 0):
        little.window(0, start, 40)
    # once it is full: no further than the window, but whole when more of the group is needed at once
    assert read == [(0, None), (1, None), (0, 40), (0, None)]


def test_what_is_kept_is_small(root: Path) -> None:
    table = Warehouse(root).read(RowGroup("shards/a+long/00000.steps.parquet", 0, 150), ["frame"])
    frame = compact_frames(table.column("frame"))
    assert frame.type.value_type.index_type == pa.uint8()
    assert frame.to_pylist() == table.column("frame").to_pylist()
    lists = pa.array([[str(n % 66_000)] for n in range(67_000)])  # no dictionary, and more rows than 16 bits number
    wide = compact_frames(pa.chunked_array([lists[:30_000], lists[30_000:]]))
    assert wide.type.value_type.index_type == pa.uint32()
    assert wide.to_pylist() == lists.to_pylist()


def test_code_points_are_clamped(root: Path) -> None:
    window = FilmReader(Warehouse(root), max_code_point=64).window(0, 30, 1)
    assert window.cells_TRC.max() < 8 * 64
