"""A copy from the screen that is learned: attention from the text left of the cursor to every place of the screen.

The screen is read row by row, each row ending in a newline after its last character that is not blank. A place's vector
is made from the LEFT characters to its left on its row, the query likewise from those left of the cursor; how far the
place's row is from the cursor's counts too. A place that is attended to says that the key is pressed that types its
character: the weights add up to a distribution over keys, of which the model takes as much as it likes. Where a row
stands several times on the screen, the nearest counts, below before above.

A frame's answer depends on that frame alone. The rows of a chunk are mostly the same, and rows that are typed differ in
their ends: a vector is made once for every distinct text to the left, and each cursor is compared once with each text
of its lane. ``find_places`` lists what is left to do then, the places that each step's screen shows. ``places_slowly``
tells the places of one screen by plain loops, for reading and for tests.

Dimensions: B lanes, T steps, S = B * T, R rows, C columns, K rows that are new, M distinct rows and P places of them,
of all lanes one behind the other, X distinct texts to the left, N of a lane, L characters to the left, G rows and Q
places of all screens, H width of the vectors, D width of the model, E features, V keys.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.model.gather import gather_sum
from training.model.screen_copy import BLANK, ENTER, NO_GUESS, first_byte, first_bytes

LEFT = 8  # characters to the left that are read: the bytes of one number
CODES = 256  # code points are read modulo this; before a row's start stands a zero
FAR = 8  # rows; what is farther from the cursor counts as this far
STEPS = 64  # at a time: every step is compared with every text of theirs

Ints = npt.NDArray[Any]


class Places(NamedTuple):
    """The places that B lanes' screens show, Q of all steps."""

    left_XL: Tensor  # ids of the characters of every text to the left, nearest first
    cursor_BT: Tensor  # which of these is left of the cursor
    text_BN: Tensor  # which are left of a lane's places, padded
    step_Q: Tensor  # on which screen a place is: lane * T + step
    text_Q: Tensor  # which of its lane's N texts is left of it
    keys_Q: Tensor  # the key that types its character; NO_GUESS: none, or the cursor stands on this place alone
    distance_Q: Tensor  # rows from the cursor's plus FAR

    def to(self, device: torch.device) -> Places:
        """The same on a device."""
        return Places(*(each.to(device) for each in self))


class Attended(NamedTuple):
    """What the screen says at each step."""

    pressed_BTV: Tensor  # weight of every key, together at most 1
    read_BTD: Tensor  # the same, embedded


def find_places(codes_BTRC: Ints, cursor_row_BT: Ints, cursor_col_BT: Ints) -> Places:
    """The places of every lane's screens, from their code points and cursors."""
    lanes, steps, _, cols = codes_BTRC.shape
    lane_M, row_MC, number_BTR = _distinct_rows(codes_BTRC)
    inked_MC = row_MC != BLANK
    length_M = np.where(inked_MC.any(1), cols - inked_MC[:, ::-1].argmax(1), 0)
    start_M = np.cumsum(length_M + 1) - length_M - 1
    row_P = np.repeat(np.arange(len(row_MC)), length_M + 1)
    col_P = np.arange(len(row_P)) - start_M[row_P]
    code_P = np.where(col_P == length_M[row_P], ENTER, row_MC[row_P, np.minimum(col_P, cols - 1)])
    keys_P = first_bytes(code_P).astype(np.int64)
    row_BT = np.take_along_axis(number_BTR, cursor_row_BT[:, :, None], 2)[:, :, 0]
    text_MC = _texts(row_MC)
    left = np.concatenate((text_MC[row_P, col_P], text_MC[row_BT, cursor_col_BT].reshape(-1)))
    text_X, which = np.unique(left, return_inverse=True)
    text_P, cursor_S = np.split(which, [len(row_P)])
    text_BN, own_P = _own_texts(lane_M[row_P], text_P, lanes, len(text_X))
    step_G, row_G, distance_G = _shown_rows(number_BTR, cursor_row_BT)
    length_G = length_M[row_G] + 1
    start_G = np.cumsum(length_G) - length_G
    place_Q = np.arange(length_G.sum()) + np.repeat(start_M[row_G] - start_G, length_G)
    keys_Q = keys_P[place_Q]
    alone_BT = (number_BTR == row_BT[:, :, None]).sum(2) == 1
    under_BT = start_G[distance_G == FAR].reshape(lanes, steps) + cursor_col_BT
    keys_Q[under_BT[alone_BT & (cursor_col_BT <= length_M[row_BT])]] = NO_GUESS
    found = (
        _characters(text_X),
        cursor_S.reshape(lanes, steps),
        text_BN,
        np.repeat(step_G, length_G),
        own_P[place_Q],
        keys_Q,
        np.repeat(distance_G, length_G),
    )
    return Places(*map(torch.from_numpy, found))


