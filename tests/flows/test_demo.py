"""What the demo says at its end, and that it ends with the program it runs."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flows.demo import verdict
from tests.flows.harvesting import Endless

LOSSES: dict[str, Any] = {
    "steps": 90_000, "loss_last": 1.5, "loss_unigram": 3.0, "loss_counts": 1.7, "loss_frame_only": 1.6,
    "loss_keys_only": 1.9,
}  # fmt: skip


def test_a_model_that_is_better_than_every_baseline_is_said_to_be() -> None:
    assert verdict(LOSSES) == (
        "The model beat every baseline: 1.500 nats a step on the validation split; "
        "unigram 3.000, counts of keys 1.700, frame-only 1.600, keys-only 1.900."
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss_counts": 1.5}, "did NOT beat counts of keys: 1.500 nats"),
        ({"loss_counts": 1.4, "loss_keys_only": 1.2}, "did NOT beat counts of keys and keys-only: 1.500 nats"),
        ({"loss_last": 2.0, "loss_keys_only": None}, "did NOT beat counts of keys and frame-only: 2.000 nats"),
        ({"loss_frame_only": 1.0}, "Longer training helps: --minutes 10."),
        ({"loss_frame_only": 1.0, "steps": 4_000}, "This history is small: 4,000 steps are little to learn from"),
    ],
)
def test_a_baseline_that_is_not_beaten_is_named_with_what_helps(change: dict[str, Any], words: str) -> None:
    assert words in verdict({**LOSSES, **change})


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_with_the_one_line_of_its_program(tmp_path: Path, kind: int) -> None:
    run = Endless(tmp_path)
    run.command = [sys.executable, "-m", "flows.demo", "--repo", run.hub.url("o/silent"), "--warehouse", "warehouse"]
    with run.started() as process:
        while not any(" fetch " in command for command in run.processes()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        if kind == signal.SIGINT:
            os.killpg(process.pid, kind)
        else:
            process.terminate()
        out, err = process.communicate()
    assert (process.returncode, err.count("\n")) == (130, 1)
    assert err.startswith("interrupted")
    assert out.splitlines()[-1].startswith("$ python -m flows.harvest")
    run.wait_until_no_process_is_left()
