"""A warehouse that the pipeline built: opened by its catalogue, its manifests read as they are needed."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.warehouse import catalogue, listing
from pipeline.warehouse.build import build
from schema.manifest import slug
from tests.pipeline.warehouse.films import write
from training.data import streams
from training.data import warehouse as module
from training.data.batches import Sampler, make_batch
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

NAMES = [f"o/{name}" for name in ("b", "B-2", "a.c", "é", "with space", "a", "a+b", "x@nano", ".dot", "~t", "z" * 180)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven streams, in segments and packs, some of them superseded."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as tiny:
        tiny.setattr(catalogue, "RECENT", 2)
        tiny.setattr(listing, "FIRST_STREAMS", 3)
        for number, name in enumerate(NAMES):
            write(folder, name, 2 + number % 3)
            if number % 4 == 3:
                build(folder)
        build(folder)
        write(folder, "o/b", 6)
        build(folder)
    return folder


@pytest.fixture
def without_catalogue(root: Path, tmp_path: Path) -> Path:
    """The same, of which every manifest has to be read."""
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "copy/actions.db").unlink()
    return tmp_path / "copy"


def test_the_catalogue_says_what_the_manifests_say(root: Path, without_catalogue: Path) -> None:
    found, wanted = Warehouse(root), Warehouse(without_catalogue)
    assert [s.repo_id for s in found.streams] == [s.repo_id for s in wanted.streams]
    assert [s.steps for s in found.streams] == [s.steps for s in wanted.streams] == found.streams.lengths.tolist()
    assert [(s.groups, s.digest) for s in found.streams] == [(s.groups, s.digest) for s in wanted.streams]
    assert (found.steps, found.episodes, found.geometry) == (wanted.steps, wanted.episodes, wanted.geometry)
    assert any(group.skip for stream in found.streams for group in stream.groups)


@pytest.mark.parametrize("slices", [-1, 64])
def test_rows_of_streams_that_changed_are_left_out_however_many_they_are(
    root: Path, monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    monkeypatch.setattr(streams, "SLICES", slices)
    found = Warehouse(root).streams
    assert sorted(stream.repo_id for stream in found) == sorted(NAMES)
    (steps,) = (stream.steps for stream in found if stream.repo_id == "o/b")
    assert steps == FilmReader(Warehouse(root, ["o/b"])).lengths[0] > max(found.lengths[found.lengths < steps])


def test_a_segment_may_have_no_row_of_a_table() -> None:
    none = pa.table({"repo_id": pa.array([], pa.string())})
    assert streams.without(none, pc.is_in(none.column("repo_id"), pa.array(["a"]))).num_rows == 0


def test_film_in_shared_row_groups_is_each_streams_own(root: Path, tmp_path: Path) -> None:
    reader = FilmReader(Warehouse(root))
    for number, stream in enumerate(reader.streams):
        write(
            tmp_path / str(number),
            stream.repo_id,
            6 if stream.repo_id == "o/b" else 2 + NAMES.index(stream.repo_id) % 3,
        )
        alone = FilmReader(Warehouse(tmp_path / str(number)))
        whole, wanted = reader.window(number, 0, stream.steps), alone.window(0, 0, stream.steps)
        np.testing.assert_array_equal(whole.cells_TRC, wanted.cells_TRC)
        np.testing.assert_array_equal(whole.action_T, wanted.action_T)


def test_opening_reads_no_manifest_and_a_batch_those_of_its_own_streams(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    parse = module.parse_manifest
    monkeypatch.setattr(module, "parse_manifest", lambda data, where: (parsed.append(where), parse(data, where))[1])
    reader = FilmReader(Warehouse(root))
    sampler = Sampler(reader.segments(16)[0]["train"], 16)
    assert parsed == []
    for rank in range(2):
        parsed.clear()
        reader = FilmReader(Warehouse(root))
        make_batch(reader, sampler, batch=4, step=0, rank=rank, world=2)
        drawn = {slug(reader.streams[stream].repo_id) for stream, _ in sampler.draw(0, 4)[rank::2]}
        assert {where.split("/")[-2] for where in parsed} == drawn


def test_film_harvested_since_the_last_build_is_there(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "w")
    build(tmp_path / "w")
    new, longer = write(tmp_path / "w", "o/new", 3).steps, write(tmp_path / "w", "o/a", 7).steps
    steps = {stream.repo_id: stream.steps for stream in Warehouse(tmp_path / "w").streams}
    assert (steps["o/new"], steps["o/a"], len(steps)) == (new, longer, len(NAMES) + 1)


def test_streams_are_numbered_by_their_folders(root: Path) -> None:
    names = [stream.repo_id for stream in Warehouse(root).streams]
    assert names == sorted(names, key=lambda name: f"{slug(name)}/")


def test_bytes_are_those_of_the_film_that_was_chosen(root: Path, tmp_path: Path) -> None:
    whole = Warehouse(root)
    files = {path: path.stat().st_size for path in root.rglob("*.steps.parquet") if "dataset" not in path.parts}
    assert 0 < whole.bytes <= sum(files.values())
    each = [Warehouse(root, [name]).bytes for name in NAMES]
    assert min(each) > 0
    assert sum(each) == pytest.approx(whole.bytes, abs=len(each))
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    write(copy, "o/b", 9)  # longer since the last build
    write(copy, "o/new", 2)
    grown = Warehouse(copy).bytes
    assert grown > whole.bytes
    (copy / "actions.db").unlink()
    assert Warehouse(copy).bytes == pytest.approx(grown, rel=0.05)  # a share of a pack moves with what else is in it
