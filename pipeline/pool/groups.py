"""Small repositories that are filmed one after the other in one task: which ones, and how.

    grouped([9_000, None, 4_000], Grouping()) -> [[0, 2], [1]]
    film_group(jobs, config, seconds=60) -> Outcome | Apart | None, of each, one after the other

A task of Prefect's costs .4 processor seconds, a repository of three commits .06: so small ones share a task. What
becomes of one never depends on the others: each has its own outcome, noted as soon as it is known, and one that may
succeed later (`may_pass`), or that takes too long, leaves the group and goes on in a task of its own.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pydantic import Field

from pipeline.crawl.source import LocalSource
from pipeline.git.size import objects_bytes
from pipeline.harvester import HarvestConfig, Outcome, source_of
from pipeline.pool import worker
from pipeline.pool.run import Job, failure, film, may_pass
from pipeline.pool.status import StatusFolder
from schema.config import FrozenModel
from schema.errors import GitreelError

KB = 1024  # bytes; GitHub's `size` is in these


class Grouping(FrozenModel):
    """Which repositories share a task. `repositories` 1: none does."""

    repositories: int = Field(default=32, ge=1, description="in one task, at most; 1: each has a task of its own")
    small_kb: int = Field(
        default=256, ge=0, description="kB; what is larger, or of unknown size, has a task of its own"
    )
    total_kb: int = Field(default=1024, ge=0, description="kB; of a task's repositories together, at most")
    seconds: float = Field(
        default=60.0, gt=0, description="s; a repository that takes longer goes on in a task of its own"
    )


class Apart(NamedTuple):
    """A repository that left its group. `failed`: it was tried, and may succeed later; else it takes long.

    `earlier` is what was filmed of it in the group.
    """

    failed: bool
    earlier: Outcome | None = None


Ended = Outcome | Apart | None  # None: a stop left it untouched


def grouped(sizes: Sequence[int | None], rule: Grouping) -> list[list[int]]:
    """The groups, as places in `sizes` (bytes; None: not known), in the order of their first members.

    Small ones fill a group in their order, however many large ones stand between them, until one more would be too
    many or too much.

    >>> grouped([1024, 2048, 10**9, None, 1024, 1024], Grouping(repositories=3))
    [[0, 1, 4], [2], [3], [5]]
    """
    groups: list[list[int]] = []
    filling: list[int] = []
    left = 0
    for place, size in enumerate(sizes):
        if rule.repositories == 1 or size is None or size > rule.small_kb * KB:
            groups.append([place])
        elif filling and len(filling) < rule.repositories and size <= left:
            filling.append(place)
            left -= size
        else:
            filling, left = [place], rule.total_kb * KB - size
            groups.append(filling)
    return groups


def size_of(named: str, config: HarvestConfig, rule: Grouping) -> int | None:
    """Bytes of the objects of a repository on this machine, or some number above `small_kb`; None for another one."""
    if rule.repositories == 1:
        return None
    with contextlib.suppress(GitreelError):  # the task says so
        source = source_of(named, config)
        folder = source.path if isinstance(source, LocalSource) else source.folder
        return None if folder is None else objects_bytes(folder, rule.small_kb * KB)
    return None


def film_group(
    jobs: Sequence[Job],
    config: HarvestConfig,
    *,
    seconds: float = Grouping().seconds,
    token: str | None = None,
    notify: Callable[[str], None] = lambda line: None,
) -> Iterator[Ended]:
    """Film repositories one after the other, and yield what became of each. Raises nothing that one of them causes.

    A repository that has ended well in this run already is not asked again: a group whose worker died may be started
    anew.
    """
    for job in jobs:
        yield _film_member(job, config, seconds, token, notify)


def _film_member(
    job: Job, config: HarvestConfig, seconds: float, token: str | None, notify: Callable[[str], None]
) -> Ended:
    status = StatusFolder(job.status)
    known = status.outcome(job.place)
    if known is not None and known.status in ("complete", "refused"):
        return known
    until = time.monotonic() + seconds
    with worker.at_work():
        try:
            outcome = film(job, config, token=token, notify=notify, until=until)
        except Exception as error:
            if not may_pass(error) or not job.retries:
                return failure(job.named, error)
            notify(str(error))
            status.begin(job.place)  # it has not ended: the page counts it again when it has
            return Apart(failed=True)
    unended = outcome is None or outcome.status == "partial"
    if unended and time.monotonic() > until and not (status.stopped or worker.stopped()):
        status.begin(job.place)  # it has not ended
        return Apart(failed=False, earlier=outcome)
    return outcome


def together(earlier: Outcome | None, later: Outcome | None) -> Outcome | None:
    """One outcome of a repository that was filmed in two goes."""
    if earlier is None or later is None:
        return later or earlier
    drops = dict(earlier.drops)
    for rule, count in later.drops.items():
        drops[rule] = drops.get(rule, 0) + count
    return later.model_copy(
        update={
            "new_episodes": earlier.new_episodes + later.new_episodes, "new_steps": earlier.new_steps + later.new_steps,
            "drops": drops, "seconds": round(earlier.seconds + later.seconds, 3),
        }
    )  # fmt: skip


def words(ended: Ended) -> str:
    """What became of a repository, for a line of a log.

    >>> words(Outcome(repo_id="a", status="refused", reason="empty")), words(Apart(failed=True))
    ('refused, empty', 'goes on in a task of its own')
    """
    if ended is None:
        return "stopped before it began"
    if isinstance(ended, Apart):
        return "goes on in a task of its own"
    if ended.status in ("refused", "failed"):
        return f"{ended.status}, {ended.reason}"
    return f"{ended.status}, {ended.new_episodes:,} new episodes, {ended.new_steps:,} new steps"
