"""Writes one repository's stream: filmed commits in, shards and a manifest out.

    with StreamWriter("warehouse", "pallets/click", config, source=url) as writer:
        for filmed in replay(git_dir, "pallets/click", config, resume=writer.resume_point):
            writer.append(filmed)

Shards close at the first episode end past SHARD_STEPS. Closed shards are `NNNNN.steps.parquet` and never change; the
open one names its end, `NNNNN-EEEEEE.steps.parquet`, so that a longer one never overwrites what readers have open
(`pipeline.warehouse build` removes it when no database lists it any more).
"""

from collections.abc import Callable, Iterable
from errno import ENOENT
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa

from pipeline.film.frames import Film, RowTable
from pipeline.shards.manifest import check, load, publish, same_place
from pipeline.shards.reader import tables_of
from pipeline.shards.settings import other_settings
from pipeline.shards.shard_file import ShardFile
from pipeline.shards.store import TEMPORARY, Store, errno_of
from schema.config import ReplayConfig
from schema.errors import CorruptError, WarehouseError
from schema.manifest import (
    MANIFEST,
    PENDING,
    TOOL_VERSION,
    Manifest,
    ShardEntry,
    editor_version,
    stream_folder,
)
from schema.records import Drop, Episode
from schema.version import SCHEMA_VERSION
from schema.widths import VIM_VERSION, WIDTH_HASH

SHARD_STEPS = 262_144
WITHDRAWN = ("opt-out", "blocked")  # by the owner, by law: what was filmed before goes, too
Outdated = Callable[[Manifest, bool], str]  # of a stream, in its place or not: why it cannot be gone on with


class CommitFilm(Protocol):
    """What `pipeline.replay` yields: one episode's record, film, opened contents and drops."""

    @property
    def episode(self) -> Episode: ...
    @property
    def film(self) -> Film | None: ...
    @property
    def table(self) -> RowTable: ...
    @property
    def blobs(self) -> Iterable[tuple[str, bytes]]: ...
    @property
    def drops(self) -> Iterable[Drop]: ...


