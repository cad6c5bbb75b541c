"""How fast is film made? Our screen model beside the real programs, on the same commits, in one run.

    python -m benchmarks.replay --repo PATH                 both sizes, a few minutes
    python -m benchmarks.replay --repo PATH --quick --json  one size, within a minute
    python -m benchmarks.replay --repo PATH --editor nano   in nano

Peers, synchronised key by key: the real editor, bash and git with pyte and the whole screen read out of it after each
key; the same with only the rows that changed read out; the same with the output drained and not decoded. Ours, on one
thread: keys -> film (row numbers and a dictionary of rows, what is stored); keys -> film -> full grids of code points
and styles; and the whole path, commit -> keys -> film -> Parquet, beside its floor: what pyarrow alone takes to write
the same arrays once they are made. Peers and ours take turns, and the best round of each counts. Walking a history
beside `git log -p` and PyDriller: `python -m benchmarks.walk`.
"""

import cProfile
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.oracle.machine import EDITORS, Oracle, OracleError
from benchmarks.report import finish, header, parser, table
from pipeline.film.frames import Film, RowTable
from pipeline.git.checkout import make_scratch
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import order
from pipeline.replay import play_commit, replay
from pipeline.script.commit import Script, SkippedCommit, Workspace
from pipeline.shards.shard_file import WRITING
from pipeline.shards.writer import StreamWriter
from pipeline.terminal.terminal import Terminal
from schema.columns import arrow_schema
from schema.config import ReplayConfig
from schema.decode import decode_texts
from schema.errors import ConfigError, GitreelError, clear_errors
from schema.geometry import Geometry
from schema.manifest import file_metadata


class Sample(NamedTuple):
    """Consecutive commits: their keys, and where they start in the history."""

    first: int
    commits: int
    scripts: list[Script]

    @property
    def keys(self) -> int:
        """Keys of all of them."""
        return sum(len(script.keys) for script in self.scripts)


def take_sample(repo: Path, config: ReplayConfig, first: int, most_keys: int) -> Sample:
    """Commits from ordinal `first` on, until `most_keys` keys are reached."""
    scripts: list[Script] = []
    keys = commits = 0
    with Blobs(repo) as blobs:
        workspace, terminal = Workspace(config), Terminal(config.geometry)
        for commit in walk(blobs, after=first - 1 if first else None):
            commits += 1
            try:
                script, _ = play_commit(commit, workspace, terminal)
            except SkippedCommit:
                continue
            if scripts and keys + len(script.keys) > most_keys:
                continue  # too long for what is left; a sample has many commits, not one
            workspace.tree = commit.tree.oid
            scripts.append(script)
            keys += len(script.keys)
            if keys > 0.9 * most_keys or commits > 400:
                break
    return Sample(first, commits, scripts)


def real(repo: Path, sample: Sample, geometry: Geometry, read: str) -> float:
    """Seconds in which the real programs play the sample. `read`: 'all' rows, 'dirty' rows, or 'none'."""
    with tempfile.TemporaryDirectory(prefix="film-") as root:
        scratch = make_scratch(Path(root) / "work", repo)
        decode = read != "none"
        support = Path(root) / "support"
        with Oracle(geometry, scratch.folder, support, scratch.environment, decode=decode) as oracle:
            started = time.perf_counter()
            for script in sample.scripts:
                for key in script.keys:
                    oracle.send(key)
                    if read == "all" and oracle.decoder is not None:
                        oracle.decoder.read_all()
                    if decode:
                        oracle.screen()
            return time.perf_counter() - started


def film(scripts: list[Script], geometry: Geometry, *, grids: bool) -> tuple[float, int]:
    """(seconds, frames) of our model drawing the scripts again and again, each time in a fresh terminal."""
    frames = 0
    started = time.perf_counter()
    while frames == 0 or time.perf_counter() - started < 1.0:
        terminal = Terminal(geometry)
        for script in scripts:
            made = terminal.play(script.keys, [file.content for file in script.opened])
            frames += len(made.action_T)
            if grids:
                for codes, _ in grid_chunks(made, terminal.table, geometry):
                    assert codes.shape[1:] == tuple(geometry)
    return time.perf_counter() - started, frames


