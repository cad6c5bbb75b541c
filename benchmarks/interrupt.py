"""Interrupt a harvest of several repositories at random moments, and see whether it ends as it should.

    python -m benchmarks.interrupt --rounds 100            with and without Prefect, by turns
    python -m benchmarks.interrupt --way plain --json      the last line is JSON

Each round harvests into a new warehouse with two workers and is interrupted once: SIGINT to the whole process group (a
terminal's Ctrl-C), SIGTERM to the command and then to its group (as `timeout` does), SIGTERM to the command alone, or
SIGHUP to the group (a terminal that closes). One moment in three lies in the first seconds, while the interpreter, its
imports and the workers start; the others are uniform over what an undisturbed harvest takes. Then:

    one line    standard error is one line, standard output is empty, the exit code is 130
    no child    no process is left that descends from the command
    nothing     no temporary folder, no half-written file, no stream without an episode
    resumed     the same command, run again (after one round in three), ends in the undisturbed harvest's bytes and rows

A signal that comes before Python has run a line of ours ends the interpreter in its own way: counted apart. So is a
harvest that ended before its signal came.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from benchmarks.crash import fingerprint, make_history
from benchmarks.report import finish, header, parser, positive, table
from schema.errors import clear_errors

MARK = "GITREEL_BENCHMARK_ROUND"  # in the environment of every process of a round
WAYS = ("plain", "prefect")
ENDINGS = ("ctrl-c", "timeout", "term", "hangup")
START_SECONDS = 4.0
PATIENCE = 120.0  # s, for the end
CHILD_PATIENCE = 5.0  # s, for what descends from the command


class Round(NamedTuple):
    """One harvest: its folder and what starts it."""

    folder: Path
    way: str
    repositories: Sequence[str]

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse"

    def command(self) -> list[str]:
        arguments = ["--warehouse", str(self.warehouse), "--workers", "2"]
        arguments += [part for repository in self.repositories for part in ("--repo", repository)]
        flag = "--prefect" if self.way == "prefect" else "--no-prefect"
        return [sys.executable, "-m", "flows.harvest", *arguments, flag]

    def start(self, mark: str) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, its output in files."""
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "GITREEL"))}
        environment = kept | {MARK: mark, "TMPDIR": str(temporary), "PREFECT_HOME": str(self.folder / "prefect")}
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            return subprocess.Popen(self.command(), env=environment, stdout=out, stderr=err, start_new_session=True)


def interrupt(process: subprocess.Popen[bytes], ending: str) -> None:
    """Signal it as `ending` says."""
    if ending == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
    elif ending == "hangup":
        os.killpg(process.pid, signal.SIGHUP)
    else:
        os.kill(process.pid, signal.SIGTERM)
    if ending == "timeout":
        os.killpg(process.pid, signal.SIGTERM)


