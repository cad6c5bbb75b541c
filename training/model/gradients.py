"""Exact gradients of long windows in memory that does not grow with their length (arXiv 2510.06828, section 10.3).

    full                everything at once: activations of all T frames are alive
    stream              keeps the state at chunk borders only; goes back chunk by chunk, computing each anew
    stream_embeddings   keeps frame embeddings (T x D) and the backbone's activations; computes the frame head anew

All three add the same gradients to `.grad` and return the same losses.

Dimensions: B windows, T steps, R rows, C columns, D width, V actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from schema.errors import ConfigError
from training.model.backbones import State
from training.model.frame_model import FrameModel

Mode = Literal["full", "stream", "stream_embeddings"]
MODES: tuple[Mode, ...] = ("full", "stream", "stream_embeddings")


def backpropagate(
    model: FrameModel,
    cells_BTRC: Tensor,
    actions_BT: Tensor,
    mode: Mode = "stream",
    chunk: int = 64,
    reuse: bool | float = True,
    scale: float = 1.0,
) -> Tensor:
    """Add the gradient of the mean loss, times `scale`, to every parameter's `.grad`.

    Returns the losses [B, T] in nats, detached. `chunk` is in steps and need not divide T.
    Raises ConfigError: an unknown mode or an empty chunk.
    """
    if mode not in MODES or chunk < 1:
        raise ConfigError(f"streaming mode {mode!r}, chunk {chunk}: choose {', '.join(MODES)} and >= 1 step")
    weight = scale / actions_BT.numel()
    if mode == "full":
        logits_BTV, _ = model(cells_BTRC, reuse=reuse)
        losses_BT = token_losses(logits_BTV, actions_BT)
        (losses_BT.sum() * weight).backward()  # type: ignore[no-untyped-call]
        return losses_BT.detach()
    if mode == "stream":
        return _stream(model, cells_BTRC, actions_BT, chunk, reuse, weight)
    return _stream_embeddings(model, cells_BTRC, actions_BT, chunk, reuse, weight)


def token_losses(logits_BTV: Tensor, actions_BT: Tensor) -> Tensor:
    """Cross-entropy of each step, nats, [B, T]."""
    losses_BT = F.cross_entropy(
        logits_BTV.flatten(0, 1).float() if logits_BTV.dtype == torch.bfloat16 else logits_BTV.flatten(0, 1),
        actions_BT.flatten().long(),
        reduction="none",
    )
    return losses_BT.view(actions_BT.shape)


def chunks(steps: int, size: int) -> Iterator[slice]:
    """0..steps cut into slices of `size`, the last one ragged."""
    return (slice(start, min(start + size, steps)) for start in range(0, steps, size))


def _stream(
    model: FrameModel,
    cells_BTRC: Tensor,
    actions_BT: Tensor,
    chunk: int,
    reuse: bool | float,
    weight: float,
) -> Tensor:
    parts = list(chunks(cells_BTRC.shape[1], chunk))
    start = model.backbone.initial_state(cells_BTRC.shape[0])
    border = border_states(model, cells_BTRC, parts, start, reuse)
    losses_BT = torch.zeros(actions_BT.shape, device=cells_BTRC.device)
    incoming: State | None = None  # gradient of the state after this chunk
    for number, part in reversed(list(enumerate(parts))):
        state = tuple(piece.detach().requires_grad_() for piece in border(number))
        logits_BTV, after = model(cells_BTRC[:, part], state, reuse)
        chunk_losses_BT = token_losses(logits_BTV, actions_BT[:, part])
        losses_BT = losses_BT.to(chunk_losses_BT.dtype)
        losses_BT[:, part] = chunk_losses_BT.detach()
        _backward(chunk_losses_BT.sum() * weight, after, incoming)
        incoming = tuple(torch.zeros_like(s) if s.grad is None else s.grad for s in state)
    if incoming is not None:
        _backward(None, start, incoming)
    return losses_BT


def border_states(
    model: FrameModel, cells_BTRC: Tensor, parts: Sequence[slice], start: State, reuse: bool | float
) -> Callable[[int], State]:
    """The state before each chunk, by the chunk's number.

    States of one shape are packed: a tensor object a chunk would be most of what a long window holds. Of a cache that
    grows (a transformer's, [B, H, steps, K]) only the longest is kept: every earlier one is its beginning.
    """
    packed = tuple(piece.new_empty((len(parts), *piece.shape)) for piece in start)
    growing: list[int] = []  # steps in the cache, from the first one on that has another shape
    longest = state = start
    with torch.no_grad():
        for number, part in enumerate(parts):
            if growing or any(piece.shape != pack.shape[1:] for piece, pack in zip(state, packed, strict=True)):
                growing.append(state[0].shape[2])
                longest = state
            else:
                for piece, pack in zip(state, packed, strict=True):
                    pack[number] = piece
            if number + 1 < len(parts):  # the last chunk's end state is needed by nobody
                state = model.predict(model.embed(cells_BTRC[:, part], reuse), state)[1]
    first = len(parts) - len(growing)

    def border(number: int) -> State:
        if number >= first:
            return tuple(piece[:, :, : growing[number - first]] for piece in longest)
        return tuple(pack[number].clone() for pack in packed)

    return border


def _backward(loss: Tensor | None, outputs: State, gradients: State | None) -> None:
    """Backward from a loss and from states with given gradients, those that have any history."""
    tensors: list[Tensor] = [] if loss is None else [loss]
    seeds: list[Tensor | None] = [] if loss is None else [None]
    for output, gradient in zip(outputs, gradients or (), strict=gradients is not None):
        if output.requires_grad:
            tensors.append(output)
            seeds.append(gradient)
    if tensors:
        torch.autograd.backward(tensors, seeds)


def _stream_embeddings(
    model: FrameModel,
    cells_BTRC: Tensor,
    actions_BT: Tensor,
    chunk: int,
    reuse: bool | float,
    weight: float,
) -> Tensor:
    parts = list(chunks(cells_BTRC.shape[1], chunk))
    with torch.no_grad():
        x_BTD = torch.cat([model.embed(cells_BTRC[:, part], reuse) for part in parts], 1)
    x_BTD.requires_grad_()
    losses_BT = token_losses(model.predict(x_BTD)[0], actions_BT)
    (losses_BT.sum() * weight).backward()  # type: ignore[no-untyped-call]
    assert x_BTD.grad is not None
    frozen = not any(parameter.requires_grad for parameter in model.frame_head.parameters())
    for part in () if frozen else parts:
        model.embed(cells_BTRC[:, part], reuse).backward(x_BTD.grad[:, part])  # type: ignore[no-untyped-call]
    return losses_BT.detach()
