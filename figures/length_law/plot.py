"""Draw length_law: nats a key against the length of the training windows, and against the steps that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from figures.cells import CONTEXTS, FRAMES, CellConfig, CellResult, results
from figures.memory_law.plot import Law, law
from figures.rows import Row
from figures.style import power_axis, save

UPDATES = CellConfig().updates
WINDOWS = 4  # an update, where the number of windows is what all lengths share, as in the paper
CLOSE = 0.01  # nats: what counts as having all that the state holds


def _windows(length: int, batch: int, updates: int = UPDATES) -> CellConfig:
    return CellConfig(carried=False, window=length, batch=batch, updates=updates)


EQUAL_FRAMES = [_windows(length, FRAMES // length) for length in (4, 16, 32, 64, 256, 1024)]
LONGER = [_windows(length, FRAMES // length, 4 * UPDATES) for length in (16, 256, 1024)]
FEWER = _windows(4096, 1, UPDATES // 4)  # as many frames in a quarter of the updates: a window is more than an update's
EQUAL_WINDOWS = [_windows(length, WINDOWS) for length in (4, 16, 64, 256)]
CARRIED = [CellConfig(window=length, batch=FRAMES // length) for length in (8, 32, 128, 512)]
MOVES = {  # what might make a state hold more of the past
    "nothing: the base, its state carried": CellConfig(),
    "4 times the training": CellConfig(updates=4 * UPDATES),
    "4 times the training, in windows of 256 steps": LONGER[-2],
    "4 times the training, in windows of 1,024 steps": LONGER[-1],
    "30 million steps of film": CellConfig(film=30_000),
    "30 million steps of film, 4 times the training": CellConfig(film=30_000, updates=4 * UPDATES),
    "width 512": CellConfig(width=512),
    "backpropagation through 512 steps": CellConfig(window=512, batch=2),
    "forget gates for 256 steps": CellConfig(chrono=256),
    "forget gates for 4,096 steps": CellConfig(chrono=4096),
    "a state that is never started anew": CellConfig(reset=0),
    "a state that is started anew in every fourth window": CellConfig(reset=0.25),
    "minGRU in the LSTM's place": CellConfig(backbone="mingru", layers=2),
    "Mamba-2 in the LSTM's place": CellConfig(backbone="mamba2", layers=2),
    "attention to the screen in the copy's place": CellConfig(guesses=0, screen_attention=32),
}
ARMS = {
    "as many frames for every T": (EQUAL_FRAMES, "#c1272d", "o"),
    "the same, 4 times the training": (LONGER, "#7b3294", "D"),
    f"{WINDOWS} windows an update, as in the paper": (EQUAL_WINDOWS, "#d98200", "s"),
    "the state carried from window to window": (CARRIED, "#0b6fa4", "^"),
}


def by_length(rows: Sequence[Row], configs: Sequence[CellConfig]) -> dict[int, CellResult]:
    """Results by T."""
    return {config.window: result for config, result in results(rows, configs)}


def line(found: Mapping[int, CellResult], first: int = 4, last: int = 4096) -> Law:
    """The straight line in log-log through one arm."""
    return law({length: result.by_repo for length, result in found.items()}, first, last)


def enough(result: CellResult) -> int:
    """The fewest steps, of those tried, with which a model is within CLOSE of what it is with all of them."""
    known = [steps for steps, nats in result.context.items() if nats - result.context_carried < CLOSE]
    return min(known, default=max(result.context))


def _range(steps: Sequence[int]) -> str:
    low, high = min(steps), max(steps)
    return f"{low} to {high}" if high > low else str(low)


def _each(found: Mapping[int, CellResult]) -> str:
    """T = 16 has 1.500, T = 64 1.490 and T = 256 1.510."""
    said = [
        f"T = {length:,} {'has ' if not place else ''}{each.nats:.3f}"
        for place, (length, each) in enumerate(found.items())
    ]
    return f"{', '.join(said[:-1])} and {said[-1]}"


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence or two."""
    equal, windows = by_length(rows, EQUAL_FRAMES), by_length(rows, EQUAL_WINDOWS)
    best = min(equal, key=lambda length: equal[length].nats)
    longest, fewer = max(equal), by_length(rows, [FEWER]).get(FEWER.window)
    paper = line(windows)
    steps = _range([enough(result) for result in [*equal.values(), *([fewer] if fewer else [])]])
    quarter = f" (T = {FEWER.window:,}, which has a quarter of the updates, {fewer.nats:.3f})" if fewer else ""
    trained = by_length(rows, LONGER)
    more = f" After 4 times the training {_each(trained)}." if len(trained) > 1 else ""
    tried = [enough(result) for _, result in results(rows, list(MOVES.values())[1:])]
    beyond = f" {len(tried)} changes that might move that leave it at {_range(tried)}." if tried else ""
    return (
        f"With as many frames for every length, long training windows buy nothing on film: T = {best} is best "
        f"({equal[best].nats:.3f} nats a key), T = {longest:,} has {equal[longest].nats:.3f}{quarter}.{more} "
        f"With {WINDOWS} windows an update, as in the paper, nats fall as T^-{paper.exponent:.3f} "
        f"[{paper.low:.3f}, {paper.high:.3f}] from T = {paper.first} to {paper.last}, because longer windows are more "
        f"film. After {FRAMES * UPDATES / 1e6:.1f} million frames a frozen LSTM knows from its last {steps} steps all "
        f"that it will, within {CLOSE} nats, whatever T it was trained with."
        f"{beyond}"
    )


