"""Exact reuse of work between nearly identical frames.

Consecutive screens differ in a few cells. A *version* is the content of one place (a cell, a pooled cell, a frame)
from the frame where it changed until it changes again. Each level of the frame head is computed once per version:

    cells          changed since the frame before: compared cell by cell, so nothing rests on a hash
    pooled cells   changed if any cell that their convolutions read has changed
    frames         changed if any token has changed

A convolution over versions multiplies each *input* version by the nine taps once, then adds nine gathered products
for each *output* version: far fewer multiplications than outputs times taps, the same sum in another order. A chunk's
first frame is computed whole. Where most cells change (`limit`), the plain form is faster and is used instead.

Dimensions: B windows, T steps, R rows, C columns, D width, N versions, M changed outputs, K tokens a frame.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from training.model.frame_head import Block, Downsample, FrameHead
from training.model.gather import gather_sum

LIMIT = 0.5  # changed fraction of the first pooled level past which the plain form is used
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[Any]  # of bool


class Versions(NamedTuple):
    """`table_ND`: one row a version; `index_BTRC`: which version each place shows."""

    table_ND: Tensor
    index_BTRC: Index


def changed_cells(cells_BTRC: npt.NDArray[Any]) -> Mask:
    """True where a cell differs from the frame before; everywhere in a window's first frame."""
    changed = np.ones(cells_BTRC.shape, dtype=bool)
    np.not_equal(cells_BTRC[:, 1:], cells_BTRC[:, :-1], out=changed[:, 1:])
    return changed


def pooled_changes(changed_BTRC: Mask, reach: int) -> Mask:
    """Which 2x2-pooled outputs read a changed cell, when each convolution reads `reach` cells around it."""
    batch, steps, rows, cols = changed_BTRC.shape
    padded = np.zeros((batch, steps, rows + 2 * reach, cols + 2 * reach), dtype=bool)
    padded[:, :, reach : reach + rows, reach : reach + cols] = changed_BTRC
    tall = padded[:, :, 0:rows:2].copy()
    for offset in range(1, 2 * reach + 2):
        tall |= padded[:, :, offset : offset + rows : 2]
    wide = tall[..., 0:cols:2].copy()
    for offset in range(1, 2 * reach + 2):
        wide |= tall[..., offset : offset + cols : 2]
    return wide


def moved_frames(changed_BTRC: Mask) -> Mask:
    """Which frames have any changed place, [B, T]."""
    return cast("Mask", changed_BTRC.any(axis=(2, 3)))


def latest(changed_BTX: Mask) -> Index:
    """Number the changed places in order; for every place, the number of its latest change."""
    number = np.where(changed_BTX.ravel(), np.cumsum(changed_BTX.ravel()) - 1, -1)
    return np.maximum.accumulate(number.reshape(changed_BTX.shape), axis=1)


