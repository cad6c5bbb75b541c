"""Watch the film of a commit: `python -m pipeline.watch EPISODE`, or write it down with `--asciicast FILE`.

EPISODE is REPO_ID:ORDINAL, a repository's id, or a commit's sha. Commits are chapters.
Keys while it plays: space pause, + - speed, left right 20 keys back and on, n p next and previous commit, q quit.
"""

import argparse
import shutil
import sys
from pathlib import Path

from pipeline.watch.asciicast import write_asciicast
from pipeline.watch.player import Player, raw_terminal
from pipeline.watch.recording import find_recording
from schema.errors import ConfigError, GitreelError

MIN_RATE, MAX_RATE = 0.01, 100_000.0  # keys a second


def check(options: argparse.Namespace) -> None:
    """Raise ConfigError for arguments that cannot be meant, before any work."""
    if not MIN_RATE <= options.rate <= MAX_RATE:
        raise ConfigError(f"--rate {options.rate:g}: write keys a second, from {MIN_RATE:g} to {MAX_RATE:,.0f}")
    if not 0 <= options.episodes < 1 << 31:
        raise ConfigError(f"--episodes {options.episodes}: write a number of commits, or 0 for all")
    if options.asciicast and options.asciicast.suffix != ".cast":
        raise ConfigError(
            f"--asciicast {options.asciicast}: an asciicast's name ends in .cast, for example "
            f"{options.asciicast.with_suffix('.cast') if options.asciicast.name else 'film.cast'}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.watch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("episode", help="REPO_ID:ORDINAL, REPO_ID or a commit's sha")
    parser.add_argument("--warehouse", default="warehouse", help="folder or s3://bucket/prefix (default: warehouse)")
    parser.add_argument("--episodes", type=int, default=1, metavar="N", help="commits to show; 0 for all (default 1)")
    parser.add_argument("--rate", type=float, default=30.0, help="keys a second (default 30)")
    parser.add_argument("--no-keys", action="store_true", help="do not show the keys below the film")
    parser.add_argument("--asciicast", type=Path, metavar="FILE", help="write an asciicast instead of playing")
    parser.add_argument(
        "--asciicast-version",
        type=int,
        choices=(2, 3),
        default=2,
        help="default 2: asciinema 2.4, the one on PyPI, plays no version 3",
    )
    options = parser.parse_args(arguments)
    try:
        check(options)
        recording = find_recording(options.warehouse, options.episode, options.episodes)
        if options.asciicast:
            events = write_asciicast(recording, options.asciicast, version=options.asciicast_version, rate=options.rate)
            print(f"{options.asciicast}: {recording.steps} steps, {len(recording.chapters)} commits, {events} events")
            return 0
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ConfigError("not a terminal; write a file instead: add --asciicast FILE")
        size = shutil.get_terminal_size()
        rows, cols = recording.geometry
        if size.lines < rows + (not options.no_keys) or size.columns < cols:
            raise ConfigError(
                f"the film is {cols} columns by {rows} rows (and a line for keys, unless --no-keys);"
                f" this terminal is {size.columns} by {size.lines}: enlarge it"
            )
        with raw_terminal():
            Player(recording, options.rate, not options.no_keys).play()
    except GitreelError as error:
        print(f"gitreel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
