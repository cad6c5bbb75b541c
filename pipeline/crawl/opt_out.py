"""Owners who want no film of theirs in a warehouse: its list `opt-out.txt`.

One owner, or OWNER/NAME, a line; '#' starts a comment. Every harvest into the warehouse reads it.
"""

from collections.abc import Iterable

from pipeline.crawl.listing import names_in
from pipeline.shards.store import Store

OPT_OUT = "opt-out.txt"
RULE = "opt-out"


def opted_out(repo_id: str, listed: Iterable[str]) -> bool:
    """Whether the owner, or owner/name, is in the opt-out list; case does not matter."""
    names = {name.strip().lower() for name in listed}
    return repo_id.lower() in names or repo_id.lower().split("/")[0] in names


def opt_out_list(store: Store) -> tuple[str, ...]:
    """The warehouse's own list. Raises WarehouseError, ConfigError (no text)."""
    try:
        content = store.read(OPT_OUT)
    except FileNotFoundError:
        return ()
    return tuple(names_in(content, f"the warehouse's {OPT_OUT}", hash_in_names=False))
