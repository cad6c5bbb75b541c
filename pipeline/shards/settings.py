"""What differs between the settings that a stream was filmed with and those that are asked for now, in words."""

from collections.abc import Iterator

from pipeline.messages import pasteable
from pipeline.shards.store import Store
from schema.config import ReplayConfig
from schema.errors import ConfigError
from schema.manifest import Manifest

_FLAGS = ("editor", "motion")  # settings that are flags of a harvest; the others are given by --set


def other_settings(store: Store, stream: Manifest, config: ReplayConfig, named: str) -> ConfigError:
    """The error for a stream that `config` cannot go on with. `named`: the words by which a harvest names its source.

    >>> small = Manifest(repo_id="a/b", config=ReplayConfig())
    >>> print(other_settings(Store("w"), small, ReplayConfig(rows=48, cols=160), "--repo https://host/a/b"))
    ... # doctest: +NORMALIZE_WHITESPACE
    w/shards/a+b: a/b was filmed with rows=24, cols=80, not rows=48, cols=160; use the same settings, or a new folder:
    python -m flows.harvest --repo https://host/a/b --geometry 48x160 --warehouse NEW_FOLDER
    """
    names = [name for name in ReplayConfig.model_fields if getattr(stream.config, name) != getattr(config, name)]
    before, now = (", ".join(f"{name}={_value(one, name)}" for name in names) for one in (stream.config, config))
    command = " ".join(["python -m flows.harvest", named, *_flags(config), "--warehouse NEW_FOLDER"])
    return ConfigError(
        f"{store}/{stream.folder}: {stream.repo_id} was filmed with {before}, not {now}; "
        f"use the same settings, or a new folder: {command}"
    )


def _flags(config: ReplayConfig) -> Iterator[str]:
    """The flags of a harvest with these settings; a key that hashes author ids comes from the environment."""
    usual = ReplayConfig.model_validate({})
    if config.geometry != usual.geometry:
        yield f"--geometry {config.rows}x{config.cols}"
    for name in ReplayConfig.model_fields:
        if name in ("rows", "cols", "author_key_hash") or getattr(config, name) == getattr(usual, name):
            continue
        value = pasteable(_value(config, name))
        yield f"--{name} {value}" if name in _FLAGS else f"--set {name}={value}"


def _value(config: ReplayConfig, name: str) -> str:
    value = getattr(config, name)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)[:16] if name == "author_key_hash" and value else str(value)
