"""The repositories of a harvest, filmed several at a time, and the database kept fresh meanwhile.

    film_all(["path/or/url", …], config, StatusFolder(), workers=2) -> [Outcome, …]

`film` and `failure` are also what the Prefect task does (`flows.filming`): with or without a server the same functions
film, try again and say why they wait.

Each repository gets a process of its own (runner `processes`): a fault in one, even the kernel
killing it for its memory, never affects another, and its memory is freed when it ends.
"""

import contextlib
import importlib
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Literal, NamedTuple

from pipeline.crawl.clone import FetchError, Stopped
from pipeline.crawl.source import RefusedSource
from pipeline.harvester import HarvestConfig, Outcome, harvest_repository, refuse_found, source_of
from pipeline.messages import printable
from pipeline.pool import interruption, process, worker
from pipeline.pool.status import StatusFolder
from pipeline.shards.store import Store
from pipeline.warehouse import build as warehouse
from pipeline.warehouse.present import registered
from schema.errors import ConfigError, GitreelError, LockedError

Kind = Literal["threads", "processes", "dask"]
REBUILD_SECONDS = 60.0  # the database is refreshed at most so often while a harvest runs
REBUILD_REST = 9.0  # times as long as a refresh took, until the next one: a large warehouse takes minutes to refresh
LONGEST_BUILD_SECONDS = 3600.0  # that others need in the end
POLL_SECONDS = 0.2
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 10.0, 900.0  # before the second try; doubles, up to the longest
RETRY_JITTER = 0.5  # of that, either way: workers that failed together do not ask again together


class Job(NamedTuple):
    """One repository to film: its `place` in the status folder `status`, and how it was found."""

    named: str
    place: int
    status: str
    retries: int = 0
    licence: str | None = None  # SPDX id, where GitHub knows it
    found: bool = False  # by a crawl: one that is empty, gone or too large is a row of `drops`, not an error


def film(
    job: Job, config: HarvestConfig, *, token: str | None, notify: Callable[[str], None], until: float = math.inf
) -> Outcome | None:
    """Film what is new of one repository; None where it was stopped before anything of it was filmed.

    The status folder stops it, or the moment `until` (of time.monotonic). `notify` gets a line when something is waited
    for. Raises what `harvest_repository` does.
    """
    status = StatusFolder(job.status)

    def stop() -> bool:
        return status.stopped or worker.stopped() or time.monotonic() > until

    if stop():
        return None
    status.begin(job.place)
    try:
        outcome = harvest_repository(
            job.named,
            config,
            licence=job.licence,
            token=token,
            report=lambda progress: status.report(job.place, progress),
            stop=stop,
            notify=notify,
        )
        status.end(job.place, outcome)
        return outcome
    except Stopped:
        return None
    except RefusedSource as refusal:
        if not job.found:
            raise
        source = source_of(job.named, config)
        outcome = refuse_found(source.repo_id, refusal.rule, config, source=source.shown)
        status.end(job.place, outcome)
        return outcome
    except Exception as error:
        status.end(job.place, failure(job.named, error))
        raise


def film_with_retries(job: Job, config: HarvestConfig) -> Outcome | None:
    """`film`, tried again while what went wrong may pass by itself; what went wrong in the end is an outcome, too."""
    status = StatusFolder(job.status)
    for attempt in range(1, job.retries + 2):
        try:
            return film(job, config, token=github_token(), notify=status.say)
        except Exception as error:
            if not may_pass(error) or attempt > job.retries:
                return failure(job.named, error)
            status.begin(job.place)  # it has not ended
            seconds = retry_delays(attempt)[-1] * random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)
            status.say(f"{error}; trying again in {seconds:.0f} s ({attempt} of {job.retries})")
        if not pause(seconds, status):
            break
    return None


