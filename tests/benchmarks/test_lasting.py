"""The lasting harvest's parts: its GitHub, what it reads of pages and samples, and a proof that finds what is lost."""

import contextlib
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.lasting import pages, proof, samples
from benchmarks.lasting.__main__ import main
from benchmarks.lasting.github import WRONG, SimulatedGitHub, failures, shares
from benchmarks.lasting.harvest import moments
from benchmarks.lasting.samples import Sample, Table, figures, rates, read, slope
from flows.status import status_markdown
from pipeline.crawl.github import ApiConfig, Client
from pipeline.crawl.search import GitHubQuery, find
from pipeline.harvester import HarvestConfig, refuse_found
from pipeline.pool.overview import Observer
from pipeline.pool.run import Job, film, may_pass
from pipeline.pool.status import StatusFolder
from pipeline.warehouse.build import build
from schema.errors import SourceError

SIZE = 100


@pytest.fixture(scope="module")
def harvested(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedGitHub, Path, set[str]]:
    """All groups of a small simulated GitHub, harvested without Prefect: it, the warehouse, and those that failed."""
    folder = tmp_path_factory.mktemp("lasting")
    github, warehouse, failed = SimulatedGitHub(folder, SIZE, 3), folder / "warehouse", set()
    github.make()
    config = HarvestConfig(warehouse=str(warehouse), cache=str(folder / "cache"))
    status = StatusFolder(str(folder))
    with github.hub:
        client = Client(
            ApiConfig(base_url=github.hub.api, backoff_seconds=0.0), folder / "memory", sleep=lambda s: None
        )
        for group in github.groups:
            github.trouble(group)
            finding = find(GitHubQuery.model_validate({"limit": 9999, **group.parameters}), client)
            for name, rule in finding.refused:
                refuse_found(name, rule, config)
            for found in finding.kept:
                job = Job(found.clone_url, 0, str(status.folder), licence=found.licence, found=True)
                if not _filmed(job, config):
                    failed.add(found.name)
    build(warehouse)
    return github, warehouse, failed


def _filmed(job: Job, config: HarvestConfig) -> bool:
    for _ in range(3):
        try:
            film(job, config, token=None, notify=lambda line: None)
        except Exception as error:
            assert may_pass(error)
        else:
            return True
    return False


def record(github: SimulatedGitHub) -> dict[str, str | None]:
    return {name: reason for group in github.groups for name, reason in github.record(group).items()}


def test_a_harvest_has_every_repository_or_the_reason_that_the_simulation_gave(harvested, tmp_path):
    github, warehouse, failed = harvested
    wanted = record(github)
    assert set(github.wrong.values()) == set(WRONG)
    picked = [name for name, reason in wanted.items() if reason is None][:5]
    direct = proof.record_directly({name: github.hub.git_dirs[name] for name in picked}, tmp_path / "direct")
    assert len(direct) == 5
    assert proof.prove(warehouse, wanted, wanted, failed, direct) == proof.Proof([], [], 5)


@pytest.mark.parametrize("what", ["stream", "steps", "reason", "failure", "stranger"])
def test_the_proof_finds_what_is_lost(harvested, tmp_path, what):
    github, warehouse, failed = harvested
    wanted, known = dict(record(github)), set(record(github))
    name = next(name for name, reason in wanted.items() if reason is None)
    direct = {name: proof.contents(warehouse)[name]}
    if what == "stream":
        wanted["owner-00/never-there"] = None
    elif what == "steps":
        direct = {name: direct[name]._replace(content="0")}
    elif what == "reason":
        wanted[next(name for name, reason in wanted.items() if reason)] = "too-large"
    elif what == "failure":
        failed = set()
    else:
        known.remove(name)
    found = proof.prove(warehouse, wanted, known, failed, direct)
    assert len(found.lost) == 1
    assert not found.doubled


def test_the_same_seed_makes_the_same_github_and_a_push_is_one_more_commit(tmp_path):
    first, second = (SimulatedGitHub(tmp_path / name, 25, 1) for name in ("a", "b"))
    with first.hub, second.hub:
        assert (first.wrong, first.commits) == (second.wrong, second.commits)
        first.make()
        group = next(group for group in first.groups if set(group.members) - set(first.wrong))
        before = {name: place.name for name, place in first.hub.git_dirs.items()}
        first.push(group)
        moved = {name for name, place in first.hub.git_dirs.items() if place.name != before[name]}
        assert moved == first.pushed[group.name]
        assert moved.isdisjoint(first.wrong)
        assert all(place.is_dir() for place in first.hub.git_dirs.values())


@pytest.mark.parametrize("repositories", [20, 100, 5000, 5001])
def test_groups_hold_every_repository(repositories):
    assert sum(shares(repositories)) == repositories


