"""A stream's manifest, `shards/<slug>/stream.json`: its files, their checksums and where to go on.

It is the commit point. A file that it does not name is no part of the warehouse; the file is put in place last and
atomically, so that a kill at any moment leaves the stream as it was or as it will be. It holds no times: the same
repository, config and version give the same bytes.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from pydantic import SerializerFunctionWrapHandler, ValidationError, model_serializer

from schema.config import FrozenModel, ReplayConfig
from schema.editors import EDITOR_VERSIONS, Editor
from schema.errors import CorruptError
from schema.records import Episode, Repository, Shard
from schema.version import SCHEMA_VERSION, check_version
from schema.widths import VIM_VERSION, WIDTH_HASH

KINDS = ("steps", "episodes", "blobs", "drops")
TOOL_VERSION = version("gitreel")
MANIFEST = "stream.json"
PACKS = "packs"  # the folder of files that hold several streams
PENDING = "stream.next.json"  # a stream that is filmed anew, on its way to replace the present one


class FileRef(FrozenModel):
    """A Parquet file, or its part of a packed one. `path` is relative to the warehouse.

    In a pack, streams that are shorter than a row group share one: the file's rows are then `rows` rows of a single
    row group, behind the `skip` rows of the streams before it.
    """

    path: str
    sha256: str
    bytes: int
    rows: int
    row_groups: tuple[int, int]  # first, count
    skip: int = 0

    @model_serializer(mode="wrap")
    def _leave_out_zero(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if not fields.get("skip"):
            fields.pop("skip", None)
        return fields

    def part(self, rows: int) -> slice:
        """Which rows of a row group of `rows` rows are this file's."""
        return slice(self.skip, self.skip + self.rows) if self.row_groups[1] == 1 else slice(0, rows)


