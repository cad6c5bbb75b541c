"""A recording straight from a repository: each commit is filmed when it is asked for, and nothing is stored."""

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.crawl.source import LocalSource, parse_source
from pipeline.git import order
from pipeline.git.dates import names_date
from pipeline.git.history import listed
from pipeline.git.objects import Blobs
from pipeline.git.reader import reading
from pipeline.git.repository import LocalRepository, open_repository
from pipeline.messages import printable
from pipeline.replay import play_commit
from pipeline.script.commit import SkippedCommit, Workspace
from pipeline.terminal.terminal import Terminal
from pipeline.watch.recording import Chapter, ChapterFilm
from schema.config import ReplayConfig
from schema.errors import ConfigError, SourceError
from schema.geometry import Geometry
from schema.screen import Screen

_NOTHING = ("0" * 40, "0" * 64)  # how git writes that there is no commit
_FILTERS = ("author", "after", "before")  # fields that are options of git, too


class Selection(NamedTuple):
    """Which commits of a repository: as `git log` would understand each field; empty ones select nothing."""

    commit: str = ""  # one, or a range A..B: those of B's history that are not of A's; all of B's if A is zeros alone
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

    Raises SourceError (no such commit, or none selected) and ConfigError (a field that git cannot understand).
    """
    since, dots, tip = selection.commit.rpartition("..")
    if dots and (since.endswith(".") or not since):
        raise SourceError(f"--commit {printable(selection.commit)}: write one commit, or A..B: those of B that A lacks")
    if since in _NOTHING:  # what a push of a new branch calls the commit before it
        since = ""
    last = repository.commit(tip or None)
    if selection.commit and not selection.narrows():
        return [last]
    if not selection.narrows():
        return order.order(repository, last)
    filters = [f"--{name}={value}" for name, value in selection._asdict().items() if name in _FILTERS and value]
    _check(repository, selection, last)
    first = repository.commit(since) if since else None
    found = order.chosen(repository, last, since=first, filters=filters, path=selection.path)
    if not found:
        raise SourceError(f"{repository.shown}: no commit is selected; see what there is: {_log(repository)}")
    if selection.random:
        random.Random(selection.seed).shuffle(found)
    return found


def _check(repository: LocalRepository, selection: Selection, tip: str) -> None:
    """Raise ConfigError for a date or a pattern that is none: git reads unknown words as the present moment."""
    for name in ("after", "before"):
        if (text := getattr(selection, name)) and not names_date(text):
            raise ConfigError(
                f"--{name} {printable(text)}: names no date; write one such as 2024-01-31, '2 weeks ago' or @1700000000"
            )
    if not selection.author:
        return
    with reading(repository) as reader:
        nothing = ("rev-list", "--max-count=0", tip)
        said = reader.complaint(*nothing, f"--author={selection.author}")
        damaged = said and reader.complaint(*nothing)  # that is told when the history is read
    if said and not damaged:
        raise ConfigError(
            f"--author {printable(selection.author)}: git takes no such pattern ({said.removeprefix('fatal: ')}); "
            r"write a regular expression, with \ before a sign that stands for itself"
        )


def _inside(root: Path, text: str) -> str:
    """A path as git knows it: from the repository's folder on. Raises ConfigError for one outside of it."""
    path = os.path.normpath(text)
    if not os.path.isabs(path):
        found = path
    elif Path(path).is_relative_to(root):
        found = os.path.relpath(path, root)
    else:  # one of the two may be named by a link
        found = os.path.relpath(Path(text).parent.resolve() / Path(path).name, root.resolve())
    if found.split(os.sep)[0] == os.pardir:
        raise ConfigError(
            f"--path {printable(text)}: is not inside of {printable(str(root))}; "
            "name a file or folder as from there: --path src/main.py"
        )
    return "" if found == os.curdir else found


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
    """The selected commits of the repository in a folder; the caller closes the recording.

    Raises SourceError, and ConfigError for a selection that cannot be meant.
    """
    source = parse_source(path)
    if not isinstance(source, LocalSource):
        raise SourceError(f"{printable(path)}: is not on this machine; clone it, then name the clone's folder")
    repository = open_repository(source.path, shown=path)
    if selection.path:
        selection = selection._replace(path=_inside(source.path, selection.path))
    return LiveRecording(source.repo_id, repository, select(repository, selection), config)
