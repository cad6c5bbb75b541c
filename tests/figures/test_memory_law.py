"""memory_law: its lines, its sentence, and what its cells measure."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from figures.cells import CellConfig
from figures.memory_law import measure
from figures.memory_law.config import FIGURE, LawConfig, LawResult
from figures.memory_law.plot import TRAINED, law, laws, seed_laws, title
from figures.rows import Row, read_rows
from training.analysis.carried import Stretch


def test_a_straight_line_in_log_log_is_found_again() -> None:
    points = {4**k: {repo: scale * 4.0 ** (-0.07 * k) for repo, scale in (("a", 2.0), ("b", 3.0))} for k in range(6)}
    found = law(points, 4, 4**4)
    assert (found.first, found.last) == (4, 256)
    assert found.exponent == pytest.approx(0.07)
    assert found.low == pytest.approx(0.07)
    assert found.r2 == pytest.approx(1.0)


def test_the_interval_is_over_repositories() -> None:
    points = {4**k: {"a": 2.0 * 4.0 ** (-0.02 * k), "b": 2.0 * 4.0 ** (-0.10 * k)} for k in range(6)}
    found = law(points, 1, 4**5)
    assert found.low == pytest.approx(0.02)
    assert found.high == pytest.approx(0.10)
    assert found.low < found.exponent < found.high


def test_the_sentence_says_what_the_rows_say() -> None:
    rows = read_rows(FIGURE.results, FIGURE.kind)
    found = laws(rows)
    assert f"T^-{found['counts'].exponent:.3f}" in title(rows)
    assert f"T^-{found['memory'].exponent:.3f}" in title(rows)
    text = (FIGURE.folder / "README.md").read_text()
    assert all(f"T^-{found[name].exponent:.3f}" in " ".join(text.split()) for name in ("counts", "memory"))
    assert title([]) == "Nats a key against the steps that are known"


def test_means_over_keys_and_over_repositories_agree_where_all_have_as_many_keys() -> None:
    for row in read_rows(FIGURE.results, FIGURE.kind):
        assert row.result.nats == pytest.approx(np.mean(list(row.result.by_repo.values())), abs=2e-3)
        assert len(row.result.by_repo) == 8


def test_weights_are_trained_once_a_seed_and_read_with_every_length(monkeypatch: pytest.MonkeyPatch) -> None:
    trainings, read_with = [], []

    def train(cell: CellConfig, seen: object) -> SimpleNamespace:
        trainings.append((cell.seed, cell.memory, seen))
        return SimpleNamespace()

    def follow(model: SimpleNamespace, *_: object) -> list[SimpleNamespace]:
        read_with.append(model.memory_steps)
        return [SimpleNamespace(losses_T=np.arange(8) / model.memory_steps)]

    monkeypatch.setattr(measure.learning, "trained", train)
    monkeypatch.setattr(measure.learning, "opened", lambda root: root)
    monkeypatch.setattr(measure, "follow", follow)
    reader = SimpleNamespace(streams=[SimpleNamespace(repo_id="o/r")])
    seen = measure.Film([(reader, [Stretch(0, 0, 4, 8)])], None, Path("film"))
    measure.trained.cache_clear()
    asked = [LawConfig(predictor="trained", steps=steps, seed=seed) for seed in (0, 1) for steps in (64, 256)]
    means = [5.5 / 64, 5.5 / 256]  # of the steps from the first scored one on
    assert [measure.measure(each, seen).by_repo["o/r"] for each in asked] == [*means, *means]
    early = [asked[-1].model_copy(update={"read": read}) for read in (1, 2)]
    assert [measure.measure(each, seen).nats for each in early] == [1 / 256, 2.5 / 256]
    measure.trained.cache_clear()
    assert trainings == [(0, 512, Path("film")), (1, 512, Path("film"))]
    assert read_with == [64, 256, 64, 256]  # every length once, whatever keys are asked for


def test_a_seed_counts_once_it_was_read_with_every_length() -> None:
    def rows(seed: int, lengths: tuple[int, ...]) -> list[Row]:
        results = [
            LawResult(nats=1, by_repo={"a": t**-0.05, "b": 2 * t**-0.05}, keys=1, cpu_seconds=0) for t in lengths
        ]
        configs = [LawConfig(predictor="trained", steps=t, seed=seed) for t in lengths]
        return [Row(config, result, FIGURE.kind) for config, result in zip(configs, results, strict=True)]

    found = seed_laws([*rows(1, TRAINED), *rows(2, TRAINED[:-1])])
    assert found.keys() == {1}
    assert found[1].exponent == pytest.approx(0.05)


def test_a_cell_has_a_name_of_its_own() -> None:
    row = Row(
        LawConfig(predictor="memory", steps=64), LawResult(nats=1, by_repo={}, keys=0, cpu_seconds=0), FIGURE.kind
    )
    assert row.key == "memory-t64-s0"
    assert FIGURE.kind.key(LawConfig(predictor="adapting", steps=1, read=512)) == "adapting-t1-read512-s0"
    keys = [FIGURE.kind.key(config) for config in FIGURE.cells()]
    assert len(set(keys)) == len(keys)
