"""Streams of the pinned repositories: filmed where they are missing, and whole ones to learn from or be tested on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from figures.corpus import Corpus, film_all
from schema.editors import Editor
from schema.errors import ConfigError
from schema.geometry import Geometry
from schema.manifest import stream_id
from training.analysis.carried import Stretch
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader


def film_missing(
    corpus: Corpus, geometry: Geometry, root: Path, mirrors: Path | None = None, editor: Editor = "vim"
) -> None:
    """Film the corpus into a warehouse that lacks any of it; nano is moved by arrow-like keys.

    Raises GitreelError: it cannot be filmed, or what is there is film of another number of steps.
    """
    there = {stream.repo_id for stream in Warehouse(str(root)).streams} if (root / "shards").is_dir() else set()
    if {stream_id(repository.repo_id, editor) for repository in corpus.repository} - there:
        film_all(corpus, geometry, mirrors, root, editor, "arrows" if editor == "nano" else "jumps")
    if editor == "vim":  # whose steps the corpus has
        steps = {stream.repo_id: stream.steps for stream in Warehouse(str(root)).streams}
        for repository in corpus.repository:
            found = steps[repository.repo_id]
            if repository.steps not in (None, found):
                raise ConfigError(
                    f"{root}: {repository.name} has {found:,} steps of film, the corpus says {repository.steps:,}; "
                    f"film it anew: remove {root} and run this again"
                )


def whole(reader: FilmReader, repo_ids: Iterable[str] | None = None) -> list[Segment]:
    """The whole streams of some repositories, or of all. Raises ConfigError for one that is not there."""
    numbers = {stream.repo_id: number for number, stream in enumerate(reader.streams)}
    wanted = list(numbers if repo_ids is None else repo_ids)
    for missing in sorted(set(wanted) - set(numbers)):
        raise ConfigError(f"{reader.warehouse.root}: no film of {missing}; run: python -m figures.corpus")
    return [Segment(numbers[repo], 0, reader.lengths[numbers[repo]]) for repo in wanted]


def spread(part: Stretch, count: int) -> list[int]:
    """`count` scored steps of a stretch, evenly spread."""
    steps: list[int] = np.linspace(part.scored, part.stop - 1, count).astype(int).tolist()
    return steps


def targets(part: Stretch, count: int) -> list[tuple[int, int]]:
    """The same with their stream, as training.analysis.cold wants them."""
    return [(part.stream, step) for step in spread(part, count)]
