"""Redraws film from its script: the keys, the names of the files opened and their contents. No clone, no frames read.

python -m pipeline.redraw REPO [--warehouse FOLDER] [--episode N]     compare with the stored frames
python -m pipeline.redraw REPO --geometry 48x160 --into FOLDER        film it again at another size
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.film.arrow import Piece, piece_of
from pipeline.film.frames import Film, RowTable
from pipeline.messages import pasteable
from pipeline.replay import TABLE_ROWS, FilmedCommit
from pipeline.shards.manifest import load
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from pipeline.terminal.terminal import Terminal
from pipeline.warehouse.checks import may_hold_film
from schema.errors import ConfigError, SourceError, WarehouseError, clear_errors, one_line
from schema.geometry import Geometry
from schema.manifest import MANIFEST, Manifest, stream_folder
from schema.records import Drop, Episode, final_fields


def open_stream(store: Store, repo_id: str) -> Manifest:
    """The stream of one repository. Raises WarehouseError, and SourceError when the warehouse has none of it."""
    store.need()
    manifest = load(store, f"{stream_folder(repo_id)}/{MANIFEST}")
    if manifest is None:
        raise SourceError(
            f"{repo_id}: not in warehouse {store}; see what is: "
            f"python -m pipeline.warehouse stats --warehouse {pasteable(str(store))}"
        )
    return manifest


def play(reader: StreamReader, episode: Episode, terminal: Terminal) -> Film:
    """One episode's film from its keys and contents. `terminal` stands where the episode before it ended.

    Raises UnsupportedKeyError, CorruptError.
    """
    keys = reader.steps(episode.first_step, episode.steps, ["action"]).column("action").to_numpy()
    contents = [None if o.blob is None else reader.content(o.blob) for o in episode.opened]
    return terminal.play(keys.astype(np.uint8).tobytes(), contents)


def redrawn(reader: StreamReader, geometry: Geometry) -> Iterator[FilmedCommit]:
    """The whole stream, filmed again at `geometry` in one terminal, each commit with the contents that it opened."""
    terminal = Terminal(geometry)
    for episode in reader.episodes():
        if len(terminal.table) > TABLE_ROWS:
            terminal.forget_rows()
        film = play(reader, episode, terminal) if episode.steps else None
        final = final_fields(terminal.screen())
        contents = {o.blob: reader.content(o.blob) for o in episode.opened if o.blob is not None}
        yield FilmedCommit(episode.model_copy(update=final), film, terminal.table, list(contents.items()), [])


def stored(reader: StreamReader, episode: Episode) -> Piece:
    """One episode's frames as they are stored."""
    return piece_of(reader.steps(episode.first_step, episode.steps), reader.manifest.config.rows)


def different(piece: Piece, film: Film, table: RowTable) -> npt.NDArray[np.bool_]:
    """Which steps of `film` (numbered in `table`) are not `piece`'s, in text, style, cursor, action or phase [T]."""
    used = np.unique(film.frames)
    number = np.full(len(table), -1, np.int64)
    number[used] = [piece.table.intern(*table.row(i)) for i in used.tolist()]
    wrong = (number[film.frames] != piece.film.frames).any(axis=1)
    for drawn, kept in zip(film[1:], piece.film[1:], strict=True):
        wrong |= drawn != kept
    return np.asarray(wrong)


def compare(reader: StreamReader, only: Sequence[int] | None = None) -> Iterator[tuple[Episode, int]]:
    """(episode, steps that differ from the stored ones) for each filmed episode, or those whose ordinals are given.

    Each starts from the stored final screen of the one before it. Raises UnsupportedKeyError, CorruptError.
    """
    wanted = None if only is None else set(only)
    before: Episode | None = None
    geometry = reader.manifest.config.geometry
    for episode in reader.episodes():
        if episode.steps and (wanted is None or episode.episode in wanted):
            terminal = Terminal(geometry, before.final_screen if before else None)
            film = play(reader, episode, terminal)
            wrong = int(different(stored(reader, episode), film, terminal.table).sum())
            drawn, kept = terminal.screen(), episode.final_screen
            yield episode, wrong + (drawn != kept)
        before = episode


