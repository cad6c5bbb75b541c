"""Families, duplicates and splits: decided once, when a stream is registered.

What was assigned is kept in `splits.json`, the newest, and in `splits/00.json` to `splits/ff.json`, by a hash of the
repository's id: an assignment costs the same among any number of them.

A family is all repositories that share their oldest root commit (forks and copies). It belongs whole to one split, by
a stable hash, so that nothing of a validation repository is ever trained on. Its canonical member is the one with the
earliest commit, then the lowest repository id; the others are marked `duplicate_of` it, and loaders leave them out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from pipeline.shards.store import Store
from schema.errors import CorruptError

SPLITS = (("train", 0.8), ("validation", 0.1), ("test", 0.1))
REGISTRY, REGISTRY_PARTS = "splits.json", "splits"
NEWEST = 1024  # assignments in `splits.json`; more of them go to their parts
_LATE = datetime.max.replace(tzinfo=UTC)


class Member(Protocol):
    """A stream as a member of a family: a manifest, or its row of `repositories`."""

    @property
    def repo_id(self) -> str: ...
    @property
    def family(self) -> str | None: ...
    @property
    def steps(self) -> int: ...
    @property
    def editor(self) -> str: ...


def family_of(stream: Member) -> str:
    """Its oldest root; its own id when the root is unknown."""
    return stream.family or stream.repo_id


def parted(table: str) -> str:
    """A query for the families of `repositories`, or of what has its columns, that lie in more than one split.

    Its columns: `shared`, the family; `streams` and `splits`, listed.
    """
    return (
        "SELECT coalesce(family, repo_id) AS shared, string_agg(repo_id, ', ' ORDER BY repo_id) AS streams,"
        f" string_agg(DISTINCT split, ', ' ORDER BY split) AS splits FROM {table} WHERE steps > 0"
        " GROUP BY shared HAVING count(DISTINCT split) > 1"
    )


def family_hash(family: str) -> float:
    """A stable number in [0, 1)."""
    digest = hashlib.sha256(f"gitreel split {family}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def natural_split(family: str) -> str:
    """The split that a family's hash alone gives it: 80 % train, 10 % validation, 10 % test."""
    place, edge = family_hash(family), 0.0
    for name, share in SPLITS:
        edge += share
        if place < edge:
            return name
    return SPLITS[-1][0]


def duplicates(streams: Sequence[Member], first_commit: Mapping[str, datetime | None]) -> dict[str, str]:
    """repo_id -> canonical repo_id, for every member of a family but the canonical one, streams without steps apart.

    Film of one history in two editors is no duplicate: each editor has a canonical member.
    """
    canonical: dict[tuple[str, str], str] = {}
    ordered = sorted(
        (s for s in streams if s.steps),
        key=lambda s: (first_commit.get(s.repo_id) or _LATE, s.repo_id),
    )
    found = {}
    for stream in ordered:
        first = canonical.setdefault((family_of(stream), stream.editor), stream.repo_id)
        if first != stream.repo_id:
            found[stream.repo_id] = first
    return found


def assign(
    streams: Sequence[Member],
    known: Mapping[str, str],
    elsewhere: Mapping[str, int] | None = None,
    moved: Collection[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """(repo_id -> split for every stream with steps, messages for the user).

    `known` is what was assigned before, and never changes, but where members of one family contradict each other:
    `moved`, which have come from another family since (a stream that was replaced), follow the others; and of others
    that do, all go to the first of train, validation and test, so that nothing that was trained on is tested on. A new
    family goes where a member of it already is, else where its hash says. Then, for train, validation and test in turn:
    a split without any family takes the new family of the lowest hash, out of a split that keeps another one.
    `elsewhere` counts the families of each split of which no member is among `streams`.
    """
    others = Counter(elsewhere or {})
    splits: dict[str, str] = {}
    fixed: set[str] = set()
    filmed = sorted((s for s in streams if s.steps), key=lambda s: s.repo_id)
    order = {name: place for place, (name, _) in enumerate(SPLITS)}
    assigned_before = [stream for stream in filmed if stream.repo_id in known]
    for stream in sorted(assigned_before, key=lambda s: (s.repo_id in moved, order.get(known[s.repo_id], len(order)))):
        splits.setdefault(family_of(stream), known[stream.repo_id])
        fixed.add(family_of(stream))
    for stream in filmed:
        splits.setdefault(family_of(stream), natural_split(family_of(stream)))
    messages = []
    for name, _ in SPLITS:
        families = Counter(splits.values()) + others
        movable = [f for f in splits if f not in fixed and families[splits[f]] > 1]
        if name == "train":  # one family alone is for training, whatever its hash
            movable = movable or [f for f in splits if f not in fixed]
        if not families[name] and movable:
            taken = min(movable, key=family_hash)
            messages.append(
                f"split {name} was empty: it takes the family with the lowest hash, "
                f"{next(s.repo_id for s in filmed if family_of(s) == taken)} (from {splits[taken]})"
            )
            splits[taken] = name
            fixed.add(taken)
    if len(splits) + others.total() == 1:
        messages.append("one family alone: trainers hold out the last 10 % of its steps, behind a gap of one window")
    return {s.repo_id: splits[family_of(s)] for s in filmed}, messages


def assigned(store: Store, repos: Iterable[str]) -> dict[str, str]:
    """What was assigned to these repositories before, if anything. Raises CorruptError."""
    wanted = set(repos)
    found = _read(store, REGISTRY)
    for part in {_part(repo) for repo in wanted - found.keys()}:
        found.update(_read(store, part))
    return {repo: found[repo] for repo in wanted & found.keys()}


def write_registry(store: Store, splits: Mapping[str, str]) -> None:
    """Add to the assignments; a repository that has left the warehouse keeps its line.

    The newest go to their parts together, and first: killed in between, they stand in both.
    """
    newest = {**_read(store, REGISTRY), **splits}
    if len(newest) > NEWEST:
        parts: dict[str, dict[str, str]] = {}
        for repo, split in newest.items():
            parts.setdefault(_part(repo), {})[repo] = split
        for name, found in parts.items():
            _write(store, name, {**_read(store, name), **found})
        newest = {}
    _write(store, REGISTRY, newest)


def _part(repo: str) -> str:
    return f"{REGISTRY_PARTS}/{hashlib.sha256(repo.encode()).hexdigest()[:2]}.json"


def _read(store: Store, name: str) -> dict[str, str]:
    try:
        found = json.loads(store.read(name))
        return {str(repo): str(split) for repo, split in found["splits"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(
            f"{store}/{name}: not a list of splits; remove it to assign every repository anew, then run: "
            "python -m pipeline.warehouse build"
        ) from error


def _write(store: Store, name: str, splits: Mapping[str, str]) -> None:
    store.write(name, json.dumps({"splits": dict(sorted(splits.items()))}, indent=1).encode() + b"\n")
