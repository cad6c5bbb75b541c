"""The flow behind harvest/github, through a real Prefect API and a local GitHub, with a marked token."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml
from prefect.exceptions import ParameterTypeError

from benchmarks.github_server import GitHubServer
from flows.flow import agreed, harvest_config, harvest_github, harvest_local
from pipeline.crawl.search import GitHubQuery
from pipeline.harvester import HarvestConfig
from tests.repositories import Repository

ROOT = Path(__file__).parents[2]
MIT = (ROOT / "LICENSE").read_bytes()
TOKEN = "ghp_" + "Marked0Token" * 3
SCRIPT = """
import asyncio, json, os, sys
from flows.server import prefect_api

def main():
    with prefect_api():
        from prefect.client.orchestration import get_client
        from flows.flow import harvest_github
        results = harvest_github(**json.loads(sys.argv[1]))
        async def keys():
            async with get_client() as client:
                return sorted({a.key for a in await client.read_artifacts()})
        print(json.dumps({"results": results, "artifacts": asyncio.run(keys())}))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_harvest_github_finds_films_refuses_and_keeps_the_token_to_itself(tmp_path, environment):
    for name in ("one", "two"):
        made = Repository(tmp_path / name)
        made.commit("Root", {"a.py": b"one\n", "LICENSE": MIT, "name": name.encode() + b"\n"})
    with GitHubServer(tmp_path, token=TOKEN) as hub:
        hub.add("o/one", tmp_path / "one")
        hub.add("o/two", tmp_path / "two", licence="GPL-3.0")
        hub.add("o/empty", Repository(tmp_path / "empty").path)
        hub.renamed["o/old"] = "o/one"
        hub.fail("/repos/o/two", 502)
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        parameters = {
            "repositories": ["o/old", "o/two", "o/none", "o/empty"],
            "api_url": hub.api,
            "warehouse": str(tmp_path / "warehouse"),
        }
        environment |= {"GITHUB_TOKEN": TOKEN, "GITREEL_RUNNER": "threads"}
        done = subprocess.run(
            [sys.executable, str(script), json.dumps(parameters)], env=environment, cwd=tmp_path, capture_output=True
        )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout.splitlines()[-1])
    statuses = {result["repo_id"]: (result["status"], result["reason"]) for result in told["results"]}
    assert statuses == {
        "o/one": ("complete", ""),
        "o/two": ("refused", "licence-refused"),
        "o/none": ("refused", "not-found"),
        "o/empty": ("refused", "empty"),
    }
    wanted = {"harvest-summary", "harvest-drops", "harvest-frame", "harvest-progress", "harvest-status"}
    assert wanted <= set(told["artifacts"])
    with duckdb.connect(str(tmp_path / "warehouse/actions.db"), read_only=True) as database:
        rules = database.execute("SELECT repo_id, rule FROM drops WHERE scope = 'repository' ORDER BY ALL").fetchall()
    assert rules == [("o/empty", "empty"), ("o/none", "not-found"), ("o/two", "licence-refused")]
    assert hub.seen_tokens == {TOKEN}
    assert TOKEN.encode() not in done.stdout + done.stderr
    assert not [f for f in tmp_path.rglob("*") if f.is_file() and TOKEN.encode() in f.read_bytes()]


LIMITED = """
import json, os, sys
from flows.server import prefect_api

def main():
    with prefect_api():
        from prefect.client.orchestration import get_client
        from flows.flow import harvest_github

        with get_client(sync_client=True) as client:
            deployment = client.create_deployment(client.create_flow(harvest_github), "github")
            os.environ["PREFECT__RUNTIME__DEPLOYMENT__ID"] = str(deployment)
            os.environ["PREFECT__RUNTIME__DEPLOYMENT__NAME"] = "github"
            given = json.loads(sys.argv[1])
            results = harvest_github(**given)
            (run,) = [run for run in client.read_flow_runs() if run.deployment_id]
        print(json.dumps({"results": results, "state": run.state.name, "parameters": run.parameters}))

if __name__ == "__main__":
    main()
"""


