"""Takes an owner's film out of a warehouse, and lists the owner so that no later harvest films it again."""

from collections.abc import Iterable
from typing import NamedTuple

from pipeline.crawl.opt_out import OPT_OUT, RULE, opt_out_list, opted_out
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.shards.writer import refuse
from pipeline.warehouse.compact import repack
from schema.errors import ConfigError


class Removed(NamedTuple):
    """Streams emptied, and the steps they had."""

    streams: int
    steps: int


def remove(store: Store, names: Iterable[str]) -> Removed:
    """List the names, empty their streams and pack their neighbours anew; the caller rebuilds the database, twice.

    Killed at any moment, the same call goes on. Raises ConfigError (a name that is none), WarehouseError (one of the
    streams is being written), CorruptError, SchemaVersionError.
    """
    wanted = [_name(text) for text in names]
    known = opt_out_list(store)
    new = [name for name in dict.fromkeys(wanted) if name.lower() not in {one.lower() for one in known}]
    if new:
        before = store.read(OPT_OUT) if store.exists(OPT_OUT) else b""
        separator = b"" if not before or before.endswith(b"\n") else b"\n"
        store.write(OPT_OUT, before + separator + "".join(f"{name}\n" for name in new).encode())
    gone = [stream for stream in manifests(store) if stream.shards and opted_out(stream.repo_id, wanted)]
    for stream in gone:
        refuse(
            store, stream.repo_id, stream.config, RULE,
            source=stream.source, family=stream.family, licence=stream.licence,
        )  # fmt: skip
    repack(store)
    return Removed(len(gone), sum(stream.steps for stream in gone))


def _name(text: str) -> str:
    name = text.strip().strip("/")
    if not name or name.count("/") > 1 or "#" in name or not name.isprintable() or len(name.split()) != 1:
        raise ConfigError(f"{text!r}: no owner; write OWNER or OWNER/NAME, for example: remove pallets/click")
    return name
