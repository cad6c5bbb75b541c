"""Every cell of memory_law: counts, a model's memory, its state, its context and its adapting, at growing T."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from figures.memory_law.plot import ALONE, LONGEST, READ, TRAINED, plot, table, verdict
from figures.rows import Kind
from figures.sweep import Figure
from schema.config import FrozenModel

NAME = "memory_law"
COUNTED = (0, *(4**k for k in range(9)))  # 0: the training film's alone
REMEMBERED = tuple(4**k for k in range(8))
CONTEXTS = tuple(4**k for k in range(5))
STATES = tuple(4**k for k in range(6))

SEEDS = (0, 1, 2)

Predictor = Literal["counts", "memory", "context", "state", "adapting", "trained", "frame_only", "keys_only"]
QUICK: tuple[Predictor, ...] = ("counts", "memory", "context")


class LawConfig(FrozenModel):
    """What is measured."""

    predictor: Predictor
    steps: int = Field(ge=0, description="T: steps of the stream that are known, or remembered")
    seed: int = Field(0, description="of the weights that are trained for it; the committed ones are of one")
    read: int = Field(0, ge=0, description="keys asked for: steps READ to 2 READ of a stream; 0: 16,384 to 80,000")


class LawResult(FrozenModel):
    """Nats a key: the mean over all keys, and by repository; how many keys."""

    nats: float
    by_repo: dict[str, float]
    keys: int
    cpu_seconds: float


def summary(result: LawResult) -> str:
    """A result in a line."""
    return f"{result.nats:.4f} nats, {result.keys:,} keys, {result.cpu_seconds:.0f} s"


def _measure(config: LawConfig) -> LawResult:
    from figures.memory_law.measure import measure  # brings the pipeline with it, which drawing does without

    return measure(config)


KIND = Kind(
    LawConfig,
    LawResult,
    _measure,
    lambda config: f"{config.predictor}-t{config.steps}{f'-read{config.read}' * bool(config.read)}-s{config.seed}",
    summary,
)


def cells(
    remembered: tuple[int, ...] = REMEMBERED,
    contexts: tuple[int, ...] = CONTEXTS,
    states: tuple[int, ...] = STATES,
    seeds: tuple[int, ...] = SEEDS,
) -> list[LawConfig]:
    """The cells, the cheap ones first."""
    named: list[tuple[Predictor, tuple[int, ...]]] = [
        ("counts", COUNTED), ("memory", remembered), ("context", contexts), ("state", (*states, 0)),
        ("frame_only", (0,)), ("keys_only", (0,)),
    ]  # fmt: skip
    found = [LawConfig(predictor=name, steps=steps) for name, many in named for steps in many]
    frozen: tuple[Predictor, Predictor] = ("memory", "adapting")
    for steps in ALONE, LONGEST:
        for name in frozen:
            found += [LawConfig(predictor=name, steps=steps, read=read) for read in (0, *READ)]
    found += [LawConfig(predictor="trained", steps=steps, seed=seed) for seed in seeds for steps in TRAINED]
    return list(dict.fromkeys(found))


FIGURE = Figure(
    name=NAME,
    cpu_hours=4.0,
    cells=cells,
    quick_cells=lambda: [LawConfig(predictor=name, steps=steps) for name in QUICK for steps in (1, 64)],
    full_cells=lambda: cells((*REMEMBERED, 4**8), (*CONTEXTS, 4**5)),
    rate_cells=list,
    plot=plot,
    kind=KIND,
    table=table,
    verdict=verdict,
)

redraw = FIGURE.redraw
