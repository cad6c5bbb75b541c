"""Windows from shards: the same steps wherever they lie, deterministic, and clear about what is wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import training.data.windows
from schema.errors import ConfigError, CorruptError, SchemaVersionError, WarehouseError
from tests.training.warehouse import COLS, ROWS, make_stream, write_warehouse
from training.data.batches import Loader, Sampler, make_batch
from training.data.splits import Segment, split_segments
from training.data.tokenizer import Tokenizer
from training.data.warehouse import RowGroup, Warehouse
from training.data.windows import FilmReader, compact_frames


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two train streams, one validation, one test; shards of 400 steps in row groups of 150."""
    streams = {"a/long": 1000, "a/short": 90, "b/held": 500, "c/test": 300}
    splits = {"b/held": "validation", "c/test": "test"}
    return write_warehouse(tmp_path_factory.mktemp("w"), streams, splits)


@pytest.fixture(scope="module")
def reader(root: Path) -> FilmReader:
    return FilmReader(Warehouse(root))


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


def test_a_shards_footer_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(root)
    monkeypatch.setattr("training.data.warehouse.pq.read_metadata", None)
    assert FilmReader(warehouse, cache_bytes=1).window(0, 390, 20).action_T.size == 20


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


def test_starts_are_uniform_over_valid_starts_and_short_streams_counted() -> None:
    sampler = Sampler([Segment(0, 0, 10), Segment(1, 5, 8), Segment(2, 3, 9)], window=4)
    assert sampler.skipped == 1
    assert [sampler.place(n) for n in range(sampler.starts)] == [
        *[(0, s) for s in range(7)],
        *[(2, s) for s in range(3, 6)],
    ]


def test_draws_depend_on_seed_and_step_alone() -> None:
    segments = [Segment(0, 0, 10_000)]
    assert Sampler(segments, 16, seed=3).draw(7, 4) == Sampler(segments, 16, seed=3).draw(7, 4)
    assert Sampler(segments, 16, seed=3).draw(7, 4) != Sampler(segments, 16, seed=4).draw(7, 4)
    assert Sampler(segments, 16, seed=3).draw(7, 4) != Sampler(segments, 16, seed=3).draw(8, 4)


def test_ranks_share_out_the_global_batch(reader: FilmReader) -> None:
    sampler = Sampler([Segment(0, 0, 1000)], 8, seed=1)
    whole = make_batch(reader, sampler, 6, step=2).actions_BT
    for rank in range(2):
        mine = make_batch(reader, sampler, 6, 2, rank, 2).actions_BT
        np.testing.assert_array_equal(mine, whole[rank::2])


def test_the_loader_gives_steps_in_order_from_its_cursor(reader: FilmReader) -> None:
    sampler = Sampler([Segment(0, 0, 1000)], 8, seed=1)
    with Loader(reader, sampler, 4, first_step=5) as loader:
        batches = [batch for batch, _ in zip(loader, range(3), strict=False)]
    assert [batch.step for batch in batches] == [5, 6, 7]
    np.testing.assert_array_equal(batches[1].cells_BTRC, make_batch(reader, sampler, 4, 6).cells_BTRC)


def test_the_loader_hands_on_what_goes_wrong(reader: FilmReader) -> None:
    outside = Sampler([Segment(0, 0, 5000)], 4000)
    with Loader(reader, outside, 4) as loader, pytest.raises(IndexError):
        next(iter(loader))


def test_a_batch_must_divide_by_the_ranks(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="batch 5 does not divide by 2 ranks; use --batch 4"):
        Loader(reader, Sampler([Segment(0, 0, 1000)], 8), 5, world=2)


def test_splits_are_by_family_where_the_warehouse_has_them(reader: FilmReader) -> None:
    segments, words = reader.segments(window=32)
    assert [s.stream for s in segments["train"]] == [0, 1]
    assert segments["validation"] == [Segment(2, 0, 500)]
    assert segments["test"] == [Segment(3, 0, 300)]
    assert words.startswith("by family")


def test_one_repository_alone_holds_out_its_end_behind_a_gap() -> None:
    segments, _ = split_segments(["train"], [1000], window=30)
    assert segments == {"train": [Segment(0, 0, 870)], "validation": [Segment(0, 900, 1000)], "test": []}


def test_validation_windows_do_not_overlap_where_there_is_room() -> None:
    places = Sampler([Segment(0, 900, 1000)], 10).spread(24)
    starts = [start for _, start in places]
    assert starts == sorted(starts)
    assert min(np.diff(starts)) >= 10


