"""GitHub's REST API: PyGithub's requests, our own waiting for rate limits, and a cache of answers.

Every answer is kept with its ETag, so that asking again costs nothing when nothing changed (a 304 is not counted
against the limit). Waiting is shown; a wait longer than `max_wait_seconds` raises RateLimitedError with the moment to
come back, so that a scheduler can do so instead of a sleeping worker.

    status        what it means                          what is done
    200, 304      an answer, or the one we have          returned
    301           renamed                                followed; the answer has the new name
    401           the token is refused                   ConfigError
    403, 429      a rate limit, primary or secondary     waited for, or RateLimitedError
    403           else: not for this token               RefusedSource('forbidden')
    404, 410      gone or private                        RefusedSource('not-found')
    409           empty                                  RefusedSource('empty')
    422           a query GitHub does not understand     ConfigError
    451           blocked for legal reasons              RefusedSource('blocked')
    5xx, none     a fault on the way                     tried again, then FetchError
"""

import hashlib
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import requests
from github import Auth, Github
from github.GithubException import GithubException
from pydantic import Field

from pipeline.crawl.clone import FetchError
from pipeline.crawl.source import RefusedSource
from schema.config import FrozenModel
from schema.errors import ConfigError, SourceError

API = "https://api.github.com"
# Owners that a company manages have its short name behind a '_': 'mona_acme'.
OWNER = r"[A-Za-z0-9_-]+"
NAME = rf"{OWNER}/[A-Za-z0-9._-]+"
SECONDARY_WAIT = 60.0  # s; what GitHub asks for when a secondary limit names no time
TRIES = 5
KEPT_FIELDS = (
    "full_name", "clone_url", "license", "size", "stargazers_count", "language", "fork", "archived", "disabled",
    "private", "created_at", "pushed_at", "id",
)  # fmt: skip


class RateLimitedError(SourceError):
    """GitHub asks to come back later than we may wait here; `resets_at` is in seconds since 1970."""

    def __init__(self, message: str, resets_at: float) -> None:
        super().__init__(message)
        self.resets_at = resets_at

    def __reduce__(self) -> tuple[type["RateLimitedError"], tuple[str, float]]:
        return type(self), (str(self), self.resets_at)


class ApiConfig(FrozenModel):
    """Where GitHub is, and how long to wait for it."""

    base_url: str = Field(default=API, description="GitHub Enterprise: https://HOST/api/v3")
    max_wait_seconds: float = Field(default=900.0, ge=0, description="s; a longer rate limit is handed on")
    timeout_seconds: int = Field(default=15, gt=0, description="s, one request; GitHub itself gives up after 10")
    backoff_seconds: float = Field(default=1.0, ge=0, description="s before the second try; doubles")

    @property
    def clone_origin(self) -> str:
        """Where its repositories are cloned from: where the token may be sent."""
        match = re.fullmatch(r"(https?://[^/]+)(/.*)?", self.base_url)
        if match is None:
            raise ConfigError(f"GitHub address {self.base_url!r}: write {API} or https://HOST/api/v3")
        return "https://github.com" if match[1] == API else match[1]


class Found(FrozenModel):
    """One repository as GitHub describes it."""

    name: str = Field(description="owner/name, its present one")
    clone_url: str
    licence: str | None = Field(description="SPDX id; None if GitHub does not know it")
    size_kb: int
    stars: int
    language: str | None
    fork: bool
    archived: bool
    disabled: bool
    created_at: str
    pushed_at: str | None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Found":
        """From the API's JSON."""
        licence = (fields.get("license") or {}).get("spdx_id")
        return cls(
            name=fields["full_name"],
            clone_url=fields["clone_url"],
            licence=None if licence in (None, "NOASSERTION") else licence,
            size_kb=fields["size"],
            stars=fields["stargazers_count"],
            language=fields["language"],
            fork=fields["fork"],
            archived=fields.get("archived", False),
            disabled=fields.get("disabled", False),
            created_at=fields["created_at"],
            pushed_at=fields.get("pushed_at"),
        )


class Answer(NamedTuple):
    """One answer: its JSON, the path of the next page, and whether it came from memory (304)."""

    data: Any
    next_path: str | None
    unchanged: bool


