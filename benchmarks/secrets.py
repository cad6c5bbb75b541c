"""What the search for secrets keeps off film: lines lost over whole histories, and what was found, by rule.

    python -m benchmarks.secrets --repo PATH [--repo PATH ...]            the whole histories
    python -m benchmarks.secrets --repo PATH --quick --json               the oldest 300 commits
    python -m benchmarks.secrets --repo PATH --list                       and every file with a finding, by rule

A line counts when it was added or removed by hand (as `lines` in the warehouse) and the search is all that could keep
it off film. Values are never printed; a listed file can be looked at with `git show COMMIT:PATH`.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import finish, header, parser, positive, table
from pipeline.git.changes import FileChange
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.tree import Tree
from pipeline.replay import play_commit
from pipeline.script.commit import SkippedCommit, Workspace, write_script
from pipeline.script.secrets import find_secrets
from pipeline.script.selection import Selection, Selector, Verdicts
from pipeline.terminal.terminal import Terminal
from schema.config import ReplayConfig
from schema.errors import clear_errors

QUICK_COMMITS = 300
SECRET = "secret"
SUBJECT = b""  # the path under which a commit's subject and paths are searched


class Tally(NamedTuple):
    """What one history lost. A finding is a distinct line of a path; lines count for each rule of their file."""

    commits: int
    typed: int
    lost: int
    findings: Counter[str]
    lost_by_rule: Counter[str]
    files: dict[tuple[bytes, str], str]  # (path, rule) -> the commit that it was first found in

    @property
    def share(self) -> float:
        """Lines lost, % of those that would be typed."""
        return 100 * self.lost / max(1, self.typed + self.lost)


class _Finder:
    """The filter for secrets; notes what it finds."""

    def __init__(self) -> None:
        self.commit = ""
        self.seen: set[tuple[bytes, str, int]] = set()
        self.findings: Counter[str] = Counter()
        self.rules: defaultdict[bytes, set[str]] = defaultdict(set)
        self.files: dict[tuple[bytes, str], str] = {}

    def __call__(self, lines: Sequence[bytes], path: bytes) -> list[tuple[int, str]]:
        found = list(find_secrets(lines, path))
        for number, rule in found:
            self._note(path, rule, lines[number])
        return found

    def _note(self, path: bytes, rule: str, line: bytes) -> None:
        self.rules[path].add(rule)
        self.files.setdefault((path, rule), self.commit)
        key = (path, rule, hash(line))
        if key not in self.seen:
            self.seen.add(key)
            self.findings[rule] += 1


class _CountingSelector(Selector):
    """Remembers what it chose for each path of the commit at hand."""

    def __init__(self, config: ReplayConfig, verdicts: Verdicts) -> None:
        super().__init__(config, verdicts)
        self.chosen: dict[bytes, Selection] = {}

    def choose(self, change: FileChange, tree: Tree) -> Selection:
        """As in Chooser; a path that is chosen for twice (first as a moved file) counts once."""
        choice = super().choose(change, tree)
        self.chosen[change.path] = choice
        return choice


def count(repo: Path, commits: int | None = None) -> Tally:
    """The tally of the oldest `commits` commits (None: of all). Raises GitreelError."""
    finder, config = _Finder(), ReplayConfig()
    verdicts = Verdicts(secrets=finder)
    walked = typed = lost = 0
    lost_by_rule: Counter[str] = Counter()
    with Blobs(repo) as blobs:
        workspace = Workspace(config, verdicts)
        selector = workspace.selector = _CountingSelector(config, verdicts)
        for commit in islice(walk(blobs, max_bytes=config.max_file_bytes), commits):
            walked += 1
            finder.commit = commit.sha[:12]
            selector.chosen.clear()
            try:
                script = write_script(commit, workspace)
                if any(file.masked for file in script.opened):  # what shows a private line is not typed after all
                    script, _ = play_commit(commit, workspace, Terminal(config.geometry))
            except SkippedCommit as skipped:
                if skipped.reason == SECRET:
                    lines = sum(selector.lines(change, commit.tree) for change in commit.changes)
                    lost += lines
                    lost_by_rule.update(dict.fromkeys(finder.rules[SUBJECT], lines))
                continue
            workspace.tree = commit.tree.oid
            in_vim = {file.path for file in script.opened}
            for path, choice in selector.chosen.items():
                in_part = choice.lines_typed if path in in_vim else 0
                part = in_part if choice.reason else choice.lines
                typed += part
                if choice.reason == SECRET:
                    lost += choice.lines - part
                    lost_by_rule.update(dict.fromkeys(finder.rules[path], choice.lines - part))
    return Tally(walked, typed, lost, finder.findings, lost_by_rule, finder.files)


@clear_errors
def main() -> int:
    """Command line; exit code 2 after a clear error."""
    flags = parser(__doc__)
    flags.add_argument("--repo", type=Path, action="append", required=True, help="a repository; may be given again")
    flags.add_argument("--commits", type=positive, help="how many of the oldest (default: all; with --quick 300)")
    flags.add_argument("--list", action="store_true", help="print each file with a finding, its rule, and a commit")
    chosen = flags.parse_args()
    commits = chosen.commits or (QUICK_COMMITS if chosen.quick else None)
    print(header("benchmarks.secrets", repositories=len(chosen.repo), commits=commits or "all"))
    tallies: dict[str, Tally] = {}
    for repo in chosen.repo:
        name = str(repo)
        tallies[name] = count(repo, commits)
        for (path, rule), commit in sorted(tallies[name].files.items()) if chosen.list else ():
            shown = path.decode("utf-8", "backslashreplace") or "(subject or path)"
            print(f"{name}: {commit}:{shown}: {rule}", flush=True)
    print(table(*_by_repository(tallies)), table(*_by_rule(tallies.values())), sep="\n\n")
    finish(_figures(tallies), chosen.json)
    return 0


def _by_repository(tallies: dict[str, Tally]) -> tuple[list[str], list[list[object]]]:
    rows = [[name, t.commits, t.typed, t.lost, t.share, t.findings.total()] for name, t in tallies.items()]
    return ["repository", "commits", "lines typed", "lines lost", "% lost", "findings"], rows


def _by_rule(tallies: Iterable[Tally]) -> tuple[list[str], list[list[object]]]:
    findings: Counter[str] = sum((t.findings for t in tallies), Counter())
    lost: Counter[str] = sum((t.lost_by_rule for t in tallies), Counter())
    return ["rule", "findings", "lines lost"], [[rule, n, lost[rule]] for rule, n in findings.most_common()]


def _figures(tallies: dict[str, Tally]) -> dict[str, object]:
    typed, lost = sum(t.typed for t in tallies.values()), sum(t.lost for t in tallies.values())
    return {
        "repositories": len(tallies),
        "lines_typed": typed,
        "lines_lost": lost,
        "percent_lost": round(100 * lost / max(1, typed + lost), 4),
        "worst_percent_lost": round(max((t.share for t in tallies.values()), default=0.0), 4),
        "findings": {row[0]: row[1] for row in _by_rule(tallies.values())[1]},
    }


if __name__ == "__main__":
    sys.exit(main())