def descendants(made: Round, mark: str) -> dict[int, str]:
    """Processes of a round, wherever they moved: id -> command line. git gets no environment of ours."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                marked = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
            if command and (marked or f"{made.folder}/" in command):  # one that has ended has none
                found[int(entry.name)] = command[:120]
    return found


def faults(made: Round, process: subprocess.Popen[bytes], mark: str) -> Iterator[str]:
    """What is wrong after a harvest was interrupted and has ended."""
    out, err = ((made.folder / name).read_text(errors="replace") for name in ("out", "err"))
    if process.returncode != 130:
        yield f"exit code {process.returncode}"
    if err.count("\n") != 1 or not err.startswith("interrupted"):
        yield f"standard error: {err[-2000:]!r}"
    if out:
        yield f"standard output: {out[-500:]!r}"
    until = time.monotonic() + CHILD_PATIENCE
    while (left := descendants(made, mark)) and time.monotonic() < until:
        time.sleep(0.05)
    yield from (f"left running: {command}" for command in left.values())
    for place in [*made.folder.glob("tmp/gitreel-*"), *made.folder.glob("tmp/pymp-*")]:
        yield f"temporary folder left: {place.name}"
    for place in made.warehouse.rglob(".tmp-*"):
        yield f"half-written file left: {place.name}"
    for place in made.warehouse.glob("shards/*/stream.json"):
        if not list(place.parent.glob("*.steps.parquet")):
            yield f"a stream without an episode: {place.parent.name}"


def state(warehouse: Path) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """What a warehouse holds: sha256 of its manifests and of the files that its database names, and every row.

    A longer tail's predecessor is on the disk until the next build but one, for those who read it.
    """
    files, rows = fingerprint(warehouse)
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as database:
        named = {path for (path,) in database.execute("SELECT path FROM files").fetchall()}
    return {name: sha for name, sha in files.items() if name in named or name.endswith(".json")}, rows


def one_round(made: Round, ending: str, seconds: float) -> tuple[str, list[str], float]:
    """Harvest, interrupt after `seconds`; -> (what happened, faults, seconds until the end)."""
    mark = uuid.uuid4().hex
    process = made.start(mark)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        begun = time.monotonic()
        interrupt(process, ending)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return "hung", [f"did not end within {PATIENCE:.0f} s"], PATIENCE
        took = time.monotonic() - begun
        err = (made.folder / "err").read_text(errors="replace")
        if process.returncode != 130 and "/flows/" not in err:  # no line of ours, and no traceback through one
            return "before our first line", [], took
        return "interrupted", list(faults(made, process, mark)), took
    return "ended before", [] if process.returncode == 0 else [f"exit code {process.returncode}"], 0.0


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0 when every harvest ended as it should."""
    flags = parser(__doc__)
    flags.add_argument("--rounds", type=positive, default=20)
    flags.add_argument("--way", choices=(*WAYS, "both"), default="both")
    flags.add_argument("--seed", type=int, default=1)
    flags.add_argument("--repositories", type=positive, default=10, help="made by code")
    flags.add_argument("--commits", type=positive, default=60, help="of each")
    flags.add_argument("--keep", type=Path, help="a folder for the rounds with faults")
    flags.add_argument(
        "--again", type=positive, default=3, help="run the same command again after one round in so many"
    )
    options = flags.parse_args(arguments)
    for kind in (signal.SIGINT, signal.SIGHUP):  # a shell's background jobs and `nohup` start us with them ignored
        signal.signal(kind, signal.default_int_handler)
    rng = random.Random(options.seed)
    ways = WAYS if options.way == "both" else (options.way,)
    with tempfile.TemporaryDirectory(prefix="gitreel-interrupt-") as name:
        work = Path(name)
        repositories = [
            str(make_history(work / f"made{number}.git", options.seed + number, options.commits))
            for number in range(options.repositories)
        ]
        print(header("interrupt", ["prefect"], seed=options.seed, repositories=options.repositories))
        calm = {}
        for way in ways:
            made, begun = Round(work / f"calm-{way}", way, repositories), time.monotonic()
            if made.start("calm").wait():
                raise SystemExit(f"the undisturbed harvest failed: {(made.folder / 'err').read_text()}")
            calm[way] = time.monotonic() - begun
            print(f"undisturbed, {way}: {calm[way]:.1f} s", flush=True)
        wanted = state(work / f"calm-{ways[0]}" / "warehouse")
        same = all(state(work / f"calm-{way}" / "warehouse") == wanted for way in ways)
        counts: Counter[str] = Counter()
        wrong, slowest = 0, 0.0
        for number in range(options.rounds):
            way, ending = ways[number % len(ways)], ENDINGS[number // len(ways) % len(ENDINGS)]
            moment = rng.uniform(0, START_SECONDS if rng.random() < 1 / 3 else calm[way])
            made = Round(work / f"round{number}", way, repositories)
            happened, found, took = one_round(made, ending, moment)
            if number % options.again:
                pass
            elif made.start("again").wait():
                found.append(f"run again, it failed: {(made.folder / 'err').read_text()[-500:]!r}")
            elif state(made.warehouse) != wanted:
                found.append("run again, it ended in other bytes or rows")
            counts[happened] += 1
            wrong += bool(found)
            slowest = max(slowest, took)
            print(
                f"{number + 1}: {way}, {ending} at {moment:.2f} s: {happened} in {took:.2f} s {found or ''}", flush=True
            )
            if found and options.keep:
                kept = options.keep / f"round{number}"
                shutil.copytree(made.folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tmp"))
            shutil.rmtree(made.folder)
    figures = {
        "rounds": options.rounds, **{f"rounds_{name.replace(' ', '_')}": count for name, count in counts.items()},
        "rounds_wrong": wrong, "both_ways_same": same, "slowest_end_seconds": round(slowest, 2),
        **{f"undisturbed_{way}_seconds": round(seconds, 1) for way, seconds in calm.items()},
    }  # fmt: skip
    print(table(["figure", "value"], [[name, str(value)] for name, value in figures.items()]))
    finish(figures, options.json)
    return 0 if same and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
