"""Whether a harvest lost anything or stored it twice: its streams beside recordings made without Prefect."""

import random
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.warehouse.build import build

CONTENTS = """
    SELECT repo_id, count(*), count(DISTINCT stream_step),
           sum(hash(stream_step, episode, frame, style, cursor_row, cursor_col, action, phase)::HUGEINT)::VARCHAR
    FROM steps GROUP BY repo_id
"""


class Stored(NamedTuple):
    """A repository's steps: how many rows, how many places in its stream, and the sum of the rows' hashes."""

    rows: int
    places: int
    content: str


class Proof(NamedTuple):
    """What is not as it should be, a line each."""

    lost: list[str]
    doubled: list[str]
    compared: int


def contents(warehouse: Path) -> dict[str, Stored]:
    """The steps of every repository in a warehouse, as its database shows them."""
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as database:
        return {row[0]: Stored(*row[1:]) for row in database.execute(CONTENTS).fetchall()}


def record(warehouse: Path) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The status of every repository, the rule by which some were refused, and ids that stand twice."""
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as database:
        statuses = database.execute("SELECT repo_id, status FROM repositories").fetchall()
        rules = database.execute("SELECT repo_id, rule FROM drops WHERE scope = 'repository'").fetchall()
    twice = [name for name in {name for name, _ in statuses} if sum(name == other for other, _ in statuses) > 1]
    return dict(statuses), dict(rules), twice if len(statuses) != len(dict(statuses)) else []


def record_directly(places: dict[str, Path], warehouse: Path, processes: int = 2) -> dict[str, Stored]:
    """Film folders without Prefect, each under its repository's name, and return their steps."""
    jobs = [(name, str(place)) for name, place in places.items()]
    with ProcessPoolExecutor(processes, mp_context=get_context("forkserver")) as pool:
        for _ in pool.map(partial(_film, str(warehouse)), jobs, chunksize=16):
            continue
    build(warehouse)
    return contents(warehouse)


def _film(warehouse: str, job: tuple[str, str]) -> str:
    name, place = job
    return harvest_repository(place, HarvestConfig(warehouse=warehouse, names={place: name})).status


def chosen(names: Sequence[str], count: int, seed: int) -> list[str]:
    """So many of the names, by chance; 0: all."""
    return sorted(random.Random(seed).sample(list(names), min(count, len(names)) if count else len(names)))


def prove(
    warehouse: Path,
    expected: dict[str, str | None],
    known: Collection[str],
    failed: Collection[str],
    direct: dict[str, Stored],
) -> Proof:
    """Every repository is complete, or refused for the reason of `expected`, or among those that a run says failed.

    `known` are all that were asked for, `direct` the steps of some as they were recorded without Prefect.
    """
    statuses, rules, twice = record(warehouse)
    stored = contents(warehouse)
    lost = list(_lost(expected, statuses, rules, failed))
    lost += [f"{name}: its steps differ" for name, steps in direct.items() if stored.get(name) != steps]
    lost += [f"{name}: nobody asked for it" for name in statuses.keys() - set(known)]
    doubled = [f"{name}: is registered twice" for name in twice]
    doubled += [
        f"{name}: {each.rows - each.places} steps twice" for name, each in stored.items() if each.rows != each.places
    ]
    return Proof(lost, doubled, len(direct))


def _lost(
    expected: dict[str, str | None], statuses: dict[str, Any], rules: dict[str, str], failed: Collection[str]
) -> Iterable[str]:
    for name, reason in expected.items():
        if reason is None:
            if statuses.get(name) != "complete":
                yield f"{name}: {statuses.get(name, 'not there')}, not complete"
        elif reason:
            if (statuses.get(name), rules.get(name)) != ("refused", reason):
                yield f"{name}: {statuses.get(name, 'not there')} ({rules.get(name)}), not refused for {reason}"
        elif name not in failed:
            yield f"{name}: no run says that it failed"
