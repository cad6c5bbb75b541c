"""Runs whose processes were killed, told to a real Prefect API."""

import pytest

from tests.repositories import Repository

SCRIPT = """
import json, subprocess, sys
from flows.server import prefect_api

HOLD = "import sys; from flows import runs; runs.hold(sys.argv[1]); print('held', flush=True); sys.stdin.read()"

def main():
    with prefect_api():
        from prefect import flow, task
        from prefect.client.orchestration import get_client
        from prefect.states import Completed, Running
        from flows import runs

        @flow
        def harvest():
            pass

        @task
        def film():
            pass

        told = {}
        with get_client(sync_client=True) as client:
            kinds = {"killed": Running(), "alive": Running(), "ended": Completed(), "elsewhere": Running()}
            made = {name: client.create_flow_run(harvest, name=name, state=state) for name, state in kinds.items()}
            states = {"done": Completed(), "playing": Running(), "waiting": None}
            tasks = {
                name: client.create_task_run(film, made["killed"].id, dynamic_key=name, name=name, state=state)
                for name, state in states.items()
            }
            holders = {}
            for name in ("killed", "alive", "ended"):
                command = [sys.executable, "-c", HOLD, str(made[name].id)]
                holders[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                assert holders[name].stdout.readline() == b"held\\n"
            for name in ("killed", "ended"):
                holders[name].kill()
                holders[name].wait()
            told["first"] = runs.mark_crashed()
            told["again"] = runs.mark_crashed()
            told["states"] = {name: client.read_flow_run(run.id).state.name for name, run in made.items()}
            told["tasks"] = {name: client.read_task_run(run.id).state.name for name, run in tasks.items()}
            told["noted"] = [path.name == str(made["alive"].id) for path in runs.folder().glob("*")]
            holders["alive"].communicate()
            told["later"] = runs.mark_crashed()
        print(json.dumps(told))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_only_a_run_whose_process_was_killed_is_marked_as_crashed(told):
    assert told(SCRIPT) == {
        "first": ["killed"],
        "again": [],
        "states": {"killed": "Crashed", "alive": "Running", "ended": "Completed", "elsewhere": "Running"},
        "tasks": {"done": "Completed", "playing": "Crashed", "waiting": "Crashed"},
        "noted": [True],
        "later": ["alive"],
    }


DEPLOYED = """
import json, os, subprocess, sys
from flows.server import prefect_api

HOLD = "import sys; from flows import runs; runs.hold(sys.argv[1]); print('held', flush=True); sys.stdin.read()"

def main():
    with prefect_api():
        from prefect.client.orchestration import get_client
        from prefect.states import Running
        from flows.flow import harvest_local

        with get_client(sync_client=True) as client:
            killed = client.create_flow_run(harvest_local, name="killed", state=Running())
            command = [sys.executable, "-c", HOLD, str(killed.id)]
            holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert holder.stdout.readline() == b"held\\n"
            holder.kill()
            holder.wait()
            states = [client.read_flow_run(killed.id).state.name]
            os.environ["PREFECT__RUNTIME__DEPLOYMENT__ID"] = "of a work pool"
            harvest_local([sys.argv[1]], warehouse=sys.argv[2])
            states.append(client.read_flow_run(killed.id).state.name)
        print(json.dumps(states))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_the_next_run_of_a_deployment_marks_those_that_were_killed_together_with_their_worker(told, tmp_path):
    made = Repository(tmp_path / "film")
    made.commit("Root", {"a.py": b"one\n"})
    states = told(DEPLOYED, str(made.path), str(tmp_path / "warehouse"), GITREEL_RUNNER="threads")
    assert states == ["Running", "Crashed"]