def moved(rows: Sequence[Row]) -> str:
    """What each of MOVES does to the steps that a state holds, as Markdown."""
    known = CONTEXTS[1:]
    titles = [
        "tried",
        "nats a key",
        *(f"{steps} known, nats more than all" for steps in known),
        f"steps within {CLOSE}",
    ]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for words, config in MOVES.items():
        for _, result in results(rows, [config]):
            more = [f"{result.context[steps] - result.context_carried:+.3f}" for steps in known]
            lines.append(f"| {words} | {result.nats:.3f} | {' | '.join(more)} | {enough(result)} |")
    return "\n".join(lines)


def lengths_panel(axes: Axes, rows: Sequence[Row]) -> None:
    """Left: against the length trained on; every model reads with its state carried."""
    for words, (configs, colour, marker) in ARMS.items():
        found = by_length(rows, configs)
        if not found:
            continue
        for repo in next(iter(found.values())).by_repo:
            axes.plot(list(found), [each.by_repo[repo] for each in found.values()], color=colour, lw=0.4, alpha=0.25)
        axes.plot(
            list(found), [each.nats for each in found.values()], f"{marker}-", color=colour, lw=1.5, ms=4.5, label=words
        )
    for length, result in by_length(rows, [FEWER]).items():
        words = "T = 4,096 with a quarter of the updates"
        axes.plot(length, result.nats, "o", color=ARMS["as many frames for every T"][1], mfc="white", ms=5, label=words)
    power_axis(axes, [4, 16, 64, 256, 1024, 4096], "T, steps of a training window")
    axes.set(ylabel="nats a key, four test repositories")
    axes.set_title("Longer windows buy nothing that more film does not", loc="left")
    axes.legend(loc="upper right")


def contexts_panel(axes: Axes, rows: Sequence[Row]) -> None:
    """Right: against the steps that a model knows, a line a length trained on."""
    found = by_length(rows, [*EQUAL_FRAMES, FEWER])
    shades = mpl.colormaps["viridis_r"]
    for number, (length, result) in enumerate(found.items()):
        colour = shades(0.08 + 0.92 * number / max(1, len(found) - 1))
        steps = [*result.context, 1024]
        axes.plot(
            steps, [*result.context.values(), result.context_carried], "o-", color=colour, lw=1.2, ms=3.5,
            label=f"T = {length:,}",
        )  # fmt: skip
    longer = results(rows, [MOVES["4 times the training"], LONGER[-1]])
    for (config, result), colour in zip(longer, ("#0b6fa4", "#7b3294"), strict=False):
        nats = [*result.context.values(), result.context_carried]
        words = "carried" if config.carried else f"T = {config.window:,}"
        axes.plot([*result.context, 1024], nats, "s--", color=colour, lw=1.2, ms=3.5, label=f"4 times, {words}")
    power_axis(axes, [1, 4, 16, 64, 256, 1024], "steps known")
    axes.set_xticks([1, 4, 16, 64, 256, 1024], ["1", "4", "16", "64", "256", "all"])
    found_in = max((enough(result) for _, result in longer), default=0)
    more = f", after 4 times the training {found_in}" if found_in else ""
    axes.set_title(f"A frozen LSTM knows 16 steps{more}", loc="left")
    axes.legend(loc="lower center", ncols=3, title="trained on")


def plot(rows: Sequence[Row], png: Path) -> None:
    """Two panels."""
    canvas, (left, right) = plt.subplots(1, 2, figsize=(10.6, 4.1))
    lengths_panel(left, rows)
    contexts_panel(right, rows)
    low = min(np.floor(10 * axes.get_ylim()[0]) / 10 for axes in (left, right))
    for axes in (left, right):
        axes.set_ylim(bottom=low)
    canvas.tight_layout(w_pad=2)
    save(canvas, png)
    plt.close(canvas)
