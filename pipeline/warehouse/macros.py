"""SQL macros stored in `actions.db`. Written for DuckDB 1.0 and later (so: no lambdas)."""

import numpy as np

from schema.actions import VOCABULARY, Phase, action_name
from schema.widths import CLASS, COMPOSING, WIDE


def _names(names: list[str]) -> str:
    return "[" + ", ".join("'" + n.replace("'", "''") + "'" for n in names) + "]"


def _ranges(kind: int) -> list[tuple[int, int]]:
    """(first, last) of the code points of one class."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isin(CLASS, [kind]).astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


_WIDE = ", ".join(f"({first}, {last})" for first, last in _ranges(WIDE))
_MARKS = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _ranges(COMPOSING))
_LETTERS = f"regexp_extract_all(line, '(?s).[{_MARKS}]*')"  # each with the marks in its cell


ACTION_NAME = (
    f"CREATE MACRO action_name(action) AS {_names([action_name(a) for a in range(VOCABULARY)])}[action::INTEGER + 1]"
)
PHASE_NAME = (
    f"CREATE MACRO phase_name(phase) AS {_names([p.name.lower().replace('_', ' ') for p in Phase])}[phase::INTEGER + 1]"
)
KEYS = """
CREATE MACRO keys(repo, commit_number) AS TABLE
    SELECT phase_name(any_value(phase)) AS phase,
           string_agg(action_name(action), '' ORDER BY stream_step) AS typed
    FROM (SELECT *, sum(turn) OVER (ORDER BY stream_step) AS run
          FROM (SELECT *, (phase IS DISTINCT FROM lag(phase) OVER (ORDER BY stream_step))::INTEGER AS turn
                FROM steps WHERE repo_id = repo AND episode = commit_number))
    GROUP BY run ORDER BY run
"""
# the cursor's cell becomes a block; what it covers stands in the column `cursor`
SCREEN = f"""
CREATE MACRO screen(repo, step) AS TABLE
    WITH shown AS (SELECT frame, cursor_row, cursor_col FROM steps
                   WHERE repo_id = repo AND stream_step = step),
    wide(first, last) AS (VALUES {_WIDE}),
    lines AS (SELECT unnest(frame) AS line, generate_subscripts(frame, 1) - 1 AS row, cursor_row, cursor_col
              FROM shown),
    letters AS (SELECT unnest({_LETTERS}) AS letter,
                       generate_subscripts({_LETTERS}, 1) AS place, cursor_col
                FROM lines WHERE row = cursor_row AND line <> ''),
    sized AS (SELECT *, CASE WHEN EXISTS (SELECT 1 FROM wide WHERE unicode(letter) BETWEEN first AND last)
                             THEN 2 ELSE 1 END AS cells
              FROM letters),
    placed AS (SELECT *, sum(cells) OVER (ORDER BY place) - cells AS start FROM sized),
    beside AS (SELECT coalesce(string_agg(letter, '' ORDER BY place) FILTER (start + cells <= cursor_col), '')
                          AS before,
                      coalesce(sum(cells) FILTER (start + cells <= cursor_col), 0) AS taken,
                      coalesce(string_agg(letter, '' ORDER BY place) FILTER (start > cursor_col), '') AS after,
                      coalesce(any_value(letter) FILTER (start <= cursor_col AND start + cells > cursor_col), ' ')
                          AS covered,
                      coalesce(any_value(cells) FILTER (start <= cursor_col AND start + cells > cursor_col), 1)
                          AS width
               FROM placed)
    SELECT row,
           CASE WHEN row = cursor_row
                THEN before || repeat(' ', greatest(0, cursor_col - taken - width + 1)::BIGINT)
                     || repeat('█', width::BIGINT) || after
                ELSE line END AS line,
           CASE WHEN row = cursor_row THEN 'column ' || cursor_col || ', on ' || covered END AS cursor
    FROM lines, beside ORDER BY row
"""

MACROS = (ACTION_NAME, PHASE_NAME, KEYS, SCREEN)
