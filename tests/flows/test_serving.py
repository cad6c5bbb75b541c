"""Who may serve the deployments; and what somebody who watches a run of theirs gets to see."""

import os
import signal
import subprocess
import sys

import pytest

from flows.serve import main
from flows.server import free_port

SCRIPT = """
import asyncio, json, os, socket, subprocess, sys
from flows.server import prefect_api

# another flows.serve on this host, as far as its command line tells
OTHER = [sys.executable, "-c", "import sys; sys.stdin.read()", "flows.serve"]

def main():
    with prefect_api():
        from prefect import flow
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.actions import WorkPoolCreate
        from prefect.variables import Variable
        from flows.serving import NAME, only_one
        from schema.errors import ConfigError

        @flow(name="harvest")
        def harvest():
            pass

        told = {}

        def serve(case, note=None):
            if note:
                Variable.set(NAME, note, overwrite=True)
            try:
                with only_one():
                    told[case] = Variable.get(NAME)["process"] == os.getpid()
            except ConfigError as error:
                told[case] = str(error)

        async def poll(deployment):
            async with get_client() as client:
                await client.get_scheduled_flow_runs_for_deployments([deployment])

        here = {"host": socket.gethostname(), "since": "then"}
        other = subprocess.Popen(OTHER, stdin=subprocess.PIPE)
        serve("nobody")
        told["given back"] = Variable.get(NAME) is None
        serve("another here", here | {"process": other.pid})
        told["its note stays"] = Variable.get(NAME)["process"] == other.pid
        other.communicate()
        serve("a killed one here", here | {"process": other.pid})
        serve("another program with its number", here | {"process": os.getppid()})
        serve("a note that is none", {"served": "by me"})
        with get_client(sync_client=True) as client:
            flow_id = client.create_flow(harvest)
            deployment = client.create_deployment(flow_id, "local")
            far = {"host": "far", "process": 1, "since": "then"}
            serve("one far away that polls no more", far)
            asyncio.run(poll(deployment))
            serve("one far away that polls", far)
            Variable.unset(NAME)
            client.create_work_pool(WorkPoolCreate(name="many", type="process"))
            client.create_deployment(flow_id, "github", work_pool_name="many")
            serve("a work pool")
        print(json.dumps(told))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_a_living_one_and_a_work_pool_are_left_alone_and_a_dead_one_is_not_in_the_way(told):
    said = told(SCRIPT)
    living, far, pool = (said.pop(case) for case in ("another here", "one far away that polls", "a work pool"))
    assert set(said.values()) == {True}, said
    assert "are served already, by process " in living
    assert ", since then; end that one first" in living
    assert "by process 1 on far, since then" in far
    assert "belongs to the work pool 'many'" in pool
    assert all(line.count("\n") == 0 for line in (living, far, pool))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--api-url", "notaurl"), "GitHub address 'notaurl'"),
        (("--api-url", "ftp://x/api/v3"), "GitHub address 'ftp://x/api/v3'"),
        (("--limit", "0"), "--limit 0"),
        (("--warehouse", "ftp://x"), "warehouse ftp://x"),
    ],
)
def test_what_every_run_would_stumble_over_is_refused_before_anything_is_served(flags, words, capsys):
    assert main(flags) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert words in told.err


@pytest.mark.parametrize("url", ["notaurl", "http://", "localhost:4200/api", "http://127.0.0.1:notaport/api"])
def test_an_address_of_prefect_that_is_no_url_is_refused(url, capsys, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert main([]) == 2
    assert (
        capsys.readouterr().err
        == f"gitreel: Prefect server {url!r} (PREFECT_API_URL): not a URL; write http://HOST:PORT/api\n"
    )


@pytest.mark.server
def test_a_second_one_is_refused_and_a_watched_run_says_its_name_and_what_it_waits_for(tmp_path, environment):
    environment |= {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api", "COLUMNS": "300"}

    def start(*command):
        return subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=tmp_path, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def watch(deployment, *parameters, until):
        watching = start(
            "prefect", "deployment", "run", f"harvest/{deployment}", "--watch",
            *(part for parameter in parameters for part in ("--param", parameter)),
        )  # fmt: skip
        seen = []
        for line in watching.stdout:
            seen.append(line)
            if until in line:
                break
        os.killpg(watching.pid, signal.SIGKILL)
        watching.communicate()
        return "".join(seen)

    first = start("flows.serve", "--warehouse", "warehouse")
    try:
        while "polling for scheduled runs" not in (line := first.stdout.readline()):
            assert first.poll() is None, line
        second = start("flows.serve", "--warehouse", "other")
        told = second.communicate()[0].splitlines()
        assert second.returncode == 2
        assert len(told) == 2  # where the server is, and why not
        assert f"served already, by process {first.pid} on " in told[1]
        failed = watch("local", 'repositories=["/no/such/place"]', until="finished in state")
        assert "local: place" in failed
        assert "gitreel.failed * repository '/no/such/place': no such folder" in failed
        assert "finished in state 'Failed'" in failed
        nobody = ("api_url=http://127.0.0.1:1/api/v3", "search=lume")
        waiting = watch("github", *nobody, until="gitreel.waiting")
        assert "github: search=lume" in waiting
        assert "GitHub search: no answer (ConnectionError); waiting " in waiting
    finally:
        os.killpg(first.pid, signal.SIGINT)
        rest = first.communicate()[0]
    assert "Traceback" not in rest, rest
    assert first.returncode == 0
