"""What there is to train on: the streams of a warehouse, their splits, and where each step lies.

`actions.db` says what streams there are, how long each is, its split and whether it duplicates another
(training.data.streams); a stream's manifest (schema.manifest) says which files hold its steps. Without a database, or
beside one of an older gitreel, every manifest is read. Works on a folder or on an fsspec URL (s3://...).
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schema.bucket import S3Files, s3_filesystem
from schema.catalogue import CHANGED, DATABASE
from schema.editors import Editor
from schema.errors import ConfigError, CorruptError, WarehouseError
from schema.geometry import Geometry
from schema.manifest import MANIFEST, Manifest, parse_manifest, stream_folder, stream_id
from schema.version import check_version
from training.data.complaints import complaint
from training.data.streams import COLUMNS, KNOWN, Places, RowGroup, Streams, read_catalogue, read_splits

HARVEST = "harvest first: python -m flows.harvest --repo PATH"
TOLD = 20  # duplicates that are named one by one
SHARDS = pa.schema({"repo_id": pa.string(), "path": pa.string(), "bytes": pa.int64(), "steps": pa.int64()})


class MovedError(CorruptError):
    """A file, `path`, is no longer there: its film has been packed since, or withdrawn, or the file was deleted."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return MovedError, (self.path, str(self))


