"""The streams of a warehouse: what is left out, and what is wrong, named with its file."""

import json
import re
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schema.errors import ConfigError, CorruptError, SchemaVersionError, WarehouseError
from schema.manifest import parse_manifest
from tests.training.warehouse import COLS, ROWS, write_warehouse
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader


def test_a_shards_footer_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(root)
    monkeypatch.setattr("training.data.warehouse.pq.read_metadata", None)
    assert FilmReader(warehouse, cache_bytes=1).window(0, 390, 20).action_T.size == 20


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


@pytest.mark.parametrize(
    "change",
    [
        *({"config": None}, {"config": {"rows": "x"}}, {"config": {"rows": 3}}, {"shards": [{}]}, {"shards": [None]}),
        *({"repo_id": None}, {"surprise": 1}),
    ],
    ids=str,
)
def test_a_manifest_that_is_none_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_warehouse(tmp_path, {"a/one": 300}) / "shards/a+one/stream.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    words = f"{path}: not a stream's manifest; remove its folder and harvest the repository again: "
    with pytest.raises(CorruptError, match=f"^{re.escape(words)}python -m flows.harvest --repo PATH$"):
        Warehouse(tmp_path)


def test_the_trainer_and_the_pipeline_read_one_manifest(tmp_path: Path) -> None:
    path = write_warehouse(tmp_path, {"a/one": 900}) / "shards/a+one/stream.json"
    manifest = parse_manifest(path.read_bytes(), str(path))
    warehouse = Warehouse(tmp_path)
    assert (manifest.steps, manifest.episodes) == (warehouse.steps, warehouse.episodes) == (900, 3)
    assert [file.path for file in manifest.files()] == list(dict.fromkeys(g.path for g in warehouse.streams[0].groups))
    assert manifest.dump() == path.read_bytes()


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


def test_a_shard_of_another_size_than_its_stream_is_refused(tmp_path: Path) -> None:
    write_warehouse(tmp_path, {"a/one": 300})
    say_size(tmp_path / "shards/a+one/00000.steps.parquet", b"cols", b"80")
    with pytest.raises(CorruptError, match="film at 8x80 in a stream of 8x24"):
        Warehouse(tmp_path)
