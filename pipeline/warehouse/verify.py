"""Checks a warehouse: files against checksums, counts, lineage, and a sample of film against its own script."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.shards.manifest import check
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from pipeline.warehouse import dataset
from pipeline.warehouse.compact import is_packed
from pipeline.warehouse.database import open_database
from pipeline.warehouse.dataset import FilePlace
from pipeline.warehouse.redraw import compare
from pipeline.warehouse.splits import parted
from schema.catalogue import DATABASE
from schema.errors import CorruptError, GitreelError, UnsupportedKeyError
from schema.manifest import FileRef, Manifest, stream_folder


class Verified(NamedTuple):
    """What was checked, and one line for each thing that is wrong."""

    streams: int
    files: int
    bytes: int
    episodes: int
    steps: int
    contents: int
    redrawn_episodes: int
    redrawn_steps: int
    wrong: list[str]


def verify(store: Store, streams: Sequence[Manifest], sample: int = 3, seed: int = 0) -> Verified:
    """Check every file and row of `streams`; redraw `sample` episodes of each (0: all of them).

    What is wrong is in the result, and stops nothing. Raises WarehouseError where files are there and cannot be read.
    """
    wrong: list[str] = []
    files = size = episodes = steps = contents = redrawn = redrawn_steps = 0
    packed = _packed(streams)
    checked: dict[str, str | None] = {}  # packed files are shared
    for stream in streams:
        bad = {}
        for ref in stream.files():
            if ref.path not in checked:
                files, size = files + 1, size + ref.bytes
                checked[ref.path] = _checksum(store, ref, packed.get(ref.path, []))
            if problem := checked[ref.path]:
                bad[ref.path] = problem
        if bad:
            wrong += bad.values()
            if any(map(is_packed, bad)):
                wrong.append(_again(store, stream))
            continue  # its rows cannot be trusted
        reader = StreamReader(store, stream)
        try:
            wrong += [f"{stream.repo_id}: {line}" for line in _lineage(stream, reader)]
            episodes, steps, contents = episodes + stream.episodes, steps + stream.steps, contents + _contents(reader)
            for episode, differing in compare(reader, _sample(reader, sample, f"{seed} {stream.repo_id}")):
                redrawn, redrawn_steps = redrawn + 1, redrawn_steps + episode.steps
                if differing:
                    wrong.append(
                        f"{stream.repo_id}: episode {episode.episode} ({episode.commit[:12]}): "
                        f"{differing} of {episode.steps} steps are not what its keys draw"
                    )
        except (CorruptError, UnsupportedKeyError) as error:
            wrong.append(f"{stream.repo_id}: {error}")
    wrong = list(dict.fromkeys(wrong)) + list(_database(store, streams, damaged=any(checked.values())))
    return Verified(len(streams), files, size, episodes, steps, contents, redrawn, redrawn_steps, wrong)


def _packed(streams: Iterable[Manifest]) -> dict[str, list[str]]:
    """Pack -> the streams that have rows in it."""
    found: dict[str, list[str]] = {}
    for stream in streams:
        for path in {ref.path for ref in stream.files() if is_packed(ref.path)}:
            found.setdefault(path, []).append(stream.repo_id)
    return found


def _checksum(store: Store, ref: FileRef, repos: Sequence[str]) -> str | None:
    """What is wrong with a file, None for nothing; `repos` are the streams of a pack."""
    advice = ""
    if repos:
        advice = (
            f"in it is film of {', '.join(repos)}: remove their folders, which are named below, then run: "
            f"python -m pipeline.warehouse build --warehouse {store}, then harvest them again"
        )
    try:
        check(store, ref, advice=advice)
    except CorruptError as error:
        return str(error)
    return None


def _again(store: Store, stream: Manifest) -> str:
    """How to film a stream of a damaged pack again."""
    source = stream.source if "://" in stream.source else "PATH"  # of a folder only its name is known
    folder = f"{store}/{stream_folder(stream.repo_id)}"
    return (
        f"{stream.repo_id}: remove the folder {folder}; when those of its whole pack are removed and "
        f"the warehouse is built: python -m flows.harvest --repo {source} --warehouse {store}"
    )


def _sample(reader: StreamReader, count: int, seed: str) -> list[int] | None:
    filmed = [e.episode for e in reader.episodes() if e.steps]
    if count == 0 or len(filmed) <= count:
        return None
    return random.Random(seed).sample(filmed, count)


def _lineage(stream: Manifest, reader: StreamReader) -> Iterator[str]:
    """Ordinals, step ranges, counts and contents agree between manifest, episodes, steps and blobs."""
    step, last = 0, None
    steps_of: list[int] = []
    opened: set[str] = set()
    for ordinal, episode in enumerate(reader.episodes()):
        if (episode.repo_id, episode.episode, episode.first_step) != (stream.repo_id, ordinal, step):
            yield f"episode {ordinal} says {episode.repo_id} {episode.episode}, first step {episode.first_step}"
            return
        step, last = step + episode.steps, episode
        steps_of.append(episode.steps)
        opened.update(o.blob for o in episode.opened if o.blob is not None)
    if (len(steps_of), step) != (stream.episodes, stream.steps):
        yield f"{len(steps_of)} episodes of {step} steps, its manifest says {stream.episodes} of {stream.steps}"
    if stream.resume != last:
        yield "its manifest resumes from another episode than the last one stored"
    ends = np.cumsum(steps_of)
    at = 0
    for group in reader.groups("steps"):
        table = reader.table(group, ["stream_step", "episode", "repo_id"])
        numbers = np.arange(at, at + len(table))
        if not np.array_equal(table.column("stream_step").to_numpy(), numbers):
            yield f"{group.path}: stream_step is not gap-free from {at}"
        if not np.array_equal(table.column("episode").to_numpy(), np.searchsorted(ends, numbers, side="right")):
            yield f"{group.path}: steps from {at} on name the wrong episode"
        if table.column("repo_id").unique().to_pylist() != [stream.repo_id]:
            yield f"{group.path}: holds steps of another repository"
        at += len(table)
    yield from (f"content {b[:12]} was opened and is not stored" for b in sorted(opened - reader.blobs.keys()))


def _contents(reader: StreamReader) -> int:
    """Number of contents; each must have the id that git gives it. Raises CorruptError."""
    count = 0
    for group in reader.groups("blobs"):
        for row in reader.table(group).to_pylist():
            content, blob = row["content"], row["blob"]
            kind = hashlib.sha1 if len(blob) == 40 else hashlib.sha256
            if kind(b"blob %d\0" % len(content) + content).hexdigest() != blob or len(content) != row["size"]:
                raise CorruptError(f"{group.path}: content {blob[:12]} is not what its id says")
            count += 1
    return count


def _places(streams: Sequence[Manifest], repositories: pa.Table) -> Iterator[FilePlace]:
    """Every file of the streams with its place in the folder of plain Parquet."""
    columns = (repositories.column(name).to_pylist() for name in ("repo_id", "split", "duplicate_of"))
    known = {repo: (split, other) for repo, split, other in zip(*columns, strict=True)}
    for stream in streams:
        for shard in stream.shards:
            for kind, ref in shard.files.items():
                where = (ref.rows, *ref.row_groups, ref.skip)
                yield FilePlace(
                    stream.repo_id, shard.shard, kind, ref.path, *where, *known.get(stream.repo_id, (None, None))
                )


def _database(store: Store, streams: Sequence[Manifest], *, damaged: bool) -> Iterator[str]:
    """`actions.db` lists exactly these streams and files, and the folder of plain Parquet shows them.

    That folder is links to the files: where some are `damaged` it is not looked at, for no build can mend it.
    """
    try:
        with open_database(store) as db:
            listed = set(db.execute("SELECT path, sha256 FROM files").fetchall())
            counts = set(db.execute("SELECT repo_id, steps FROM repositories").fetchall())
            repositories = db.sql("FROM repositories").to_arrow_table()
            apart = db.execute(f"SELECT streams, splits FROM ({parted('repositories')})").fetchall()
    except GitreelError as error:
        yield str(error)
        return
    if listed != {(ref.path, ref.sha256) for s in streams for ref in s.files()} or counts != {
        (s.repo_id, s.steps) for s in streams
    }:
        yield f"{store}/{DATABASE} is older than the streams; run: python -m pipeline.warehouse build"
        return
    for repos, splits in apart:
        yield (
            f"{store}/{DATABASE}: {repos} share a history and are in splits {splits}: a model would be tested on what "
            "it was trained on; remove that file, then run: python -m pipeline.warehouse build"
        )
    if not damaged:
        try:
            old = dataset.out_of_date(store, dataset.parts(_places(streams, repositories), dataset.rows_in(store)))
        except GitreelError as error:
            yield str(error)
            return
        if old:
            yield f"{store}/{dataset.FOLDER} is older than the streams; run: python -m pipeline.warehouse build"
