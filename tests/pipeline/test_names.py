"""One name, several URLs: hosts, subgroups, mirrors, refusals, and two processes at once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.github_server import GitHubServer
from pipeline import growth
from pipeline.crawl.source import checked_name
from pipeline.harvester import HarvestConfig, check_sources, harvest_repository, refuse_found
from pipeline.shards.manifest import load, same_place
from pipeline.shards.store import Store
from schema.errors import ConfigError, SourceError, WarehouseError
from schema.manifest import MANIFEST, Manifest, stream_folder
from tests.repositories import Repository

ROOT = Path(__file__).parents[2]
MIT = (ROOT / "LICENSE").read_bytes()


@pytest.fixture
def config(tmp_path: Path) -> HarvestConfig:
    return HarvestConfig(warehouse=str(tmp_path / "warehouse"), cache=str(tmp_path / "cache"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[GitHubServer]:
    with GitHubServer(tmp_path) as server:
        yield server


@pytest.fixture
def repository(tmp_path: Path, hub: GitHubServer) -> Repository:
    made = Repository(tmp_path / "one")
    made.commit("Root", {"a": b"one\n", "LICENSE": MIT})
    hub.git_dirs["o/film"] = made.path
    return made


def stream(config: HarvestConfig, repo_id: str = "o/film") -> Manifest:
    found = load(Store(config.warehouse), f"{stream_folder(repo_id)}/{MANIFEST}")
    assert found is not None
    return found


def commits(config: HarvestConfig, repo_id: str = "o/film") -> list[str]:
    return list(growth.filmed(Store(config.warehouse), stream(config, repo_id)))


def elsewhere(url: str) -> str:
    """The same server under its other name: another host, as far as anybody can tell."""
    return url.replace("127.0.0.1", "localhost")


@pytest.fixture
def stranger(tmp_path: Path, hub: GitHubServer) -> Repository:
    made = Repository(tmp_path / "two")
    made.commit("Another root", {"o": b"1\n", "LICENSE": MIT})
    hub.git_dirs["group/o/film"] = made.path
    return made


def test_the_same_subgroup_in_two_groups(
    repository: Repository, stranger: Repository, hub: GitHubServer, config: HarvestConfig
) -> None:
    harvest_repository(hub.url("o/film"), config)
    with pytest.raises(SourceError) as refused:
        harvest_repository(hub.url("group/o/film"), config)
    assert all(f"'{url}'" in str(refused.value) or url in str(refused.value) for url in (
        hub.url("o/film"), hub.url("group/o/film"),
    ))  # fmt: skip
    assert commits(config) == [repository.head]
    named = config.model_copy(update={"names": {hub.url("group/o/film"): "group+o/film"}})
    assert harvest_repository(hub.url("group/o/film"), named).repo_id == "group+o/film"


def test_a_mirror_that_is_ahead_or_behind_goes_on(
    repository: Repository, hub: GitHubServer, config: HarvestConfig
) -> None:
    harvest_repository(hub.url("o/film"), config)
    repository.commit("Second", {"a": b"two\n"})
    ahead = harvest_repository(elsewhere(hub.url("o/film")), config)
    assert (ahead.new_episodes, ahead.replaced, stream(config).source) == (1, False, elsewhere(hub.url("o/film")))
    repository.move(commits(config)[0])
    back = harvest_repository(hub.url("o/film"), config)
    assert (back.new_episodes, back.replaced, stream(config).episodes) == (0, False, 2)


def test_a_fork_of_one_name_on_another_host_is_refused_and_a_rewritten_origin_is_not(
    repository: Repository, hub: GitHubServer, config: HarvestConfig
) -> None:
    repository.commit("Second", {"a": b"two\n"})
    harvest_repository(hub.url("o/film"), config)
    root, second = commits(config)
    repository.commit("Parted", {"a": b"parted\n"}, parents=[root])
    with pytest.raises(SourceError, match="the two histories have parted; film this one under a name of its own"):
        harvest_repository(elsewhere(hub.url("o/film")), config)
    assert commits(config) == [root, second]
    assert harvest_repository(hub.url("o/film"), config).replaced


def test_a_folder_and_a_url_of_one_name_are_two_once_they_part(
    repository: Repository, hub: GitHubServer, config: HarvestConfig, tmp_path: Path
) -> None:
    folder = Repository(tmp_path / "o" / "repo")
    hub.git_dirs["o/repo"] = repository.path
    assert folder.commit("Root", {"a": b"one\n", "LICENSE": MIT}) == repository.head
    folder.commit("Local", {"l": b"1\n"})
    assert harvest_repository(str(folder.path), config).repo_id == "o/repo"
    assert harvest_repository(hub.url("o/repo"), config).new_episodes == 0
    repository.commit("Pushed", {"a": b"two\n"})
    with pytest.raises(SourceError, match="have parted"):
        harvest_repository(hub.url("o/repo"), config)


class TestRefusals:
    """What is refused keeps its hands off another repository's film, and off the facts of its own."""

    def test_a_stranger_without_a_licence_leaves_the_film_as_it_is(
        self, repository: Repository, hub: GitHubServer, config: HarvestConfig, tmp_path: Path
    ) -> None:
        harvest_repository(hub.url("o/film"), config)
        before = stream(config)
        bare = Repository(tmp_path / "three")
        bare.commit("No licence", {"o": b"1\n"})
        hub.git_dirs["group/o/film"] = hub.git_dirs["local"] = bare.path
        for url in (hub.url("group/o/film"), elsewhere(hub.url("group/o/film"))):
            assert harvest_repository(url, config).reason == "licence-unknown"
            assert stream(config) == before

    def test_a_licence_that_was_taken_back_keeps_source_and_family(
        self, repository: Repository, hub: GitHubServer, config: HarvestConfig
    ) -> None:
        harvest_repository(hub.url("o/film"), config)
        before = stream(config)
        repository.commit("Close it", {"LICENSE": None})
        assert harvest_repository(hub.url("o/film"), config).reason == "licence-unknown"
        after = stream(config)
        assert (after.status, after.reason, after.source, after.family, after.steps) == (
            "partial", "licence-unknown", before.source, before.family, before.steps,
        )  # fmt: skip

    @pytest.mark.parametrize("rule", ["not-found", "blocked", "too-large"])
    def test_a_crawl_that_finds_another_of_that_name_gone_leaves_the_film(
        self, repository: Repository, hub: GitHubServer, config: HarvestConfig, rule: str
    ) -> None:
        harvest_repository(hub.url("o/film"), config)
        before = stream(config)
        assert refuse_found("o/film", rule, config, source="https://github.com/o/film").status == "refused"
        assert stream(config) == before
        refuse_found("o/film", rule, config, source=hub.url("o/film").removesuffix(".git"))
        assert stream(config).reason == rule

    def test_an_owner_who_opts_out_does_so_under_every_host(
        self, repository: Repository, hub: GitHubServer, config: HarvestConfig
    ) -> None:
        harvest_repository(hub.url("o/film"), config)
        out = config.model_copy(update={"opt_out": ("o",)})
        assert harvest_repository(elsewhere(hub.url("o/film")), out).reason == "opt-out"
        assert stream(config).steps == 0

    def test_an_owner_who_opts_out_is_not_filmed_under_a_name_of_ones_own_and_others_keep_theirs(
        self, repository: Repository, stranger: Repository, hub: GitHubServer, config: HarvestConfig
    ) -> None:
        named = config.model_copy(update={"names": {hub.url("o/film"): "x", hub.url("group/o/film"): "mine"}})
        for url in named.names:
            harvest_repository(url, named)
        again = named.model_copy(update={"opt_out": ("o",), "names": {hub.url("o/film"): "mine"}})
        assert harvest_repository(hub.url("o/film"), again).reason == "opt-out"
        assert stream(config, "mine").steps > 0
        assert (
            harvest_repository(hub.url("o/film"), again.model_copy(update={"names": named.names})).reason == "opt-out"
        )
        assert stream(config, "x").steps == 0


