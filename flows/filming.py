"""The Prefect task, which films one repository, and the loop of a flow run that starts a task for each.

What they do is `pipeline.pool.run`; Prefect adds tries again, states, logs and events, which its UI shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled

from flows import artifacts
from pipeline.harvester import HarvestConfig, Outcome
from pipeline.pool import interruption, run, worker
from pipeline.pool.run import Job
from pipeline.pool.status import StatusFolder

TAG = "gitreel-film"  # a concurrency limit by this tag holds over all machines: prefect concurrency-limit create


def _may_pass(task: Any, task_run: Any, state: Any) -> bool:
    return run.may_pass(state.result(raise_on_failure=False))


@task(
    name="film a repository",
    task_run_name="{job.named}",
    tags={TAG},
    cache_policy=NO_CACHE,
    persist_result=False,
    retry_jitter_factor=run.RETRY_JITTER,
    retry_condition_fn=_may_pass,
)
def film(job: Job, config: HarvestConfig) -> Outcome | State[Any]:
    """Film what is new of one repository (`pipeline.pool.run.film`); cancelled where a stop left it untouched."""
    status = StatusFolder(job.status)

    def notify(line: str) -> None:
        artifacts.announce(line)
        status.say(line)

    with worker.at_work():
        try:
            token = artifacts.github_token() if "://" in job.named else None
            outcome = run.film(job, config, token=token, notify=notify)
        except Exception as error:
            if run.may_pass(error):
                notify(str(error))
            raise
    return outcome or Cancelled(message="stopped before it began")


def film_all(
    named: Sequence[str],
    config: HarvestConfig,
    status: StatusFolder,
    *,
    retries: int = 0,
    licences: Mapping[str, str] | None = None,
    found: bool = False,
) -> list[Outcome]:
    """Film repositories, one task each, within a flow run; refresh the database now and then, and at the end.

    Those that a stop left untouched have no outcome.
    """
    tried = film.with_options(retries=retries, retry_delay_seconds=run.retry_delays(retries))
    with interruption.held_back():
        futures: list[Any] = [
            tried.submit(Job(name, place, str(status.folder), 0, (licences or {}).get(name), found), config)
            for place, name in enumerate(named)
        ]
    run.follow([future.wrapped_future for future in futures], config, status)  # `state` would ask the server
    outcomes = [_outcome(name, future) for name, future in zip(named, futures, strict=True)]
    for place, outcome in enumerate(outcomes):  # a task whose process died has not noted its own
        if outcome is not None:
            status.end(place, outcome)
    return run.settle([outcome for outcome in outcomes if outcome is not None], config, status)


def _outcome(named: str, future: Any) -> Outcome | None:
    if future.wrapped_future.cancelled():
        return None
    if future.state.is_cancelled():
        return None
    result = future.result(raise_on_failure=False)
    return result if isinstance(result, Outcome) else run.failure(named, result)
