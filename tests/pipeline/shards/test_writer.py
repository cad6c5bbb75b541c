"""The stream writer: deterministic files, resume from anywhere, nothing half-written."""

import errno
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.shards import shard_file as shardfile
from pipeline.shards import writer as shards
from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from pipeline.shards.writer import Outdated, StreamWriter, refuse
from schema.columns import TABLES, arrow_schema
from schema.config import ReplayConfig
from schema.errors import ConfigError, CorruptError, SchemaVersionError, WarehouseError
from schema.manifest import MANIFEST, PENDING, Manifest, stream_folder
from schema.records import Opened
from tests.disk import small_disk
from tests.takes import FilmedCommit, make_takes

REPO = "owner/name"
CONFIG = ReplayConfig(rows=6, cols=24)
FOLDER = stream_folder(REPO)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 300 steps and row groups of 64, so that small films cross every border."""
    monkeypatch.setattr(shards, "SHARD_STEPS", 300)
    monkeypatch.setattr(shardfile, "GROUP_STEPS", 64)
    monkeypatch.setattr(shardfile, "GROUP_BLOB_BYTES", 60)
    monkeypatch.setattr(shardfile, "GROUP_RECORDS", 3)


def write(warehouse: Path, takes: Iterable[FilmedCommit], **options: object) -> Manifest:
    with StreamWriter(warehouse, REPO, CONFIG, **options) as writer:
        for take in takes:
            writer.append(take)
    return writer.manifest


def listed(warehouse: Path) -> dict[str, bytes]:
    """Name -> bytes of the manifest and of every file that it names."""
    manifest = load(Store(warehouse), f"{FOLDER}/{MANIFEST}")
    assert manifest is not None
    names = [f"{FOLDER}/{MANIFEST}", *(ref.path for ref in manifest.files())]
    return {name: (warehouse / name).read_bytes() for name in names}


def temporary(warehouse: Path) -> list[str]:
    return [p.name for p in warehouse.rglob(".tmp-*")]


def test_stream_is_the_same_however_often_it_grew(tmp_path: Path) -> None:
    takes = list(make_takes(31))
    write(tmp_path / "once", takes)
    done = 0
    for end in (1, 2, 4, 5, 9, 10, 11, 19, 25, 31):
        with StreamWriter(tmp_path / "often", REPO, CONFIG) as writer:
            assert (writer.resume_point.episode if writer.resume_point else -1) == done - 1
            for take in takes[done:end]:
                writer.append(take)
        done = end
    assert listed(tmp_path / "often") == listed(tmp_path / "once")


def test_row_tables_do_not_show_in_the_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one", make_takes(12, new_table_every=100))
    write(tmp_path / "many", make_takes(12, new_table_every=1))
    assert listed(tmp_path / "one") == listed(tmp_path / "many")


def test_steps_hold_the_film(tmp_path: Path) -> None:
    takes = list(make_takes(9))
    manifest = write(tmp_path, takes)
    tables = [pq.read_table(tmp_path / s.files["steps"].path) for s in manifest.shards]
    rows = [row for table in tables for row in table.to_pylist()]
    expected = []
    for take in takes:
        if take.film is None:
            continue
        for t, numbers in enumerate(take.film.frames.tolist()):
            expected.append(
                {
                    "repo_id": REPO,
                    "stream_step": take.episode.first_step + t,
                    "episode": take.episode.episode,
                    "frame": [take.table.texts[n] for n in numbers],
                    "style": [
                        {"row": y, "start": a, "length": b, "style": c}
                        for y, n in enumerate(numbers)
                        for a, b, c in take.table.runs.get(n, ())
                    ],
                    "cursor_row": int(take.film.cursor_row_T[t]),
                    "cursor_col": int(take.film.cursor_col_T[t]),
                    "action": int(take.film.action_T[t]),
                    "phase": int(take.film.phase_T[t]),
                }
            )
    assert rows == expected


def test_files_have_the_schema_and_say_how_they_were_made(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_takes(6))
    for kind, ref in manifest.shards[0].files.items():
        schema = pq.read_schema(tmp_path / ref.path)
        assert [f.name for f in schema] == [c.name for c in TABLES[kind]]
        assert [f.nullable for f in schema] == [c.nullable for c in TABLES[kind]]
        metadata = {k.decode(): v.decode() for k, v in schema.metadata.items()}
        assert metadata["schema_version"] == "1.0"
        assert (metadata["rows"], metadata["cols"]) == ("6", "24")
        assert metadata["config_hash"] == CONFIG.digest
        assert {"tool_version", "vim_version", "width_hash"} <= metadata.keys()
    assert pq.read_schema(tmp_path / manifest.shards[0].files["steps"].path).field("frame").type == (
        arrow_schema("steps").field("frame").type
    )


def test_shards_close_at_the_first_episode_end_past_the_limit(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_takes(31))
    assert [s.closed for s in manifest.shards] == [True] * (len(manifest.shards) - 1) + [False]
    for shard in manifest.shards[:-1]:
        assert 300 <= shard.steps < 300 + 50
    assert [s.first_step for s in manifest.shards[1:]] == [s.first_step + s.steps for s in manifest.shards[:-1]]


def test_closed_shards_are_never_written_again(tmp_path: Path) -> None:
    takes = list(make_takes(31))
    first = write(tmp_path, takes[:25])
    closed = [ref for s in first.shards if s.closed for ref in s.files.values()]
    stamps = {ref.path: (tmp_path / ref.path).stat().st_mtime_ns for ref in closed}
    write(tmp_path, takes[25:])
    assert stamps == {path: (tmp_path / path).stat().st_mtime_ns for path in stamps}


def test_nothing_new_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, make_takes(8))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*")}
    write(tmp_path, [])
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*")}


def test_a_content_is_stored_once_in_a_stream(tmp_path: Path) -> None:
    takes = list(make_takes(31))
    again = [t._replace(blobs=t.blobs + takes[0].blobs) if t.film else t for t in takes]
    manifest = write(tmp_path, again[:20])
    manifest = write(tmp_path, again[20:])
    stored = [
        blob
        for s in manifest.shards
        if "blobs" in s.files
        for blob in pq.read_table(tmp_path / s.files["blobs"].path).column("blob").to_pylist()
    ]
    assert sorted(stored) == sorted({blob for t in takes for blob, _ in t.blobs})


def parted(commits: Collection[str]) -> Outdated:
    """For a history of these commits."""

    def outdated(stream: Manifest, in_place: bool) -> str:
        return "" if stream.resume and stream.resume.commit in commits else "rewritten"

    return outdated


def test_rewritten_history_replaces_the_stream_at_once(tmp_path: Path) -> None:
    write(tmp_path / "w", make_takes(31))
    old = listed(tmp_path / "w")
    other = list(make_takes(31, seed=7))
    outdated = parted({t.episode.commit for t in other})
    writer = StreamWriter(tmp_path / "w", REPO, CONFIG, outdated=outdated)
    assert writer.resume_point is None
    for take in other[:20]:
        writer.append(take)
    assert listed(tmp_path / "w") == old  # readers still see the old stream
    writer.abandon()
    with StreamWriter(tmp_path / "w", REPO, CONFIG, outdated=outdated) as writer:
        assert writer.replacing
        assert writer.resume_point is not None  # closed shards of the replacement survived
        for take in other[writer.resume_point.episode + 1 :]:
            writer.append(take)
    write(tmp_path / "fresh", other)
    fresh, replaced = listed(tmp_path / "fresh"), listed(tmp_path / "w")
    assert [b for n, b in fresh.items() if MANIFEST not in n] == [b for n, b in replaced.items() if MANIFEST not in n]
    assert not (tmp_path / "w" / FOLDER / PENDING).exists()


def test_a_replacement_stopped_half_way_leaves_the_old_stream(tmp_path: Path) -> None:
    write(tmp_path, make_takes(12))
    old = listed(tmp_path)
    other = list(make_takes(12, seed=7))
    writer = StreamWriter(tmp_path, REPO, CONFIG, outdated=parted({t.episode.commit for t in other}))
    for take in other[:6]:
        writer.append(take)
    writer.close("partial")
    assert listed(tmp_path) == old


def test_an_exception_commits_no_open_shard(tmp_path: Path) -> None:
    takes = list(make_takes(31))

    def stopped() -> Iterator[FilmedCommit]:
        yield from takes[:20]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, stopped())
    assert temporary(tmp_path) == []
    with StreamWriter(tmp_path, REPO, CONFIG) as writer:
        start = writer.resume_point
        assert start is not None
        for take in takes[start.episode + 1 :]:
            writer.append(take)
    write(tmp_path / "once", takes)
    assert list(listed(tmp_path).values()) == list(listed(tmp_path / "once").values())


def _endless(warehouse: str) -> None:
    shards.SHARD_STEPS, shardfile.GROUP_STEPS = 300, 64
    shardfile.GROUP_BLOB_BYTES, shardfile.GROUP_RECORDS = 60, 3
    while True:
        with StreamWriter(warehouse, REPO, CONFIG) as writer:
            start = writer.resume_point.episode + 1 if writer.resume_point else 0
            for take in list(make_takes(min(start + 7, 200)))[start:]:
                writer.append(take)


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for wait in (0.05, 0.08, 0.11, 0.14):
        process = context.Process(target=_endless, args=(str(tmp_path / "killed"),))
        process.start()
        time.sleep(wait)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    takes = list(make_takes(200))
    with StreamWriter(tmp_path / "killed", REPO, CONFIG) as writer:
        start = writer.resume_point.episode + 1 if writer.resume_point else 0
        for take in takes[start:]:
            writer.append(take)
    write(tmp_path / "once", takes)
    assert listed(tmp_path / "killed") == listed(tmp_path / "once")
    assert temporary(tmp_path / "killed") == []


def test_two_writers_of_one_stream_are_refused(tmp_path: Path) -> None:
    with StreamWriter(tmp_path, REPO, CONFIG), pytest.raises(WarehouseError, match="another process holds this lock"):
        StreamWriter(tmp_path, REPO, CONFIG)
    StreamWriter(tmp_path, REPO, CONFIG).close()


def test_other_settings_are_refused(tmp_path: Path) -> None:
    write(tmp_path, make_takes(3))
    with pytest.raises(ConfigError, match="--repo PATH --geometry 6x30 --warehouse NEW_FOLDER"):
        StreamWriter(tmp_path, REPO, ReplayConfig(rows=6, cols=30))


def test_a_damaged_tail_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_takes(3))
    path = tmp_path / manifest.shards[0].files["steps"].path
    path.write_bytes(path.read_bytes()[:-10] + bytes(10))
    with pytest.raises(CorruptError, match="sha256"), StreamWriter(tmp_path, REPO, CONFIG) as writer:
        writer.append(list(make_takes(4))[3])


@pytest.mark.parametrize(
    ("text", "error"),
    [(b"{", CorruptError), (b"{}", SchemaVersionError), (b'{"schema_version": "2.0"}', SchemaVersionError)],
)
def test_a_damaged_or_foreign_manifest_is_refused(tmp_path: Path, text: bytes, error: type[Exception]) -> None:
    write(tmp_path, make_takes(3))
    (tmp_path / FOLDER / MANIFEST).write_bytes(text)
    with pytest.raises(error):
        StreamWriter(tmp_path, REPO, CONFIG)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    takes = list(make_takes(31))
    write(tmp_path, takes[:10])
    before = listed(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "write_table", full)
        with pytest.raises(WarehouseError, match="No space left on device"):
            write(tmp_path, takes[10:])
    assert listed(tmp_path) == before
    assert temporary(tmp_path) == []
    write(tmp_path, takes[10:])
    write(tmp_path / "once", takes)
    assert list(listed(tmp_path).values()) == list(listed(tmp_path / "once").values())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_small_disk_that_fills_up(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        with pytest.raises(WarehouseError, match="No space left"):
            write(disk, make_takes(200))
        assert temporary(disk) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_fills_up_while_the_tail_is_read_back(tmp_path: Path) -> None:
    """It is the disk that is at fault then, not the stored bytes."""
    write(tmp_path / "built", make_takes(8))
    with small_disk(tmp_path / "disk", "64k") as disk:
        shutil.copytree(tmp_path / "built", disk / "w")
        (disk / "fill").write_bytes(bytes(shutil.disk_usage(disk).free))
        with pytest.raises(WarehouseError, match="No space left"):
            write(disk / "w", list(make_takes(9))[8:])
        assert listed(disk / "w") == listed(tmp_path / "built")


def test_a_read_only_warehouse_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match="Not a directory"):
        StreamWriter(tmp_path / "file", REPO, CONFIG)


def test_a_refused_repository_is_registered(tmp_path: Path) -> None:
    refuse(tmp_path, REPO, CONFIG, "licence", source="https://example.org/owner/name", licence="GPL-3.0")
    manifest = load(Store(tmp_path), f"{FOLDER}/{MANIFEST}")
    assert manifest is not None
    assert (manifest.status, manifest.reason, manifest.licence) == ("refused", "licence", "GPL-3.0")


def test_refusing_later_keeps_what_was_filmed(tmp_path: Path) -> None:
    write(tmp_path, make_takes(3))
    refuse(tmp_path, REPO, CONFIG, "licence")
    manifest = load(Store(tmp_path), f"{FOLDER}/{MANIFEST}")
    assert manifest is not None
    assert manifest.steps > 0
    assert manifest.status == "partial"


def test_slugs_are_one_to_one() -> None:
    names = ["a/b", "a+b", "a%2Bb", "../x", ".", "..", "a b", "a~b", "x" * 300, "x" * 299 + "y", "é/漢"]
    folders = [stream_folder(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all(f.count("/") == 1 and "/." not in f and len(f) < 215 for f in folders)


def test_a_full_group_of_contents_read_back_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted by path the last content, which filled the group, may come first and fill it too early."""
    monkeypatch.setattr(shardfile, "GROUP_BLOB_BYTES", 60)
    contents = [("b", 30), ("c", 20), ("a", 50), ("d", 5)]
    takes = []
    for number, (take, (path, size)) in enumerate(zip(make_takes(4), contents, strict=True)):
        blob = f"{number:040x}"
        opened = (Opened(path=path, blob=blob),)
        episode = take.episode.model_copy(update={"opened": opened})
        takes.append(take._replace(episode=episode, blobs=[(blob, bytes([65 + number]) * size)]))
    for part in (takes[:3], takes[3:]):
        with StreamWriter(tmp_path / "grown", REPO, CONFIG) as writer:
            for take in part:
                writer.append(take)
    write(tmp_path / "once", takes)
    assert listed(tmp_path / "grown") == listed(tmp_path / "once")
