"""How a harvest is doing: rate, time left, failures by reason, at times that a test makes up."""

import time

import pytest

from pipeline.harvester import Outcome, Progress
from pipeline.pool.overview import Failure, Observer, failures, observed, reason_of
from pipeline.pool.status import StatusFolder
from schema.errors import WarehouseError

NAMES = ("a/one", "b/two", "c/three", "d/four")


def outcome(repo_id="a/one", status="complete", reason="", **counts):
    return Outcome(repo_id=repo_id, status=status, reason=reason, **counts)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def status():
    made = StatusFolder()
    yield made
    made.remove()


@pytest.fixture
def clock():
    return Clock()


def test_a_harvest_that_has_just_begun_knows_no_time_left(status, clock):
    found = Observer(status, NAMES, clock).look()
    assert (found.states, found.steps, found.rate, found.seconds_left) == ({"not begun": 4, "running": 0}, 0, 0.0, None)


def test_rate_and_time_left_are_of_what_was_done(status, clock):
    observer = Observer(status, NAMES, clock)
    status.end(0, outcome(new_episodes=10, new_steps=900))
    status.report(1, Progress(25, 50, 300))
    clock.now += 60
    found = observer.look()
    assert found.states == {"not begun": 2, "running": 1, "complete": 1}
    assert (found.steps, found.rate, found.rate_now) == (1200, 20.0, 20.0)
    assert found.seconds_left == pytest.approx(60 * 2.5 / 1.5)
    assert found.running == (("b/two", Progress(25, 50, 300)),)


def test_the_rate_now_is_of_the_last_minute(status, clock):
    observer = Observer(status, NAMES, clock)
    for steps in (6000, 6000, 6000, 6060, 6120):
        clock.now += 30
        status.report(0, Progress(1, 9, steps))
        found = observer.look()
    assert found.rate == pytest.approx(6120 / 150)
    assert found.rate_now == pytest.approx(120 / 60)


def test_what_was_filmed_before_does_not_shorten_the_time_left(status, clock):
    observer = Observer(status, NAMES, clock)
    for place in (0, 1):
        status.end(place, outcome(NAMES[place]))
    clock.now += 5
    assert observer.look().seconds_left is None
    status.report(2, Progress(5, 10, 50))
    clock.now += 5
    assert observer.look().seconds_left == pytest.approx(10 * 1.5 / 0.5)
    for place in (2, 3):
        status.end(place, outcome(NAMES[place], new_episodes=1))
    assert observer.look().seconds_left == 0.0


def test_one_that_is_tried_again_has_not_ended(status, clock):
    status.end(0, outcome(status="failed", reason="x"))
    assert Observer(status, NAMES, clock).look().states["failed"] == 1
    status.begin(0)
    assert Observer(status, NAMES, clock).look().states == {"not begun": 4, "running": 0}


def test_what_has_ended_is_read_once_and_again_only_where_it_ended_anew(status, clock, monkeypatch):
    read = []
    monkeypatch.setattr(status, "outcome", lambda place: read.append(place) or StatusFolder.outcome(status, place))
    observer = Observer(status, NAMES, clock)
    status.end(0, outcome(status="failed", reason="r"))
    status.end(1, outcome("b/two", new_steps=5))
    assert observer.look().states == {"not begun": 2, "running": 0, "complete": 1, "failed": 1}
    assert observer.look().steps == 5
    assert sorted(read) == [0, 1]
    status.begin(0)
    assert observer.look().states == {"not begun": 3, "running": 0, "complete": 1}
    status.end(0, outcome(new_steps=7))
    found = observer.look()
    assert (found.states, found.steps) == ({"not begun": 2, "running": 0, "complete": 2}, 12)
    assert sorted(read) == [0, 0, 1]


def test_failures_are_grouped_by_reason_whatever_their_names_and_numbers():
    found = failures(
        [
            outcome("a", "failed", "repository '/x/a': no such folder; name another"),
            outcome("b", "failed", "repository '/x/b': no such folder; name another"),
            outcome(
                "https://h/c", "failed", "repository 'https://h/c': not reached after 30.5 s (HTTP 503); try again"
            ),
            outcome("https://h/d", "failed", "repository 'https://h/d': not reached after 2 s (HTTP 502); try again"),
            outcome("e", "refused", "licence-unknown"),
            outcome("f"),
            outcome("g", "failed", "g: MemoryError: "),
        ]
    )
    assert found == (
        Failure("failed", "repository …: no such folder", 2, "a"),
        Failure("failed", "repository …: not reached after N s (HTTP N)", 2, "https://h/c"),
        Failure("failed", "MemoryError: ", 1, "g"),
        Failure("refused", "licence-unknown", 1, "e"),
    )
    assert reason_of(outcome("x", "failed", "a\x1b[31mb")) == "a\\x1b[31mb"
    assert len(reason_of(outcome("x", "failed", "long " * 200))) == 160


def test_drops_are_summed(status, clock):
    status.end(0, outcome(drops={"file binary": 2, "commit bot": 5}))
    status.end(1, outcome(drops={"file binary": 4}))
    assert list(Observer(status, NAMES, clock).look().drops.items()) == [("file binary", 6), ("commit bot", 5)]


def test_a_damaged_note_is_no_outcome(status):
    (status.folder / "0.ended").write_text('{"repo_id": ')
    assert status.outcome(0) is None


def test_it_is_shown_at_once_again_and_a_last_time(status):
    shown = []
    with observed(status, NAMES, lambda now, last: shown.append((now.states["running"], last)), refresh=0.001):
        status.report(0, Progress(1, 2, 3))
        while (1, False) not in shown:
            time.sleep(0.001)
    assert shown[0] == (0, False)
    assert shown[-1] == (1, True)
    assert [last for _, last in shown].count(True) == 1


def test_where_it_cannot_be_shown_any_more_the_harvest_goes_on_and_it_is_said_once(status):
    calls = []

    def show(now, last):
        calls.append(last)
        if len(calls) == 2:
            raise WarehouseError("page: disk full")

    with observed(status, NAMES, show, refresh=0.001):
        while not status.said():
            time.sleep(0.001)
    assert status.said() == ["page: disk full; it is not refreshed any more"]
    assert calls == [False, False, True]


def test_what_cannot_be_shown_at_all_is_an_error_before_the_work(status):
    def show(now, last):
        raise WarehouseError("page: no such folder")

    with pytest.raises(WarehouseError, match="no such folder"), observed(status, NAMES, show):
        pytest.fail("the work began")
