"""The same commits in each editor: how much is typed, with how many keys, in how many bytes.

    python -m benchmarks.editors --repo PATH                    the oldest 600 commits
    python -m benchmarks.editors --repo PATH --quick --json     150 of them

Keys a changed line counts the keys pressed in the editor, saving and leaving included, over added and removed lines
that are typed. Bytes a frame are those of the steps' Parquet files. The peer is vim's film of the same commits.
"""

import sys
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.report import finish, header, parser, positive, table
from pipeline.git.order import order
from pipeline.replay import replay
from pipeline.shards.writer import StreamWriter
from schema.actions import Phase
from schema.config import ReplayConfig
from schema.editors import Editor, Motion
from schema.errors import GitreelError, clear_errors
from schema.geometry import Geometry

WAYS: tuple[tuple[Editor, Motion], ...] = (("vim", "jumps"), ("nano", "jumps"), ("nano", "arrows"))
_AT_PROMPT = np.array([Phase.SHELL, Phase.MESSAGE], np.uint8)


class Tally(NamedTuple):
    """One film: its steps, those in the editor, lines, bytes, and the files that came by checkout, by reason."""

    steps: int
    editor_steps: int
    lines: int
    lines_typed: int
    bytes: int
    not_typed: Counter[str]

    @property
    def keys_a_line(self) -> float:
        """Keys pressed in the editor, for each changed line that is typed."""
        return self.editor_steps / max(self.lines_typed, 1)


def count(repo: Path, commits: int, config: ReplayConfig) -> Tally:
    """The tally of the oldest `commits` commits. Raises GitreelError."""
    steps = inside = lines = lines_typed = 0
    not_typed: Counter[str] = Counter()
    tip = order(repo)[:commits][-1]
    with (
        tempfile.TemporaryDirectory(prefix="film-") as folder,
        StreamWriter(Path(folder) / "warehouse", "benchmark", config, source="benchmark") as writer,
    ):
        for take in islice(replay(repo, "benchmark", config, tip=tip), commits):
            writer.append(take)
            lines += take.episode.lines
            lines_typed += take.episode.lines_typed
            not_typed.update(drop.rule for drop in take.drops if drop.scope == "file")
            if take.film is not None:
                steps += len(take.film.phase_T)
                inside += int((~np.isin(take.film.phase_T, _AT_PROMPT)).sum())
        manifest = writer.close()
    size = sum(shard.files["steps"].bytes for shard in manifest.shards if "steps" in shard.files)
    return Tally(steps, inside, lines, lines_typed, size, not_typed)


@clear_errors
def main() -> int:
    """Command line; exit code 2 after a clear error."""
    flags = parser(__doc__)
    flags.add_argument("--repo", type=Path, default=Path("."), help="a repository with its whole history")
    flags.add_argument("--commits", type=positive, help="how many of the oldest (default: 600; with --quick 150)")
    flags.add_argument("--geometry", default="24x80", metavar="ROWSxCOLS", help="screen size, cells")
    chosen = flags.parse_args()
    commits = chosen.commits or (150 if chosen.quick else 600)
    print(header("benchmarks.editors", ["pyarrow", "rapidfuzz"], repo=chosen.repo.name, commits=commits))
    try:
        rows, cols = Geometry.parse(chosen.geometry)
        found = {
            (editor, motion): count(
                chosen.repo, commits, ReplayConfig(rows=rows, cols=cols, editor=editor, motion=motion)
            )
            for editor, motion in WAYS
        }
    except GitreelError as error:
        print(f"gitreel: {error}", file=sys.stderr)
        return 2
    peer = found["vim", "jumps"]
    print(
        table(
            ["film", "steps", "lines typed", "share", "keys a changed line", "x vim", "bytes a frame"],
            [
                [
                    editor if editor == "vim" else f"{editor}, {motion}",
                    tally.steps, tally.lines_typed, tally.lines_typed / max(tally.lines, 1), tally.keys_a_line,
                    tally.keys_a_line / peer.keys_a_line, tally.bytes / max(tally.steps, 1),
                ]
                for (editor, motion), tally in found.items()
            ],
        )
    )  # fmt: skip
    figures: dict[str, object] = {}
    for (editor, motion), tally in found.items():
        name = editor if editor == "vim" else f"{editor}_{motion}"
        reasons = ", ".join(f"{rule} {times}" for rule, times in tally.not_typed.most_common()) or "none"
        print(f"{name}: files brought by checkout: {reasons}")
        figures |= {
            f"keys_a_line_{name}": round(tally.keys_a_line, 1),
            f"typed_line_share_{name}": round(tally.lines_typed / max(tally.lines, 1), 4),
            f"bytes_a_frame_{name}": round(tally.bytes / max(tally.steps, 1), 2),
        }
    finish(figures, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