def test_a_repository_renamed_by_its_host_goes_on_and_who_takes_the_old_name_does_not_take_its_film(
    repository: Repository, stranger: Repository, hub: GitHubServer, config: HarvestConfig
) -> None:
    harvest_repository(hub.url("o/film"), config)
    hub.git_dirs["new/film"] = hub.git_dirs.pop("o/film")
    hub.renamed["o/film"] = "new/film"
    repository.commit("Second", {"a": b"two\n"})
    assert harvest_repository(hub.url("o/film"), config).new_episodes == 1
    hub.renamed.clear()
    hub.git_dirs["o/film"] = stranger.path
    with pytest.raises(SourceError, match="--name NAME"):
        harvest_repository(hub.url("o/film"), config)
    assert len(commits(config)) == 2


class TestOneRun:
    """Clashes that are seen before any work."""

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            ("https://github.com/o/n", "https://gitlab.com/o/n"),
            ("https://gitlab.com/a/s/n", "https://gitlab.com/b/s/n"),
            ("https://github.com/o/n!", "https://github.com/o/n~"),
        ],
    )
    def test_two_urls_of_one_name_are_both_named(self, config: HarvestConfig, one: str, two: str) -> None:
        with pytest.raises(SourceError) as refused:
            check_sources([one, two], config)
        assert all(part in str(refused.value) for part in (one, two, "--name NAME"))
        named = config.model_copy(update={"names": {two: "two"}})
        assert [source.repo_id for source in check_sources([one, two], named).values()][1] == "two"

    def test_one_repository_named_twice_is_filmed_once(self, config: HarvestConfig, tmp_path: Path) -> None:
        (tmp_path / "app").mkdir()
        urls = ["https://github.com/o/n", "https://github.com/o/n.git", "https://github.com/o/n/"]
        folders = [str(tmp_path / "app"), f"{tmp_path}/./app/"]
        assert list(check_sources([*urls, *folders], config)) == [urls[0], folders[0]]

    def test_two_given_one_name_are_refused_too(self, config: HarvestConfig) -> None:
        named = config.model_copy(update={"names": {"https://h/a/b": "x", "https://h/c/d": "x"}})
        with pytest.raises(SourceError, match="both be called 'x'"):
            check_sources(["https://h/a/b", "https://h/c/d"], named)

    @pytest.mark.parametrize("name", ["", "a b", "/a", "a/", "a/b/c", "..", "a/..", "-x", "é\n", "x" * 101])
    def test_a_name_that_is_none(self, config: HarvestConfig, name: str) -> None:
        with pytest.raises(ConfigError, match="NAME or OWNER/NAME") as refused:
            check_sources(["https://h/a/b"], config.model_copy(update={"names": {"https://h/a/b": name}}))
        assert str(refused.value).isprintable()

    @pytest.mark.parametrize("name", ["app", "o/app", "a.b+c@d_e-f", "漢字", ".github"])
    def test_a_name_that_is_one(self, name: str) -> None:
        assert checked_name(name) == name


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("https://github.com/o/n", "https://github.com/o/n.git", True),
        ("https://GitHub.com/o/n", "ssh://github.com:22/o/n/", True),
        ("https://h/o/a%20b", "https://h/o/a b", True),
        ("https://github.com/o/n", "https://gitlab.com/o/n", False),
        ("https://h/a/s/n", "https://h/b/s/n", False),
        ("https://h/n", "n", False),
        ("n", "n", None),
        ("n", "m", False),
        ("", "https://h/o/n", None),
    ],
)
def test_places_that_are_one(one: str, two: str, same: bool | None) -> None:
    assert same_place(one, two) is same
    assert same_place(two, one) is same