def test_duplicates_are_left_out_and_told(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 200, "b/fork": 200})
    with duckdb.connect(str(root / "actions.db")) as db:
        db.execute("UPDATE repositories SET duplicate_of = 'a/one' WHERE repo_id = 'b/fork'")
    warehouse = Warehouse(root)
    assert [stream.repo_id for stream in warehouse.streams] == ["a/one"]
    assert warehouse.notes == ["b/fork: left out, duplicates a/one"]


def test_repositories_can_be_chosen(root: Path) -> None:
    assert [s.repo_id for s in Warehouse(root, ["b/held"]).streams] == ["b/held"]
    with pytest.raises(ConfigError, match="no film of d/none"):
        Warehouse(root, ["d/none"])


def test_a_window_longer_than_every_stream_is_refused(reader: FilmReader) -> None:
    segments, _ = reader.segments(5000)
    with pytest.raises(ConfigError, match=r"window of 5000 steps, .* longest stream of this split has 1000"):
        Sampler(segments["train"], 5000)


def test_no_warehouse_and_no_shards_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"no such warehouse; harvest first: python -m flows.harvest"):
        Warehouse(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"no shards; harvest first: python -m flows.harvest"):
        Warehouse(tmp_path)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaVersionError, match=r"schema version 2\.0"):
        Warehouse(write_warehouse(tmp_path, {"a/one": 100}, version="2.0"))


def test_a_truncated_shard_is_named(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 300})
    shard = root / "shards/a+one/00000.steps.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(CorruptError, match=r"00000.steps.parquet: not readable .*pipeline.warehouse verify"):
        Warehouse(root)


def test_damaged_pages_are_named_when_they_are_read(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 300})
    shard = root / "shards/a+one/00000.steps.parquet"
    data = bytearray(shard.read_bytes())
    data[8:1500] = bytes(1492)
    shard.write_bytes(data)
    with pytest.raises(CorruptError, match=r"00000.steps.parquet: not readable"):
        FilmReader(Warehouse(root)).window(0, 0, 200)


def rewrite(root: Path, name: str, value: object) -> Path:
    """Fill one column of a/one's first shard with a value."""
    path = root / "shards/a+one/00000.steps.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index(name)
    kind = pa.int32() if value == 300 else table.schema.field(place).type
    changed = table.set_column(place, name, pa.array([value] * len(table), kind))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path, row_group_size=150)
    return path


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("action", None, "150 values of action are missing"),
        ("action", 300, "action is int32, not uint8"),
        ("cursor_row", -1, "cursor_row is not between 0 and 7"),
        ("cursor_col", 24, "cursor_col is not between 0 and 23"),
        ("phase", 5, "phase is not between 0 and 4"),
        ("style", [{"row": 8, "start": 0, "length": 1, "style": 1}], "a run of style lies outside"),
        ("style", [{"row": 0, "start": 20, "length": 5, "style": 1}], "a run of style lies outside"),
        ("style", [{"row": 0, "start": 0, "length": 1, "style": 4}], "a run of style .* unknown style"),
        ("frame", ["x"] * 7, "not 8 each"),
        ("frame", ["x" * 25] * 8, "a row of 25 cells on a screen of 24"),
    ],
    ids=str,
)
def test_values_that_no_screen_has_are_named_with_their_file(
    tmp_path: Path, name: str, value: object, words: str
) -> None:
    rewrite(write_warehouse(tmp_path, {"a/one": 300}), name, value)
    with pytest.raises(CorruptError, match=f"a\\+one/00000.steps.parquet: row group 0: .*{words}"):
        FilmReader(Warehouse(tmp_path)).window(0, 0, 10)


def test_the_ends_of_the_screen_are_on_it(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 300})
    rewrite(root, "cursor_col", COLS - 1)
    rewrite(root, "style", [{"row": ROWS - 1, "start": COLS - 1, "length": 1, "style": 3}])
    assert FilmReader(Warehouse(root)).window(0, 0, 1).cells_TRC[0, -1, -1] >= 3 * 256


def test_a_shard_without_a_column_is_refused(tmp_path: Path) -> None:
    path = write_warehouse(tmp_path, {"a/one": 300}) / "shards/a+one/00000.steps.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["style"]), path, row_group_size=150)
    with pytest.raises(CorruptError, match=r"no column style; run: python -m pipeline\.warehouse verify /"):
        FilmReader(Warehouse(tmp_path)).window(0, 0, 10)


