"""The Prefect tasks, which film one repository or several small ones, and the loop of a flow run that starts them.

What they do is `pipeline.pool`; Prefect adds tries again, states, logs and events, which its UI shows.
"""

import heapq
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from prefect import State, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed

from flows import artifacts
from pipeline.harvester import HarvestConfig, Outcome
from pipeline.pool import groups, interruption, run, worker
from pipeline.pool.groups import Apart, Ended, Grouping
from pipeline.pool.run import Further, Job
from pipeline.pool.status import StatusFolder

TAG = "gitreel-film"  # a concurrency limit by this tag holds over all machines: prefect concurrency-limit create


def _notify(status: StatusFolder) -> Callable[[str], None]:
    """How whoever watches gets a line: as an event, in the log and in the status folder."""

    def notify(line: str) -> None:
        artifacts.announce(line)
        status.say(line)

    return notify


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
    with worker.at_work():
        try:
            token = artifacts.github_token() if "://" in job.named else None
            outcome = run.film(job, config, token=token, notify=_notify(status))
        except Exception as error:
            if run.may_pass(error):
                _notify(status)(str(error))
                if runtime.task_run.run_count <= job.retries:
                    status.begin(job.place)  # it has not ended
            raise
    return outcome or Cancelled(message="stopped before it began")


@task(
    name="film small repositories",
    task_run_name="{jobs[0].named} and {more} more",
    tags={TAG},
    cache_policy=NO_CACHE,
    persist_result=False,
)
def film_group(jobs: Sequence[Job], more: int, config: HarvestConfig, seconds: float) -> State[Any]:
    """Film several (`pipeline.pool.groups.film_group`); cancelled where a stop left all of them untouched.

    The log has a line for each. The state is one that Prefect counts as completed, whatever became of them: its name
    says whether some failed.
    """
    status, log = StatusFolder(jobs[0].status), get_run_logger()
    token = artifacts.github_token() if any("://" in job.named for job in jobs) else None
    ended: list[Ended] = []
    for each in groups.film_group(jobs, config, seconds=seconds, token=token, notify=_notify(status)):
        log.info("%s: %s", jobs[len(ended)].named, groups.words(each))
        ended.append(each)
    if not any(ended):
        return Cancelled(message="stopped before it began")
    failed = [each for each in ended if isinstance(each, Outcome) and each.status == "failed"]
    return Completed(
        name="SomeFailed" if failed else "Completed",
        message=f"{len(failed)} of {len(jobs)} failed" if failed else "",
        data=ended,
    )


def film_all(
    named: Sequence[str],
    config: HarvestConfig,
    status: StatusFolder,
    *,
    retries: int = 0,
    licences: Mapping[str, str] | None = None,
    found: bool = False,
    grouping: Grouping | None = None,
    sizes: Mapping[str, int] | None = None,
) -> list[Outcome]:
    """Film repositories, in tasks within a flow run; refresh the database now and then, and at the end.

    Small ones share a task as `grouping` says; `sizes`, in bytes, are those that the caller knows. Those that a stop
    left untouched have no outcome.
    """
    rule, sizes = grouping or Grouping(), sizes or {}
    jobs = [
        Job(name, place, str(status.folder), retries, (licences or {}).get(name), found)
        for place, name in enumerate(named)
    ]
    known = [sizes[name] if name in sizes else groups.size_of(name, config, rule) for name in named]
    tasks = Tasks(config, status, rule, retries)
    begun = [tasks.begin([jobs[place] for place in places]) for places in groups.grouped(known, rule)]
    run.follow(begun, config, status, tasks.further)
    outcomes = [tasks.outcomes.get(place) for place in range(len(jobs))]
    for place, outcome in enumerate(outcomes):  # a task whose process died has not noted its own
        if outcome is not None:
            status.end(place, outcome)
    return run.settle([outcome for outcome in outcomes if outcome is not None], config, status)


class _Waiting(NamedTuple):
    """A repository whose own task begins at the moment `due` (of time.monotonic)."""

    due: float
    place: int
    job: Job
    retries: int  # left then


class Tasks:
    """The tasks of one flow run, and what became of the repositories.

    A repository that leaves its group is filmed in a task of its own: at once where it takes long, else after the wait
    that is due before a second try. Nothing is occupied meanwhile.
    """

    def __init__(self, config: HarvestConfig, status: StatusFolder, rule: Grouping, retries: int) -> None:
        self._config, self._status, self._rule, self._retries = config, status, rule, retries
        self._open: dict[int, tuple[Any, Sequence[Job]]] = {}  # by the id of the wrapped future, which it keeps alive
        self._waiting: list[_Waiting] = []
        self.outcomes: dict[int, Outcome | None] = {}  # by place

    def begin(self, jobs: Sequence[Job]) -> Future[Any]:
        """Start a task for one repository or several."""
        if len(jobs) == 1:
            return self._begin_alone(jobs[0], self._retries)
        return self._submit(jobs, film_group, jobs, len(jobs) - 1, self._config, self._rule.seconds)

    def further(self, ended: Future[Any] | None) -> Further:
        """Note what a task came to, and start those that are due."""
        if ended is not None:
            future, jobs = self._open.pop(id(ended))
            for job, each in zip(jobs, _results(future, jobs, self._status), strict=True):
                self._end(job, each)
        if self._status.stopped:
            self._waiting.clear()
        begun = []
        while self._waiting and self._waiting[0].due <= time.monotonic():
            waited = heapq.heappop(self._waiting)
            begun.append(self._begin_alone(waited.job, waited.retries))
        return Further(begun, more=bool(self._waiting))

    def _begin_alone(self, job: Job, retries: int) -> Future[Any]:
        delays = run.retry_delays(self._retries)[self._retries - retries :]
        tried = film.with_options(retries=retries, retry_delay_seconds=delays)
        return self._submit([job], tried, job._replace(retries=retries), self._config)

    def _submit(self, jobs: Sequence[Job], task: Any, *arguments: object) -> Future[Any]:
        with interruption.held_back():
            future = task.submit(*arguments)
        wrapped: Future[Any] = future.wrapped_future
        self._open[id(wrapped)] = future, jobs
        return wrapped

    def _end(self, job: Job, ended: Ended) -> None:
        if not isinstance(ended, Apart):
            self.outcomes[job.place] = groups.together(self.outcomes.get(job.place), ended)
            return
        self.outcomes[job.place] = ended.earlier
        wait, retries = 0.0, self._retries
        if ended.failed:
            wait = run.retry_delays(1)[0] * random.uniform(1 - run.RETRY_JITTER, 1 + run.RETRY_JITTER)
            retries -= 1
        heapq.heappush(self._waiting, _Waiting(time.monotonic() + wait, job.place, job, retries))


def _results(future: Any, jobs: Sequence[Job], status: StatusFolder) -> Sequence[Ended]:
    """What became of a task's repositories. Of those whose worker died, some may have noted their ends before."""
    if future.wrapped_future.cancelled():
        return [None] * len(jobs)
    try:
        future.wait()  # else `state` would ask the server
        if future.state.is_cancelled():
            return [None] * len(jobs)
        result = future.result(raise_on_failure=False)
    except Exception as error:  # of the runner: a worker was killed
        result = error
    if isinstance(result, Outcome):
        return [result]
    if isinstance(result, list):
        return result
    return [status.outcome(job.place) or run.failure(job.named, result) for job in jobs]
