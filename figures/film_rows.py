"""Cells on the made film of known_law: their kind, their names, their learning rates, their tables and intervals."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.rows import ROOT, Kind, Row, read_rows
from training.tasks import recall
from training.tasks.frozen_head import FilmConfig, FilmResult, VectorFilm, VectorStream, fit

RESAMPLES = 2000
LEVEL = 0.95


VECTOR = 48  # width of a screen's vector


@functools.cache
def recall_film(train: int = 8, steps: int = 150_000, held: int = 50_000) -> VectorFilm:
    """training.tasks.recall as a film: a fixed random vector for each different screen, streams made from seeds."""
    screens = 1 + recall.SLOTS * (recall.VALUES + 1)
    table_ND = np.random.default_rng(4).standard_normal((screens, VECTOR)).astype(np.float16)
    streams = []
    for seed, split in enumerate(["train"] * train + ["validation"] + ["test"] * 4):
        made = recall.make_recall(seed, steps if split == "train" else held)
        x_TD = table_ND[recall.screen_ids(made)]
        streams.append(VectorStream(f"{split} {seed}", split, x_TD, recall.keys(made), made.lag_T))
    return VectorFilm("recall", "recall-1", tuple(streams), questions=True)


def film_key(config: FilmConfig) -> str:
    """The name of a cell: film, model, layers, width, length, batch, rate, updates, seed."""
    return (
        f"{config.film}-{config.model}-l{config.layers}-d{config.width}-t{config.length}-b{config.batch}"
        f"-r{config.rate:g}-u{config.updates}-s{config.seed}"
    )


def _summary(result: FilmResult) -> str:
    return (
        f"{result.loss:.4f} nats, validation {result.validation:.4f}, {result.frames:,} frames, "
        f"{result.cpu_seconds:.0f} s{', undertrained' * result.undertrained}"
    )


FILM = Kind(
    FilmConfig,
    FilmResult,
    lambda config: fit(config, recall_film()),
    film_key,
    _summary,
    ("seconds", "cpu_seconds"),
)


def best_rate(figure: str, film: str, model: str, length: int) -> float:
    """The swept rate with the lowest validation loss at the nearest length swept for a model.

    Raises:
        ValueError: nothing was swept for the model; the message names the command to run.
    """
    rows = [
        row
        for row in read_rows(ROOT / figure / "learning_rates.csv", FILM)
        if row.config.model == model and row.config.film == film
    ]
    if not rows:
        raise ValueError(f"no rates for {model} on {film} film: run python -m figures.{figure} rates first")

    def distance(row: Row) -> float:
        return float(abs(np.log2(row.config.length / length)))

    closest = min(distance(row) for row in rows)
    candidates = [row for row in rows if distance(row) == closest]
    return float(min(candidates, key=lambda row: row.result.validation).config.rate)


def losses_by_stream(rows: Sequence[Row]) -> NDArray[np.float64]:
    """[seeds, test streams] of one group of cells that differ in their seed alone, in the order of the seeds."""
    ordered = sorted(rows, key=lambda row: row.config.seed)
    return np.array([list(row.result.by_stream.values()) for row in ordered])


def interval(
    groups: Sequence[NDArray[np.float64]], statistic: Callable[[NDArray[np.float64]], Any], seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % bootstrap interval of ``statistic(means)``, resampling seeds (each group its own) and test streams (all
    groups the same, because all were measured on the same targets).

    Args:
        groups: one [seeds, streams] of losses for each point.
        statistic: takes the points' mean losses [points].

    Returns:
        The lower and the upper ends, of the statistic's shape.
    """
    rng = np.random.default_rng(seed)
    streams = groups[0].shape[1]
    drawn = []
    for _ in range(RESAMPLES):
        columns = rng.integers(0, streams, streams)
        means = [group[rng.integers(0, len(group), len(group))][:, columns].mean() for group in groups]
        drawn.append(statistic(np.array(means)))
    low, high = np.nanquantile(np.array(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return np.asarray(low), np.asarray(high)


def grouped(rows: Sequence[Row], *names: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by some settings, sorted by them."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(getattr(row.config, name) for name in names), []).append(row)
    return dict(sorted(groups.items()))


def film_table(rows: Sequence[Row]) -> str:
    """Mean over seeds with the 95 % interval over seeds and test streams, as Markdown."""
    titles = (
        "film", "model", "width", "parameters", "T", "windows an update", "updates", "rate", "seeds",
        "nats a target", "undertrained", "CPU s a run",
    )  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    names = ("film", "model", "width", "length", "batch", "updates", "rate")
    for (film, model, width, length, batch, updates, rate), group in grouped(rows, *names).items():
        losses = losses_by_stream(group)
        low, high = interval([losses], lambda means: means[0])
        results = [row.result for row in group]
        lines.append(
            f"| {film} | {model} | {width} | {results[0].parameters:,} | {length} | {batch} | {updates} | {rate:g} "
            f"| {len(group)} | {losses.mean():.3f} [{low:.3f}, {high:.3f}] "
            f"| {sum(r.undertrained for r in results)} of {len(group)} "
            f"| {np.mean([r.cpu_seconds for r in results]):.0f} |"
        )
    total = sum(row.result.cpu_seconds for row in rows) / 60
    return "\n".join([*lines, "", f"{len(rows)} runs, {total:.0f} CPU minutes in all."])
