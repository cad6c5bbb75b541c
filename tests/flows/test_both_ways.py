"""With a Prefect server and without one: the same bytes; with one, seen there; interrupted, one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash import fingerprint, make_history
from tests.flows.harvesting import Endless

SCRIPT = """
import json, subprocess, sys
from flows.server import prefect_api

def main():
    with prefect_api():  # PREFECT_API_URL names the server now, and it answers
        from prefect.client.orchestration import get_client
        code = subprocess.run([sys.executable, "-m", "flows.harvest", *sys.argv[1:]]).returncode
        with get_client(sync_client=True) as client:
            runs = [(run.name, run.state.name) for run in client.read_flow_runs()]
            tasks = sorted((task.name, task.state.name) for task in client.read_task_runs())
            logs = [log.message for log in client.read_logs()]
    print(json.dumps({"code": code, "runs": runs, "tasks": tasks, "logs": logs}))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_with_a_server_and_without_one_the_bytes_are_the_same_and_the_run_is_seen_there(tmp_path, environment):
    repositories = [str(make_history(tmp_path / f"made{number}.git", number, 12)) for number in range(2)]
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(folder, *command):
        (tmp_path / folder).mkdir()
        named = [part for repository in repositories for part in ("--repo", repository)]
        command = [sys.executable, *command, "--warehouse", "warehouse", "--workers", "2", *named]
        done = subprocess.run(command, cwd=tmp_path / folder, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    plain = run("plain", "-m", "flows.harvest")
    seen = run("prefect", str(tmp_path / "script.py"))
    told = json.loads(seen.splitlines()[-1])
    assert told["code"] == 0
    assert told["runs"] == [["local: made0 and made1", "Completed"]]
    assert told["tasks"] == [[f"{repositories[0]} and 1 more", "Completed"]]
    assert any(message.startswith(f"{repositories[1]}: complete, 12 new episodes, ") for message in told["logs"])
    assert any(message.startswith("24 new episodes, ") for message in told["logs"])
    assert "24 new episodes, " in plain
    assert fingerprint(tmp_path / "plain/warehouse") == fingerprint(tmp_path / "prefect/warehouse")


@pytest.mark.server
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at /proc")
@pytest.mark.parametrize("moment", ["its imports", "a fetch"])
def test_interrupted_with_a_server_of_its_own_it_ends_in_one_line_and_leaves_nothing(tmp_path, environment, moment):
    run = Endless(tmp_path, "--prefect", commits=4)
    run.environment |= {"XDG_CACHE_HOME": environment["XDG_CACHE_HOME"]}
    with run.started() as process:
        run.wait_until(moment)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)
    assert err.startswith("interrupted")
    run.wait_until_no_process_is_left()
    assert not list(run.temporary.glob("gitreel-*"))
    if moment == "a fetch":
        assert err == "interrupted (2 complete, 1 not begun); run the same command again to go on\n"
        assert run.report() == {"made0": "complete", "made1": "complete"}