def _distinct_rows(codes_BTRC: Ints) -> tuple[Ints, Ints, Ints]:
    """Every lane's distinct rows, one lane behind the other: the lane of each, its characters; each screen's rows.

    A row that stands where it stood at the step before is not looked at again.
    """
    lanes, steps, rows, _ = codes_BTRC.shape
    new_BTR = np.ones((lanes, steps, rows), bool)
    np.any(codes_BTRC[:, 1:] != codes_BTRC[:, :-1], axis=-1, out=new_BTR[:, 1:])
    lane_K = np.nonzero(new_BTR)[0]
    row_KC = codes_BTRC[new_BTR]
    bytes_K = np.concatenate((lane_K.astype(">u4")[:, None].view(np.uint8), row_KC.view(np.uint8)), 1)
    key_K = bytes_K.view(np.dtype((np.void, bytes_K.shape[1])))[:, 0]
    _, first_M, number_K = np.unique(key_K, return_index=True, return_inverse=True)
    number_BTR = np.zeros((lanes, steps, rows), np.int64)
    number_BTR[new_BTR] = number_K
    since_BTR = np.maximum.accumulate(np.where(new_BTR, np.arange(steps)[:, None], 0), 1)
    return lane_K[first_M], row_KC[first_M], np.take_along_axis(number_BTR, since_BTR, 1)


