"""Error lines: one line, no credentials, commands that bash reads as they were meant."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crawl.source import parse_source
from pipeline.messages import pasteable, printable
from schema.errors import SourceError

SECRET = "s3cReT"


@pytest.mark.parametrize(
    "text",
    [
        "https://me:{}@host/a/b", "https://{}@host/a/b", "https://me:p@{}@host/a", "https://me:{}/x@host/a",
        "https://me:x/{}@y@host/a", "https://:{}@host/a", "https://me:a{} b@host/a", "https://me:\n{}@host/a",
        "HTTPS://me:{}@host/a", "ftp://me:{}@host/a", "ssh://me:{}@host/a", "file://me:{}@/a", "git://{}@host/a",
        "me:{}@host/a/b", "me:{}@host:a/b", "https:/me:{}@host/a", "//me:{}@host/a", "https//me:{}@host/a",
        "x-access-token:{}@github.com/a/b", "https://host/a?token={}", "host/a?access_token={}", "https://h/a?x={}#y",
        "ghp_0123456789abcdef{}@github.com/a/b", "https://me:{}@host:99999/a",
        "https://me:{}@/a", "https://me:{}@h o/a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocols", [("https",), ("https", "ssh", "file")])
def test_no_credential_is_ever_shown(text: str, protocols: tuple[str, ...]) -> None:
    with pytest.raises(SourceError) as error:
        parse_source(text.format(SECRET), protocols=protocols)
    assert SECRET not in str(error.value)
    assert str(error.value).isprintable()
    assert SECRET not in printable(text.format(SECRET))


@pytest.mark.parametrize(
    "text", ["git@github.com:a/b", "/data/a:b@c", "https://h:8443/a/b", "https://h/a@b/c", "what?"]
)
def test_what_is_no_credential_is_shown(text: str) -> None:
    assert printable(text) == f"'{text}'"


@given(st.text(max_size=400))
def test_whatever_it_is_it_is_one_short_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 202


@pytest.mark.parametrize("word", ["a", "a b", "it's", "$(x)", "a;b", "-x", "a\nb", "\x1b'\\", "ä🚀", "\udcff", "*", ""])
def test_a_command_means_the_name(word: str) -> None:
    line = f"printf %s {pasteable(word)}"
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert done.stdout.decode("utf-8", "surrogateescape") == word


def test_a_path_is_a_word_too() -> None:
    assert pasteable(Path("/data/my repo")) == "'/data/my repo'"
