"""Owners who want no film of theirs in a warehouse: its list `opt-out.txt`, and taking out what it names.

One owner, or OWNER/NAME, a line; '#' starts a comment. Every harvest into the warehouse reads it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pipeline.compact import repack
from pipeline.manifest import manifests
from pipeline.shards import refuse
from pipeline.store import Store
from schema.errors import ConfigError

OPT_OUT = "opt-out.txt"
RULE = "opt-out"


class Removed(NamedTuple):
    """Streams emptied, and the steps they had."""

    streams: int
    steps: int


def opted_out(repo_id: str, listed: Iterable[str]) -> bool:
    """Whether the owner, or owner/name, is in the opt-out list; case does not matter."""
    names = {name.strip().lower() for name in listed}
    return repo_id.lower() in names or repo_id.lower().split("/")[0] in names


def opt_out_list(store: Store) -> tuple[str, ...]:
    """The warehouse's own list. Raises WarehouseError."""
    try:
        lines = store.read(OPT_OUT).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(name for line in lines if (name := line.split("#")[0].strip()))


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
