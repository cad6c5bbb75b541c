"""Whether the page of a flow run, as it stands in Prefect, says what the warehouse holds."""

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, NamedTuple

LAG_SECONDS = 60.0  # the page is written every 30 s, and this benchmark looks every 10 s
AT_WORK = 4  # repositories that a run may hold: fetched, and not yet ended


class Page(NamedTuple):
    """What a page says: repositories by state, those named, steps, and when it was written (seconds since 1970)."""

    states: dict[str, int]
    named: int
    steps: int
    written: float
    last: bool

    @property
    def ended(self) -> int:
        return sum(count for state, count in self.states.items() if state not in ("not begun", "running"))


def page_of(artifact: dict[str, Any]) -> Page | None:
    """The page of an artifact 'harvest-status'; None where nothing is on it yet."""
    text = str(artifact["data"])
    head = re.search(r"\*\*([\d,]+) of ([\d,]+) repositories, ([\d,]+) steps,", text)
    if head is None:
        return None
    table = text.partition("## Repositories\n")[2].partition("## ")[0]
    rows = re.findall(r"^\| ([a-z][a-z ]*) \| ([\d,]+) \|$", table, re.MULTILINE)
    states = {state: number(count) for state, count in rows if state != "state"}
    written = datetime.fromisoformat(artifact["updated"].replace("Z", "+00:00")).timestamp()
    page = Page(states, number(head[2]), number(head[3]), written, "ended after" in text)
    if page.ended != number(head[1]):
        raise AssertionError(f"the page's headline and its table differ: {text}")
    return page


def number(text: str) -> int:
    return int(text.replace(",", ""))


def wrong_meanwhile(
    page: Page, members: Collection[str], complete: Collection[str], visited: Callable[[float], int]
) -> list[str]:
    """What is untrue on the page of a run that is under way.

    `complete` are the warehouse's complete streams now; `visited(moment)` is how many of the run's repositories were
    fetched since it began, until that moment.
    """
    stored, found = sum(name in complete for name in members), []
    if page.states.get("complete", 0) > stored:
        found.append(f"it says {page.states['complete']} complete, the warehouse has {stored}")
    least = visited(page.written - LAG_SECONDS) - AT_WORK
    if page.ended < least:
        found.append(f"it says {page.ended} ended, {least} had been fetched a minute before")
    if page.ended > (most := visited(page.written + LAG_SECONDS)) + AT_WORK:
        found.append(f"it says {page.ended} ended, only {most} had been fetched a minute later")
    return found


def wrong_in_the_end(page: Page | None, wanted: dict[str, int], steps: int | None) -> list[str]:
    """What is untrue on the last page of a run: `wanted` are repositories by status, `steps` what it stored."""
    if page is None or not page.last:
        return ["it has no last page"]
    states = {state: count for state, count in page.states.items() if count}
    found = [] if states == {k: v for k, v in wanted.items() if v} else [f"it says {states}, the record has {wanted}"]
    if steps is not None and page.steps != steps:
        found.append(f"it says {page.steps} steps, the record has {steps}")
    return found
