"""The decoding benchmark runs and measures the same frames every way."""

from pathlib import Path

from benchmarks.decode import measure, synthetic
from pipeline.shards.manifest import manifests
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from schema.geometry import Geometry


def test_synthetic_film_is_measured(tmp_path: Path) -> None:
    synthetic(str(tmp_path), Geometry(8, 40), 2_000)
    store = Store(tmp_path)
    (stream,) = manifests(store)
    found = measure(StreamReader(store, stream), groups=1, repeats=1)
    assert found["frames"] == stream.steps == 2_000
    assert all(value > 0 for value in found.values())
