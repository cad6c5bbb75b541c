"""One repository into the warehouse: nothing twice, growth appends, rewritten history replaces, bad input refused."""

import hashlib
import shlex
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from benchmarks.github_server import GitHubServer
from flows.harvest import main
from pipeline import harvester
from pipeline.crawl.clone import Stopped
from pipeline.crawl.opt_out import opted_out
from pipeline.harvester import HarvestConfig, check_sources, finished, harvest_repository, refuse_found
from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from pipeline.warehouse import build as warehouse
from schema.config import ReplayConfig
from schema.errors import ConfigError, SourceError, WarehouseError
from schema.manifest import MANIFEST, stream_folder
from tests.repositories import Repository

MIT = (Path(__file__).parents[2] / "LICENSE").read_bytes()


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "film")
    made.commit("Root", {"a.py": b"one\ntwo\n", "LICENSE": MIT})
    made.commit("Second", {"a.py": b"one\n2\nthree\n"})
    return made


@pytest.fixture
def config(tmp_path):
    return HarvestConfig(warehouse=str(tmp_path / "warehouse"), cache=str(tmp_path / "cache"))


def sums(config):
    folder = Path(config.warehouse) / "shards"
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.suffix in (".parquet", ".json")
    }


def manifest(config, repo_id="film"):
    return load(Store(config.warehouse), f"{stream_folder(repo_id)}/{MANIFEST}")


def test_a_second_run_does_nothing(repository, config):
    first = harvest_repository(str(repository.path), config)
    before = sums(config)
    second = harvest_repository(str(repository.path), config)
    assert (first.status, first.new_episodes) == ("complete", 2)
    assert (second.episodes, second.steps, second.new_steps) == (2, first.steps, 0)
    assert sums(config) == before


def test_other_settings_are_told_apart_by_name_and_the_command_given_films_with_them(tmp_path, config):
    made = Repository(tmp_path / "a folder")
    made.commit("Root", {"a.py": b"one\n"})
    named = {str(made.path): "small"}
    config = config.model_copy(update={"names": named})
    harvest_repository(str(made.path), config)
    replay = ReplayConfig(rows=30, skip_bots=False)
    with pytest.raises(ConfigError) as refused:
        harvest_repository(str(made.path), config.model_copy(update={"replay": replay}))
    said = str(refused.value)
    assert "small was filmed with rows=24, skip_bots=true, not rows=30, skip_bots=false; " in said
    command = shlex.split(said.partition("new folder: ")[2].replace("NEW_FOLDER", str(tmp_path / "new")))
    assert command[:3] == ["python", "-m", "flows.harvest"]
    assert main(command[3:]) == 0
    assert load(Store(tmp_path / "new"), f"{stream_folder('small')}/{MANIFEST}").config == replay


def test_growth_gives_the_bytes_of_harvesting_at_once(repository, config, tmp_path):
    harvest_repository(str(repository.path), config)
    warehouse.build(config.warehouse)
    repository.commit("Third", {"b.txt": b"new\n"})
    grown = harvest_repository(str(repository.path), config)
    assert (grown.new_episodes, grown.replaced) == (1, False)
    for _ in range(2):  # the second build removes what readers of the first one may still have open
        warehouse.build(config.warehouse)
    once = config.model_copy(update={"warehouse": str(tmp_path / "once")})
    harvest_repository(str(repository.path), once)
    assert sums(config) == sums(once)


def test_a_rewritten_history_replaces_its_stream(repository, config):
    harvest_repository(str(repository.path), config)
    repository.commit("Other second", {"a.py": b"rewritten\n"}, parents=[next(iter(repository.trees))])
    again = harvest_repository(str(repository.path), config)
    assert (again.replaced, again.episodes, again.new_episodes) == (True, 2, 2)
    assert manifest(config).head == repository.head


def test_stopped_and_resumed_is_the_same(repository, config, tmp_path):
    told = []
    stopped = harvest_repository(str(repository.path), config, report=told.append, stop=lambda: bool(told))
    assert (stopped.status, stopped.new_episodes) == ("partial", 1)
    resumed = harvest_repository(str(repository.path), config)
    assert (resumed.status, resumed.new_episodes) == ("complete", 1)
    once = config.model_copy(update={"warehouse": str(tmp_path / "once")})
    harvest_repository(str(repository.path), once)
    assert manifest(config) == manifest(once)


