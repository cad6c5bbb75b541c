"""What the screen itself says comes next: the text left of the cursor, found elsewhere on the same screen.

People copy: a name typed now has often just been typed, or stands a few rows above. The screen is read as one text, row
by row, each row ending in a newline. For every place of that text the *match length* is the number of characters that
stand equally left of it and left of the cursor. The character at a place with a long match is a good guess of the next
key. The guesses are ordered by match length, then by distance from the cursor, one guess a key.

``find_copies`` does this for many screens at once with numpy; ``find_copies_slowly`` is the same by plain loops, for
reading and for tests. ``ScreenCopy`` is what a model makes of the guesses.

Dimensions: F frames, B lanes, T steps, R rows, C columns, K guesses a frame, D width, E features, V actions, N
characters of all screens together, M places that match, G one place for each frame and key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.model.gather import gather_sum

LONGEST = 32  # characters compared; a longer match counts as this long
ENTER = 13  # the byte that the Return key sends: the guess where a row ends
BLANK = 32
NO_GUESS = 256  # the key of a guess that is not there

Ints = npt.NDArray[Any]


class Copies(NamedTuple):
    """K guesses a frame, best first: the key (``NO_GUESS``: none) and its match length (0: none)."""

    keys_FK: npt.NDArray[np.int64]
    lengths_FK: npt.NDArray[np.int64]


def first_byte(code_point: int) -> int:
    """The first key of a character: the first byte of its UTF-8; ENTER for a row's end; NO_GUESS where none is typed.

    >>> first_byte(ord("a")), first_byte(0xE9), first_byte(0)
    (97, 195, 256)
    """
    if code_point == 0 or 0xD800 <= code_point < 0xE000:
        return NO_GUESS  # the second cell of a wide character; a surrogate is no character
    return chr(code_point).encode()[0]


class Guesses(NamedTuple):
    """`Copies` of B x T frames as tensors; K may be 0."""

    keys_BTK: Tensor
    lengths_BTK: Tensor


class ScreenCopy(nn.Module):
    """The guesses as an input of the model, and as a bonus on the logits of the guessed keys.

    The bonus of a guess is the product of learned vectors of its rank and match length with gates, linear in the
    model's features: the model decides at each step how far to trust the screen, for any key, also for one never seen.
    """

    def __init__(self, guesses: int, width: int, features: int, gates: int = 4) -> None:
        super().__init__()
        self.guesses = guesses
        self.key_embed = nn.Parameter(0.3 * torch.randn(guesses, NO_GUESS + 1, width))
        self.length_embed = nn.Parameter(0.3 * torch.randn(guesses, LONGEST + 1, width))
        self.bonus_embed = nn.Parameter(torch.zeros(guesses, LONGEST + 1, gates))
        self.gates = nn.Linear(features, gates)
        nn.init.ones_(self.gates.bias)

    def forward(self, guesses: Guesses) -> Tensor:
        """The guesses as one vector a step, [B, T, D]."""
        rank_K = torch.arange(self.guesses, device=guesses.keys_BTK.device)
        keys_BTK = guesses.keys_BTK + rank_K * (NO_GUESS + 1)
        lengths_BTK = guesses.lengths_BTK + rank_K * (LONGEST + 1)
        summed_BTD: Tensor = gather_sum(self.key_embed.flatten(0, 1), keys_BTK)
        return summed_BTD + gather_sum(self.length_embed.flatten(0, 1), lengths_BTK)

    def add_bonus(self, logits_BTV: Tensor, features_BTE: Tensor, guesses: Guesses) -> Tensor:
        """Logits with every guessed key's bonus added; a guess outside of the vocabulary adds nothing."""
        vocabulary = logits_BTV.shape[-1]
        rank_K = torch.arange(self.guesses, device=logits_BTV.device)
        worth_BTKG = F.embedding(guesses.lengths_BTK + rank_K * (LONGEST + 1), self.bonus_embed.flatten(0, 1))
        bonus_BTK = (worth_BTKG * self.gates(features_BTE)[:, :, None]).sum(-1)
        none_BTK = (guesses.keys_BTK == NO_GUESS) | (guesses.keys_BTK >= vocabulary)
        place_BTK = guesses.keys_BTK.masked_fill(none_BTK, vocabulary)
        return F.pad(logits_BTV, (0, 1)).scatter_add(2, place_BTK, bonus_BTK)[..., :-1]


def find_copies(codes_FRC: Ints, cursor_row_F: Ints, cursor_col_F: Ints, guesses: int) -> Copies:
    """Code points of screens and their cursors -> the guesses."""
    frames = len(codes_FRC)
    keys_FK = np.full((frames, guesses), NO_GUESS, np.int64)
    lengths_FK = np.zeros((frames, guesses), np.int64)
    text_N, start_F, cursor_F = _as_text(codes_FRC, cursor_row_F, cursor_col_F)
    place_M, frame_M = _equal_left(text_N, start_F, cursor_F)
    length_M = _match_lengths(text_N, start_F, cursor_F, place_M, frame_M)
    key_M = first_bytes(text_N[place_M])
    typed_M = key_M != NO_GUESS
    place_M, frame_M, length_M, key_M = (each[typed_M] for each in (place_M, frame_M, length_M, key_M))
    distance_M = np.minimum(np.abs(place_M - cursor_F[frame_M]) * 2 + (place_M > cursor_F[frame_M]), (1 << 20) - 1)
    # one number a place, smaller is better: frame, key, then length (long first), then distance (near first)
    worth_M = (LONGEST - length_M) << 20 | distance_M
    ranked_M = np.sort((frame_M << 9 | key_M) << 27 | worth_M)
    group_M = ranked_M >> 27
    best_G = ranked_M[np.flatnonzero(np.diff(group_M, prepend=-1))]  # the best place of every key of every frame
    key_G, worth_G, frame_G = best_G >> 27 & 511, best_G & (1 << 27) - 1, best_G >> 36
    order_G = np.argsort(frame_G << 27 | worth_G, kind="stable")
    frame_G, key_G, worth_G = frame_G[order_G], key_G[order_G], worth_G[order_G]
    rank_G = np.arange(len(frame_G)) - np.searchsorted(frame_G, frame_G)
    kept_G = rank_G < guesses
    keys_FK[frame_G[kept_G], rank_G[kept_G]] = key_G[kept_G]
    lengths_FK[frame_G[kept_G], rank_G[kept_G]] = LONGEST - (worth_G[kept_G] >> 20)
    return Copies(keys_FK, lengths_FK)