class Warehouse:
    """Knows which film a warehouse has: of `only` these repositories, if any are named, and of film in `editor`.

    With an editor a repository is named as such (pallets/click), or by its film's id (pallets/click@nano).
    Raises WarehouseError (no folder), ConfigError (no shards), CorruptError, SchemaVersionError.
    """

    def __init__(self, root: str | Path, only: Sequence[str] = (), editor: Editor | None = None) -> None:
        self.root = str(root).rstrip("/")
        self.verify = f"run: python -m pipeline.warehouse verify {self.root}"
        try:
            self._fs, self._path = _file_system(self.root)
            found = self._fs.exists(self._path)
        except _refusals() as error:
            why = _line(error)
            raise WarehouseError(f"{self.root}: not reachable ({why}); use a folder or s3://BUCKET/PREFIX") from error
        if not found:
            raise WarehouseError(f"{self.root}: no such warehouse; {HARVEST} --warehouse {self.root}")
        self._local = self._fs.protocol in ("file", ("file", "local"))
        self._footer = lru_cache(maxsize=256)(self._read_footer)  # a window reads its shard again, not its footer
        self._kept = lru_cache(maxsize=64)(lambda path, thread: self.open(path))  # nor opens it again; one a thread
        self._shared = lru_cache(maxsize=8)(self._read_shared)
        self._checked: dict[tuple[str, int, int, tuple[str, ...]], int] = {}  # of a group, found as they should be
        self.notes: list[str] = []
        self._generations: dict[str, int] = {}  # of the manifests that were read
        self._read: dict[str, tuple[Manifest, Places]] = {}  # streams that `actions.db` does not describe as they are
        chosen = self._chosen(self._known(), only, editor)
        self.episodes, self.steps = (int(pc.sum(chosen.column(name)).as_py()) for name in ("episodes", "steps"))
        self.streams = Streams(chosen, self._places)
        if len(sizes := self.streams.geometries) > 1:
            listed = ", ".join(f"{size} ({repo})" for size, repo in sorted(sizes.items()))
            raise ConfigError(
                f"{self.root}: screens of different sizes: {listed}; film them into one folder a size: "
                "python -m flows.harvest --repo PATH --warehouse NEW_FOLDER"
            )
        (self.geometry,) = sizes

    @cached_property
    def bytes(self) -> int:
        """Of the files of steps; of one that streams share, what is theirs by its steps."""
        columns = ("repo_id", "path", "bytes", "steps")
        read = [
            {name: getattr(row, name) for name in columns} for m, _ in self._read.values() for row in m.shard_rows()
        ]
        shards = pa.Table.from_pylist(read, schema=SHARDS)
        if self._catalogued:
            with self._database() as path:
                known = read_catalogue(path, self._open_file, "shards", SHARDS.names)
            assert known is not None, "there was one a moment ago"
            as_they_were = pc.is_in(known.column("repo_id"), pa.array(list(self._read), pa.string()))
            shards = pa.concat_tables([shards, known.filter(pc.invert(as_they_were)).cast(SHARDS)])
        files = shards.group_by("path").aggregate([("bytes", "max"), ("steps", "sum")])
        of_file = zip(*(files.column(name).to_pylist() for name in ("path", "bytes_max", "steps_sum")), strict=True)
        share = {path: size / max(1, steps) for path, size, steps in of_file}
        kept = shards.filter(pc.is_in(shards.column("repo_id"), self.streams.names)).select(["path", "steps"])
        theirs: float = sum(share[row["path"]] * row["steps"] for row in kept.to_pylist())
        return round(theirs)

    def open(self, path: str) -> pq.ParquetFile:
        """A shard's Parquet file. Raises CorruptError (MovedError where there is none), SchemaVersionError."""
        footer = self._footer(path)
        try:
            name = f"{self._path}/{path}"
            source = pa.OSFile(name) if self._local else self._fs.open(name)
            return pq.ParquetFile(source, pre_buffer=not self._local, metadata=footer)  # where a request is slow: few
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: str, error: Exception) -> CorruptError:
        """What to raise for a file that cannot be read: MovedError where it is not there any more."""
        where = f"{self.root}/{path}"
        if isinstance(error, FileNotFoundError) or not self._fs.exists(f"{self._path}/{path}"):
            self._kept.cache_clear()  # a file server may give up files that are open
            return MovedError(path, f"{where}: not there; {self.verify}")
        return CorruptError(f"{where}: not readable ({_line(error)}); {self.verify}")

    def _read_footer(self, path: str) -> pq.FileMetaData:
        where = f"{self.root}/{path}"
        try:
            with self._fs.open(f"{self._path}/{path}") as source:
                footer = pq.read_metadata(source)
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(path, error) from error
        check_version((footer.metadata or {}).get(b"schema_version", b"").decode() or None, where)
        return footer

    def read(self, group: RowGroup, columns: Sequence[str], steps: int | None = None) -> pa.Table:
        """One row group's columns, or their first `steps` steps.

        Raises CorruptError (MovedError where its file is gone: `look_again`), SchemaVersionError.
        """
        # kept, a file of an object store would hold on to every range that it fetched
        file = self._kept(group.path, threading.get_ident()) if self._local else self.open(group.path)
        rows = group.steps if steps is None else steps
        try:
            if group.skip or group.steps < file.metadata.row_group(group.row_group).num_rows:
                table = self._shared(group.path, group.row_group, tuple(columns)).slice(group.skip, rows)
            elif steps is None:
                table = file.read_row_group(group.row_group, columns=list(columns), use_threads=False)
            else:
                table = _first_steps(file, group.row_group, columns, steps)
        except (OSError, pa.ArrowException, IndexError) as error:
            raise self._unreadable(group.path, error) from error
        finally:
            if not self._local:
                file.close()
        if table.num_rows != rows:
            raise CorruptError(f"{self.root}/{group.path}: row group {group.row_group} changed; {self.verify}")
        read = (group.path, group.row_group, group.skip, tuple(columns))
        if table.num_rows > self._checked.get(read, 0):  # windows come back to a group; what it holds does not change
            if wrong := complaint(table, columns, self.geometry):
                raise CorruptError(f"{self.root}/{group.path}: row group {group.row_group}: {wrong}; {self.verify}")
            self._checked[read] = table.num_rows
        return table

    def _read_shared(self, path: str, row_group: int, columns: tuple[str, ...]) -> pa.Table:
        """A row group that streams share: those that are read one behind the other find it read."""
        with self.open(path) as file:
            return file.read_row_group(row_group, columns=list(columns), use_threads=False)

    def tables(self, repo_id: str, kind: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Row groups of a stream's `kind` of file: "episodes", "blobs", "drops" or "steps", in order.

        A kind without rows has none. Raises ConfigError (no such stream), CorruptError, SchemaVersionError.
        """
        given = 0
        while True:
            try:
                for table in self._tables(repo_id, kind, columns, given):
                    given += len(table)
                    yield table
                return
            except MovedError as moved:
                self.look_again(repo_id, moved)

    def _tables(self, repo_id: str, kind: str, columns: Sequence[str] | None, given: int) -> Iterator[pa.Table]:
        """The same, behind the first `given` rows."""
        manifest = self._manifest(repo_id)
        if manifest is None:
            raise ConfigError(f"{self.root}: no film of {repo_id}; {HARVEST} --warehouse {self.root}")
        for shard in manifest.shards:
            ref = shard.files.get(kind)
            if ref is None:
                continue
            first, count = ref.row_groups
            with self.open(ref.path) as file:
                for number in range(first, first + count):
                    try:
                        table = file.read_row_group(number, columns=columns and list(columns))
                    except (OSError, pa.ArrowException, IndexError) as error:
                        raise self._unreadable(ref.path, error) from error
                    part = ref.part(len(table))
                    skip = min(given, part.stop - part.start)
                    given -= skip
                    yield table.slice(part.start + skip, part.stop - part.start - skip)

    def look_again(self, repo_id: str, moved: MovedError) -> None:
        """Find where a stream's film lies now that a file of it is gone.

        Raises `moved` where the film is said to lie in that file still, CorruptError where it is not the film any more
        that the warehouse was opened with.
        """
        manifest = self._read_manifest(repo_id)
        if manifest is None or moved.path in {ref.path for ref in manifest.files()}:
            raise moved
        if repo_id in self._read:
            steps = sum(group.steps for group in self._read[repo_id][1].groups)
            self._read[repo_id] = manifest, self._places_of(manifest, steps)
        self.streams.forget_places()

    def _known(self) -> pa.Table:
        """COLUMNS of every stream, as it is now."""
        splits: dict[str, tuple[str | None, str | None]] = {}
        known = None
        if self._fs.exists(f"{self._path}/{DATABASE}"):
            with self._database() as path:
                try:
                    known = read_catalogue(path, self._open_file)
                    if known is None:
                        splits = read_splits(path)
                except (duckdb.Error, OSError, pa.ArrowException) as error:
                    raise CorruptError(
                        f"{self.root}/{DATABASE}: not readable ({_line(error)}); "
                        f"run: python -m pipeline.warehouse build {self.root}"
                    ) from error
        else:
            self.notes.append(f"{self.root}: no {DATABASE}, so no splits by family")
        self._catalogued = known is not None
        if known is None:  # no database, or of an older gitreel
            return self._rows(self._fs.glob(f"{self._path}/shards/*/{MANIFEST}"), splits)
        changed = [name.rsplit("/", 1)[-1] for name in self._names(CHANGED)]  # since the last build
        changed = [f"{self._path}/shards/{name}/{MANIFEST}" for name in sorted(set(changed))]
        if not (changed := [name for name in changed if self._fs.exists(name)]):
            return known
        fresh = self._rows(changed, splits, known)
        old = known.filter(pc.invert(pc.is_in(known.column("repo_id"), fresh.column("repo_id").combine_chunks())))
        return pa.concat_tables([old, fresh.cast(old.schema)])

    def _names(self, folder: str) -> list[str]:
        return [str(name) for name in self._fs.find(f"{self._path}/{folder}")]

    def _rows(
        self,
        names: Sequence[str],
        splits: Mapping[str, tuple[str | None, str | None]],
        known: pa.Table | None = None,
    ) -> pa.Table:
        """COLUMNS of these manifests' streams; their splits are those that are given, or known."""
        rows = []
        for name in sorted(names):
            manifest = parse_manifest(self._fs.cat_file(name), f"{self.root}/{'/'.join(name.split('/')[-3:])}")
            split, other = splits.get(manifest.repo_id, (None, None))
            if known is not None:
                found = known.filter(pc.equal(known.column("repo_id"), manifest.repo_id))
                split, other = (found.column(n)[0].as_py() if len(found) else None for n in ("split", "duplicate_of"))
            places = Places((), "") if other else self._places_of(manifest)  # a copy is left out
            self._read[manifest.repo_id] = manifest, places
            self._generations[manifest.repo_id] = manifest.generation
            size = manifest.config
            values = (
                manifest.repo_id, split, other, size.editor, size.rows, size.cols,
                manifest.steps if other else sum(group.steps for group in places.groups),
                sum(shard.filmed for shard in manifest.shards),
            )  # fmt: skip
            rows.append(dict(zip(COLUMNS, values, strict=True)))
        return pa.Table.from_pylist(rows, schema=KNOWN)

    def _chosen(self, known: pa.Table, only: Sequence[str], editor: Editor | None) -> pa.Table:
        """The streams that were asked for. Raises ConfigError where there are none."""
        mask = pc.greater(known.column("steps"), 0)
        if editor:
            mask = pc.and_(mask, pc.equal(known.column("editor"), editor))
        if only:
            ids = [*only, *(stream_id(name, editor) for name in only if editor)]
            mask = pc.and_(mask, pc.is_in(known.column("repo_id"), pa.array(ids, pa.string())))
        if not pc.all(mask).as_py():
            known = known.filter(mask)
        chosen = known
        if known.column("duplicate_of").null_count < len(known):
            chosen = known.filter(pc.is_null(known.column("duplicate_of")))
            self._tell_copies(known.filter(pc.is_valid(known.column("duplicate_of"))))
        harvest = f"{HARVEST} --warehouse {self.root}" + (f" --editor {editor}" if editor else "")
        where = f" in {editor}" if editor else ""
        if only:
            names = set(chosen.column("repo_id").to_pylist())
            missing = [name for name in only if names.isdisjoint({name, stream_id(name, editor or "vim")})]
            if missing:
                raise ConfigError(f"{self.root}: no film of {', '.join(sorted(missing))}{where}; {harvest}")
        if not len(chosen):
            raise ConfigError(f"{self.root}: no shards{where}; {harvest}")
        return chosen

    def _tell_copies(self, copies: pa.Table) -> None:
        """Note what was left out because it duplicates another stream."""
        pairs = zip(*(copies.column(name).to_pylist() for name in ("repo_id", "duplicate_of")), strict=True)
        if len(copies) <= TOLD:
            self.notes += [f"{repo}: left out, duplicates {other}" for repo, other in pairs]
        else:
            self.notes.append(f"{len(copies):,} streams left out, which duplicate others")

    def _manifest(self, repo_id: str) -> Manifest | None:
        return self._read[repo_id][0] if repo_id in self._read else self._read_manifest(repo_id)

    def _read_manifest(self, repo_id: str) -> Manifest | None:
        """Raises CorruptError for film that was made anew since its manifest was first read."""
        name = f"{stream_folder(repo_id)}/{MANIFEST}"
        try:
            manifest = parse_manifest(self._fs.cat_file(f"{self._path}/{name}"), f"{self.root}/{name}")
        except FileNotFoundError:
            return None
        if self._generations.setdefault(repo_id, manifest.generation) != manifest.generation:
            raise self._other_film(repo_id)
        return manifest

    def _other_film(self, repo_id: str) -> CorruptError:
        return CorruptError(
            f"{self.root}: film of {repo_id} was withdrawn or made anew since the warehouse was opened: open it again"
        )

    def _places(self, repo_id: str, steps: int) -> Places:
        """Where a stream's first `steps` steps lie. Raises CorruptError, SchemaVersionError."""
        if repo_id in self._read:
            return self._read[repo_id][1]
        manifest = self._read_manifest(repo_id)
        if manifest is None:
            raise CorruptError(f"{self.root}/{stream_folder(repo_id)}/{MANIFEST}: missing; {self.verify}")
        if manifest.steps < steps:
            raise self._other_film(repo_id)
        return self._places_of(manifest, steps)

    def _places_of(self, manifest: Manifest, most: int | None = None) -> Places:
        """Where a stream's steps lie, the first `most` of them."""
        groups: list[RowGroup] = []
        digest = hashlib.sha256()
        left = manifest.steps if most is None else most
        for shard in manifest.shards:
            ref = shard.files.get("steps")
            if ref is None or not left:
                continue
            digest.update(ref.sha256.encode())
            first, count = ref.row_groups
            found = 0
            with self.open(ref.path) as file:
                self._check_geometry(file, ref.path, manifest.config.geometry)
                if file.num_row_groups < first + count:
                    raise CorruptError(f"{self.root}/{ref.path}: row groups missing; {self.verify}")
                for number in range(first, first + count):
                    part = ref.part(file.metadata.row_group(number).num_rows)
                    found += part.stop - part.start
                    if steps := min(left, part.stop - part.start):
                        groups.append(RowGroup(ref.path, number, steps, part.start))
                        left -= steps
            if found != shard.steps:
                raise CorruptError(f"{self.root}/{ref.path}: steps missing; {self.verify}")
        if most is not None and most < manifest.steps:  # it has grown
            digest.update(str(most).encode())
        return Places(tuple(groups), digest.hexdigest()[:12])

    def _check_geometry(self, file: pq.ParquetFile, path: str, size: Geometry) -> None:
        """A shard of another size would be padded or cut without a word. Raises CorruptError."""
        said = file.schema_arrow.metadata or {}
        found = "x".join(said[name].decode() for name in (b"rows", b"cols") if name in said)
        if found and found != str(size):
            raise CorruptError(f"{self.root}/{path}: film at {found} in a stream of {size}; {self.verify}")

    @contextmanager
    def _database(self) -> Iterator[str]:
        """`actions.db` as a file of this machine."""
        name = f"{self._path}/{DATABASE}"
        if self._local:
            yield name
            return
        with tempfile.TemporaryDirectory() as folder:
            self._fs.get_file(name, f"{folder}/{DATABASE}")
            yield f"{folder}/{DATABASE}"

    def _open_file(self, name: str) -> Any:
        return pa.OSFile(f"{self._path}/{name}") if self._local else self._fs.open(f"{self._path}/{name}")


def _first_steps(file: pq.ParquetFile, row_group: int, columns: Sequence[str], steps: int) -> pa.Table:
    """A row group read no further than its first steps: on average this saves a third of the reading.

    By one thread: the loader's own share the processors already.
    """
    batches, rows = [], 0
    for batch in file.iter_batches(steps, row_groups=[row_group], columns=list(columns), use_threads=False):
        batches.append(batch)
        rows += batch.num_rows
        if rows >= steps:
            break
    return pa.Table.from_batches(batches).slice(0, steps)


def _file_system(root: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Where a warehouse lies: s3:// as the harvest reaches it, other addresses and folders as fsspec does."""
    if root.startswith("s3://"):
        return S3Files(s3_filesystem()), root.removeprefix("s3://")
    files, path = fsspec.core.url_to_fs(root)
    return files, path


def _refusals() -> tuple[type[Exception], ...]:
    """What a file system raises for an address that it cannot use; botocore's errors are no OSErrors."""
    botocore = sys.modules.get("botocore.exceptions")
    return (ValueError, ImportError, OSError, *([botocore.BotoCoreError] if botocore else []))


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
