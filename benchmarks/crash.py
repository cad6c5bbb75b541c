"""Kill a harvest of several repositories at random moments, restart it, and see whether anything was lost.

    python -m benchmarks.crash --kills 50            four repositories made by code
    python -m benchmarks.crash --repo PATH --json    real ones; the last line is JSON

Each round harvests into a new warehouse and is killed (SIGKILL, its whole process group) until a start gets through;
then every file's sha256 and every table's rows are compared with an undisturbed harvest. One kill in three strikes
exactly at a rename: just before or just after a shard, a manifest or the database gets its name. The other moments are
uniform over what an undisturbed harvest takes. Shards are made small, so that there are many. A reader polls all the
while (an older DuckDB program, with --reader PATH).
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import duckdb

from benchmarks.report import finish, header, parser, positive, table
from pipeline.git.environment import git_environment
from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.shards import writer as shards
from pipeline.warehouse import build as warehouse
from schema.config import ReplayConfig
from schema.errors import GitreelError, clear_errors

SHARD_STEPS = 8_000
TABLES = ("repositories", "episodes", "blobs", "drops", "shards", "steps")
WORDS = (
    "alpha", "beta", "gamma", "delta", "omega", "sigma", "count", "value", "total", "index", "name", "path", "line",
    "word", "list", "item",
)  # fmt: skip


def make_history(folder: Path, seed: int, commits: int) -> Path:
    """A repository of plausible edits to a few files: lines added, changed and removed. Same seed, same commits."""
    command = ["git", "init", "-q", "--bare", "--template=", "--initial-branch=main", str(folder)]
    subprocess.run(command, env=git_environment(), check=True)
    return fill(folder, seed, commits)


def fill(folder: Path, seed: int, commits: int) -> Path:
    """Give an empty repository the history of `make_history`."""
    rng = random.Random(seed)
    files: dict[str, list[str]] = {}
    stream: list[bytes] = []
    for number in range(1, commits + 1):
        name = f"src/{rng.choice(WORDS[:6])}.py"
        lines = files.setdefault(name, [])
        for _ in range(rng.randint(1, 6)):
            text = " ".join(rng.choices(WORDS, k=rng.randint(2, 9)))
            if lines and rng.random() < 0.4:
                at = rng.randrange(len(lines))
                lines[at : at + rng.choice((0, 1, 1, 2))] = [text]
            else:
                lines.insert(rng.randint(0, len(lines)), text)
        content = ("\n".join(lines) + "\n").encode()
        message = f"Change {number} of {name}".encode()
        stream.append(b"commit refs/heads/main\nmark :%d\n" % number)
        stream.append(b"committer A <a@example.org> %d +0000\n" % (1_600_000_000 + 60 * number))
        stream.append(b"data %d\n%s\n" % (len(message), message))
        stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content))
    command = ["git", "--git-dir", str(folder), "fast-import", "--quiet"]
    subprocess.run(command, env=git_environment(), input=b"".join(stream), check=True)
    return folder


def child(target: str, repositories: Sequence[str], die_at: int, after: bool) -> None:
    """Harvest all; `die_at` >= 0: be killed at that rename, before or after it."""
    shards.SHARD_STEPS = SHARD_STEPS
    renames = 0
    replace = os.replace

    def dying(old: str, new: str) -> None:
        nonlocal renames
        if renames == die_at and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(old, new)
        if renames == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        renames += 1

    mock.patch("os.replace", dying).start()  # to the end of this process
    config = HarvestConfig(warehouse=target, replay=ReplayConfig.model_validate({}))
    try:
        for number, repository in enumerate(repositories):
            harvest_repository(repository, config)
            warehouse.build(target, settle=number == len(repositories) - 1)
    except GitreelError as error:
        print(f"crash: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def start(target: Path, repositories: Sequence[str], die_at: int = -1, after: bool = False) -> subprocess.Popen[bytes]:
    """A harvest in a process group of its own."""
    arguments = ["--child", str(target), str(die_at), str(int(after)), *repositories]
    return subprocess.Popen([sys.executable, "-m", "benchmarks.crash", *arguments], start_new_session=True)


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it was still running then, and was killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return process.returncode == -signal.SIGKILL


def fingerprint(folder: Path) -> tuple[dict[str, str], dict[str, Counter[str]]]:
    """sha256 of every file of a stream or of the plain folder, and the rows of every table, counted by their text."""
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*folder.glob("shards/**/*"), *folder.glob("dataset/**/*")])
        if path.is_file() and path.suffix in (".parquet", ".json")
    }
    with duckdb.connect(str(folder / "actions.db"), read_only=True) as database:
        rows = {
            name: Counter(row[0] for row in database.execute(f"SELECT md5(t::VARCHAR) FROM {name} t").fetchall())
            for name in TABLES
        }
    return files, rows


class Reader:
    """Polls the database until told to stop, in process or through another DuckDB program; counts errors."""

    def __init__(self, program: str) -> None:
        self.program, self.polls, self.errors = program, 0, 0
        self.target: Path | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End polling."""
        self._ended.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._ended.wait(0.2):
            place = self.target
            if place is None or not (place / "actions.db").exists():
                continue
            self.polls += 1
            if not self._read(place):
                self.errors += 1

    def _read(self, place: Path) -> bool:
        query = "SELECT count(*), count(DISTINCT episode) FROM steps"
        if self.program:
            done = subprocess.run(
                [self.program, "-readonly", "warehouse/actions.db", query],
                cwd=place.parent,
                capture_output=True,
                check=False,
            )
            return done.returncode == 0
        script = (
            "import duckdb, sys; duckdb.connect('warehouse/actions.db', read_only=True).execute(sys.argv[1]).fetchall()"
        )
        done = subprocess.run([sys.executable, "-c", script, query], cwd=place.parent, capture_output=True, check=False)
        return done.returncode == 0


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0 when nothing was lost."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["--child"]:
        child(arguments[1], arguments[4:], int(arguments[2]), arguments[3] == "1")
        return 0
    flags = parser(__doc__)
    flags.add_argument("--kills", type=positive, default=50, help="at least so many")
    flags.add_argument("--seed", type=int, default=1)
    flags.add_argument("--repo", action="append", default=[], help="real repositories instead of made ones")
    flags.add_argument("--commits", type=positive, default=150, help="commits of each made repository")
    flags.add_argument("--reader", default="", help="a DuckDB program that polls; default: this Python's duckdb")
    options = flags.parse_args(arguments)
    kills_wanted, commits = (5, 40) if options.quick else (options.kills, options.commits)
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="gitreel-crash-") as name:
        work = Path(name)
        repositories = options.repo or [
            str(make_history(work / f"made{number}.git", options.seed + number, commits)) for number in range(4)
        ]
        print(header("crash", ["duckdb", "pyarrow"], seed=options.seed, shard_steps=SHARD_STEPS, repos=repositories))
        begun = time.monotonic()
        if start(work / "calm" / "warehouse", repositories).wait():
            raise SystemExit("the undisturbed harvest failed")
        whole = time.monotonic() - begun
        files, rows = fingerprint(work / "calm" / "warehouse")
        renames = max(1, len(files) // 2)  # a restart has fewer to go
        reader = Reader(options.reader)
        kills = targeted = rounds = lost = duplicated = 0
        identical = True
        while kills < kills_wanted:
            target = work / f"round{rounds}" / "warehouse"
            reader.target = target
            rounds += 1
            while True:
                aimed = rng.random() < 1 / 3 and kills < kills_wanted
                die_at = rng.randrange(renames) if aimed else -1
                process = start(target, repositories, die_at, rng.random() < 0.5)
                enough = kills >= kills_wanted
                killed = kill_after(process, 3600 if enough or aimed else rng.uniform(0.1, 0.7) * whole)
                if not killed:
                    if process.returncode:
                        raise SystemExit(f"a restarted harvest failed with exit code {process.returncode}")
                    break
                kills += 1
                targeted += aimed
            found_files, found_rows = fingerprint(target)
            identical &= found_files == files and found_rows == rows
            lost += sum((rows[t] - found_rows[t]).total() for t in TABLES)
            duplicated += sum((found_rows[t] - rows[t]).total() for t in TABLES)
            print(f"round {rounds}: {kills} kills so far, identical {found_files == files and found_rows == rows}")
        reader.stop()
    figures = {
        "kills": kills, "kills_at_renames": targeted, "rounds": rounds, "lost": lost, "duplicated": duplicated,
        "identical": identical, "reader_polls": reader.polls, "reader_errors": reader.errors,
        "undisturbed_seconds": round(whole, 2), "files": len(files), "rows": sum(r.total() for r in rows.values()),
    }  # fmt: skip
    print(table(["figure", "value"], [[name, str(value)] for name, value in figures.items()]))
    finish(figures, options.json)
    return 0 if identical and not reader.errors else 1


if __name__ == "__main__":
    sys.exit(main())
