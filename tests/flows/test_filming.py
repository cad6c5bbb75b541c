"""Small repositories that share a Prefect task: each keeps its own outcome, tries and record, and its bytes."""

import os
import signal
import subprocess
import uuid
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import duckdb
import pytest
from prefect.futures import PrefectConcurrentFuture

from benchmarks.crash import fingerprint
from flows.filming import _results
from pipeline.harvester import Outcome
from pipeline.pool.run import Job
from pipeline.pool.status import StatusFolder
from tests.flows.harvesting import Endless
from tests.repositories import Repository

ROOT = Path(__file__).parents[2]
MIT = (ROOT / "LICENSE").read_bytes()
SCRIPT = """
import contextlib, json, sys, threading, time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from flows.server import prefect_api
from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.pool import groups, run
from pipeline.pool.status import StatusFolder
from benchmarks.github_server import GitHubServer

FOLDER = Path(sys.argv[1])
KEPT = ("a", "b", "c")
ENDED_EARLY, FILM = [], run.film

class Silence:
    # in the place of a server's `open`: the first request is never answered, and an hour passes meanwhile
    def __init__(self):
        self.passed, self.asked, self.end = 0.0, False, threading.Event()
        self.clock = SimpleNamespace(monotonic=lambda: time.monotonic() + self.passed, sleep=time.sleep)
    def wait(self):
        if not self.asked:
            self.asked, self.passed = True, 3600.0
            self.end.wait()

def trying(job, *arguments, **named):
    # before every try, the first or another one: what has not ended yet is not noted as failed
    noted = StatusFolder(job.status).outcome(job.place)
    if noted is not None:
        ENDED_EARLY.append([job.named, noted.status])
    return FILM(job, *arguments, **named)

def harvest(hub, case, rule, seen):
    from prefect.client.orchestration import get_client
    from flows.flow import harvest_github
    warehouse = str(FOLDER / case / "warehouse")
    early = HarvestConfig(warehouse=warehouse, names={str(FOLDER / "early"): "o/other"})
    harvest_repository(str(FOLDER / "early"), early)  # another history has the name
    hub.fail("/o/later.git", 503)
    hub.requests.clear()
    found = harvest_github(users=["o"], api_url=hub.api, warehouse=warehouse, grouping=groups.Grouping(**rule))
    with get_client(sync_client=True) as client:
        tasks = [task for task in client.read_task_runs() if task.id not in seen and task.name[:4] != "find"]
        logs = [log.message for log in client.read_logs()]
    seen |= {task.id for task in tasks}
    fetched = [path for _, path, _ in hub.requests if "/info/refs" in path]
    return {
        "outcomes": {short(o["repo_id"]): [o["status"], short(o["reason"]), o["new_episodes"]] for o in found},
        "tasks": sorted([short(task.name), task.state.name, task.run_count] for task in tasks),
        "fetches": {name: sum(f"/o/{name}.git/" in path for path in fetched) for name in KEPT},
        "logs": [short(line) for line in logs],
    }

def short(text):
    import re
    return re.sub(r"http://127.0.0.1:[0-9]+/", "", text).partition(";")[0]

def main():
    silence, told, seen = Silence(), {}, set()
    with contextlib.ExitStack() as ends:
        for made in (prefect_api(), hub := GitHubServer(FOLDER), silent := GitHubServer(FOLDER)):
            ends.enter_context(made)
        ends.enter_context(mock.patch.object(run, "RETRY_SECONDS", 0.01))
        for module in (run, groups):
            ends.enter_context(mock.patch.object(module, "time", silence.clock))
            ends.enter_context(mock.patch.object(module, "film", trying))
        silent.open = silence
        for name in (*KEPT, "later", "other", "empty"):
            hub.add(f"o/{name}", FOLDER / name)
        hub.add("o/gone")  # since GitHub was asked
        hub.add("o/large", FOLDER / "large", size=100_000)
        silent.add("o/silent", FOLDER / "silent")
        hub.add("o/silent", clone_url=silent.url("o/silent"))
        for case, rule in (("together", {}), ("by threes", {"repositories": 3}), ("alone", {"repositories": 1})):
            told[case] = harvest(hub, case, rule, seen)
        told["ended early"] = ENDED_EARLY
        silence.end.set()
    print(json.dumps(told))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_each_of_a_group_fails_waits_and_is_refused_by_itself_and_the_bytes_are_those_of_each_alone(tmp_path, told):
    for name in ("a", "b", "c", "later", "other", "early", "silent", "large"):
        made = Repository(tmp_path / name)
        for number in range(2):
            made.commit(f"Commit {number}", {"a.py": b"line\n" * number, "LICENSE": MIT, "name": name.encode()})
    Repository(tmp_path / "empty")
    said = told(SCRIPT, str(tmp_path), PYTHONPATH=str(ROOT), GITREEL_RUNNER="threads", GITREEL_WORKERS="1")
    assert said.pop("ended early") == []
    together = said["together"]
    status, reason, _ = together["outcomes"].pop("o/other.git")
    assert (status, "is the film of early, another history" in reason) == ("failed", True)
    assert together["outcomes"] == {
        f"o/{name}": ["complete", "", 2] for name in ("a", "b", "c", "later", "large", "silent")
    } | {"o/empty": ["refused", "empty", 0], "o/gone": ["refused", "not-found", 0]}
    assert together["tasks"] == [
        ["o/a.git and 7 more", "SomeFailed", 1], ["o/large.git", "Completed", 1], ["o/later.git", "Completed", 1],
        ["o/silent.git", "Completed", 1],
    ]  # fmt: skip
    assert "o/b.git: complete, 2 new episodes, 1,248 new steps" in together["logs"]
    assert any("503" in line for line in together["logs"])
    assert together["fetches"] == {"a": 1, "b": 1, "c": 1}  # though others of their group were tried again
    assert "o/a.git and 2 more" in [name for name, _, _ in said["by threes"]["tasks"]]
    assert len(said["alone"]["tasks"]) == 9
    assert ["o/later.git", "Completed", 2] in said["alone"]["tasks"]
    for case in ("by threes", "alone"):
        assert said[case]["outcomes"].pop("o/other.git")[0] == "failed"
        assert said[case]["outcomes"] == together["outcomes"]
        assert fingerprint(tmp_path / case / "warehouse") == fingerprint(tmp_path / "together" / "warehouse")
    with duckdb.connect(str(tmp_path / "together" / "warehouse/actions.db"), read_only=True) as database:
        rules = database.execute("SELECT repo_id, rule FROM drops WHERE scope = 'repository' ORDER BY ALL").fetchall()
    assert rules == [("o/empty", "empty"), ("o/gone", "not-found")]


@pytest.mark.server
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at /proc")
def test_a_group_that_is_killed_has_lost_nothing_of_those_that_had_ended(tmp_path, environment):
    run = Endless(tmp_path, "--prefect", commits=60)
    run.environment |= {"XDG_CACHE_HOME": environment["XDG_CACHE_HOME"]}
    del run.command[-2:]  # the two that share a task alone
    named = [part for part in run.command if part.endswith(".git")]
    with run.started() as process:
        while not run.filmed("made0"):
            assert process.poll() is None, process.stderr.read()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        run.wait_until_no_process_is_left()
    first = (tmp_path / "warehouse/shards/made0/stream.json").stat().st_mtime_ns
    whole = tmp_path / "whole"
    plain = [part for part in run.command if part != "--prefect"]
    for command in (plain, [str(whole) if part == str(tmp_path / "warehouse") else part for part in plain]):
        done = subprocess.run(command, env=run.environment, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "warehouse/shards/made0/stream.json").stat().st_mtime_ns == first
    assert len(named) == 2
    assert fingerprint(tmp_path / "warehouse") == fingerprint(whole)


def test_of_a_group_whose_worker_died_those_that_had_ended_keep_their_outcomes():
    status, ended = StatusFolder(), Outcome(repo_id="a", status="complete", new_episodes=3)
    status.end(0, ended)
    wrapped: Future[object] = Future()
    wrapped.set_exception(BrokenProcessPool("a process was terminated abruptly"))
    jobs = [Job(name, place, str(status.folder)) for place, name in enumerate("ab")]
    kept, lost = _results(PrefectConcurrentFuture(uuid.uuid4(), wrapped), jobs, status)
    assert kept == ended
    assert (lost.status, lost.reason) == ("failed", "b: BrokenProcessPool: a process was terminated abruptly")
