"""Losses and accuracies on held-out film."""

import numpy as np
import pytest

from training.analysis.metrics import Predictions, sample_text, scores, unigram_loss


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
