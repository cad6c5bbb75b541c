"""How fast a history is walked, every changed file's old and new content read, beside git itself and PyDriller.

    python -m benchmarks.walk --repo PATH                  the whole history, three rounds
    python -m benchmarks.walk --repo PATH --quick --json   the oldest 300 commits

Each round runs all of them one after the other, on the same commits without merges; the best of each counts.
`git log -p` prints patches and never a whole file; PyDriller gives the contents, as we do.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import PeerMissingError, finish, header, parser, positive, table
from pipeline.git.environment import git_environment
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import order
from pipeline.git.repository import open_repository
from schema.errors import clear_errors

QUICK_COMMITS = 300


def ours(repo: Path, commits: int) -> int:
    """Walk, and read what changed; bytes read."""
    read = 0
    source = open_repository(repo)
    with Blobs(source) as blobs:
        for commit in walk(blobs):
            if commit.ordinal >= commits:
                break
            versions = {version for change in commit.changes for version in change.versions}
            read += sum(len(v.content) for v in versions if (size := v.size) is not None and size <= 1 << 20)
    return read


def git_log(repo: Path, commits: int, shas: list[str]) -> int:
    """`git log -p` of the same commits, drained; bytes read."""
    git_dir = open_repository(repo).git_dir
    command = ["git", f"--git-dir={git_dir}", "log", "-p", "--no-renames", "--root", "--no-walk=unsorted"]
    done = subprocess.run(
        [*command, "--stdin"],
        input="\n".join(shas[:commits]).encode(),
        env=git_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return len(done.stdout)


def clone(repo: Path, folder: Path) -> Path:
    """What PyDriller can open: a repository with a working tree's layout, sharing the objects."""
    command = ["git", "clone", "-q", "--shared", "--no-checkout", repo.absolute(), folder]
    subprocess.run(command, env=git_environment(protocol="file"), check=True)
    return folder


def pydriller(repo: Path, commits: int) -> int:
    """PyDriller over as many commits; characters read. Raises PeerMissingError."""
    try:
        from pydriller import Repository
    except ImportError as error:
        raise PeerMissingError("PyDriller is not installed; run: pip install -e '.[peers]'") from error
    read = 0
    for number, commit in enumerate(Repository(str(repo), only_no_merge=True).traverse_commits()):
        if number >= commits:
            break
        for file in commit.modified_files:
            try:
                read += len(file.source_code or "") + len(file.source_code_before or "")
            except ValueError:  # it takes a submodule's commit for a blob
                continue
    return read


def timed(work: Callable[[], int]) -> tuple[float, int]:
    """Seconds, and what `work` returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


@clear_errors
def main() -> int:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--repo", type=Path, required=True, help="a repository")
    arguments.add_argument("--rounds", type=positive, default=3)
    arguments.add_argument("--commits", type=positive, help="oldest commits only")
    options = arguments.parse_args()
    clones = tempfile.TemporaryDirectory(prefix="walk-")
    try:
        shas = order(options.repo)
        cloned = clone(options.repo, Path(clones.name) / "clone")
        commits = min(options.commits or (QUICK_COMMITS if options.quick else len(shas)), len(shas))
        shown = header("walk", ["PyDriller"], repository=options.repo, commits=commits, rounds=options.rounds)
        print(shown, "\n", sep="")
        contestants: dict[str, Callable[[], int]] = {
            "gitreel": lambda: ours(options.repo, commits),
            "git log -p": lambda: git_log(options.repo, commits, shas),
            "PyDriller": lambda: pydriller(cloned, commits),
        }
        best: dict[str, tuple[float, int]] = {}
        for _ in range(options.rounds):
            for name, work in list(contestants.items()):
                try:
                    best[name] = min(best.get(name, (float("inf"), 0)), timed(work))
                except PeerMissingError as missing:
                    print(missing)
                    del contestants[name]
    finally:
        clones.cleanup()
    fastest = best["gitreel"][0]
    rows = [[name, commits / seconds, read / 1e6, seconds / fastest] for name, (seconds, read) in best.items()]
    print(table(["walk", "commits/s", "MB read", "gitreel is x times faster"], rows))
    figures = {
        "commits": commits,
        "commits_per_second": round(commits / fastest, 1),
        "ratio_git_log_p": round(best["git log -p"][0] / fastest, 3),
        "ratio_pydriller": round(best["PyDriller"][0] / fastest, 3) if "PyDriller" in best else None,
    }
    finish(figures, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
