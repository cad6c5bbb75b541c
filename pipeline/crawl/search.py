"""Which repositories to harvest: by search, by owner, by list. GitHub's 1,000 results a query are passed by splitting.

    find(GitHubQuery(search="language:python stars:>100", limit=5000), client) -> Finding

A query with more than 1,000 results is asked again for each half of its creation dates, until every window fits; a
query that names creation dates itself is split by stars instead. Finished windows are remembered: a stopped search
goes on where it was, and a search repeated within `refresh_hours` asks next to nothing.
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field

from pipeline.crawl.github import NAME, OWNER, Client, Found
from pipeline.crawl.licence import PERMISSIVE, licence_filter
from pipeline.crawl.listing import read_list
from pipeline.crawl.opt_out import RULE, opted_out
from pipeline.crawl.source import RefusedSource
from pipeline.messages import printable
from schema.config import FrozenModel
from schema.errors import ConfigError, SourceError

CAP = 1000  # results GitHub gives for one query
FIRST = datetime(2007, 10, 1, tzinfo=UTC)  # before the oldest repository
SPAN = 1 << 30  # s, until 2041: windows have the same borders on every day, so that those finished yesterday are known
DAY = 86_400
MOST_STARS = (1 << 20) - 1
# Small, permissive, of five languages: what is harvested when nothing is named.
DEFAULT = (
    "pallets/itsdangerous", "antirez/kilo", "kelseyhightower/envconfig", "sindresorhus/slugify", "sharkdp/hexyl",
)  # fmt: skip


class GitHubQuery(FrozenModel):
    """What to look for on GitHub. All parts add up; without any, DEFAULT is taken."""

    search: str = Field(default="", max_length=256, description="GitHub's own search syntax")
    languages: tuple[str, ...] = Field(default=(), description="any of these; empty: all")
    min_stars: int | None = Field(default=None, ge=0, description="stars")
    max_stars: int | None = Field(default=None, ge=0, description="stars")
    pushed_since: date | None = Field(default=None, description="pushed to on or after this day")
    organisations: tuple[str, ...] = Field(default=(), description="all repositories of these")
    users: tuple[str, ...] = Field(default=(), description="all repositories of these")
    repositories: tuple[str, ...] = Field(default=(), description="owner/name, or their GitHub URLs")
    repositories_file: str = Field(default="", description="file with one owner/name a line")
    max_size_kb: int = Field(default=1 << 20, gt=0, description="kB; larger repositories are refused")
    forks: bool = Field(default=False, description="forks too")
    archived: bool = Field(default=True, description="archived ones too")
    licences: tuple[str, ...] = Field(default=PERMISSIVE, description="SPDX ids")
    allow_unknown_licence: bool = Field(default=False, description="those without a known licence too")
    opt_out: tuple[str, ...] = Field(default=(), description="owners, or owner/name, never harvested")
    limit: int = Field(default=100, gt=0, description="repositories, at most")
    refresh_hours: float = Field(default=24.0, ge=0, description="h; younger search results are used again")

    @property
    def searches(self) -> bool:
        """Whether anything asks for GitHub's search."""
        named = (self.search, self.languages, self.min_stars, self.max_stars, self.pushed_since)
        return any(part not in ("", (), None) for part in named)


class Finding(NamedTuple):
    """Repositories to film, in order, and (name, rule) of those that are not."""

    kept: list[Found]
    refused: list[tuple[str, str]]


class Window(NamedTuple):
    """Part of a query: creation moments or stars from `low` to `high`, both included."""

    kind: str  # 'created' or 'stars'
    low: int
    high: int

    @property
    def qualifier(self) -> str:
        """'created:2020-01-01T00:00:00Z..2020-12-31T23:59:59Z' or 'stars:10..99'."""
        if self.kind == "stars":
            return f"stars:{self.low}..{self.high}"
        return f"created:{_moment(self.low)}..{_moment(self.high)}"

    def halves(self) -> tuple["Window", "Window"] | None:
        """Both halves; None when it cannot be split."""
        if self.low >= self.high:
            return None
        middle = (self.low + self.high) // 2
        return self._replace(high=middle), self._replace(low=middle + 1)


