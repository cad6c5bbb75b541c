"""Writes the dataset card, `DATASET.md`, from the warehouse itself.

python -m pipeline.dataset_card [--warehouse FOLDER]
"""

import argparse
from collections.abc import Sequence
from typing import Any

import duckdb

from pipeline.messages import pasteable
from pipeline.shards.manifest import manifests
from pipeline.shards.store import Store
from pipeline.warehouse.catalogue import sql_type
from pipeline.warehouse.database import open_database
from pipeline.warehouse.dataset import FOLDER
from pipeline.warehouse.markdown import Markdown, markdown_table, yaml_list
from schema.actions import Phase
from schema.catalogue import DATABASE
from schema.columns import TABLES
from schema.errors import clear_errors
from schema.manifest import Manifest
from schema.version import SCHEMA_VERSION

CARD = "DATASET.md"
LISTED = 100  # repositories named in the card; the rest are counted
LOADING = """```python
import duckdb, polars, pyarrow.dataset
from datasets import load_dataset

film = load_dataset("{folder}/steps", split="train")
print(film[50]["frame"], film[50]["action"])

pyarrow.dataset.dataset("{folder}/steps/train", format="parquet").head(3)
polars.scan_parquet("{folder}/steps/train/*.parquet").head(3).collect()
duckdb.sql("SELECT count(*) FROM '{folder}/steps/**/*.parquet'")
```"""
STEP = (
    "A step is a terminal's screen and the key pressed next. An episode is one commit. A repository's episodes follow "
    "each other in one terminal that is never reset, so that sequences of any length can be cut anywhere."
)
NATURE = """## How this differs from recorded keystrokes

The edits are real; the typing is synthetic. Each commit is replayed as one developer at one terminal would have typed
it: top to bottom through the changed lines of each file, without pauses, mistakes, searches or reading. Order inside a
commit, the choice of commands and the absence of timing come from the script, not from a person. What is real: the
text, the order of commits, which lines change together, and the subjects. The frames are those of real `bash`, `vim`
and `nano` (see gitreel's fidelity benchmark), so that a policy learned here can act in a real terminal. *When* or *how
hesitantly* people type cannot be learned from it."""


def card(store: Store) -> str:
    """The card's text. Raises WarehouseError (no database), CorruptError."""
    with open_database(store) as db:
        total = _rows(
            db, "SELECT count(*), coalesce(sum(steps), 0)::BIGINT, coalesce(sum(episodes), 0)::BIGINT FROM repositories"
        )[0]
        licences = _rows(
            db, "SELECT DISTINCT licence FROM repositories WHERE steps > 0 AND licence IS NOT NULL ORDER BY 1"
        )
        size = _rows(db, "SELECT coalesce(sum(bytes), 0)::BIGINT FROM (SELECT DISTINCT path, bytes FROM files)")[0][0]
        sections = [
            _front(licences),
            "# Git history as terminal film",
            _size(total, size),
            NATURE,
            _sources(db),
            _splits(db),
            _drops(db),
            _privacy(list(manifests(store))),
            _schema(),
            _loading(store),
            _citing(db),
        ]
    return "\n\n".join(sections) + "\n"


def _size(total: tuple[Any, ...], size: int) -> str:
    counts = f"{total[1]:,} steps of {total[2]:,} commits from {total[0]:,} repositories, {size:,} bytes"
    return f"{counts}, schema {SCHEMA_VERSION}. {STEP}"


