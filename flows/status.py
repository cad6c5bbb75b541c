"""A harvest that runs long, to be looked at: a page that refreshes itself, and the same for Prefect's UI."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.pool.overview import REFRESH_SECONDS, Overview
from pipeline.warehouse.markdown import markdown_table
from schema.pages.page import Page, write_page
from schema.screen import safe

SHOWN = 50  # rows of a table, at most


class Table(NamedTuple):
    """Rows of text and numbers, and how many more there are."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    more: int = 0


def write_status_page(overview: Overview, warehouse: str, target: Path, *, last: bool = False) -> None:
    """Write the page, which a browser reads again by itself unless it is the last. Raises WarehouseError."""
    page = Page(
        package="flows",
        template="status.html",
        title=safe(f"harvest into {warehouse}"),
        values={
            "summary": safe(headline(overview, last=last)),
            "refresh": None if last else round(REFRESH_SECONDS),
            "share": done_share(overview),
            "tables": [
                table._replace(rows=[[_cell(cell) for cell in row] for row in table.rows]) for table in tables(overview)
            ],
        },
    )
    write_page(page, target)


def status_markdown(overview: Overview, *, last: bool = False) -> str:
    """The same for an artifact of Prefect's."""
    parts = [f"**{headline(overview, last=last)}**"]
    for table in tables(overview):
        more = f"\n\nand {table.more:,} more" if table.more else ""
        parts.append(f"## {table.title}\n\n{markdown_table(table.columns, table.rows)}{more}")
    return "\n\n".join(parts) + "\n"


def headline(overview: Overview, *, last: bool = False) -> str:
    """How far, how fast, how long still: one line."""
    total = sum(overview.states.values())
    done = total - overview.states["not begun"] - overview.states["running"]
    words = f"{done:,} of {total:,} repositories, {overview.steps:,} steps, {overview.rate:,.0f} steps/s"
    if last:
        return f"{words}; ended after {duration(overview.seconds)}"
    words += f" ({overview.rate_now:,.0f} in the last minute), running for {duration(overview.seconds)}"
    left = overview.seconds_left
    return f"{words}, {'time left not known yet' if left is None else f'about {duration(left)} left'}"


def tables(overview: Overview) -> list[Table]:
    """What there is to tell of it; a table without rows is left out."""
    running = [(name, how_far.done, how_far.total, how_far.steps) for name, how_far in overview.running]
    failures = [(each.status, each.reason, each.repositories, each.example) for each in overview.failures]
    found = [
        Table("Repositories", ("state", "repositories"), [(*state,) for state in overview.states.items() if state[1]]),
        _cut("What went wrong", ("status", "reason", "repositories", "one of them"), failures),
        _cut("Being filmed", ("repository", "commits", "of", "steps"), running),
        _cut("Left out", ("what and why", "times"), [(*drop,) for drop in overview.drops.items()]),
    ]
    return [table for table in found if table.rows]


def _cut(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Table:
    return Table(title, columns, rows[:SHOWN], max(0, len(rows) - SHOWN))


def duration(seconds: float) -> str:
    """Seconds in the two largest units.

    >>> duration(42.4), duration(3_700), duration(200_000)
    ('42 s', '1 h 1 min', '2 d 7 h')
    """
    left = int(seconds)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def done_share(overview: Overview) -> float:
    """How much of all repositories is done, 0 to 1."""
    states = overview.states
    done = sum(states.values()) - states["not begun"] - states["running"]
    begun = sum(how_far.done / how_far.total for _, how_far in overview.running if how_far.total)
    return round((done + begun) / max(1, sum(states.values())), 4)


def _cell(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else safe(value)