def find(query: GitHubQuery, client: Client) -> Finding:
    """Everything that the query names, each repository once, at most `limit`.

    Raises SourceError (a name that is none), ConfigError (a query GitHub does not understand, a refused token, an
    unreadable file), RateLimitedError and FetchError; windows finished before are remembered.
    """
    kept: dict[str, Found] = {}
    refused: dict[str, str] = {}
    for name, found in _candidates(query, client):
        if isinstance(found, str):
            refused.setdefault(name, found)
            continue
        keep, rule = found_filter(found, query)
        if not keep:
            refused.setdefault(found.name, rule)
        elif found.name not in kept:
            kept[found.name] = found
            if len(kept) >= query.limit:
                break
    return Finding(list(kept.values()), list(refused.items()))


def found_filter(found: Found, query: GitHubQuery) -> tuple[bool, str]:
    """Reasons: 'opt-out', 'disabled', 'empty', 'fork', 'archived', 'too-large', and those of `licence_filter`."""
    if opted_out(found.name, query.opt_out):
        return False, RULE
    if found.disabled:
        return False, "disabled"
    if found.size_kb == 0:
        return False, "empty"
    if found.fork and not query.forks:
        return False, "fork"
    if found.archived and not query.archived:
        return False, "archived"
    if found.size_kb > query.max_size_kb:
        return False, "too-large"
    return licence_filter(found.licence, query.licences, allow_unknown=query.allow_unknown_licence)


def named_repositories(query: GitHubQuery, origin: str = "https://github.com") -> list[str]:
    """owner/name of every repository listed; DEFAULT when the query names nothing at all.

    They may be URLs of `origin`. Raises ConfigError, and SourceError for the first that is neither.
    """
    names = list(query.repositories)
    if query.repositories_file:
        names += read_list(query.repositories_file, "repositories_file", hash_in_names=False)
    names = [github_name(name, origin) for name in names if name.strip()]
    if not names and not (query.searches or query.organisations or query.users):
        names = list(DEFAULT)
    for owner in (*query.organisations, *query.users):
        if not re.fullmatch(OWNER, owner):
            raise SourceError(f"GitHub owner {printable(owner)}: letters, digits, '-' and '_' alone")
    return list(dict.fromkeys(names))


def github_name(text: str, origin: str) -> str:
    """owner/name of what people copy: that itself, or an address of the server at `origin`. Raises SourceError.

    >>> github_name("git@github.com:pallets/click.git", "https://github.com")
    'pallets/click'
    """
    host = re.escape(urlsplit(origin).netloc)
    address = rf"(?:(?:https?://|(?:ssh://)?git@)?(?:www\.)?{host}[/:])?({NAME})/?"
    match = re.fullmatch(address, text.strip(), re.IGNORECASE)
    name = match[1].removesuffix(".git") if match else ""
    if name.partition("/")[2] in ("", ".", ".."):
        raise SourceError(f"GitHub repository {printable(text)}: write owner/name, or {origin}/owner/name")
    return name


def search_texts(query: GitHubQuery) -> list[str]:
    """GitHub search queries, one a language, before they are split."""
    if not query.searches:
        return []
    parts = [query.search] if query.search else []
    if query.min_stars is not None or query.max_stars is not None:
        high = "*" if query.max_stars is None else query.max_stars
        parts.append(f"stars:{query.min_stars or 0}..{high}")
    if query.pushed_since:
        parts.append(f"pushed:>={query.pushed_since.isoformat()}")
    if query.forks and "fork:" not in query.search:
        parts.append("fork:true")
    if not query.archived and "archived:" not in query.search:
        parts.append("archived:false")
    if len(query.licences) == 1 and "license:" not in query.search:
        parts.append(f"license:{query.licences[0].lower()}")
    base = " ".join(parts)
    languages = [f'language:"{name}"' if " " in name else f"language:{name}" for name in query.languages]
    return [f"{base} {language}".strip() for language in languages] or [base]


