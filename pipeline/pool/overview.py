"""How a harvest that runs long is doing: rate, time left, and failures by reason, from its status folder."""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pipeline.harvester import Outcome, Progress
from pipeline.pool.repeating import repeated
from pipeline.pool.status import ENDED, StatusFolder
from schema.errors import GitreelError, one_line

REFRESH_SECONDS = 10.0
RECENT_SECONDS = 60.0  # of the rate now
LONGEST = 160  # characters of a reason


class Failure(NamedTuple):
    """Repositories that ended alike: their status, the reason without what differs, how many, and one of them."""

    status: str
    reason: str
    repositories: int
    example: str


class Overview(NamedTuple):
    """A harvest at one moment. `rate` and `rate_now` are steps a second, over all of it and over the last minute."""

    seconds: float  # since it began
    states: dict[str, int]  # 'not begun', 'running', then statuses of outcomes -> repositories
    steps: int
    rate: float
    rate_now: float
    seconds_left: float | None  # None: nothing to judge by yet
    failures: tuple[Failure, ...]
    drops: dict[str, int]  # 'scope rule' -> count, most frequent first
    running: tuple[tuple[str, Progress], ...]


class Observer:
    """Reads a status folder again and again. `clock` is in seconds."""

    def __init__(self, status: StatusFolder, named: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._status, self._named, self._clock = status, named, clock
        self._began = clock()
        self._outcomes: dict[int, tuple[tuple[int, int], Outcome | None]] = {}  # with the version of its file
        self._seen: deque[tuple[float, int]] = deque([(0.0, 0)])  # when, and steps until then

    def look(self) -> Overview:
        """The harvest now."""
        seconds = self._clock() - self._began
        written = self._status.written()
        outcomes = [self._outcome(place, written) for place in range(len(self._named))]
        progress = [
            self._status.read(place) if outcome is None and str(place) in written else None
            for place, outcome in enumerate(outcomes)
        ]
        ended = [outcome for outcome in outcomes if outcome is not None]
        running = tuple(
            (name, how_far)
            for name, outcome, how_far in zip(self._named, outcomes, progress, strict=True)
            if outcome is None and how_far is not None
        )
        steps = sum(outcome.new_steps for outcome in ended) + sum(how_far.steps for _, how_far in running)
        states = {"not begun": len(self._named) - len(ended) - len(running), "running": len(running)}
        drops: Counter[str] = Counter()
        for outcome in ended:
            drops.update(outcome.drops)
        return Overview(
            seconds,
            {**states, **Counter(sorted(outcome.status for outcome in ended))},
            steps,
            steps / seconds if seconds else 0.0,
            self._rate_now(seconds, steps),
            _seconds_left(seconds, len(self._named), ended, [how_far for _, how_far in running]),
            failures(ended),
            dict(drops.most_common()),
            running,
        )

    def _outcome(self, place: int, written: dict[str, tuple[int, int]]) -> Outcome | None:
        """What became of one: most have ended since long, and are not read again."""
        version = written.get(f"{place}{ENDED}")
        if version is None:
            return None
        known, outcome = self._outcomes.get(place, (None, None))
        if version != known:
            outcome = self._status.outcome(place)
            self._outcomes[place] = version, outcome
        return outcome

    def _rate_now(self, seconds: float, steps: int) -> float:
        self._seen.append((seconds, steps))
        while len(self._seen) > 2 and self._seen[1][0] <= seconds - RECENT_SECONDS:
            self._seen.popleft()
        first, before = self._seen[0]
        return (steps - before) / (seconds - first) if seconds > first else 0.0


def _seconds_left(seconds: float, named: int, ended: Sequence[Outcome], running: Sequence[Progress]) -> float | None:
    """By repositories: those that took work tell how long the others take. What was filmed before takes none."""
    shares = [how_far.done / how_far.total for how_far in running if how_far.total]
    left = named - len(ended) - sum(shares)
    worked = sum(outcome.new_episodes > 0 for outcome in ended) + sum(shares)
    if not left:
        return 0.0
    return seconds * left / worked if worked else None


def failures(outcomes: Sequence[Outcome]) -> tuple[Failure, ...]:
    """What did not end as it should, by status and reason, most frequent first."""
    alike: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        if outcome.status != "complete":
            alike.setdefault((outcome.status, reason_of(outcome)), []).append(outcome.repo_id)
    found = [Failure(status, reason, len(names), names[0]) for (status, reason), names in alike.items()]
    return tuple(sorted(found, key=lambda failure: (-failure.repositories, failure)))


def reason_of(outcome: Outcome) -> str:
    """An outcome's reason without names, numbers and the advice behind it, so that like ones are equal.

    >>> reason_of(Outcome(repo_id="a", status="failed", reason="repository '/x/a': no such folder; name another"))
    'repository …: no such folder'
    """
    text = one_line(outcome.reason).split(";")[0].removeprefix(f"{outcome.repo_id}: ")
    text = re.sub(r"'[^']*'|https?://\S+", "…", text)
    return re.sub(r"\b[0-9a-f]{12,}\b|\b\d+([.,]\d+)*\b", "N", text)[:LONGEST]


@contextmanager
def observed(
    status: StatusFolder, named: Sequence[str], show: Callable[[Overview, bool], None], refresh: float = REFRESH_SECONDS
) -> Iterator[None]:
    """Show the harvest now and then until the block ends, and once more, as the last time, when it has.

    `show` gets whether it is the last time. What it raises at first is raised here; later, where it can no longer show
    anything, the status folder says so, once, and the harvest goes on.
    """
    observer = Observer(status, named)
    show(observer.look(), False)

    def shown() -> bool:
        try:
            show(observer.look(), False)
        except GitreelError as error:
            status.say(f"{error}; it is not refreshed any more")
            return False
        return True

    try:
        with repeated(refresh, shown):
            yield
    finally:
        try:
            show(observer.look(), True)
        except GitreelError as error:
            status.say(str(error))
