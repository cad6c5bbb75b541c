"""The figures on film: their cells' names, what they compute from rows, and one cell measured on made film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from figures.cells import CELLS, CONTEXTS, FURTHER, CellConfig, CellResult, cell_key, change
from figures.corpus import further, read_corpus
from figures.film_rows import FILM, interval
from figures.known_law.plot import ideal_recall
from figures.learning import Film, corpus, first_steps, measure
from figures.length_law.plot import EQUAL_FRAMES, EQUAL_WINDOWS, MOVES, enough, line, moved, verdict
from figures.rows import ROOT, Row, append_row, read_rows
from figures.wall_time.plot import at_seconds
from pipeline.crawl.licence import PERMISSIVE
from pipeline.example import make_example
from pipeline.harvester import HarvestConfig, harvest_repository
from schema.config import ReplayConfig
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.tasks.frozen_head import FilmConfig, FilmResult, doubling_marks


def result(nats: float = 1.5, **changes: object) -> CellResult:
    own: dict[str, object] = {
        "nats": nats, "by_repo": {"a/b": nats - 0.1, "c+d.js": nats + 0.1}, "right": 0.6,
        "context": {steps: nats + 1 / steps for steps in CONTEXTS}, "context_carried": nats, "validation": nats,
        "curve": {10: 3.0, 100: 2.0}, "frames": 1000, "film_steps": 500, "parameters": 7, "state_bytes": 8,
        "seconds": {10: 1.0, 100: 100.0}, "cpu_seconds": 120.5,
    }  # fmt: skip
    return CellResult.model_validate(own | changes)


def recall_row(seed: int) -> Row:
    config = FilmConfig(
        film="recall", model="lstm", layers=1, width=48, length=8, batch=4, rate=0.01, updates=600, marks=(5, 7),
        seed=seed,
    )  # fmt: skip
    marks = doubling_marks(600)
    found = {
        "digest": "none", "parameters": 1, "state_bytes": 2, "frames": 3, "loss": 0.1 + 0.2, "validation": 2.5,
        "accuracy": 0.4, "by_stream": {"a/b": 1.5, "c/d.js": 2.5}, "by_lag": {4: 1.0}, "lag_counts": {1: 5, 4: 5},
        "by_place": {1: 4.0}, "curve": dict.fromkeys(marks, 2.0), "undertrained": False,
        "seconds": dict.fromkeys(marks, 1.0), "cpu_seconds": 9.0,
    }  # fmt: skip
    return Row(config, FilmResult.model_validate(found), FILM)


def test_rows_survive_the_csv(tmp_path: Path) -> None:
    film, cells = (
        [recall_row(0), recall_row(1)],
        [Row(CellConfig(seed=seed), result(0.1 + 0.2), CELLS) for seed in (0, 1)],
    )
    for rows, kind in ((film, FILM), (cells, CELLS)):
        path = tmp_path / f"{kind.config.__name__}.csv"
        for row in rows:
            append_row(path, row)
        assert read_rows(path, kind) == rows


def test_a_cell_is_named_by_what_differs_from_the_base() -> None:
    assert cell_key(CellConfig()) == "base-s0"
    assert cell_key(CellConfig(window=16, batch=4, carried=False, seed=3)) == "t16-b4-windows-s3"
    assert cell_key(CellConfig(backbone="mamba2", layers=2, memory=512)) == "mamba2-l2-memory512-s0"
    assert cell_key(CellConfig(head="published", previous_key=False)) == "published head-no previous key-s0"


def test_a_change_is_counted_repository_by_repository() -> None:
    base, other = result(1.5), result(1.4, by_repo={"a/b": 1.1, "c+d.js": 1.7})
    mean, low, high = change(other, base)
    assert (mean, low, high) == pytest.approx((-0.1, -0.3, 0.1))


def test_a_law_of_windows_is_found_and_said() -> None:
    def falling(config: CellConfig) -> Row:
        nats = 2.0 * config.window**-0.1
        return Row(config, result(nats, by_repo={"a": nats, "b": nats}), CELLS)

    rows = [falling(config) for config in dict.fromkeys([*EQUAL_FRAMES, *EQUAL_WINDOWS])]
    assert "T^-0.100 [0.100, 0.100] from T = 4 to 256" in verdict(rows)
    assert line({config.window: falling(config).result for config in EQUAL_FRAMES}).exponent == pytest.approx(0.1)


def test_enough_steps_are_the_fewest_that_are_as_good_as_all() -> None:
    assert enough(result(context={1: 2.0, 4: 1.52, 16: 1.505, 64: 1.5, 256: 1.5})) == 16
    assert enough(result(context=dict.fromkeys(CONTEXTS, 2.0))) == 256


def test_what_was_tried_to_move_the_state_stands_in_the_verdict_and_in_a_table() -> None:
    rows = [Row(config, result(), CELLS) for config in dict.fromkeys([*EQUAL_FRAMES, *EQUAL_WINDOWS])]
    assert "might move" not in verdict(rows)
    near = {1: 2.0, 4: 1.505, 16: 1.5, 64: 1.5, 256: 1.5}
    rows += [Row(CellConfig(), result(), CELLS), Row(MOVES["width 512"], result(context=near), CELLS)]
    assert verdict(rows).endswith(" 1 changes that might move that leave it at 4.")
    assert "| width 512 | 1.500 | +0.005 | +0.000 | +0.000 | +0.000 | 4 |" in moved(rows)


def test_more_film_is_of_other_repositories_to_learn_from_alone() -> None:
    own, more = further(read_corpus()), corpus(more=True)
    assert corpus() == own
    assert more.of("train")[:7] == own.of("train")
    assert (more.of("validation"), more.of("test")) == (own.of("validation"), own.of("test"))
    assert len({repository.name for repository in more.repository}) == len(more.repository)
    assert {repository.licence for repository in more.repository} <= set(PERMISSIVE)
    base = next(row for row in read_rows(ROOT / "learner" / "results.csv", CELLS) if row.key == "base-s0")
    others = sum(repository.steps or 0 for repository in more.of("train")[7:])
    assert base.result.film_steps // 1000 == FURTHER
    assert others + base.result.film_steps > 30_000_000


def test_a_curve_is_read_between_its_points() -> None:
    assert at_seconds(result(), 10.0) == pytest.approx(2.5)  # half way, in log time
    assert at_seconds(result(), 500.0) == 2.0


def test_ideal_recall_by_hand() -> None:
    assert ideal_recall([4, 8], {1: 5, 4: 5}, 8) == [pytest.approx(np.log(8) / 2), 0.0]


def test_the_interval_covers_seeds_and_streams() -> None:
    rng = np.random.default_rng(0)
    losses = 2.0 + 0.1 * rng.standard_normal((5, 4))
    low, high = interval([losses], lambda means: means[0])
    assert losses.min() < low < losses.mean() < high < losses.max()
    constant = np.full((3, 2), 1.5)
    low, high = interval([constant, constant + 1], lambda means: means[1] - means[0])
    assert (low, high) == (1.0, 1.0)


def test_the_first_steps_are_the_same_share_of_every_stream() -> None:
    whole = [Segment(0, 0, 300), Segment(2, 100, 200)]
    assert first_steps(whole, 0) == whole
    assert first_steps(whole, 10_000) == whole
    assert first_steps(whole, 40) == [Segment(0, 0, 30), Segment(2, 100, 110)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    folder = tmp_path_factory.mktemp("film")
    replay = ReplayConfig.model_validate({"rows": 12, "cols": 40})
    config = HarvestConfig(warehouse=str(folder / "warehouse"), replay=replay, allow_unknown_licence=True)
    for seed in range(3):
        harvest_repository(str(make_example(folder / f"made{seed}", 12, seed)), config)
    reader = FilmReader(Warehouse(str(folder / "warehouse")))
    learned, choosing, test = ([Segment(n, 0, length)] for n, length in enumerate(reader.lengths))
    return Film(reader, learned, choosing, test)


@pytest.mark.parametrize(
    "config",
    [
        CellConfig(width=16, batch=4, updates=8),
        CellConfig(width=16, batch=4, updates=8, carried=False, film=1, chrono=64),
        CellConfig(width=32, batch=2, window=64, updates=4, carried=False, backbone="transformer", layers=2),
    ],
    ids=cell_key,
)
def test_a_cell_is_measured_and_measured_again_the_same(film: Film, config: CellConfig) -> None:
    first, again = measure(config, film), measure(config, film)
    assert [getattr(first, name) for name in CELLS.metrics if name != "right"] == [
        getattr(again, name) for name in CELLS.metrics if name != "right"
    ]
    assert 0 < first.nats < 6
    assert set(first.context) == set(CONTEXTS)
    assert first.frames == config.updates * config.batch * config.window
    assert max(first.curve) == config.updates
