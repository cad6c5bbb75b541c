"""Film that travels: a warehouse's streams as a Hugging Face dataset folder, and back.

    FOLDER/README.md                                      the card: `configs:` by table and split
    FOLDER/LICENCES.md                                    each repository's licence and source
    FOLDER/data/steps/{train,validation,test}/….parquet   a file a shard, as the warehouse has it
    FOLDER/data/{episodes,blobs,drops}/…                  likewise
    FOLDER/data/repositories/repositories.parquet
    FOLDER/manifests/OWNER+NAME.json                      what `import` needs: each stream's manifest and split

Files are copied byte for byte, so that the checksums of the manifests hold on both sides: a stream that was exported
and imported has the manifest that it had, to the byte. Rows of packed streams are copied out of their packs.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.messages import pasteable
from pipeline.shards.manifest import check, load, manifests, publish
from pipeline.shards.reader import tables_of
from pipeline.shards.shard_file import TableFile
from pipeline.shards.store import Store
from pipeline.warehouse.checks import may_hold_film
from pipeline.warehouse.compact import BUILD_LOCK, BUILD_WAIT, is_packed
from pipeline.warehouse.database import open_database
from pipeline.warehouse.dataset import places
from pipeline.warehouse.markdown import markdown_table, yaml_list
from pipeline.warehouse.relatives import relatives
from pipeline.warehouse.splits import SPLITS, assigned, family_of, write_registry
from schema.catalogue import DATABASE
from schema.columns import arrow_schema
from schema.errors import ConfigError, CorruptError, WarehouseError
from schema.manifest import KINDS, MANIFEST, FileRef, Manifest, parse_manifest, slug, stream_folder

REPOSITORIES = "data/repositories/repositories.parquet"
LISTS = "manifests"
AGAIN = "copy the folder again from where it was exported to, then import it again"


class Moved(NamedTuple):
    """What was exported or imported. `copies`: streams that stayed out because another one's film is theirs, too."""

    streams: int
    steps: int
    files: int
    bytes: int
    copies: int = 0


def export(store: Store, target: Store, *, split: str = "", repos: Sequence[str] = ()) -> Moved:
    """Write the streams of a split, or of these repositories, or all, as a dataset folder; copies of others stay out.

    Raises ConfigError (nothing to export, a copy or another split's that is named, a folder that is in use),
    WarehouseError, CorruptError.
    """
    if target.names("", recursive=True):
        raise ConfigError(f"{target}: is not empty; export into a new folder")
    with open_database(store) as db:
        table = db.sql("FROM repositories ORDER BY repo_id").to_arrow_table()
    place = places(table)
    columns = (table.column(name).to_pylist() for name in ("repo_id", "split", "duplicate_of"))
    copies = {repo: (part, other) for repo, part, other in zip(*columns, strict=True) if other}
    for repo in repos:
        if repo not in place:
            raise ConfigError(f"--repo {repo}: there is none of that name; {names_listed(store)}")
        if repo in copies:
            other = copies[repo][1]
            raise ConfigError(f"--repo {repo}: is a copy of {other}, and copies stay out; export that: --repo {other}")
    known = [name for name, _ in SPLITS]
    streams = [
        stream
        for stream in manifests(store)
        if stream.steps and place.get(stream.repo_id) in ([split] if split else known)
        and (not repos or stream.repo_id in repos)
    ]  # fmt: skip
    if missing := [repo for repo in repos if repo not in {stream.repo_id for stream in streams}]:
        where = f"in split {split}" if split else "in any split"
        raise ConfigError(f"--repo {missing[0]}: has no film {where}; {names_listed(store)}")
    if not streams:
        raise ConfigError(f"{store}: no such film to export; {names_listed(store)}")
    files = size = 0
    for stream in streams:
        stored, names = _exported(store, target, stream, place[stream.repo_id])
        files += len(names)
        size += sum(ref.bytes for ref in stored.files())
        listed = {"split": place[stream.repo_id], "files": names, "manifest": json.loads(stored.dump())}
        target.write(_list_name(stream), json.dumps(listed, sort_keys=True, indent=1).encode() + b"\n")
    _write_repositories(target, table, {stream.repo_id for stream in streams})
    target.write("LICENCES.md", _licences(streams).encode())
    target.write("README.md", _card(streams, place).encode())
    left_out = sum(split in ("", part) for part, _ in copies.values()) if not repos else 0
    return Moved(len(streams), sum(stream.steps for stream in streams), files, size, left_out)


def names_listed(store: Store) -> str:
    """What lists every stream that is there."""
    database = pasteable(f"{store}/{DATABASE}")
    return f'list them: duckdb {database} "SELECT repo_id, split, steps, duplicate_of FROM repositories"'


def _list_name(stream: Manifest) -> str:
    return f"{LISTS}/{slug(stream.repo_id)}.json"


