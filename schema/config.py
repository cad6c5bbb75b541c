"""What decides the film's bytes. Same repository, same ReplayConfig, same version: same bytes."""

import hashlib
import json
from functools import lru_cache
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from schema.editors import Editor, Motion
from schema.errors import ConfigError
from schema.geometry import Geometry
from schema.version import SCHEMA_VERSION


class FrozenModel(BaseModel):
    """Immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def complaints(error: ValidationError, prefix: str = "") -> str:
    """Pydantic's complaints in one line, each behind its field's name; `prefix` stands before the name."""
    parts = []
    for complaint in error.errors():
        where = ".".join(str(part) for part in complaint["loc"])
        words = "unknown setting" if complaint["type"] == "extra_forbidden" else complaint["msg"]
        words = words.removeprefix("Value error, ")
        parts.append(f"{prefix}{where}: {words}" if where else words)
    return "; ".join(parts)


class ReplayConfig(FrozenModel):
    """How a history becomes film. Every field changes the stored bytes.

    `editor` and `motion` are left out of what is stored and hashed where they are the default: film of the time before
    there were two editors keeps its bytes and its hash.
    """

    rows: int = Field(24, ge=4, le=500, description="screen height, cells")
    cols: int = Field(80, ge=24, le=1000, description="screen width, cells")
    max_file_bytes: int = Field(1 << 20, ge=0, description="bytes; a larger file is brought by checkout")
    max_episode_keys: int = Field(100_000, ge=1_000, description="keys; files past it are brought by checkout")
    max_commit_files: int = Field(200, ge=1, description="files; a commit of more is stepped over")
    skip_bots: bool = Field(True, description="step over commits by bots")
    skip_generated: bool = Field(True, description="bring generated, vendored, minified and lock files by checkout")
    scan_secrets: bool = Field(True, description="bring lines that hold a secret by checkout")
    mask_emails: bool = Field(True, description="remove e-mail addresses from typed subjects")
    show_emails: bool = Field(
        True, description="type and show lines that hold e-mail addresses; otherwise they come by checkout"
    )
    author_key_hash: str | None = Field(
        None, description="sha256 of the key that hashes author ids; the key itself is never stored"
    )
    editor: Editor = Field("vim", description="the editor that files are edited in")
    motion: Motion = Field(
        "jumps", description="how nano's cursor goes: by words, lines and line numbers too, or one place at a time"
    )

    @classmethod
    def of(cls, **settings: Any) -> "ReplayConfig":
        """These settings, and the defaults of all others. Raises ConfigError where they do not hold."""
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            said = complaints(error)
        raise ConfigError(f"{said}; see schema.config.ReplayConfig for every setting")

    @model_validator(mode="after")
    def _check_motion(self) -> "ReplayConfig":
        if self.motion == "arrows" and self.editor != "nano":
            raise ValueError(f"motion=arrows: {self.editor} is not moved by arrow keys alone; add editor=nano")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        for name in ("editor", "motion"):
            if fields.get(name) == type(self).model_fields[name].default:
                del fields[name]
        return fields

    @property
    def geometry(self) -> Geometry:
        """The screen's size."""
        return Geometry(self.rows, self.cols)

    @property
    def digest(self) -> str:
        """16 hex digits over every field and the schema version: `config_hash` in the warehouse."""
        return _digest(self)


@lru_cache(maxsize=256)
def _digest(config: ReplayConfig) -> str:
    """Every stream of a warehouse has a config of its own, and almost all of them are equal."""
    text = json.dumps([SCHEMA_VERSION, config.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
