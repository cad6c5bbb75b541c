"""What is in a warehouse: the questions that a data engineer asks first, answered from `actions.db`."""

from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.shards.store import Store
from pipeline.warehouse.database import open_database
from schema.errors import one_line

WIDE = 6  # columns
UNCUT = 10_000  # cells; names are to be pasted, so a line may be longer than the terminal is wide

# title -> SQL; only real tables are read, so that it is quick at any size
QUESTIONS = {
    "Repositories": """
        SELECT status, coalesce(split, '-') AS split, count(*) AS repositories, count(duplicate_of) AS duplicates,
               sum(episodes)::BIGINT AS episodes, sum(steps)::BIGINT AS steps
        FROM repositories GROUP BY ALL ORDER BY steps DESC, status""",
    "Film": """
        SELECT rows || 'x' || cols AS screen, sum(shards)::BIGINT AS shards, sum(steps)::BIGINT AS steps,
               sum(bytes)::BIGINT AS bytes, round(sum(bytes) / sum(steps), 2) AS bytes_a_frame,
               sum(open)::BIGINT AS open_shards, string_agg(DISTINCT versions, ', ') AS versions
        FROM (SELECT rows, cols, path, any_value(bytes) AS bytes, sum(steps) AS steps, count(*) AS shards,
                     count(*) FILTER (NOT closed) AS open,
                     any_value('schema ' || schema_version || ', gitreel ' || tool_version || ', ' || editor || ' '
                               || editor_version) AS versions
              FROM shards GROUP BY rows, cols, path)
        GROUP BY ALL ORDER BY steps DESC""",
    "Files on disk": """
        SELECT kind, count(*) AS files, sum(bytes)::BIGINT AS bytes,
               round(sum(bytes) / greatest(1, (SELECT sum(steps) FROM repositories)), 3) AS bytes_a_frame
        FROM (SELECT DISTINCT kind, path, bytes FROM files) GROUP BY kind ORDER BY bytes DESC""",
    "Episodes": """
        SELECT status, count(*) AS episodes, sum(steps)::BIGINT AS steps, round(avg(steps), 1) AS mean_keys,
               median(steps)::BIGINT AS median_keys, max(steps) AS longest,
               sum(files_typed)::BIGINT AS files_typed, sum(files)::BIGINT AS files,
               round(sum(lines_typed) / nullif(sum(lines), 0), 3) AS typed_line_share,
               min(committed_at)::DATE AS first_commit, max(committed_at)::DATE AS last_commit
        FROM episodes GROUP BY ALL ORDER BY episodes DESC""",
    "Drops": """
        SELECT scope, rule, count(*) AS times, count(DISTINCT repo_id) AS repositories
        FROM drops GROUP BY ALL ORDER BY times DESC, rule LIMIT 15""",
    "Longest streams": """
        SELECT repo_id, coalesce(licence, '-') AS licence, coalesce(split, '-') AS split, status, episodes, steps
        FROM repositories ORDER BY steps DESC, repo_id LIMIT 10""",
}


def stats(store: Store, file: IO[str] | None = None) -> None:
    """Print the answers, to standard output by default.

    Raises WarehouseError when there is no database, CorruptError when it is damaged.
    """
    console = Console(file=file, width=UNCUT)
    with open_database(store) as db:
        for title, question in QUESTIONS.items():
            answer = db.execute(question)
            names = [d[0] for d in answer.description or ()]
            rows = [[_shown(v) for v in row] for row in answer.fetchall()]
            if len(names) > WIDE:  # on its side
                table = Table(title=title, title_justify="left", show_header=False)
                for line in zip(names, *rows, strict=True):
                    table.add_row(*line)
            else:
                table = Table(*names, title=title, title_justify="left")
                for row in rows:
                    table.add_row(*row)
            console.print(table)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return escape(f"{value:,}" if isinstance(value, int) else one_line(value))
