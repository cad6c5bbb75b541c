"""Small repositories that share a task: which ones, and that what becomes of one is no other's concern."""

import shutil
import threading
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.github_server import GitHubServer
from pipeline.crawl.clone import CloneConfig
from pipeline.git.size import objects_bytes
from pipeline.harvester import HarvestConfig, Outcome
from pipeline.pool import groups, run
from pipeline.pool.groups import KB, Apart, Grouping, grouped, size_of, together
from pipeline.pool.run import Job, film_with_retries
from pipeline.pool.status import StatusFolder
from tests.repositories import Repository

MIT = (Path(__file__).parents[3] / "LICENSE").read_bytes()


@pytest.fixture
def config(tmp_path):
    clone = CloneConfig.model_validate({"protocols": ("https", "file")})
    return HarvestConfig(warehouse=str(tmp_path / "warehouse"), cache=str(tmp_path / "cache"), clone=clone)


def jobs(named, status, retries=0):
    return [Job(name, place, str(status.folder), retries) for place, name in enumerate(named)]


def film_group(*arguments, **named):
    return list(groups.film_group(*arguments, **named))


def statuses(ended):
    return [each.status if isinstance(each, Outcome) else each for each in ended]


@pytest.mark.parametrize(
    ("rule", "sizes", "groups"),
    [
        ({}, [], []),
        ({"repositories": 1}, [1, 1, 1], [[0], [1], [2]]),
        ({"repositories": 2}, [1, 1, 1, 1, 1], [[0, 1], [2, 3], [4]]),
        ({"repositories": 9}, [None, 1, None, 1], [[0], [1, 3], [2]]),
        ({"small_kb": 1}, [KB, KB + 1, KB, 9 * KB, 0], [[0, 2, 4], [1], [3]]),
        ({"small_kb": 4, "total_kb": 5}, [3 * KB, 2 * KB, 1, 4 * KB, KB], [[0, 1], [2, 3], [4]]),
        ({"small_kb": 4, "total_kb": 0}, [1, 0, 0], [[0], [1, 2]]),
        ({"small_kb": 0}, [0, 1, 0], [[0, 2], [1]]),
    ],
)
def test_small_ones_share_a_task_in_their_order_until_they_are_too_many_or_too_much(rule, sizes, groups):
    assert grouped(sizes, Grouping.model_validate(rule)) == groups


def test_every_repository_is_in_one_group_and_the_same_ones_are_grouped_alike():
    sizes = [None if n % 7 == 0 else n * 7919 % 300_000 for n in range(1000)]
    groups = grouped(sizes, Grouping())
    assert sorted(place for group in groups for place in group) == list(range(1000))
    assert groups == sorted(map(sorted, groups))
    assert max(map(len, groups)) <= 32
    assert all(sum(sizes[place] for place in group) <= 1024 * KB for group in groups if len(group) > 1)
    assert grouped(list(sizes), Grouping()) == groups


def test_a_folders_size_is_that_of_its_objects_packed_or_loose_and_counting_ends_early(repositories, tmp_path):
    loose = objects_bytes(Path(repositories[0]), 1 << 20)
    files = [file for file in (Path(repositories[0]) / "objects").rglob("*") if file.is_file()]
    assert loose == sum(file.stat().st_size for file in files)
    assert 10 < objects_bytes(Path(repositories[0]), 10) < loose
    clone = Repository(tmp_path / "packed")
    clone.git("fetch", "-q", repositories[0], "main:main")
    clone.git("repack", "-adq")
    (pack,) = (clone.path / "objects" / "pack").glob("*.pack")
    assert objects_bytes(clone.path, 1 << 20) == pack.stat().st_size < loose
    shutil.copytree(clone.path, tmp_path / "worked" / ".git")
    assert objects_bytes(tmp_path / "worked", 1 << 20) == objects_bytes(clone.path, 1 << 20)


def test_what_has_no_known_size_is_alone(repositories, tmp_path, config):
    borrowing = Repository(tmp_path / "borrowing")
    (borrowing.path / "objects" / "info").mkdir(exist_ok=True)
    (borrowing.path / "objects" / "info" / "alternates").write_text(f"{repositories[0]}/objects\n")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ".git").write_text(f"gitdir: {repositories[0]}\n")
    (tmp_path / "empty").mkdir()
    unknown = [borrowing.path, linked, tmp_path / "empty", tmp_path / "none", "https://127.0.0.1:1/o/film", "ext::sh"]
    assert [size_of(str(named), config, Grouping()) for named in unknown] == [None] * 6
    assert size_of(f"file://{repositories[0]}", config, Grouping()) == size_of(repositories[0], config, Grouping())
    assert size_of(repositories[0], config, Grouping(repositories=1)) is None


