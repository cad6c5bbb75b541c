"""Draw more_film: nats a key against the steps of film that there were to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from figures.cells import FURTHER, CellConfig, CellResult, change, results
from figures.rows import Row
from figures.style import log_axis, save

AMOUNTS = [CellConfig(film=thousands) for thousands in (100, 300, 1000, 3000, 0, 30_000)]
LONGER = [CellConfig(film=thousands, updates=6000) for thousands in (1000, 0, 30_000)]
LOOKS = (("#c1272d", "o"), ("#0b6fa4", "s"))


def by_film(rows: Sequence[Row], configs: Sequence[CellConfig]) -> dict[int, CellResult]:
    """Results by the steps that there were to learn from."""
    return {result.film_steps: result for _, result in results(rows, configs)}


def arms(rows: Sequence[Row]) -> list[dict[int, CellResult]]:
    """The short and the longer trainings, those that were run."""
    return [found for found in (by_film(rows, AMOUNTS), by_film(rows, LONGER)) if found]


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    parts, gains = [], []
    for found in arms(rows):
        seen = next(iter(found.values())).frames / 1e6
        listed = ", ".join(f"{result.nats:.3f} from {steps / 1e6:.1f} million" for steps, result in found.items())
        parts.append(f"after {seen:.1f} million frames nats a key are {listed}")
        nearest = min(found, key=lambda steps: abs(steps - 1000 * FURTHER))
        if max(found) > nearest:
            gain, lowest, highest = change(found[nearest], found[max(found)])
            span = f"by repository {lowest:+.3f} to {highest:+.3f}"
            gains.append(f"{gain:.3f} nats after {seen:.1f} million frames ({span})")
    return (
        "Film that is read over and over is learned by heart, and film of other repositories pays more the longer a "
        f"model learns: {'; '.join(parts)} steps of film. Eleven repositories more than the corpus's seven "
        f"({FURTHER / 1000:.1f} million steps) are worth {' and '.join(gains)}."
    )


def plot(rows: Sequence[Row], png: Path) -> None:
    """One panel: a line a length of training, a thin one a repository, and where each has read everything once."""
    canvas, axes = plt.subplots(figsize=(6.0, 3.9))
    for found, (colour, marker) in zip(arms(rows), LOOKS, strict=False):
        seen = next(iter(found.values())).frames
        for repo in next(iter(found.values())).by_repo:
            axes.plot(list(found), [each.by_repo[repo] for each in found.values()], color=colour, lw=0.5, alpha=0.3)
        words = f"{seen / 1e6:.1f} million frames seen"
        axes.plot(
            list(found), [each.nats for each in found.values()], f"{marker}-", color=colour, lw=1.6, ms=5, label=words
        )
        axes.axvline(seen, color=colour, lw=0.9, ls=(0, (4, 3)), alpha=0.6)
    log_axis(axes, "steps of film to learn from (dashed: as many as are seen)")
    axes.set(ylabel="nats a key, four test repositories")
    axes.set_title("The longer the training, the more film it takes", loc="left")
    axes.legend()
    save(canvas, png)
    plt.close(canvas)
