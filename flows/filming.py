"""The task: one repository. And the loop that runs one a repository and keeps the database fresh meanwhile."""

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from flows import artifacts, worker
from flows.board import Board
from pipeline.crawl.clone import FetchError
from pipeline.crawl.source import RefusedSource
from pipeline.harvester import HarvestConfig, Outcome, harvest_repository, refuse_found, registered, source_of
from pipeline.shards.store import Store
from pipeline.warehouse import build as warehouse
from schema.errors import GitreelError, WarehouseError

TAG = "gitreel-film"  # a concurrency limit by this tag holds over all machines: prefect concurrency-limit create
REBUILD_SECONDS = 60.0  # the database is refreshed at most so often while a harvest runs


def _passing(task: Any, run: Any, state: Any) -> bool:
    """Retry what may pass by itself: an unreachable host, a lock; never a refusal."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, FetchError) or (isinstance(error, WarehouseError) and "lock" in str(error))


@task(
    name="film a repository",
    task_run_name="{named}",
    tags={TAG},
    cache_policy=NO_CACHE,
    persist_result=False,
    retry_delay_seconds=exponential_backoff(backoff_factor=10),
    retry_jitter_factor=0.5,
    retry_condition_fn=_passing,
)
def film(
    named: str, config: HarvestConfig, place: int, board: str, licence: str | None = None, *, found: bool = False
) -> Outcome:
    """Film what is new of one repository (`pipeline.harvester.harvest_repository`).

    One that a crawl `found`, and that turns out to be empty, gone or too large, is refused: no error, a row of `drops`.
    """
    seen = Board(board)
    with worker.at_work():
        try:
            return harvest_repository(
                named,
                config,
                licence=licence,
                token=artifacts.github_token() if "://" in named else None,
                report=lambda progress: seen.tell(place, progress),
                stop=lambda: seen.stopped or worker.orphaned(),
            )
        except RefusedSource as refusal:
            if not found:
                raise
            source = source_of(named, config)
            return refuse_found(source.repo_id, refusal.rule, config, source=source.shown)


def film_all(
    named: Sequence[str],
    config: HarvestConfig,
    board: Board,
    *,
    retries: int = 0,
    licences: dict[str, str] | None = None,
    found: bool = False,
) -> list[Outcome]:
    """Film repositories, one task each, within a flow run; refresh the database now and then, and at the end."""
    with stopping(board):
        futures: list[Any] = [
            film.with_options(retries=retries).submit(
                name, config, place, str(board.folder), (licences or {}).get(name), found=found
            )
            for place, name in enumerate(named)
        ]
        waiting, built = list(futures), time.monotonic()
        while waiting:
            waiting[0].wait(1.0)
            before = len(waiting)
            waiting = [future for future in waiting if not future.wrapped_future.done()]  # `state` would ask the server
            if 0 < len(waiting) < before and time.monotonic() - built > REBUILD_SECONDS:
                warehouse.build(config.warehouse, settle=False)
                built = time.monotonic()
        outcomes = [_outcome(name, future) for name, future in zip(named, futures, strict=True)]
    store = Store(config.warehouse)
    if any(outcome.status != "failed" for outcome in outcomes) and not registered(store):
        warehouse.build(store)
    return outcomes


def _outcome(named: str, future: Any) -> Outcome:
    result = future.result(raise_on_failure=False)
    if isinstance(result, Outcome):
        return result
    if isinstance(result, GitreelError):
        return Outcome(repo_id=named, status="failed", reason=str(result))
    if isinstance(result, KeyboardInterrupt):
        return Outcome(repo_id=named, status="partial", reason="interrupted")
    first = str(result).splitlines()[0] if str(result) else ""
    return Outcome(repo_id=named, status="failed", reason=f"{named}: {type(result).__name__}: {first}")


@contextmanager
def stopping(board: Board) -> Iterator[None]:
    """On SIGINT and SIGTERM, let every worker end soon, with what it has; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        if board.stopped:
            raise KeyboardInterrupt
        board.stop()
        print("stopping, what was filmed is stored; once more ends at once", file=sys.stderr, flush=True)

    for kind in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[kind] = signal.signal(kind, stop)
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
