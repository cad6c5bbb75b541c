"""Splits by family, and duplicates within one."""

from datetime import UTC, datetime

from pipeline.warehouse import splits as families
from schema.config import ReplayConfig
from schema.manifest import Manifest

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


def test_forks_are_duplicates_of_the_earliest() -> None:
    streams = [stream(n, family="root") for n in ("b/fork", "a/fork", "c/first")] + [stream("other")]
    early, late = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    times = {"c/first": early, "a/fork": late, "b/fork": late, "other": early}
    assert families.duplicates(streams, times) == {"a/fork": "c/first", "b/fork": "c/first"}
    assert families.duplicates(streams, dict.fromkeys(times, early)) == {"b/fork": "a/fork", "c/first": "a/fork"}
