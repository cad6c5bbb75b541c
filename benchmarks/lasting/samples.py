"""Samples of a lasting harvest, a row of a CSV file each, and what they add up to."""

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

SECONDS = 10.0  # between samples
SETTLED = 600.0  # s: memory's slope is taken from then on
ROLES = ("server", "worker", "flow", "film")


class Sample(NamedTuple):
    """One moment; counts are since the beginning, memory is in megabytes (10^6 bytes) of resident pages."""

    seconds: float
    visits: int  # repositories fetched from GitHub, whether or not there was something new
    complete: int  # repositories whose stream in the warehouse is complete
    refused: int
    steps: int  # in the warehouse
    runs_ended: int
    runs_alive: int
    server_mb: float
    worker_mb: float
    flow_mb: float
    film_mb: float
    processes: int
    files: int  # open ones, of all these processes
    api_faults: int  # answered by the simulated GitHub
    git_faults: int
    rate_limits: int
    kills: int
    cpu_seconds: float  # of all these processes, and of git's
    load: float  # of the machine, other programs included

    @property
    def memory_mb(self) -> float:
        """Of all roles."""
        return self.server_mb + self.worker_mb + self.flow_mb + self.film_mb


class Streams:
    """The manifests of a warehouse, read again only where they changed."""

    def __init__(self, warehouse: Path) -> None:
        self.folder = warehouse / "shards"
        self._known: dict[str, tuple[int, str, str, int]] = {}  # folder -> moment, repo_id, status, steps

    def look(self) -> dict[str, tuple[str, int]]:
        """repo_id -> status and steps, of every stream."""
        if self.folder.is_dir():
            for entry in os.scandir(self.folder):
                try:
                    place = Path(entry.path) / "stream.json"
                    moment = place.stat().st_mtime_ns
                    if self._known.get(entry.name, (0,))[0] != moment:
                        fields = json.loads(place.read_bytes())
                        self._known[entry.name] = moment, fields["repo_id"], fields["status"], steps_of(fields)
                except FileNotFoundError:  # not begun
                    continue
        return {repo_id: (status, steps) for _, repo_id, status, steps in self._known.values()}


def steps_of(fields: dict[str, object]) -> int:
    """The steps of a manifest's stream."""
    shards = fields["shards"]
    assert isinstance(shards, list)
    return sum(int(shard["files"]["steps"]["rows"]) for shard in shards if "steps" in shard["files"])


class Table:
    """The CSV file that samples are added to as they are taken."""

    def __init__(self, place: Path) -> None:
        self.place, self.rows = place, list[Sample]()
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(Sample._fields)

    def add(self, sample: Sample) -> None:
        """Write one more."""
        self.rows.append(sample)
        with self.place.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(sample)


def read(place: Path) -> list[Sample]:
    """The samples of a file. Raises ValueError: it is none of these files."""
    with place.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = Sample.__annotations__
    try:
        return [Sample(**{name: kinds[name](text) for name, text in row.items()}) for row in rows]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{place}: no samples of a lasting harvest: {error}") from None


def read_summary(place: Path) -> dict[str, str]:
    """What a lasting harvest came to: figure -> value."""
    with place.open(newline="", encoding="utf-8") as file:
        return {row["figure"]: row["value"] for row in csv.DictReader(file)}


def write_summary(place: Path, values: Mapping[str, object]) -> None:
    """Write it."""
    with place.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("figure", "value"), *values.items()])


def rates(rows: Sequence[Sample], parts: int = 3) -> list[float]:
    """Visits a second in equal parts of the time."""
    if len(rows) < 2:
        return [0.0] * parts
    moments = np.array([row.seconds for row in rows])
    visits = np.array([row.visits for row in rows], dtype=np.float64)
    borders = np.linspace(moments[0], moments[-1], parts + 1)
    counts = np.diff(np.interp(borders, moments, visits))
    return [float(rate) for rate in counts / np.diff(borders)]


def costs(rows: Sequence[Sample], parts: int = 3) -> list[float]:
    """Seconds of processor a visit in equal parts of the time: other programs of the machine hardly change that."""
    if len(rows) < 2 or rows[-1].visits == rows[0].visits:
        return [0.0] * parts
    moments = np.array([row.seconds for row in rows])
    borders = np.linspace(moments[0], moments[-1], parts + 1)
    spent, visits = (
        np.diff(np.interp(borders, moments, [float(getattr(row, name)) for row in rows]))
        for name in ("cpu_seconds", "visits")
    )
    return [float(cost) for cost in spent / np.maximum(visits, 1)]


def slope(rows: Sequence[Sample], role: str = "memory") -> float:
    """Megabytes an hour by least squares, after the first ten minutes, or all of a shorter harvest."""
    late = [row for row in rows if row.seconds >= SETTLED]
    late = late if len(late) > 2 else list(rows)
    if len(late) < 2:
        return 0.0
    hours = [row.seconds / 3600 for row in late]
    return float(np.polyfit(hours, [getattr(row, f"{role}_mb") for row in late], 1)[0])


def spread(values: Sequence[float]) -> float:
    """The largest less the smallest, over the mean."""
    mean = sum(values) / len(values)
    return (max(values) - min(values)) / mean if mean else 0.0


def figures(rows: Sequence[Sample]) -> dict[str, float]:
    """Rates and memory."""
    thirds = rates(rows)
    mean, seconds = sum(thirds) / len(thirds), costs(rows)
    return {
        "repositories_per_second": round(mean, 3),
        **{f"rate_{name}": round(rate, 3) for name, rate in zip(("first", "middle", "last"), thirds, strict=True)},
        "rate_spread": round(spread(thirds), 3),
        **{f"cpu_{name}": round(cost, 3) for name, cost in zip(("first", "middle", "last"), seconds, strict=True)},
        "cpu_spread": round(spread(seconds), 3),
        "memory_slope_mb_per_hour": round(slope(rows), 1),
        **{f"{role}_slope_mb_per_hour": round(slope(rows, role), 1) for role in ROLES},
        "memory_peak_mb": round(max((row.memory_mb for row in rows), default=0.0), 1),
        "open_files_peak": max((row.files for row in rows), default=0),
    }
