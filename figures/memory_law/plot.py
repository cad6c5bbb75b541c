"""Draw memory_law: nats a key against T, and what adapting gains; lines where there is a law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.rows import Row
from figures.style import save

LINES = {  # predictor -> colour, words
    "counts": ("#555555", "counts of the last T keys"),
    "memory": ("#c1272d", "model, memory of T steps"),
    "context": ("#0b6fa4", "the same model, exactly T steps of context"),
    "state": ("#7a2d8c", "its recurrent state alone, exactly T steps"),
}
CONTROLS = {"frame_only": "the screen alone", "keys_only": "the keys alone"}
ADAPTING = ("#2e8540", "adapting as it reads")
DRAWS = 1_000
CLOSE = 0.01  # nats: what counts as having all
TRAINED = tuple(4**k for k in range(3, 7))  # T of the predictor `trained`
ALONE, LONGEST = 1, 4096  # steps remembered by weights that go on learning: next to nothing, and much
READ = tuple(2**k for k in range(9, 16))  # keys are asked for from so many steps into a stream up to twice as many


class Law(NamedTuple):
    """A straight line in log-log: nats fall as T to the minus `exponent`; 95 % by resampling repositories."""

    exponent: float
    low: float
    high: float
    first: int
    last: int
    r2: float


def by_steps(rows: Sequence[Row], predictor: str, seed: int = 0) -> dict[int, Mapping[str, float]]:
    """Nats by repository at each T, T growing."""
    asked = [row for row in rows if (row.config.predictor, row.config.seed, row.config.read) == (predictor, seed, 0)]
    return dict(sorted({row.config.steps: row.result.by_repo for row in asked}.items()))


def shares(rows: Sequence[Row], remembered: int) -> dict[int, Mapping[str, float]]:
    """Nats of weights that go on learning by those of the same ones frozen, by repository, after each of READ steps.

    A quotient, since keys from other places in a stream are not as hard.
    """
    found: dict[str, dict[int, Mapping[str, float]]] = {"memory": {}, "adapting": {}}
    for row in rows:
        if row.config.predictor in found and row.config.read and row.config.steps == remembered:
            found[row.config.predictor][row.config.read] = row.result.by_repo
    both = sorted(found["memory"].keys() & found["adapting"].keys())
    return {
        read: {repo: found["adapting"][read][repo] / nats for repo, nats in found["memory"][read].items()}
        for read in both
    }


def learned(rows: Sequence[Row], remembered: int) -> Law | None:
    """The line of those quotients in log-log; None where not all were measured."""
    points = shares(rows, remembered)
    return law(points, min(READ), max(READ)) if points.keys() == set(READ) else None


def seed_laws(rows: Sequence[Row]) -> dict[int, Law]:
    """The line of each seed's weights that were read with every T of TRAINED."""
    seeds = sorted({row.config.seed for row in rows if row.config.predictor == "trained"})
    points = {seed: by_steps(rows, "trained", seed) for seed in seeds}
    return {seed: law(found, min(found), max(found)) for seed, found in points.items() if len(found) == len(TRAINED)}


def fitted(points: Mapping[int, Mapping[str, float]], repos: Sequence[int]) -> tuple[float, float]:
    """Exponent and R² of the line through the mean over some repositories, by their places; points at each T."""
    x = np.log(list(points))
    y = np.log([np.take(list(by_repo.values()), repos).mean() for by_repo in points.values()])
    slope, offset = np.polyfit(x, y, 1)
    rest = ((y - offset - slope * x) ** 2).sum() / max(1e-12, ((y - y.mean()) ** 2).sum())
    return float(-slope), float(1 - rest)


def picked(repos: int) -> list[list[int]]:
    """DRAWS samples of the repositories' places, each as many as there are, the same for every line."""
    picks: list[list[int]] = np.random.default_rng(0).integers(0, repos, (DRAWS, repos)).tolist()
    return picks


def law(points: Mapping[int, Mapping[str, float]], first: int, last: int) -> Law:
    """The line through the mean over repositories from T = first to last."""
    within = {t: by_repo for t, by_repo in points.items() if first <= t <= last}
    repos = len(next(iter(within.values())))
    low, high = np.quantile([fitted(within, pick)[0] for pick in picked(repos)], [0.025, 0.975])
    exponent, r2 = fitted(within, range(repos))
    return Law(exponent, float(low), float(high), min(within), max(within), r2)


