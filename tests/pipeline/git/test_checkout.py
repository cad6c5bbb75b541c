"""The scratch repository is empty, borrows objects, and nothing of the host or the history changes what git writes."""

import subprocess
from pathlib import Path

import pytest

from pipeline.git.checkout import make_scratch
from schema.errors import SourceError
from tests.repositories import Repository


def test_it_is_empty_and_sees_the_originals_objects(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    sha = r.commit("one", {"a": b"1\n"})
    scratch = make_scratch(tmp_path / "s", r.path)
    assert sorted(path.name for path in scratch.folder.iterdir()) == [".git"]
    assert scratch.git("for-each-ref") == ""
    scratch.git("checkout", "-q", sha[:16])
    assert (scratch.folder / "a").read_bytes() == b"1\n"
    assert r.git("count-objects") == "3 objects, " + r.git("count-objects").split(", ")[1]


def test_attributes_of_the_history_change_no_byte(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    files = {".gitattributes": b"* text eol=crlf\n*.id ident\n", "a": b"x\ny\n", "b": b"x\r\n", "c.id": b"$Id$\n"}
    sha = r.commit("one", files)
    scratch = make_scratch(tmp_path / "s", r.path)
    scratch.git("checkout", "-q", sha)
    assert {name: (scratch.folder / name).read_bytes() for name in files} == files
    (scratch.folder / "b").write_bytes(b"x\r\ny\n")
    scratch.git("add", "-Af")
    assert scratch.git("cat-file", "blob", ":b") == "x\r\ny"


def test_the_hosts_configuration_and_hooks_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[core]\n\tautocrlf = true\n[commit]\n\tgpgsign = true\n[init]\n\ttemplateDir = ~/t\n"
    )
    (home / "t" / "hooks").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    scratch = make_scratch(tmp_path / "s", r.path)
    assert not (scratch.folder / ".git" / "hooks").exists()
    scratch.git("commit", "-q", "--allow-empty", "-m", "x")
    assert scratch.git("log", "-1", "--format=%an %ae %at") == "Replay replay@localhost 1600000000"


def test_the_same_commits_get_the_same_ids(tmp_path: Path) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    ids = set()
    for name in ("s", "t"):
        scratch = make_scratch(tmp_path / name, r.path)
        scratch.git("commit", "-q", "--allow-empty", "-m", "x")
        ids.add(scratch.git("rev-parse", "HEAD"))
    assert len(ids) == 1


def test_sha256_repositories_too(tmp_path: Path) -> None:
    tree = tmp_path / "r"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", tree], check=True)
    scratch = make_scratch(tmp_path / "s", tree)
    assert scratch.git("rev-parse", "--show-object-format") == "sha256"


def test_no_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a git repository"):
        make_scratch(tmp_path / "s", tmp_path)
