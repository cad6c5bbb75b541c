"""A page about a warehouse: what is in it, what was left out and why, and what some of its repositories look like."""

from pathlib import Path
from typing import Any

import duckdb

from pipeline.messages import pasteable
from pipeline.shards.store import Store
from pipeline.warehouse.database import open_database
from pipeline.warehouse.stats import QUESTIONS
from schema.actions import Phase
from schema.errors import one_line
from schema.pages.page import Page, write_page
from schema.pages.screens import screens_data
from schema.screen import Screen, StyleRun, runs_by_row, safe

SHOWN = 6  # repositories of which a screen is shown, the longest streams
MORE = {
    "Licences": """
        SELECT coalesce(licence, 'unknown') AS licence, count(*) AS repositories, sum(steps)::BIGINT AS steps
        FROM repositories WHERE steps > 0 GROUP BY ALL ORDER BY steps DESC, licence""",
    "Lengths of episodes": """
        SELECT keys, episodes FROM (
            SELECT CASE WHEN steps < 100 THEN '1 to 99' WHEN steps < 1000 THEN '100 to 999'
                        WHEN steps < 10000 THEN '1,000 to 9,999' ELSE '10,000 and more' END AS keys,
                   count(*) AS episodes, min(steps) AS least
            FROM episodes WHERE steps > 0 GROUP BY ALL)
        ORDER BY least""",
}
KINDS = "SELECT phase, count(*) AS keys FROM steps GROUP BY phase ORDER BY phase"


def write_report(store: Store, target: Path) -> int:
    """Write the page, and return its size in bytes. Raises WarehouseError, CorruptError."""
    with open_database(store) as db:
        tables = [_table(db, title, question) for title, question in {**QUESTIONS, **MORE}.items()]
        kinds = db.execute(KINDS).fetchall()
        total = sum(count for _, count in kinds)
        names = {phase.value: phase.name.lower().replace("_", " ") for phase in Phase}
        rows = [[names[phase], f"{count:,}", f"{count / total:.1%}"] for phase, count in kinds]
        tables.append({"title": "Keys by kind", "columns": ["kind", "keys", "share"], "rows": rows})
        screens = list(_screens(db, store))
    page = Page(
        package="pipeline.warehouse",
        template="report.html",
        title=safe(f"warehouse {store}"),
        scripts=("report.js",),
        data={"screen-data": screens},
        values={"tables": tables, "summary": f"{total:,} keys"},
    )
    return write_page(page, target)


def _table(db: duckdb.DuckDBPyConnection, title: str, question: str) -> dict[str, Any]:
    answer = db.execute(question)
    columns = [column[0].replace("_", " ") for column in answer.description or ()]
    rows = [[_cell(value) for value in row] for row in answer.fetchall()]
    return {"title": title, "columns": columns, "rows": rows}


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else safe(one_line(value))


def _screens(db: duckdb.DuckDBPyConnection, store: Store) -> Any:
    """For each of the longest streams, the screen that its longest commit left, and how that one is played."""
    found = db.execute(
        "SELECT e.repo_id, e.episode, e.subject, e.steps, e.final_frame, e.final_style, e.final_cursor_row,"
        " e.final_cursor_col, r.rows, r.cols FROM episodes e JOIN repositories r USING (repo_id)"
        " WHERE e.steps > 0 QUALIFY row_number() OVER (PARTITION BY e.repo_id ORDER BY e.steps DESC, e.episode) = 1"
        f" ORDER BY r.steps DESC, e.repo_id LIMIT {SHOWN}"
    ).fetchall()
    for repo_id, episode, subject, steps, frame, style, row, col, rows, cols in found:
        runs = runs_by_row((StyleRun(**run) for run in style), len(frame))
        yield {
            "title": f"{safe(repo_id)}: {safe(subject)} ({steps:,} keys)",
            "play": f"python -m pipeline.watch {pasteable(f'{repo_id}:{episode}')} --warehouse {pasteable(str(store))}",
            "rows": rows,
            "cols": cols,
            "screens": screens_data([Screen(tuple(frame), runs, row, col)]),
        }
