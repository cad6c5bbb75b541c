"""Batches: uniform starts, deterministic draws, a loader that goes on where it was told to."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training.data.batches
from schema.errors import ConfigError
from training.data.batches import Loader, Sampler, make_batch
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader


def test_the_example_at_the_top_of_the_module_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (training.data.batches.__doc__ or "").splitlines()
    example = [line.removeprefix("    ") for line in lines if line.startswith("    ")]
    assert len(example) > 3
    (tmp_path / "warehouse").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"FilmReader": FilmReader, "Warehouse": Warehouse, "Loader": Loader, "Sampler": Sampler}
    exec("\n".join(example), names)
    assert names["batch"].cells_BTRC.shape == (8, 128, *names["reader"].geometry)


def test_starts_are_uniform_over_valid_starts_and_short_streams_counted() -> None:
    sampler = Sampler([Segment(0, 0, 10), Segment(1, 5, 8), Segment(2, 3, 9)], window=4)
    assert sampler.skipped == 1
    assert [sampler.place(n) for n in range(sampler.starts)] == [
        *[(0, s) for s in range(7)],
        *[(2, s) for s in range(3, 6)],
    ]


def test_draws_depend_on_seed_and_step_alone() -> None:
    segments = [Segment(0, 0, 10_000)]
    assert Sampler(segments, 16, seed=3).draw(7, 4) == Sampler(segments, 16, seed=3).draw(7, 4)
    assert Sampler(segments, 16, seed=3).draw(7, 4) != Sampler(segments, 16, seed=4).draw(7, 4)
    assert Sampler(segments, 16, seed=3).draw(7, 4) != Sampler(segments, 16, seed=3).draw(8, 4)


def test_ranks_share_out_the_global_batch(reader: FilmReader) -> None:
    sampler = Sampler([Segment(0, 0, 1000)], 8, seed=1)
    whole = make_batch(reader, sampler, 6, step=2).actions_BT
    for rank in range(2):
        mine = make_batch(reader, sampler, 6, 2, rank, 2).actions_BT
        np.testing.assert_array_equal(mine, whole[rank::2])


def test_the_loader_gives_steps_in_order_from_its_cursor(reader: FilmReader) -> None:
    sampler = Sampler([Segment(0, 0, 1000)], 8, seed=1)
    with Loader(reader, sampler, 4, first_step=5) as loader:
        batches = [batch for batch, _ in zip(loader, range(3), strict=False)]
    assert [batch.step for batch in batches] == [5, 6, 7]
    np.testing.assert_array_equal(batches[1].cells_BTRC, make_batch(reader, sampler, 4, 6).cells_BTRC)


def test_the_loader_hands_on_what_goes_wrong(reader: FilmReader) -> None:
    outside = Sampler([Segment(0, 0, 5000)], 4000)
    with Loader(reader, outside, 4) as loader, pytest.raises(IndexError):
        next(iter(loader))


def test_a_batch_must_divide_by_the_ranks(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="batch 5 does not divide by 2 ranks; use --batch 4"):
        Loader(reader, Sampler([Segment(0, 0, 1000)], 8), 5, world=2)


def test_validation_windows_do_not_overlap_where_there_is_room() -> None:
    places = Sampler([Segment(0, 900, 1000)], 10).spread(24)
    starts = [start for _, start in places]
    assert starts == sorted(starts)
    assert min(np.diff(starts)) >= 10


def test_a_window_longer_than_every_stream_is_refused(reader: FilmReader) -> None:
    segments, _ = reader.segments(5000)
    with pytest.raises(ConfigError, match=r"window of 5000 steps, .* longest stream of this split has 1000"):
        Sampler(segments["train"], 5000)