@pytest.mark.server
def test_a_run_that_a_rate_limit_puts_off_asks_for_the_same_repositories_again(tmp_path, environment):
    given = {
        "users": ["o"], "warehouse": str(tmp_path / "warehouse"), "max_wait_seconds": 1, "pushed_since": "2020-01-01",
        "query": {"refresh_hours": 0}, "config": {"clone": {"max_bytes": 1_000_000}},
    }  # fmt: skip
    with GitHubServer(tmp_path) as hub:
        hub.add("o/one", None)
        hub.fail("/users/o", 403, body={"message": "API rate limit exceeded"}, retry_after="3000")
        script = tmp_path / "script.py"
        script.write_text(LIMITED)
        done = subprocess.run(
            [sys.executable, str(script), json.dumps(given | {"api_url": hub.api})],
            env=environment | {"GITREEL_RUNNER": "threads"}, cwd=tmp_path, capture_output=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["results"], told["state"]) == ([], "Scheduled")
    again = harvest_github.validate_parameters(told["parameters"])
    assert again["query"].model_fields_set == {"refresh_hours"}
    config = harvest_config(again["config"], again["warehouse"], again["geometry"])
    assert (config.warehouse, config.clone.max_bytes) == (str(tmp_path / "warehouse"), 1_000_000)
    assert (again["users"], str(again["pushed_since"])) == (["o"], "2020-01-01")


def test_prefect_yaml_names_flows_that_are_there():
    wanted = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert {d["name"] for d in wanted} == {"github", "local"}
    for deployment in wanted:
        path, function = deployment["entrypoint"].split(":")
        assert f"def {function}(" in (ROOT / path).read_text()


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        (harvest_github, {"limit": 0}), (harvest_github, {"min_stars": -1}), (harvest_github, {"retries": -1}),
        (harvest_github, {"max_wait_seconds": -1}), (harvest_github, {"geometry": "24"}),
        (harvest_github, {"geometry": "3x80"}), (harvest_github, {"geometry": "24x23"}),
        (harvest_github, {"pushed_since": "yesterday"}), (harvest_github, {"query": {"serach": "x"}}),
        (harvest_local, {"geometry": "big"}), (harvest_local, {"config": {"clone": {"max_bytes": 0}}}),
    ],
)  # fmt: skip
def test_prefect_refuses_parameters_out_of_bounds_before_there_is_a_run(function, wrong):
    (name,) = wrong
    with pytest.raises(ParameterTypeError, match=name):
        function.validate_parameters(wrong)
    properties = function.parameters.model_dump()["properties"]
    assert "minimum" in str(properties["retries"])  # `prefect deployment run` and the page check these
    assert "pattern" in str(properties["geometry"])


def test_a_config_beside_other_parameters_keeps_them(monkeypatch):
    monkeypatch.setenv("GITREEL_AUTHOR_KEY", "key")
    config = harvest_config(HarvestConfig.model_validate({"allow_unknown_licence": True}), "/served", "48x160")
    assert (config.warehouse, config.replay.rows, config.replay.cols) == ("/served", 48, 160)
    assert config.allow_unknown_licence
    assert config.replay.author_key_hash
    said = {"warehouse": "/its/own", "replay": {"rows": 12}}
    config = harvest_config(HarvestConfig.model_validate(said), "/served", "48x160")
    assert (config.warehouse, config.replay.rows, config.replay.cols) == ("/its/own", 12, 160)


def test_the_editor_is_a_parameter_and_a_config_that_names_one_wins():
    assert harvest_config(None, "w", "24x80").replay.editor == "vim"
    replay = harvest_config(None, "w", "24x80", "nano", "arrows").replay
    assert (replay.editor, replay.motion) == ("nano", "arrows")
    for editor in ("vim", "nano"):
        own = HarvestConfig.model_validate({"replay": {"editor": editor}})
        assert harvest_config(own, "w", "24x80", "nano").replay.editor == editor
    parameters = harvest_local.parameters.properties
    assert parameters["editor"]["enum"] == ["vim", "nano"]
    assert parameters["motion"]["default"] == "jumps"


def test_licences_and_owners_hold_for_the_query_and_the_harvest():
    query, config = agreed(
        GitHubQuery.model_validate({"licences": ["GPL-3.0"], "opt_out": ["a"]}),
        HarvestConfig.model_validate({"allow_unknown_licence": True, "opt_out": ["b"]}),
    )
    assert query.licences == config.licences == ("GPL-3.0",)
    assert query.allow_unknown_licence
    assert query.opt_out == config.opt_out == ("a", "b")
    query, config = agreed(
        GitHubQuery.model_validate({"licences": ["MIT"]}), HarvestConfig.model_validate({"licences": ["ISC"]})
    )
    assert (query.licences, config.licences) == (("MIT",), ("ISC",))