@pytest.mark.parametrize("change", [{"config": None}, {"config": {}}, {"shards": [{}]}, {"shards": [None]}], ids=str)
def test_a_manifest_that_is_none_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_warehouse(tmp_path, {"a/one": 300}) / "shards/a+one/stream.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CorruptError, match=r"stream.json: not a stream's manifest .*pipeline.warehouse verify"):
        Warehouse(tmp_path)


@pytest.mark.parametrize("root", ["foo://none/x", "s3://none-such/x"])
def test_an_address_that_cannot_be_reached_is_one_clear_line(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(WarehouseError, match=r"x: not reachable \(.*\); use a folder or s3://BUCKET/PREFIX"):
        Warehouse(root)


def test_film_in_a_bucket_is_read_as_from_a_folder(
    root: Path, reader: FilmReader, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    for path in (path for path in root.rglob("*") if path.is_file()):
        boto3.client("s3").upload_file(str(path), "film", f"training/{path.relative_to(root)}")
    monkeypatch.setitem(sys.modules, "s3fs", None)  # not needed
    stored = FilmReader(Warehouse(f"{bucket}/training"))
    assert stored.streams == reader.streams
    np.testing.assert_array_equal(stored.window(0, 390, 20).cells_TRC, reader.window(0, 390, 20).cells_TRC)
    with pytest.raises(WarehouseError, match=r"s3://film/none: no such warehouse; harvest first"):
        Warehouse(f"{bucket}/none")


def say_size(path: Path, name: bytes, size: bytes) -> None:
    """Let a shard's metadata name another size."""
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, name: size}
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=150)


def test_screens_of_two_sizes_are_refused(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path, {"a/one": 100, "b/two": 100})
    manifest = root / "shards/b+two/stream.json"
    manifest.write_text(manifest.read_text().replace('"rows": 8', '"rows": 12'))
    say_size(root / "shards/b+two/00000.steps.parquet", b"rows", b"12")
    with pytest.raises(ConfigError, match=r"screens of different sizes: 8x24 \(a/one\), 12x24 \(b/two\)"):
        Warehouse(root)


def test_tokens_keep_the_frames_where_they_start(root: Path) -> None:
    plain = FilmReader(Warehouse(root))
    keys = plain.actions(Segment(0, 0, 1000)).astype(np.uint8).tobytes()
    tokenizer = Tokenizer.fit([keys], 280)
    tokens = FilmReader(Warehouse(root), tokenizer=tokenizer)
    assert tokens.lengths[0] < 1000
    everything = tokens.window(0, 0, tokens.lengths[0])
    assert tokenizer.decode(everything.action_T) == keys
    starts = np.cumsum([0, *(len(tokenizer.tokens[a]) for a in everything.action_T[:-1])])
    for token in (0, 7, 100):
        np.testing.assert_array_equal(everything.cells_TRC[token], plain.window(0, int(starts[token]), 1).cells_TRC[0])


def test_longest_match_is_greedy_and_keeps_control_keys_single() -> None:
    tokenizer = Tokenizer([*(bytes([b]) for b in range(256)), b"re", b"return", b"urn"])
    ids, starts = tokenizer.encode(b"return re\x1b")
    assert [tokenizer.tokens[i] for i in ids] == [b"return", b" ", b"re", b"\x1b"]
    assert starts.tolist() == [0, 6, 7, 9]
    fitted = Tokenizer.fit([b"import os\r" * 50], 300)
    assert all(len(t) == 1 or min(t) >= 0x20 for t in fitted.tokens)
    assert any(len(t) > 2 for t in fitted.tokens)


def test_a_tokenizer_file_is_read_back(tmp_path: Path) -> None:
    tokenizer = Tokenizer([*(bytes([b]) for b in range(256)), b"caf\xc3\xa9"])
    tokenizer.save(tmp_path / "t.jsonl")
    assert Tokenizer.load(tmp_path / "t.jsonl").tokens == tokenizer.tokens
    (tmp_path / "t.jsonl").write_text("{")
    with pytest.raises(ConfigError, match="not a tokenizer file"):
        Tokenizer.load(tmp_path / "t.jsonl")


def test_a_shard_of_another_size_than_its_stream_is_refused(tmp_path: Path) -> None:
    write_warehouse(tmp_path, {"a/one": 300})
    say_size(tmp_path / "shards/a+one/00000.steps.parquet", b"cols", b"80")
    with pytest.raises(CorruptError, match="film at 8x80 in a stream of 8x24"):
        Warehouse(tmp_path)
