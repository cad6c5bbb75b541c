"""The catalogue: registering a stream reads that stream alone, and in the end it tells what one build tells."""

import os
import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipeline.shards.manifest import load, manifests
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter, refuse
from pipeline.warehouse import build as building
from pipeline.warehouse import catalogue, listing
from pipeline.warehouse import splits as families
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.database import open_database
from pipeline.warehouse.present import registered
from schema.catalogue import CHANGED, INNER
from schema.errors import CorruptError
from schema.manifest import MANIFEST, stream_folder
from tests.pipeline.warehouse import films
from tests.pipeline.warehouse.films import TINY, told, write
from tests.takes import make_takes


def from_nothing(warehouse: Path, copy: Path) -> dict[str, list[tuple[object, ...]]]:
    """What a database of the same streams tells that was built with nothing there."""
    shutil.copytree(warehouse, copy)
    (copy / "actions.db").unlink()
    shutil.rmtree(copy / "catalogue", ignore_errors=True)
    build(copy)
    return told(copy)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the files below `shards` and `packs` that are read."""
    found: set[str] = set()
    for name in ("read", "open"):
        method = getattr(Store, name)

        def reading(self: Store, path: str, method=method) -> object:
            if path.startswith(("shards/", "packs/")):
                found.add(path)
            return method(self, path)

        monkeypatch.setattr(Store, name, reading)
    return found


def test_registering_a_stream_reads_no_other_one(tmp_path: Path, reads: set[str]) -> None:
    for name in "abcde":
        write(tmp_path, name, 3)
    build(tmp_path)
    write(tmp_path, "new", 3)
    reads.clear()
    build(tmp_path)
    assert {name.split("/")[1] for name in reads} == {"new"}


def test_an_unchanged_build_writes_nothing_and_reads_no_manifest(tmp_path: Path, reads: set[str]) -> None:
    write(tmp_path, "a", 3)
    built = build(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    reads.clear()
    assert build(tmp_path)[:3] == built[:3]
    assert not reads
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.usefixtures("tiny")
def test_many_builds_tell_what_one_build_tells(tmp_path: Path) -> None:
    root = tmp_path / "w"
    for number, name in enumerate("abcdefghijkl"):
        write(root, f"o/{name}", 2 + number % 3)
        build(root, settle=number % 4 == 3)
    write(root, "fork/a", 2, family="o/a")  # another member of a family
    refuse(root, "o/refused", TINY, "licence")
    build(root)
    for name in "abk":  # in packs and segments by now
        write(root, f"o/{name}", 7)
        build(root)
    refuse(root, "o/c", TINY, "opt-out")
    build(root)
    found = told(root)
    assert list((root / "catalogue").glob("*.repositories.parquet"))
    assert list((root / "packs").iterdir())
    assert len(found["repositories"]) == 14
    assert found == from_nothing(root, tmp_path / "copy")
    assert registered(Store(root))


@pytest.mark.usefixtures("tiny")
def test_every_stream_is_whole_and_its_rows_are_its_own_wherever_they_lie(tmp_path: Path) -> None:
    alone = {}
    for name in "abcdefghi":
        write(tmp_path / "alone" / name, f"o/{name}", 6)
        (stream,) = manifests(Store(tmp_path / "alone" / name))
        reader = StreamReader(Store(tmp_path / "alone" / name), stream)
        alone[stream.repo_id] = [reader.steps(0, stream.steps).to_pylist(), list(reader.episodes()), stream.resume]
        write(tmp_path / "w", f"o/{name}", 6)
        build(tmp_path / "w")
    streams = list(manifests(Store(tmp_path / "w")))
    assert any(ref.skip for stream in streams for ref in stream.files())
    for stream in streams:
        reader = StreamReader(Store(tmp_path / "w"), stream)
        found = [reader.steps(0, stream.steps).to_pylist(), list(reader.episodes()), stream.resume]
        assert found == alone[stream.repo_id]


@pytest.mark.usefixtures("tiny")
def test_a_packed_stream_that_grows_has_the_bytes_of_one_that_was_never_packed(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "w", f"o/{name}", 4)
    build(tmp_path / "w")
    for place in ("w", "alone"):
        write(tmp_path / place, "o/b", 9)
    store, alone = Store(tmp_path / "w"), Store(tmp_path / "alone")
    name = f"{stream_folder('o/b')}/{MANIFEST}"
    assert load(store, name) == load(alone, name)
    files = [ref.path for stream in manifests(alone) for ref in stream.files()]
    assert [store.read(path) for path in files] == [alone.read(path) for path in files]


def test_film_that_was_packed_as_a_harvest_goes_is_what_its_keys_draw(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listing, "FIRST_STREAMS", 2)
    for number in range(4):
        films.film(history, tmp_path, f"a/{number}", upto=5)
        build(tmp_path)
    films.film(history, tmp_path, "a/0")
    build(tmp_path)
    assert list((tmp_path / "packs").iterdir())
    assert main(["verify", "--warehouse", str(tmp_path), "--sample", "0"]) == 0
    assert " 0 wrong" in capsys.readouterr().out


@pytest.mark.usefixtures("tiny")
def test_files_are_few_and_the_originals_go(tmp_path: Path) -> None:
    for number in range(24):
        write(tmp_path, f"o/{number}", 2)
        build(tmp_path)
    build(tmp_path)
    listed = {path for (path,) in _ask(tmp_path, "SELECT path FROM files")}
    kept = {
        str(path.relative_to(tmp_path)) for path in [*tmp_path.glob("shards/**/*.parquet"), *tmp_path.glob("packs/*")]
    }
    assert listed == kept
    assert len(listed) < 24
    assert len(list((tmp_path / "catalogue").glob("*.files.parquet"))) < 8


@pytest.mark.usefixtures("tiny")
def test_a_question_about_one_repository_reads_one_row_group(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path, f"o/{number}", 2)
    build(tmp_path)
    query = "EXPLAIN ANALYZE SELECT count(*) FROM steps WHERE repo_id = 'o/4'"
    ((_, plan),) = _ask(tmp_path, query)
    assert "Row Groups Scanned: 1 /" in str(plan)


def _ask(warehouse: Path, query: str) -> list[tuple[object, ...]]:
    with open_database(Store(warehouse)) as db:
        return db.execute(query).fetchall()


def test_a_stream_that_is_being_written_is_registered_again_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.shards.writer.SHARD_STEPS", 60)
    takes = list(make_takes(6, repo_id="a"))
    with StreamWriter(tmp_path, "a", TINY) as writer:
        for number, take in enumerate(takes):
            writer.append(take)
            if number == 3:
                build(tmp_path)
                assert _ask(tmp_path, "SELECT status FROM repositories") == [("partial",)]
                assert not registered(Store(tmp_path))
    build(tmp_path)
    assert _ask(tmp_path, "SELECT status, steps FROM repositories") == [
        ("complete", sum(take.episode.steps for take in takes))
    ]


@pytest.mark.usefixtures("tiny")
def test_a_build_killed_at_any_rename_is_made_up_for_and_its_database_answers(tmp_path: Path) -> None:
    for name in "abcde":
        write(tmp_path / "w", f"o/{name}", 3)
    build(tmp_path / "w")
    kills = 0
    while True:
        target = tmp_path / str(kills)
        shutil.copytree(tmp_path / "w", target, copy_function=os.link)
        build(target)
        before = told(target)
        write(target, "o/a", 6)  # out of its pack, and superseded in its segment
        write(target, "o/f", 3)  # fills a pack and a segment
        if not _killed(target, 5 * kills):
            break
        assert len(told(target)["steps"]) >= len(before["steps"])  # as it was, or with what is new
        build(target)
        assert not list((target / CHANGED).rglob("*+*"))
        if kills == 0:
            wanted = _comparable(from_nothing(target, tmp_path / "calm"))
        assert _comparable(told(target)) == wanted
        kills += 1
    assert kills > 3


def _comparable(tables: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """But for where a row lies: streams may be packed in another order."""
    return {name: rows for name, rows in tables.items() if name not in ("files", "shards")}


def _killed(warehouse: Path, rename: int) -> bool:
    """Build in a process that ends at its rename of this number; whether it came so far."""
    child = os.fork()
    if child == 0:
        renames, replace = 0, os.replace

        def dying(old: object, new: object) -> None:
            nonlocal renames
            if renames == rename:
                os._exit(9)
            renames += 1
            replace(old, new)  # type: ignore[arg-type]

        os.replace = dying  # type: ignore[assignment]
        try:
            building.build(warehouse)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.usefixtures("tiny")
def test_nothing_of_removed_film_stays_in_the_catalogue(tmp_path: Path) -> None:
    for name in "abcdef":
        write(tmp_path, f"o{name}/r", 3)
    build(tmp_path)
    assert main(["remove", "oa", "--warehouse", str(tmp_path)]) == 0
    named = [
        row["repo_id"]
        for path in (tmp_path / "catalogue").glob("*.episodes.parquet")
        for row in pq.read_table(path, columns=["repo_id"]).to_pylist()
    ]
    assert named
    assert "oa/r" not in named
    assert "oa/r" not in films.held(tmp_path)


def test_the_command_finds_streams_that_came_and_went_by_hand(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "w", name, 3)
    write(tmp_path / "other", "d", 3)
    build(tmp_path / "w")
    shutil.rmtree(tmp_path / "w/shards/b")
    shutil.copytree(tmp_path / "other/shards/d", tmp_path / "w/shards/d")
    assert main(["build", "--warehouse", str(tmp_path / "w")]) == 0
    assert _ask(tmp_path / "w", "SELECT DISTINCT repo_id FROM steps ORDER BY ALL") == [("a",), ("c",), ("d",)]


def test_a_warehouse_of_an_older_gitreel_is_opened_and_built(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, name, 3)
    build(tmp_path)
    wanted = told(tmp_path)
    path = tmp_path / "actions.db"
    with duckdb.connect(str(path)) as db:  # as it was: two columns in `about`, no catalogue
        db.execute(f"DROP SCHEMA {INNER} CASCADE")
        db.execute("CREATE OR REPLACE TABLE about AS SELECT schema_version, home FROM about")
        db.execute("ALTER TABLE files ADD COLUMN whole BOOLEAN DEFAULT true")
        for column in ("shard", "rows", "first_group", "groups", "skip"):
            db.execute(f"ALTER TABLE files DROP COLUMN {column}")
    with open_database(Store(tmp_path)) as old:
        assert old.execute("SELECT count(*) FROM steps").fetchall() == [(len(wanted["steps"]),)]
    write(tmp_path, "d", 3)
    build(tmp_path)
    assert {"a", "b", "c", "d"} == {row[0] for row in told(tmp_path)["repositories"]}
    assert told(tmp_path)["steps"][: len(wanted["steps"])] == wanted["steps"]


def test_splits_that_were_assigned_are_found_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "NEWEST", 3)
    store, wanted = Store(tmp_path), {}
    for number in range(10):
        added = {f"r{number}": "test" if number % 3 else "train"}
        families.write_registry(store, added)
        wanted |= added
    assert families.assigned(store, wanted) == wanted
    assert families.assigned(store, ["r0", "r7", "other"]) == {"r0": "train", "r7": "test"}
    for part in (store.local / families.REGISTRY_PARTS).iterdir():
        part.write_text("[]")
    with pytest.raises(CorruptError, match="remove it"):
        families.assigned(store, wanted)


@pytest.mark.parametrize("name", ["catalogue", "film", "main_film"])
def test_a_database_with_segments_is_attached_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(catalogue, "RECENT", 2)
    for repo in "abcde":
        write(tmp_path, repo, 2)
        build(tmp_path)
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{tmp_path}/actions.db' AS {name} (READ_ONLY)")
        db.execute(f"USE {name}")
        assert db.execute("SELECT count(*) FROM repositories").fetchone() == (5,)
