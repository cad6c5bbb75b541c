"""Train one small sequence classifier on one task: the loop that every task figure shares.

One visible loop: AdamW, clip 1, linear warm-up, constant rate, linear decay over the last 40 %.
A model that has solved the task starts its decay at once. On one thread, the same settings give
the same metrics to the bit on the same processor and versions.

Dimensions: B sequences, T positions, D width, V classes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from training.model.backbones import make_backbone
from training.model.counts import count_parameters
from training.tasks import frjt, maze

EVALUATION_SEED = 987_654_321  # the same evaluation set for every cell
WARM_UP = 50
DECAY_SHARE = 0.4
SOLVED_ACCURACY = 0.998
STILL_FALLING = 0.05


class TaskConfig(BaseModel):
    """Everything that decides a training run; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: Literal["frjt", "maze"]
    model: str = Field(description="a name in training.model.backbones.BACKBONES")
    layers: int = Field(ge=1)
    width: int = Field(ge=1, description="embedding and backbone width")
    settings: dict[str, int | str] = Field(default={}, description="further backbone settings")
    size: int = Field(ge=1, description="frjt: largest depth, blocks; maze: side, cells")
    moves: int = Field(default=64, ge=1, description="maze: moves in a training walk")
    rate: float = Field(gt=0, description="peak learning rate")
    updates: int = Field(ge=1, description="most optimizer updates")
    batch: int = Field(ge=1, description="sequences an update")
    seed: int = Field(ge=0, description="of weights and data")


class TaskResult(BaseModel):
    """What a training run measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: int = Field(description="of the backbone alone")
    updates_run: int
    accuracy: float = Field(description="frjt: mean over depths; maze: mean over trained moves")
    accuracy_longest: float = Field(description="at the largest depth or number of moves trained")
    loss: float = Field(description="mean cross-entropy over the evaluation set, nats")
    curve: dict[int, float] = Field(description="accuracy by depth or number of moves")
    solved: bool
    undertrained: bool = Field(description="loss was still falling when the decay began")
    cpu_seconds: float


class Classifier(nn.Module):
    """Token embedding, backbone, linear head."""

    def __init__(self, config: TaskConfig) -> None:
        super().__init__()
        cells = config.size**2
        frjt_task = config.task == "frjt"
        tokens = frjt.vocabulary(config.size) if frjt_task else maze.vocabulary(config.size)
        self.embedding = nn.Embedding(tokens, config.width)
        self.backbone = make_backbone(config.model, config.width, config.layers, **config.settings)
        self.head = nn.Linear(config.width, 2 if frjt_task else cells)
        self.last_only = frjt_task

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits: of the last position [B, 1, V] for frjt, of every position [B, T, V] for maze."""
        y_BTD = self.backbone(self.embedding(tokens_BT))
        logits: Tensor = self.head(y_BTD[:, -1:] if self.last_only else y_BTD)
        return logits


