"""Evaluation: memory lags, exact contexts, tables."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from schema.actions import Phase
from schema.errors import ConfigError
from tests.training.warehouse import COLS, ROWS, make_stream, write_warehouse
from training.analysis.evaluate import (
    by_phase,
    by_position,
    context_losses,
    evaluate,
    gain,
    in_window,
    spread_targets,
    tables,
)
from training.analysis.metrics import Predictions, sample_text, scores, unigram_loss
from training.analysis.word_lags import NEVER, NO_WORD, VISIBLE, by_lag, stored_word_lags, typed_words, word_lags
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.evaluate import main
from training.model.config import ModelConfig
from training.model.frame_model import FrameModel
from training.model.gradients import token_losses


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> FilmReader:
    return FilmReader(Warehouse(write_warehouse(tmp_path_factory.mktemp("w"), {"a/one": 600})))


def small_model(backbone: str = "lstm") -> FrameModel:
    torch.manual_seed(0)
    config = ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, backbone=backbone, matched=False)
    return FrameModel(config).double().eval()


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


@pytest.mark.parametrize("backbone", ["lstm", "transformer", "frame_only"])
def test_every_context_sees_exactly_its_frames(reader: FilmReader, backbone: str) -> None:
    model = small_model(backbone)
    targets = [(0, 70), (0, 40), (0, 41), (0, 300)]
    losses = context_losses(model, reader, targets, [1, 7, 32])
    for row, context in enumerate([1, 7, 32]):
        for column, (stream, step) in enumerate(targets):
            window = reader.window(stream, step - context + 1, context)
            with torch.no_grad():
                logits, _ = model(torch.from_numpy(window.cells_TRC)[None], reuse=False)
            slow = token_losses(logits[:, -1:], torch.from_numpy(window.action_T[None, -1:]))
            assert losses[row, column] == pytest.approx(float(slow), abs=1e-5)


def test_a_target_needs_its_context(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="fewer than 32 frames before it"):
        context_losses(small_model(), reader, [(0, 10)], [32])


def test_targets_are_spread_in_runs_with_room_before_them() -> None:
    targets = spread_targets([Segment(0, 100, 1000), Segment(1, 0, 20)], 64, longest=50, run=16)
    assert len(targets) == 64
    assert min(step for _, step in targets) >= 149
    assert max(step for _, step in targets) <= 999


def test_positions_double_and_phases_are_named() -> None:
    losses = np.arange(5, dtype=np.float32)[None]
    actions = np.zeros((1, 5), np.int64)
    phases = np.array([[0, 0, 3, 3, 3]], np.uint8)
    predictions = Predictions(losses, actions, actions, phases)
    assert by_position(predictions) == {"1": 0.0, "2": 1.0, "3-4": 2.5, "5": 4.0}
    assert by_phase(predictions) == {"shell": 0.5, "insert": 3.0}


def test_scores_count_bits_per_key_not_per_token() -> None:
    from training.data.tokenizer import Tokenizer

    tokenizer = Tokenizer([*(bytes([b]) for b in range(256)), b"abcd"])
    actions = np.array([[256, 65]])
    losses = np.full((1, 2), np.log(2) * 5, np.float32)
    predictions = Predictions(losses, actions, actions, np.zeros((1, 2), np.uint8))
    assert scores(predictions, tokenizer)["bits_per_key"] == pytest.approx(2.0)
    assert scores(predictions)["bits_per_key"] == pytest.approx(5.0)


def test_unigram_loss_is_the_entropy_of_a_uniform_split() -> None:
    keys = np.arange(4).repeat(1000)
    assert unigram_loss(keys, keys, 4) == pytest.approx(np.log(4), abs=1e-3)


def test_samples_show_real_keys_above_the_models() -> None:
    actions, predicted = np.array([[97, 13]]), np.array([[97, 98]])
    predictions = Predictions(np.zeros((1, 2), np.float32), predicted, actions, np.zeros((1, 2), np.uint8))
    real, guess = sample_text(predictions).splitlines()
    assert real == "real   a <CR>"
    assert guess.startswith("model  . b")


def test_evaluation_gives_every_table_for_every_model(reader: FilmReader) -> None:
    models = {name: small_model(name).float() for name in ("lstm", "frame_only")}
    result = evaluate(models, reader, "validation", window=20, count=2)
    assert set(result["models"]) == {"lstm", "frame_only"}
    assert sum(count for _, count in result["models"]["lstm"]["by_lag"].values()) > 0
    text = tables(result)
    assert "steps since the typed word was on screen" in text
    assert "frame-only" in text


def test_a_word_counts_as_in_the_window_only_if_it_was_last_seen_there() -> None:
    lags = np.array([[NO_WORD, 0, 0, NO_WORD, 3, 3, NO_WORD, 8, 8, NEVER]], np.int32)
    expected = [[False, True, True, False, True, True, False, False, False, False]]
    np.testing.assert_array_equal(in_window(lags), expected)
    np.testing.assert_array_equal(in_window(lags[:, 5:]), [[False, False, False, False, False]])


def test_gains_are_paired_and_their_interval_is_over_windows() -> None:
    random = np.random.default_rng(0)
    base = random.normal(3, 1, (40, 16)).astype(np.float32)
    losses = base - random.normal(0.2, 0.1, (40, 1)).astype(np.float32)
    where = np.ones(base.shape, bool)
    found = gain(base, losses, where)
    assert found is not None
    mean, low, high = found
    assert mean == pytest.approx(float((base - losses).mean()), abs=1e-6)
    assert low < mean < high
    assert 0.02 < high - low < 0.12  # 4 x 0.1 / sqrt(40)
    assert gain(base, losses, ~where) is None


def test_gains_part_what_the_window_holds_from_what_it_does_not(reader: FilmReader) -> None:
    models = {name: small_model(name).float() for name in ("lstm", "frame_only")}
    result = evaluate(models, reader, "validation", window=20, count=2)
    parts = result["models"]["lstm"]["gain"]
    assert {"all", "no word"} <= parts.keys()
    assert "gain" not in result["models"]["frame_only"]
    assert "nats below frame-only [95 %]" in tables(result)


def test_a_longer_window_does_not_reach_into_what_was_learned(reader: FilmReader) -> None:
    """60 of 600 steps are held out; a window of 50 would otherwise take the split of windows of 50."""
    models = {"lstm": small_model().float()}
    assert evaluate(models, reader, "validation", window=50, count=9, split_window=20)["windows"] == 1
    with pytest.raises(ConfigError, match="window of 90 steps, but the longest stream of this split has 60"):
        evaluate(models, reader, "validation", window=90, count=9, split_window=20)


def test_a_split_without_film_says_so(reader: FilmReader) -> None:
    with pytest.raises(ConfigError, match="no test film"):
        evaluate({"lstm": small_model().float()}, reader, "test", window=20, count=2)


def saved(folder: Path, root: Path, model: FrameModel, **settings: object) -> Path:
    from training.loop.config import FitConfig
    from training.model.weights import save_weights

    config = FitConfig.model_validate({"shards": str(root), "window": 16, **settings})
    name = f"models/{model.config.backbone}.safetensors"
    save_weights(folder / name, model, {"run": config.model_dump_json()})
    return folder


def test_the_command_line_compares_runs_on_one_film(
    reader: FilmReader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(reader.warehouse.root)
    one = saved(tmp_path / "one", root, small_model("lstm"))
    saved(one, root, small_model("frame_only"))
    two = saved(tmp_path / "two", root, small_model("transformer"))
    assert main([str(one), str(two), "--windows", "3", "--json"]) == 0
    out = capsys.readouterr().out
    assert "a/one" in out
    assert set(json.loads(out.splitlines()[-1])["models"]) == {"lstm", "frame_only", "transformer"}
    assert (one / "evaluation.json").exists()


def test_runs_that_do_not_fit_the_film_are_refused(
    reader: FilmReader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(reader.warehouse.root)
    good = saved(tmp_path / "good", root, small_model())
    wide = FrameModel(ModelConfig(rows=ROWS, cols=2 * COLS, width=16, heads=2))
    words = FrameModel(ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, vocabulary=300))
    few = FrameModel(ModelConfig(rows=ROWS, cols=COLS, width=16, heads=2, max_code_point=128))
    for runs, complaint in (
        ([saved(tmp_path / "wide", root, wide)], "film at 8x24, lstm reads 8x48; harvest at that size"),
        ([saved(tmp_path / "words", root, words)], "trained on 300 tokens"),
        ([good, saved(tmp_path / "few", root, few)], "reads other code points"),
        ([good, saved(tmp_path / "other", root, small_model(), repo=["a/one"])], "trained on other repositories"),
    ):
        assert main([str(run) for run in runs]) == 2
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1
    assert main([str(good), "--windows", "0"]) == 2


def test_a_missing_run_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "no finished run; train one: python -m training.fit" in capsys.readouterr().err
