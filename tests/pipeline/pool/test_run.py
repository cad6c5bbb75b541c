"""Several repositories at a time: the same bytes wherever they are filmed, a death that stays alone, tries again."""

import contextlib
import hashlib
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from benchmarks.github_server import GitHubServer
from pipeline.crawl.clone import CloneConfig
from pipeline.harvester import HarvestConfig
from pipeline.pool import process, run, worker
from pipeline.pool.run import Job, film_all, film_with_retries
from pipeline.pool.status import StatusFolder
from pipeline.shards.store import Store
from pipeline.temporary import temporary_folder
from pipeline.warehouse.compact import BUILD_LOCK
from schema.errors import LockedError
from tests.repositories import Repository

MIT = (Path(__file__).parents[3] / "LICENSE").read_bytes()
KINDS = ("threads", "processes", pytest.param("dask", marks=pytest.mark.server))


def configured(folder, **clone):
    return HarvestConfig(
        warehouse=str(folder / "warehouse"), cache=str(folder / "cache"), clone=CloneConfig.model_validate(clone)
    )


def sums(config):
    folder = Path(config.warehouse)
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("shards/*/*"))
        if path.suffix in (".parquet", ".json")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_wherever_they_are_filmed(repositories, tmp_path, kind):
    if kind == "dask":
        pytest.importorskip("distributed")
    one, several = configured(tmp_path / "one"), configured(tmp_path / "several")
    status = StatusFolder()
    alone = film_all(repositories, one, StatusFolder(), runner="threads", workers=1)
    together = film_all(repositories, several, status, runner=kind, workers=2)
    assert [(o.repo_id, o.status, o.new_episodes) for o in together] == [(f"film{i}", "complete", 4) for i in range(3)]
    assert [o.model_copy(update={"seconds": 0}) for o in together] == [
        o.model_copy(update={"seconds": 0}) for o in alone
    ]
    assert sums(several) == sums(one)
    assert [status.read(place).done for place in range(3)] == [4, 4, 4]
    assert [status.outcome(place) for place in range(3)] == together


def test_a_failure_and_a_refusal_are_outcomes_and_the_rest_is_filmed(repositories, tmp_path):
    (tmp_path / "empty").mkdir()
    config = configured(tmp_path).model_copy(update={"opt_out": ("film1",)})
    outcomes = film_all([*repositories, str(tmp_path / "empty")], config, StatusFolder(), runner="threads", workers=2)
    assert [o.status for o in outcomes] == ["complete", "refused", "complete", "failed"]
    assert "not a git repository" in outcomes[3].reason
    with duckdb.connect(f"{config.warehouse}/actions.db", read_only=True) as database:
        assert database.execute("SELECT count(*) FROM repositories WHERE steps > 0").fetchone() == (2,)


def test_after_a_stop_what_never_began_has_no_outcome_and_leaves_nothing(repositories, tmp_path):
    status, config = StatusFolder(), configured(tmp_path)
    status.stop()
    assert film_all(repositories, config, status, workers=2) == []
    assert not Path(config.warehouse).exists() or not list(Path(config.warehouse).rglob("*.json"))


def test_a_stop_assigns_no_split_and_the_next_run_does(repositories, tmp_path, monkeypatch):
    status, config = StatusFolder(), configured(tmp_path)
    monkeypatch.setattr(
        StatusFolder, "report", lambda self, place, progress: progress.done < progress.total or self.stop()
    )
    outcomes = film_all(repositories, config, status, runner="threads", workers=1)
    assert [outcome.status for outcome in outcomes] == ["complete"]
    monkeypatch.undo()
    assert splits(config) == {"film0": None}
    film_all(repositories, config, StatusFolder(), runner="threads", workers=1)
    once = configured(tmp_path / "once")
    film_all(repositories, once, StatusFolder(), runner="threads", workers=1)
    assert splits(config) == splits(once)


def splits(config):
    with duckdb.connect(f"{config.warehouse}/actions.db", read_only=True) as database:
        return dict(database.execute("SELECT repo_id, split FROM repositories").fetchall())


def kill_oneself(number):
    os.kill(os.getpid(), number)


def test_a_process_that_dies_says_how():
    with pytest.raises(process.DiedError, match=r"SIGKILL: was memory short\?"):
        process.apart(kill_oneself, signal.SIGKILL)
    with pytest.raises(process.DiedError, match="exit code 3"):
        process.apart(os._exit, 3)
    assert process.apart(os.getppid) != os.getpid() or sys.platform != "linux"


def test_a_process_that_is_told_to_end_ends_its_work_in_order():
    assert process.apart(wait_for_a_signal, signal.SIGTERM) == "stored"
    assert process.apart(wait_for_a_signal, signal.SIGINT) == "stored"


def wait_for_a_signal(number):
    os.kill(os.getpid(), number)
    while not worker.stopped():
        pass
    return "stored"