def batches(config: TaskConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless training batches; every depth occurs once in each ``size`` frjt batches."""
    rng = np.random.default_rng([config.seed, 1])
    if config.task == "maze":
        next_S4 = maze.make_maze(config.size)
        while True:
            yield tensors(*maze.sample_batch(rng, next_S4, config.batch, config.moves))
    while True:
        for depth in rng.permutation(config.size) + 1:
            tokens_BT, classes_B = frjt.sample_batch(rng, config.batch, int(depth), config.size)
            yield tensors(tokens_BT, classes_B[:, None])


def tensors(tokens_BT: frjt.Ints, targets_BT: frjt.Ints) -> tuple[Tensor, Tensor]:
    """The same arrays as torch tensors."""
    return torch.from_numpy(tokens_BT), torch.from_numpy(targets_BT)


def fit(config: TaskConfig) -> TaskResult:
    """Train and evaluate one model; one thread, deterministic."""
    torch.set_num_threads(1)
    started = time.process_time()
    torch.manual_seed(config.seed)
    model = Classifier(config)
    optimizer = torch.optim.AdamW(model.parameters(), config.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    decay_from = round((1 - DECAY_SHARE) * config.updates)
    last = config.updates
    losses, hits = np.zeros(last), np.zeros(last)
    solved = False
    update = 0
    for tokens_BT, targets_BT in batches(config):
        warm = min(1.0, (update + 1) / WARM_UP)
        cool = min(1.0, (last - update) / max(1, last - decay_from))
        optimizer.param_groups[0]["lr"] = config.rate * warm * cool
        logits_BTV = model(tokens_BT)
        loss = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses[update] = loss.item()
        hits[update] = (logits_BTV.argmax(-1) == targets_BT)[:, -1].double().mean().item()
        update += 1
        if not solved and update >= 200 and hits[update - 100 : update].mean() >= SOLVED_ACCURACY:
            solved = True
            if update < decay_from:
                decay_from, last = update, update + max(50, update // 2)
                last = min(last, config.updates)
        if update >= last:
            break
    curve, accuracy, loss_nats = evaluate(config, model)
    return TaskResult(
        parameters=count_parameters(model.backbone),
        updates_run=update,
        accuracy=accuracy,
        accuracy_longest=curve[config.size if config.task == "frjt" else config.moves],
        loss=loss_nats,
        curve=curve,
        solved=solved,
        undertrained=not solved and still_falling(losses[:decay_from]),
        cpu_seconds=round(time.process_time() - started, 2),
    )


def still_falling(losses: NDArray[np.float64]) -> bool:
    """Whether the last quarter's mean loss is clearly below that of the quarter before."""
    quarter = max(1, len(losses) // 4)
    before, after = losses[-2 * quarter : -quarter], losses[-quarter:]
    return bool(len(before) and after.mean() < (1 - STILL_FALLING) * before.mean())


@torch.no_grad()
def evaluate(config: TaskConfig, model: Classifier) -> tuple[dict[int, float], float, float]:
    """Accuracy by depth or number of moves, mean accuracy, mean loss, on the fixed set.

    frjt: 4096 programs, equally many of each depth. maze: 1024 walks four times as long as those
    trained on; the means are over the trained part.
    """
    model.eval()
    rng = np.random.default_rng(EVALUATION_SEED)
    if config.task == "frjt":
        curve, losses = {}, []
        for depth in range(1, config.size + 1):
            count = 4096 // config.size
            sample = frjt.sample_batch(rng, count, depth, config.size)
            tokens_BT, classes_B = tensors(*sample)
            logits_BV = model(tokens_BT)[:, 0]
            losses.append(F.cross_entropy(logits_BV, classes_B).item())
            curve[depth] = (logits_BV.argmax(-1) == classes_B).double().mean().item()
        return curve, float(np.mean(list(curve.values()))), float(np.mean(losses))
    next_S4 = maze.make_maze(config.size)
    hits, losses = [], []
    for _ in range(8):
        sample = maze.sample_batch(rng, next_S4, 128, 4 * config.moves)
        tokens_BT, cells_BT = tensors(*sample)
        logits_BTV = model(tokens_BT)
        hits.append((logits_BTV.argmax(-1) == cells_BT).double().mean(0))
        trained_BTV, trained_BT = logits_BTV[:, : config.moves + 1], cells_BT[:, : config.moves + 1]
        losses.append(F.cross_entropy(trained_BTV.flatten(0, 1), trained_BT.flatten()).item())
    hits_T = torch.stack(hits).mean(0)
    places = [2**power for power in range(12) if 2**power < 4 * config.moves]
    curve = {place: hits_T[place].item() for place in (*places, 4 * config.moves)}
    curve.setdefault(config.moves, hits_T[config.moves].item())
    return curve, hits_T[1 : config.moves + 1].mean().item(), float(np.mean(losses))
