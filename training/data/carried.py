"""Film in stream order: many streams side by side, each lane reading its own on from update to update.

    batches = CarriedBatches(reader, segments, lanes=32, length=32)
    batch = batches.batch(update)          # also batch.previous_BT and batch.resets_BT

A model that carries its state from one update to the next sees one long film a lane, cut into chunks of `length` steps
for backpropagation. All segments laid end to end make a ring; lane b starts at its b-th part and goes on by `length`
steps an update, round and round. `resets_BT` says where what came before is to be forgotten: where one segment ends and
another begins, and at random chunk starts (`reset_probability`), so that short contexts are learned too.

What update u sees depends on (seed, u) alone: a resumed run, and one on another number of ranks, sees the same.

Dimensions: B lanes, T steps of a chunk, R rows, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from schema.actions import VOCABULARY
from schema.errors import ConfigError
from training.data.batches import Batch
from training.data.splits import Segment, Segments
from training.data.windows import FilmReader, FilmWindow

AHEAD = 16  # chunks of a lane read at once: opening a row group costs more than decoding a chunk


class CarriedBatches:
    """Chunks of all lanes by update number. Raises ConfigError where there is no film, or lanes do not divide."""

    def __init__(  # `vocabulary`: what stands for an unknown key
        self,
        reader: FilmReader,
        segments: Sequence[Segment],
        lanes: int = 32,
        length: int = 32,
        seed: int = 0,
        reset_probability: float = 1 / 64,
        rank: int = 0,
        world: int = 1,
        vocabulary: int = VOCABULARY,
    ) -> None:
        self._reader, self._segments = reader, Segments.of(segments)
        ends = np.cumsum(self._segments.steps)
        if not len(ends) or not ends[-1]:
            raise ConfigError("no steps to learn from in this split; harvest more commits")
        if lanes % world:
            raise ConfigError(
                f"{lanes} lanes do not divide by {world} ranks; use --lanes {lanes // world * world or world}"
            )
        self._begins, self.steps = np.concatenate(([0], ends[:-1])), int(ends[-1])
        self.lanes, self.length, self.seed, self.reset_probability = lanes, length, seed, reset_probability
        self._mine, self._unknown = range(rank, lanes, world), vocabulary
        self._blocks: dict[int, tuple[int, FilmWindow, npt.NDArray[np.bool_]]] = {}  # lane -> number, film, cuts

    def batch(self, update: int) -> Batch:
        """This rank's lanes at `update`. Raises CorruptError while reading."""
        random_B = np.random.default_rng([self.seed, update]).random(self.lanes)
        parts = []
        for lane in self._mine:
            block, offset = divmod(update, AHEAD)
            film, cut_T = self._block(lane, block)
            here = slice(offset * self.length, (offset + 1) * self.length)
            resets_T = cut_T[here].copy()
            resets_T[0] |= update == 0 or random_B[lane] < self.reset_probability
            previous_T = film.action_T[here].copy()
            previous_T[resets_T] = self._unknown
            action_T = film.action_T[here.start + 1 : here.stop + 1]
            parts.append((film.cells_TRC[here], action_T, film.phase_T[here], previous_T, resets_T))
        return Batch(update, *(torch.from_numpy(np.stack(part)) for part in zip(*parts, strict=True)))

    def state_dict(self) -> dict[str, Any]:
        """What decides the batches, for a checkpoint; the update's number is the only cursor."""
        return {
            "seed": self.seed, "lanes": self.lanes, "length": self.length, "steps": self.steps,
            "reset_probability": self.reset_probability,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises ConfigError where a checkpoint's batches are not these."""
        other = [f"{key} {state.get(key)}" for key, value in self.state_dict().items() if state.get(key) != value]
        if other:
            raise ConfigError(f"the checkpoint's film was read with {', '.join(other)}; start anew with --overwrite")

    def _block(self, lane: int, number: int) -> tuple[FilmWindow, npt.NDArray[np.bool_]]:
        """Block `number` of a lane: AHEAD chunks, with the key before them in front of the actions."""
        block = self._blocks.get(lane)
        if block is None or block[0] != number:
            size = AHEAD * self.length
            start = lane * self.steps // self.lanes + number * size
            block = (number, *self._read(start, size))
            self._blocks[lane] = block
        return block[1], block[2]

    def _read(self, start: int, size: int) -> tuple[FilmWindow, npt.NDArray[np.bool_]]:
        """`size` steps of the ring from `start` on, and where a segment begins in them."""
        parts, cut_T, done = [], np.zeros(size, bool), 0
        before = int(self._one((start - 1) % self.steps).action_T[0])
        while done < size:
            place = (start + done) % self.steps
            index = int(np.searchsorted(self._begins, place, side="right")) - 1
            segment, first = self._segments[index], place - int(self._begins[index])
            cut_T[done] |= first == 0
            count = min(size - done, segment.stop - segment.start - first)
            parts.append(self._reader.window(segment.stream, segment.start + first, count))
            done += count
        cells_TRC, action_T, phase_T = (np.concatenate(part) for part in zip(*parts, strict=True))
        return FilmWindow(cells_TRC, np.concatenate(([before], action_T)), phase_T), cut_T

    def _one(self, place: int) -> FilmWindow:
        index = int(np.searchsorted(self._begins, place, side="right")) - 1
        segment = self._segments[index]
        return self._reader.window(segment.stream, segment.start + place - int(self._begins[index]), 1)
