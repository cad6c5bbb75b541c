"""Removes an owner's film from a warehouse, and lists the owner so that no later harvest films it again."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from pipeline.crawl.opt_out import OPT_OUT, RULE, opt_out_list, opted_out
from pipeline.messages import pasteable
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import refuse
from pipeline.warehouse.compact import repack
from schema.errors import ConfigError


class Removed(NamedTuple):
    """Streams emptied, and the steps they had."""

    streams: int
    steps: int


def remove(store: Store, names: Iterable[str], *, future: bool = False) -> Removed:
    """List the names, empty their streams and pack their neighbours anew; the caller rebuilds the database, twice.

    A name that neither has a stream nor is listed already is treated as a typing error, and nothing is done, unless
    `future` says that it is meant for harvests to come. Killed at any moment, the same call goes on.
    Raises ConfigError (a name that is none, or a typing error), WarehouseError (one of the streams is being written),
    CorruptError, SchemaVersionError.
    """
    wanted = [_name(text) for text in names]
    known = {name.lower() for name in opt_out_list(store)}
    streams = list(manifests(store))
    if not future:
        for name in wanted:
            if name.lower() not in known and not any(opted_out(stream.repository_id, [name]) for stream in streams):
                raise _slip(store, name, [stream.repo_id for stream in streams])
    new = [name for name in dict.fromkeys(wanted) if name.lower() not in known]
    if new:
        before = store.read(OPT_OUT) if store.exists(OPT_OUT) else b""
        separator = b"" if not before or before.endswith(b"\n") else b"\n"
        store.write(OPT_OUT, before + separator + "".join(f"{name}\n" for name in new).encode())
    gone = [stream for stream in streams if stream.shards and opted_out(stream.repository_id, wanted)]
    for stream in gone:
        refuse(
            store, stream.repo_id, stream.config, RULE,
            source=stream.source, family=stream.family, licence=stream.licence,
        )  # fmt: skip
    repack(store)
    return Removed(len(gone), sum(stream.steps for stream in gone))


def _slip(store: Store, name: str, present: Sequence[str]) -> ConfigError:
    """The error for a name that no film is of: what is like it, and what to do where it is right."""
    known = {one.lower(): one for repo in present for one in (repo, repo.split("/")[0])}
    alike = [known[match] for match in get_close_matches(name.lower(), known, n=3)]
    meant = f"did you mean {' or '.join(alike)}? " if alike else ""
    return ConfigError(
        f"{name}: {store} holds no film of it, nothing was removed; {meant}to keep it out of later harvests all the "
        f"same: python -m pipeline.warehouse remove {pasteable(name)} --future --warehouse {pasteable(str(store))}"
    )


def _name(text: str) -> str:
    name = text.strip().strip("/")
    if not name or name.count("/") > 1 or "#" in name or not name.isprintable() or len(name.split()) != 1:
        raise ConfigError(f"{text!r}: no owner; write OWNER or OWNER/NAME, for example: remove pallets/click")
    return name