class StreamWriter:
    """Appends filmed commits to one stream, under its lock, until `close`.

    `outdated` returns why the stored stream cannot be continued, and "" where it can (the default). It is asked about
    the stream (`in_place`), and then about an unfinished replacement of it. A stream that cannot be gone on with is
    replaced: a new generation starts from nothing and takes its place at `close`, at once; until then readers see the
    old one. Work on a replacement also resumes after a kill. `why` is what `outdated` said of the replaced stream.
    `named`: the words by which a harvest names the repository, for the command that an error gives.

    Raises WarehouseError (locked, read-only, full, or the folder is another stream's), ConfigError (the stream was
    written with other settings), CorruptError, SchemaVersionError, and what `outdated` raises.
    """

    def __init__(
        self,
        warehouse: Path | str | Store,
        repo_id: str,
        config: ReplayConfig,
        *,
        source: str = "",
        family: str | None = None,
        licence: str | None = None,
        named: str = "--repo PATH",
        outdated: Outdated = lambda stream, in_place: "",
    ) -> None:
        self.store = warehouse if isinstance(warehouse, Store) else Store(warehouse)
        self.repo_id, self.config, self._named = repo_id, config, named
        self.folder = stream_folder(repo_id)
        self._facts: dict[str, Any] = {"source": source, "family": family, "licence": licence}
        self._shard: ShardFile | None = None
        self._lock = self.store.lock(f"{self.folder}/.lock")
        self._lock.__enter__()
        try:
            self._open(outdated)
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise

    def _open(self, outdated: Outdated) -> None:
        for name in self.store.names(self.folder, recursive=True):
            if name.rsplit("/", 1)[-1].startswith(TEMPORARY):
                self.store.delete(name)
        self.committed = load(self.store, f"{self.folder}/{MANIFEST}")
        pending = load(self.store, f"{self.folder}/{PENDING}")
        self.manifest, self.why = self._start(self.committed, pending, outdated)
        if pending is not None and self.manifest is not pending:
            self.store.delete(f"{self.folder}/{PENDING}")
        if self.manifest.family:  # the one that its split was chosen by
            self._facts["family"] = self.manifest.family
        self._stored_blobs: set[bytes] | None = None
        self._head = self.manifest.head

    def _start(self, current: Manifest | None, pending: Manifest | None, outdated: Outdated) -> tuple[Manifest, str]:
        """What to append to: the stream, its unfinished replacement, or nothing yet; and why the stream is replaced."""
        fresh = Manifest(repo_id=self.repo_id, config=self.config)
        if current is None:
            return fresh, ""
        if current.repo_id != self.repo_id:  # on a file system that takes 'App' for 'app'
            raise WarehouseError(
                f"{self.store}/{self.folder}: holds {current.repo_id!r}, and this file system has no other folder for "
                f"{self.repo_id!r}; give it another name: --name NAME"
            )
        why = outdated(current, True) if current.resume else ""
        if current.config != self.config and current.shards:
            raise other_settings(self.store, current, self.config, self._named)
        if current.config == self.config and not why:
            return current, ""
        if not current.shards:
            return fresh.model_copy(update={"generation": current.generation}), ""
        if pending and pending.resume and pending.config == self.config and not outdated(pending, False):
            return pending, why
        return fresh.model_copy(update={"generation": current.generation + 1}), why

    @property
    def replacing(self) -> bool:
        """Whether this is to take the place of the stream that readers see."""
        return bool(self.why)

    @property
    def resume_point(self) -> Episode | None:
        """The last episode that is safely stored; None at a stream's start."""
        return self.manifest.resume

    @property
    def steps(self) -> int:
        """Steps in the stream so far, those not yet committed included."""
        return self._shard.first_step + self._shard.steps if self._shard else self.manifest.steps

    def append(self, filmed: CommitFilm) -> None:
        """Add one episode. It is safe after the shard closes, or after `close`."""
        episode = filmed.episode
        try:
            shard = self._shard or self._begin()
            assert episode.episode == shard.first_episode + shard.episodes, "episodes are gap-free"
            assert episode.first_step == shard.first_step + shard.steps, "steps are gap-free"
            shard.add(episode, filmed.film, filmed.table, self._new_blobs(filmed.blobs), filmed.drops)
            self._last = episode
            self._head = episode.commit if episode.status == "filmed" else self._head
            if shard.steps >= SHARD_STEPS:
                self._commit(closed=True)
        except OSError as error:
            self.abandon()
            raise self._refused(error) from error

    def close(self, status: str = "complete", reason: str | None = None, **facts: Any) -> Manifest:
        """Commit the open shard, the repository's facts and its status; release the lock.

        A stream that did not change is left as it is, byte for byte.
        """
        try:
            if self._shard is not None:
                self._commit(closed=False)
            final = self.manifest.model_copy(
                update={
                    **self._facts,
                    **facts,
                    "status": status,
                    "reason": reason,
                    "tool_version": TOOL_VERSION,
                }
            )
            if self.replacing and status != "complete":  # readers keep the old stream until the new one is whole
                self.manifest = final
                self._write_pending()
            elif final != self.committed:
                self.manifest = final
                publish(self.store, final)
                self.store.delete(f"{self.folder}/{PENDING}")
                self.committed = final
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self.abandon()
        return self.manifest

    def withdraw(self) -> None:
        """Empty the stream; `close` commits that."""
        generation = self.manifest.generation + bool(self.manifest.shards)
        self.manifest, self.why = Manifest(repo_id=self.repo_id, config=self.config, generation=generation), ""

    def abandon(self) -> None:
        """Drop what is not committed and release the lock; closed shards stay."""
        if self._shard is not None:
            self._shard.discard()
            self._shard = None
        self._lock.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _begin(self) -> ShardFile:
        """The shard that the next episode goes to: the open one read back, or a new one."""
        closed = [s for s in self.manifest.shards if s.closed]
        open_entries = [s for s in self.manifest.shards if not s.closed]
        shard = ShardFile(
            self.store,
            f"{self.manifest.folder}/{len(closed):05d}",
            self.repo_id,
            self.config,
            sum(s.steps for s in closed),
            sum(s.episodes for s in closed),
        )
        self._shard = shard
        for entry in open_entries:
            try:
                for ref in entry.files.values():
                    check(self.store, ref)
                shard.continue_from(entry)
            except (pa.ArrowException, OSError) as error:
                if errno_of(error) not in (None, ENOENT):
                    raise
                raise CorruptError(
                    f"{self.store}/{self.manifest.folder}: shard {entry.shard} cannot be read ({error}); "
                    "run: python -m pipeline.warehouse verify"
                ) from error
        return shard

    def _new_blobs(self, blobs: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """Those that the stream does not hold yet."""
        if self._stored_blobs is None:
            self._stored_blobs = set()
            for entry in self.manifest.shards:
                if ref := entry.files.get("blobs"):
                    for names in tables_of(self.store, ref, ["blob"]):
                        self._stored_blobs.update(bytes.fromhex(b) for b in names.column("blob").to_pylist())
        new = []
        for blob, content in blobs:
            if (key := bytes.fromhex(blob)) not in self._stored_blobs:
                self._stored_blobs.add(key)
                new.append((blob, content))
        return new

    def _commit(self, *, closed: bool) -> None:
        shard = self._shard
        assert shard is not None
        name = shard.name if closed else f"{shard.name}-{shard.first_episode + shard.episodes:06d}"
        files = shard.publish(name)
        self._shard = None
        kept = tuple(s for s in self.manifest.shards if s.closed)
        entry = ShardEntry(
            shard=len(kept),
            closed=closed,
            first_step=shard.first_step,
            steps=shard.steps,
            first_episode=shard.first_episode,
            episodes=shard.episodes,
            filmed=shard.filmed,
            schema_version=SCHEMA_VERSION,
            tool_version=TOOL_VERSION,
            vim_version=VIM_VERSION,
            width_hash=WIDTH_HASH,
            editor_version=editor_version(self.config),
            files=files,
        )
        self.manifest = self.manifest.model_copy(
            update={
                **self._facts,
                "shards": (*kept, entry),
                "resume": self._last,
                "head": self._head,
                "status": "partial",
                "tool_version": TOOL_VERSION,
            }
        )
        if closed:
            if self.replacing:
                self._write_pending()
            else:
                publish(self.store, self.manifest)
                self.committed = self.manifest

    def _write_pending(self) -> None:
        self.store.write(f"{self.folder}/{PENDING}", self.manifest.dump())

    def _refused(self, error: Exception) -> Exception:
        if isinstance(error, WarehouseError | CorruptError):
            return error
        return self.store.refused(self.folder, error)


class _AnothersStreamError(Exception):
    """The stream of this name is another repository's."""


def refuse(
    warehouse: Path | str | Store,
    repo_id: str,
    config: ReplayConfig,
    rule: str,
    *,
    source: str = "",
    family: str | None = None,
    licence: str | None = None,
    anyones: bool = False,
) -> None:
    """Register a repository that is not filmed, and why (`rule`, a fixed word).

    A stream that the repository has already is kept, as partial, with its own settings, source and family, and its
    licence unless a new one is known; one of WITHDRAWN is emptied: its files leave the database with the next build
    and the disk with the one after it. Another repository's stream of the same name (from another place, or of
    another `family`) stays as it is, unless the name itself is refused (`anyones`).
    """
    store = warehouse if isinstance(warehouse, Store) else Store(warehouse)
    current = load(store, f"{stream_folder(repo_id)}/{MANIFEST}")
    if current is not None and current.shards:
        config = current.config

    def outdated(stream: Manifest, in_place: bool) -> str:
        parted = None not in (family, stream.family) and family != stream.family
        if not anyones and (parted or same_place(stream.source, source) is False):
            raise _AnothersStreamError
        return ""

    try:
        writer = StreamWriter(store, repo_id, config, source=source, family=family, licence=licence, outdated=outdated)
    except _AnothersStreamError:
        return
    own = writer.manifest
    facts = {"source": own.source or source, "licence": licence or own.licence} if own.shards else {}
    if rule in WITHDRAWN:
        writer.withdraw()
    writer.close("partial" if writer.manifest.shards else "refused", rule, **facts)
