"""Vectorised decoding against a slow, readable reference."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.shards import shard_file as shardfile
from pipeline.shards.writer import StreamWriter
from schema.config import ReplayConfig
from schema.decode import decode_frames, decode_rows, decode_texts
from schema.errors import CorruptError
from schema.geometry import Geometry
from schema.widths import cell_width
from tests.takes import make_takes

GEOMETRY = Geometry(6, 24)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pa.Table:
    """Steps of several row groups, so that the column has several dictionaries."""
    monkeypatch.setattr(shardfile, "GROUP_STEPS", 64)
    with StreamWriter(tmp_path, "owner/name", ReplayConfig(rows=6, cols=24)) as writer:
        for take in make_takes(8):
            writer.append(take)
    found = pq.read_table(tmp_path / writer.manifest.shards[0].files["steps"].path)
    assert found.column("frame").num_chunks > 1
    return found


def cells_of(line: str, cols: int) -> list[int]:
    """A row of text, cell by cell."""
    cells: list[int] = []
    for letter in line:
        cells += [ord(letter)] + [0] * (cell_width(letter) - 1)
    return cells + [32] * (cols - len(cells))


def reference(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Code points and styles [T, rows, cols], one cell at a time."""
    codes = np.zeros((len(table), *GEOMETRY), np.uint32)
    styles = np.zeros((len(table), *GEOMETRY), np.uint8)
    for t, step in enumerate(table.to_pylist()):
        for y, line in enumerate(step["frame"]):
            codes[t, y] = cells_of(line, GEOMETRY.cols)
        for run in step["style"]:
            styles[t, run["row"], run["start"] : run["start"] + run["length"]] = run["style"]
    return codes, styles


def test_frames_are_the_reference(table: pa.Table) -> None:
    codes, styles = reference(table)
    grids = decode_frames(table, GEOMETRY)
    assert grids.codes_TRC.dtype == np.uint32
    np.testing.assert_array_equal(grids.codes_TRC, codes)
    np.testing.assert_array_equal(grids.style_TRC, styles)
    np.testing.assert_array_equal(grids.cursor_row_T, table.column("cursor_row").to_numpy())
    np.testing.assert_array_equal(grids.cursor_col_T, table.column("cursor_col").to_numpy())


@pytest.mark.parametrize("limit", [100, 256, 0x6F23])
def test_code_points_are_clamped(table: pa.Table, limit: int) -> None:
    codes, _ = reference(table)
    grids = decode_frames(table, GEOMETRY, limit)
    assert grids.codes_TRC.dtype == (np.uint8 if limit <= 256 else np.uint32)
    np.testing.assert_array_equal(grids.codes_TRC, np.minimum(codes, limit - 1))


def test_a_slice_and_a_batch_decode_alike(table: pa.Table) -> None:
    whole = decode_frames(table, GEOMETRY)
    part = decode_frames(table.slice(40, 77), GEOMETRY)
    np.testing.assert_array_equal(part.codes_TRC, whole.codes_TRC[40:117])
    np.testing.assert_array_equal(part.style_TRC, whole.style_TRC[40:117])
    batch = table.slice(70, 30).combine_chunks().to_batches()[0]
    np.testing.assert_array_equal(decode_frames(batch, GEOMETRY).codes_TRC, whole.codes_TRC[70:100])


def test_columns_without_a_dictionary_decode_alike(table: pa.Table) -> None:
    plain = table.set_column(
        table.schema.get_field_index("frame"), "frame", table.column("frame").cast(pa.list_(pa.string()))
    )
    np.testing.assert_array_equal(decode_frames(plain, GEOMETRY).codes_TRC, decode_frames(table, GEOMETRY).codes_TRC)


def test_an_array_can_be_used_again(table: pa.Table) -> None:
    out = np.empty((len(table) + 5, *GEOMETRY), np.uint8)
    grids = decode_frames(table, GEOMETRY, 256, style=False, out=out)
    assert grids.style_TRC is None
    assert np.shares_memory(grids.codes_TRC, out)
    np.testing.assert_array_equal(grids.codes_TRC, decode_frames(table, GEOMETRY, 256).codes_TRC)


def test_an_array_of_another_type_is_refused(table: pa.Table) -> None:
    with pytest.raises(ValueError, match="uint8"):
        decode_frames(table, GEOMETRY, 256, out=np.empty((len(table), *GEOMETRY), np.int64))


def test_rows_rebuild_the_frames(table: pa.Table) -> None:
    grids, rows = decode_frames(table, GEOMETRY), decode_rows(table, GEOMETRY)
    np.testing.assert_array_equal(rows.codes_NC[rows.ids_TR], grids.codes_TRC)
    np.testing.assert_array_equal(rows.style_NC[rows.ids_TR], grids.style_TRC)
    cursor = np.full(rows.ids_TR.shape, -1)
    cursor[np.arange(len(table)), grids.cursor_row_T] = grids.cursor_col_T
    np.testing.assert_array_equal(rows.cursor_N[rows.ids_TR], cursor)


def test_row_ids_are_dense_and_one_to_one(table: pa.Table) -> None:
    rows = decode_rows(table, GEOMETRY)
    assert np.unique(rows.ids_TR).tolist() == list(range(len(rows.codes_NC)))
    keys = {(a.tobytes(), b.tobytes(), int(c)) for a, b, c in zip(rows.codes_NC, rows.style_NC, rows.cursor_N)}
    assert len(keys) == len(rows.codes_NC)


def test_no_steps_decode_to_nothing(table: pa.Table) -> None:
    grids = decode_frames(table.slice(0, 0), GEOMETRY)
    assert grids.codes_TRC.shape == (0, *GEOMETRY)
    assert decode_rows(table.slice(0, 0), GEOMETRY).ids_TR.shape == (0, GEOMETRY.rows)


def test_another_geometry_is_refused(table: pa.Table) -> None:
    with pytest.raises(CorruptError, match="rows"):
        decode_frames(table, Geometry(7, 24))
    with pytest.raises(CorruptError, match="cells"):
        decode_frames(table, Geometry(6, 8))


def test_texts_of_every_kind() -> None:
    texts = ["", "abc", "漢字", "a漢b", "é", "😀", "x" * 24]
    codes = decode_texts(pa.array(texts), 24)
    assert codes.tolist() == [cells_of(text, 24) for text in texts]


@pytest.mark.parametrize("limit", [None, 256])
def test_a_combining_mark_takes_no_cell(limit: int | None) -> None:
    marked = ["e\u0301", "", "x" * 23 + "e\u0301\u0302", "", "漢\u0301a❤\ufe0f", "", "a" * 22 + "漢\u0301"]
    plain = ["e", "", "x" * 23 + "e", "", "漢a❤", "", "a" * 22 + "漢"]
    assert (decode_texts(pa.array(marked), 24, limit) == decode_texts(pa.array(plain), 24, limit)).all()