def mean(by_repo: Mapping[str, float]) -> float:
    """Nats, every repository alike."""
    return float(np.mean(list(by_repo.values())))


def laws(rows: Sequence[Row]) -> dict[str, Law]:
    """The lines of the README, each from the T on at which it begins to fall."""
    found = {}
    for predictor, first in (("counts", 64), ("memory", 64), ("context", 1)):
        points = {steps: by_repo for steps, by_repo in by_steps(rows, predictor).items() if steps}
        if sum(steps >= first for steps in points) > 2:
            found[predictor] = law(points, first, max(points))
    return found


def title(rows: Sequence[Row]) -> str:
    """The figure in a sentence."""
    found = laws(rows)
    if {"counts", "memory"} - found.keys():
        return "Nats a key against the steps that are known"
    counts, memory = found["counts"], found["memory"]
    return (
        f"Film rewards memory: nats fall as T^-{counts.exponent:.3f} by counting up to {counts.last:,} keys,\n"
        f"as T^-{memory.exponent:.3f} by a model's memory of up to {memory.last:,} steps"
    )


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    found = laws(rows)
    nats = {name: {steps: mean(by_repo) for steps, by_repo in by_steps(rows, name).items()} for name in LINES}
    parts = {
        name: f"T^-{line.exponent:.3f} [{line.low:.3f}, {line.high:.3f}] from {line.first:,} to {line.last:,} "
        f"({nats[name][line.first]:.2f} to {nats[name][line.last]:.2f} nats)"
        for name, line in found.items()
    }
    adapting = by_steps(rows, "adapting").get(LONGEST)
    learns = ""
    if 0 in nats["state"]:  # carried from the stream's start
        every = nats["state"].pop(0)
        enough = min(steps for steps, value in nats["state"].items() if value < every + CLOSE)
        learns = (
            f"; the recurrent state alone, frozen, has after exactly {enough} steps what it has after all "
            f"({nats['state'][enough]:.2f} and {every:.2f} nats, of 4,096 of the keys)"
        )
    if adapting:
        learns += f"; weights that go on learning as they read have {mean(adapting):.2f}"
    line = learned(rows, ALONE)
    if line:
        part = {read: mean(by_repo) for read, by_repo in shares(rows, ALONE).items()}
        learns += (
            f", and with hardly a memory a share of what they have frozen that falls as R^-{line.exponent:.3f} "
            f"[{line.low:.3f}, {line.high:.3f}] in the R steps read ({part[line.first]:.2f} after {line.first:,}, "
            f"{part[line.last]:.2f} after {line.last:,})"
        )
    others = seed_laws(rows)
    exponents = ", ".join(f"T^-{line.exponent:.3f} [{line.low:.3f}, {line.high:.3f}]" for line in others.values())
    seeds = f" Sets of weights with a shorter training ({len(others)} seeds): {exponents}." if others else ""
    return (
        f"Film rewards memory, by counting and by a model alike: nats a key fall as {parts['counts']} by the keys that "
        f"are counted, as {parts['memory']} by the steps that a model remembers{learns}.{seeds}"
    )


def learning_axes(axes: Axes, rows: Sequence[Row]) -> None:
    """What adapting leaves of the nats against the steps that were read, both logarithmic; a thin line a repository."""
    for remembered, colour, words in (
        (ALONE, "#2e8540", "hardly a memory"),
        (LONGEST, "#d98200", f"a memory of {LONGEST:,} steps"),
    ):
        points = shares(rows, remembered)
        if not points:
            continue
        for repo in next(iter(points.values())):
            axes.plot(list(points), [found[repo] for found in points.values()], color=colour, lw=0.5, alpha=0.25)
        line = learned(rows, remembered)
        power = f": R^-{line.exponent:.3f}" if line else ""
        means = [mean(found) for found in points.values()]
        axes.plot(list(points), means, "o-", color=colour, lw=1.6, ms=4, label=words + power)
        axes.legend(loc="lower left")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(READ, [f"{read:,}" for read in READ])
    low, high = axes.get_ylim()
    parts = [part for part in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1) if low <= part <= high]
    axes.set_yticks(parts, [f"{part:g}" for part in parts])
    axes.minorticks_off()
    axes.set_xlabel("R: steps of the stream read before (to twice as many)")
    axes.set_ylabel("nats by those of the same weights frozen")


