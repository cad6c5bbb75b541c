"""How evenly fast film is made: steps a second of many histories, from commit to Parquet.

    python -m benchmarks.histories PATH ... --commits 400 --editor nano

One thread, the oldest commits of each. Time that follows a file's size instead of its change shows as a history that
is far below the median. `--profile` adds the functions that the slowest one spent its time in.
"""

import sys
from pathlib import Path
from statistics import median

from benchmarks.oracle.machine import EDITORS
from benchmarks.replay import profile, whole
from benchmarks.report import finish, header, parser, positive, table
from schema.config import ReplayConfig
from schema.errors import ConfigError, clear_errors

QUICK_COMMITS = 30


@clear_errors
def main() -> int:
    """Measure and print."""
    flags = parser(__doc__)
    flags.add_argument("repositories", nargs="+", type=Path, metavar="PATH", help="repositories")
    flags.add_argument("--commits", type=positive, default=400, help="oldest commits of each (default 400)")
    flags.add_argument("--editor", choices=EDITORS, default="vim")
    flags.add_argument("--profile", action="store_true", help="also show where the slowest one's time goes")
    options = flags.parse_args()
    config = ReplayConfig(editor=options.editor)
    commits = min(options.commits, QUICK_COMMITS) if options.quick else options.commits
    print(header("histories", ["pyarrow", "numpy", "rapidfuzz"], commits=commits, editor=options.editor), "\n", sep="")
    whole(options.repositories[0], config, 1)  # what a process does for the first time is no history's
    found: list[tuple[float, int, Path]] = []
    for path in options.repositories:
        seconds, steps = whole(path, config, commits)
        if steps:
            found.append((steps / seconds, steps, path))
        else:
            print(f"{path}: no commit of it can be filmed")
    if not found:
        raise ConfigError("no history has anything to film: name other repositories")
    found.sort()
    middle = median(speed for speed, *_ in found)
    rows = [[path, steps, speed, speed / middle] for speed, steps, path in found]
    print(table(["history", "steps", "steps/s", "of the median"], rows))
    slowest, _, path = found[0]
    if options.profile:
        print(f"\nWhere the time of {path} goes:\n{profile(path, config, commits)}")
    figures = {"slowest": slowest, "median": middle, "fastest": found[-1][0], "slowest_of_median": slowest / middle}
    finish({name: round(value, 3) for name, value in figures.items()}, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
