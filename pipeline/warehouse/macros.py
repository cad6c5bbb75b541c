"""SQL macros stored in `actions.db`. Written for DuckDB 1.0 and later (so: no lambdas).

In a database attached under another name a macro finds no table, view or macro of its own database. Each therefore
holds all that it needs: the names of actions and phases, and the query that reads the steps.
"""

import numpy as np

from schema.actions import VOCABULARY, Phase, action_name
from schema.widths import CLASS, COMPOSING, WIDE


def _names(names: list[str]) -> str:
    return "[" + ", ".join("'" + n.replace("'", "''") + "'" for n in names) + "]"


def _ranges(kind: int) -> list[tuple[int, int]]:
    """(first, last) of the code points of one class."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.equal(CLASS, kind).astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


_WIDE = ", ".join(f"({first}, {last})" for first, last in _ranges(WIDE))
_MARKS = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _ranges(COMPOSING))
_LETTERS = f"regexp_extract_all(line, '(?s).[{_MARKS}]*')"  # each with the marks in its cell


_ACTION = f"{_names([action_name(a) for a in range(VOCABULARY)])}[action::INTEGER + 1]"
_PHASE = f"{_names([p.name.lower().replace('_', ' ') for p in Phase])}[phase::INTEGER + 1]"
ACTION_NAME = f"CREATE MACRO action_name(action) AS {_ACTION}"
PHASE_NAME = f"CREATE MACRO phase_name(phase) AS {_PHASE}"
KEYS = f"""
CREATE MACRO keys(repo, commit_number) AS TABLE
    SELECT {_PHASE} AS phase, typed
    FROM (SELECT any_value(phase) AS phase, run, string_agg({_ACTION}, '' ORDER BY stream_step) AS typed
          FROM (SELECT *, sum(turn) OVER (ORDER BY stream_step) AS run
                FROM (SELECT *, (phase IS DISTINCT FROM lag(phase) OVER (ORDER BY stream_step))::INTEGER AS turn
                      FROM (STEPS) WHERE repo_id = repo AND episode = commit_number))
          GROUP BY run)
    ORDER BY run
"""
# The cursor's cell becomes a block; what it covers stands in the column `cursor`. No WITH: DuckDB 1.4.0 and 1.4.1 lose
# track of one in a stored macro.
SCREEN = f"""
CREATE MACRO screen(repo, step) AS TABLE
    SELECT row,
           CASE WHEN row = cursor_row THEN before || repeat(' ', greatest(0, cursor_col - taken - width + 1)::BIGINT)
                                           || repeat('█', width::BIGINT) || after
                ELSE line END AS line,
           CASE WHEN row = cursor_row THEN 'column ' || cursor_col || ', on ' || covered END AS cursor
    FROM (SELECT row, line, cursor_row, cursor_col,
                 coalesce(string_agg(letter, '' ORDER BY place) FILTER (start + cells <= cursor_col), '') AS before,
                 coalesce(sum(cells) FILTER (start + cells <= cursor_col), 0) AS taken,
                 coalesce(string_agg(letter, '' ORDER BY place) FILTER (start > cursor_col), '') AS after,
                 coalesce(any_value(letter) FILTER (start <= cursor_col AND start + cells > cursor_col), ' ')
                     AS covered,
                 coalesce(any_value(cells) FILTER (start <= cursor_col AND start + cells > cursor_col), 1) AS width
          FROM (SELECT *, sum(cells) OVER (PARTITION BY row ORDER BY place) - cells AS start
                FROM (SELECT *, CASE WHEN letter = '' THEN 0
                                     WHEN EXISTS (SELECT 1 FROM (VALUES {_WIDE}) AS wide(first, last)
                                                  WHERE unicode(letter) BETWEEN first AND last) THEN 2
                                     ELSE 1 END AS cells
                      FROM (SELECT *, unnest(letters) AS letter, generate_subscripts(letters, 1) AS place
                            FROM (SELECT *, CASE WHEN row = cursor_row AND line <> '' THEN {_LETTERS}
                                                 ELSE [''] END AS letters
                                  FROM (SELECT unnest(frame) AS line, generate_subscripts(frame, 1) - 1 AS row,
                                               cursor_row, cursor_col
                                        FROM (STEPS) WHERE repo_id = repo AND stream_step = step)))))
          GROUP BY row, line, cursor_row, cursor_col)
    ORDER BY row
"""


def macros(steps: str) -> list[str]:
    """The statements that create the macros; `steps` is the query for every step (pipeline.warehouse.views)."""
    return [macro.replace("(STEPS)", f"({steps})") for macro in (ACTION_NAME, PHASE_NAME, KEYS, SCREEN)]
