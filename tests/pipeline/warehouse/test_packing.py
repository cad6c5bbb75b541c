"""Builds that pack: in a bucket, beside readers of the database before, around damaged and withdrawn film."""

import errno
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.shards import writer
from pipeline.shards.manifest import manifests, remedy
from pipeline.shards.store import Store
from pipeline.shards.writer import WITHDRAWN, refuse
from pipeline.warehouse import build as building
from pipeline.warehouse import catalogue, compact, sweep
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import is_packed
from pipeline.warehouse.database import open_database
from pipeline.warehouse.splits import natural_split
from pipeline.warehouse.views import MARKS
from schema.catalogue import FOLDER, INNER
from schema.errors import CorruptError
from schema.manifest import PACKS, Manifest
from tests.pipeline.warehouse.films import TINY, write
from tests.takes import make_takes
from training.data.splits import Segment
from training.data.tokenizer import Tokenizer
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

pytestmark = pytest.mark.usefixtures("tiny")
NAMES = [name for name in (f"o/{number}" for number in range(40)) if natural_split(name) == "train"]  # of one pile


def steps(warehouse: Path | str | Store) -> dict[str, int]:
    """repo_id -> how many steps the view holds."""
    with open_database(warehouse if isinstance(warehouse, Store) else Store(warehouse)) as db:
        return dict(db.execute("SELECT repo_id, count(*) FROM steps GROUP BY ALL").fetchall())


def packed(warehouse: Path) -> set[str]:
    """Streams of which any file is a pack."""
    streams = manifests(Store(warehouse))
    return {stream.repo_id for stream in streams if any(is_packed(ref.path) for ref in stream.files())}


def length(repo_id: str, episodes: int) -> int:
    return sum(take.episode.steps for take in make_takes(episodes, repo_id=repo_id))


def test_small_streams_of_a_bucket_are_packed(bucket: str) -> None:
    store = Store(f"{bucket}/packed")
    for name in NAMES[:4]:
        write(store, name, 2)
        build(store)
    assert store.names(PACKS)
    assert {is_packed(ref.path) for stream in manifests(store) for ref in stream.files()} == {True, False}
    assert steps(store) == {name: length(name, 2) for name in NAMES[:4]}


def test_a_reader_of_the_database_before_is_not_disturbed_by_a_build_that_packs(tmp_path: Path) -> None:
    for name in NAMES[:2]:
        write(tmp_path, name, 2)
    build(tmp_path)
    build(tmp_path)
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{tmp_path}/actions.db' AS film (READ_ONLY)")
        before = db.execute("FROM film.steps ORDER BY ALL").fetchall()
        write(tmp_path, NAMES[0], 4)  # its tail is superseded
        write(tmp_path, NAMES[2], 2)  # fills a pile
        build(tmp_path)
        assert list((tmp_path / PACKS).iterdir())
        assert db.execute("FROM film.steps ORDER BY ALL").fetchall() == before
    build(tmp_path)
    assert not list(tmp_path.glob("shards/**/*.parquet"))


def pack_twice(warehouse: Path | Store) -> None:
    """Two builds with film that is new: what was packed lies in other packs, and the files of before are swept."""
    for more in range(2):
        for name in NAMES[4 * more + 4 : 4 * more + 8]:
            write(warehouse, name, 2)
        build(warehouse)
    build(warehouse)


def elsewhere(ask: Callable[[], Any]) -> Any:
    """What is read by another thread, which has no file open."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


def read_all(reader: FilmReader, stream: int) -> tuple[list[int], list[int]]:
    """Keys of a stream, and its screens' cells, group by group."""
    groups = list(reader.groups(stream))
    return [key for group in groups for key in group.action_U.tolist()], [
        int(cell) for group in groups for cell in group.cells_NC[group.ids_UR].sum((1, 2))
    ]


def test_a_trainer_that_stays_open_finds_film_where_it_was_packed(tmp_path: Path) -> None:
    for name in NAMES[:4]:
        write(tmp_path, name, 2)
    build(tmp_path)
    expected = {number: read_all(FilmReader(Warehouse(tmp_path)), number) for number in range(4)}
    opened = FilmReader(Warehouse(tmp_path), cache_bytes=1)
    used = opened.window(0, 0, 5)  # of the first stream it knows where steps lie, of the others not
    files = {group.path for stream in opened.streams for group in stream.groups}
    rows = sum(len(table) for table in opened.warehouse.tables(NAMES[0], "episodes"))
    pack_twice(tmp_path)
    assert not any((tmp_path / path).exists() for path in files)
    assert elsewhere(lambda: opened.window(0, 0, 5)).cells_TRC.tolist() == used.cells_TRC.tolist()
    for number in range(4):
        assert elsewhere(partial(read_all, opened, number)) == expected[number]
        part = Segment(number, 3, opened.lengths[number] - 1)
        assert opened.actions(part).tolist() == expected[number][0][3:-1]
    assert sum(len(table) for table in opened.warehouse.tables(NAMES[0], "episodes")) == rows


