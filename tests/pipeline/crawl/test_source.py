"""Sources: what may be named, what is refused, and that no refusal quotes a credential or an escape sequence."""

import pytest

from pipeline.crawl.source import LocalSource, RemoteSource, local_id, parse_source, safe_name, same_source
from schema.errors import SourceError


def test_a_folder_is_local(tmp_path):
    (tmp_path / "click").mkdir()
    source = parse_source(str(tmp_path / "click"))
    assert source == LocalSource("click", (tmp_path / "click").resolve(), "click")


@pytest.mark.parametrize("end", ["", "/", "/.", "/.git", "/.git/", "//"])
def test_a_folder_is_named_alike_however_it_is_written(tmp_path, monkeypatch, end):
    (tmp_path / "click" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for text in (f"click{end}", f"./click{end}", f"../{tmp_path.name}/click{end}", f"{tmp_path}/click{end}"):
        source = parse_source(text)
        assert (source.repo_id, source.shown, source.path.is_absolute()) == ("click", "click", True)
    monkeypatch.chdir(tmp_path / "click")
    assert parse_source(f".{end}").repo_id == "click"
    monkeypatch.chdir(tmp_path / "click" / ".git")
    assert parse_source(f"..{end}").repo_id == "click"


def test_a_linked_folder_has_the_name_of_the_link(tmp_path, monkeypatch):
    (tmp_path / "store" / "0a1b" / "repo").mkdir(parents=True)
    (tmp_path / "mirrors").mkdir()
    (tmp_path / "mirrors" / "click.git").symlink_to(tmp_path / "store" / "0a1b" / "repo")
    (tmp_path / "mirrors" / "flask").symlink_to(tmp_path / "store" / "0a1b")
    assert parse_source(str(tmp_path / "mirrors" / "click.git")).repo_id == "click"
    assert parse_source(str(tmp_path / "mirrors" / "flask" / "repo")).repo_id == "flask/repo"
    monkeypatch.chdir(tmp_path / "mirrors")
    assert parse_source("click.git").shown == "click.git"
    assert parse_source("../mirrors/click.git").repo_id == "click"
    assert parse_source("flask/../0a1b/repo").repo_id == "0a1b/repo"  # as the system reads it: behind the link


def test_spellings_of_one_repository_are_the_same(tmp_path, monkeypatch):
    (tmp_path / "real" / "click" / ".git").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    first, *others = map(parse_source, ("real/click", "link/click", "real/click/.git", "real/../link/click/"))
    assert all(same_source(first, other) for other in others)
    first, *others = map(
        parse_source, ("https://github.com/a/b", "https://github.com/a/b.git/", "https://www.github.com:443/a/b")
    )
    assert all(same_source(first, other) for other in others)
    assert not same_source(first, parse_source("https://gitlab.com/a/b"))
    assert not same_source(first, parse_source("real/click"))


def test_the_home_folder_is_written_as_a_shell_would(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "click").mkdir()
    assert parse_source("~/click").path == tmp_path / "click"
    (tmp_path / "~" / "flask").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse_source("~/flask").path == tmp_path / "~" / "flask"  # there is such a folder


@pytest.mark.parametrize("name", ["a:b", "a::b", "c#", "a b ", "-x", "\udcff", "x.git", "https:"])
def test_whatever_a_folder_is_called(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_source(name).path == tmp_path / name


def test_a_folder_that_was_removed_from_under_us(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SourceError, match="is gone"):
        parse_source(".")


@pytest.mark.parametrize(
    ("url", "repo_id"),
    [
        ("https://git.example.org/a_b/c_d", "a_b/c_d"),
        ("https://my_host.lan/a/b", "a/b"),
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


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("https://www.github.com/a/b", "https://github.com/a/b"), ("https://GitHub.com/a/b/", "https://github.com/a/b"),
        ("HTTPS://github.com:443/a/b.git/", "https://github.com/a/b.git"), ("https://h:/a/b", "https://h/a/b"),
        (" https://h/a/b\n", "https://h/a/b"), ("https://h//a//b", "https://h/a/b"), ("https://h:80/a", "https://h:80/a"),
        ("https://h/~a/b%20c", "https://h/~a/b%20c"), ("ssh://git@h:22/a", "ssh://git@h/a"),
    ],
)  # fmt: skip
def test_spellings_of_a_url(written, url):
    assert parse_source(written, protocols=("https", "ssh")).url == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://github.com/a", "https://github.com/owner/name"),
        ("https://github.com/a/b/tree/main/src", "--repo https://github.com/a/b"),
        ("https://github.com/a/b/issues/1", "--repo https://github.com/a/b"),
        ("github.com/a/b", "--repo https://github.com/a/b"), ("a_corp/b", "--repo https://github.com/a_corp/b"),
        ("gitlab.example.org/a/b/c", "--repo https://gitlab.example.org/a/b/c"), ("https:/h/a/b", "'://'"),
        ("https//h/a/b", "'://'"), ("ssh:h/a", "'://'"), ("h:a/b", "--protocol ssh"), ("https://ä.example/a", "xn--"),
        ("file:///data/c#/x", "--repo '/data/c#/x'"), ("file:///tmp/a%20b", "--repo '/tmp/a b'"),
        ("https://h/a%2F..%2Fb/c", "no repository in it"),
    ],
)  # fmt: skip
def test_what_to_write_instead(text, words):
    with pytest.raises(SourceError) as error:
        parse_source(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "repo_id", "shown"),
    [
        ("git@github.com:pallets/click.git", "pallets/click", "ssh://github.com/pallets/click.git"),
        ("me@host:click", "click", "ssh://host/click"), ("host:~me/click", "me/click", "ssh://host/~me/click"),
        ("host:/srv/git/click.git/", "git/click", "ssh://host/srv/git/click.git"),
        ("me@[::1]:a/b", "a/b", "ssh://[::1]/a/b"), ("my_host:a_b/c", "a_b/c", "ssh://my_host/a_b/c"),
    ],
)  # fmt: skip
def test_host_and_path_as_ssh_has_them(text, repo_id, shown):
    source = parse_source(text, protocols=("https", "ssh"))
    assert source == RemoteSource(repo_id, text, shown)  # git's own spelling: a relative path starts at home
    assert source.scheme == "ssh"


