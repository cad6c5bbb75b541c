"""The benchmark of tiny repositories, with few: all are filmed, and every figure is there."""

import json

import pytest

from benchmarks.tiny import main


@pytest.mark.server
def test_every_figure_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--repositories", "3", "--commits", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["repositories"] == 3
    assert 0 < figures["own_cpu_per_repository"] < figures["cpu_per_repository"]
    assert {"engine_cpu_per_repository", "engine_cpu_per_further_repository", "start_cpu"} <= figures.keys()
