"""Draw learner: what changing one part of the learner costs, in nats a key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from figures.cells import CellConfig, change, named, results
from figures.rows import Row
from figures.style import save

SHOWN = 0.8  # nats more; what is worse is cut off there
CHANGES = {  # words -> the cell; all see 1.5 million frames but one
    "memory of 512 steps": CellConfig(memory=512),
    "Mamba-2 in the LSTM's place": CellConfig(backbone="mamba2", layers=2),
    "minGRU in the LSTM's place": CellConfig(backbone="mingru", layers=2),
    "width 128": CellConfig(width=128),
    "width 512": CellConfig(width=512),
    "backpropagation through 8 steps": CellConfig(window=8, batch=128),
    "backpropagation through 128 steps": CellConfig(window=128, batch=8),
    "backpropagation through 512 steps": CellConfig(window=512, batch=2),
    "forget gates for 256 steps": CellConfig(chrono=256),
    "forget gates for 4,096 steps": CellConfig(chrono=4096),
    "learning rate .001": CellConfig(rate=1e-3),
    "learning rate .006": CellConfig(rate=6e-3),
    "learning rate .012": CellConfig(rate=1.2e-2),
    "seed 1": CellConfig(seed=1),
    "seed 2": CellConfig(seed=2),
    "state not carried": CellConfig(carried=False),
    "state never started anew": CellConfig(reset=0),
    "state started anew in every fourth window": CellConfig(reset=0.25),
    "no previous key": CellConfig(previous_key=False),
    "no copy from the screen": CellConfig(guesses=0),
    "attention to the screen in the copy's place": CellConfig(guesses=0, screen_attention=32),
    "attention to the screen beside the copy": CellConfig(screen_attention=32),
    "attention to the screen and a memory of 512 steps": CellConfig(guesses=0, screen_attention=32, memory=512),
    "the published head, as many minutes": CellConfig(head="published", updates=20),
    "no frames": CellConfig(head="none", guesses=0),
    "the frame alone": CellConfig(backbone="frame_only", previous_key=False),
}


def verdict(rows: Sequence[Row]) -> str:
    """The figure in a sentence."""
    base = named(rows)["base-s0"]
    words = {config: text for text, config in CHANGES.items()}
    moved = [(change(result, base)[0], words[config]) for config, result in results(rows, list(words))]
    moved.sort()
    minutes = max(base.seconds.values()) / 60
    listed = ", ".join(f"{text} {nats:+.3f}" for nats, text in moved)
    return (
        f"After {base.frames / 1e6:.1f} million frames, {minutes:.0f} minutes of one core, the learner has "
        f"{base.nats:.3f} nats a key. One part changed, or those named: {listed}."
    )


def plot(rows: Sequence[Row], png: Path) -> None:
    """One bar a change, a dot a repository."""
    base = named(rows)["base-s0"]
    words = {config: text for text, config in CHANGES.items()}
    shown = [(words[config], result) for config, result in results(rows, list(words))]
    shown.sort(key=lambda pair: -change(pair[1], base)[0])
    canvas, axes = plt.subplots(figsize=(7.6, 0.6 + 0.29 * len(shown)))
    for place, (_, result) in enumerate(shown):
        mean, _, highest = change(result, base)
        axes.barh(place, min(mean, SHOWN), color="#c1272d" if mean > 0 else "#2e8540", alpha=0.75, height=0.62)
        dots = [result.by_repo[repo] - base.by_repo[repo] for repo in base.by_repo]
        dots = [dot for dot in dots if dot <= SHOWN]
        axes.plot(dots, [place] * len(dots), "o", color="#333333", ms=2.5)
        axes.annotate(
            f"{mean:+.3f}" if mean <= SHOWN else f"{mean:+.3f}, cut off",
            (min(max(0.0, highest), SHOWN), place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    axes.set_yticks(range(len(shown)), [text for text, _ in shown])
    axes.axvline(0, color="#555555", lw=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"nats a key more than the learner's {base.nats:.3f}; dots: four test repositories")
    axes.set_title("What changing one part of the learner costs", loc="left")
    save(canvas, png)
    plt.close(canvas)
