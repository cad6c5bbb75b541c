"""A memory of the model's own last W steps: which keys were pressed in states like the present one.

Every step leaves an entry: a vector made from what the model knew then, and, once the next step has given it, the key
that was pressed. A step attends to the entries of the W steps before it. The attention's logit is

    scale * <query of this step, vector of the entry> + w(match length)

with unit queries and vectors. The *match length* is the number of keys pressed before the entry that equal those
pressed before this step, at most ``LONGEST``: the suffix that an n-gram model looks up. ``w`` is a linear function of
the features, so the model decides at each step how much an exact repetition counts. The result is a distribution over
what was pressed; an entry that is always there, the sink, takes the weight that is left to the model's own.

Memory is not parameters: W may be changed after training. Entries from before a reset are never seen.

The carried state, per lane: vectors_BWK; before_BW, the key pressed before each entry (the vocabulary's size: unknown);
match_BW, for each entry the match length of the last step against the entry before it, where the next step goes on.

Dimensions: B lanes, T steps, W entries kept, J = W + T entries in a chunk, K width of vectors, D feature width,
E width of what is read, V actions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LONGEST = 24  # keys compared by the match length


class Remembered(NamedTuple):
    """What the memory says at each step."""

    pressed_BTV: Tensor  # weight of every key: those of the entries after which it was pressed, together at most 1
    read_BTE: Tensor  # the same and the longest match, embedded

    @property
    def left(self) -> Tensor:
        """[B, T, 1]: the weight that is left to the model's own distribution."""
        return (1 - self.pressed_BTV.sum(-1, keepdim=True)).clamp_min(1e-6)


class Memory(nn.Module):
    """Attention over the last W steps of the model itself. W is an argument of `initial_state` alone."""

    def __init__(self, features: int, width: int, vocabulary: int, read: int = 64) -> None:
        super().__init__()
        self.width, self.vocabulary, self.read_width = width, vocabulary, read
        self.query = nn.Linear(features, width)
        self.entry = nn.Linear(features, width)
        self.scale = nn.Parameter(torch.tensor(8.0))
        self.match = nn.Linear(features, LONGEST + 1)
        self.sink = nn.Linear(features, 1)  # the logit of remembering nothing
        self.pressed_embed = nn.Parameter(0.1 * torch.randn(vocabulary, read))
        self.longest_embed = nn.Parameter(0.1 * torch.randn(LONGEST + 1, read))
        nn.init.zeros_(self.match.weight)
        with torch.no_grad():
            self.match.bias.copy_(0.5 * torch.arange(LONGEST + 1).clamp(max=12))

    def initial_state(self, batch: int, steps: int) -> tuple[Tensor, ...]:
        """Nothing remembered, room for `steps` entries."""
        weight = self.query.weight
        vectors_BWK = weight.new_zeros(batch, steps, self.width)
        before_BW = torch.full((batch, steps), self.vocabulary, dtype=torch.int32, device=weight.device)
        return vectors_BWK, before_BW, torch.zeros_like(before_BW)

    def forward(
        self, features_BTD: Tensor, previous_BT: Tensor, segment_BT: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Remembered, tuple[Tensor, ...]]:
        """`segment_BT`: resets so far in this chunk; `previous_BT` already unknown at resets."""
        vectors_BWK, before_BW, match_BW = state
        steps, room = features_BTD.shape[1], vectors_BWK.shape[1]
        vectors_BJK = torch.cat((vectors_BWK, F.normalize(self.entry(features_BTD), dim=-1)), 1)
        before_BJ = torch.cat((before_BW, previous_BT.to(before_BW.dtype)), 1)
        pressed_BJ = F.pad(before_BJ[:, 1:], (0, 1), value=self.vocabulary)
        match_BTJ = match_lengths(before_BJ, match_BW, steps, self.vocabulary)
        visible_BTJ = self._visible(pressed_BJ, segment_BT, room)
        query_BTK = F.normalize(self.query(features_BTD), dim=-1) * self.scale
        logits_BTJ = query_BTK @ vectors_BJK.transpose(1, 2)
        logits_BTJ = logits_BTJ + self.match(features_BTD).gather(2, match_BTJ.long())
        logits_BTJ = logits_BTJ.masked_fill(~visible_BTJ, float("-inf"))
        weights_BTJ = torch.cat((logits_BTJ, self.sink(features_BTD)), -1).softmax(-1)[..., :-1]
        longest_BT = match_BTJ.masked_fill(~visible_BTJ, 0).amax(-1).long()
        answer = self._answer(weights_BTJ, pressed_BJ.long(), longest_BT)
        kept = segment_BT[:, -1:] == F.pad(segment_BT, (room, 0))[:, steps:]
        after_BW = before_BJ[:, steps:].masked_fill(~kept, self.vocabulary)
        match_BW = match_BTJ[:, -1, steps - 1 : steps - 1 + room].masked_fill(~kept, 0)
        return answer, (vectors_BJK[:, steps:], after_BW, match_BW)

    def _answer(self, weights_BTJ: Tensor, pressed_BJ: Tensor, longest_BT: Tensor) -> Remembered:
        batch, steps, entries = weights_BTJ.shape
        index_BTJ = pressed_BJ[:, None].expand(batch, steps, entries)
        pressed_BTV = weights_BTJ.new_zeros(batch, steps, self.vocabulary + 1)  # the last: unknown, of weight 0
        pressed_BTV = pressed_BTV.scatter_add(2, index_BTJ, weights_BTJ)[..., :-1]
        return Remembered(pressed_BTV, pressed_BTV @ self.pressed_embed + F.embedding(longest_BT, self.longest_embed))

    def _visible(self, pressed_BJ: Tensor, segment_BT: Tensor, room: int) -> Tensor:
        """[B, T, J]: entries of the last W steps since the reset, whose pressed key is known by now."""
        steps = segment_BT.shape[1]
        t_T1 = torch.arange(steps, device=segment_BT.device)[:, None]
        j_J = torch.arange(room + steps, device=segment_BT.device)
        inside_TJ = (j_J >= t_T1) & (j_J < t_T1 + room)
        segment_BJ = F.pad(segment_BT, (room, 0))
        same_BTJ = segment_BT[:, :, None] == segment_BJ[:, None]
        return inside_TJ & same_BTJ & (pressed_BJ != self.vocabulary)[:, None]


def match_lengths(before_BJ: Tensor, match_BW: Tensor, steps: int, unknown: int) -> Tensor:
    """[B, T, J]: how many keys before entry j equal those before the chunk's step t, at most LONGEST.

    One more than the step before had against the entry before, where the last keys are equal; 0 where not.
    """
    batch, entries = before_BJ.shape
    room = entries - steps
    match_BTJ = before_BJ.new_zeros(batch, steps, entries)
    last_BJ = F.pad(match_BW, (0, steps))  # of the step before against entry j - 1
    for step in range(steps):
        now_B1 = before_BJ[:, room + step : room + step + 1]
        same_BJ = (before_BJ == now_B1) & (now_B1 != unknown)
        match_BTJ[:, step] = torch.where(same_BJ, (last_BJ + 1).clamp(max=LONGEST), 0)
        last_BJ = F.pad(match_BTJ[:, step, :-1], (1, 0))
    return match_BTJ
