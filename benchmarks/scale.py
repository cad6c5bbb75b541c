"""A harvest's speed with one process and with several, and the memory that each one takes.

    python -m benchmarks.scale                          four repositories made by code, 1 and 2 processes
    python -m benchmarks.scale --repo A --repo B --json real ones; the last line is JSON

Every run harvests the same repositories into a new warehouse, one process a repository, through the same function as
the flows. Peak memory is the largest resident size of any of the processes, and of git beside it.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.crash import make_history
from benchmarks.report import finish, header, parser, positive, table
from pipeline.harvester import HarvestConfig, check_sources, harvest_repository
from schema.errors import clear_errors


class Run(NamedTuple):
    """One harvest of all repositories."""

    processes: int
    steps: int
    seconds: float
    peak_bytes: int
    git_peak_bytes: int

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.seconds


def one(named: str, warehouse: str) -> tuple[int, int, int]:
    """Harvest one repository: its steps, this process's peak memory and that of its git processes, bytes."""
    outcome = harvest_repository(named, HarvestConfig(warehouse=warehouse))
    ours, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return outcome.new_steps, ours.ru_maxrss * 1024, theirs.ru_maxrss * 1024


def harvest(repositories: Sequence[str], processes: int, warehouse: Path) -> Run:
    """Harvest all with so many processes. Starting them is not counted."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        pool.map(time.sleep, [0.5] * processes, chunksize=1)
        begun = time.perf_counter()
        found = pool.starmap(one, [(named, str(warehouse)) for named in repositories], chunksize=1)
        seconds = time.perf_counter() - begun
    steps, peaks, git_peaks = zip(*found, strict=True)
    return Run(processes, sum(steps), seconds, max(peaks), max(git_peaks))


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    flags = parser(__doc__)
    flags.add_argument("--repo", action="append", default=[], help="may be repeated; list equal sizes")
    flags.add_argument("--processes", type=positive, default=2, help="compared with one")
    flags.add_argument("--commits", type=positive, default=600, help="commits of each made repository")
    options = flags.parse_args(arguments)
    return measure(options)


def measure(options: argparse.Namespace) -> int:
    """Harvest with one process and with several, and print both. Raises GitreelError."""
    if options.repo:
        check_sources(options.repo, HarvestConfig())
    with tempfile.TemporaryDirectory(prefix="gitreel-scale-") as name:
        work = Path(name)
        commits = 150 if options.quick else options.commits
        repositories = options.repo or [str(make_history(work / f"made{n}.git", n, commits)) for n in range(4)]
        print(header("scale", ["pyarrow"], processes=options.processes, repositories=len(repositories)))
        runs = [harvest(repositories, count, work / f"w{count}") for count in (1, options.processes)]
    rows = [
        [r.processes, r.steps, round(r.seconds, 1), round(r.rate), r.peak_bytes >> 20, r.git_peak_bytes >> 20]
        for r in runs
    ]
    print(table(["processes", "steps", "seconds", "steps/s", "peak MiB", "git peak MiB"], rows))
    ratio = runs[1].rate / runs[0].rate
    print(f"{options.processes} processes against one: {ratio:.2f}x (load {os.getloadavg()[0]:.1f} at the end)")
    figures = {
        "steps_per_second_one": round(runs[0].rate), "steps_per_second_many": round(runs[1].rate),
        "ratio": round(ratio, 3), "peak_mib": runs[0].peak_bytes >> 20, "git_peak_mib": runs[0].git_peak_bytes >> 20,
    }  # fmt: skip
    finish(figures, options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