def test_a_folder_that_two_names_share_is_refused(config: HarvestConfig, tmp_path: Path) -> None:
    """As on a file system that does not tell 'App' from 'app'."""
    Repository(tmp_path / "App").commit("Root", {"a": b"1\n"})
    harvest_repository(str(tmp_path / "App"), config)
    shards = Path(config.warehouse) / "shards"
    (shards / "App").rename(shards / "app")
    Repository(tmp_path / "app").commit("Other", {"b": b"1\n"})
    with pytest.raises(WarehouseError, match=r"holds 'App'.*--name NAME"):
        harvest_repository(str(tmp_path / "app"), config)


FILM = """
import sys
from pipeline.harvester import HarvestConfig, harvest_repository
from schema.errors import GitreelError
try:
    print(harvest_repository(sys.argv[1], HarvestConfig(warehouse=sys.argv[2])).status)
except GitreelError as error:
    print(error)
"""


def test_two_processes_at_once_never_mix_two_histories(config: HarvestConfig, tmp_path: Path) -> None:
    roots = set()
    for place in ("1", "2"):
        made = Repository(tmp_path / place / "app")
        for number in range(30):
            made.commit(f"{place} {number}", {"a": b"".join(b"%d\n" % n for n in range(number))})
        roots.add(next(iter(made.trees)))
    command = [sys.executable, "-c", FILM]
    running = [
        subprocess.Popen([*command, path, config.warehouse], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for path in (str(tmp_path / "1" / "app"), str(tmp_path / "2" / "app"))
    ]
    said = [process.communicate()[0].strip() for process in running]
    assert said.count("complete") == 1
    (other,) = (line for line in said if line != "complete")
    assert "holds this lock" in other or "--name NAME" in other
    found = commits(config, "app")
    assert len(found) == 30
    assert found[0] in roots