def cell_versions(head: FrameHead, cells_BTRC: npt.NDArray[Any], changed_BTRC: Mask) -> Versions:
    """Embedded cells; equal cells at one position share a version across windows too."""
    batch, steps, rows, cols = cells_BTRC.shape
    position = np.flatnonzero(changed_BTRC) % (rows * cols)
    cell = cells_BTRC[changed_BTRC].astype(np.int64)
    distinct, number = np.unique(cell * (rows * cols) + position, return_inverse=True)
    device = head.position_embed.device
    cell_N = torch.from_numpy(distinct // (rows * cols)).to(device)
    position_N = torch.from_numpy(distinct % (rows * cols)).to(device)
    table_ND = F.embedding(cell_N, head.cell_table())
    table_ND = table_ND + F.embedding(position_N, head.position_embed)
    index = number.reshape(-1)[latest(changed_BTRC.reshape(batch, steps, -1))]
    return Versions(table_ND, index.reshape(batch, steps, rows, cols))


def downsample_versions(block: Downsample, below: Versions, changed_BTRC: Mask) -> Versions:
    """One Downsample block over versions; `changed_BTRC` is of the outputs (`pooled_changes`)."""
    reach = block.dilation
    batch, steps, rows, cols = below.index_BTRC.shape
    count = below.table_ND.shape[0]
    padded = np.full((batch, steps, rows + 2 * reach, cols + 2 * reach), count, dtype=np.int64)
    padded[:, :, reach : reach + rows, reach : reach + cols] = below.index_BTRC
    frame, y, x = np.nonzero(changed_BTRC.reshape(batch * steps, rows // 2, cols // 2))
    width = cols + 2 * reach
    corner_M = (frame * (rows + 2 * reach) + 2 * y) * width + 2 * x
    pixel_P = np.array([0, 1, width, width + 1])
    tap_9 = (np.arange(3)[:, None] * width + np.arange(3)).ravel() * reach
    place_MP9 = corner_M[:, None, None] + pixel_P[:, None] + tap_9
    source_MP9 = padded.ravel()[place_MP9] * 9 + np.arange(9)

    normed_ND = F.pad(block.ln_1(below.table_ND), (0, 0, 0, 1))  # last: the border
    inputs, outputs = block.conv.in_channels, block.conv.out_channels
    taps_DE = block.conv.weight.permute(1, 2, 3, 0).reshape(inputs, 9 * outputs)
    products_NE = (normed_ND @ taps_DE).view(-1, outputs)
    conv_ME = gather_sum(products_NE, source_MP9.reshape(-1, 9))
    pooled_MD = block.activate(conv_ME, 1).view(-1, 4, inputs).mean(1)
    index = latest(changed_BTRC.reshape(batch, steps, -1)).reshape(changed_BTRC.shape)
    return Versions(pooled_MD, index)


def attend_versions(block: Block, table_ND: Tensor, index_FK: Index) -> Tensor:
    """The first attention block: norm and projection once a version -> tokens [F, K, D], before the MLP."""
    frames, tokens = index_FK.shape
    width = table_ND.shape[1]
    qkv_NE = block.attn.c_attn(block.ln_1(table_ND))
    both_FKE = gather_sum(torch.cat((table_ND, qkv_NE), 1), index_FK.reshape(-1, 1))
    both_FKE = both_FKE.view(frames, tokens, -1)
    y_FKD: Tensor = both_FKE[..., :width] + block.attn.c_proj(block.attn.mix(both_FKE[..., width:]))
    return y_FKD


def last_token(block: Block, x_FD: Tensor, kv_FKE: Tensor) -> Tensor:
    """A block's output at one token: its input [F, D], the keys and values of all tokens [F, K, 2 D] -> [F, D]."""
    frames, tokens, _ = kv_FKE.shape
    heads, width = block.attn.heads, x_FD.shape[-1]
    q_FD = F.linear(block.ln_1(x_FD), block.attn.c_attn.weight[:width], block.attn.c_attn.bias[:width])
    k, v = kv_FKE.view(frames, tokens, 2, heads, -1).permute(2, 0, 3, 1, 4)
    y_FHE = F.scaled_dot_product_attention(q_FD.view(frames, heads, 1, -1), k, v)
    x_FD = x_FD + block.attn.c_proj(y_FHE.reshape(frames, width))
    y_FD: Tensor = x_FD + block.mlp(block.ln_2(x_FD))
    return y_FD


def keys_values(block: Block, x: Tensor) -> Tensor:
    """[..., D] -> [..., 2 D]: what other tokens read of a token."""
    width = x.shape[-1]
    return F.linear(block.ln_1(x), block.attn.c_attn.weight[width:], block.attn.c_attn.bias[width:])


def reduce_block(head: FrameHead, block: Block, x_FKD: Tensor) -> Tensor:
    """The last block and the reduction, without what the reduction throws away: [F, K, D] -> [F, D]."""
    if head.config.reduce == "last_pos":
        return last_token(block, x_FKD[:, -1], keys_values(block, x_FKD))
    mixed_FKD = block.attn.mix(block.attn.c_attn(block.ln_1(x_FKD)))
    return mean_mlp(block, x_FKD + block.attn.c_proj(mixed_FKD))


def mean_mlp(block: Block, x_FKD: Tensor) -> Tensor:
    """Mean over tokens of x + MLP(x); the MLP's second layer is linear, so it follows the mean."""
    hidden_FKE = F.gelu(block.mlp.c_fc(block.ln_2(x_FKD)))
    y_FD: Tensor = x_FKD.mean(1) + block.mlp.c_proj(hidden_FKE.mean(1))
    return y_FD


def frame_vectors(head: FrameHead, table_ND: Tensor, index_FK: Index) -> Tensor:
    """Attention blocks and reduction of F distinct frames, given their tokens' versions -> [F, D]."""
    blocks = [cast("Block", block) for block in head.blocks]
    last = head.config.reduce == "last_pos"
    if not blocks:
        tokens_FK = index_FK[:, -1:] if last else index_FK
        mean_FD: Tensor = gather_sum(table_ND, tokens_FK) / tokens_FK.shape[1]
        return mean_FD
    if len(blocks) == 1 and last:
        kv_FKE = gather_sum(keys_values(blocks[0], table_ND), index_FK.reshape(-1, 1))
        return last_token(blocks[0], gather_sum(table_ND, index_FK[:, -1:]), kv_FKE.view(*index_FK.shape, -1))
    x_FKD = attend_versions(blocks[0], table_ND, index_FK)
    if len(blocks) == 1:
        return mean_mlp(blocks[0], x_FKD)
    x_FKD = x_FKD + blocks[0].mlp(blocks[0].ln_2(x_FKD))
    for block in blocks[1:-1]:
        x_FKD = block(x_FKD)
    return reduce_block(head, blocks[-1], x_FKD)


def embed(head: FrameHead, cells_BTRC: Tensor, limit: float = LIMIT) -> Tensor:
    """[B, T, R, C] cell ids, consecutive frames of B windows -> [B, T, D], equal to head(cells).

    `limit`: the changed fraction of the first pooled level past which the plain form computes the chunk.
    """
    batch, steps, _rows, _cols = cells_BTRC.shape
    cells = cells_BTRC.cpu().numpy()
    changed = changed_cells(cells)
    levels: list[Mask] = []
    for module in head.downsample_blocks:
        levels.append(pooled_changes(levels[-1] if levels else changed, cast("Downsample", module).dilation))
    if (levels[0] if levels else changed).mean() > limit:
        return cast("Tensor", head(cells_BTRC.flatten(0, 1))).view(batch, steps, -1)
    versions = cell_versions(head, cells, changed)
    for module, level in zip(head.downsample_blocks, levels, strict=True):
        versions = downsample_versions(cast("Downsample", module), versions, level)
    moved_BT = moved_frames(levels[-1] if levels else changed)
    index_FK = versions.index_BTRC.reshape(batch * steps, -1)[moved_BT.ravel()]
    frames_FD = frame_vectors(head, versions.table_ND, index_FK)
    frame_BT = latest(moved_BT[:, :, None]).reshape(-1, 1)
    return gather_sum(frames_FD, frame_BT).view(batch, steps, -1)


def distinct_fractions(cells_BTRC: Tensor, head: FrameHead) -> dict[str, float]:
    """Fraction of places a chunk has to compute, by level: cells, level 1, ..., frames."""
    changed = changed_cells(cells_BTRC.cpu().numpy())
    fractions = {"cells": float(changed.mean())}
    for number, module in enumerate(head.downsample_blocks, 1):
        changed = pooled_changes(changed, cast("Downsample", module).dilation)
        fractions[f"level {number}"] = float(changed.mean())
    fractions["frames"] = float(moved_frames(changed).mean())
    return fractions
