"""The API client: every status does what its table says, waits are shown, answers are remembered."""

import pickle
import time

import pytest

from benchmarks.github_server import GitHubServer
from pipeline.crawl.clone import FetchError
from pipeline.crawl.github import ApiConfig, Client, RateLimitedError
from pipeline.crawl.source import RefusedSource
from schema.errors import ConfigError, SourceError


@pytest.fixture
def hub(tmp_path):
    with GitHubServer(tmp_path) as server:
        server.add("octo/film", stars=7, licence="Apache-2.0")
        yield server


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(hub, tmp_path, waits):
    return Client(ApiConfig(base_url=hub.api), tmp_path / "memory", notify=waits.append, sleep=lambda seconds: None)


def test_a_repository_is_described(client):
    found = client.repository("octo/film")
    assert (found.name, found.licence, found.stars) == ("octo/film", "Apache-2.0", 7)


def test_asking_again_costs_a_304(hub, client, tmp_path):
    client.repository("octo/film")
    again = Client(client.config, client.memory)
    assert again.repository("octo/film").stars == 7
    assert [status for *_, status in hub.requests] == [200, 304]
    hub.repositories["octo/film"]["stargazers_count"] = 8
    assert again.repository("octo/film").stars == 8


def test_a_damaged_memory_is_asked_again(client):
    client.repository("octo/film")
    for file in client.memory.glob("*.json"):
        file.write_text("{")
    assert client.repository("octo/film").stars == 7


def test_a_renamed_repository_has_its_new_name(hub, client):
    hub.renamed["octo/old"] = "octo/film"
    assert client.repository("octo/old").name == "octo/film"


@pytest.mark.parametrize(
    ("status", "rule"), [(403, "forbidden"), (404, "not-found"), (409, "empty"), (410, "not-found"), (451, "blocked")]
)
def test_a_repository_that_is_not_given_out(hub, client, status, rule):
    hub.fail("/repos/", status)
    with pytest.raises(RefusedSource) as gone:
        client.repository("octo/film")
    assert pickle.loads(pickle.dumps(gone.value)).rule == gone.value.rule == rule


@pytest.mark.parametrize(("status", "word"), [(401, "GITHUB_TOKEN"), (422, "query")])
def test_what_the_user_must_mend(hub, client, status, word):
    hub.fail("/repos/", status)
    with pytest.raises(ConfigError, match=word):
        client.repository("octo/film")


def test_faults_are_tried_again(hub, client, waits):
    hub.fail("/repos/", 502, times=3)
    assert client.repository("octo/film").stars == 7
    assert len(waits) == 3


def test_faults_without_end_are_a_fetch_error(hub, client):
    hub.fail("/repos/", 503, times=9)
    with pytest.raises(FetchError, match="503"):
        client.repository("octo/film")


def test_no_connection_is_a_fetch_error_and_every_wait_before_it_says_why(tmp_path):
    waits = []
    nobody = ApiConfig(base_url="http://127.0.0.1:1/api/v3")
    client = Client(nobody, tmp_path, notify=waits.append, sleep=lambda seconds: None)
    with pytest.raises(FetchError, match=r"no answer \(ConnectionError\) after 5 tries"):
        client.repository("octo/film")
    assert len(waits) == 4
    assert all(wait.startswith("GitHub octo/film: no answer (ConnectionError); waiting ") for wait in waits)


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_is_waited_for_and_shown(hub, client, waits, status):
    hub.fail("/repos/", status, Retry_After="7")
    assert client.repository("octo/film").stars == 7
    assert waits == ["GitHub octo/film: rate limit; waiting 7 s"]


def test_a_primary_limit_waits_until_its_reset(hub, client, waits):
    message = {"message": "API rate limit exceeded for 1.2.3.4"}
    reset = str(int(time.time()) + 30)
    hub.fail("/repos/", 403, body=message, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset)
    assert client.repository("octo/film").stars == 7
    assert 28 <= int(waits[0].split()[-2]) <= 32


def test_a_secondary_limit_without_a_time_waits_a_minute(hub, client, waits):
    hub.fail("/repos/", 403, body={"message": "You have exceeded a secondary rate limit."}, X_RateLimit_Remaining="9")
    assert client.repository("octo/film").stars == 7
    assert waits == ["GitHub octo/film: rate limit; waiting 60 s"]


def test_a_long_wait_is_handed_on(hub, client, waits):
    hub.fail("/repos/", 429, Retry_After="5000")
    with pytest.raises(RateLimitedError) as limited:
        client.repository("octo/film")
    assert not waits
    again = pickle.loads(pickle.dumps(limited.value))
    assert again.resets_at == limited.value.resets_at > time.time() + 4000


def test_the_token_is_sent_and_not_written(hub, tmp_path):
    hub.token = "marked-token"
    client = Client(ApiConfig(base_url=hub.api), tmp_path / "memory", token="marked-token")
    client.repository("octo/film")
    assert hub.seen_tokens == {"marked-token"}
    assert not [f for f in (tmp_path / "memory").rglob("*") if f.is_file() and "marked" in f.read_text()]


@pytest.mark.parametrize("name", ["octo", "octo/..", "../x", "a/b/c", "a b/c", "-/\n"])
def test_a_name_that_is_none(client, name):
    with pytest.raises(SourceError):
        client.repository(name)


@pytest.mark.parametrize("url", ["github.com", "ftp://x/y", ""])
def test_an_address_that_is_none(tmp_path, url):
    with pytest.raises(ConfigError):
        Client(ApiConfig(base_url=url), tmp_path)


def test_where_the_token_may_go():
    assert ApiConfig.model_validate({}).clone_origin == "https://github.com"
    assert ApiConfig(base_url="https://ghe.example.org/api/v3").clone_origin == "https://ghe.example.org"
