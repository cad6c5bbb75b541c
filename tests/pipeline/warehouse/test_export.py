"""Film that travels: a dataset folder that others open without a list of files, and that comes back to the byte."""

import json
import shutil
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset as pads
import pytest

from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.shards import manifest
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse.__main__ import main
from pipeline.warehouse.build import build
from pipeline.warehouse.compact import compact
from pipeline.warehouse.splits import write_registry
from pipeline.watch.recording import RecordedStep, screens
from pipeline.watch.stored import find_recording
from schema.manifest import Manifest, slug
from tests.pipeline.warehouse.films import write
from tests.repositories import make_repository

REPOS = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four repositories, of every split."""
    folder = tmp_path_factory.mktemp("export")
    for number, name in enumerate(REPOS):
        made = make_repository(folder / name, {"a.txt": b"%d\n" % number}, {"a.txt": b"x\n", "b.bin": b"\0"})
        harvest_repository(str(made), HarvestConfig(warehouse=str(folder / "w")))
    build(folder / "w")
    return folder / "w"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def lists(warehouse: Path) -> dict[str, bytes]:
    return {stream.repo_id: stream.dump() for stream in manifests(Store(warehouse))}


def split_of(warehouse: Path) -> dict[str, str]:
    return dict(duckdb_rows(warehouse, "SELECT repo_id, split"))


def duckdb_rows(warehouse: Path, select: str) -> list[tuple[str, ...]]:
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as db:
        return db.execute(f"{select} FROM repositories").fetchall()


def held_files(warehouse: Path) -> dict[str, bytes]:
    """What a warehouse holds, but for its locks, which hold nothing."""
    files = (path for path in warehouse.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(warehouse)): path.read_bytes() for path in files if path.stat().st_size}


def film(warehouse: Path, repo: str) -> list[RecordedStep]:
    return list(screens(find_recording(warehouse, repo, 0)))


def test_film_comes_back_to_the_byte_with_its_splits(warehouse: Path, tmp_path: Path) -> None:
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")  # as sent to somebody
    assert run("import", tmp_path / "elsewhere", "--warehouse", tmp_path / "w") == 0
    assert lists(tmp_path / "w") == lists(warehouse)
    for name in ("splits.json", *(f"shards/{repo}/stream.json" for repo in REPOS)):
        assert (tmp_path / "w" / name).read_bytes() == (warehouse / name).read_bytes()
    for repo in REPOS:
        assert list(screens(find_recording(tmp_path / "w", repo, 0))) == list(
            screens(find_recording(warehouse, repo, 0))
        )
    assert run("verify", "--sample", 0, "--warehouse", tmp_path / "w") == 0
    assert run("import", tmp_path / "elsewhere", "--warehouse", tmp_path / "w") == 0  # again: nothing changes


def test_every_reader_opens_the_folder_as_its_card_says(warehouse: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("export", out, "--warehouse", warehouse) == 0
    yaml = pytest.importorskip("yaml")
    head = yaml.safe_load((out / "README.md").read_text().split("---")[1])
    steps = next(config for config in head["configs"] if config["config_name"] == "steps")
    splits = {part["split"]: part["path"] for part in steps["data_files"]}
    total = sum(stream.steps for stream in manifests(Store(warehouse)))
    assert set(splits) == {"train", "validation", "test"}
    assert sum(polars.scan_parquet(out / path).collect().height for path in splits.values()) == total
    assert pads.dataset(out / "data/steps", format="parquet").count_rows() == total
    assert duckdb.sql(f"SELECT count(*) FROM '{out}/data/steps/**/*.parquet'").fetchall() == [(total,)]
    for repo in REPOS:
        assert f"| {repo} |" in (out / "LICENCES.md").read_text()


def test_hugging_faces_library_streams_it(warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    film = datasets.load_dataset(
        str(tmp_path / "out"), "steps", split="train", streaming=True, cache_dir=tmp_path / "cache"
    )
    first = next(iter(film))
    assert first["stream_step"] == 0
    assert first["frame"][0] == "$"
    assert len(first["frame"]) == 24


def test_a_part_is_chosen_by_split_and_by_repository(warehouse: Path, tmp_path: Path) -> None:
    splits = json.loads((warehouse / "splits.json").read_text())["splits"]
    assert run("export", tmp_path / "a", "--split", "test", "--warehouse", warehouse) == 0
    found = {path.stem for path in (tmp_path / "a/manifests").iterdir()}
    assert found == {repo for repo, split in splits.items() if split == "test"}
    assert run("export", tmp_path / "b", "--repo", "two", "--repo", "four", "--warehouse", warehouse) == 0
    assert {path.stem for path in (tmp_path / "b/manifests").iterdir()} == {"two", "four"}


def test_copies_that_stay_out_are_counted_and_lead_to_what_they_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, family in (("big", "f"), ("small", "f"), ("other", "g")):
        write(tmp_path / "w", name, 2, family)
    build(tmp_path / "w")
    table = {row[0]: row[1:] for row in duckdb_rows(tmp_path / "w", "SELECT repo_id, duplicate_of, split")}
    assert [table[name][0] for name in ("big", "small", "other")] == [None, "big", None]
    capsys.readouterr()
    assert run("export", tmp_path / "all", "--warehouse", tmp_path / "w") == 0
    said = capsys.readouterr().out
    assert "2 streams" in said
    assert "copies of other streams that stayed out: 1; list them" in said
    assert f"duckdb {tmp_path}/w/actions.db" in said
    assert run("export", tmp_path / "part", "--split", table["other"][1], "--warehouse", tmp_path / "w") == 0
    assert "stayed out" not in capsys.readouterr().out
    refused = {
        ("--repo", "small"): "--repo small: is a copy of big, and copies stay out; export that: --repo big",
        ("--repo", "none"): '"SELECT repo_id, split, steps, duplicate_of FROM repositories"',
        ("--repo", "other", "--repo", "big", "--split", table["big"][1]): "--repo other: has no film in split",
    }
    for arguments, error in refused.items():
        assert run("export", tmp_path / "new", *arguments, "--warehouse", tmp_path / "w") == 2
        assert error in capsys.readouterr().err
        assert not (tmp_path / "new").exists()


def test_packed_film_travels_out_of_its_packs(warehouse: Path, tmp_path: Path) -> None:
    shutil.copytree(warehouse, tmp_path / "packed")
    compact(Store(tmp_path / "packed"), 1 << 20)
    build(tmp_path / "packed")
    assert any(
        ref.path.startswith("packs/") for stream in manifests(Store(tmp_path / "packed")) for ref in stream.files()
    )
    assert run("export", tmp_path / "out", "--warehouse", tmp_path / "packed") == 0
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 0
    for repo in REPOS:
        assert list(screens(find_recording(tmp_path / "w", repo, 0))) == list(
            screens(find_recording(warehouse, repo, 0))
        )
    assert run("verify", "--sample", 0, "--warehouse", tmp_path / "w") == 0


def test_film_that_was_packed_since_is_imported_again_for_nothing(warehouse: Path, tmp_path: Path) -> None:
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 0
    compact(Store(tmp_path / "w"), 1 << 20)
    build(tmp_path / "w")
    before = lists(tmp_path / "w")
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 0
    assert lists(tmp_path / "w") == before


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "list"])
def test_what_was_damaged_on_the_way_is_refused_whole(
    warehouse: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other stream is whole, and still nothing of the folder is taken in, nor any file left behind."""
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    file = max((tmp_path / "out/data/steps").rglob("*.parquet"), key=lambda path: path.name)
    if damage == "list":
        (tmp_path / "out/manifests/two.json").write_text("{")
    elif damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + (b"?" if damage == "changed" else b""))
    capsys.readouterr()
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "copy the folder again" in error
    assert "remove" not in error
    assert "harvest" not in error
    assert not (tmp_path / "w").exists()