def refilm(reader: StreamReader, geometry: Geometry, into: Store) -> Manifest:
    """Film the stream again at another size, into another warehouse, behind what an earlier call filmed of it there.

    A stream there that was replaced here since is replaced there, too. Raises WarehouseError for another repository's,
    ConfigError for one of another size.
    """
    manifest = reader.manifest
    config = manifest.config.model_copy(update={"rows": geometry.rows, "cols": geometry.cols})
    there = load(into, f"{manifest.folder}/{MANIFEST}")
    if there is not None and there.shards and there.config != config:
        raise ConfigError(
            f"{into}/{there.folder}: holds film of {there.config.geometry}, or with other settings; film {geometry} "
            "into another folder: --into FOLDER"
        )
    episodes = list(reader.commits())

    def outdated(stream: Manifest, in_place: bool) -> str:
        known = list(StreamReader(into, stream).commits())
        root = known[0][0]
        if in_place and root not in (commit for commit, _ in episodes):
            raise WarehouseError(
                f"{into}/{stream.folder}: the film of another history, of {stream.source or stream.repo_id}, with "
                f"the root {root[:12]}; film into another folder: --into FOLDER"
            )
        return "" if known == episodes[: len(known)] else "it was replaced"

    with StreamWriter(
        into, manifest.repo_id, config,
        source=manifest.source, family=manifest.family, licence=manifest.licence, outdated=outdated,
    ) as writer:  # fmt: skip
        done = writer.resume_point.episode if writer.resume_point else -1
        drops = _drops(reader)
        for filmed in redrawn(reader, geometry):
            if filmed.episode.episode > done:
                writer.append(filmed._replace(drops=drops.get(filmed.episode.episode, [])))
    return writer.manifest


def _drops(reader: StreamReader) -> dict[int, list[Drop]]:
    found: dict[int, list[Drop]] = {}
    for group in reader.groups("drops"):
        for row in reader.table(group).to_pylist():
            found.setdefault(row["episode"], []).append(Drop(**row))
    return found


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.redraw", description=__doc__.split("\n")[0])
    parser.add_argument("repo", help="repository id, for example pallets/click")
    parser.add_argument("--warehouse", default="warehouse", help="folder or s3://bucket/prefix")
    parser.add_argument("--episode", type=int, action="append", help="only this ordinal (may be repeated)")
    parser.add_argument("--geometry", help="ROWSxCOLS to film at; needs --into")
    parser.add_argument("--into", help="warehouse for the film at another size")
    options = parser.parse_args(arguments)
    store = Store(options.warehouse)
    reader = StreamReader(store, open_stream(store, options.repo))
    if options.geometry or options.into:
        if not (options.geometry and options.into):
            raise ConfigError("redraw: --geometry and --into go together, for example: --geometry 48x160 --into big")
        if options.episode:
            raise ConfigError("redraw: --into films every episode; leave --episode out, which is for comparing")
        into = Store(options.into)
        may_hold_film(into)
        made = refilm(reader, Geometry.parse(options.geometry), into)
        print(f"{options.into}: {one_line(options.repo)} filmed at {options.geometry}, {made.steps:,} steps")
        print(f"next: python -m pipeline.warehouse build --warehouse {pasteable(options.into)}")
        return 0
    for ordinal in options.episode or ():
        if not 0 <= ordinal < reader.manifest.episodes:
            raise ConfigError(f"--episode {ordinal}: {options.repo} has episodes 0 to {reader.manifest.episodes - 1}")
    episodes = steps = wrong = 0
    for episode, differing in compare(reader, options.episode):
        episodes, steps, wrong = episodes + 1, steps + episode.steps, wrong + differing
        if differing:
            print(f"episode {episode.episode} ({episode.commit[:12]}): {differing} of {episode.steps} steps differ")
    print(f"{one_line(options.repo)}: {episodes:,} episodes, {steps:,} steps redrawn from keys alone, {wrong} differ")
    return 2 if wrong else 0
