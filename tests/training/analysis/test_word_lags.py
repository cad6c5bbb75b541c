"""Word lags: equal to a search through every screen."""

from pathlib import Path

import numpy as np

from schema.actions import Phase
from tests.training.warehouse import make_stream
from training.analysis.word_lags import NEVER, NO_WORD, VISIBLE, by_lag, stored_word_lags, typed_words, word_lags
from training.data.windows import FilmReader


def slow_lags(steps: int) -> np.ndarray:
    """Look back through every screen for each typed word."""
    import re

    rows = make_stream(steps).to_pylist()
    keys = bytes(row["action"] for row in rows)
    lags = np.full(steps, NO_WORD)
    for match in re.finditer(rb"[A-Za-z0-9_]{3,}", keys):
        start, word = match.start(), match.group().decode()
        seen = [t for t in range(start + 1) if any(word in re.findall(r"\w{3,}", r) for r in rows[t]["frame"])]
        lags[start : match.end()] = start - seen[-1] if seen else NEVER
    return lags


def test_lags_equal_a_search_through_every_screen(reader: FilmReader) -> None:
    lags = word_lags(reader, 0)
    np.testing.assert_array_equal(lags, slow_lags(600))
    assert {NO_WORD, NEVER, VISIBLE} <= set(lags.tolist())


def test_lags_are_kept_beside_the_film(reader: FilmReader) -> None:
    first = stored_word_lags(reader, 0)
    name = f"a+one-{reader.streams[0].digest}.parquet"
    assert (Path(reader.warehouse.root) / "memory" / name).exists()
    np.testing.assert_array_equal(stored_word_lags(reader, 0), first)


def test_typed_words_end_where_the_phase_changes() -> None:
    phases = np.array([Phase.MOTION] * 3 + [Phase.INSERT] * 7, np.uint8)
    assert list(typed_words(b"abcdef ghi", phases)) == [(3, b"def"), (7, b"ghi")]


def test_losses_are_averaged_by_lag() -> None:
    table = by_lag(np.array([1.0, 2.0, 4.0, 8.0]), np.array([NEVER, 5, 10, NO_WORD], np.int32))
    assert table == {"never": (1.0, 1), "1-10": (3.0, 2)}