def grid_chunks(made: Film, rows: RowTable, geometry: Geometry) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(code points [t, rows, cols], styles [t, rows, cols]) of a film, 2,048 frames at a time."""
    for at in range(0, len(made.frames), 2048):
        numbers_TR = made.frames[at : at + 2048]
        used, inverse = np.unique(numbers_TR, return_inverse=True)
        codes_NC = decode_texts(pa.array([rows.texts[n] for n in used], pa.string()), geometry.cols)
        style_NC = np.zeros((len(used), geometry.cols), np.uint8)
        for place, n in enumerate(used):
            for start, length, style in rows.runs.get(n, ()):
                style_NC[place, start : start + length] = style
        inverse = inverse.reshape(numbers_TR.shape)
        yield codes_NC[inverse], style_NC[inverse]


def whole(repo: Path, config: ReplayConfig, commits: int) -> tuple[float, int]:
    """(seconds, steps) of commit -> keys -> film -> Parquet for the oldest `commits` commits, in one thread.

    Harvested as a history that ends there: listing the rest of it is no part of their cost.
    """
    tip = order(repo)[:commits][-1]
    with tempfile.TemporaryDirectory(prefix="film-") as folder:
        started = time.perf_counter()
        steps = write_stream(repo, config, tip, Path(folder))
        return time.perf_counter() - started, steps


def write_stream(repo: Path, config: ReplayConfig, tip: str, folder: Path) -> int:
    """Film the history up to `tip` into a warehouse; how many steps."""
    with StreamWriter(folder / "warehouse", "benchmark", config, source="benchmark") as writer:
        for take in replay(repo, "benchmark", config, tip=tip):
            writer.append(take)
        return writer.close().steps


def floor(repo: Path, config: ReplayConfig, commits: int) -> tuple[float, int]:
    """(seconds, steps) in which pyarrow alone writes the same steps: the same arrays, ready made, the same settings."""
    schema = arrow_schema("steps", file_metadata(config, "steps"))
    with tempfile.TemporaryDirectory(prefix="film-") as folder:
        steps = write_stream(repo, config, order(repo)[:commits][-1], Path(folder))
        files = [pq.ParquetFile(path) for path in Path(folder).glob("**/*.steps.parquet")]
        groups = [file.read_row_group(n).cast(schema) for file in files for n in range(file.num_row_groups)]
        started = time.perf_counter()
        with pq.ParquetWriter(Path(folder) / "again", schema, **WRITING["steps"]) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=len(group))
        return time.perf_counter() - started, steps


def measure(repo: Path, config: ReplayConfig, options: "Options") -> dict[str, float]:
    """Frames a second of every way, best of the rounds."""
    geometry, editor = config.geometry, config.editor
    commits = len(order(repo))
    first = options.first if options.first is not None else commits // 3
    if not 0 <= first < commits:
        raise ConfigError(f"--first {first}: {repo} has commits 0 to {commits - 1}")
    sample = take_sample(repo, config, first, options.keys)
    print(
        f"\n{geometry}: {len(sample.scripts)} commits from number {first} on, {sample.keys:,} keys;"
        f" the whole path on the oldest {options.commits}",
        flush=True,
    )
    best: dict[str, float] = {}

    def note(name: str, frames: int, seconds: float) -> None:
        best[name] = max(best.get(name, 0.0), frames / seconds)

    for _ in range(options.rounds):
        note(f"{editor} + pyte, screen read out", sample.keys, real(repo, sample, geometry, "all"))
        note("keys -> film", *film(sample.scripts, geometry, grids=False)[::-1])
        note(f"{editor} + pyte, changed rows", sample.keys, real(repo, sample, geometry, "dirty"))
        note("keys -> film -> grids", *film(sample.scripts, geometry, grids=True)[::-1])
        note(f"{editor}, not decoded", sample.keys, real(repo, sample, geometry, "none"))
        seconds, steps = whole(repo, config, options.commits)
        note("commit -> keys -> film -> Parquet", steps, seconds)
        seconds, steps = floor(repo, config, options.commits)
        note("pyarrow alone, arrays -> Parquet", steps, seconds)
    return best


def profile(repo: Path, config: ReplayConfig, commits: int) -> str:
    """Where the whole path's time goes, by module, percent of the profiled time."""
    profiler = cProfile.Profile()
    profiler.enable()
    whole(repo, config, commits)
    profiler.disable()
    shares: dict[str, float] = {}
    total = 0.0
    root = str(Path(__file__).resolve().parents[1]) + "/"
    for entry in profiler.getstats():
        total += entry.inlinetime
        if isinstance(entry.code, str):  # a built-in function's name
            where = "pyarrow" if "pyarrow" in entry.code or "parquet" in entry.code else f"built-in {entry.code}"
        elif "pyarrow" in (file := entry.code.co_filename) or "parquet" in entry.code.co_name:
            where = "pyarrow"
        elif file.startswith(root) and "/.venv/" not in file:
            where = file.removeprefix(root)
        else:
            where = "other libraries"
        shares[where] = shares.get(where, 0.0) + entry.inlinetime
    top = sorted(shares.items(), key=lambda item: -item[1])[:14]
    return table(["where", "% of time"], [[name, 100 * own / total] for name, own in top])


