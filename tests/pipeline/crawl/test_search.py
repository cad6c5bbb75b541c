"""Finding: searches beyond 1,000 results, owners, lists, and what is refused with its rule."""

import time

import pytest

from benchmarks.github_server import GitHubServer
from pipeline.crawl.github import ApiConfig, Client, RateLimitedError
from pipeline.crawl.search import (
    DEFAULT,
    MOST_STARS,
    GitHubQuery,
    Window,
    find,
    found_filter,
    github_name,
    named_repositories,
    parse_window,
    search_texts,
)  # fmt: skip
from schema.errors import ConfigError, SourceError


@pytest.fixture
def hub(tmp_path):
    with GitHubServer(tmp_path) as server:
        yield server


@pytest.fixture
def client(hub, tmp_path):
    return Client(ApiConfig(base_url=hub.api), tmp_path / "memory", sleep=lambda seconds: None)


def query(**values):
    return GitHubQuery.model_validate(values)


@pytest.fixture
def crowd(hub):
    for number in range(1500):
        created = f"20{10 + number % 13:02d}-{1 + number % 12:02d}-{1 + number % 28:02d}T01:02:03Z"
        hub.add(f"o/r{number}", stars=number, created_at=created)


def test_a_search_beyond_1000_results(crowd, client):
    finding = find(query(search="language:python", limit=9999), client)
    assert len({found.name for found in finding.kept}) == len(finding.kept) == 1500


def test_a_query_with_its_own_dates_is_split_by_stars(crowd, client):
    finding = find(query(search="created:>=2010-01-01 stars:>=3", limit=9999), client)
    assert len({found.name for found in finding.kept}) == 1497


@pytest.mark.parametrize(
    ("stars", "expected"),
    [
        ("stars:<10", (0, 9)), ("stars:<=10", (0, 10)), ("stars:>10", (11, MOST_STARS)), ("stars:10", (10, 10)),
        ("stars:*..10", (0, 10)), ("stars:3..*", (3, MOST_STARS)), ("stars:3..9 stars:<5", (3, 4)),
        ("", (0, MOST_STARS)),
    ],
)  # fmt: skip
def test_the_stars_of_a_query_with_its_own_dates_are_kept(stars, expected):
    assert parse_window(f"created:>2020-01-01 {stars}".strip()) == Window("stars", *expected)


def test_few_stars_are_few_stars(crowd, client):
    finding = find(query(search="created:>=2010-01-01 stars:<1200", limit=9999), client)
    assert len(finding.kept) == 1200


def test_stars_that_are_none(client):
    with pytest.raises(ConfigError, match="stars:many"):
        find(query(search="created:>=2010-01-01 stars:many"), client)


def test_a_search_goes_on_on_another_day(crowd, hub, client, monkeypatch):
    first = find(query(search="language:python", limit=9999, refresh_hours=99), client)
    hub.requests.clear()
    later = time.time() + 2 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    assert find(query(search="language:python", limit=9999, refresh_hours=99), client) == first
    assert len(hub.requests) <= 4


def test_results_that_stay_incomplete_are_not_split_for_ever(hub, client):
    hub.add("a/b")
    hub.incomplete = True
    asked = find(query(search="language:python created:2020-01-01..2020-01-02 stars:<100000"), client)
    assert [found.name for found in asked.kept] == ["a/b"]
    assert len(hub.requests) <= 8


def test_a_search_repeated_soon_asks_next_to_nothing(crowd, hub, client):
    first = find(query(search="language:python", limit=9999), client)
    hub.requests.clear()
    assert find(query(search="language:python", limit=9999), client) == first
    assert len(hub.requests) <= 3


def test_a_stopped_search_goes_on_where_it_was(crowd, hub, client):
    hub.fail("page=7", 429, Retry_After="99999")
    with pytest.raises(RateLimitedError):
        find(query(search="language:python", limit=9999), client)
    asked = len(hub.requests)
    hub.requests.clear()
    assert len(find(query(search="language:python", limit=9999), client).kept) == 1500
    assert len([status for *_, status in hub.requests if status == 200]) < asked + 8


def test_the_limit_is_a_limit(crowd, client):
    assert len(find(query(users=("o",), limit=120), client).kept) == 120


def test_owners_are_paged(crowd, client):
    assert len(find(query(users=("o",), limit=9999), client).kept) == 1500


def test_a_list_in_order_each_once_renames_followed(hub, client, tmp_path):
    for name in ("a/x", "b/y"):
        hub.add(name)
    hub.renamed["old/x"] = "a/x"
    listed = tmp_path / "list"
    listed.write_text(f"b/y  # comment\n\nold/x\n{hub.origin}/a/x.git\n")
    finding = find(query(repositories=("a/x",), repositories_file=str(listed)), client)
    assert [found.name for found in finding.kept] == ["a/x", "b/y"]


def test_urls_are_those_of_the_server_asked(hub, client):
    hub.add("a/x")
    listed = (f"{hub.origin}/a/x.git", " a/x ")
    assert [found.name for found in find(query(repositories=listed), client).kept] == ["a/x"]
    with pytest.raises(SourceError, match="write owner/name"):
        named_repositories(query(repositories=("https://gitlab.com/a/x",)))


