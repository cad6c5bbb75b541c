"""A recording straight from a repository: each commit is filmed when it is asked for, and nothing is stored."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.crawl.source import LocalSource, parse_source
from pipeline.git import order
from pipeline.git.history import listed
from pipeline.git.objects import Blobs
from pipeline.git.repository import LocalRepository, open_repository
from pipeline.messages import printable
from pipeline.replay import play_commit
from pipeline.script.commit import SkippedCommit, Workspace
from pipeline.terminal.terminal import Terminal
from pipeline.watch.recording import Chapter, ChapterFilm
from schema.config import ReplayConfig
from schema.errors import SourceError
from schema.geometry import Geometry
from schema.screen import Screen

_FILTERS = ("author", "after", "before")  # fields that are options of git, too


class Selection(NamedTuple):
    """Which commits of a repository: as `git log` would understand each field; empty ones select nothing."""

    commit: str = ""  # one, or a range A..B: those of B's history that are not of A's
    author: str = ""
    after: str = ""
    before: str = ""
    path: str = ""
    random: bool = False
    seed: int = 0

    def narrows(self) -> bool:
        """Whether it needs the history to be searched."""
        return bool(".." in self.commit or self.author or self.after or self.before or self.path or self.random)


def select(repository: LocalRepository, selection: Selection) -> list[str]:
    """Ids of the selected commits, in the film's order or in a random one.

    Raises SourceError: no such commit, or none selected.
    """
    since, dots, tip = selection.commit.rpartition("..")
    if dots and (since.endswith(".") or not since):
        raise SourceError(f"--commit {printable(selection.commit)}: write one commit, or A..B: those of B that A lacks")
    last = repository.commit(tip or None)
    if selection.commit and not selection.narrows():
        return [last]
    if not selection.narrows():
        return order.order(repository, last)
    filters = [f"--{name}={value}" for name, value in selection._asdict().items() if name in _FILTERS and value]
    first = repository.commit(since) if since else None
    found = order.chosen(repository, last, since=first, filters=filters, path=selection.path)
    if not found:
        raise SourceError(f"{repository.shown}: no commit is selected; see what there is: {_log(repository)}")
    if selection.random:
        random.Random(selection.seed).shuffle(found)
    return found


def _log(repository: LocalRepository) -> str:
    return repository.command("log --oneline --no-merges")


class LiveRecording:
    """Commits of a local repository. Films that follow each other are one terminal's, as in a warehouse.

    The first one begins on a blank screen, in its parent's tree. `chapters` have no subject and no length; the chapter
    of a film has both. `skipped` says why commits have no film.
    """

    def __init__(self, repo_id: str, repository: LocalRepository, commits: Sequence[str], config: ReplayConfig) -> None:
        self.repo_id = repo_id
        self.geometry: Geometry = config.geometry
        self.chapters = tuple(Chapter(number, commit, "", 0, 0) for number, commit in enumerate(commits))
        self.skipped: dict[str, str] = {}  # commit -> why
        self._workspace = Workspace(config)
        self._blobs = Blobs(repository)
        self._left: dict[int, tuple[str | None, Screen | None]] = {}  # tree and screen that a commit left

    def film(self, index: int) -> ChapterFilm | None:
        """Film one commit, after those before it that have not been. None, and a word in `skipped`, where it cannot be.

        Raises SourceError for a repository that cannot be read.
        """
        for earlier in range(index):
            if earlier not in self._left:
                self._film(earlier)
        return self._film(index)

    @property
    def steps(self) -> None:
        """Not known before the commits have been filmed."""

    def films(self) -> Iterator[ChapterFilm]:
        """The film of every chapter that has one, each made when it is asked for. Raises SourceError."""
        for index in range(len(self.chapters)):
            if film := self.film(index):
                yield film

    def _film(self, index: int) -> ChapterFilm | None:
        [commit] = listed(self._blobs, [self.chapters[index].commit])
        first = commit.parent_tree.oid if commit.parent else None
        tree, screen = self._left[index - 1] if index else (first, None)
        terminal = Terminal(self.geometry, screen)
        try:
            self._workspace.tree = tree
            script, film = play_commit(commit, self._workspace, terminal)
        except SkippedCommit as refusal:
            self.skipped[commit.sha] = refusal.reason
            self._left[index] = (tree, screen)
            return None
        final = terminal.screen()
        self._left[index] = (commit.tree.oid, final)
        chapter = self.chapters[index]._replace(subject=script.subject, steps=len(script.keys))
        return ChapterFilm(chapter, terminal.table, film, final)

    def close(self) -> None:
        """End the programs that read the repository."""
        self._blobs.close()


def open_live(path: str, selection: Selection, config: ReplayConfig) -> LiveRecording:
    """The selected commits of the repository in a folder; the caller closes the recording. Raises SourceError."""
    source = parse_source(path)
    if not isinstance(source, LocalSource):
        raise SourceError(f"{printable(path)}: is not on this machine; clone it, then name the clone's folder")
    repository = open_repository(source.path, shown=path)
    return LiveRecording(source.repo_id, repository, select(repository, selection), config)