def _rows(db: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return db.execute(query).fetchall()


def _front(licences: Sequence[tuple[str]]) -> str:
    """The header that dataset hubs read."""
    names = yaml_list(name.lower() for (name,) in licences) or "- unknown"
    return (
        f"---\npretty_name: Git history as terminal film\nlicense:\n{names}\ntags:\n- terminal\n- code\n- actions\n---"
    )


def _sources(db: duckdb.DuckDBPyConnection) -> str:
    rows = _rows(
        db,
        "SELECT repo_id, source, licence, head[:12], episodes, steps FROM repositories WHERE steps > 0"
        f" ORDER BY steps DESC, repo_id LIMIT {LISTED}",
    )
    more = _rows(db, "SELECT count(*) FROM repositories WHERE steps > 0")[0][0] - len(rows)
    licences = _rows(
        db,
        "SELECT coalesce(licence, 'unknown'), count(*), sum(steps)::BIGINT FROM repositories WHERE steps > 0"
        " GROUP BY ALL ORDER BY 3 DESC, 1",
    )
    tail = f"\n\nand {more:,} more: `SELECT repo_id, source, licence FROM repositories`." if more else ""
    return (
        "## Sources and licences\n\nFilm is a derivative of its source; each repository's licence holds for its steps, "
        "and every step leads to repository, commit and licence through `repo_id` and `episode`.\n\n"
        + markdown_table(["repository", "source", "licence", "newest commit", "commits", "steps"], rows)
        + tail
        + "\n\n"
        + markdown_table(["licence", "repositories", "steps"], licences)
    )


def _splits(db: duckdb.DuckDBPyConnection) -> str:
    rows = _rows(
        db,
        "SELECT coalesce(split, 'not assigned yet'), count(DISTINCT coalesce(family, repo_id)), count(*),"
        " count(duplicate_of), sum(steps)::BIGINT FROM repositories WHERE steps > 0 GROUP BY ALL ORDER BY 5 DESC",
    )
    return (
        "## Splits and duplicates\n\nRepositories that share their oldest root commit (forks, copies) are one family, "
        "and a family is whole in one split, by a hash of that root. Within a family the member with the earliest "
        "commit is canonical; the others carry `duplicate_of` and should be left out of training. With one family "
        "alone, hold out the last tenth of its steps, behind a gap of one window.\n\n"
        + markdown_table(["split", "families", "repositories", "duplicates", "steps"], rows)
    )


def _drops(db: duckdb.DuckDBPyConnection) -> str:
    rows = _rows(db, "SELECT scope, rule, count(*) FROM drops GROUP BY ALL ORDER BY 3 DESC, 1, 2")
    return (
        "## What was left out\n\n`commit`: stepped over. `file`: brought by `git checkout`, not typed. `repository`: "
        "refused. The matched value itself is stored nowhere.\n\n"
        + (markdown_table(["scope", "rule", "times"], rows) if rows else "Nothing.")
    )


def _privacy(streams: Sequence[Manifest]) -> str:
    configs = [s.config for s in streams if s.shards]
    every = {
        "Lines in which a secret was found are never typed, shown or stored": all(c.scan_secrets for c in configs),
        "E-mail addresses are removed from typed subjects": all(c.mask_emails for c in configs),
        "Lines that hold an e-mail address are never typed, shown or stored": not any(c.show_emails for c in configs),
        "Commits by bots are stepped over": all(c.skip_bots for c in configs),
        "Generated, vendored, minified and lock files are not typed": all(c.skip_generated for c in configs),
    }
    keyed = any(c.author_key_hash for c in configs)
    lines = [f"- {what}: {'yes' if held else 'not in every stream'}." for what, held in every.items()]
    lines.append(
        "- Authors: " + ("a hash keyed by a secret key, in `episodes.author` only." if keyed else "not stored at all.")
    )
    lines.append(
        "- Names that stand inside published source files are shown as they are, and so are e-mail addresses unless "
        "the line above says otherwise (`show_emails` of the harvest's settings). To have film "
        "removed: `python -m pipeline.warehouse remove OWNER/NAME`; no later harvest into the warehouse films it again."
    )
    return "## Privacy\n\n" + "\n".join(lines)


def _schema() -> str:
    parts = ["## Schema"]
    for name, columns in TABLES.items():
        rows = [
            [Markdown(word) for word in (f"`{c.name}`", f"`{sql_type(c.type)}`", c.unit, "yes" * c.nullable, c.meaning)]
            for c in columns
        ]
        parts += [f"### {name}", markdown_table(["column", "type", "unit", "nullable", "meaning"], rows)]
    phases = ", ".join(f"{p.value} {p.name.lower().replace('_', ' ')}" for p in Phase)
    parts.append(f"`phase`: {phases}. `action`: the byte sent to the terminal.")
    return "\n\n".join(parts)


def _loading(store: Store) -> str:
    if store.local is None:
        return (
            f"## Loading\n\nThe table `shards` of `{store.url}/{DATABASE}` lists the files, relative to `{store.url}`: "
            "`SELECT DISTINCT path FROM shards JOIN repositories USING (repo_id) WHERE split = 'train' AND "
            "duplicate_of IS NULL;`."
        )
    name = store.local.name
    return (
        f"## Loading\n\nThe folder `{name}/{FOLDER}` is plain Parquet: `steps/train`, `steps/validation`, `steps/test` "
        "and `steps/duplicates`, and likewise `episodes`, `blobs` and `drops`; `repositories` has the licences. From "
        "the folder that holds the warehouse:\n\n"
        + LOADING.format(folder=f"{name}/{FOLDER}")
        + f"\n\nor with SQL: `duckdb {pasteable(f'{name}/{DATABASE}')}`, then `FROM steps LIMIT 3;`."
    )


def _citing(db: duckdb.DuckDBPyConnection) -> str:
    versions = _rows(db, "SELECT DISTINCT tool_version, config_hash FROM repositories ORDER BY ALL")
    made = "; ".join(f"version {tool}, settings {config}" for tool, config in versions) or "nothing yet"
    return (
        f"## Citing\n\nName the repositories above, and gitreel ({made}). The frame-action setting is that of "
        "M. Keiblinger, *Recurrence-Complete Frame-based Action Models*, arXiv 2510.06828, 2025."
    )


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.dataset_card", description=__doc__.split("\n")[0])
    parser.add_argument("--warehouse", default="warehouse", help="folder or s3://bucket/prefix")
    options = parser.parse_args(arguments)
    store = Store(options.warehouse)
    store.write(CARD, card(store).encode())
    print(f"{store}/{CARD}")
    return 0
