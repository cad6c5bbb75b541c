"""The flows `harvest` behind the deployments harvest/github and harvest/local.

Our own manifests decide what is done; Prefect's cache is off. Where the tasks run is a setting of the process
(`flows.runner`), everything else is a parameter, validated before any work.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment
from prefect.logging import get_run_logger
from prefect.tasks import exponential_backoff

from flows import artifacts
from flows.board import Board
from flows.filming import film_all
from flows.harvest import author_setting
from flows.runner import configured_runner
from pipeline.clone import FetchError
from pipeline.find import Finding, GitHubQuery, find
from pipeline.github import API, ApiConfig, Client, RateLimitedError
from pipeline.harvest import HarvestConfig, Outcome, check_sources, refuse_found
from schema.config import ReplayConfig
from schema.geometry import Geometry

RESULT = list[dict[str, Any]]


def _only_faults(task: Any, run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), FetchError)


@task(
    name="find repositories",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=30),
    retry_jitter_factor=0.5,
    retry_condition_fn=_only_faults,
)
def find_repositories(query: GitHubQuery, api: ApiConfig, config: HarvestConfig) -> Finding:
    """Ask GitHub (`pipeline.find`), waits told in the log."""
    told = get_run_logger().info
    client = Client(api, config.cache_folder.parent / "github", token=artifacts.github_token(), told=told)
    finding = find(query, client)
    told("GitHub: %d repositories, %d refused, %d requests", len(finding.kept), len(finding.refused), client.asked)
    return finding


@flow(name="harvest", flow_run_name="github", task_runner=configured_runner(), persist_result=False)
def harvest_github(
    search: str = "",
    languages: list[str] | None = None,
    min_stars: int | None = None,
    max_stars: int | None = None,
    pushed_since: date | None = None,
    organisations: list[str] | None = None,
    users: list[str] | None = None,
    repositories: list[str] | None = None,
    repositories_file: str = "",
    limit: int = 100,
    warehouse: str = "warehouse",
    geometry: str = "24x80",
    api_url: str = API,
    max_wait_seconds: float = 900.0,
    retries: int = 2,
    query: GitHubQuery | None = None,
    config: HarvestConfig | None = None,
) -> RESULT:
    """Film what GitHub has: by search, owner or list; five small permissive repositories when nothing is named.

    `query` and `config` hold every other setting. A rate limit longer than `max_wait_seconds` schedules this
    deployment again for when it ends. Returns one Outcome, as a dict, a repository.
    """
    given = {
        "search": search, "languages": languages, "min_stars": min_stars, "max_stars": max_stars,
        "pushed_since": pushed_since, "organisations": organisations, "users": users,
        "repositories": repositories, "repositories_file": repositories_file,
    }  # fmt: skip
    chosen = {name: value for name, value in given.items() if value not in ("", None)}
    base = query.model_dump() if query else {"limit": limit}
    query = GitHubQuery.model_validate(base | chosen)
    api = ApiConfig(base_url=api_url, max_wait_seconds=max_wait_seconds)
    config = _config(config, warehouse, geometry, api)
    try:
        finding = find_repositories(query, api, config)
    except RateLimitedError as limited:
        return _come_back(limited)
    refused = [refuse_found(name, rule, config) for name, rule in finding.refused]
    named = [found.clone_url for found in finding.kept]
    check_sources(named, config) if named else None
    licences = {found.clone_url: found.licence for found in finding.kept if found.licence}
    return _film(named, config, Board(), retries, licences, refused)


@flow(name="harvest", flow_run_name="local", task_runner=configured_runner(), persist_result=False)
def harvest_local(
    repositories: list[str] | None = None,
    warehouse: str = "warehouse",
    geometry: str = "24x80",
    retries: int = 2,
    board: str = "",
    config: HarvestConfig | None = None,
) -> RESULT:
    """Film local folders and URLs, by default the folder this runs in. Returns one Outcome, as a dict, a repository."""
    named = repositories or ["."]
    config = _config(config, warehouse, geometry)
    check_sources(named, config)
    return _film(named, config, Board(board or None), retries)


def _film(
    named: Sequence[str],
    config: HarvestConfig,
    board: Board,
    retries: int,
    licences: dict[str, str] | None = None,
    refused: Sequence[Outcome] = (),
) -> RESULT:
    with artifacts.progress(board, named):
        outcomes = [*film_all(named, config, board, retries=retries, licences=licences), *refused]
    artifacts.publish(outcomes, config)
    return [outcome.model_dump() for outcome in outcomes]


def _config(config: HarvestConfig | None, warehouse: str, geometry: str, api: ApiConfig | None = None) -> HarvestConfig:
    if config is None:
        rows, cols = Geometry.parse(geometry)
        replay = ReplayConfig.model_validate({"rows": rows, "cols": cols} | author_setting())
        config = HarvestConfig(warehouse=warehouse, replay=replay)
    if api is not None:
        config = config.model_copy(update={"token_origins": (api.clone_origin,)})
    return config


def _come_back(limited: RateLimitedError) -> RESULT:
    """Schedule the same deployment for when the limit ends, and end this run: no worker sleeps."""
    name, deployment = runtime.flow_run.flow_name, runtime.deployment.name
    if not deployment:
        raise limited
    when = datetime.fromtimestamp(limited.resets_at + 1, UTC)
    run_deployment(
        f"{name}/{deployment}", parameters=runtime.flow_run.parameters, scheduled_time=when, timeout=0, as_subflow=False
    )
    get_run_logger().info("%s; this run ends, the next is scheduled for %s", limited, when.isoformat())
    return []