def test_film_in_tokens_is_found_where_it_was_packed_too(tmp_path: Path) -> None:
    for name in NAMES[:4]:
        write(tmp_path, name, 2)
    build(tmp_path)
    keys = [FilmReader(Warehouse(tmp_path)).actions(Segment(n, 0, 60)).astype(np.uint8).tobytes() for n in range(4)]
    reader = FilmReader(Warehouse(tmp_path), cache_bytes=1, tokenizer=Tokenizer.fit(keys, 270))
    expected, lengths = read_all(reader, 1), reader.lengths
    pack_twice(tmp_path)
    assert elsewhere(lambda: read_all(reader, 1)) == expected
    assert lengths[1] == len(expected[0]) < Warehouse(tmp_path).streams[1].steps


def test_groups_go_on_where_film_of_a_bucket_was_packed_meanwhile(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHARD_STEPS", 1)
    monkeypatch.setattr(sweep, "DAY", -1.0)
    store = Store(f"{bucket}/moved")
    write(store, NAMES[0], 4)  # four shards, each with a row group of its own
    build(store)
    expected = read_all(FilmReader(Warehouse(f"{bucket}/moved")), 0)[0]
    reader = FilmReader(Warehouse(f"{bucket}/moved"))
    paths = {group.path for group in reader.streams[0].groups}
    groups = reader.groups(0)
    keys = next(groups).action_U.tolist()
    write(store, NAMES[0], 6)  # it grows, too
    pack_twice(store)
    assert paths.isdisjoint(store.names(PACKS))
    for group in groups:
        keys += group.action_U.tolist()
    assert keys == expected


@pytest.mark.parametrize("first", [0, 1, None])  # the stream that is read first after that, and finds out
@pytest.mark.parametrize("anew", [False, True])
def test_a_trainer_says_that_film_was_withdrawn_or_made_anew(tmp_path: Path, first: int | None, anew: bool) -> None:
    for name in NAMES[:4]:
        write(tmp_path, name, 2)
    build(tmp_path)
    reader = FilmReader(Warehouse(tmp_path), cache_bytes=1)
    files = [stream.groups[0].path for stream in reader.streams]  # it knows where they lie
    refuse(tmp_path, NAMES[1], TINY, "opt-out")
    if anew:
        write(tmp_path, NAMES[1], 9)
    pack_twice(tmp_path)
    assert not any((tmp_path / path).exists() for path in files)
    if first is not None:
        with pytest.raises(CorruptError) if first == 1 else nullcontext():
            elsewhere(lambda: reader.window(first, 0, 5))
    words = f"film of {NAMES[1]} was withdrawn or made anew since the warehouse was opened: open it again"
    for ask in (
        lambda: reader.window(1, 0, 5),
        lambda: reader.actions(Segment(1, 0, 20)),
        lambda: list(reader.groups(1)),
        lambda: list(reader.warehouse.tables(NAMES[1], "steps")),
    ):
        with pytest.raises(CorruptError, match=words):
            elsewhere(ask)
    assert len(elsewhere(lambda: reader.window(0, 0, 5)).action_T) == 5


def test_a_trainer_says_that_a_file_is_lost(tmp_path: Path) -> None:
    for name in NAMES[:4]:
        write(tmp_path, name, 2)
    build(tmp_path)
    reader = FilmReader(Warehouse(tmp_path), cache_bytes=1)
    lost = reader.streams[1].groups[0].path
    (tmp_path / lost).unlink()
    with pytest.raises(CorruptError, match=f"{lost}: not there; run: python -m pipeline.warehouse verify"):
        reader.window(1, 0, 5)
    with pytest.raises(CorruptError, match="not there"):
        list(reader.warehouse.tables(NAMES[1], "steps"))


@pytest.mark.parametrize(("kind", "damage"), [("steps", "cut"), ("blobs", "cut"), ("episodes", "missing")])
def test_a_damaged_stream_is_named_and_keeps_no_other_from_being_packed(tmp_path: Path, kind: str, damage: str) -> None:
    for name in NAMES[:2]:
        write(tmp_path, name, 2)
    build(tmp_path)
    broken = next(stream for stream in manifests(Store(tmp_path)) if stream.repo_id == NAMES[0])
    path = tmp_path / broken.shards[0].files[kind].path
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    if damage == "missing":
        path.unlink()
    write(tmp_path, NAMES[2], 2)
    (message,) = (line for line in build(tmp_path).messages if "cannot be read" in line)
    assert str(path) in message
    assert "\n" not in message
    assert packed(tmp_path) == {NAMES[1], NAMES[2]}
    path.write_bytes(content)
    write(tmp_path, NAMES[3], 2)
    write(tmp_path, NAMES[4], 2)
    assert not [line for line in build(tmp_path).messages if "cannot be read" in line]
    assert steps(tmp_path) == {name: length(name, 2) for name in NAMES[:5]}
    assert NAMES[0] in packed(tmp_path)


def test_a_damaged_pack_is_one_line_for_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES[:3]:
        write(tmp_path, name, 2)
    build(tmp_path)
    (path,) = (tmp_path / PACKS).glob("*.steps.parquet")
    path.write_bytes(path.read_bytes()[:99])
    assert main(["compact", "--warehouse", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert said.count("\n") == 1


def test_a_build_on_another_machine_leaves_a_pack_whose_manifests_are_to_come(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{bucket}/shared"
    for name in NAMES[:3]:
        write(place, name, 2)
    publish_all = compact.publish_all

    def meanwhile(store: Store, streams: Sequence[Manifest]) -> None:
        monkeypatch.setattr(compact, "publish_all", publish_all)
        write(place, NAMES[3], 2)
        build(place)
        publish_all(store, streams)

    monkeypatch.setattr(compact, "publish_all", meanwhile)
    build(place)
    store = Store(place)
    assert all(store.exists(ref.path) for stream in manifests(store) for ref in stream.files())
    build(place)
    assert steps(place) == {name: length(name, 2) for name in NAMES[:4]}


def test_what_a_bucket_superseded_goes_after_a_day(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"{bucket}/later")
    for name in NAMES[:3]:
        write(store, name, 2)
        build(store)
    for _ in range(2):
        build(store)
    assert [name for name in store.names("shards", recursive=True) if name.endswith(".parquet")]
    monkeypatch.setattr(Store, "age", lambda *_: 86_401.0)
    build(store)
    assert not [name for name in store.names("shards", recursive=True) if name.endswith(".parquet")]
    assert len(store.names(MARKS)) == len({name.split("(")[1].split()[0] for name in store.names(MARKS)})
    assert steps(store) == {name: length(name, 2) for name in NAMES[:3]}


def withdrawn_rows(warehouse: Path, repo_id: str) -> set[str]:
    """Files, listed or not, with a row of film of the stream, or with a content that streams of two episodes lack."""
    found = set()
    for path in warehouse.rglob("*.parquet"):
        table = pq.read_table(path)
        names = table.column("repo_id").to_pylist() if "repo_id" in table.column_names else []
        contents = table.column("content").to_pylist() if "content" in table.column_names else []
        registered = ".repositories" in path.name or path.parent.name == "repositories"
        refused = path.name.endswith(".drops.parquet") and "catalogue" in path.parts  # that it is not filmed stays
        if (repo_id in names and not registered and not refused) or b"file 3\n" in contents:
            found.add(str(path.relative_to(warehouse)))
    return found


@pytest.mark.parametrize("gone", [NAMES[:1], NAMES[1:3], NAMES[:3]])
@pytest.mark.parametrize("rule", WITHDRAWN)
def test_withdrawn_film_leaves_the_disk_with_two_builds(tmp_path: Path, gone: list[str], rule: str) -> None:
    for name in NAMES[:3]:
        write(tmp_path, name, 4 if name in gone else 2)
    build(tmp_path)
    assert all(withdrawn_rows(tmp_path, name) for name in gone)
    for name in gone:
        refuse(tmp_path, name, TINY, rule)
    build(tmp_path)
    build(tmp_path)
    assert not [path for name in gone for path in withdrawn_rows(tmp_path, name)]
    assert steps(tmp_path) == {name: length(name, 2) for name in NAMES[:3] if name not in gone}


def test_film_that_was_packed_once_leaves_the_pack_when_it_is_withdrawn(tmp_path: Path) -> None:
    for name in NAMES[:3]:
        write(tmp_path, name, 4 if name == NAMES[0] else 2)
    build(tmp_path)
    write(tmp_path, NAMES[0], 6)  # in a file of its own by now
    build(tmp_path)
    refuse(tmp_path, NAMES[1], TINY, "licence")  # a neighbour that is kept, as partial
    refuse(tmp_path, NAMES[0], TINY, "opt-out")
    build(tmp_path)
    build(tmp_path)
    assert not withdrawn_rows(tmp_path, NAMES[0])
    assert steps(tmp_path) == {name: length(name, 2) for name in NAMES[1:3]}


def test_a_kill_before_the_neighbours_of_withdrawn_film_are_packed_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES[:3]:
        write(tmp_path, name, 4 if name == NAMES[0] else 2)
    build(tmp_path)
    build(tmp_path)
    refuse(tmp_path, NAMES[0], TINY, "opt-out")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "pack", killed)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path)
    build(tmp_path)
    build(tmp_path)
    assert not withdrawn_rows(tmp_path, NAMES[0])
    before = (tmp_path / "actions.db").stat().st_mtime_ns
    build(tmp_path)
    assert (tmp_path / "actions.db").stat().st_mtime_ns == before  # there is an end to it


@pytest.mark.parametrize("damage", ["missing", "cut"])
@pytest.mark.parametrize("table", catalogue.KNOWN)
def test_a_lost_or_cut_segment_is_made_up_for(tmp_path: Path, table: str, damage: str) -> None:
    for name in NAMES[:4]:
        write(tmp_path, name, 2)
    build(tmp_path)
    build(tmp_path)
    (path,) = (tmp_path / FOLDER).glob(f"*.{table}.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    if damage == "missing":
        path.unlink()
    write(tmp_path, NAMES[4], 2)
    assert build(tmp_path).streams == 5
    assert steps(tmp_path) == {name: length(name, 2) for name in NAMES[:5]}


def test_a_segment_that_is_damaged_within_is_one_line_with_a_remedy_that_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[:4]:
        write(tmp_path, name, 2)
    build(tmp_path)
    build(tmp_path)
    (path,) = (tmp_path / FOLDER).glob("*.repositories.parquet")
    content = bytearray(path.read_bytes())
    content[4:120] = bytes(116)  # page headers and pages; the footer is whole
    path.write_bytes(content)
    refuse(tmp_path, "o/refused", TINY, "licence")
    with pytest.raises(CorruptError, match="cannot be read") as error:
        build(tmp_path)
    assert str(error.value).endswith(f"run: python -m pipeline.warehouse build --warehouse {tmp_path}")
    assert not list(tmp_path.glob(".tmp-*"))
    assert main(["build", "--warehouse", str(tmp_path)]) == 0
    assert "5 streams" in capsys.readouterr().out
    assert steps(tmp_path) == {name: length(name, 2) for name in NAMES[:4]}


def test_a_moved_and_read_only_warehouse_of_an_older_gitreel_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES[:4]:
        write(tmp_path / "w", name, 2)
    with monkeypatch.context() as patch:  # it had no segments
        patch.setattr(catalogue, "RECENT", 99)
        build(tmp_path / "w")
    with duckdb.connect(str(tmp_path / "w/actions.db")) as db:  # as it was: two columns in `about`, no catalogue
        db.execute(f"DROP SCHEMA {INNER} CASCADE")
        db.execute("CREATE OR REPLACE TABLE about AS SELECT schema_version, home FROM about")
    moved = (tmp_path / "w").rename(tmp_path / "moved")
    publish = Store.publish

    def read_only(self: Store, staged: Path, name: str) -> None:
        if self.local == moved:
            raise self.refused(name, OSError(errno.EROFS, "read-only"))
        publish(self, staged, name)

    monkeypatch.setattr(Store, "publish", read_only)
    assert steps(moved) == {name: length(name, 2) for name in NAMES[:4]}
    assert "reads a copy" in capsys.readouterr().err
    assert not list(moved.glob(f"{FOLDER}/*.parquet"))


def test_a_damaged_pack_is_no_reason_to_remove_the_others() -> None:
    assert "remove the folder packs" not in remedy("packs/0123.steps.parquet")
    assert "which python -m pipeline.warehouse verify names" in remedy("packs/0123.steps.parquet")
    assert "remove the folder shards/o+a " in remedy("shards/o+a/00000.steps.parquet")
