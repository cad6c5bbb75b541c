"""Exact gradients of long windows in memory that does not grow with their length (arXiv 2510.06828, section 10.3).

    full                everything at once: activations of all T frames are alive
    stream              keeps the state at chunk borders only; goes back chunk by chunk, computing each anew
    stream_embeddings   keeps frame embeddings (T x D) and the backbone's activations; computes the frame head anew

All three add the same gradients to `.grad` and return the same losses. `backpropagate` begins every window anew;
`backpropagate_on` goes on from a state, whose history gets no gradient, and returns the state after the window.

Dimensions: B windows, T steps, R rows, C columns, D width, V actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from schema.errors import ConfigError
from training.model.backbones import State
from training.model.frame_model import FrameModel, join

Mode = Literal["full", "stream", "stream_embeddings"]
MODES: tuple[Mode, ...] = ("full", "stream", "stream_embeddings")


class Film(NamedTuple):
    """What a model reads and predicts: `previous_BT` and `resets_BT` as in training.model.frame_model."""

    cells_BTRC: Tensor
    previous_BT: Tensor
    actions_BT: Tensor
    resets_BT: Tensor | None = None

    def steps(self, part: slice) -> Film:
        """Some of the steps."""
        resets_BT = None if self.resets_BT is None else self.resets_BT[:, part]
        return Film(self.cells_BTRC[:, part], self.previous_BT[:, part], self.actions_BT[:, part], resets_BT)

    def lanes(self, part: slice, device: torch.device) -> Film:
        """Some of the windows, on a device."""
        resets_BT = None if self.resets_BT is None else self.resets_BT[part].to(device)
        cells_BTRC, previous_BT, actions_BT = (each[part].to(device) for each in self[:3])
        return Film(cells_BTRC, previous_BT, actions_BT, resets_BT)


def previous_keys(actions_BT: Tensor, vocabulary: int) -> Tensor:
    """The key pressed before each step of a window; before its first, `vocabulary`: not known."""
    return F.pad(actions_BT[:, :-1].long(), (1, 0), value=vocabulary)


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
    film = Film(cells_BTRC, previous_keys(actions_BT, model.vocabulary), actions_BT)
    return backpropagate_on(model, film, None, mode, chunk, reuse, scale)[0]


def backpropagate_on(
    model: FrameModel,
    film: Film,
    state: State | None,
    mode: Mode = "full",
    chunk: int = 64,
    reuse: bool | float = True,
    scale: float = 1.0,
) -> tuple[Tensor, State]:
    """The same from a state (None: the learned start): the losses, and the state after the film, detached."""
    if mode not in MODES or chunk < 1:
        raise ConfigError(f"streaming mode {mode!r}, chunk {chunk}: choose {', '.join(MODES)} and >= 1 step")
    weight = scale / film.actions_BT.numel()
    start = model.initial_state(len(film.actions_BT)) if state is None else tuple(piece.detach() for piece in state)
    parts = list(chunks(film.actions_BT.shape[1], chunk))
    if mode == "full":
        logits_BTV, after = model(film.cells_BTRC, film.previous_BT, start, film.resets_BT, reuse)
        losses_BT = token_losses(logits_BTV, film.actions_BT)
        (losses_BT.sum() * weight).backward()  # type: ignore[no-untyped-call]
    elif mode == "stream":
        losses_BT, after = _stream(model, film, start, parts, reuse, weight)
    else:
        losses_BT, after = _stream_embeddings(model, film, start, parts, reuse, weight)
    return losses_BT.detach(), tuple(piece.detach() for piece in after)


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
    model: FrameModel, film: Film, start: State, parts: Sequence[slice], reuse: bool | float, weight: float
) -> tuple[Tensor, State]:
    border = border_states(model, film, parts, start, reuse)
    losses: list[Tensor] = []
    last: State = start
    incoming: tuple[Tensor | None, ...] | None = None  # gradient of the state after this chunk
    for number, part in reversed(list(enumerate(parts))):
        state = tuple(piece.detach().requires_grad_(piece.is_floating_point()) for piece in border(number))
        here = film.steps(part)
        logits_BTV, after = model(here.cells_BTRC, here.previous_BT, state, here.resets_BT, reuse)
        losses_BT = token_losses(logits_BTV, here.actions_BT)
        losses.append(losses_BT.detach())
        if incoming is None:
            last = tuple(piece.detach() for piece in after)
        _backward(losses_BT.sum() * weight, after, incoming)
        incoming = tuple(_gradient(piece) for piece in state)
    if incoming is not None:
        _backward(None, start, incoming)
    return torch.cat(losses[::-1], 1), last


def _gradient(piece: Tensor) -> Tensor | None:
    """What reached a piece of a state; None for whole numbers, which carry none."""
    if not piece.is_floating_point():
        return None
    return torch.zeros_like(piece) if piece.grad is None else piece.grad


def border_states(
    model: FrameModel, film: Film, parts: Sequence[slice], start: State, reuse: bool | float
) -> Callable[[int], State]:
    """The state before each chunk, by the chunk's number.

    States of one shape are packed: a tensor object a chunk would be most of what a long window holds. Of a cache that
    grows (a transformer's, [B, H, steps, K]) only the longest is kept: every earlier one is its beginning.
    """
    packed = [piece.new_empty((len(parts), *piece.shape)) for piece in start]
    sizes: list[list[int]] = []  # before each chunk, of each piece, the size of the dimension that may grow
    state = start
    with torch.no_grad():
        for number, part in enumerate(parts):
            sizes.append([piece.shape[2] if piece.ndim > 2 else 0 for piece in state])
            for piece, pack in zip(state, packed, strict=True):
                if piece.shape == pack.shape[1:]:
                    pack[number] = piece
            if number + 1 < len(parts):  # the last chunk's end state is needed by nobody
                here = film.steps(part)
                state = model(here.cells_BTRC, here.previous_BT, state, here.resets_BT, reuse)[1]
    longest = state

    def border(number: int) -> State:
        return tuple(
            pack[number].clone() if piece.shape == pack.shape[1:] else piece[:, :, :size]
            for piece, pack, size in zip(longest, packed, sizes[number], strict=True)
        )

    return border


def _backward(loss: Tensor | None, outputs: State, gradients: Sequence[Tensor | None] | None) -> None:
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
    model: FrameModel, film: Film, start: State, parts: Sequence[slice], reuse: bool | float, weight: float
) -> tuple[Tensor, State]:
    with torch.no_grad():
        seen = join([model.embed(film.cells_BTRC[:, part], reuse) for part in parts])
    leaves = [seen.vectors_BTD.requires_grad_(), seen.pressed_BTV.requires_grad_()]
    logits_BTV, after = model.predict(seen, film.previous_BT, start, film.resets_BT)
    losses_BT = token_losses(logits_BTV, film.actions_BT)
    (losses_BT.sum() * weight).backward()  # type: ignore[no-untyped-call]
    for part in parts:
        again = model.embed(film.cells_BTRC[:, part], reuse)
        outputs = (again.vectors_BTD, again.pressed_BTV)
        if not any(output.requires_grad for output in outputs):  # the frame head stays as it is
            break
        _backward(None, outputs, [None if leaf.grad is None else leaf.grad[:, part] for leaf in leaves])
    return losses_BT, after
