"""The benchmark of many streams, with few: its film is whole, and every figure is there."""

import json
from pathlib import Path

import pytest

from benchmarks.catalogue import main, make
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse.build import build
from pipeline.warehouse.verify import verify


def test_made_streams_are_film_that_their_keys_draw(tmp_path: Path) -> None:
    make(Store(tmp_path), 7)
    build(tmp_path)
    found = verify(Store(tmp_path), list(manifests(Store(tmp_path))), sample=1)
    assert (found.streams, found.wrong) == (7, [])


def test_every_figure_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--streams", "9", "--repeats", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"register_growth", "one_repository_growth", "open_growth", "files", "build_seconds"} <= figures.keys()
    assert figures["streams"] == 9
