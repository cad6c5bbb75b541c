"""The pinned corpus of ``corpus.toml``: read it, and film it.

    python -m figures.corpus                      clone the named URLs and film them, under runs/corpus/
    python -m figures.corpus --mirrors FOLDER     the same from local clones, no network
    python -m figures.corpus --geometry 24x80     another screen, another warehouse
    python -m figures.corpus --further            repositories to learn from up to their later commit, likewise

The result is an ordinary warehouse. A mirror of OWNER/NAME may be FOLDER/OWNER+NAME, FOLDER/OWNER/NAME or
FOLDER/NAME, bare or not, with or without ``.git``, or any of these with the repository in a folder ``repo`` inside.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from figures.rows import ROOT
from pipeline.crawl.clone import cloned
from pipeline.crawl.source import parse_source
from pipeline.git.alternates import alternates_line
from pipeline.git.environment import git_environment
from pipeline.git.repository import Location, opened
from pipeline.harvester import HarvestConfig, Outcome, harvest_repository
from pipeline.warehouse import build as warehouse
from schema.config import FrozenModel, ReplayConfig
from schema.editors import Editor, Motion
from schema.errors import ConfigError, GitreelError, clear_errors
from schema.geometry import Geometry

CORPUS = ROOT / "corpus.toml"
RUNS = ROOT.parent / "runs" / "corpus"
Split = Literal["train", "validation", "test"]


class Screen(FrozenModel):
    """The corpus's own screen, cells."""

    rows: int = Field(ge=4)
    cols: int = Field(ge=24)


class Repository(FrozenModel):
    """One pinned repository. Its film is its history up to and with ``commit``."""

    name: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="OWNER/NAME")
    url: str
    commit: str = Field(pattern=r"^[0-9a-f]{40}$", description="on the first-parent chain of the default branch")
    further: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="a later commit of a repository to learn from"
    )
    licence: str = Field(description="SPDX id")
    language: str
    split: Split
    steps: int | None = Field(ge=0, description="steps of film; None: not known")
    further_steps: int | None = Field(None, ge=0, description="steps of film up to `further`; None: not known")

    @property
    def repo_id(self) -> str:
        """Its id in the warehouse, OWNER+NAME."""
        return self.name.replace("/", "+")


class Corpus(FrozenModel):
    """The whole file."""

    geometry: Screen
    repository: tuple[Repository, ...]

    def of(self, split: Split) -> tuple[Repository, ...]:
        """The repositories of one split, in the file's order."""
        return tuple(repository for repository in self.repository if repository.split == split)

    @property
    def digest(self) -> str:
        """12 hex digits over screen, commits, splits and steps: what the film is."""
        parts = [f"{r.name} {r.commit} {r.split} {r.steps}" for r in self.repository]
        text = "\n".join([f"{self.geometry.rows}x{self.geometry.cols}", *parts])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def read_corpus(path: Path = CORPUS) -> Corpus:
    """The corpus of a TOML file. Raises ConfigError naming what does not fit."""
    try:
        return Corpus.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def find_mirror(repository: Repository, folder: Path) -> Path:
    """The local clone of a repository. Raises ConfigError naming the places looked at."""
    owner, name = repository.name.split("/")
    stems = [folder / f"{owner}+{name}", folder / owner / name, folder / name]
    places = [place for stem in stems for place in (stem / "repo", stem, stem.with_name(stem.name + ".git"))]
    for place in places:
        if (place / "HEAD").is_file() or (place / ".git").exists():
            return place
    raise ConfigError(f"{folder}: no clone of {repository.name}; looked at {', '.join(map(str, places[1::3]))}")