def _candidates(query: GitHubQuery, client: Client) -> Iterator[tuple[str, Found | str]]:
    """(name, description or the rule why there is none)."""
    for name in named_repositories(query, client.config.clone_origin):
        if opted_out(name, query.opt_out):
            yield name, RULE
            continue
        try:
            yield name, client.repository(name)
        except RefusedSource as gone:
            yield name, gone.rule
    for kind, owners in (("orgs", query.organisations), ("users", query.users)):
        for owner in owners:
            path: str | None = f"/{kind}/{owner}/repos?per_page=100&page=1"
            while path:
                try:
                    answer = client.get(*_split(path), owner)
                except RefusedSource as gone:
                    yield f"{owner}/*", gone.rule
                    break
                for fields in answer.data:
                    found = Found.of(fields)
                    yield found.name, found
                path = answer.next_path
    for text in search_texts(query):
        yield from ((found.name, found) for found in search(text, client, query.refresh_hours))


def search(text: str, client: Client, refresh_hours: float = 24.0) -> Iterator[Found]:
    """Every result of a search, beyond 1,000 too, oldest window first. Raises as `find` does."""
    cursor = _Cursor(client.memory / "windows" / f"{_digest(text)}.json", refresh_hours)
    pending = [parse_window(text)]
    while pending:
        window = pending.pop()
        known = cursor.get(window)
        if known is not None:
            yield from known
            continue
        query = f"{re.sub(r'(^| )stars:[^ ]+', '', text) if window.kind == 'stars' else text} {window.qualifier}"
        page = client.get("/search/repositories", {"q": query.strip(), "per_page": 100, "page": 1}, "search")
        halves = window.halves()
        # GitHub gave up early: the query is asked again in parts, of a day at least, lest a slow hour splits for ever
        incomplete = page.data["incomplete_results"] and window.high - window.low > DAY
        if halves and (page.data["total_count"] > CAP or incomplete):
            pending += [halves[1], halves[0]]
            continue
        results = [Found.of(fields) for fields in page.data["items"]]
        while page.next_path:
            page = client.get(*_split(page.next_path), "search")
            results += [Found.of(fields) for fields in page.data["items"]]
        cursor.put(window, results)
        yield from results


class _Cursor:
    """Finished windows of one query, with the moment they were finished."""

    def __init__(self, place: Path, refresh_hours: float) -> None:
        self.place, self.since = place, time.time() - refresh_hours * 3600
        try:
            self.windows: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.windows = {}

    def get(self, window: Window) -> list[Found] | None:
        known = self.windows.get(window.qualifier)
        if not known or known["at"] < self.since:
            return None
        return [Found.model_validate(fields) for fields in known["found"]]

    def put(self, window: Window, found: list[Found]) -> None:
        self.windows[window.qualifier] = {"at": time.time(), "found": [one.model_dump() for one in found]}
        self.place.parent.mkdir(parents=True, exist_ok=True)
        staged = self.place.with_suffix(".tmp")
        staged.write_text(json.dumps(self.windows), encoding="utf-8")
        staged.replace(self.place)


def parse_window(text: str) -> Window:
    """All of a query. Raises ConfigError for stars that cannot be split."""
    if re.search(r"(?:^| )created:", text):
        return Window("stars", *_stars(text))
    return Window("created", int(FIRST.timestamp()), int(FIRST.timestamp()) + SPAN - 1)


def _stars(text: str) -> tuple[int, int]:
    """The least and the most stars that a query asks for, in all its `stars:`."""
    low, high = 0, MOST_STARS
    for term in re.findall(r"(?:^| )stars:([^ ]+)", text):
        parts = re.fullmatch(r"(?:(\d+)|\*)\.\.(?:(\d+)|\*)|(>=|>|<=|<|)(\d+)", term)
        if parts is None:
            raise ConfigError(f"search: stars:{term}: write stars:>=10, stars:<500 or stars:10..499")
        first, last, sign, number = parts[1], parts[2], parts[3], int(parts[4] or 0)
        if sign is None:
            least, most = int(first or 0), int(last or MOST_STARS)
        else:
            least = {">": number + 1, "<": 0, "<=": 0}.get(sign, number)
            most = {"<": number - 1, ">": MOST_STARS, ">=": MOST_STARS}.get(sign, number)
        low, high = max(low, least), min(high, most)
    return low, high


def _split(path: str) -> tuple[str, dict[str, str | int]]:
    name, _, query = path.partition("?")
    return name, dict(parse_qsl(query))


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
