"""Watch the film of commits: in this terminal, or written down as a page, a picture or an asciicast.

    python -m pipeline.watch owner/name:12                            # a commit of the warehouse, here
    python -m pipeline.watch owner/name --episodes 0 --html film.html # a whole stream as one page
    python -m pipeline.watch --repo . --commit HEAD --gif film.gif --seconds 12
    python -m pipeline.watch --repo . --commit main..topic            # no warehouse: filmed as it plays
    python -m pipeline.watch --repo . --editor nano                   # the same in another editor

EPISODE is REPO_ID:ORDINAL, a repository's id, or a commit's sha. Keys while it plays: space pause, + - speed, f fast,
left right 20 keys and , . one key back and on, c C next and previous change, l L line, n p commit, g G start and end of
the commit, q quit. `--colour` is by Pygments and a view: stored film has no colours.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from pipeline.watch.colours import CONSOLE, Theme, theme, theme_names, view
from pipeline.watch.pace import MAX_RATE, MIN_RATE, Pace, fitting
from pipeline.watch.player import Player, raw_terminal
from pipeline.watch.recording import ChapterFilm, Recording
from schema.config import ReplayConfig
from schema.editors import Editor, Motion
from schema.errors import ConfigError, clear_errors, one_line
from schema.geometry import Geometry

ENDINGS = {"html": ".html", "gif": ".gif", "png": ".png", "asciicast": ".cast"}  # of the files that are written
NAMES = {"html": "a page", "gif": "a GIF", "png": "a PNG", "asciicast": "an asciicast"}
MOST_KEYS = 2_000_000  # of a page or an asciicast, some 20 MB; more only with --force
MOST_SECONDS = 120.0  # of a GIF
NONE = "none of these commits can be filmed; choose others"
STORED_ONLY = ("warehouse", "episodes")
LIVE_ONLY = ("name", "commit", "author", "after", "before", "path", "random", "geometry", "editor", "motion")


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    options = _parser().parse_args(arguments)
    if options.theme == "help":
        print("\n".join(theme_names()))
        return 0
    _check(options)
    try:
        with _opened(options) as recording:
            kind = next((kind for kind in ENDINGS if getattr(options, kind)), None)
            if kind:
                print(f"{getattr(options, kind)}: {_write(kind, recording, options)}")
            else:
                _play(recording, options)
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.watch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("episode", nargs="?", help="REPO_ID:ORDINAL, REPO_ID or a commit's sha")
    stored = parser.add_argument_group("from a warehouse")
    stored.add_argument("--warehouse", help="folder or s3://bucket/prefix (default: warehouse)")
    stored.add_argument("--episodes", type=int, metavar="N", help="commits to show; 0 for all (default 1)")
    live = parser.add_argument_group("straight from a repository")
    live.add_argument("--repo", metavar="PATH", help="film this repository as it plays; nothing is stored")
    live.add_argument("--name", help="what to call it (default: the folder's name)")
    live.add_argument("--commit", default="", metavar="SHA|A..B", help="one commit, or those of B that A has not")
    live.add_argument("--author", default="", metavar="REGEX", help="only commits by this author, as for git log")
    live.add_argument("--after", default="", metavar="DATE", help="only later commits")
    live.add_argument("--before", default="", metavar="DATE", help="only earlier commits")
    live.add_argument("--path", default="", help="only commits that changed this file or folder")
    live.add_argument("--random", action="store_true", help="in a random order")
    live.add_argument("--seed", type=int, default=0, metavar="N", help="another order of --random")
    live.add_argument("--geometry", metavar="ROWSxCOLS", help="the screen's size (default 24x80)")
    live.add_argument("--editor", choices=get_args(Editor), help="the editor that files are edited in (default vim)")
    live.add_argument("--motion", choices=get_args(Motion), help="how nano's cursor goes (default jumps)")
    how = parser.add_argument_group("how it is shown")
    how.add_argument("--rate", type=float, default=30.0, help="keys a second (default 30)")
    how.add_argument("--seconds", type=float, metavar="S", help="as fast as makes all of it fit in S seconds")
    how.add_argument("--loop", action="store_true", help="begin again at the end")
    how.add_argument("--skip-indent", action="store_true", help="spend no time on blanks that indent a typed line")
    how.add_argument("--no-keys", action="store_true", help="show the film alone, without the lines below it")
    how.add_argument("--colour", action="store_true", help="colour the text in vim by its language")
    how.add_argument("--theme", metavar="NAME", help="colours of one of Pygments's styles; --theme help lists them")
    files = parser.add_argument_group("written down instead of played")
    for kind, ending in ENDINGS.items():
        files.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"write {NAMES[kind]} ({ending})")
    files.add_argument("--step", type=int, metavar="N", help="of --png: which screen of the commit (default: its last)")
    files.add_argument("--force", action="store_true", help="write files of any length")
    files.add_argument(
        "--asciicast-version",
        type=int,
        choices=(2, 3),
        default=2,
        help="default 2: asciinema 2.4, the one on PyPI, plays no version 3",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Raise ConfigError for arguments that cannot be meant, before any work."""
    if options.theme:
        options.theme = theme(options.theme)
        options.colour = True
    if not MIN_RATE <= options.rate <= MAX_RATE:
        raise ConfigError(f"--rate {options.rate:g}: write keys a second, from {MIN_RATE:g} to {MAX_RATE:,.0f}")
    if options.seconds is not None and not 1 <= options.seconds <= 86_400:
        raise ConfigError(f"--seconds {options.seconds:g}: write seconds, from 1 to 86,400")
    if options.episode and options.repo:
        raise ConfigError(
            "an episode of the warehouse and --repo: only one of them may be named; of a repository choose by --commit"
        )
    if not options.episode and not options.repo:
        raise ConfigError("name an episode of the warehouse, REPO_ID:ORDINAL, or a repository: --repo PATH")
    if options.repo and (given := [f"--{name}" for name in STORED_ONLY if getattr(options, name) is not None]):
        raise ConfigError(f"{given[0]}: is for film of a warehouse; of a repository choose by --commit A..B or --after")
    options.warehouse = options.warehouse or "warehouse"
    options.episodes = 1 if options.episodes is None else options.episodes
    if not 0 <= options.episodes < 1 << 31:
        raise ConfigError(f"--episodes {options.episodes}: write a number of commits, or 0 for all")
    if not options.repo and (given := [f"--{name}" for name in LIVE_ONLY if getattr(options, name)]):
        raise ConfigError(f"{given[0]}: is for film that is made as it plays; name a repository: --repo PATH")
    if options.motion == "arrows" and options.editor != "nano":
        raise ConfigError("--motion arrows: vim is not moved by arrow keys alone; add --editor nano")
    asked = [kind for kind in ENDINGS if getattr(options, kind) is not None]
    if len(asked) > 1:
        raise ConfigError(f"--{asked[0]} and --{asked[1]}: write one file at a time")
    for kind in asked:
        target = getattr(options, kind)
        if target.suffix != ENDINGS[kind]:
            named = target.with_suffix(ENDINGS[kind]) if target.name else f"film{ENDINGS[kind]}"
            raise ConfigError(f"--{kind} {target}: {NAMES[kind]}'s name ends in {ENDINGS[kind]}, for example {named}")
    if options.step is not None and (not options.png or options.step < 0):
        raise ConfigError("--step: the number of a screen from 0 on, for --png FILE")


