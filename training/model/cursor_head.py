"""A frame head that reads where the next key lands: the cells around the cursor, the status line, the message line.

An architecture of ours, beside the published head (training.model.frame_head), which reads every cell and spends nearly
all of its work on cells that the next key does not depend on.

Read are the cells of fixed spans around the cursor, of the message line (the last row) and of the status line (the
row above it), and the cursor's row and column. A cell's embedding is its code point's plus its style's. The embeddings
of all cells side by side go through one linear layer, the cursor's place is added, then GELU and one more linear layer.

Dimensions: F frames, B lanes, T steps, R rows, C columns, N cells read, E embedding width, D width, P max_code_point.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.model.gather import gather_sum

STYLES = 8  # four styles, and the same under the cursor
BAND = 256  # frames read at a time: their cells stay in the processor's cache
NEAR_WIDTH, AROUND_WIDTH = 16, 6  # embedding widths: the cursor's row is read finely, what is around it roughly

Ints = npt.NDArray[Any]


class Span(NamedTuple):
    """Cells `start` to `stop` of one row.

    `row` and columns are relative to the cursor; of a `fixed` span, `row` is the screen's (-1: the last) and columns
    are counted from column 0, or from the row's end where `start` is negative.
    """

    row: int
    start: int
    stop: int
    fixed: bool = False


NEAR = (Span(0, -24, 9),)
AROUND = (
    Span(-1, -10, 11),
    Span(1, -4, 7),
    Span(-2, -4, 9),
    Span(-1, 0, 12, fixed=True),
    Span(-2, 0, 20, fixed=True),
    Span(-2, -12, 0, fixed=True),
)


class Reading(NamedTuple):
    """What the head reads of F frames: whole numbers, made without gradient."""

    near_FN: Tensor  # cell ids, style * P + code point; STYLES * P: outside of the screen
    around_FN: Tensor
    place_F2: Tensor  # the cursor's row and column


def find_cursor(cells_FRC: Ints, max_code_point: int) -> tuple[Ints, Ints]:
    """Row and column of each frame's cursor; the top left cell where there is none."""
    under_FX = cells_FRC.reshape(len(cells_FRC), -1) >= 4 * max_code_point
    row_F, col_F = np.divmod(under_FX.argmax(1), cells_FRC.shape[2])
    return row_F, col_F


def read_spans(cells_FRC: Ints, row_F: Ints, col_F: Ints, spans: tuple[Span, ...], outside: int) -> Ints:
    """The cells of the spans, [F, N]; `outside` where a span leaves the screen."""
    frames, rows, cols = cells_FRC.shape
    parts = []
    for span in spans:
        offset_S = np.arange(span.start, span.stop)
        if span.fixed:
            row_F1 = np.full((frames, 1), rows + span.row)
            col_FS = np.broadcast_to(offset_S + (cols if span.start < 0 else 0), (frames, len(offset_S)))
        else:
            row_F1 = row_F[:, None] + span.row
            col_FS = col_F[:, None] + offset_S
        inside_FS = (row_F1 >= 0) & (row_F1 < rows) & (col_FS >= 0) & (col_FS < cols)
        place_FS = np.where(inside_FS, row_F1 * cols + col_FS, 0) + np.arange(frames)[:, None] * (rows * cols)
        parts.append(np.where(inside_FS, cells_FRC.reshape(-1)[place_FS].astype(np.int64), outside))
    return np.concatenate(parts, 1)


def cells_of(spans: tuple[Span, ...]) -> int:
    """N: cells that the spans read."""
    return sum(span.stop - span.start for span in spans)


class CursorHead(nn.Module):
    """One screen -> one vector."""

    def __init__(
        self,
        rows: int,
        cols: int,
        width: int,
        max_code_point: int = 256,
        near: tuple[Span, ...] = NEAR,
        around: tuple[Span, ...] = AROUND,
    ) -> None:
        super().__init__()
        self.rows, self.max_code_point, self.near, self.around = rows, max_code_point, near, around
        table = max_code_point + STYLES + 1  # code points, then styles, then "outside of the screen"
        self.near_embed = nn.Parameter(torch.randn(table, NEAR_WIDTH) / 2**0.5)
        self.around_embed = nn.Parameter(torch.randn(table, AROUND_WIDTH) / 2**0.5)
        self.place_embed = nn.Parameter(0.3 * torch.randn(rows + cols, width))
        self.cells = nn.Linear(cells_of(near) * NEAR_WIDTH + cells_of(around) * AROUND_WIDTH, width)
        self.out = nn.Linear(width, width)

    def read(self, cells_FRC: Ints) -> Reading:
        """The numbers that the head needs of each frame."""
        parts = []
        for start in range(0, len(cells_FRC), BAND):
            band_FRC = cells_FRC[start : start + BAND]
            row_F, col_F = find_cursor(band_FRC, self.max_code_point)
            near, around = (
                read_spans(band_FRC, row_F, col_F, spans, STYLES * self.max_code_point)
                for spans in (self.near, self.around)
            )
            parts.append((near, around, np.stack((row_F, col_F), 1)))
        return Reading(*(torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)))

    def forward(self, reading: Reading) -> Tensor:
        """What was read of F frames -> [F, D]."""
        near_FM = self._embed(self.near_embed, reading.near_FN).flatten(1)
        around_FM = self._embed(self.around_embed, reading.around_FN).flatten(1)
        place_F2 = reading.place_F2 + torch.tensor([0, self.rows], device=reading.place_F2.device)
        x_FD: Tensor = self.cells(torch.cat((near_FM, around_FM), 1)) + gather_sum(self.place_embed, place_F2)
        out_FD: Tensor = self.out(F.gelu(x_FD))
        return out_FD

    def _embed(self, table_XE: Tensor, cells_FN: Tensor) -> Tensor:
        """[F, N] cell ids -> [F, N, E]: the code point's row plus the style's."""
        points = self.max_code_point
        style_FN = cells_FN // points
        code_FN = torch.where(style_FN < STYLES, cells_FN % points, points + STYLES)  # outside: a code point of its own
        return gather_sum(table_XE, torch.stack((code_FN, points + style_FN.clamp(max=STYLES - 1)), -1))