def pin(origin: Location, repository: Repository, folder: Path) -> Path:
    """A bare repository whose HEAD is the pinned commit, its objects borrowed from ``origin``.

    Raises ConfigError when the commit is not there, SourceError when ``origin`` cannot be read.
    """
    source = opened(origin)
    pinned = folder / repository.repo_id

    def git(*arguments: str) -> int:
        return subprocess.run(["git", f"--git-dir={pinned}", *arguments], env=git_environment()).returncode

    pinned.mkdir(parents=True, exist_ok=True)
    git("init", "-q", "--bare", "--template=", f"--object-format={source.object_format}")
    (pinned / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (pinned / "objects" / "info" / "alternates").write_bytes(alternates_line(source.objects[0]))
    if git("cat-file", "-e", f"{repository.commit}^{{commit}}"):
        raise ConfigError(f"{repository.name}: commit {repository.commit} is not in {source.shown}; fetch it first")
    git("symbolic-ref", "HEAD", "refs/heads/pin")
    git("update-ref", "refs/heads/pin", repository.commit)
    return pinned


def further(corpus: Corpus) -> Corpus:
    """The corpus with longer histories to learn from."""
    longer = [
        repository.model_copy(update={"commit": repository.further, "steps": repository.further_steps})
        if repository.further
        else repository
        for repository in corpus.repository
    ]
    return corpus.model_copy(update={"repository": tuple(longer)})


def film(repository: Repository, config: HarvestConfig, folder: Path, mirrors: Path | None = None) -> Outcome:
    """Film one repository up to its pinned commit; nothing to do where that is done. Raises GitreelError."""
    named = str(find_mirror(repository, mirrors)) if mirrors else repository.url
    with cloned(parse_source(named), config.cache_folder, config.clone) as clone:
        pinned = pin(clone.repository, repository, folder)
        return harvest_repository(str(pinned), config, licence=repository.licence)


def warehouse_folder(geometry: Geometry, longer: bool = False) -> Path:
    """Where the corpus's film at one screen size lies."""
    return RUNS / f"{geometry}{'-further' if longer else ''}"


def own_geometry(corpus: Corpus) -> Geometry:
    """The screen size of the file."""
    return Geometry(corpus.geometry.rows, corpus.geometry.cols)


def film_all(
    corpus: Corpus,
    geometry: Geometry,
    mirrors: Path | None = None,
    root: Path | None = None,
    editor: Editor = "vim",
    motion: Motion = "jumps",
) -> list[str]:
    """Film the corpus and build its database; one line a repository on stdout.

    Returns what differs from the numbers in the file. Raises GitreelError.
    """
    target = root or warehouse_folder(geometry)
    replay = ReplayConfig(rows=geometry.rows, cols=geometry.cols, editor=editor, motion=motion)
    config = HarvestConfig(warehouse=str(target), replay=replay)
    wrong = []
    counted = (geometry, editor) == (own_geometry(corpus), "vim")  # what the file's steps hold for
    for repository in corpus.repository:
        outcome = film(repository, config, target.parent / "pinned" / target.name, mirrors)
        print(f"{repository.name}: {outcome.episodes} commits, {outcome.steps:,} steps, {repository.split}", flush=True)
        if counted and repository.steps is not None and outcome.steps != repository.steps:
            wrong.append(f"{repository.name}: {outcome.steps} steps, corpus.toml says {repository.steps}")
    warehouse.build(target)
    return wrong


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m figures.corpus", description="Film the pinned corpus.")
    parser.add_argument("--mirrors", type=Path, metavar="FOLDER", help="local clones; without it, the URLs are cloned")
    parser.add_argument("--geometry", metavar="ROWSxCOLS", help="screen size, cells; the corpus's own by default")
    parser.add_argument("--further", action="store_true", help="longer histories of the repositories to learn from")
    options = parser.parse_args(arguments)
    try:
        corpus = read_corpus()
        geometry = Geometry.parse(options.geometry) if options.geometry else own_geometry(corpus)
        if options.further:
            corpus = further(corpus)
        wrong = film_all(corpus, geometry, options.mirrors, warehouse_folder(geometry, options.further))
    except GitreelError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    for line in wrong:
        print(f"DIFFERENT {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
