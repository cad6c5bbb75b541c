"""Is the film true? Sampled commits of a history, played in a real bash, vim and git, compared cell for cell.

    python -m benchmarks.fidelity --repo PATH --commits 100
    python -m benchmarks.fidelity --repo PATH --commits 20 --rows 48 --cols 160 --seed 1 --json

Commits are sampled over the whole history in runs of consecutive ones and play in one unbroken terminal. Every
frame (code points, styles, cursor) is compared; after each commit, the tree and the subject that git has are. The
first mismatch is drawn as two screens. Exit code 1 if anything differs.
"""

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

from benchmarks.oracle.compare import compare_film
from benchmarks.oracle.machine import EDITORS, Oracle, OracleError, find_editor
from benchmarks.oracle.vims import version_here
from benchmarks.report import positive
from pipeline.git.changes import Commit
from pipeline.git.checkout import Scratch, make_scratch
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import order
from pipeline.replay import play_commit
from pipeline.script.commit import SkippedCommit, Workspace
from pipeline.terminal.terminal import Terminal
from schema.config import ReplayConfig
from schema.editors import EDITOR_VERSIONS
from schema.errors import GitreelError, clear_errors
from schema.geometry import Geometry

RUN = 10  # consecutive commits of a sample
TABLE_ROWS = 200_000
REPORT_SECONDS = 10.0  # between lines of progress, where stderr is no terminal


@dataclass
class Verdict:
    """What was compared, and what was wrong."""

    frames: int = 0
    mismatched_frames: int = 0
    otherwise: int = 0  # frames that differ as the installed vim draws otherwise than the modelled one (oracle.vims)
    commits: int = 0
    tree_mismatches: int = 0
    odd_trees: int = 0  # same files and modes, but the original wrote a mode as git does not any more (040000)
    subject_mismatches: int = 0
    lines: int = 0
    lines_typed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    not_typed: Counter[str] = field(default_factory=Counter)  # rule -> files brought by checkout
    late: int = 0  # screens that were waited for twice
    shown: list[str] = field(default_factory=list)

    @property
    def typed_line_share(self) -> float:
        """Typed lines over all lines of valid, hand-written text; 1 where there are none."""
        return self.lines_typed / self.lines if self.lines else 1.0

    @property
    def exact(self) -> bool:
        """Whether nothing at all differed."""
        return not (self.mismatched_frames or self.tree_mismatches or self.subject_mismatches)

    def figures(self) -> dict[str, int | float]:
        """The numbers of --json."""
        names = ("frames", "mismatched_frames", "commits", "tree_mismatches", "subject_mismatches")
        known = asdict(self)
        return {name: known[name] for name in names} | {"typed_line_share": round(self.typed_line_share, 4)}


