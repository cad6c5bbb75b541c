"""What a run says at its end."""

from training.loop.report import verdict


def test_the_verdict_is_plain() -> None:
    assert verdict(2.0, 3.0, 2.5, "lstm").startswith("lstm (2.000 nats a step) beat unigram (3.000) and frame-only")
    assert "did NOT beat frame-only (1.500)" in verdict(2.0, 3.0, 1.5, "lstm")
