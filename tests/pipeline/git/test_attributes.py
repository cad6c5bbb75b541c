"""Which .gitattributes git reads silently: asked of the real git, line by line."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.git.attributes import quiet_attributes

QUIET = [
    b"", b"# only a comment", b"\t# indented", b"* text=auto eol=lf", b"*.png -diff !text a.b-c_d", b"* text=a=b",
    b'"a b" text', b'"a"text', b"a\\ b text", b"\\!x text", b"[attr]foo -bar baz=1", b"[attr] foo", b"*\r", b"* text\r",
    b"*\x0btext", b"\xff text", b"* text=\xff", b"* -b=c", b"*", b"* text\0 #", b"\xef\xbb\xbf* text", b"#" * 3_000,
    b"a" * 2_042 + b" text",
]  # fmt: skip
NOISY = [
    b"*.png binary # images", b"!*.txt text", b"* =b", b"* -=b", b"* --b", b"* text\x0c", b'"!a b" text', b'* "x"',
    b'"a" #x', b"[attr]-foo bar", b"[attr]foo #", b'[attr]"x" y', b"\xef\xbb\xbf!x",
    b"* \xc3\xa9", b"a" * 2_043 + b" text",
]  # fmt: skip


def git_says(folder: Path, where: str, line: bytes) -> str:
    """What git complains about, asked for an attribute."""
    (folder / where).parent.mkdir(exist_ok=True, parents=True)
    (folder / where).write_bytes(line + b"\n")
    done = subprocess.run(
        ["git", "check-attr", "text", "d/f"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"},
        check=True,
        capture_output=True,
    )
    return done.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("line", QUIET + NOISY)
def test_git_agrees(tmp_path: Path, line: bytes) -> None:
    subprocess.run(["git", "init", "-q", "--template=", "."], cwd=tmp_path, check=True)
    assert quiet_attributes(line + b"\n") == (line in QUIET) == (git_says(tmp_path, ".gitattributes", line) == "")


def test_macros_are_for_the_root(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--template=", "."], cwd=tmp_path, check=True)
    assert not quiet_attributes(b"[attr]foo bar\n", top=False)
    assert "not allowed" in git_says(tmp_path, "d/.gitattributes", b"[attr]foo bar")


def test_in_doubt_it_is_noisy() -> None:
    assert not quiet_attributes(b'"unclosed text\n')
    assert not quiet_attributes(b'"with \\" escape" text\n')
