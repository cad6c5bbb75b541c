"""memory_law: its lines, its sentence, and what its cells measure."""

import numpy as np
import pytest

from figures.memory_law.config import FIGURE, LawConfig, LawResult
from figures.memory_law.plot import law, laws, title
from figures.rows import Row, read_rows


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


def test_a_cell_has_a_name_of_its_own() -> None:
    row = Row(
        LawConfig(predictor="memory", steps=64), LawResult(nats=1, by_repo={}, keys=0, cpu_seconds=0), FIGURE.kind
    )
    assert row.key == "memory-t64-s0"