@pytest.mark.parametrize(
    "written",
    [
        "mona_acme/tool", "mona_acme/tool.git", "mona_acme/tool/", "HOST/mona_acme/tool", "git@HOST:mona_acme/tool.git",
        "ssh://git@HOST/mona_acme/tool.git", "http://HOST/mona_acme/tool/", "https://HOST/mona_acme/tool.git/",
        "https://www.HOST/mona_acme/tool", " https://HOST/mona_acme/tool\t",
    ],
)  # fmt: skip
@pytest.mark.parametrize("origin", ["https://github.com", "http://127.0.0.1:8080", "https://git_hub.example.org"])
def test_a_repository_however_people_copy_it(written, origin):
    assert github_name(written.replace("HOST", origin.partition("://")[2]), origin) == "mona_acme/tool"


@pytest.mark.parametrize(
    "written",
    [
        "tool", "a/b/c", "a/..", "a/.", "a/.git", "/b", "a/", "a b/c", "a/b#readme", "a/b?tab=readme", "ä/b",
        "a/b\nc/d", "https://gitlab.com/a/b", "https://github.com.evil.example/a/b", "https://githubxcom/a/b",
        "ftp://github.com/a/b", "https://me:s3cReT@github.com/a/b", "https://s3cReT@github.com/a/b",
        "https://github.com/a/b/tree/main", "../a/b",
    ],
)  # fmt: skip
def test_what_is_no_repository_is_one_line(written):
    with pytest.raises(SourceError, match="write owner/name") as error:
        github_name(written, "https://github.com")
    assert str(error.value).isprintable()
    assert "s3cReT" not in str(error.value)


def test_the_owners_that_a_company_manages(hub, client):
    hub.add("mona_acme/tool")
    assert [found.name for found in find(query(users=("mona_acme",)), client).kept] == ["mona_acme/tool"]
    assert client.repository("mona_acme/tool").name == "mona_acme/tool"
    named = named_repositories(query(organisations=("mona_acme", "A-b_c"), repositories=("-old-/x", "_/y")))
    assert named == ["-old-/x", "_/y"]
    for owner in ("a.b", "a/b", "", "a b", "é", "../x"):
        with pytest.raises(SourceError, match="owner"):
            named_repositories(query(users=(owner,)))


def test_a_list_with_a_mark_and_comments(tmp_path):
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfa_corp/b\t# ours\r\n\r\n# c/d\r\n'e/f'\r\ng/h#theirs")
    assert named_repositories(query(repositories_file=str(tmp_path / "list"))) == ["a_corp/b", "e/f", "g/h"]
    (tmp_path / "list").write_bytes("a/b\r\n".encode("utf-16"))
    with pytest.raises(ConfigError, match="iconv"):
        named_repositories(query(repositories_file=str(tmp_path / "list")))


def test_a_wrong_name_is_told_before_anything_is_asked(hub, client):
    hub.add("a/x")
    with pytest.raises(SourceError, match="nonsense"):
        find(query(repositories=("a/x", "nonsense")), client)
    with pytest.raises(SourceError, match="a/b"):
        find(query(repositories=("a/x",), users=("a/b",)), client)
    assert not hub.requests


def test_nothing_named_is_the_documented_list(client):
    assert named_repositories(query()) == list(DEFAULT)
    assert named_repositories(query(users=("o",))) == []
    assert find(query(), client).refused == [(name, "not-found") for name in DEFAULT]


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"licence": None}, "licence-unknown"), ({"licence": "NOASSERTION"}, "licence-unknown"),
        ({"licence": "GPL-3.0"}, "licence-refused"), ({"fork": True}, "fork"), ({"size": 2 << 20}, "too-large"),
        ({"size": 0}, "empty"), ({"disabled": True}, "disabled"), ({"archived": True}, "archived"),
    ],
)  # fmt: skip
def test_refused_with_its_rule(hub, client, fields, rule):
    hub.add("a/b", **fields)
    assert find(query(repositories=("a/b",), archived=False), client).refused == [("a/b", rule)]


def test_an_owner_may_opt_out(hub, client):
    hub.add("A/b")
    assert find(query(repositories=("A/b",), opt_out=("a",)), client).refused == [("A/b", "opt-out")]
    found = Client(client.config, client.memory).repository("A/b")
    assert found_filter(found, query(opt_out=("a/B",))) == (False, "opt-out")


def test_filters_become_qualifiers():
    texts = search_texts(query(search="film", languages=("c", "Jupyter Notebook"), min_stars=5, licences=("MIT",)))
    assert texts == [
        "film stars:5..* license:mit language:c",
        'film stars:5..* license:mit language:"Jupyter Notebook"',
    ]


def test_windows_halve_without_gap_or_overlap():
    low, high = Window("stars", 0, 9).halves()
    assert (low.low, low.high, high.low, high.high) == (0, 4, 5, 9)
    assert Window("stars", 3, 3).halves() is None


@pytest.mark.parametrize("values", [{"users": ("a/b",)}, {"repositories": ("nonsense",)}])
def test_names_that_are_none(client, values):
    with pytest.raises(SourceError):
        find(query(**values), client)


def test_a_list_that_cannot_be_read(client, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        find(query(repositories_file=str(tmp_path / "none")), client)


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ValueError, match="extra"):
        query(serach="x")