def test_what_the_server_answered_instead_is_counted_by_kind():
    answers = [("GET", "/api/v3/search", 502), ("GET", "/a/b.git/info/refs", 503), ("GET", "/a/b.git/info/refs", 429)]
    answers += [
        ("GET", "/api/v3/users/x/repos", 403),
        ("GET", "/a/b.git/info/refs", 200),
        ("GET", "/c.git/info/refs", 404),
    ]
    assert failures(answers) == Counter({"api faults": 1, "git faults": 1, "rate limits": 2})


@pytest.fixture
def page(harvested, tmp_path):
    """The page of a run that has filmed two repositories and failed with a third."""
    github, _, _ = harvested
    status = StatusFolder(str(tmp_path))
    config = HarvestConfig(warehouse=str(tmp_path / "w"), cache=str(tmp_path / "cache"))
    sound = [name for name, reason in record(github).items() if reason is None][:2]
    named = [*(str(github.hub.git_dirs[name]) for name in sound), "/no/such/place"]
    for place, name in enumerate(named):
        with contextlib.suppress(SourceError):
            film(Job(name, place, str(status.folder)), config, token=None, notify=lambda line: None)
    now = Observer(status, named).look()
    written = datetime.fromtimestamp(1_000_000, UTC).isoformat()
    return pages.page_of({"data": status_markdown(now, last=True), "updated": written}), now


def test_a_page_is_read_as_it_is_written(page):
    found, now = page
    assert found.states == {"complete": 2, "failed": 1}
    assert (found.ended, found.named, found.steps, found.last) == (3, 3, now.steps, True)
    assert pages.wrong_in_the_end(found, {"complete": 2, "failed": 1}, now.steps) == []
    assert pages.page_of({"data": "Just begun.", "updated": ""}) is None


def test_a_page_that_is_not_true_is_found(page):
    found, now = page
    assert pages.wrong_in_the_end(found, {"complete": 3}, now.steps)
    assert pages.wrong_in_the_end(found, {"complete": 2, "failed": 1}, now.steps + 1)
    assert pages.wrong_in_the_end(found._replace(last=False), {"complete": 2, "failed": 1}, None)
    assert pages.wrong_meanwhile(found, ["a", "b"], ["a", "b"], lambda until: 3) == []
    assert len(pages.wrong_meanwhile(found, ["a", "b"], ["a"], lambda until: 3)) == 1
    assert len(pages.wrong_meanwhile(found, ["a", "b"], ["a", "b"], lambda until: 30)) == 1
    assert (
        len(pages.wrong_meanwhile(found._replace(states={"complete": 2, "failed": 9}), "ab", "ab", lambda until: 3))
        == 1
    )


def rows(**changes: list[float]) -> list[Sample]:
    still = dict.fromkeys(Sample._fields, 0)
    return [Sample(**still | {name: values[place] for name, values in changes.items()}) for place in range(7)]


def test_rates_are_of_the_thirds_and_memorys_slope_of_what_follows_the_first_ten_minutes():
    seconds = [0.0, 300.0, 600.0, 900.0, 1200.0, 1500.0, 1800.0]
    found = rows(seconds=seconds, visits=[0, 300, 600, 900, 1200, 1200, 1200], film_mb=[0, 50, 100, 101, 102, 103, 104])
    assert rates(found) == [1.0, 1.0, 0.0]
    assert slope(found) == pytest.approx(12.0)
    assert figures(found)["rate_spread"] == 1.5
    assert figures(found)["memory_peak_mb"] == 104.0


def test_samples_are_written_as_they_are_taken_and_read_again(tmp_path):
    table = Table(tmp_path / "samples.csv")
    for row in rows(seconds=[1.5 * number for number in range(7)]):
        table.add(row)
        assert read(table.place) == table.rows
    table.place.write_text("seconds,visits\n1,x\n")
    with pytest.raises(ValueError, match=r"samples\.csv: no samples"):
        read(table.place)
    samples.write_summary(tmp_path / "summary.csv", {"lost": 0})
    assert samples.read_summary(tmp_path / "summary.csv") == {"lost": "0"}


def test_kills_strike_once_in_each_part_of_the_time():
    for seed in range(20):
        found = moments(random.Random(seed), 3600, 3)
        assert [int(moment // 1200) for moment in found] == [0, 1, 2]


@pytest.mark.parametrize("flags", [["--repositories", "3"], ["--minutes", "0"], ["--workers", "0"]])
def test_what_cannot_be_measured_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as refused:
        main(flags)
    assert refused.value.code == 2
    assert "or more" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("")
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path)])
    assert "name a new folder" in capsys.readouterr().err
