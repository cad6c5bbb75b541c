"""One repository, from its source to its stream in the warehouse: clone, filter, replay, store.

    harvest_repository("path/or/url", config) -> Outcome

What was filmed before is not filmed again: the stream's manifest says where to go on, and `pipeline.growth` when the
stream must be filmed anew. An interrupted harvest leaves whole episodes; running the same command again goes on behind
them and ends in the same bytes.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from pipeline import growth
from pipeline.crawl.clone import CloneConfig, Stopped, Waiting, cloned
from pipeline.crawl.licence import PERMISSIVE, licence_filter, licence_of
from pipeline.crawl.opt_out import RULE, opt_out_list, opted_out
from pipeline.crawl.source import LocalSource, RemoteSource, Source, checked_name, parse_source, same_source
from pipeline.git.checkout_rules import MISSING
from pipeline.git.environment import need_git
from pipeline.git.order import continued, order, root
from pipeline.growth import Present
from pipeline.messages import pasteable, printable
from pipeline.replay import replay
from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from pipeline.shards.writer import WITHDRAWN, StreamWriter, refuse
from pipeline.warehouse.checks import may_hold_film
from pipeline.warehouse.present import registered
from schema.config import FrozenModel, ReplayConfig
from schema.editors import EDITOR_VERSIONS
from schema.errors import ConfigError, GitreelError, SourceError
from schema.manifest import MANIFEST, TOOL_VERSION, Manifest, repository_of, stream_folder, stream_id

REPORT_SECONDS = 0.2
AUTHOR_KEY = "GITREEL_AUTHOR_KEY"  # environment variable; never a flag, a parameter or a stored value


class HarvestConfig(FrozenModel):
    """Everything about a harvest but its repositories."""

    warehouse: str = Field(default="warehouse", description="folder, or s3://bucket/prefix")
    cache: str = Field(default="", description="folder of clones; empty: ~/.cache/gitreel/clones")
    replay: ReplayConfig = Field(default_factory=lambda: ReplayConfig.model_validate({}), description="the film")
    clone: CloneConfig = CloneConfig()
    licences: tuple[str, ...] = Field(default=PERMISSIVE, description="SPDX ids that may be harvested")
    allow_unknown_licence: bool = Field(
        default=False, description="harvest URLs without a known licence too; one's own folders always are"
    )
    opt_out: tuple[str, ...] = Field(default=(), description="owners, or owner/name, that are never harvested")
    names: dict[str, str] = Field(
        default={}, description="repository as it is named -> its id in the warehouse, instead of the one it would have"
    )
    replace: tuple[str, ...] = Field(
        default=(), description="ids whose film another history of that name may replace, as after a new root"
    )
    token_origins: tuple[str, ...] = Field(
        default=("https://github.com",), description="where GITHUB_TOKEN may be sent"
    )

    @property
    def cache_folder(self) -> Path:
        """Where clones are kept."""
        if self.cache:
            return Path(self.cache)
        root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(root) / "gitreel" / "clones"


class Outcome(FrozenModel):
    """What became of one repository. Counts are of the whole stream; `new_*` of this run."""

    repo_id: str
    status: str = Field(description="'complete', 'partial', 'refused' or 'failed'")
    reason: str = Field(default="", description="why it was refused, failed, replaced or kept as it was, one line")
    replaced: bool = Field(default=False, description="its stream is filmed anew, and replaced once that is complete")
    episodes: int = 0
    steps: int = 0
    bytes: int = Field(default=0, description="bytes of its step files")
    new_episodes: int = 0
    new_steps: int = 0
    drops: dict[str, int] = Field(default={}, description="this run's, 'scope rule' -> count")
    seconds: float = Field(default=0.0, description="s, this run's, fetching included")


class Progress(NamedTuple):
    """Commits walked of all commits, and steps filmed, in this run."""

    done: int
    total: int
    steps: int


def harvest_repository(
    named: str,
    config: HarvestConfig,
    *,
    licence: str | None = None,
    token: str | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    notify: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Film what is new of one repository and store it. `licence`: its SPDX id where the caller knows it.

    `report` is told about progress a few times a second; `stop`, when true, ends the run
    within about a second: what was filmed is stored, a commit that is only half filmed is left to the next run.
    `notify` gets a line when a fetch waits. Raises SourceError, WarehouseError, ConfigError, CorruptError,
    SchemaVersionError, and Stopped when `stop` ended the run before anything was filmed: nothing has changed then.
    """
    started = time.monotonic()
    need_git()
    source = source_of(named, config)
    listed = (*config.opt_out, *opt_out_list(Store(config.warehouse)))
    by_name = opted_out(repository_of(source.repo_id), listed)
    if by_name or opted_out(parse_named(named, config).repo_id, listed):
        return _refused(source, config, RULE, anyones=by_name)
    token, waiting = _token_for(source, config, token), Waiting(stop, notify)
    with cloned(source, config.cache_folder, config.clone, token=token, waiting=waiting) as clone:
        licence = licence or licence_of(clone.repository, clone.tip)
        own = isinstance(source, LocalSource)
        keep, rule = licence_filter(licence, config.licences, allow_unknown=config.allow_unknown_licence)
        if not keep and not own:
            return _refused(source, config, rule, licence=licence, family=root(clone.repository, clone.tip))
        present = Present(named, clone, order(clone.repository, clone.tip))
        outcome = _film(present, config, licence, report, stop)
    return outcome.model_copy(update={"seconds": round(time.monotonic() - started, 3)})