def _exported(store: Store, target: Store, stream: Manifest, place: str) -> tuple[Manifest, list[str]]:
    """Copy a stream's files; its manifest as a warehouse without packs has it, and the names of the copies in order."""
    shards, names = [], []
    for shard in stream.shards:
        found: dict[str, FileRef] = {}
        for kind, ref in shard.files.items():
            name = f"data/{kind}/{place}/{slug(stream.repo_id)}-{shard.shard:05d}.parquet"
            found[kind] = _copied(store, target, ref, name, kind, stream)
            if is_packed(ref.path):
                found[kind] = found[kind].model_copy(
                    update={"path": f"{stream.folder}/{shard.shard:05d}.{kind}.parquet"}
                )
            names.append(name)
        shards.append(shard.model_copy(update={"files": found}))
    return stream.model_copy(update={"shards": tuple(shards)}), names


def _copied(store: Store, target: Store, ref: FileRef, name: str, kind: str, stream: Manifest) -> FileRef:
    """Copy one file: its bytes, or its rows where it shares a pack."""
    check(store, ref)
    if not is_packed(ref.path):
        target.write(name, store.read(ref.path))
        return ref
    file = TableFile(target, name, kind, stream.config)
    try:
        for table in tables_of(store, ref):
            file.write(table.cast(file.schema))
        written = file.publish(name)
    finally:
        file.discard()
    assert written is not None, "a file that a manifest names has rows"
    return written


def _write_repositories(target: Store, table: pa.Table, wanted: set[str]) -> None:
    rows = [row for row in table.to_pylist() if row["repo_id"] in wanted]
    staged = target.stage(REPOSITORIES)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema("repositories")), staged, compression="zstd")
    target.publish(staged, REPOSITORIES)


def _licences(streams: Iterable[Manifest]) -> str:
    rows = [(stream.repo_id, stream.licence or "unknown", stream.source) for stream in streams]
    return (
        "# Licences\n\nFilm inherits the licence of the repository that it was made from.\n\n"
        f"{markdown_table(['repository', 'licence (SPDX)', 'source'], rows)}\n"
    )


def _card(streams: Sequence[Manifest], place: dict[str, str]) -> str:
    """The card, whose head says to every reader which files are which table and split."""
    configs = []
    for kind in KINDS:
        splits = [name for name, _ in SPLITS if any(place[s.repo_id] == name and _has(s, kind) for s in streams)]
        lines = "".join(f"  - split: {name}\n    path: data/{kind}/{name}/*.parquet\n" for name in splits)
        if splits:
            default = "  default: true\n" if kind == "steps" else ""
            configs.append(f"- config_name: {kind}\n{default}  data_files:\n{lines}")
    configs.append(f"- config_name: repositories\n  data_files: {REPOSITORIES}\n")
    licences = yaml_list(sorted({(stream.licence or "unknown").lower() for stream in streams}))
    steps = sum(stream.steps for stream in streams)
    return f"""---
pretty_name: Git history as terminal film
license:
{licences}
tags:
- terminal
- code
configs:
{"".join(configs)}---

# Git history as terminal film

{len(streams):,} repositories, {steps:,} steps. A step is a terminal's screen and the key pressed next.

Stream it. A copy on disk, which `load_dataset` makes without `streaming=True`, has every row of every screen as text
of its own and is more than a hundred times as large (16.6 MB of Parquet became 2.2 GB).

```python
from datasets import load_dataset

for step in load_dataset("FOLDER", "steps", split="{place[streams[0].repo_id]}", streaming=True):
    print(step["frame"], step["action"])
```

LICENCES.md names each repository's licence. To use it with gitreel: `python -m pipeline.warehouse import FOLDER`.
"""


def _has(stream: Manifest, kind: str) -> bool:
    return any(kind in shard.files for shard in stream.shards)


def import_folder(source: Store, store: Store) -> Moved:
    """Take every stream of an exported folder into a warehouse, checked; those that it has already stay as they are.

    The whole folder is checked before anything is written. Splits are those that they had: they are written first, so
    that a build finds them wherever this is stopped. The same call then goes on.
    Raises ConfigError (no such folder), CorruptError, WarehouseError (other film of that name, another split of it or
    its family, or a folder of other things).
    """
    may_hold_film(store)
    names = [name for name in source.names(LISTS) if name.endswith(".json")]
    if not names:
        raise ConfigError(f"{source}: holds no {LISTS}/; name a folder that python -m pipeline.warehouse export wrote")
    lists = [_read_list(source, name) for name in names]
    splits = {stream.repo_id: split for split, stream, _ in lists}
    streams = {stream.repo_id: stream for _, stream, _ in lists}
    _check_splits(source, store, streams, splits)
    for _, stream, copies in lists:
        _present(source, store, stream)
        for copy, ref in zip(copies, stream.files(), strict=True):
            check(source, ref.model_copy(update={"path": copy}), advice=AGAIN)
    with store.lock(BUILD_LOCK, wait=BUILD_WAIT):  # a build reads these lists and writes them
        _check_splits(source, store, streams, splits)
        write_registry(store, splits)
    for _, stream, copies in lists:
        with store.lock(f"{stream_folder(stream.repo_id)}/.lock"):
            present = _present(source, store, stream)
            for copy, ref in zip(copies, stream.files(), strict=True):
                if present is None:
                    store.write(ref.path, _bytes(source, copy, ref))
            publish(store, present or stream)  # last: what it names is there
    refs = [ref for _, stream, _ in lists for ref in stream.files()]
    return Moved(len(lists), sum(stream.steps for _, stream, _ in lists), len(refs), sum(ref.bytes for ref in refs))