def law_axes(axes: Axes) -> None:
    """Nats against T, both logarithmic, in plain numbers. What is drawn must be there already."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = [4**k for k in range(9)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    low, high = axes.get_ylim()
    nats = [value for value in (0.8, 1.0, 1.2, 1.4, 1.6, 2.0, 2.4, 2.8, 3.2, 4.0) if low <= value <= high]
    axes.set_yticks(nats, [f"{value:.1f}" for value in nats])
    axes.minorticks_off()
    axes.set_xlabel("T: steps of the stream that are known")
    axes.set_ylabel("nats a key, eight test repositories")


def plot(rows: Sequence[Row], png: Path) -> None:
    """Left: one line a predictor, a thin one a repository. Right: what adapting gains."""
    canvas, (axes, right) = plt.subplots(1, 2, figsize=(12.4, 4.8), width_ratios=(7.2, 4.6))
    for predictor, (colour, words) in LINES.items():
        points = {steps: found for steps, found in by_steps(rows, predictor).items() if steps}
        if not points:
            continue
        for repo in next(iter(points.values())):
            axes.plot(list(points), [found[repo] for found in points.values()], color=colour, lw=0.5, alpha=0.25)
        axes.plot(
            list(points), [mean(found) for found in points.values()], "o-", color=colour, lw=1.6, ms=4, label=words
        )
    others = seed_laws(rows)
    for seed in others:
        points = by_steps(rows, "trained", seed)
        label = f"{len(others)} seeds of a shorter training" if seed == min(others) else None
        axes.plot(list(points), [mean(found) for found in points.values()], "--", color="#c1272d", lw=1.0, label=label)
    for row in rows:
        if row.config.predictor in CONTROLS:
            axes.axhline(mean(row.result.by_repo), color="#999999", lw=0.9, ls=":", zorder=0)
            axes.text(
                4**8, 1.004 * mean(row.result.by_repo), f"a model of {CONTROLS[row.config.predictor]}",
                ha="right", va="bottom", fontsize=7, color="#777777",
            )  # fmt: skip
        if row.config.predictor == "adapting" and not row.config.read and row.config.steps == LONGEST:
            colour, words = ADAPTING
            axes.plot(row.config.steps, mean(row.result.by_repo), "*", color=colour, ms=11, label=f"memory, {words}")
        if row.config.predictor == "counts" and row.config.steps == 0:
            axes.axhline(mean(row.result.by_repo), color="#999999", lw=0.9, ls=(0, (4, 3)), zorder=0)
            axes.text(
                4**8, 1.01 * mean(row.result.by_repo), "counts of the training film alone",
                ha="right", va="bottom", fontsize=7, color="#777777",
            )  # fmt: skip
    law_axes(axes)
    axes.set_title(title(rows), loc="left")
    axes.legend(loc="lower left", fontsize=7.5, frameon=True, framealpha=0.9, edgecolor="none")
    learning_axes(right, rows)
    right.set_title("Weights that learn as they read\ngain the more, the more they have read", loc="left")
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)


def table(rows: Sequence[Row]) -> str:
    """The rows, and the lines, as Markdown."""
    lines = [
        "| predictor | T | nats a key | lowest and highest repository | keys | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        values, name = row.result.by_repo.values(), row.config.predictor
        name += f", seed {row.config.seed}" if name == "trained" else ""
        name += f", {row.config.read:,} to {2 * row.config.read:,} steps read" if row.config.read else ""
        lines.append(
            f"| {name} | {'all' if name == 'state' and not row.config.steps else f'{row.config.steps:,}'} | "
            f"{mean(row.result.by_repo):.3f} | "
            f"{min(values):.3f} to {max(values):.3f} | {row.result.keys:,} | {row.result.cpu_seconds:.0f} |"
        )
    lines += ["", "| line | exponent | 95 % by repository | from T to T | R² |", "|---|---|---|---|---|"]
    named = laws(rows) | {f"trained, seed {seed}": found for seed, found in seed_laws(rows).items()}
    quotients = {remembered: learned(rows, remembered) for remembered in (ALONE, LONGEST)}
    named |= {f"adapting by frozen, {remembered:,} remembered": line for remembered, line in quotients.items() if line}
    for name, found in named.items():
        lines.append(
            f"| {name} | {found.exponent:.3f} | {found.low:.3f} to {found.high:.3f} | "
            f"{found.first:,} to {found.last:,} | {found.r2:.3f} |"
        )
    return "\n".join(lines)
