"""Optimizers over fp32 weights, and the learning rate's course."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from training.loop.config import FitConfig


def make_optimizers(model: nn.Module, config: FitConfig) -> list[torch.optim.Optimizer]:
    """AdamW alone, or Muon for the matrices of attention, MLP and backbone with AdamW for the rest.

    Embeddings, norms, biases and the action head are always AdamW's, as Muon's author advises. Weight decay is on
    matrices alone.
    """
    muon: list[Tensor] = []
    adamw: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        hidden = parameter.ndim == 2 and not name.endswith("embed") and not name.startswith("head.")
        if hidden and config.optimizer == "muon":
            muon.append(parameter)
        else:
            decays = parameter.ndim >= 2 and not name.endswith(("embed", "h0_LD", "c0_LD"))
            adamw.setdefault((name.startswith("frame_head."), decays), []).append(parameter)
    betas = (config.beta1, config.beta2)
    groups = [
        {
            "params": parameters,
            "lr": config.learning_rate if in_head else config.backbone_learning_rate,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (in_head, decays), parameters in adamw.items()
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=betas, fused=True)]
    if muon:
        optimizers.append(
            torch.optim.Muon(
                muon, lr=config.muon_learning_rate, weight_decay=config.weight_decay, momentum=config.muon_momentum
            )
        )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def rate(step: int, steps: int, warmup: float, decay: float, course: str = "linear") -> float:
    """Factor of the learning rate at update `step` of `steps`: linear up, flat, down to 2 % on a line or a cosine."""
    rising, falling = warmup * steps, decay * steps
    up = min(1.0, (step + 1) / rising) if rising >= 1 else 1.0
    down = min(1.0, (steps - step) / falling) if falling >= 1 else 1.0
    if course == "cosine":
        down = 0.5 - 0.5 * math.cos(math.pi * down)
    return up * max(0.02, down)


def set_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Learning rate of every group: its peak times `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * factor
