"""Splits by family, and duplicates within one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse import splits as families
from pipeline.warehouse.build import build
from pipeline.warehouse.verify import verify
from schema.config import ReplayConfig
from schema.manifest import Manifest, stream_folder
from tests.pipeline.warehouse.films import write

CONFIG = ReplayConfig(rows=8, cols=40)


def stream(repo_id: str, family: str | None = None, steps: int = 1) -> Manifest:
    """A manifest without files."""
    manifest = Manifest(repo_id=repo_id, family=family or repo_id, config=CONFIG, status="complete")
    entry = {
        "shard": 0, "closed": False, "first_step": 0, "steps": steps, "first_episode": 0, "episodes": 1, "filmed": 1,
        "schema_version": "1.0", "tool_version": "0", "vim_version": "9", "width_hash": "0", "files": {},
    }  # fmt: skip
    return Manifest.model_validate({**manifest.model_dump(), "shards": [entry]})


def test_one_family_alone_is_for_training() -> None:
    for name in map(str, range(30)):
        splits, told = families.assign([stream(name)], {})
        assert splits == {name: "train"}
        assert "last 10 %" in told[-1]


def test_three_families_fill_three_splits() -> None:
    for seed in range(30):
        splits, _ = families.assign([stream(f"{seed}/{n}") for n in "abc"], {})
        assert sorted(splits.values()) == ["test", "train", "validation"]


def test_many_families_go_where_their_hash_says() -> None:
    streams = [stream(f"r{n}") for n in range(400)]
    splits, told = families.assign(streams, {})
    assert splits == {f"r{n}": families.natural_split(f"r{n}") for n in range(400)}
    assert told == []
    assert 0.7 < sum(s == "train" for s in splits.values()) / 400 < 0.9


def test_a_split_never_changes() -> None:
    known: dict[str, str] = {}
    for count in range(1, 40):
        splits, _ = families.assign([stream(f"r{n}") for n in range(count)], known)
        assert known.items() <= splits.items()
        known = splits


def test_a_family_is_whole_in_one_split() -> None:
    streams = [stream(f"r{n}", family=f"f{n % 7}") for n in range(50)]
    splits, _ = families.assign(streams, {})
    assert len({(f"f{n % 7}", splits[f"r{n}"]) for n in range(50)}) == 7


def test_members_that_contradict_each_other_come_together() -> None:
    streams = [stream(n, family="f") for n in "abc"] + [stream("d")]
    known = {"a": "test", "b": "validation", "c": "train", "d": "test"}
    splits, _ = families.assign(streams, known)
    assert splits == {"a": "train", "b": "train", "c": "train", "d": "test"}  # what was trained on is not tested on
    splits, _ = families.assign(streams, known, moved=["c"])
    assert splits == {"a": "validation", "b": "validation", "c": "validation", "d": "test"}
    splits, _ = families.assign(streams, known, moved=["d"])  # nobody else is of its new family
    assert splits["d"] == "test"


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three repositories of three histories, each in a split of its own."""
    for name in "abc":
        write(tmp_path, f"o/{name}", 2)
    build(tmp_path)
    assert len(set(split_of(tmp_path).values())) == 3
    return tmp_path


def split_of(warehouse: Path) -> dict[str, str]:
    with duckdb.connect(str(warehouse / "actions.db"), read_only=True) as db:
        return dict(db.execute("SELECT repo_id, split FROM repositories").fetchall())


def parted(warehouse: Path) -> list[str]:
    """What is found of families in more than one split. The film here is made up: its keys draw something else."""
    store = Store(warehouse)
    return [line for line in verify(store, list(manifests(store)), sample=1).wrong if "share a history" in line]


@pytest.mark.parametrize("settle", [True, False])
@pytest.mark.parametrize("place", "abc")
def test_a_stream_that_another_history_replaces_follows_that_history(three: Path, place: str, settle: bool) -> None:
    first, *_ = (name for name in "abc" if name != place)
    before = split_of(three)
    shutil.rmtree(three / stream_folder(f"o/{place}"))
    write(three, f"o/{place}", 3, f"o/{first}")
    told = build(three, settle=settle, check=True).messages
    old, new = before[f"o/{place}"], before[f"o/{first}"]
    wanted = before | {f"o/{place}": new}
    assert split_of(three) == wanted
    assert told[0] == f"o/{place} is in split {new} now, as others of its history are: it was in {old}"
    assert parted(three) == []
    (three / "actions.db").unlink()  # the registry has it, too
    build(three)
    assert split_of(three) == wanted
    alone = write(three, f"o/{place}", 4, f"o/{first}")
    assert build(three).messages == []
    assert split_of(three)[alone.repo_id] == wanted[alone.repo_id]


@pytest.mark.parametrize("how", ["a build", "a build without its database"])
def test_a_family_that_lies_in_two_splits_is_found_and_mended(three: Path, how: str) -> None:
    """As an older version left it."""
    write(three, "o/d", 2, "o/a")
    build(three)
    home = split_of(three)["o/a"]
    other = next(split for split in ("train", "test") if split != home)
    families.write_registry(Store(three), {"o/d": other})
    with duckdb.connect(str(three / "actions.db")) as db:
        db.execute(f"UPDATE repositories SET split = '{other}' WHERE repo_id = 'o/d'")
    (said,) = parted(three)
    assert f"o/a, o/d share a history and are in splits {', '.join(sorted((home, other)))}: " in said
    if how == "a build":
        write(three, "o/c", 3)
    else:
        (three / "actions.db").unlink()
    build(three)
    assert split_of(three)["o/a"] == split_of(three)["o/d"] == "train"  # as one of the two was
    assert parted(three) == []


def test_forks_are_duplicates_of_the_earliest() -> None:
    streams = [stream(n, family="root") for n in ("b/fork", "a/fork", "c/first")] + [stream("other")]
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    times = {"c/first": early, "a/fork": late, "b/fork": late, "other": early}
    assert families.duplicates(streams, times) == {"a/fork": "c/first", "b/fork": "c/first"}
    assert families.duplicates(streams, dict.fromkeys(times, early)) == {"b/fork": "a/fork", "c/first": "a/fork"}
