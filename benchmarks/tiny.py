"""What a tiny repository costs in a harvest through Prefect: processor seconds of ours, and of the engine around it.

    python -m benchmarks.tiny                                  200 repositories of three commits, local folders
    python -m benchmarks.tiny --github                         the same, served by the GitHub of the tests
    python -m benchmarks.tiny --group 1                        the same, each in a task of its own
    python -m benchmarks.tiny --repositories 1000 --json       the last line is JSON

The repositories are made by code. They are harvested through the flow, as `python -m flows.harvest --prefect` and the
deployment harvest/github run it, with a Prefect server of its own; and through a plain loop without Prefect. Processor
seconds are those of the command and of every process that it started: workers, git, Prefect's server. What the GitHub
of the tests takes is not counted. The engine's cost is the difference, its start included; the start alone is that of a
harvest of one repository.
"""

import argparse
import contextlib
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.crash import make_history
from benchmarks.github_server import GitHubServer
from benchmarks.report import ROOT, finish, header, parser, positive, table
from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.pool.groups import Grouping
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse.build import build
from schema.errors import clear_errors

OWNER = "tiny"
_PR_SET_CHILD_SUBREAPER = 36


class Cost(NamedTuple):
    """What one harvest took: processor seconds of it and of all that it started, and seconds by the clock."""

    processor: float
    seconds: float


def meter(command: Sequence[str]) -> None:
    """Run a command and print its cost as JSON: of orphans that it leaves, too, for this process adopts them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    begun, processor = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with contextlib.suppress(ChildProcessError):
        while True:
            child, status, used = os.wait4(-1, 0)
            processor += used.ru_utime + used.ru_stime
            if child == process.pid:
                process.returncode, seconds = os.waitstatus_to_exitcode(status), time.perf_counter() - begun
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    print(json.dumps([processor, seconds]))


def own(warehouse: str, named: Sequence[str]) -> None:
    """Film repositories one after the other, without Prefect, and build the database."""
    config = HarvestConfig(warehouse=warehouse)
    for each in named:
        harvest_repository(each, config, licence="MIT")
    build(warehouse)


def github(api: str, warehouse: str, group: str) -> None:
    """Run the flow behind harvest/github over all repositories of the owner, with a Prefect server of its own."""
    from flows.server import prefect_api

    with prefect_api():
        from flows.flow import harvest_github

        grouping = Grouping(repositories=int(group))
        harvest_github(users=[OWNER], limit=1_000_000, api_url=api, warehouse=warehouse, grouping=grouping)


class Subject:
    """Repositories, made or served, and what is measured of their harvest."""

    def __init__(self, folder: Path, options: argparse.Namespace, api: str = "") -> None:
        self.folder, self.workers, self.group, self.api = folder, str(options.workers), str(options.group), api
        numbers = range(options.repositories)
        self.made = [make_history(folder / OWNER / f"made{n:05d}.git", n, options.commits) for n in numbers]
        origin = api.removesuffix("/api/v3")
        self.named = [f"{origin}/{OWNER}/{made.stem}" if api else str(made) for made in self.made]

    def own(self) -> Cost:
        """Our own work alone."""
        return self._measure("own", ["benchmarks.tiny", "--child", "own", "own", *self.named], len(self.named))

    def flow(self) -> Cost:
        """All of them through the flow."""
        if self.api:
            command = ["benchmarks.tiny", "--child", "github", self.api, "flow", self.group]
        else:
            command = self._harvest("flow", self.named)
        return self._measure("flow", command, len(self.named))

    def start(self) -> Cost:
        """One of them through the flow: what there is to start, Prefect's empty database, which is kept, included."""
        return self._measure("start", self._harvest("start", self.named[:1]), 1)

    def _harvest(self, warehouse: str, named: Sequence[str]) -> list[str]:
        listed = self.folder / f"{warehouse}.list"
        listed.write_text("\n".join(named) + "\n")
        command = ["flows.harvest", "--prefect", "--repos-from", str(listed), "--warehouse", warehouse]
        return [*command, "--workers", self.workers, "--group", f"repositories={self.group}", "--allow-unknown-licence"]

    def _measure(self, warehouse: str, command: Sequence[str], count: int) -> Cost:
        home = self.folder / warehouse
        environment = os.environ | {
            "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(home / "cache"), "PREFECT_HOME": str(home / "prefect"),
            "GITREEL_WORKERS": self.workers,
        }  # fmt: skip
        home.mkdir()
        command = [sys.executable, "-m", "benchmarks.tiny", "--child", "meter", sys.executable, "-m", *command]
        done = subprocess.run(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(done.returncode)
        found = sum(manifest.status == "complete" for manifest in manifests(Store(home / warehouse)))
        if found != count:
            raise SystemExit(f"tiny: {found} of {count} repositories were filmed in {home / warehouse}")
        return Cost(*json.loads(done.stdout))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[GitHubServer]:
    """The tests' GitHub, to which the repositories below FOLDER/tiny will belong."""
    with GitHubServer(folder) as hub:
        yield hub


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["--child"]:
        role, *rest = arguments[1:]
        if role == "meter":
            meter(rest)
        elif role == "own":
            own(rest[0], rest[1:])
        else:
            github(*rest)
        return 0
    flags = parser(__doc__)
    flags.add_argument("--repositories", type=positive, default=200, help="how many (default %(default)s)")
    flags.add_argument("--commits", type=positive, default=3, help="of each (default %(default)s)")
    flags.add_argument("--workers", type=positive, default=2, help="repositories at a time (default %(default)s)")
    flags.add_argument("--group", type=positive, default=Grouping().repositories,
                       help="small ones in a task, at most; 1: none shares one (default %(default)s)")  # fmt: skip
    flags.add_argument("--github", action="store_true", help="found and cloned through the GitHub of the tests")
    options = flags.parse_args(arguments)
    if options.quick:
        options.repositories = min(options.repositories, 40)
    return report(options)


def report(options: argparse.Namespace) -> int:
    """Measure and print."""
    settings = {name: getattr(options, name) for name in ("repositories", "commits", "workers", "group", "github")}
    print(header("tiny", ["prefect"], **settings), flush=True)
    with tempfile.TemporaryDirectory(prefix="gitreel-tiny-") as name, contextlib.ExitStack() as ends:
        folder = Path(name)
        hub = ends.enter_context(served(folder)) if options.github else None
        subject = Subject(folder, options, hub.api if hub else "")
        if hub:
            for made in subject.made:
                hub.add(f"{OWNER}/{made.stem}", made)
        start, flow, alone = subject.start(), subject.flow(), subject.own()
    count = options.repositories
    engine = flow.processor - alone.processor
    further = max(0.0, engine - start.processor)
    rows = [
        ["through the flow", flow.processor, flow.processor / count],
        ["a plain loop", alone.processor, alone.processor / count],
        ["the engine", engine, engine / count],
        ["its start", start.processor, start.processor / count],
        ["what it adds for each", further, further / count],
    ]
    shown = [[what, round(whole, 1), f"{each:.4f}"] for what, whole, each in rows]
    print(table(["processor seconds", "in all", "a repository"], shown))
    print(f"{flow.seconds:.0f} s by the clock, {alone.seconds:.0f} s without the flow")
    figures = {
        "repositories": count, "cpu_per_repository": round(flow.processor / count, 4),
        "own_cpu_per_repository": round(alone.processor / count, 4),
        "engine_cpu_per_repository": round(engine / count, 4),
        "engine_cpu_per_further_repository": round(further / count, 4), "start_cpu": round(start.processor, 2),
        "seconds": round(flow.seconds, 1),
    }  # fmt: skip
    finish(figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