def _as_text(codes_FRC: Ints, cursor_row_F: Ints, cursor_col_F: Ints) -> tuple[Ints, Ints, Ints]:
    """Every screen as one text: characters of all, where each screen starts, and where its cursor stands.

    A row ends after its last character that is not blank, the cursor's row not before the cursor.
    """
    frames, rows, cols = codes_FRC.shape
    every_F = np.arange(frames)
    inked_FRC = codes_FRC != BLANK
    length_FR = cols - np.argmax(inked_FRC[:, :, ::-1], axis=2)
    length_FR[~inked_FRC.any(axis=2)] = 0
    at_cursor_F = length_FR[every_F, cursor_row_F]
    length_FR[every_F, cursor_row_F] = np.maximum(at_cursor_F, cursor_col_F)
    padded_FRC = np.empty((frames, rows, cols + 1), codes_FRC.dtype)
    padded_FRC[:, :, :cols] = codes_FRC
    np.put_along_axis(padded_FRC, length_FR[:, :, None], ENTER, 2)
    text_N = padded_FRC[np.arange(cols + 1) <= length_FR[:, :, None]]
    end_FR = np.cumsum(length_FR + 1).reshape(frames, rows)
    begin_FR = end_FR - length_FR - 1
    return text_N, begin_FR[:, 0], begin_FR[every_F, cursor_row_F] + cursor_col_F


def _equal_left(text_N: Ints, start_F: Ints, cursor_F: Ints) -> tuple[Ints, Ints]:
    """Places, and their frames, where the character to the left is the one left of the cursor."""
    sizes_F = np.diff(start_F, append=len(text_N))
    left_F = np.where(cursor_F > start_F, text_N[cursor_F - 1], 0)  # 0 is taken as no character: nothing is left of it
    same_N = np.zeros(len(text_N), bool)
    np.equal(text_N[:-1], np.repeat(left_F, sizes_F)[1:].astype(text_N.dtype), out=same_N[1:])
    same_N[start_F] = False
    same_N[cursor_F] = False
    place_M = np.flatnonzero(same_N)
    frame_M = np.searchsorted(start_F, place_M, side="right") - 1
    there_M = left_F[frame_M] != 0
    return place_M[there_M], frame_M[there_M]


def _match_lengths(text_N: Ints, start_F: Ints, cursor_F: Ints, place_M: Ints, frame_M: Ints) -> Ints:
    """How many characters left of each place are those left of its frame's cursor, at least 1, at most LONGEST."""
    length_M = np.ones(len(place_M), np.int64)
    alive = np.arange(len(place_M))
    place, frame = place_M, frame_M
    for back in range(2, LONGEST + 1):
        there, left = place - back, cursor_F[frame] - back
        begin = start_F[frame]
        inside = (there >= begin) & (left >= begin)
        same = inside & (text_N[np.maximum(there, 0)] == text_N[np.maximum(left, 0)])
        alive, place, frame = alive[same], place[same], frame[same]
        if not len(alive):
            break
        length_M[alive] = back
    return length_M


_KNOWN = np.array([first_byte(code) for code in range(256)], np.int64)


def first_bytes(codes_M: Ints) -> npt.NDArray[np.int64]:
    """`first_byte` of many code points."""
    keys_M = _KNOWN[np.minimum(codes_M, 255)]
    beyond = np.flatnonzero(codes_M > 255)
    if len(beyond):
        distinct, number = np.unique(codes_M[beyond], return_inverse=True)
        keys_M[beyond] = np.array([first_byte(int(code)) for code in distinct])[number.reshape(-1)]
    return keys_M


def find_copies_slowly(codes_RC: Ints, cursor_row: int, cursor_col: int, guesses: int) -> list[tuple[int, int]]:
    """The guesses of one screen, (key, match length), best first; what `find_copies` must equal."""
    text: list[int] = []
    cursor = 0
    for number, row in enumerate(codes_RC.tolist()):
        length = max((column + 1 for column, code in enumerate(row) if code != BLANK), default=0)
        if number == cursor_row:
            length = max(length, cursor_col)
            cursor = len(text) + cursor_col
        text += [*row[:length], ENTER]
    best: dict[int, tuple[int, int]] = {}  # key -> (-match length, distance)
    for place in range(1, len(text)):
        key = first_byte(text[place])
        length = 0
        while (
            length < min(LONGEST, place, cursor)
            and text[place - 1 - length] == text[cursor - 1 - length]
            and text[cursor - 1] != 0
        ):
            length += 1
        if length and place != cursor and key != NO_GUESS:
            distance = 2 * abs(place - cursor) + (place > cursor)
            best[key] = min(best.get(key, (0, 0)), (-length, distance))
    ordered = sorted(best.items(), key=lambda item: item[1])
    return [(key, -rank[0]) for key, rank in ordered[:guesses]]