@pytest.mark.parametrize("text", ["host:-x/a", "host:a/-x", "-oProxyCommand=x:a", "host:..", "host:a/../b", "h:a b"])
def test_no_option_and_no_way_up_in_it(text):
    with pytest.raises(SourceError):
        parse_source(text, protocols=("https", "ssh"))


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///data/c#/proj", "/data/c#/proj"), ("file:///data/c%23/proj", "/data/c#/proj"),
        ("file:///data/what?/proj", "/data/what?/proj"), ("file://localhost/data/proj", "/data/proj"),
        ("FILE:///data/proj/", "/data/proj"), ("file:///data/ä/proj", "/data/ä/proj"),
        ("file:///data/%ff/proj", "/data/\udcff/proj"), ("file:///data/100%/proj", "/data/100%/proj"),
        ("file:///data/proj/.git", "/data/proj/.git"), ("file:///data/proj.git", "/data/proj.git"),
    ],
)  # fmt: skip
def test_a_folders_url(url, folder):
    source = parse_source(url, protocols=("file",))
    assert (str(source.folder), source.repo_id) == (folder, "proj")
    assert source.url.isascii()
    assert parse_source(source.url, protocols=("file",)) == source


@pytest.mark.parametrize("url", ["file://", "file:///", "file://host/data/proj", "file://./proj", "file://data"])
def test_a_folders_url_that_names_none(url):
    with pytest.raises(SourceError, match="file:///path/to/folder"):
        parse_source(url, protocols=("file",))


def test_ssh_when_asked_for():
    source = parse_source("git@github.com:pallets/click.git", protocols=("https", "ssh"))
    assert source == RemoteSource(
        "pallets/click", "git@github.com:pallets/click.git", "ssh://github.com/pallets/click.git"
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
