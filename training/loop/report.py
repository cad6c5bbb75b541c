"""What a run leaves for people: JSONL and TensorBoard lines, the loss curve, the closing words."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.analysis.logs import read_log as read_log
from training.analysis.logs import smooth

MAIN, BASE, LINE = "#1f5fa8", "#c2571a", "#777777"


class Log:
    """One JSON object a line in log.jsonl, the same numbers for TensorBoard under tensorboard/."""

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        self.path = folder / "log.jsonl"
        kept = [line for line in read_log(self.path) if line["update"] <= first_step] if first_step else []
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._file = self.path.open("a", buffering=1)
        logging.getLogger("tensorboard").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tensorboard's own imports
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step or None)

    def write(self, update: int, values: dict[str, Any]) -> None:
        """`values`: numbers and texts; numbers also go to TensorBoard."""
        self._file.write(json.dumps({"update": update, **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(name, value, update)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._board.close()


def draw_loss(folder: Path, names: Sequence[str], unigram: float, title: str) -> Path:
    """loss.png: training loss (smoothed) and validation loss by update, with the unigram line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = read_log(folder / "log.jsonl")
    figure, axes = plt.subplots(figsize=(8, 4.5), dpi=120)
    for name, colour in zip(names, (MAIN, BASE), strict=False):
        train = [(e["update"], e[f"train/{name}"]) for e in lines if f"train/{name}" in e]
        validation = [(e["update"], e[f"validation/{name}/loss"]) for e in lines if f"validation/{name}/loss" in e]
        if train:
            steps, losses = zip(*train, strict=True)
            axes.plot(steps, smooth(losses, max(1, len(losses) // 40)), color=colour, alpha=0.45, lw=1)
        if validation:
            label = f"{name.replace('_', '-')}: {validation[-1][1]:.3f}"
            axes.plot(*zip(*validation, strict=True), "o-", color=colour, label=label, ms=4)
    axes.axhline(unigram, color=LINE, ls="--", lw=1, label=f"unigram: {unigram:.3f}")
    axes.set(xlabel="updates", ylabel="nats a step", title=title)
    axes.set_ylim(0, max(6.0, unigram * 1.2) if not lines else None)
    axes.grid(alpha=0.25)
    axes.legend(title="validation (thin: training)")
    figure.tight_layout()
    path = folder / "loss.png"
    figure.savefig(path)
    plt.close(figure)
    return path


def verdict(last: float, others: Mapping[str, float], name: str) -> str:
    """Whether the model beat what it is compared with, plainly. `others`: nats a step by name."""
    lost = [f"{other} ({value:.3f})" for other, value in others.items() if last >= value]
    won = [f"{other} ({value:.3f})" for other, value in others.items() if last < value]
    found = [f"beat {' and '.join(filter(None, [', '.join(won[:-1]), won[-1]]))}"] if won else []
    found += [f"did NOT beat {' nor '.join(lost)}"] if lost else []
    return f"{name} ({last:.3f} nats a step) {', and '.join(found)} on held-out film"
