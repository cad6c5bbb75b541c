"""A copy from the screen that is learned: attention from the text left of the cursor to every place of the screen.

The screen is read row by row, each row ending in a newline after its last character that is not blank. A place's vector
is made from the LEFT characters to its left on its row, the query likewise from those left of the cursor; how far the
place's row is from the cursor's counts too. A place that is attended to says that the key is pressed that types its
character: the weights add up to a distribution over keys, of which the model takes as much as it likes. Where a row
stands several times on the screen, the nearest counts, below before above.

A frame's answer depends on that frame alone. The rows of a chunk are mostly the same, and rows that are typed differ in
their ends: ``find_places`` lists the places of every distinct row of a lane once, and a vector is made once for every
distinct text to the left. ``places_slowly`` tells the places of one screen by plain loops, for reading and for tests.

Dimensions: B lanes, T steps, R rows, C columns, U distinct rows of a lane, N places of them, K rows that are new, M
rows and P places of all lanes one behind the other, X distinct texts to the left, L characters to the left, H width of
the vectors, D width of the model, E features, V keys.
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
OFF = 2 * FAR + 1  # the distance of a row that is not on the screen
STEPS = 64  # at a time: every step has a weight for every place of all their rows

Ints = npt.NDArray[Any]


class Places(NamedTuple):
    """The places of B lanes, padded to U rows and N places."""

    left_XL: Tensor  # ids of the characters of every text to the left, nearest first
    text_BN: Tensor  # which of these is left of each place
    keys_BN: Tensor  # the key that types the character there; NO_GUESS: none
    rows_BN: Tensor  # on which of the lane's distinct rows it is
    distance_BTU: Tensor  # rows from the cursor's plus FAR; OFF: not on the screen
    here_BT: Tensor  # the place under the cursor, which says nothing; N: none, or the same row stands elsewhere too
    cursor_BT: Tensor  # which text is left of the cursor

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
    first_B = np.searchsorted(lane_M, np.arange(lanes + 1))  # rows before each lane's
    inked_MC = row_MC != BLANK
    length_M = np.where(inked_MC.any(1), cols - inked_MC[:, ::-1].argmax(1), 0)
    stop_M = np.cumsum(length_M + 1)
    start_M = stop_M - length_M - 1
    row_P = np.repeat(np.arange(len(row_MC)), length_M + 1)
    col_P = np.arange(len(row_P)) - start_M[row_P]
    code_P = np.where(col_P == length_M[row_P], ENTER, row_MC[row_P, np.minimum(col_P, cols - 1)])
    start_B = np.append(0, stop_M)[first_B]  # places before each lane's
    lane_P = lane_M[row_P]
    number_P = np.arange(len(row_P)) - start_B[lane_P]
    places = int(np.diff(start_B).max())
    text_BN, rows_BN = np.zeros((2, lanes, places), np.int64)
    keys_BN = np.full((lanes, places), NO_GUESS, np.int64)
    row_BT = np.take_along_axis(number_BTR, cursor_row_BT[:, :, None], 2)[:, :, 0]
    text_MC = _texts(row_MC)
    text_P = np.concatenate((text_MC[row_P, col_P], text_MC[row_BT, cursor_col_BT].reshape(-1)))
    text_X, which_P = np.unique(text_P, return_inverse=True)
    text_BN[lane_P, number_P] = which_P[: len(row_P)]
    keys_BN[lane_P, number_P] = first_bytes(code_P)
    rows_BN[lane_P, number_P] = row_P - first_B[lane_P]
    here_BT = start_M[row_BT] + cursor_col_BT - start_B[:lanes, None]
    alone_BT = (number_BTR == row_BT[:, :, None]).sum(2) == 1
    found = (
        _characters(text_X),
        text_BN, keys_BN, rows_BN,
        _distances(number_BTR - first_B[:lanes, None, None], cursor_row_BT),
        np.where(alone_BT & (cursor_col_BT <= length_M[row_BT]), here_BT, places),
        which_P[len(row_P) :].reshape(lanes, steps),
    )  # fmt: skip
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


def _distances(row_BTR: Ints, cursor_row_BT: Ints) -> Ints:
    """[B, T, U]: how far each of a lane's rows is from the cursor's, where it stands nearest."""
    lanes, steps, rows = row_BTR.shape
    distance_BTU = np.full((lanes, steps, int(row_BTR.max()) + 1), OFF, np.int64)
    for far in range(rows - 1, -1, -1):  # what is written last stays
        for distance in (-far, far):
            there_BT = cursor_row_BT + distance
            lane, step = np.nonzero((there_BT >= 0) & (there_BT < rows))
            distance_BTU[lane, step, row_BTR[lane, step, there_BT[lane, step]]] = max(-FAR, min(distance, FAR)) + FAR
    return distance_BTU


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
        self.near = nn.Parameter(torch.zeros(OFF))
        self.sink = nn.Parameter(torch.tensor(6.0))  # the logit of attending to nothing
        self.read = nn.Parameter(0.3 * torch.randn(vocabulary + 1, width))  # the last: of what is typed by no key
        self.gate = nn.Linear(features, 1)

    def forward(self, places: Places) -> Attended:
        """What the screen says at each step."""
        batch, steps = places.here_BT.shape
        hidden_XH = F.gelu(gather_sum(self.left_embed, places.left_XL))
        entry_XH, query_XH = (F.normalize(layer(hidden_XH), dim=-1) for layer in (self.entry, self.query))
        entry_BNH = F.embedding(places.text_BN, entry_XH)
        query_BTH = F.embedding(places.cursor_BT, query_XH) * self.scale
        near_BTU = F.embedding(places.distance_BTU, F.pad(self.near, (0, 1), value=float("-inf"))[:, None])[..., 0]
        rows_BTN = places.rows_BN[:, None].expand(-1, steps, -1)
        logits_BTN = query_BTH @ entry_BNH.transpose(1, 2) + near_BTU.gather(2, rows_BTN)
        logits_BTN = logits_BTN.masked_fill((places.keys_BN >= self.vocabulary)[:, None], float("-inf"))
        logits_BTN = F.pad(logits_BTN, (0, 1)).scatter(2, places.here_BT[..., None], float("-inf"))[..., :-1]
        weights_BTN = torch.cat((logits_BTN, self.sink.expand(batch, steps, 1)), -1).softmax(-1)
        keys_BTN = F.pad(places.keys_BN.clamp(max=self.vocabulary), (0, 1), value=self.vocabulary)[:, None]
        pressed_BTV = weights_BTN.new_zeros(batch, steps, self.vocabulary + 1)
        pressed_BTV = pressed_BTV.scatter_add(2, keys_BTN.expand_as(weights_BTN), weights_BTN)
        return Attended(pressed_BTV[..., :-1], pressed_BTV @ self.read)

    def mix(self, logits_BTV: Tensor, features_BTE: Tensor, pressed_BTV: Tensor) -> Tensor:
        """Log-probabilities of the model's own distribution and the screen's."""
        taken_BTV = torch.sigmoid(self.gate(features_BTE)) * pressed_BTV
        left_BT1 = (1 - taken_BTV.sum(-1, keepdim=True)).clamp_min(1e-6)
        return (left_BT1 * logits_BTV.softmax(-1) + taken_BTV).clamp_min(1e-20).log()