def _film(
    present: Present,
    config: HarvestConfig,
    licence: str | None,
    report: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> Outcome:
    clone, drops = present.clone, Counter[str]()
    episodes = steps = 0
    writer = _writer(present, config, licence)
    try:
        known = growth.filmed(writer.store, writer.manifest)
        commits = continued(list(known), present.commits)
        assert commits is not None, "or the stream would be outdated"
        total = len(commits) - len(known)
        said = growth.behind(known, present)
        reported = 0.0
        for filmed in replay(
            clone.repository,
            clone.repo_id,
            config.replay,
            resume=writer.resume_point,
            tip=clone.tip,
            commits=commits,
            author_key=author_key(config.replay),
            stop=stop,
        ):
            writer.append(filmed)
            episodes += 1
            steps += filmed.episode.steps
            drops.update(f"{drop.scope} {drop.rule}" for drop in filmed.drops)
            if (now := time.monotonic()) - reported > REPORT_SECONDS:
                reported = now
                report(Progress(episodes, total, steps))
            if stop():
                break
        report(Progress(episodes, total, steps))
        if total and not episodes and stop():
            raise Stopped(f"repository {printable(clone.shown)}: stopped before anything was filmed")
        facts = {"source": writer.manifest.source, "licence": writer.manifest.licence} if said else {}
        manifest = writer.close("complete" if episodes == total else "partial", **facts)
    except BaseException:
        writer.abandon()
        raise
    return _outcome(manifest).model_copy(
        update={
            "new_episodes": episodes, "new_steps": steps, "drops": dict(drops),
            "replaced": writer.replacing, "reason": f"{writer.why}; it is filmed anew" if writer.why else said,
        }
    )  # fmt: skip


def _writer(present: Present, config: HarvestConfig, licence: str | None) -> StreamWriter:
    """The repository's stream, opened, or what replaces it. Raises SourceError where it is another repository's."""
    clone, store = present.clone, Store(config.warehouse)

    def outdated(stream: Manifest, in_place: bool) -> str:
        asked = not in_place or not {clone.repo_id, repository_of(clone.repo_id)}.isdisjoint(config.replace)
        return growth.outdated(store, stream, present, config.replay, replace=asked)

    return StreamWriter(
        store,
        clone.repo_id,
        config.replay,
        source=clone.shown,
        family=present.commits[0],  # the root of the first-parent chain: forks share it
        licence=licence,
        named=_named(present, config),
        outdated=outdated,
    )


def _named(present: Present, config: HarvestConfig) -> str:
    """The words by which a harvest names the repository, to be pasted; a URL comes without its credentials."""
    clone, name = present.clone, config.names.get(present.named)
    place = f"--repo {pasteable(present.named if clone.local else clone.shown)}"
    return place if name is None else f"{place} --name {pasteable(name)}"


def finished(named: Sequence[str], config: HarvestConfig) -> list[Outcome] | None:
    """The outcomes of a harvest that has nothing to do; None if there is, or may be, something.

    Answers in milliseconds for local folders of which every commit is in the stream, and in the database. A URL is
    never called finished, for it may have news; nor is a stream that lacks commits because files were missing, for they
    may have come. Raises what `harvest_repository` does.
    """
    outcomes = []
    store = Store(config.warehouse)
    sources = check_sources(named, config)
    if any(isinstance(source, RemoteSource) for source in sources.values()) or not registered(store):
        return None
    for text, source in sources.items():
        with cloned(source, config.cache_folder, config.clone) as clone:
            manifest = load(store, f"{stream_folder(clone.repo_id)}/{MANIFEST}")
            if manifest is None or manifest.status != "complete" or manifest.config != config.replay:
                return None
            present = Present(text, clone, order(clone.repository, clone.tip))
            known = growth.filmed(store, manifest)
            if manifest.tool_version != TOOL_VERSION or MISSING in known.values():
                return None
            if not known.keys() >= set(present.commits):
                return None
            outcomes.append(_outcome(manifest).model_copy(update={"reason": growth.behind(known, present)}))
    return outcomes


def _outcome(manifest: Manifest) -> Outcome:
    return Outcome(
        repo_id=manifest.repo_id,
        status=manifest.status,
        reason=manifest.reason or "",
        episodes=manifest.episodes,
        steps=manifest.steps,
        bytes=sum(shard.files["steps"].bytes for shard in manifest.shards if "steps" in shard.files),
    )


def _refused(
    source: Source,
    config: HarvestConfig,
    rule: str,
    *,
    licence: str | None = None,
    family: str | None = None,
    anyones: bool = False,
) -> Outcome:
    _refuse(config, source.repo_id, rule, source=source.shown, family=family, licence=licence, anyones=anyones)
    return Outcome(repo_id=source.repo_id, status="refused", reason=rule, drops={f"repository {rule}": 1})


def _refuse(config: HarvestConfig, repo_id: str, rule: str, **facts: Any) -> None:
    """Refuse a repository's film; one that is withdrawn goes in every editor. Raises as `refuse` does."""
    refuse(config.warehouse, repo_id, config.replay, rule, **facts)
    store = Store(config.warehouse)
    for editor in EDITOR_VERSIONS if rule in WITHDRAWN else ():
        other = stream_id(repository_of(repo_id), editor)
        if other != repo_id and (stream := load(store, f"{stream_folder(other)}/{MANIFEST}")) is not None:
            refuse(store, other, stream.config, rule, **facts)


def refuse_found(repo_id: str, rule: str, config: HarvestConfig, *, source: str = "") -> Outcome:
    """Register a repository that was found at `source` and is not filmed; 'failed' where that cannot be done."""
    repo_id = stream_id(repo_id, config.replay.editor)
    try:
        _refuse(config, repo_id, rule, source=source)
    except GitreelError as error:  # its stream is being written, say: no reason to film no other one
        return Outcome(repo_id=repo_id, status="failed", reason=str(error))
    return Outcome(repo_id=repo_id, status="refused", reason=rule, drops={f"repository {rule}": 1})


def parse_named(named: str, config: HarvestConfig) -> Source:
    """The source that `named` is, under the id it has by itself. Raises SourceError."""
    return parse_source(named, protocols=config.clone.protocols, http_hosts=config.clone.http_hosts)


def source_of(named: str, config: HarvestConfig) -> Source:
    """The source that `named` is, under the id that the config gives its film. Raises SourceError, ConfigError."""
    source, name = parse_named(named, config), config.names.get(named)
    repository = source.repo_id if name is None else checked_name(name)
    return source._replace(repo_id=stream_id(repository, config.replay.editor))


def check_sources(named: Sequence[str], config: HarvestConfig) -> dict[str, Source]:
    """The source of every repository named, before any work; one that is named twice comes once.

    Raises SourceError (none, malformed, or two of one name), ConfigError (no git, a name that is none), WarehouseError
    (no such place, or a folder of other things).
    """
    need_git()
    if not named:
        raise SourceError("no repository named; pass one: python -m flows.harvest --repo PATH_OR_URL")
    found: dict[str, tuple[str, Source]] = {}
    for text in named:
        source = source_of(text, config)
        first, other = found.setdefault(source.repo_id, (text, source))
        if not same_source(other, source):
            raise SourceError(
                f"repositories {printable(first)} and {printable(text)} would both be called {source.repo_id!r}; "
                f"give one of them another name: --repo {printable(text)} --name NAME"
            )
    may_hold_film(Store(config.warehouse))
    return dict(found.values())


def author_setting() -> dict[str, str]:
    """With GITREEL_AUTHOR_KEY set, author ids are stored, hashed with it; its own hash becomes part of the settings."""
    key = os.environ.get(AUTHOR_KEY, "")
    return {"author_key_hash": hashlib.sha256(key.encode()).hexdigest()} if key else {}


def author_key(replay: ReplayConfig) -> bytes | None:
    """The key that hashes author ids, from the environment; None when the settings name none. Raises ConfigError."""
    if replay.author_key_hash is None:
        return None
    key = os.environ.get(AUTHOR_KEY, "").encode()
    if not key:
        raise ConfigError(f"{AUTHOR_KEY}: not set, and the settings hash author ids; set it to the same key as before")
    return key


def _token_for(source: Source, config: HarvestConfig, token: str | None) -> str | None:
    """The token, for those origins alone that it was meant for."""
    if isinstance(source, LocalSource) or token is None:
        return None
    allowed = any(source.url.startswith(origin.rstrip("/") + "/") for origin in config.token_origins)
    return token if allowed else None