class ShardEntry(FrozenModel):
    """One shard: consecutive episodes, at most one file of each kind; a kind without rows has none."""

    shard: int
    closed: bool
    first_step: int
    steps: int
    first_episode: int
    episodes: int
    filmed: int
    schema_version: str
    tool_version: str
    vim_version: str
    width_hash: str
    editor_version: str | None = None  # None: the editor is vim, and its version above
    files: dict[str, FileRef]

    @model_serializer(mode="wrap")
    def _leave_out_none(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        if fields.get("editor_version") is None:
            fields.pop("editor_version", None)
        return fields


class Manifest(FrozenModel):
    """One repository's stream. `generation`: how often it was replaced or emptied; `resume`: its last episode."""

    schema_version: str = SCHEMA_VERSION
    repo_id: str
    source: str = ""
    family: str | None = None
    licence: str | None = None
    head: str | None = None
    status: str = "partial"
    reason: str | None = None
    tool_version: str = TOOL_VERSION
    config: ReplayConfig
    generation: int = 0
    shards: tuple[ShardEntry, ...] = ()
    resume: Episode | None = None

    @property
    def steps(self) -> int:
        """Length of the stream."""
        return sum(s.steps for s in self.shards)

    @property
    def episodes(self) -> int:
        """Episodes in the stream, dropped ones included."""
        return sum(s.episodes for s in self.shards)

    @property
    def repository_id(self) -> str:
        """The repository that it films; `repo_id` names the editor, too, where it is not vim."""
        return repository_of(self.repo_id)

    @property
    def editor(self) -> Editor:
        """The editor that its files are edited in."""
        return self.config.editor

    @property
    def folder(self) -> str:
        """Where its files lie, relative to the warehouse."""
        folder = stream_folder(self.repo_id)
        return f"{folder}/g{self.generation:04d}" if self.generation else folder

    def files(self) -> Iterator[FileRef]:
        """Every file of every shard."""
        for shard in self.shards:
            yield from shard.files.values()

    def dump(self) -> bytes:
        """Its bytes: sorted keys, one line a key."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1).encode() + b"\n"

    def repository(self, split: str | None, duplicate_of: str | None) -> Repository:
        """Its row of the `repositories` table."""
        return Repository.model_validate(
            {
                **self.model_dump(include={"repo_id", "source", "head", "family", "licence", "status"}),
                "split": split,
                "duplicate_of": duplicate_of,
                "reason": self.reason,
                "episodes": sum(s.filmed for s in self.shards),
                "steps": self.steps,
                "rows": self.config.rows,
                "cols": self.config.cols,
                "editor": self.config.editor,
                "motion": self.config.motion,
                "repository": self.repository_id,
                "tool_version": self.tool_version,
                "config_hash": self.config.digest,
            }
        )

    def shard_rows(self) -> Iterator[Shard]:
        """Its rows of the `shards` table: shards that hold steps."""
        for entry in self.shards:
            if "steps" not in entry.files:
                continue
            file = entry.files["steps"]
            yield Shard(
                repo_id=self.repo_id,
                path=file.path,
                sha256=file.sha256,
                bytes=file.bytes,
                config_hash=self.config.digest,
                rows=self.config.rows,
                cols=self.config.cols,
                **{"editor_version": entry.vim_version, **entry.model_dump(exclude={"filmed", "files"})},
                editor=self.config.editor,
            )


def stream_id(repository: str, editor: Editor) -> str:
    """The `repo_id` of a repository's film in an editor: a warehouse may hold one of each.

    >>> stream_id("pallets/click", "vim"), stream_id("pallets/click", "nano")
    ('pallets/click', 'pallets/click@nano')
    """
    return repository if editor == "vim" else f"{repository}@{editor}"


def repository_of(repo_id: str) -> str:
    """The repository of a stream's id: what stands before an editor's name.

    >>> repository_of("pallets/click@nano"), repository_of("pallets/click")
    ('pallets/click', 'pallets/click')
    """
    repository, _, editor = repo_id.rpartition("@")
    return repository if repository and editor in EDITOR_VERSIONS and editor != "vim" else repo_id


def slug(repo_id: str) -> str:
    """A folder name for a repository, one to one: 'pallets/click' -> 'pallets+click'. At most 200 bytes."""
    text = quote(repo_id, safe="/").replace("~", "%7E").replace("/", "+")
    text = re.sub(r"^\.", "%2E", text)
    if len(text) <= 200:
        return text
    return f"{text[:160]}%{hashlib.sha256(repo_id.encode()).hexdigest()[:32]}"


def stream_folder(repo_id: str) -> str:
    """The stream's folder, relative to the warehouse."""
    return f"shards/{slug(repo_id)}"


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes; `where` names the file. Raises CorruptError, SchemaVersionError."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        _check_said_version(data, where)  # another version's may have other fields
        raise CorruptError(
            f"{where}: not a stream's manifest; remove its folder and harvest the repository again: "
            "python -m flows.harvest --repo PATH"
        ) from error
    check_version(manifest.schema_version if "schema_version" in manifest.model_fields_set else None, where)
    return manifest


def _check_said_version(data: bytes, where: str) -> None:
    """Check the schema version that a JSON object names, whatever else is in it. Raises SchemaVersionError."""
    try:
        fields = json.loads(data)
    except ValueError:
        return
    if isinstance(fields, dict):
        version = fields.get("schema_version")
        check_version(None if version is None else str(version), where)


def file_metadata(config: ReplayConfig, table: str) -> dict[str, str]:
    """Key-value metadata of every Parquet file; film in vim names no other editor."""
    fields = {
        "table": table,
        "schema_version": SCHEMA_VERSION,
        "tool_version": TOOL_VERSION,
        "config_hash": config.digest,
        "rows": str(config.rows),
        "cols": str(config.cols),
        "vim_version": VIM_VERSION,
        "width_hash": WIDTH_HASH,
    }
    version = editor_version(config)
    return fields if version is None else {**fields, "editor": config.editor, "editor_version": version}


def editor_version(config: ReplayConfig) -> str | None:
    """The version of the editor whose screen is drawn; None for vim, which is named beside the width table."""
    return None if config.editor == "vim" else EDITOR_VERSIONS[config.editor]
