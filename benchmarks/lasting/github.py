"""The simulated GitHub of a lasting harvest: repositories made by code, and what is wrong with some of them."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.crash import fill, make_history
from benchmarks.github_server import GitHubServer

# What is wrong with a repository -> its share of all, and the reason that the record must give. '' is a failure: the
# repository is not refused, because its fetch may succeed another time.
WRONG = {
    "licence": (0.02, "licence-refused"),
    "fork": (0.01, "fork"),
    "disabled": (0.005, "disabled"),
    "empty": (0.01, "empty"),
    "headless": (0.005, "empty"),  # GitHub lists a size, and git finds no commit
    "gone": (0.01, "not-found"),  # between the listing and the fetch
    "damaged": (0.002, ""),  # its objects are cut: git's server ends in the middle, at every try
}
BROKEN_ONCE = 0.01  # of repositories: their first fetch is answered with one of these, and the next one is served
GIT_FAULTS = (502, 503, 429)
API_FAULTS = (502, 500, 429)
COMMITS = (2, 3, 4)
LARGEST, LARGE = 1300, 300  # repositories of the first group, and of any other one
SMALLEST = 25  # repositories of a group: a flow run takes seconds to begin
PUSHED = 0.1  # of a group's repositories: these have a new commit when it is harvested again


class Group(NamedTuple):
    """Repositories that one flow run harvests, and the parameters that ask for them."""

    name: str
    members: list[str]
    parameters: dict[str, Any]


class SimulatedGitHub:
    """A GitHub server with its repositories, in groups. The same seed gives the same repositories and faults."""

    def __init__(self, folder: Path, repositories: int, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.random = random.Random(seed)
        self.hub = GitHubServer(folder)
        self._empty = folder / "git" / "empty.git"  # copied for each: git takes ten times as long to make one
        self.wrong: dict[str, str] = {}  # name -> what is wrong with it
        self.commits: dict[str, int] = {}
        self.pushed: dict[str, set[str]] = {}  # group -> those of its repositories that were pushed to last
        self._numbers: dict[str, int] = {}
        self.groups = [self._group(place, share) for place, share in enumerate(shares(repositories))]
        names = [name for group in self.groups for name in group.members]
        for number, name in enumerate(names):
            self._numbers[name] = number
            self.commits[name] = COMMITS[number % len(COMMITS)]
        for kind, (share, _) in WRONG.items():
            for name in self.random.sample(names, max(1, round(share * len(names)))):
                self.wrong.setdefault(name, kind)

    def make(self, threads: int = 2) -> None:
        """Make every repository and register it."""
        make_history(self._empty, 0, 0)
        with ThreadPoolExecutor(threads) as pool:
            places = list(pool.map(self._make, self._numbers))
        for name, place in zip(self._numbers, places, strict=True):
            self._add(name, place)
        for name in self._numbers:
            if self.random.random() < BROKEN_ONCE:
                self._break_once(name)

    def expected(self, name: str) -> str | None:
        """The reason that the record must give for this repository; '' for a failure, None where it is filmed."""
        kind = self.wrong.get(name)
        return None if kind is None else WRONG[kind][1]

    def record(self, group: Group) -> dict[str, str | None]:
        """The reasons of `expected` for what a group's harvest finds: a search shows no forks."""
        hidden = "fork" if "search" in group.parameters else ""
        return {name: self.expected(name) for name in group.members if self.wrong.get(name, "-") != hidden}

    def clonable(self, group: Group) -> list[str]:
        """A group's repositories that a harvest fetches: the others are refused for what the API says of them."""
        api = ("licence", "fork", "disabled", "empty")
        return [name for name in group.members if self.wrong.get(name) not in api]

    def number(self, name: str) -> int:
        """The seed of this repository's history."""
        return self.seed * 1_000_003 + self._numbers[name]

    def push(self, group: Group) -> None:
        """Give some of a group's repositories one more commit."""
        sound = [name for name in group.members if name not in self.wrong]
        self.pushed[group.name] = set(self.random.sample(sound, max(1, round(PUSHED * len(sound)))))
        for name in sorted(self.pushed[group.name]):
            self.commits[name] += 1
            before = self.hub.git_dirs[name]
            self.hub.git_dirs[name] = self._make(name)
            shutil.rmtree(before, ignore_errors=True)  # a fetch from it that is under way fails, and is tried again

    def trouble(self, group: Group) -> None:
        """Let some of the next requests for this group's listing fail or be limited, as GitHub does."""
        match = f"/users/{group.name}/repos" if "users" in group.parameters else "/search/repositories"
        match = "/api/v3/repos/" if "repositories" in group.parameters else match
        status = self.random.choice(API_FAULTS)
        headers = {"retry_after": "3"} if status == 429 else {}
        self.hub.fail(match, status, times=self.random.choice((1, 2)), **headers)

    def limit(self, group: Group, seconds: int) -> None:
        """Let GitHub ask to come back later than the harvest waits (its next request of this group's listing)."""
        match = f"/users/{group.name}/repos" if "users" in group.parameters else "/api/v3/"
        self.hub.fail(match, 403, body={"message": "API rate limit exceeded"}, retry_after=str(seconds))

    def _group(self, place: int, share: int) -> Group:
        owner = f"owner-{place:02d}"
        members = [f"{owner}/film-{number:04d}" for number in range(share)]
        way = ("search", "users", "users", "repositories")[place % 4 if place else 0]
        asked: dict[str, Any] = {"users": [owner]}
        if way == "search":
            asked = {"search": f"{owner}/film"}
        elif way == "repositories":
            asked = {"repositories": members}
        return Group(owner, members, asked)

    def _make(self, name: str) -> Path:
        number, commits = self._numbers[name], self.commits[name]
        place = self.folder / "git" / f"{number % 100:02d}" / f"{number:06d}-{commits}.git"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self._empty, place)
        if self.wrong.get(name) != "headless":
            fill(place, self.number(name), commits)
        if self.wrong.get(name) == "damaged":
            _cut(place)
        return place

    def _add(self, name: str, place: Path) -> None:
        kind = self.wrong.get(name)
        created = datetime(2015, 1, 1, tzinfo=UTC) + timedelta(hours=self._numbers[name])
        fields: dict[str, Any] = {"created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}"}
        if kind == "licence":
            fields["licence"] = "GPL-3.0"
        elif kind in ("fork", "disabled"):
            fields[kind] = True
        elif kind == "empty":
            fields["size"] = 0
        self.hub.add(name, None if kind == "gone" else place, **fields)

    def _break_once(self, name: str) -> None:
        status = self.random.choice(GIT_FAULTS)
        self.hub.fail(f"/{name}.git/info/refs", status)


def shares(repositories: int) -> Iterator[int]:
    """Sizes of groups: the first is larger than what GitHub answers of one search, where there are enough for that."""
    first = max(1, min(LARGEST, round(0.3 * repositories)))
    yield first
    left, each = repositories - first, min(LARGE, max(SMALLEST, round(0.05 * repositories)))
    while left > 0:
        yield min(each, left)
        left -= each


def failures(requests: list[tuple[str, str, int]]) -> Counter[str]:
    """What the server answered instead of the real thing: 'api faults', 'git faults' and 'rate limits'."""
    found: Counter[str] = Counter()
    for _, path, status in requests:
        if status in (403, 429):
            found["rate limits"] += 1
        elif status >= 500:
            found["api faults" if path.startswith("/api/") else "git faults"] += 1
    return found


def _cut(repository: Path) -> None:
    """Cut every object in half; small histories are not packed."""
    for made in [*repository.glob("objects/??/*"), *repository.glob("objects/pack/*.pack")]:
        content = made.read_bytes()
        made.chmod(0o644)
        made.write_bytes(content[: len(content) // 2])
