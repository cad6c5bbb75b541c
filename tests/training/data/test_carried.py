"""Film in stream order: every lane reads on, and what an update sees depends on its number alone."""

import numpy as np
import pytest
import torch

from schema.errors import ConfigError
from tests.training.warehouse import write_warehouse
from training.data.batches import Batch
from training.data.carried import CarriedBatches
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

NO_KEY = 256


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FilmReader:
    return FilmReader(Warehouse(write_warehouse(tmp_path_factory.mktemp("w"), {"a/one": 700, "b/two": 300})))


def whole(reader: FilmReader) -> list[Segment]:
    return [Segment(number, 0, length) for number, length in enumerate(reader.lengths)]


def equal(one: Batch, other: Batch) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def test_a_lane_reads_on_from_update_to_update(reader: FilmReader) -> None:
    batches = CarriedBatches(reader, [Segment(0, 50, 650)], lanes=2, length=20, reset_probability=0)
    read = [batches.batch(update) for update in range(15)]
    for lane, start in ((0, 50), (1, 350)):
        film = reader.window(0, start, 300)
        assert np.array_equal(torch.cat([batch.cells_BTRC[lane] for batch in read]).numpy(), film.cells_TRC)
        assert np.array_equal(torch.cat([batch.actions_BT[lane] for batch in read]).numpy(), film.action_T)
        assert np.array_equal(torch.cat([batch.phases_BT[lane] for batch in read]).numpy(), film.phase_T)
        previous = torch.cat([batch.previous_BT[lane] for batch in read if batch.previous_BT is not None])
        assert previous[0] == NO_KEY
        assert np.array_equal(previous[1:].numpy(), film.action_T[:-1])


def test_the_ring_goes_round_and_says_where_streams_meet(reader: FilmReader) -> None:
    segments = whole(reader)
    batches = CarriedBatches(reader, segments, lanes=1, length=30, reset_probability=0)
    read = [batches.batch(update) for update in range(50)]
    keys = torch.cat([batch.actions_BT[0] for batch in read]).numpy()
    ring = np.concatenate([reader.actions(segment) for segment in segments])
    assert np.array_equal(keys, np.concatenate([ring, ring])[:1500])
    resets = torch.cat([batch.resets_BT[0] for batch in read if batch.resets_BT is not None])
    assert resets.nonzero().flatten().tolist() == [0, 700, 1000]
    previous = torch.cat([batch.previous_BT[0] for batch in read if batch.previous_BT is not None])
    assert (previous == NO_KEY).nonzero().flatten().tolist() == [0, 700, 1000]


def test_segments_shorter_than_a_chunk_are_read_whole(reader: FilmReader) -> None:
    segments = [Segment(0, 0, 3), Segment(1, 10, 15), Segment(0, 100, 101)]
    batch = CarriedBatches(reader, segments, lanes=1, length=20, reset_probability=0).batch(0)
    ring = np.concatenate([reader.actions(segment) for segment in segments])
    assert np.array_equal(batch.actions_BT[0].numpy(), np.tile(ring, 3)[:20])
    assert batch.resets_BT is not None
    assert batch.resets_BT[0].nonzero().flatten().tolist() == [0, 3, 8, 9, 12, 17, 18]


def test_an_update_is_the_same_in_any_order_and_by_any_reader(reader: FilmReader) -> None:
    def batches() -> CarriedBatches:
        return CarriedBatches(reader, whole(reader), lanes=3, length=7, seed=5, reset_probability=0.3)

    forward, backward = batches(), batches()
    read = [forward.batch(update) for update in range(40)]
    for update in reversed(range(40)):
        assert equal(backward.batch(update), read[update])


def test_ranks_share_the_lanes(reader: FilmReader) -> None:
    def batches(rank: int, world: int) -> CarriedBatches:
        return CarriedBatches(reader, whole(reader), 4, 9, reset_probability=0.5, rank=rank, world=world)

    for update in range(20):
        alone = batches(0, 1).batch(update)
        for rank in range(2):
            part = batches(rank, 2).batch(update)
            assert torch.equal(part.cells_BTRC, alone.cells_BTRC[rank::2])
            assert part.resets_BT is not None
            assert alone.resets_BT is not None
            assert torch.equal(part.resets_BT, alone.resets_BT[rank::2])


def test_resets_come_at_the_asked_rate_and_at_chunk_starts(reader: FilmReader) -> None:
    batches = CarriedBatches(reader, [Segment(0, 0, 700)], lanes=10, length=7, reset_probability=0.25)
    resets = torch.stack([batch.resets_BT for u in range(1, 9) if (batch := batches.batch(u)).resets_BT is not None])
    assert not resets[:, :, 1:].any()
    assert 5 <= int(resets.sum()) <= 40


def test_lanes_that_do_not_divide_by_the_ranks_are_refused(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="5 lanes do not divide by 2 ranks"):
        CarriedBatches(reader, whole(reader), lanes=5, world=2)


def test_no_film_is_refused(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="no steps to learn from"):
        CarriedBatches(reader, [])