@contextlib.contextmanager
def _opened(options: argparse.Namespace) -> Iterator[Recording]:
    """The recording to be shown. What the other kind alone needs is not imported: that doubled the time to a frame."""
    if not options.repo:
        from pipeline.watch.stored import find_recording

        yield find_recording(options.warehouse, options.episode, options.episodes)
        return
    from pipeline.watch.live import Selection, open_live

    selection = Selection(
        options.commit, options.author, options.after, options.before, options.path, options.random, options.seed
    )
    recording = open_live(options.repo, selection, _config(options))
    recording.repo_id = options.name or recording.repo_id
    with contextlib.closing(recording):
        yield recording
    for commit, reason in recording.skipped.items():
        print(f"gitreel: {commit[:12]} is not filmed: {one_line(reason)}", file=sys.stderr)


def _config(options: argparse.Namespace) -> ReplayConfig:
    """How film is made as it plays. Raises ConfigError."""
    rows, cols = Geometry.parse(options.geometry) if options.geometry else Geometry()
    chosen = {name: value for name in ("editor", "motion") if (value := getattr(options, name))}
    return ReplayConfig.model_validate({"rows": rows, "cols": cols, **chosen})


def _play(recording: Recording, options: argparse.Namespace) -> None:
    """Play it in this terminal. Raises ConfigError where it does not fit, or there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("not a terminal; write a file instead: add --html FILE, --gif FILE or --asciicast FILE")
    size = shutil.get_terminal_size()
    rows, cols = recording.geometry
    if size.lines < rows + (not options.no_keys) or size.columns < cols:
        raise ConfigError(
            f"the film is {cols} columns by {rows} rows (and a line for keys, unless --no-keys);"
            f" this terminal is {size.columns} by {size.lines}: enlarge it"
        )
    pace = Pace(options.rate)
    if options.seconds:
        pace = fitting(options.seconds, *_length(recording))
    bars = 0 if options.no_keys else min(2, size.lines - rows)
    player = Player(
        recording,
        pace,
        bars=bars,
        loop=options.loop,
        skip_indentation=options.skip_indent,
        view=view(options.colour),
        theme=options.theme,
    )
    with raw_terminal():
        player.play()


def _length(recording: Recording) -> tuple[int, int]:
    """Keys and commits of a recording.

    What is not stored is filmed for that, and filmed again as it plays: a player keeps few commits in memory.
    """
    if recording.steps is not None:
        return recording.steps, len(recording.chapters)
    lengths = [len(film) for film in recording.films()]
    _need(lengths)
    return sum(lengths), len(lengths)


def _need(found: Sequence[object]) -> None:
    if not found:
        raise ConfigError(NONE)


def _write(kind: str, recording: Recording, options: argparse.Namespace) -> str:
    """Write one file; what there is to tell about it. Raises ConfigError, WarehouseError."""
    target: Path = getattr(options, kind)
    if not options.force and recording.steps is not None and kind != "gif":
        _refuse_length(recording.steps)
    shown = view(options.colour)
    chosen: Theme | None = options.theme
    if kind == "html":
        from pipeline.watch.html import write_film_page

        page = write_film_page(
            recording, _reported(recording, options), target,
            pace=Pace(options.rate), seconds=options.seconds, view=shown, theme=chosen,
        )  # fmt: skip
        return f"{page.steps:,} keys, {page.commits:,} commits, {page.bytes:,} bytes; open it in a browser"
    if kind == "asciicast":
        from pipeline.watch.asciicast import write_asciicast

        films, pace = _paced(recording, options)
        events = write_asciicast(
            recording, films, target,
            version=options.asciicast_version, pace=pace, view=shown, theme=chosen,
        )  # fmt: skip
        return f"{len(recording.chapters)} commits, {events} events"
    return _write_picture(kind, recording, options)


def _write_picture(kind: str, recording: Recording, options: argparse.Namespace) -> str:
    from pipeline.watch import picture

    target: Path = getattr(options, kind)
    shown, chosen = view(options.colour), options.theme or CONSOLE
    if kind == "png":
        film = next(iter(_reported(recording, options)), None)
        if film is None:
            raise ConfigError(NONE)
        step = len(film) if options.step is None else options.step
        if step > len(film):
            raise ConfigError(f"--step {step}: the commit has screens 0 to {len(film)}")
        size = picture.write_png(shown(film.step(step).screen), recording.geometry.cols, target, chosen)
        return f"screen {step} of {len(film)}, {size:,} bytes"
    films, pace = _paced(recording, options, picture.FRAME_MS / 1000)
    found = list(films)
    _need(found)
    keys = sum(map(len, found))
    if (seconds := pace.duration(keys, len(found))) > MOST_SECONDS and not options.force:
        raise ConfigError(
            f"{keys:,} keys take {seconds:,.0f} s, too long for a GIF; let it take fewer: --seconds 12, or --force"
        )
    with _progress("pictures", picture.pictures_of(keys, len(found), pace)) as report:
        drawn = picture.write_gif(
            recording, found, target,
            pace=pace, bars=not options.no_keys, view=shown, theme=chosen, report=report,
        )  # fmt: skip
    return f"{drawn.seconds:.1f} s, {drawn.pictures} pictures, {drawn.bytes:,} bytes"


def _paced(
    recording: Recording, options: argparse.Namespace, picture: float = 0.0
) -> tuple[Iterable[ChapterFilm], Pace]:
    """The films and how fast they are shown, in pictures of so many seconds, where they become a GIF.

    What has no known length yet is filmed first, once, where that decides.
    """
    films = _reported(recording, options)
    if not options.seconds:
        return films, Pace(options.rate)
    if recording.steps is not None:
        return films, fitting(options.seconds, recording.steps, len(recording.chapters), picture=picture)
    found = list(films)
    _need(found)
    return found, fitting(options.seconds, sum(map(len, found)), len(found), picture=picture)


def _refuse_length(keys: int) -> None:
    if keys > MOST_KEYS:
        raise ConfigError(f"{keys:,} keys are too long a film for one file; choose fewer commits, or --force")


def _reported(recording: Recording, options: argparse.Namespace) -> Iterable[ChapterFilm]:
    """The films, counted for whoever waits for them, and refused where they become too many."""
    keys = 0
    with _progress("commits", len(recording.chapters)) as report:
        for number, film in enumerate(recording.films(), 1):
            keys += len(film)
            if not options.force and not options.gif:
                _refuse_length(keys)
            report(number)
            yield film


@contextlib.contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


if __name__ == "__main__":
    sys.exit(main())
