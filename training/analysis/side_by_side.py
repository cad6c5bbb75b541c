"""Rollouts beside what was really typed, for a run's page: two films of one commit from the same key on.

Of a held-out commit the first half of the keys are typed as recorded; from there on the model types what it holds
likeliest, on the screens that its own keys make, and the recorded keys go on beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from schema.actions import action_name
from schema.pages.screens import screens_data
from schema.screen import Screen, safe
from training.analysis.rollout import (
    RolloutEnd,
    RolloutEpisode,
    load_episode,
    on_path,
    run_free,
    start_terminal,
    warm_state,
)
from training.analysis.runs import BASELINES
from training.data.batches import Sampler
from training.data.splits import Segment
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel

COMMITS = 3
SHORTEST, LONGEST = 20, 2_000  # keys of a commit that is chosen: a page of a few hundred kilobytes
OWN = 200  # keys of the model's own, at most
LEAD = 20  # of the given keys, those whose screens are shown


def side_by_side(
    models: Mapping[str, FrameModel], reader: FilmReader, segments: Sequence[Segment], window: int
) -> Iterator[dict[str, Any]]:
    """For some commits of the segments and every model that is no baseline, both films as data for run.js.

    The memory is warmed on `window` steps before the commit. Film without a table of episodes gives nothing. Raises
    CorruptError.
    """
    acting = {name: model for name, model in models.items() if name.split("/")[-1] not in BASELINES}
    for stream, ordinal in _chosen(reader, segments):
        episode = load_episode(reader, reader.streams[stream].repo_id, ordinal)
        given = len(episode.keys) // 2
        for name, model in acting.items():
            end = _let_type(model, reader, episode, given, window)
            title = f"{name.replace('_', '-')}, {reader.streams[stream].repo_id} {episode.commit[:12]}"
            yield {
                "title": safe(f"{title}: {episode.subject}"),
                "words": safe(_words(end, episode, given)),
                "rows": reader.geometry.rows,
                "cols": reader.geometry.cols,
                "recorded": _film(reader, episode, episode.keys[: given + OWN], given),
                "own": _film(reader, episode, end.keys, given),
                "given": min(given, LEAD),
            }


def _chosen(reader: FilmReader, segments: Sequence[Segment]) -> list[tuple[int, int]]:
    """(stream, ordinal) of at most COMMITS commits that lie in the segments, spread evenly over them."""
    long_enough = [segment for segment in segments if segment.stop - segment.start >= SHORTEST]
    if not long_enough:
        return []
    found: dict[tuple[int, int], None] = {}
    for stream, start in Sampler(long_enough, SHORTEST).spread(COMMITS):
        part = next(one for one in long_enough if one.stream == stream and one.start <= start < one.stop)
        ordinals = _commits(reader, part)
        behind = [ordinal for first, ordinal in ordinals if first >= start]
        left = [ordinal for _, ordinal in reversed(ordinals) if (stream, ordinal) not in found]
        wanted = [ordinal for ordinal in (*behind, *left) if (stream, ordinal) not in found]
        if wanted:
            found[stream, wanted[0]] = None
    return list(found)


def _commits(reader: FilmReader, part: Segment) -> list[tuple[int, int]]:
    """(first step, ordinal) of the commits that lie in a segment and are neither too short nor too long."""
    found = []
    for table in reader.warehouse.tables(
        reader.streams[part.stream].repo_id, "episodes", ["episode", "first_step", "steps"]
    ):
        for ordinal, first, steps in zip(*(column.to_pylist() for column in table.columns), strict=True):
            if SHORTEST <= steps <= LONGEST and part.start <= first and first + steps <= part.stop:
                found.append((first, ordinal))
    return found


def _let_type(model: FrameModel, reader: FilmReader, episode: RolloutEpisode, given: int, warm: int) -> RolloutEnd:
    """What the model types behind the given keys, its likeliest key each time."""
    keys = min(len(episode.keys), given + OWN)
    env = start_terminal(reader.geometry, episode)
    with torch.no_grad():
        state = warm_state(model, reader, episode, warm)
        return run_free(model, env, episode, state, keys, given, temperature=0.0, seed=0)


def _film(reader: FilmReader, episode: RolloutEpisode, keys: bytes, given: int) -> dict[str, Any]:
    """The screens from LEAD keys before the last given one on, and the keys pressed at them."""
    env, first = start_terminal(reader.geometry, episode), max(0, given - LEAD)
    for key in keys[:first]:
        env.step(key)
    shown: list[Screen] = [env.screen, *(env.step(key) for key in keys[first:])]
    return {"screens": screens_data(shown), "keys": [action_name(key) for key in keys[first:]]}


def _words(end: RolloutEnd, episode: RolloutEpisode, given: int) -> str:
    own, right = len(end.keys) - given, max(0, on_path(end.keys, episode.keys) - given)
    return (
        f"{given:,} keys given, {len(episode.keys) - given:,} left to type; on its own {own:,} keys, the first "
        f"{right:,} of them as recorded; ended: {end.reason}"
    )