def test_a_death_is_the_outcome_of_its_repository_alone(repositories, tmp_path, monkeypatch):
    real = process.apart

    def dying(function, job, config):
        return real(kill_oneself, signal.SIGKILL) if job.place == 1 else function(job, config)

    monkeypatch.setattr(process, "apart", dying)
    status = StatusFolder()
    outcomes = film_all(repositories, configured(tmp_path), status, workers=2)
    assert [outcome.status for outcome in outcomes] == ["complete", "failed", "complete"]
    assert [status.outcome(place) for place in range(3)] == outcomes
    assert outcomes[1].reason.count("\n") == 0
    assert "SIGKILL" in outcomes[1].reason
    assert "film1" in outcomes[1].reason


def test_what_may_pass_is_tried_again_and_says_so_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.01)
    origin = Repository(tmp_path / "origin")
    origin.commit("Root", {"a.py": b"one\n", "LICENSE": MIT})
    status, say, meanwhile = StatusFolder(), StatusFolder.say, []
    monkeypatch.setattr(StatusFolder, "say", lambda self, line: (say(self, line), meanwhile.append(self.outcome(0))))
    with GitHubServer(tmp_path) as hub:
        hub.add("o/film", origin.path)
        hub.fail("/o/film.git", 503, times=2)
        outcome = film_with_retries(Job(hub.url("o/film"), 0, str(status.folder), retries=2), configured(tmp_path))
        assert outcome.status == "complete"
        assert [line.rpartition("; ")[2] for line in status.said()] == [
            "trying again in 0 s (1 of 2)", "trying again in 0 s (2 of 2)"
        ]  # fmt: skip
        assert "503" in status.said()[0]
        assert meanwhile == [None, None]  # on the page it has not failed
        hub.fail("/o/film.git", 503, times=9)
        failed = film_with_retries(Job(hub.url("o/film"), 0, str(status.folder), retries=1), configured(tmp_path))
    assert failed.status == "failed"
    assert "503" in failed.reason


def test_a_refusal_is_not_tried_again(tmp_path):
    status = StatusFolder()
    outcome = film_with_retries(Job(str(tmp_path), 0, str(status.folder), retries=5), configured(tmp_path))
    assert (outcome.status, status.said()) == ("failed", [])


def test_a_wait_before_the_next_try_ends_with_a_stop(tmp_path, monkeypatch):
    status, say = StatusFolder(), StatusFolder.say
    job = Job("https://127.0.0.1:1/o/film", 0, str(status.folder), retries=5)
    monkeypatch.setattr(StatusFolder, "say", lambda self, line: (say(self, line), self.stop()))
    assert film_with_retries(job, configured(tmp_path)) is None
    assert len(status.said()) == 1


def test_waits_grow_to_a_quarter_of_an_hour():
    assert run.retry_delays(3) == [10, 20, 40]
    assert run.retry_delays(60)[-1] == 900
    assert len(run.retry_delays(60)) == 50


def test_temporary_folders_are_gone_when_a_process_ends_at_once(tmp_path, monkeypatch):
    from pipeline import temporary

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder("one") as one:
        status = StatusFolder()
        temporary.remove_all()
        assert not one.exists()
        assert not status.folder.exists()


def test_a_harvest_waits_in_the_end_for_another_that_registers_its_film(repositories, tmp_path):
    config, status = configured(tmp_path), StatusFolder()
    with contextlib.ExitStack() as other:
        other.enter_context(Store(config.warehouse).lock(BUILD_LOCK))

        def until_told():
            while not status.said():
                time.sleep(0.01)
            other.close()

        with ThreadPoolExecutor(1) as waiting:
            waited = waiting.submit(until_told)
            outcomes = film_all(repositories[:1], config, status, runner="threads", workers=1)
            waited.result()
    assert [outcome.status for outcome in outcomes] == ["complete"]
    assert status.said() == [f"{config.warehouse}: waiting for another harvest to register what it filmed"]
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as db:
        assert db.execute("SELECT repo_id FROM repositories").fetchall() == [("film0",)]


def test_while_it_films_a_harvest_goes_on_where_another_registers(repositories, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "REBUILD_SECONDS", 0.0)
    config, built = configured(tmp_path), []

    def locked(warehouse, *, settle, wait):
        built.append((settle, wait))
        if wait == 0.0:
            raise LockedError("another process holds this lock")

    monkeypatch.setattr(run.warehouse, "build", locked)
    outcomes = film_all(repositories, config, StatusFolder(), runner="threads", workers=1)
    assert [outcome.status for outcome in outcomes] == ["complete"] * 3
    assert built[0] == (False, 0.0)
    assert built[-1] == (True, run.LONGEST_BUILD_SECONDS)


def test_a_warehouse_that_takes_long_to_refresh_is_refreshed_less_often(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=iter([0.0, 30.0]).__next__))
    monkeypatch.setattr(run.warehouse, "build", lambda *arguments, **named: None)
    assert run.refresh(configured(tmp_path)) == 300.0
