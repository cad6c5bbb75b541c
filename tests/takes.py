"""Takes made by code: typed text, styles, wide characters, scrolling rows, dropped commits. No terminal, no git."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from pipeline.film.frames import Changes, Film, RowTable
from schema.records import Drop, Episode, Opened
from schema.screen import style_runs


class FilmedCommit(NamedTuple):
    """What `pipeline.replay` yields."""

    episode: Episode
    film: Film | None
    table: RowTable
    blobs: list[tuple[str, bytes]]
    drops: list[Drop]


def blob_id(content: bytes) -> str:
    """The id that git gives it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def make_takes(
    episodes: int,
    *,
    repo_id: str = "owner/name",
    rows: int = 6,
    cols: int = 24,
    keys: int = 40,
    seed: int = 0,
    new_table_every: int = 3,
) -> Iterator[FilmedCommit]:
    """Deterministic takes; every fifth commit is dropped, every `new_table_every`-th starts a fresh RowTable."""
    random = np.random.default_rng(seed)
    table, step = RowTable(), 0
    words = ["row", "漢字", "é", "~", "def f(x):", "        return x", "😀 wide"]
    now: list[tuple[str, tuple[tuple[int, int, int], ...]]] = [("", ())] * rows
    for ordinal in range(episodes):
        sha = hashlib.sha1(f"{repo_id} {seed} {ordinal}".encode()).hexdigest()
        dropped = ordinal % 5 == 4
        if ordinal % new_table_every == 0:
            table = RowTable()
        count = 0 if dropped else keys + int(random.integers(5))
        frames, cursors = [], []
        for _ in range(count):
            frames.append([table.intern(*row) for row in now])
            row, word = int(random.integers(rows)), words[int(random.integers(len(words)))]
            style = ((0, 1, 1), (2, 3, 2)) if random.random() < 0.1 else ((0, cols, 3),) if row == rows - 2 else ()
            now[row] = (f"{word} {int(random.integers(60))}"[: cols // 2], style)
            cursors.append((row, int(random.integers(cols))))
        film = None
        if count:
            cursor_row, cursor_col = np.array(cursors, np.int16).T
            film = Film(
                Changes.of(np.array(frames, np.int32)),
                np.ascontiguousarray(cursor_row),
                np.ascontiguousarray(cursor_col),
                random.integers(0, 256, count).astype(np.uint8),
                random.integers(0, 5, count).astype(np.uint8),
            )
        contents = [] if dropped else [f"file {ordinal % 4}\n".encode() * (ordinal // 4 + 1)]
        when = datetime.fromtimestamp(1_600_000_000 + ordinal, UTC)
        episode = Episode(
            repo_id=repo_id, episode=ordinal, commit=sha, parent=None, authored_at=when, committed_at=when,
            author=None, subject=f"commit {ordinal}", status="dropped" if dropped else "filmed",
            reason="bot" if dropped else None, files=1, files_typed=1, lines=2, lines_typed=2, first_step=step,
            steps=count, tree=sha, opened=tuple(Opened(path=f"f{ordinal % 4}", blob=blob_id(c)) for c in contents),
            final_frame=tuple(text for text, _ in now),
            final_style=style_runs(runs for _, runs in now),
            final_cursor_row=0, final_cursor_col=2,
        )  # fmt: skip
        drops = [Drop(repo_id=repo_id, episode=ordinal, commit=sha, path=None, scope="commit", rule="bot")]
        step += count
        yield FilmedCommit(episode, film, table, [(blob_id(c), c) for c in contents], drops if dropped else [])