def sample(total: int, wanted: int, seed: int) -> list[tuple[int, int]]:
    """Runs (first ordinal, commits) spread over `total` commits by `seed`, `wanted` commits together.

    >>> sample(5, 100, 0)
    [(0, 5)]
    """
    if wanted >= total:
        return [(0, total)] if total else []
    rng = random.Random(seed)
    count = -(-wanted // RUN)
    slots = sorted(rng.sample(range(-(-total // RUN)), min(count, -(-total // RUN))))
    runs = [(slot * RUN, min(RUN, total - slot * RUN)) for slot in slots]
    excess = sum(length for _, length in runs) - wanted
    if excess > 0:
        runs[-1] = (runs[-1][0], max(1, runs[-1][1] - excess))
    return runs


def sampled(blobs: Blobs, runs: list[tuple[int, int]]) -> Iterator[Commit]:
    """The commits of these runs, in order."""
    for first, length in runs:
        yield from islice(walk(blobs, after=first - 1 if first else None), length)


def judge(
    git_dir: Path,
    config: ReplayConfig,
    runs: list[tuple[int, int]],
    *,
    max_frames: int = sys.maxsize,
    report: Callable[[Verdict], None] = lambda verdict: None,
) -> Verdict:
    """Play the sampled commits on the model and on the real programs; `report` is told after each.

    Ends with the commit that reaches `max_frames`. Raises GitreelError, OracleError.
    """
    verdict = Verdict()
    with tempfile.TemporaryDirectory(prefix="film-") as root, Blobs(git_dir) as blobs:
        scratch = make_scratch(Path(root) / "work", git_dir)
        workspace = Workspace(config)
        terminal = Terminal(config.geometry)
        with Oracle(config.geometry, scratch.folder, Path(root) / "support", scratch.environment) as oracle:
            for commit in sampled(blobs, runs):
                try:
                    script, film = play_commit(commit, workspace, terminal)
                except SkippedCommit as refusal:
                    verdict.dropped[refusal.reason] += 1
                    verdict.lines += refusal.lines
                    continue
                result = compare_film(film, terminal, oracle)
                workspace.tree = commit.tree.oid
                verdict.commits += 1
                verdict.frames += result.frames
                verdict.mismatched_frames += result.wrong
                verdict.otherwise += result.otherwise
                verdict.lines += script.lines
                verdict.lines_typed += script.lines_typed
                verdict.not_typed.update(rule for _, rule in script.drops)
                if result.first and len(verdict.shown) < 3:
                    verdict.shown.append(f"commit {commit.sha}\n{result.first.draw(config.geometry)}")
                _check_commit(verdict, scratch, commit, script.subject)
                if len(terminal.table) > TABLE_ROWS:
                    terminal.forget_rows()
                report(verdict)
                if verdict.frames >= max_frames:
                    break
            verdict.late = oracle.late
    return verdict


class Progress:
    """Tells on stderr how far a judgement is: one line written over on a terminal, else a line now and then."""

    def __init__(self, seconds: float = REPORT_SECONDS) -> None:
        self.started = self.told = time.monotonic()
        self.seconds = 0.0 if sys.stderr.isatty() else seconds

    def __call__(self, verdict: Verdict) -> None:
        """Called after every commit."""
        now = time.monotonic()
        if now - self.told < self.seconds:
            return
        self.told = now
        rate = verdict.frames / max(now - self.started, 0.001)
        text = f"{verdict.commits} commits, {verdict.frames} frames, {rate:.0f} frames/s, "
        start, end = ("\r", " ") if sys.stderr.isatty() else ("", "\n")
        print(f"{start}{text}{verdict.mismatched_frames} wrong", end=end, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _check_commit(verdict: Verdict, scratch: Scratch, commit: Commit, subject: str) -> None:
    """Compare git's tree and message with the original's tree and the typed subject."""
    try:
        tree = scratch.git("rev-parse", "HEAD^{tree}")
        message = scratch.git("log", "-1", "--format=%B").rstrip("\n")
        status = scratch.git("status", "--porcelain", "--ignored", "--ignore-submodules=dirty")
    except subprocess.CalledProcessError as error:
        verdict.tree_mismatches += 1
        verdict.shown.append(f"commit {commit.sha}: git {error.cmd[1]} failed: {error.stderr!r}")
        return
    same = tree == commit.tree.oid
    if not same and scratch.git("ls-tree", "-rz", tree) == scratch.git("ls-tree", "-rz", commit.tree.oid):
        verdict.odd_trees += 1
        same = True
    if not same or status:
        verdict.tree_mismatches += 1
        if len(verdict.shown) < 3:
            verdict.shown.append(f"commit {commit.sha}: tree {tree}, should be {commit.tree.oid}; {status[:200]}")
    if message != subject:
        verdict.subject_mismatches += 1
        if len(verdict.shown) < 3:
            verdict.shown.append(f"commit {commit.sha}: message {message!r}, typed {subject!r}")


def release(editor: str) -> str:
    """First lines of what the installed editor says of itself."""
    command = [find_editor(editor), "--version"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return " ".join(line.strip() for line in lines[:2])


def start_load(processes: int) -> list[subprocess.Popen[bytes]]:
    """Processes that keep a core busy each."""
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]


@clear_errors
def main() -> int:
    """Judge one repository, print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repo", type=Path, required=True, help="a repository or its .git folder")
    parser.add_argument("--commits", type=positive, default=50, help="commits to sample")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--cols", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--editor", choices=EDITORS, default="vim")
    parser.add_argument("--motion", choices=("jumps", "arrows"), default="jumps", help="how nano's cursor goes")
    parser.add_argument(
        "--frames",
        type=positive,
        default=sys.maxsize,
        help="play no more commits once this many frames were compared; the commit at hand is played to its end",
    )
    parser.add_argument("--load", type=int, default=0, help="busy processes beside it")
    parser.add_argument("--quick", action="store_true", help="end with the commit that reaches 20,000 frames")
    parser.add_argument("--json", action="store_true", help="the figures as one JSON object on the last line")
    options = parser.parse_args()
    load: list[subprocess.Popen[bytes]] = []
    try:
        geometry = Geometry(options.rows, options.cols).check()
        config = ReplayConfig.of(rows=options.rows, cols=options.cols, editor=options.editor, motion=options.motion)
        total = len(order(options.repo))
        runs = sample(total, options.commits, options.seed)
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.platform()}")
        modelled = f"model of {config.editor} {EDITOR_VERSIONS[config.editor]}"
        print(f"Python {platform.python_version()}, {modelled}, here {release(config.editor)}")
        print(f"{datetime.now():%Y-%m-%d %H:%M}, {geometry}, seed {options.seed}, load {options.load}")
        load = start_load(options.load)
        limit = min(options.frames, 20_000) if options.quick else options.frames
        progress = Progress()
        verdict = judge(options.repo, config, runs, max_frames=limit, report=progress)
        progress.end()
    except (GitreelError, OracleError) as error:
        print(f"fidelity: {error}", file=sys.stderr)
        return 2
    finally:
        for process in load:
            process.kill()
            process.wait()
    for shown in verdict.shown:
        print(shown)
    dropped, not_typed = (
        ", ".join(f"{reason} {count}" for reason, count in found.most_common()) or "none"
        for found in (verdict.dropped, verdict.not_typed)
    )
    print(f"{verdict.commits} of {total} commits in {len(runs)} runs; stepped over: {dropped}")
    print(f"files brought by checkout: {not_typed}")
    print(f"{verdict.frames} frames, {verdict.mismatched_frames} mismatched")
    if verdict.otherwise:
        modelled = EDITOR_VERSIONS["vim"]
        print(f"frames that vim {version_here()} draws otherwise than vim {modelled}: {verdict.otherwise}")
    print(f"trees that differ {verdict.tree_mismatches}, subjects {verdict.subject_mismatches}")
    if verdict.late:
        print(f"screens that had to be waited for twice: {verdict.late}")
    if verdict.odd_trees:
        print(f"trees whose original was written with padded modes, equal otherwise: {verdict.odd_trees}")
    print(f"typed lines {verdict.lines_typed} of {verdict.lines} ({verdict.typed_line_share:.1%})")
    if options.json:
        print(json.dumps(verdict.figures()))
    return 0 if verdict.exact else 1


if __name__ == "__main__":
    sys.exit(main())
