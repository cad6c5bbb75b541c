"""The recurrent frame model: frame head -> backbone -> action head (arXiv 2510.06828, section 10).

By its configuration a model also reads the key pressed before each step, copies from the screen
(training.model.screen_copy), attends to the screen's characters (training.model.screen_attention), and attends to its
own past (training.model.memory):

    logits_BTV, state = model(cells_BTRC, previous_BT, state, resets_BT)

`previous_BT` is the key pressed before each step, `vocabulary` where there was none or it is not known. The state is
a flat tuple of tensors whose first dimension is the lane: the backbone's, then the memory's. Chunks of any length give
the same logits as one long chunk. Where `resets_BT` is true, everything before that step of that lane is forgotten.
With a memory or attention to the screen the logits are log-probabilities.

Dimensions: B windows or lanes, T steps, R rows and C columns of a screen, F = B * T frames, D model width, E features,
K guesses of the screen copy, V actions.

State dict (safetensors, training.model.weights), names as in the published model's PyTorch twin where it has them:

    frame_head.codepoint_embed              [P, D]      unit normal
    frame_head.position_embed               [R * C, D]  unit normal
    frame_head.{fg,bg}_{r,g,b}_embed        [D]         unit normal, times a colour in [0, 1]
    frame_head.downsample_blocks.N.ln_1.weight          RMSNorm, ones
    frame_head.downsample_blocks.N.conv.weight          [D or 2 D, D, 3, 3], no bias
    frame_head.blocks.N.ln_{1,2}.weight                 RMSNorm, ones
    frame_head.blocks.N.attn.{c_attn,c_proj}.{weight,bias}
    frame_head.blocks.N.mlp.{c_fc,c_proj}.{weight,bias}
    backbone.*                                          training.model.backbones; LSTM: PyTorch's names, h0_LD, c0_LD
    head.weight                             [V padded to 8, D], no bias; wider where it reads more than the backbone

A model that is not the published one has, where it uses them, previous_embed [V + 1, D], screen_copy.*,
screen_attention.*, memory.*, frame_head.{near,around,place}_embed and frame_head.{cells,out}.

Every linear and convolution weight and bias starts uniform in +-1/sqrt(fan_in). The rows that pad the head to a
multiple of 8 are never read; the published trainer counts them as classes that do not occur.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from schema.errors import ConfigError
from training.model.backbones import State, make_backbone
from training.model.config import ModelConfig
from training.model.counts import match_parameters
from training.model.cursor_head import BAND, CursorHead, find_cursor
from training.model.frame_head import FrameHead, uniform_
from training.model.memory import Memory
from training.model.reuse import LIMIT, embed
from training.model.screen_attention import STEPS, Places, ScreenAttention, find_places
from training.model.screen_copy import Guesses, ScreenCopy, find_copies


class Seen(NamedTuple):
    """What a model knows of frames by themselves: a vector each, and what the screen's own text says comes next."""

    vectors_BTD: Tensor
    guesses: Guesses  # of the screen copy; K = 0: it has none
    pressed_BTV: Tensor  # weight of every key by attention to the screen; V = 0: it does not attend

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, as `of` takes it."""
        return (self.vectors_BTD, *self.guesses, self.pressed_BTV)

    @classmethod
    def of(cls, vectors_BTD: Tensor, keys_BTK: Tensor, lengths_BTK: Tensor, pressed_BTV: Tensor) -> Seen:
        """What `tensors` gave."""
        return cls(vectors_BTD, Guesses(keys_BTK, lengths_BTK), pressed_BTV)


def join(parts: Iterable[Seen]) -> Seen:
    """Consecutive chunks -> one."""
    return Seen.of(*(torch.cat(each, 1) for each in zip(*(part.tensors for part in parts), strict=True)))


class FrameModel(nn.Module):
    """Frame head, backbone and action head, and what the configuration adds."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config, self.vocabulary = config, config.vocabulary
        self.memory_steps = config.memory  # may be set to another number above 0 before a state is made
        self.frame_head = make_head(config)
        settings: dict[str, Any] = {"chrono": config.chrono} if config.chrono else {}
        if config.matched and config.backbone != "lstm":
            target = 8 * config.width**2 + 10 * config.width  # a one-layer LSTM with h0 and c0
            settings = match_parameters(config.backbone, config.width, config.backbone_layers, target)
        self.backbone = make_backbone(config.backbone, config.width, config.backbone_layers, **settings)
        self._backbone_parts = len(self.backbone.initial_state(1))
        self.previous_embed = None
        if config.previous_key:
            self.previous_embed = nn.Parameter(0.3 * torch.randn(config.vocabulary + 1, config.width))
        self.screen_copy = ScreenCopy(config.guesses, config.width, config.features) if config.guesses else None
        self.screen_attention = None
        if config.screen_attention:
            sizes = config.screen_attention, config.width, config.features, config.vocabulary
            self.screen_attention = ScreenAttention(*sizes)
        self.memory = Memory(config.features, config.memory_width, config.vocabulary) if config.memory else None
        inputs = config.features + (self.memory.read_width if self.memory else 0)
        self.head = nn.Linear(inputs, -(-config.vocabulary // 8) * 8, bias=False)
        uniform_(self.head.weight, inputs)

    def initial_state(self, batch: int) -> State:
        """The state before the first step, for `batch` lanes (learned parts carry gradient)."""
        state = self.backbone.initial_state(batch)
        return state if self.memory is None else (*state, *self.memory.initial_state(batch, self.memory_steps))

    def embed(self, cells_BTRC: Tensor, reuse: bool | float = True) -> Seen:
        """[B, T, R, C] cell ids -> what is seen; `reuse` as training.model.reuse.embed's `limit`, False: plain."""
        batch, steps = cells_BTRC.shape[:2]
        guesses = self._guesses(cells_BTRC)
        x_BTD = self._vectors(cells_BTRC, reuse)
        if self.screen_copy is not None:
            x_BTD = x_BTD + self.screen_copy(guesses)
        if self.screen_attention is None:
            return Seen(x_BTD, guesses, x_BTD.new_zeros(batch, steps, 0))
        attended = [self.screen_attention(places) for places in self._places(cells_BTRC)]
        pressed_BTV, read_BTD = (torch.cat(each, 1) for each in zip(*attended, strict=True))
        return Seen(x_BTD + read_BTD, guesses, pressed_BTV)

    def _vectors(self, cells_BTRC: Tensor, reuse: bool | float) -> Tensor:
        """The frame head's vectors, [B, T, D]."""
        batch, steps = cells_BTRC.shape[:2]
        if isinstance(self.frame_head, FrameHead):
            if reuse is not False:
                return embed(self.frame_head, cells_BTRC, LIMIT if reuse is True else reuse)
            x_FD: Tensor = self.frame_head(cells_BTRC.flatten(0, 1))
        elif isinstance(self.frame_head, CursorHead):
            reading = self.frame_head.read(cells_BTRC.flatten(0, 1).cpu().numpy())
            x_FD = self.frame_head(type(reading)(*(each.to(self.head.weight.device) for each in reading)))
        else:
            x_FD = self.head.weight.new_zeros(batch * steps, self.config.width)
        return x_FD.view(batch, steps, -1)

    def _guesses(self, cells_BTRC: Tensor) -> Guesses:
        """The screen copy's guesses, on the weights' device."""
        batch, steps = cells_BTRC.shape[:2]
        device = self.head.weight.device
        if self.screen_copy is None:
            nothing_BTK = torch.zeros(batch, steps, 0, dtype=torch.long, device=device)
            return Guesses(nothing_BTK, nothing_BTK)
        cells_FRC = cells_BTRC.flatten(0, 1).cpu().numpy()
        points = self.config.max_code_point
        parts = []
        for start in range(0, len(cells_FRC), BAND):
            band_FRC = cells_FRC[start : start + BAND]
            parts.append(find_copies(_codes(band_FRC, points), *find_cursor(band_FRC, points), self.config.guesses))
        whole = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Guesses(*(torch.from_numpy(each).to(device).view(batch, steps, -1) for each in whole))

    def _places(self, cells_BTRC: Tensor) -> Iterator[Places]:
        """The places of the screens that are attended to, some steps at a time, on the weights' device."""
        points = self.config.max_code_point
        for start in range(0, cells_BTRC.shape[1], STEPS):
            part_BTRC = cells_BTRC[:, start : start + STEPS].cpu().numpy()
            batch, steps, *size = part_BTRC.shape
            cursor = (each.reshape(batch, steps) for each in find_cursor(part_BTRC.reshape(-1, *size), points))
            yield find_places(_codes(part_BTRC, points), *cursor).to(self.head.weight.device)

    def logits(self, y_BTD: Tensor) -> Tensor:
        """[..., D] -> [..., V]: the padding of the vocabulary cut off."""
        logits: Tensor = self.head(y_BTD)
        return logits[..., : self.config.vocabulary]

    def forward(
        self,
        cells_BTRC: Tensor,
        previous_BT: Tensor | None = None,
        state: State | None = None,
        resets_BT: Tensor | None = None,
        reuse: bool | float = True,
    ) -> tuple[Tensor, State]:
        """Logits [B, T, V] of the key pressed at each screen, and the state after the last."""
        return self.predict(self.embed(cells_BTRC, reuse), previous_BT, state, resets_BT)

    def step(self, cells_BRC: Tensor, previous_B: Tensor | None, state: State) -> tuple[Tensor, State]:
        """One frame at a time: logits [B, V] and the state after it."""
        previous_B1 = None if previous_B is None else previous_B[:, None]
        logits_B1V, state = self(cells_BRC[:, None], previous_B1, state, reuse=False)
        return logits_B1V[:, 0], state

    def predict(
        self,
        seen: Seen,
        previous_BT: Tensor | None = None,
        state: State | None = None,
        resets_BT: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """What is seen -> logits [B, T, V] and the state; in the weights' own precision under autocast.

        The published frame head is nearly all of its model's work, and the recurrence is where rounding adds up.
        """
        batch, steps = seen.vectors_BTD.shape[:2]
        if previous_BT is None:
            if self.config.reads_keys:
                raise ConfigError("this model reads the key pressed before each step: give it previous_BT too")
            previous_BT = torch.full((batch, steps), self.vocabulary, device=seen.vectors_BTD.device)
        if resets_BT is not None:
            previous_BT = previous_BT.masked_fill(resets_BT, self.vocabulary)
        if state is None:
            state = self.initial_state(batch)
        with torch.autocast(seen.vectors_BTD.device.type, enabled=False):
            x_BTD = seen.vectors_BTD.to(self.head.weight.dtype)
            if self.previous_embed is not None:
                x_BTD = x_BTD + F.embedding(previous_BT, self.previous_embed)
            y_BTD, after = self._recur(x_BTD, state[: self._backbone_parts], resets_BT)
            features_BTE = torch.cat((y_BTD, x_BTD), -1) if self.config.skip else y_BTD
            if self.memory is None:
                return self._own_logits(features_BTE, features_BTE, seen), after
            segment_BT = torch.zeros_like(previous_BT) if resets_BT is None else resets_BT.long().cumsum(1)
            memory = state[self._backbone_parts :]
            answer, kept = self.memory(features_BTE, previous_BT, segment_BT, memory)
            logits_BTV = self._own_logits(features_BTE, torch.cat((features_BTE, answer.read_BTE), -1), seen)
            mixed_BTV = answer.left * logits_BTV.softmax(-1) + answer.pressed_BTV
            return mixed_BTV.clamp_min(1e-20).log(), (*after, *kept)

    def _own_logits(self, features_BTE: Tensor, inputs_BTX: Tensor, seen: Seen) -> Tensor:
        """Logits without the memory's own distribution."""
        logits_BTV = self.logits(inputs_BTX)
        if self.screen_copy is not None:
            logits_BTV = self.screen_copy.add_bonus(logits_BTV, features_BTE, seen.guesses)
        if self.screen_attention is not None:
            logits_BTV = self.screen_attention.mix(logits_BTV, features_BTE, seen.pressed_BTV)
        return logits_BTV

    def _recur(self, x_BTD: Tensor, state: State, resets_BT: Tensor | None) -> tuple[Tensor, State]:
        """The backbone over a chunk, cut where any lane is reset: between cuts it runs at once."""
        if resets_BT is None or not bool(resets_BT.any()):
            return self.backbone.sequence(x_BTD, state)
        start = self.backbone.initial_state(len(x_BTD))
        cuts = [0, *(resets_BT[:, 1:].any(0).nonzero().flatten() + 1).tolist(), x_BTD.shape[1]]
        parts = []
        for begin, end in pairwise(cuts):
            fresh_B = resets_BT[:, begin]
            if bool(fresh_B.any()):
                state = tuple(_where(fresh_B, new, old) for new, old in zip(start, state, strict=True))
            y_BTD, state = self.backbone.sequence(x_BTD[:, begin:end], state)
            parts.append(y_BTD)
        return torch.cat(parts, 1), state


def make_head(config: ModelConfig) -> nn.Module:
    """The frame head of a configuration."""
    if config.head == "published":
        return FrameHead(config)
    if config.head == "cursor":
        return CursorHead(config.rows, config.cols, config.width, config.max_code_point)
    return nn.Module()


def _codes(cells: npt.NDArray[Any], points: int) -> npt.NDArray[Any]:
    """Cell ids -> code points, of any shape."""
    return cells.astype(np.uint8) if points == 256 else cells % points  # the same, four times faster


def _where(fresh_B: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Lanes of `new` where `fresh_B`, else of `old`."""
    return torch.where(fresh_B.view(-1, *[1] * (old.ndim - 1)), new, old)