def _check_splits(source: Store, store: Store, streams: Mapping[str, Manifest], splits: Mapping[str, str]) -> None:
    """Raise WarehouseError where a split is not that of the stream, or of its family, there and in the folder."""
    for repo, split in sorted(assigned(store, splits).items()):
        if split != splits[repo]:
            raise WarehouseError(
                f"{store}: {repo} is in split {split} there and in split {splits[repo]} in {source}, and a split never "
                f"changes; nothing was taken in; {_elsewhere(source)}"
            )
    first: dict[str, str] = {}
    for repo in sorted(splits):
        other = first.setdefault(family_of(streams[repo]), repo)
        if splits[other] != splits[repo]:
            raise WarehouseError(
                f"{source}: {other} is in split {splits[other]} and {repo}, which has the same history, in split "
                f"{splits[repo]}, and a family has one split; nothing was taken in; export one of them alone: "
                f"python -m pipeline.warehouse export NEW_FOLDER --repo {pasteable(other)}"
            )
    family = relatives(store, first)
    for other, split in sorted(assigned(store, family).items()):
        repo = first[family[other]]
        if split != splits[repo]:
            raise WarehouseError(
                f"{store}: {other} is in split {split} there, and {repo}, which has the same history, in split "
                f"{splits[repo]} in {source}, and a family has one split; nothing was taken in; {_elsewhere(source)}"
            )


def _present(source: Store, store: Store, stream: Manifest) -> Manifest | None:
    """The stream where the warehouse has it already. Raises WarehouseError where it has other film of that name."""
    folder = stream_folder(stream.repo_id)
    present = load(store, f"{folder}/{MANIFEST}")
    if present is not None and not _same_film(present, stream):
        raise WarehouseError(f"{store}/{folder}: other film of {stream.repo_id} is there; {_elsewhere(source)}")
    return present


def _elsewhere(source: Store) -> str:
    """What to do with streams that this warehouse cannot hold."""
    return f"import into another --warehouse: python -m pipeline.warehouse import {source} --warehouse OTHER"


def _bytes(source: Store, copy: str, ref: FileRef) -> bytes:
    """What a file of the folder holds. Raises CorruptError where that is no longer what was checked."""
    try:
        data = source.read(copy)
    except FileNotFoundError:
        data = b""
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise CorruptError(f"{source}/{copy} changed while it was taken in; {AGAIN}")
    return data


def _read_list(source: Store, name: str) -> tuple[str, Manifest, list[str]]:
    """A stream's split, its manifest, and the names of its files' copies. Raises CorruptError."""
    wrong = CorruptError(f"{source}/{name}: not the list of a stream's files; {AGAIN}")
    try:
        listed = json.loads(source.read(name))
        split, copies = listed["split"], list(map(str, listed["files"]))
        stream = parse_manifest(json.dumps(listed["manifest"]).encode(), f"{source}/{name}")
    except (ValueError, KeyError, TypeError) as error:
        raise wrong from error
    refs = list(stream.files())
    inside = all(copy.startswith("data/") for copy in copies) and all(
        ref.path.startswith(f"{stream_folder(stream.repo_id)}/") for ref in refs
    )
    outside = any(".." in path.split("/") for path in (*copies, *(ref.path for ref in refs)))
    known = split in [known for known, _ in SPLITS] and name == _list_name(stream)
    if not (inside and known) or outside or len(copies) != len(refs):
        raise wrong
    return split, stream, copies


def _same_film(present: Manifest, stream: Manifest) -> bool:
    """Whether a stream that is there is the one to import, which may have been packed since an earlier import."""
    packed = any(is_packed(ref.path) for ref in present.files())
    return present == stream or (packed and _unplaced(present) == _unplaced(stream))


def _unplaced(stream: Manifest) -> Manifest:
    """The manifest without where its rows lie."""
    nowhere = {"path": "", "sha256": "", "bytes": 0, "row_groups": (0, 0), "skip": 0}
    shards = [
        shard.model_copy(update={"files": {kind: ref.model_copy(update=nowhere) for kind, ref in shard.files.items()}})
        for shard in stream.shards
    ]
    return stream.model_copy(update={"shards": tuple(shards)})