def _shown_rows(number_BTR: Ints, cursor_row_BT: Ints) -> tuple[Ints, Ints, Ints]:
    """The distinct rows that each screen shows: on which screen, which row, how far from the cursor's where nearest."""
    lanes, steps, rows = number_BTR.shape
    step_BTR = np.arange(lanes * steps).reshape(lanes, steps, 1)
    distance_BTR = np.arange(rows) - cursor_row_BT[:, :, None]
    nearness_BTR = 2 * np.abs(distance_BTR) + (distance_BTR < 0)  # below before above
    row_BTR = step_BTR * (int(number_BTR.max()) + 1) + number_BTR
    order = np.sort((row_BTR * (2 * rows) + nearness_BTR).reshape(-1))
    row_G, nearness_G = np.divmod(order, 2 * rows)
    first = np.append(True, row_G[1:] != row_G[:-1])
    step_G, row_G = np.divmod(row_G[first], int(number_BTR.max()) + 1)
    far_G = np.minimum(nearness_G[first] // 2, FAR)
    return step_G, row_G, np.where(nearness_G[first] % 2, FAR - far_G, FAR + far_G)


def _own_texts(lane_P: Ints, text_P: Ints, lanes: int, texts: int) -> tuple[Ints, Ints]:
    """Every lane's distinct texts [B, N], and which of these each place has."""
    own, own_P = np.unique(lane_P * texts + text_P, return_inverse=True)
    lane, text = np.divmod(own, texts)
    first_B = np.searchsorted(lane, np.arange(lanes))
    number = np.arange(len(own)) - first_B[lane]
    text_BN = np.zeros((lanes, int(number.max()) + 1), np.int64)
    text_BN[lane, number] = text
    return text_BN, number[own_P]


def _texts(row_MC: Ints) -> Ints:
    """[M, C + 1]: what is left of every column, and of the place behind the last; the nearest is the lowest byte."""
    text_MC = np.zeros((len(row_MC), row_MC.shape[1] + 1), np.uint64)
    code_MC = row_MC.astype(np.uint8)
    for back in range(1, min(LEFT, row_MC.shape[1]) + 1):
        text_MC[:, back:] |= code_MC[:, : row_MC.shape[1] + 1 - back].astype(np.uint64) << np.uint64(8 * (back - 1))
    return text_MC


def _characters(text_X: Ints) -> Ints:
    """[X, L] ids of the characters of these numbers, one for each character and each distance."""
    shift_L = np.arange(0, 8 * LEFT, 8, dtype=np.uint64)
    code_XL = (text_X[:, None] >> shift_L & np.uint64(CODES - 1)).astype(np.int64)
    return code_XL + CODES * np.arange(LEFT)


def places_slowly(codes_RC: Ints, cursor_row: int, cursor_col: int) -> set[tuple[tuple[int, ...], int, int]]:
    """The places of one screen that say something: (ids to the left, key, distance)."""
    nearest: dict[tuple[int, ...], int] = {}
    rows = [tuple(row) for row in codes_RC.tolist()]
    for number, row in enumerate(rows):
        distance = number - cursor_row
        if row not in nearest or (abs(distance), -distance) < (abs(nearest[row]), -nearest[row]):
            nearest[row] = distance
    found = set()
    for row, distance in nearest.items():
        length = max((column + 1 for column, code in enumerate(row) if code != BLANK), default=0)
        for column, code in enumerate((*row[:length], ENTER)):
            key = first_byte(code)
            here = (distance, column) == (0, cursor_col) and rows.count(row) == 1
            if key != NO_GUESS and not here:
                found.add((left_slowly(row, column), key, max(-FAR, min(distance, FAR)) + FAR))
    return found


def left_slowly(row: tuple[int, ...], column: int) -> tuple[int, ...]:
    """Ids of the characters left of a place."""
    codes = [row[column - back] % CODES if column >= back else 0 for back in range(1, LEFT + 1)]
    return tuple(code + CODES * number for number, code in enumerate(codes))


class ScreenAttention(nn.Module):
    """What a model makes of the places: a distribution over keys, as an input, and mixed with its own."""

    def __init__(self, inner: int, width: int, features: int, vocabulary: int, hidden: int = 64) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        fading = 0.7 ** torch.arange(LEFT).repeat_interleave(CODES)
        self.left_embed = nn.Parameter(torch.randn(LEFT * CODES, hidden) * fading[:, None])
        self.entry = nn.Linear(hidden, inner)
        self.query = nn.Linear(hidden, inner)
        self.query.load_state_dict(self.entry.state_dict())  # at first, places like the cursor's are attended to
        self.scale = nn.Parameter(torch.tensor(10.0))
        self.near = nn.Parameter(torch.zeros(2 * FAR + 1))
        self.sink = nn.Parameter(torch.tensor(6.0))  # the logit of attending to nothing
        self.read = nn.Parameter(0.3 * torch.randn(vocabulary + 1, width))  # the last: of what is typed by no key
        self.gate = nn.Linear(features, 1)

    def forward(self, places: Places) -> Attended:
        """What the screen says at each step."""
        batch, steps = places.cursor_BT.shape
        hidden_XH = F.gelu(gather_sum(self.left_embed, places.left_XL))
        entry_BNH = F.embedding(places.text_BN, F.normalize(self.entry(hidden_XH), dim=-1))
        query_BTH = F.normalize(self.query(F.embedding(places.cursor_BT, hidden_XH)), dim=-1) * self.scale
        alike_SN = (query_BTH @ entry_BNH.transpose(1, 2)).flatten(0, 1).to(self.near.dtype)
        alike_Q = alike_SN.flatten().index_select(0, places.step_Q * alike_SN.shape[1] + places.text_Q)
        untyped_Q = (places.keys_Q >= self.vocabulary) | (places.keys_Q == NO_GUESS)
        logit_Q = (alike_Q + self.near.index_select(0, places.distance_Q)).masked_fill(untyped_Q, float("-inf"))
        shift_S = self.sink.detach().repeat(batch * steps)  # the largest of each step's logits
        shift_S = shift_S.scatter_reduce(0, places.step_Q, logit_Q.detach(), "amax")
        weight_Q = (logit_Q - shift_S.index_select(0, places.step_Q)).exp()
        slot_Q = places.step_Q * self.vocabulary + places.keys_Q.masked_fill(untyped_Q, 0)
        weight_SV = weight_Q.new_zeros(batch * steps * self.vocabulary).index_add(0, slot_Q, weight_Q)
        weight_SV = torch.cat((weight_SV.view(batch * steps, -1), (self.sink - shift_S).exp()[:, None]), 1)
        pressed_BTV = (weight_SV / weight_SV.sum(1, keepdim=True)).view(batch, steps, -1)
        return Attended(pressed_BTV[..., :-1], pressed_BTV @ self.read)

    def mix(self, logits_BTV: Tensor, features_BTE: Tensor, pressed_BTV: Tensor) -> Tensor:
        """Log-probabilities of the model's own distribution and the screen's."""
        taken_BTV = torch.sigmoid(self.gate(features_BTE)) * pressed_BTV
        left_BT1 = (1 - taken_BTV.sum(-1, keepdim=True)).clamp_min(1e-6)
        return (left_BT1 * logits_BTV.softmax(-1) + taken_BTV).clamp_min(1e-20).log()
