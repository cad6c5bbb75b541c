"""A repository's stream: its commits filmed one after the other, in one terminal that is never reset.

>>> for filmed in replay(git_dir, "owner/name", ReplayConfig()):                 # doctest: +SKIP
...     writer.append(filmed)

Memory is bounded by one episode's film, the blobs' cache and the row table, which starts afresh once it holds
TABLE_ROWS rows (about 250 bytes each).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from pipeline.film.frames import Film, RowTable
from pipeline.git.changes import Commit
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import RewrittenHistoryError
from pipeline.git.repository import Location
from pipeline.script.commit import OpenedFile, Script, SkippedCommit, Workspace, write_script
from pipeline.script.private import is_masked
from pipeline.script.selection import Verdicts
from pipeline.terminal.terminal import Terminal
from schema.config import ReplayConfig
from schema.errors import ConfigError, UnsupportedKeyError
from schema.records import Drop, Episode, Opened, final_fields
from schema.screen import Screen

TABLE_ROWS = 400_000
AUTHOR_DIGITS = 16


class _Stopped(Exception):
    """The caller asked to stop while a commit was being filmed."""


class FilmedCommit(NamedTuple):
    """One episode as played. `film` is None and `blobs` empty when the commit was stepped over.

    `film.frames` counts in `table`; `blobs` are (object id, content) of what the editor opened, each once.
    """

    episode: Episode
    film: Film | None
    table: RowTable
    blobs: list[tuple[str, bytes]]
    drops: list[Drop]


def replay(
    git_dir: Location,
    repo_id: str,
    config: ReplayConfig,
    *,
    resume: Episode | None = None,
    tip: str | None = None,
    commits: Sequence[str] | None = None,
    author_key: bytes | None = None,
    verdicts: Verdicts | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[FilmedCommit]:
    """Yield a FilmedCommit for each commit up to `tip` (default: HEAD), oldest first, from behind `resume` on.

    `commits`: the order of the whole stream, where it is not the history's own (`order.continued`). The same
    repository, order, config and key give the same film, wherever a replay was interrupted and resumed; it ends as
    soon as `stop` returns True, without the commit that is being filmed.
    Raises RewrittenHistoryError when `resume` is no longer part of the history, SourceError when there is no
    complete history to read, ConfigError when `author_key` is not the one of `config.author_key_hash`.
    """
    _check_key(config, author_key)

    def poll() -> None:
        if stop():
            raise _Stopped

    with Blobs(git_dir) as blobs:
        walked = walk(
            blobs,
            tip=tip,
            after=resume.commit if resume else None,
            at=resume.episode if resume else None,
            commits=commits,
            max_bytes=config.max_file_bytes,
            max_files=config.max_commit_files,
        )
        workspace = Workspace(config, verdicts, tree=(resume.tree or None) if resume else None, poll=poll)
        terminal = Terminal(config.geometry, resume.final_screen if resume else None)
        next_step = resume.first_step + resume.steps if resume else 0
        for commit in walked:
            if len(terminal.table) > TABLE_ROWS:
                terminal.forget_rows()
            author = _author(commit, author_key)
            try:
                script, film = play_commit(commit, workspace, terminal)
            except _Stopped:
                return
            except SkippedCommit as refusal:
                yield _skipped_commit(repo_id, commit, refusal, next_step, workspace, terminal, author)
                continue
            workspace.tree = commit.tree.oid
            yield _filmed_commit(repo_id, commit, script, film, next_step, terminal, author)
            next_step += len(script.keys)


def play_commit(commit: Commit, workspace: Workspace, terminal: Terminal) -> tuple[Script, Film]:
    """What is typed for one commit, and its film; a file whose editor is not drawn is brought by checkout instead.

    Raises SkippedCommit for a commit to be stepped over; the terminal is then as before.
    """
    undrawn: set[bytes] = set()
    while True:  # at most once more than there are files, and nearly always once or twice
        script = write_script(commit, workspace, undrawn)
        film, refused = _play(script, workspace, terminal)
        if film is not None:
            return script, film
        undrawn |= refused


def _play(script: Script, workspace: Workspace, terminal: Terminal) -> tuple[Film | None, set[bytes]]:
    """The film; or None and the files whose editor is not drawn, all of them, the terminal as before.

    Raises SkippedCommit where it is the shell that is not drawn.
    """
    before, keys, files = terminal.screen(), script.keys, script.opened
    refused: set[bytes] = set()
    while True:
        try:
            film = terminal.play(keys, [file.content for file in files], poll=workspace.poll)
        except UnsupportedKeyError as error:
            in_editor, number = terminal.in_editor, terminal.opened
            terminal.stand_at(before)
            if not in_editor:
                raise SkippedCommit("unsupported-key", script.lines) from error
            refused.add(files[number - 1].path)
            keys, files = script.keys[files[number - 1].stop :], files[number:]
            continue
        if not refused:  # then it is the film of all keys
            refused = {file.path for file in script.opened if file.masked and _shows_mask(film, terminal, file)}
        if not refused:
            return film, refused
        terminal.stand_at(before)
        return None, refused


def _shows_mask(film: Film, terminal: Terminal, file: OpenedFile) -> bool:
    """Whether a row of the screen while the file is open may be a private line."""
    rows = np.unique(film.frames[file.start : file.stop])
    return any(is_masked(*terminal.table.row(number)) for number in rows.tolist())


def shown_path(path: bytes) -> str:
    """A path as text: UTF-8, other bytes as \\xNN."""
    return path.decode("utf-8", "backslashreplace")


def _check_key(config: ReplayConfig, author_key: bytes | None) -> None:
    found = hashlib.sha256(author_key).hexdigest() if author_key is not None else None
    if found != config.author_key_hash:
        raise ConfigError(
            "author key: it is not the one that the settings name by author_key_hash; "
            "give the same key as for the first harvest, or harvest into a new folder"
        )


def _author(commit: Commit, key: bytes | None) -> str | None:
    if key is None:
        return None
    return hmac.new(key, commit.author_email.strip().lower(), hashlib.sha256).hexdigest()[:AUTHOR_DIGITS]


def _time(seconds: int | None) -> datetime | None:
    """None for what no calendar holds."""
    if seconds is None or not 0 <= seconds <= 253_402_300_799:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _episode(
    repo_id: str, commit: Commit, first_step: int, screen: Screen, author: str | None, **fields: Any
) -> Episode:
    """The record of one commit that left `screen`; `fields` are those that depend on whether it was filmed."""
    return Episode(
        repo_id=repo_id,
        episode=commit.ordinal,
        commit=commit.sha,
        parent=commit.parent,
        authored_at=_time(commit.authored_at),
        committed_at=_time(commit.committed_at),
        author=author,
        first_step=first_step,
        **final_fields(screen),
        **fields,
    )


def _filmed_commit(
    repo_id: str,
    commit: Commit,
    script: Script,
    film: Film,
    first_step: int,
    terminal: Terminal,
    author: str | None,
) -> FilmedCommit:
    opened = tuple(Opened(path=shown_path(file.path), blob=file.blob) for file in script.opened)
    blobs = {file.blob: file.content for file in script.opened if file.blob and file.content is not None}
    episode = _episode(
        repo_id,
        commit,
        first_step,
        terminal.screen(),
        author,
        subject=script.subject,
        status="filmed",
        reason=None,
        files=script.files,
        files_typed=script.files_typed,
        lines=script.lines,
        lines_typed=script.lines_typed,
        steps=len(script.keys),
        tree=commit.tree.oid,
        opened=opened,
    )
    drops = [
        Drop(
            repo_id=repo_id,
            episode=commit.ordinal,
            commit=commit.sha,
            path=shown_path(path),
            scope="file",
            rule=rule,
        )
        for path, rule in script.drops
    ]
    return FilmedCommit(episode, film, terminal.table, list(blobs.items()), drops)


def _skipped_commit(
    repo_id: str,
    commit: Commit,
    refusal: SkippedCommit,
    first_step: int,
    workspace: Workspace,
    terminal: Terminal,
    author: str | None,
) -> FilmedCommit:
    """The record of a commit that was not filmed, and why. Its subject is left out: it may hold the secret."""
    episode = _episode(
        repo_id,
        commit,
        first_step,
        terminal.screen(),
        author,
        subject="",
        status="dropped",
        reason=refusal.reason,
        files=len(commit.changes),
        files_typed=0,
        lines=refusal.lines,
        lines_typed=0,
        steps=0,
        tree=workspace.tree or "",
        opened=(),
    )
    drop = Drop(
        repo_id=repo_id, episode=commit.ordinal, commit=commit.sha, path=None, scope="commit", rule=refusal.reason
    )
    return FilmedCommit(episode, None, terminal.table, [], [drop])


__all__ = ["RewrittenHistoryError", "FilmedCommit", "play_commit", "replay", "shown_path"]