class Client:
    """Asks GitHub. `notify` is called with one line before every wait; answers are cached in the folder `memory`."""

    def __init__(
        self,
        config: ApiConfig,
        memory: Path,
        *,
        token: str | None = None,
        notify: Callable[[str], None] = lambda line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config, self.memory, self._notify, self._sleep = config, memory, notify, sleep
        _ = config.clone_origin  # raises ConfigError for what is no address
        try:
            github = Github(
                auth=Auth.Token(token) if token else None,
                base_url=config.base_url.rstrip("/"),
                timeout=config.timeout_seconds,
                retry=None,
                per_page=100,
                seconds_between_requests=0.0,
                user_agent="gitreel",
            )
        except AssertionError as error:
            raise ConfigError(f"GitHub address {config.base_url!r}: {error}; write https://HOST/api/v3") from None
        self._requester = github.requester
        logging.getLogger("github.Requester").setLevel(logging.WARNING)  # it announces every renamed repository
        self._prefix = re.sub(r"^https?://[^/]+", "", config.base_url.rstrip("/"))
        self._token = token
        self.asked = 0

    def repository(self, name: str) -> Found:
        """One repository by its name, old or new. Raises RefusedSource, RateLimitedError, FetchError, ConfigError."""
        if not re.fullmatch(NAME, name) or name.split("/")[1] in (".", ".."):
            raise SourceError(f"GitHub repository {name!r}: write owner/name")
        return Found.of(self.get(f"/repos/{name}", {}, name).data)

    def get(self, path: str, parameters: Mapping[str, str | int], what: str) -> Answer:
        """GET `path` (below the API's address). Raises as `repository` does."""
        place = self._place(path, parameters)
        known = _read(place)
        headers = {"If-None-Match": known["etag"]} if known and known.get("etag") else {}
        faults = limits = 0
        while True:
            self.asked += 1
            try:
                found, data = self._requester.requestJsonAndCheck("GET", path, dict(parameters), headers)
            except GithubException as error:
                if _limited(error):
                    limits += 1
                    wait, why = self._limit(error, what, limits), "rate limit"
                else:
                    faults += 1
                    wait, why = self._judge(error, what, faults), f"status {error.status}"
            except (requests.RequestException, OSError, RuntimeError) as error:
                faults += 1
                why = f"no answer ({type(error).__name__})"
                wait = self._fault(what, why, faults)
            else:
                if data is None and known:  # 304
                    return Answer(known["data"], known["next"], True)
                answer = Answer(_slim(data), self._next(found.get("link", "")), False)
                _write(place, {"etag": found.get("etag"), "data": answer.data, "next": answer.next_path})
                return answer
            self._notify(f"GitHub {what}: {why}; waiting {wait:.0f} s")
            self._sleep(wait)

    def _judge(self, error: GithubException, what: str, failures: int) -> float:
        """Seconds to wait before trying again, or raise."""
        status = error.status
        if status == 401:
            raise ConfigError(
                "GitHub refuses the token (401) of GITHUB_TOKEN or of Prefect's Secret block 'github-token'; "
                "make a new one at https://github.com/settings/tokens, or go on without"
            ) from None
        if status >= 500:
            return self._fault(what, f"status {status}", failures)
        rule = {403: "forbidden", 404: "not-found", 410: "not-found", 409: "empty", 451: "blocked"}.get(status)
        if rule:
            raise RefusedSource(f"GitHub {what}: {rule} ({status}); check: https://github.com/{what}", rule) from None
        raise ConfigError(f"GitHub {what}: status {status}: {_message(error)[:200]!r}; check the query") from None

    def _limit(self, error: GithubException, what: str, times: int) -> float:
        headers = _headers(error)
        if (after := str(headers.get("retry-after", ""))).isdigit():
            wait = float(after)
        elif headers.get("x-ratelimit-remaining") == "0" and str(headers.get("x-ratelimit-reset", "")).isdigit():
            wait = max(0.0, float(headers["x-ratelimit-reset"]) - time.time()) + 1.0
        else:
            wait = SECONDARY_WAIT * 2.0 ** (times - 1)
        if wait > self.config.max_wait_seconds or times > TRIES:
            raise RateLimitedError(
                f"GitHub {what}: rate limit, free again in {wait:.0f} s; run it again then, or set GITHUB_TOKEN",
                time.time() + wait,
            ) from None
        return wait

    def _fault(self, what: str, why: str, failures: int) -> float:
        if failures >= TRIES:
            raise FetchError(f"GitHub {what}: {why} after {failures} tries; try again later") from None
        return self.config.backoff_seconds * 2.0 ** (failures - 1) * random.uniform(0.8, 1.2)

    def _next(self, link: str) -> str | None:
        """The next page's path below the API's address, from a Link header."""
        match = re.search(r'<https?://[^/>]+([^>]*)>;\s*rel="next"', link)
        return match[1].removeprefix(self._prefix) if match else None

    def _place(self, path: str, parameters: Mapping[str, str | int]) -> Path:
        # answers depend on who asks: the token is part of the name, as a hash of everything together
        key = json.dumps([self.config.base_url, path, sorted(parameters.items()), self._token])
        return self.memory / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _limited(error: GithubException) -> bool:
    if error.status == 403:
        low = _message(error).lower()
        return "rate limit" in low or "abuse" in low or "retry-after" in _headers(error)
    return error.status == 429


def _message(error: GithubException) -> str:
    return str(error.data.get("message", "") if isinstance(error.data, dict) else error.data or "")


def _headers(error: GithubException) -> dict[str, str]:
    return {str(key).lower(): str(value) for key, value in (error.headers or {}).items()}


def _slim(data: Any) -> Any:
    """Only what we read: a page of 100 repositories shrinks from 500 kB to 40."""
    if isinstance(data, list):
        return [_slim(item) for item in data]
    if isinstance(data, dict) and "items" in data:
        return {"total_count": data["total_count"], "incomplete_results": data.get("incomplete_results", False),
                "items": _slim(data["items"])}  # fmt: skip
    if isinstance(data, dict) and "full_name" in data:
        return {key: data[key] for key in KEPT_FIELDS if key in data}
    return data


def _read(place: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"data", "next"} <= found.keys() else None


def _write(place: Path, value: Mapping[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    staged = place.with_suffix(".tmp")
    staged.write_text(json.dumps(value), encoding="utf-8")
    staged.replace(place)
