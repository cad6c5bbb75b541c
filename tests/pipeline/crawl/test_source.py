"""Sources: what may be named, what is refused, and that no refusal quotes a credential or an escape sequence."""

import pytest

from pipeline.crawl.source import LocalSource, RemoteSource, local_id, parse_source, safe_name
from schema.errors import SourceError


def test_a_folder_is_local(tmp_path):
    (tmp_path / "click").mkdir()
    source = parse_source(str(tmp_path / "click"))
    assert source == LocalSource("click", (tmp_path / "click").resolve(), "click")


@pytest.mark.parametrize(
    ("url", "repo_id"),
    [
        ("https://github.com/pallets/click", "pallets/click"),
        ("https://github.com/pallets/click.git", "pallets/click"),
        ("https://git.example.org:8443/deep/er/name.git", "er/name"),
        ("http://127.0.0.1:8000/a/b", "a/b"),
        ("http://[::1]:8000/a/b", "a/b"),
    ],
)
def test_a_url_is_remote(url, repo_id):
    source = parse_source(url)
    assert isinstance(source, RemoteSource)
    assert (source.repo_id, source.url, source.shown) == (repo_id, url, url)


def test_ssh_when_asked_for():
    source = parse_source("git@github.com:pallets/click.git", protocols=("https", "ssh"))
    assert source == RemoteSource(
        "pallets/click", "ssh://git@github.com/pallets/click.git", "ssh://github.com/pallets/click.git"
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "/no/such/folder", "pallets/click", "--upload-pack=touch x", "-x", "ext::sh -c touch% x", "fd::17",
        "git://github.com/a/b", "ftp://h/a/b", "http://example.com/a/b", "http://127.0.0.1.evil.example/a/b",
        "file:///tmp", "ssh://h/a/b", "git@h:a/b", "https://", "https://github.com", "https://github.com/",
        "https://github.com/../..", "https://github.com/a/-b", "https://h:x/a/b", "https://h/a/b?x=1",
        "https://h/a b", "https://h/a\nb", "https://h/\x1b[31m", "https://-h/a/b", "https://h/a\\b",
        "ssh://-oProxyCommand=x/a/b", "javascript://h/a/b", "HTTPS+ext://h/a",
    ],
)  # fmt: skip
def test_refused_with_one_printable_line(text):
    with pytest.raises(SourceError) as refused:
        parse_source(text)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("url", ["https://me:tOpSeCrEt@github.com/a/b", "https://tOpSeCrEt@github.com/a/b"])
def test_credentials_are_refused_and_not_repeated(url):
    with pytest.raises(SourceError, match="GITHUB_TOKEN") as refused:
        parse_source(url)
    assert "tOpSeCrEt" not in str(refused.value)


def test_plain_http_to_a_listed_host():
    assert parse_source("http://mirror.lan/a/b", http_hosts=("mirror.lan",)).repo_id == "a/b"


def test_a_name_that_says_nothing_takes_its_parents(tmp_path):
    assert local_id(tmp_path / "click" / "repo") == "click/repo"
    assert local_id(tmp_path / "click" / ".git") == "click"


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\udcff", "..", "-x", "a/b", "'; DROP TABLE"])
def test_a_safe_name_is_one_plain_part_of_a_path(name):
    safe = safe_name(name)
    assert safe
    assert safe.isprintable()
    assert "/" not in safe
    assert safe not in (".", "..")
    assert not safe.startswith("-")