class Options(NamedTuple):
    """How much is played."""

    first: int | None  # None: a third into the history
    keys: int
    commits: int  # for the whole path
    rounds: int


@clear_errors
def main() -> int:
    """Command line; exit code 2 after a clear error."""
    flags = parser(__doc__)
    flags.add_argument("--repo", type=Path, default=Path("."), help="a repository with its whole history")
    flags.add_argument("--first", type=int, help="ordinal of the first commit (default: a third in)")
    flags.add_argument("--profile", action="store_true", help="also show where the whole path's time goes")
    flags.add_argument("--editor", choices=EDITORS, default="vim")
    flags.add_argument("--motion", choices=("jumps", "arrows"), default="jumps", help="how nano's cursor goes")
    chosen = flags.parse_args()
    options = Options(chosen.first, 3_000, 150, 1) if chosen.quick else Options(chosen.first, 8_000, 600, 3)
    sizes = [Geometry(24, 80)] if chosen.quick else [Geometry(24, 80), Geometry(48, 160)]
    figures: dict[str, object] = {}
    print(
        header(
            "benchmarks.replay",
            ["pyte", "pyarrow", "numpy", "rapidfuzz"],
            repo=chosen.repo.name,
            rounds=options.rounds,
            editor=chosen.editor,
            motion=chosen.motion,
        )
    )
    try:
        for geometry in sizes:
            config = ReplayConfig.of(rows=geometry.rows, cols=geometry.cols, editor=chosen.editor, motion=chosen.motion)
            best = measure(chosen.repo, config, options)
            peers = [
                f"{config.editor} + pyte, screen read out",
                f"{config.editor} + pyte, changed rows",
                f"{config.editor}, not decoded",
            ]
            rows = [[name, best[name], *(best[name] / best[peer] for peer in peers)] for name in best]
            print(table(["way", "frames/s", *(f"x {peer}" for peer in peers)], rows), flush=True)
            peer = best[peers[0]]
            figures |= {
                f"film_ratio_{geometry}": round(best["keys -> film"] / peer, 1),
                f"grids_ratio_{geometry}": round(best["keys -> film -> grids"] / peer, 1),
                f"whole_ratio_{geometry}": round(best["commit -> keys -> film -> Parquet"] / peer, 1),
                f"film_frames_per_second_{geometry}": round(best["keys -> film"]),
                f"whole_frames_per_second_{geometry}": round(best["commit -> keys -> film -> Parquet"]),
                f"floor_frames_per_second_{geometry}": round(best["pyarrow alone, arrays -> Parquet"]),
                f"peer_frames_per_second_{geometry}": round(peer),
            }
        if chosen.profile:
            print(f"\nWhere the whole path's time goes, {sizes[0]}:")
            rows, cols = sizes[0]
            config = ReplayConfig.of(rows=rows, cols=cols, editor=chosen.editor, motion=chosen.motion)
            print(profile(chosen.repo, config, options.commits))
    except (GitreelError, OracleError) as error:
        print(f"gitreel: {error}", file=sys.stderr)
        return 2
    finish(figures, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
