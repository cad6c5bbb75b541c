"""What a run says at its end."""

from training.loop.report import verdict


def test_the_verdict_is_plain() -> None:
    others = {"unigram": 3.0, "order-4 counts": 2.8, "frame-only": 2.5}
    beat = "lstm (2.000 nats a step) beat unigram (3.000), order-4 counts (2.800) and frame-only (2.500) on held-out"
    assert verdict(2.0, others, "lstm").startswith(beat)
    assert "did NOT beat order-4 counts (2.800) nor frame-only (2.500) on" in verdict(2.9, others, "lstm")
    assert verdict(2.0, {"unigram": 3.0}, "lstm") == "lstm (2.000 nats a step) beat unigram (3.000) on held-out film"