def test_a_build_between_two_imports_keeps_the_splits_that_film_had(
    warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import is stopped when it has published two streams of four."""
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    published = []

    def publish_two(store: Store, stream: Manifest) -> None:
        if len(published) == 2:
            raise KeyboardInterrupt
        published.append(stream.repo_id)
        manifest.publish(store, stream)

    monkeypatch.setattr("pipeline.warehouse.export.publish", publish_two)
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 130
    monkeypatch.undo()
    assert run("build", "--warehouse", tmp_path / "w") == 0
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 0
    assert lists(tmp_path / "w") == lists(warehouse)
    assert (tmp_path / "w/splits.json").read_bytes() == (warehouse / "splits.json").read_bytes()
    assert split_of(tmp_path / "w") == split_of(warehouse)


def test_film_that_is_there_in_another_split_is_refused(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repo = next(repo for repo, split in sorted(split_of(warehouse).items()) if split != "train")
    made = tmp_path / "w"
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    assert run("export", tmp_path / "alone", "--repo", repo, "--warehouse", warehouse) == 0
    shutil.copytree(tmp_path / "alone", tmp_path / "otherwise")
    path = tmp_path / f"otherwise/manifests/{repo}.json"
    path.write_text(path.read_text().replace(f'"split": "{split_of(warehouse)[repo]}"', '"split": "train"'))
    assert run("import", tmp_path / "otherwise", "--warehouse", made) == 0
    before = lists(made), split_of(made)
    capsys.readouterr()
    assert run("import", tmp_path / "out", "--warehouse", made) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in (repo, "train", split_of(warehouse)[repo], f"import {tmp_path / 'out'} --warehouse OTHER"):
        assert word in error
    assert (lists(made), split_of(made)) == before


def exported_as(split: str, warehouse: Path, repo: str, out: Path) -> None:
    """Export one stream, and say that it was of this split."""
    assert run("export", out, "--repo", repo, "--warehouse", warehouse) == 0
    path = out / f"manifests/{slug(repo)}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"split": split}))


@pytest.mark.parametrize("state", ["built", "unbuilt", "filmed since", "without a database", "folded"])
def test_a_fork_in_another_split_than_its_family_is_refused(
    tmp_path: Path, state: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained on one of two forks, a model would be evaluated on the other."""
    if state == "folded":  # more than one stream that is registered lies in a segment
        write(tmp_path / "w", "o/other", 3)
        monkeypatch.setattr("pipeline.warehouse.catalogue.RECENT", 1)
    write(tmp_path / "a", "o/fork", 2, "f")
    build(tmp_path / "a")
    exported_as("test", tmp_path / "a", "o/fork", tmp_path / "out")
    exported_as("train", tmp_path / "a", "o/fork", tmp_path / "same")
    made = tmp_path / "w"
    write(made, "o/first", 3, "g" if state == "filmed since" else "f")
    if state == "filmed since":  # its split was given with another root
        build(made)
        shutil.rmtree(made / "shards")
        write(made, "o/first", 3, "f")
    elif state != "unbuilt":
        build(made)
    if state == "without a database":
        (made / "actions.db").unlink()
    if state == "unbuilt":
        write_registry(Store(made), {"o/first": "train"})
    before = held_files(made)
    capsys.readouterr()
    assert run("import", tmp_path / "out", "--warehouse", made) == 2
    assert capsys.readouterr().err == (
        f"gitreel: {made}: o/first is in split train there, and o/fork, which has the same history, in split test in "
        f"{tmp_path}/out, and a family has one split; nothing was taken in; import into another --warehouse: "
        f"python -m pipeline.warehouse import {tmp_path}/out --warehouse OTHER\n"
    )
    assert held_files(made) == before
    assert run("import", tmp_path / "same", "--warehouse", made) == 0
    found = split_of(made)
    assert (found["o/first"], found["o/fork"]) == ("train", "train")
    if state == "folded":
        assert list((made / "catalogue").glob("*.repositories.parquet"))


def test_two_forks_of_one_folder_have_one_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for repo, split in (("o/first", "train"), ("o/fork", "test")):
        write(tmp_path / slug(repo), repo, 2, "f")
        build(tmp_path / slug(repo))
        exported_as(split, tmp_path / slug(repo), repo, tmp_path / f"out-{split}")
    shutil.copytree(tmp_path / "out-test", tmp_path / "out-train", dirs_exist_ok=True)
    capsys.readouterr()
    assert run("import", tmp_path / "out-train", "--warehouse", tmp_path / "w") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "o/first is in split train and o/fork, which has the same history, in split test" in said
    assert not (tmp_path / "w").exists()


def test_a_folder_of_other_things_takes_no_film(
    warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("export", tmp_path / "out", "--warehouse", warehouse) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    capsys.readouterr()
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "other") == 2
    assert capsys.readouterr().err.startswith(f"gitreel: warehouse {tmp_path}/other: holds other things and no film, ")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("place", ["../../outside", "/etc/passwd", "data/../../outside", "shards/two/x.parquet"])
def test_a_list_that_names_files_elsewhere_is_refused(
    warehouse: Path, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder from a stranger: neither what is read nor what is written lies outside."""
    for where in ("files", "manifest"):
        out = tmp_path / where
        assert run("export", out, "--repo", "one", "--warehouse", warehouse) == 0
        path = out / "manifests/one.json"
        listed = json.loads(path.read_text())
        if where == "files":
            listed["files"][0] = place
        else:
            next(iter(listed["manifest"]["shards"][0]["files"].values()))["path"] = place
        path.write_text(json.dumps(listed))
        capsys.readouterr()
        assert run("import", out, "--warehouse", tmp_path / "w") == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_other_film_of_that_name_stays(warehouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_repository(tmp_path / "one", {"a.txt": b"quite another\n"})
    harvest_repository(str(made), HarvestConfig(warehouse=str(tmp_path / "w")))
    before = lists(tmp_path / "w")
    assert run("export", tmp_path / "out", "--repo", "one", "--warehouse", warehouse) == 0
    assert run("import", tmp_path / "out", "--warehouse", tmp_path / "w") == 2
    assert "import into another" in capsys.readouterr().err
    assert lists(tmp_path / "w") == before


@pytest.mark.parametrize("arguments", [["export", "USED"], ["export", "new", "--repo", "none"], ["import", "new"]])
def test_what_cannot_be_meant_is_one_line_and_writes_nothing(
    warehouse: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "USED").mkdir()
    (tmp_path / "USED/file").write_text("mine")
    command, place, *others = arguments
    assert run(command, tmp_path / place, *others, "--warehouse", warehouse) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["USED", "file"]