def test_stopped_anywhere_in_a_commit_it_leaves_nothing_of_it(repository, config, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.terminal.terminal.POLL_KEYS", 50)
    once = config.model_copy(update={"warehouse": str(tmp_path / "once")})
    asked = iter([False] * 1000)
    harvest_repository(str(repository.path), once, stop=asked.__next__)
    polls = 1000 - len(list(asked))
    assert polls > 20
    episodes = set()
    for number in range(polls - 1):
        there = config.model_copy(update={"warehouse": str(tmp_path / str(number))})
        answers = iter([False] * number + [True])
        try:
            stopped = harvest_repository(str(repository.path), there, stop=lambda answers=answers: next(answers, True))
        except Stopped:  # before the first commit was filmed: no stream has begun
            assert not list(Path(there.warehouse).glob("shards/*/*.json"))
            episodes.add(0)
        else:
            assert stopped.status == "partial"
            episodes.add(stopped.episodes)
        assert harvest_repository(str(repository.path), there).status == "complete"
        assert manifest(there) == manifest(once)
    assert episodes == {0, 1}


def test_an_error_in_the_middle_leaves_the_stream_usable(repository, config, monkeypatch):

    def breaking(*arguments, **named):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(harvester, "replay", breaking)
    with pytest.raises(KeyboardInterrupt):
        harvest_repository(str(repository.path), config)
    monkeypatch.undo()
    assert harvest_repository(str(repository.path), config).status == "complete"


def test_progress_is_reported(repository, config):
    told = []
    harvest_repository(str(repository.path), config, report=told.append)
    assert (told[-1].done, told[-1].total) == (2, 2)
    assert told[-1].steps > 0


def test_facts_of_the_repository(repository, config):
    harvest_repository(str(repository.path), config)
    found = manifest(config)
    assert (found.licence, found.source, found.family) == ("MIT", "film", next(iter(repository.trees)))


@pytest.mark.parametrize(
    ("licence", "rule"), [(None, "licence-unknown"), (b"GNU GENERAL PUBLIC LICENSE Version 3", "licence-refused")]
)
def test_a_url_without_a_permissive_licence_is_refused(tmp_path, config, licence, rule):
    made = Repository(tmp_path / "film")
    made.commit("Root", {"a": b"1\n"} | ({"COPYING": licence} if licence else {}))
    with GitHubServer(tmp_path) as hub:
        hub.add("o/film", made.path)
        outcome = harvest_repository(hub.url("o/film"), config)
    assert (outcome.status, outcome.reason, outcome.steps) == ("refused", rule, 0)
    warehouse.build(config.warehouse)


def test_a_url_is_filmed_and_grows(repository, tmp_path, config):
    with GitHubServer(tmp_path) as hub:
        hub.add("o/film", repository.path)
        assert harvest_repository(hub.url("o/film"), config).new_episodes == 2
        repository.commit("Third", {"c": b"1\n"})
        assert harvest_repository(hub.url("o/film"), config).new_episodes == 1


def test_ones_own_folder_needs_no_licence(tmp_path, config):
    Repository(tmp_path / "own").commit("Root", {"a": b"1\n"})
    assert harvest_repository(str(tmp_path / "own"), config).status == "complete"


def test_finished_answers_without_work(repository, config):
    named = [str(repository.path)]
    assert finished(named, config) is None
    harvest_repository(named[0], config)
    assert finished(named, config) is None  # the database does not tell of it yet
    warehouse.build(config.warehouse)
    assert finished(named, config)[0].steps > 0
    repository.commit("Third", {"b": b"1\n"})
    assert finished(named, config) is None


def test_opting_out(repository, config):
    assert (
        harvest_repository(str(repository.path), config.model_copy(update={"opt_out": ("Film",)})).reason == "opt-out"
    )
    assert harvest_repository(str(repository.path), config).status == "complete"
    (Path(config.warehouse) / "opt-out.txt").write_text("# asked us on a Monday\nfilm  # all of it\n")
    assert harvest_repository(str(repository.path), config).reason == "opt-out"
    assert opted_out("Owner/name", ("owner",))
    assert not opted_out("owner/name", ("own", "owner/other"))


@pytest.mark.parametrize("rule", ["opt-out", "blocked"])
def test_what_was_filmed_goes_when_its_owner_opts_out_or_it_is_blocked(repository, config, rule):
    harvest_repository(str(repository.path), config)
    warehouse.build(config.warehouse)
    other = config.model_copy(update={"replay": config.replay.model_copy(update={"rows": 48})})
    if rule == "opt-out":
        outcome = harvest_repository(str(repository.path), config.model_copy(update={"opt_out": ("film",)}))
    else:
        outcome = refuse_found("film", rule, other)
    assert (outcome.status, outcome.reason) == ("refused", rule)
    for _ in range(2):
        warehouse.build(config.warehouse)
    assert [path.name for path in Path(config.warehouse).rglob("*.parquet")] == ["repositories.parquet"]
    with duckdb.connect(str(Path(config.warehouse) / "actions.db"), read_only=True) as database:
        for table in ("steps", "blobs", "episodes", "shards"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert database.execute("SELECT repo_id, rule FROM drops").fetchall() == [("film", rule)]
    again = harvest_repository(str(repository.path), config)
    assert (again.status, again.new_episodes) == ("complete", 2)


def test_a_repository_that_disappeared_keeps_its_stream_whatever_the_settings_are_now(repository, config):
    before = harvest_repository(str(repository.path), config)
    other = config.model_copy(update={"replay": config.replay.model_copy(update={"rows": 48})})
    assert refuse_found("film", "not-found", other).status == "refused"
    kept = manifest(config)
    assert (kept.steps, kept.status, kept.reason, kept.config) == (before.steps, "partial", "not-found", config.replay)
    assert harvest_repository(str(repository.path), config).status == "complete"
    with Store(config.warehouse).lock(f"{stream_folder('film')}/.lock"):
        assert "lock" in refuse_found("film", "not-found", config).reason


def test_other_settings_are_refused(repository, config):
    harvest_repository(str(repository.path), config)
    other = config.model_copy(update={"replay": config.replay.model_copy(update={"rows": 48})})
    with pytest.raises(ConfigError, match="NEW_FOLDER"):
        harvest_repository(str(repository.path), other)


def test_a_missing_blob_drops_its_commits_with_their_reason(repository, config):
    blob = hashlib.sha1(b"blob 12\0one\n2\nthree\n", usedforsecurity=False).hexdigest()
    (repository.path / "objects" / blob[:2] / blob[2:]).unlink()
    outcome = harvest_repository(str(repository.path), config)
    assert outcome.status == "complete"
    assert set(outcome.drops) == {"commit missing"}


def test_a_warehouse_that_is_a_file(repository, config, tmp_path):
    (tmp_path / "warehouse").write_text("")
    with pytest.raises(WarehouseError):
        harvest_repository(str(repository.path), config)


def test_two_of_one_name(repository, config, tmp_path):
    shutil.copytree(repository.path, tmp_path / "other" / "film")
    with pytest.raises(SourceError, match="both be called"):
        check_sources([str(repository.path), str(tmp_path / "other" / "film")], config)


def test_none_named(config):
    with pytest.raises(SourceError, match="--repo"):
        check_sources([], config)


def test_authors_are_hashed_with_a_key_that_is_not_stored(repository, config, monkeypatch):
    keyed = ReplayConfig.model_validate({"author_key_hash": hashlib.sha256(b"marked-key").hexdigest()})
    config = config.model_copy(update={"replay": keyed})
    with pytest.raises(ConfigError, match="GITREEL_AUTHOR_KEY"):
        harvest_repository(str(repository.path), config)
    monkeypatch.setenv("GITREEL_AUTHOR_KEY", "marked-key")
    assert harvest_repository(str(repository.path), config).status == "complete"
    assert manifest(config).resume.author
    stored = [p for p in Path(config.warehouse).rglob("*") if p.is_file()]
    assert not [p for p in stored if b"marked-key" in p.read_bytes() or b"ada@example.org" in p.read_bytes()]


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_and_a_read_only_one_are_one_line_and_go_on_later(repository, config, small_disk):
    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(small_disk)], check=True)

    there = config.model_copy(update={"warehouse": str(small_disk / "warehouse")})
    repository.commit("Large", {"b.txt": b"".join(b"line %d of many\n" % n for n in range(2000))})
    (small_disk / "filler").write_bytes(b"x" * 50_000)
    with pytest.raises(WarehouseError, match="No space left"):
        harvest_repository(str(repository.path), there)
    remount("size=20m")
    assert harvest_repository(str(repository.path), there).status == "complete"
    harvest_repository(str(repository.path), config)
    assert sums(there) == sums(config)
    remount("ro")
    repository.commit("More", {"c": b"1\n"})
    with pytest.raises(WarehouseError, match="Read-only"):
        harvest_repository(str(repository.path), there)
    remount("rw")
    assert harvest_repository(str(repository.path), there).new_episodes == 1
