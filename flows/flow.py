"""The flows `harvest` behind the deployments harvest/github and harvest/local.

Our own manifests decide what is done; Prefect's cache is off. Where the tasks run is a setting of the process
(`flows.runner`), everything else is a parameter, validated before any work.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, NamedTuple

from prefect import State, flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import run_deployment
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Failed
from prefect.tasks import exponential_backoff
from pydantic import BaseModel, Field, ValidationError

from flows import artifacts, console, names, runs
from flows.delivery import deliver_events
from flows.filming import film_all
from flows.runner import configured_runner
from flows.unread import outlive_reader
from pipeline.crawl.clone import FetchError, Stopped
from pipeline.crawl.github import API, ApiConfig, Client, RateLimitedError
from pipeline.crawl.search import Finding, GitHubQuery, find
from pipeline.harvester import HarvestConfig, Outcome, author_setting, check_sources, refuse_found
from pipeline.pool import interruption
from pipeline.pool.groups import KB, Grouping
from pipeline.pool.run import pause
from pipeline.pool.status import StatusFolder
from pipeline.shards.store import Store
from pipeline.warehouse.checks import may_hold_film
from schema.config import ReplayConfig
from schema.editors import Editor, Motion
from schema.errors import ConfigError, GitreelError
from schema.geometry import Geometry

RESULT = list[dict[str, Any]]
# Parameters with their bounds: Prefect refuses what is out of them before there is a run.
Count = Annotated[int, Field(gt=0)]
Number = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Screen = Annotated[
    str,
    Field(
        pattern=r"^([4-9]|[1-9][0-9]|[1-4][0-9]{2}|500)x(2[4-9]|[3-9][0-9]|[1-9][0-9]{2}|1000)$",
        description="ROWSxCOLS, cells: 4x24 to 500x1000",
    ),
]
STOPPED = "stopped, what was filmed is stored; run it again, and it goes on where it was"
ANNOUNCED = 20  # failures of one run, at most; the summary has all
_BOTH = ("licences", "allow_unknown_licence")  # settings of the query and of the harvest alike


class Crawled(NamedTuple):
    """What a crawl knows: licences (SPDX) and sizes (bytes) by clone URL, and what became of those it refused."""

    licences: Mapping[str, str]
    sizes: Mapping[str, int]
    refused: Sequence[Outcome]


def _only_faults(task: Any, run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), FetchError)


def _github_name() -> str:
    return names.github_name(runtime.flow_run.parameters)


def _local_name() -> str:
    return names.local_name(runtime.flow_run.parameters)


@task(
    name="find repositories",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=3,
    retry_delay_seconds=exponential_backoff(backoff_factor=30),
    retry_jitter_factor=0.5,
    retry_condition_fn=_only_faults,
)
def find_repositories(query: GitHubQuery, api: ApiConfig, config: HarvestConfig, status_folder: str) -> Finding:
    """Ask GitHub (`pipeline.crawl.search`); what is waited for is announced. Raises Stopped when it is asked to."""
    status = StatusFolder(status_folder)

    def sleep(seconds: float) -> None:
        if not pause(seconds, status):
            raise Stopped("stopped while GitHub was asked")

    token = artifacts.github_token()
    memory = config.cache_folder.parent / "github"
    client = Client(api, memory, token=token, notify=artifacts.announce, sleep=sleep)
    try:
        finding = find(query, client)
    except FetchError as error:
        artifacts.announce(str(error))
        raise
    get_run_logger().info(
        "GitHub: %d repositories, %d refused, %d requests", len(finding.kept), len(finding.refused), client.asked
    )
    return finding


@flow(name="harvest", flow_run_name=_github_name, task_runner=configured_runner(), persist_result=False)
def harvest_github(
    search: Annotated[str, Field(max_length=256)] = "",
    languages: list[str] | None = None,
    min_stars: Number | None = None,
    max_stars: Number | None = None,
    pushed_since: date | None = None,
    organisations: list[str] | None = None,
    users: list[str] | None = None,
    repositories: list[str] | None = None,
    repositories_file: str = "",
    limit: Count = 100,
    warehouse: str = "warehouse",
    geometry: Screen = "24x80",
    editor: Editor = "vim",
    motion: Motion = "jumps",
    api_url: str = API,
    max_wait_seconds: Seconds = 900.0,
    retries: Number = 2,
    query: GitHubQuery | None = None,
    config: HarvestConfig | None = None,
    grouping: Grouping | None = None,
) -> RESULT | State[Any]:
    """Film what GitHub has: by search, owner or list; five small permissive repositories when nothing is named.

    `query` and `config` hold every other setting, and win where they say something of their own; licences and opted-out
    owners hold for both, whichever names them. `grouping` says which repositories share a task. A rate limit longer
    than `max_wait_seconds` schedules this deployment again for when it ends. Returns one Outcome, as a dict, a
    repository.
    """
    given = {
        "search": search, "languages": languages, "min_stars": min_stars, "max_stars": max_stars,
        "pushed_since": pushed_since, "organisations": organisations, "users": users,
        "repositories": repositories, "repositories_file": repositories_file, "limit": limit,
    }  # fmt: skip

    def run(status: StatusFolder) -> list[Outcome]:
        said = {name: value for name, value in given.items() if value not in ("", None)}
        api = ApiConfig(base_url=api_url, max_wait_seconds=max_wait_seconds)
        wanted, chosen = agreed(
            GitHubQuery.model_validate(said | (query.model_dump(exclude_unset=True) if query else {})),
            harvest_config(config, warehouse, geometry, editor, motion).model_copy(
                update={"token_origins": (api.clone_origin,)}
            ),
        )
        may_hold_film(Store(chosen.warehouse))  # refused ones are registered before the others are checked
        try:
            finding = find_repositories(wanted, api, chosen, str(status.folder))
        except RateLimitedError as limited:
            return _come_back(limited)
        if not (finding.kept or finding.refused):
            get_run_logger().warning("GitHub: no repository is like that; ask for less: fewer languages, fewer stars")
        refused = [
            refuse_found(name, rule, chosen, source=f"{api.clone_origin}/{name}") for name, rule in finding.refused
        ]
        named = [found.clone_url for found in finding.kept]
        named = list(check_sources(named, chosen)) if named else []
        crawled = Crawled(
            {found.clone_url: found.licence for found in finding.kept if found.licence},
            {found.clone_url: found.size_kb * KB for found in finding.kept},
            refused,
        )
        return _film(named, chosen, status, retries, grouping, crawled)

    return _finished(run)


@flow(name="harvest", flow_run_name=_local_name, task_runner=configured_runner(), persist_result=False)
def harvest_local(
    repositories: list[str] | None = None,
    warehouse: str = "warehouse",
    geometry: Screen = "24x80",
    editor: Editor = "vim",
    motion: Motion = "jumps",
    retries: Number = 2,
    status_folder: str = "",
    config: HarvestConfig | None = None,
    grouping: Grouping | None = None,
) -> RESULT | State[Any]:
    """Film local folders and URLs, by default the folder this runs in. Returns one Outcome, as a dict, a repository."""

    def run(status: StatusFolder) -> list[Outcome]:
        chosen = harvest_config(config, warehouse, geometry, editor, motion)
        named = list(check_sources(repositories or ["."], chosen))
        return _film(named, chosen, status, retries, grouping)

    return _finished(run, status_folder)


def _finished(run: Callable[[StatusFolder], list[Outcome]], folder: str = "") -> RESULT | State[Any]:
    """What became of each repository; for whoever watches a deployment's run, the reasons in its log and as events.

    There, what is wrong with the parameters, or a harvest of which nothing came, is a failed run with one line, and one
    that was stopped (by a signal, as Prefect cancels a run, too) is a cancelled one.
    """
    served = bool(runtime.deployment.id)
    if served:
        outlive_reader()
        for name in runs.mark_crashed():  # workers of a pool do not look after runs of one that was killed
            get_run_logger().warning("run %r was killed on this host: marked as crashed", name)
        runs.hold(str(runtime.flow_run.id))
    status = StatusFolder(folder or None)
    try:
        with interruption.heard(status.stop, lambda: None):  # Prefect's runner itself insists, after half a minute
            outcomes = run(status)
        return Cancelled(message=STOPPED) if served and status.stopped else _ended(outcomes, served)
    except ValidationError as error:
        first = error.errors()[0]
        refusal: GitreelError = ConfigError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
    except GitreelError as error:
        if served and status.stopped:
            return Cancelled(message=STOPPED)
        refusal = error
    except Exception as error:  # a fault of ours: Prefect logs where
        artifacts.announce(f"{type(error).__name__}: {error}", "failed")
        deliver_events()
        raise
    finally:
        status.remove()
    if not served:
        raise refusal.with_traceback(None)  # Prefect keeps it to the end, and what its frames hold of DuckDB
    artifacts.announce(str(refusal), "failed")
    deliver_events()
    return Failed(message=str(refusal))


def _ended(outcomes: list[Outcome], served: bool) -> RESULT | State[Any]:
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failed[:ANNOUNCED]:
        artifacts.announce(outcome.reason, "failed")
    log = get_run_logger()
    others = [outcome for outcome in outcomes if outcome.status != "failed"]
    for line in [*console.reasons(others), *([console.verdict(outcomes)] if outcomes else [])]:
        log.info(line)
    deliver_events()
    if failed and not others and served:
        return Failed(message=failed[0].reason)
    return [outcome.model_dump() for outcome in outcomes]


def _film(
    named: Sequence[str],
    config: HarvestConfig,
    status: StatusFolder,
    retries: int,
    grouping: Grouping | None,
    crawled: Crawled | None = None,
) -> list[Outcome]:
    """What is named by hand has nothing `crawled`."""
    licences, sizes, refused = crawled or Crawled({}, {}, [])
    with artifacts.progress(status, named):
        filmed = film_all(
            named, config, status, retries=retries, licences=licences, found=crawled is not None, grouping=grouping,
            sizes=sizes,
        )  # fmt: skip
        outcomes = [*filmed, *refused]
    artifacts.publish(outcomes, config)
    return outcomes


def harvest_config(
    config: HarvestConfig | None, warehouse: str, geometry: str, editor: Editor = "vim", motion: Motion = "jumps"
) -> HarvestConfig:
    """`config`, with the warehouse, screen and editor that are named beside it wherever it says nothing about them.

    Raises ConfigError, ValidationError.
    """
    rows, cols = Geometry.parse(geometry)
    said = config.model_dump(exclude_unset=True) if config else {}
    own = config.replay if config and "replay" in config.model_fields_set else ReplayConfig.model_validate({})
    replay = {"rows": rows, "cols": cols, "editor": editor, "motion": motion} | author_setting()
    replay |= {name: getattr(own, name) for name in own.model_fields_set}
    return HarvestConfig.model_validate({"warehouse": warehouse} | said | {"replay": replay})


def agreed(query: GitHubQuery, config: HarvestConfig) -> tuple[GitHubQuery, HarvestConfig]:
    """Both decide about licences and owners: what one of them says holds for the other, unless that says otherwise."""

    def said(one: GitHubQuery | HarvestConfig, other: GitHubQuery | HarvestConfig) -> dict[str, Any]:
        names = [name for name in _BOTH if name in other.model_fields_set - one.model_fields_set]
        return {name: getattr(other, name) for name in names} | {"opt_out": (*query.opt_out, *config.opt_out)}

    return query.model_copy(update=said(query, config)), config.model_copy(update=said(config, query))


def as_given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A run's parameters as JSON, as they were given: a model's defaults would win over the parameters beside it."""
    return {
        name: value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value
        for name, value in parameters.items()
    }


def _come_back(limited: RateLimitedError) -> list[Outcome]:
    """Schedule the same deployment for when the limit ends, and end this run: no worker sleeps."""
    name, deployment = runtime.flow_run.flow_name, runtime.deployment.name
    if not deployment:
        raise limited
    when = datetime.fromtimestamp(limited.resets_at + 1, UTC)
    parameters = as_given(runtime.flow_run.parameters)
    run_deployment(f"{name}/{deployment}", parameters=parameters, scheduled_time=when, timeout=0, as_subflow=False)
    artifacts.announce(f"{limited}; this run ends, the next is scheduled for {when.isoformat()}")
    return []