def test_each_of_a_group_has_an_outcome_of_its_own_noted_as_it_ends(repositories, tmp_path, config):
    (tmp_path / "empty").mkdir()
    config = config.model_copy(update={"opt_out": ("film1",)})
    status = StatusFolder()
    named = [repositories[0], str(tmp_path / "empty"), repositories[1], str(tmp_path / "gone"), repositories[2]]
    shutil.copytree(repositories[0], tmp_path / "gone")
    group = jobs(named, status, retries=3)
    shutil.rmtree(tmp_path / "gone")  # between the sizes and the film
    ended = film_group(group, config)
    assert statuses(ended) == ["complete", "failed", "refused", "failed", "complete"]
    assert [status.outcome(place) for place in range(5)] == ended
    assert "not a git repository" in ended[1].reason
    assert "'" + str(tmp_path / "gone") + "'" in ended[3].reason
    assert [status.read(place).done for place in (0, 4)] == [4, 4]


def test_one_repository_twice_in_a_group_is_filmed_once(repositories, config):
    ended = film_group(jobs([repositories[0], repositories[1], repositories[0]], StatusFolder()), config)
    assert [outcome.new_episodes for outcome in ended] == [4, 4, 0]
    assert ended[2].episodes == 4


def test_what_may_pass_leaves_the_group_and_its_fellows_are_filmed_once(repositories, tmp_path, config):
    origin = Repository(tmp_path / "origin")
    origin.commit("Root", {"a.py": b"one\n", "LICENSE": MIT})
    status, lines = StatusFolder(), []
    with GitHubServer(tmp_path) as hub:
        hub.add("o/film", origin.path)
        named = [repositories[0], hub.url("o/film"), repositories[1]]
        hub.fail("/o/film.git", 503)
        ended = film_group(jobs(named, status, retries=1), config, notify=lines.append)
        assert statuses(ended) == ["complete", Apart(failed=True), "complete"]
        assert [line for line in lines if "503" in line] == lines
        assert len(lines) == 1
        assert status.outcome(1) is None  # it is tried again: on the page it has not failed
        assert film_with_retries(jobs(named, status)[1], config).new_episodes == 1
        hub.fail("/o/film.git", 503)
        (last,) = film_group(jobs(named[1:2], StatusFolder()), config)
    assert last.status == "failed"  # no try is left
    assert "503" in last.reason


class Silence:
    """In the place of a server's `open`: it answers nobody, and an hour passes as soon as it is asked."""

    def __init__(self):
        self.passed, self.end = 0.0, threading.Event()

    def monotonic(self):
        return time.monotonic() + self.passed

    def wait(self):
        self.passed = 3600.0
        self.end.wait()


def test_one_that_hangs_leaves_the_group_and_keeps_no_fellow_waiting(repositories, tmp_path, config, monkeypatch):
    status, silence = StatusFolder(), Silence()
    for module in (run, groups):
        monkeypatch.setattr(module, "time", silence)
    with GitHubServer(tmp_path) as hub:
        hub.open = silence
        named = [repositories[0], hub.url("o/silent"), repositories[1]]
        ended = film_group(jobs(named, status, retries=2), config)
        silence.end.set()
    assert statuses(ended) == ["complete", Apart(failed=False), "complete"]
    assert status.outcome(1) is None


def test_one_that_takes_long_keeps_what_was_filmed_and_goes_on_in_the_same_bytes(tmp_path, config, monkeypatch):
    long = Repository(tmp_path / "long")
    for number in range(6):
        long.commit(f"Commit {number}", {"a.py": b"line\n" * number, "b.bin": b"\0%d" % number})
    whole = config.model_copy(update={"warehouse": str(tmp_path / "whole")})
    (once,) = film_group(jobs([str(long.path)], StatusFolder()), whole)
    status, ticks = StatusFolder(), SimpleNamespace(monotonic=count().__next__)  # a second at each look
    for module in (run, groups):
        monkeypatch.setattr(module, "time", ticks)
    (ended,) = film_group(jobs([str(long.path)], status), config, seconds=20)
    monkeypatch.undo()
    assert isinstance(ended, Apart)
    assert (ended.failed, ended.earlier.status) == (False, "partial")
    assert status.outcome(0) is None
    (rest,) = film_group(jobs([str(long.path)], status), config)
    both = together(ended.earlier, rest)
    assert both.model_copy(update={"seconds": 0}) == once.model_copy(update={"seconds": 0})
    for file in (tmp_path / "whole" / "shards" / "long").iterdir():
        if file.suffix in (".parquet", ".json"):
            assert file.read_bytes() == (tmp_path / "warehouse" / "shards" / "long" / file.name).read_bytes()


def test_a_group_that_is_started_anew_asks_only_those_that_had_not_ended(repositories, tmp_path, config):
    status = StatusFolder()
    first = film_group(jobs(repositories[:2], status), config)
    shutil.rmtree(repositories[0])
    again = film_group(jobs(repositories, status), config)
    assert again[:2] == first
    assert again[2].new_episodes == 4


def test_after_a_stop_the_rest_of_a_group_is_left_untouched(repositories, config, monkeypatch):
    monkeypatch.setattr(
        StatusFolder, "report", lambda self, place, progress: progress.done < progress.total or self.stop()
    )
    assert statuses(film_group(jobs(repositories, StatusFolder()), config)) == ["complete", None, None]