def pause(seconds: float, status: StatusFolder) -> bool:
    """Wait; False as soon as the status folder, or this worker's process, is asked to stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if status.stopped or worker.stopped():
            return False
        time.sleep(min(left, POLL_SECONDS))
    return True


def may_pass(error: object) -> bool:
    """Whether trying again may help: an unreachable host, a lock; never a refusal."""
    return isinstance(error, FetchError | LockedError)


def retry_delays(retries: int) -> list[float]:
    """Seconds before each further try, without jitter; Prefect takes 50 at most, and repeats the last one."""
    return [min(RETRY_SECONDS * 2.0**attempt, LONGEST_RETRY_SECONDS) for attempt in range(min(retries, 50))]


def github_token() -> str | None:
    """GITHUB_TOKEN of the environment, or None. Never logged, never an argument of a process."""
    return os.environ.get("GITHUB_TOKEN", "").strip() or None


def failure(named: str, error: BaseException) -> Outcome:
    """What became of a repository that could not be filmed: one line says why."""
    if isinstance(error, GitreelError):
        return Outcome(repo_id=named, status="failed", reason=str(error))
    first = next(iter(str(error).splitlines()), "")
    return Outcome(repo_id=named, status="failed", reason=f"{named}: {type(error).__name__}: {first}")


def film_all(
    named: Sequence[str],
    config: HarvestConfig,
    status: StatusFolder,
    *,
    runner: Kind = "processes",
    workers: int = 1,
    dask_address: str = "",
    retries: int = 0,
) -> list[Outcome]:
    """Film repositories and register them in the database. Those that a stop left untouched have no outcome.

    Raises ConfigError (Dask is not installed or not reached), WarehouseError, CorruptError.
    """
    jobs = [Job(name, place, str(status.folder), retries) for place, name in enumerate(named)]
    work = _apart if runner == "processes" else film_with_retries
    with interruption.held_back(), executor(runner, workers, dask_address) as pool:
        futures = [pool.submit(work, job, config) for job in jobs]
        for place, future in enumerate(futures):
            future.add_done_callback(partial(_note, place=place, status=status))
        follow(futures, config, status)
        outcomes = [None if future.cancelled() else future.result() for future in futures]
    return settle([outcome for outcome in outcomes if outcome is not None], config, status)


def _note(future: Future[Any], *, place: int, status: StatusFolder) -> None:
    """Note an outcome here, too: a worker that died, or that runs on another machine, has not."""
    if not future.cancelled() and future.exception() is None and isinstance(outcome := future.result(), Outcome):
        status.end(place, outcome)


class Further(NamedTuple):
    """Futures that have begun since, and whether there are more to come."""

    begun: Sequence[Future[Any]] = ()
    more: bool = False


def follow(
    futures: Sequence[Future[Any]],
    config: HarvestConfig,
    status: StatusFolder,
    further: Callable[[Future[Any] | None], Further] = lambda ended: Further(),
) -> None:
    """Wait until all have ended, refreshing the database now and then; after a stop, cancel those not yet begun.

    `further` adds to them: it is asked several times a second, and gets the future that has ended, if one has.
    """
    ends: SimpleQueue[Future[Any]] = SimpleQueue()
    begun: list[Future[Any]] = []
    left, due = 0, time.monotonic() + REBUILD_SECONDS
    added = Further(futures)
    while True:
        for future in added.begun:
            future.add_done_callback(ends.put)  # Prefect's futures know this, and not concurrent.futures.wait
        begun += added.begun
        left += len(added.begun)
        if not (left or added.more):
            return
        ended = None
        with contextlib.suppress(Empty):
            ended = ends.get(timeout=POLL_SECONDS)
            left -= 1
            if left and not status.stopped and time.monotonic() > due:
                due = refresh(config)
        if status.stopped:
            for future in begun:
                future.cancel()
        added = further(ended)


def refresh(config: HarvestConfig) -> float:
    """Register what was filmed so far, unless another harvest does so now; the moment when to do it again."""
    began = time.monotonic()
    with contextlib.suppress(LockedError):  # another harvest's build, which registers this one's film, too
        warehouse.build(config.warehouse, settle=False, wait=0.0)
    ended = time.monotonic()
    return ended + max(REBUILD_SECONDS, REBUILD_REST * (ended - began))


def settle(outcomes: list[Outcome], config: HarvestConfig, status: StatusFolder) -> list[Outcome]:
    """Register what was filmed, and return it. After a stop no splits are assigned: more is to come.

    A split never changes once it is assigned, and an empty one is filled from the streams that are there: half a
    harvest must not fill it. Other harvests of the same warehouse are waited for: theirs are many, when it is large.
    """
    store = Store(config.warehouse)
    if any(outcome.status != "failed" for outcome in outcomes) and not registered(store):
        try:
            warehouse.build(store, settle=not status.stopped, wait=0.0)
        except LockedError:
            status.say(f"{config.warehouse}: waiting for another harvest to register what it filmed")
            warehouse.build(store, settle=not status.stopped, wait=LONGEST_BUILD_SECONDS)
    return outcomes


@contextmanager
def executor(kind: Kind, workers: int, dask_address: str = "") -> Iterator[Executor]:
    """Where jobs run, `workers` at a time. Raises ConfigError when Dask is asked for and not there."""
    if kind != "dask":
        with ThreadPoolExecutor(workers) as threads:  # for processes too: each thread looks after one
            yield threads
        return
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError:
        raise ConfigError("runner dask: not installed; run: pip install -e '.[dask]'") from None
    try:
        with contextlib.ExitStack() as ends:
            local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
            cluster = dask_address or ends.enter_context(distributed.LocalCluster(**local))
            client = ends.enter_context(distributed.Client(cluster))
            yield ends.enter_context(client.get_executor())
    except OSError as error:
        raise ConfigError(f"Dask scheduler {dask_address}: {error}; start one: dask scheduler") from None


def _apart(job: Job, config: HarvestConfig) -> Outcome | None:
    """`film_with_retries` in a process of its own."""
    try:
        ended: Outcome | None = process.apart(film_with_retries, job, config)
        return ended
    except process.DiedError as error:
        where = f"repository {printable(job.named)}"
        reason = f"{where}: the process that filmed it ended ({error}); run the same command again to go on"
        return Outcome(repo_id=job.named, status="failed", reason=reason)
