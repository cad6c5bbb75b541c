"""Packing small streams changes no row, and a packed stream grows on."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.catalogue import make
from pipeline.shards.manifest import manifests
from pipeline.shards.reader import SharedGroups, tables_of
from pipeline.shards.store import Store
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import pack
from tests.pipeline.warehouse.films import ORDERED, ask, film


def test_compact_changes_no_row(several: Path) -> None:
    before = ask(several, ORDERED)
    assert main(["compact", "--warehouse", str(several / "warehouse")]) == 0
    assert ask(several, ORDERED) == before
    assert ask(several, "SELECT count(DISTINCT path) FROM shards")[0][0] < 4
    assert main(["verify", "--warehouse", str(several / "warehouse"), "--sample", "0"]) == 0


def test_a_packed_stream_grows_on(several: Path, history: Path, tmp_path: Path) -> None:
    main(["compact", "--warehouse", str(several / "warehouse")])
    film(history, several / "warehouse", "d/d")
    build(several / "warehouse")
    assert main(["verify", "--warehouse", str(several / "warehouse"), "--sample", "0"]) == 0
    film(history, tmp_path / "at once" / "warehouse", "d/d")
    build(tmp_path / "at once" / "warehouse")
    query = "SELECT * FROM steps WHERE repo_id = 'd/d' ORDER BY stream_step"
    assert ask(several, query) == ask(tmp_path / "at once", query)
    rows = ask(several, ORDERED)
    main(["compact", "--warehouse", str(several / "warehouse")])
    main(["build", "--warehouse", str(several / "warehouse")])
    assert ask(several, ORDERED) == rows
    assert main(["verify", "--warehouse", str(several / "warehouse")]) == 0


def test_packs_are_packed_anew_reading_each_row_group_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = Store(tmp_path), Counter[tuple[int, int, int]]()
    make(store, 60)
    streams = list(manifests(store))
    row_group = pq.ParquetFile.read_row_group

    def counting(file: pq.ParquetFile, number: int, **options: object) -> object:
        read[file.metadata.num_rows, file.metadata.num_columns, number] += 1
        return row_group(file, number, **options)

    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetFile, "read_row_group", counting)
        assert pack(store, streams, least=1).streams == 60
    shared = {
        (ref.path, number)
        for m in streams
        for ref in m.files()
        for number in range(ref.row_groups[0], sum(ref.row_groups))
    }
    assert read.total() == len(shared)
    build(tmp_path)
    assert main(["verify", "--warehouse", str(tmp_path), "--sample", "1"]) == 0


def test_shared_row_groups_are_the_same_however_few_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make(store, 20)
    groups = SharedGroups(store, kept_bytes=0)
    for stream in manifests(store):
        for ref in stream.files():
            found, wanted = list(groups.tables(ref)), list(tables_of(store, ref))
            assert len(found) == len(wanted)
            assert all(one.equals(other) for one, other in zip(found, wanted, strict=True))
