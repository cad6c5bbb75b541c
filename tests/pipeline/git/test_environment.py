"""The environment of git: nothing of the caller's has a say, whatever a hook or a shell has set."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from pipeline.crawl.clone import CloneConfig, cloned
from pipeline.crawl.source import parse_source
from pipeline.example import make_example
from pipeline.git.checkout import make_scratch
from pipeline.git.environment import git_environment, git_version, need_git
from schema.errors import ConfigError
from tests.repositories import Repository, make_repository
from tests.walking import walked

ROOT = Path(__file__).parents[3]


@cache
def of_this_git() -> list[str]:
    """The variables that this git calls a repository's own: those that it sets for a hook are among them."""
    told = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    return told.stdout.split()


def hostile(place: Path) -> dict[str, str]:
    """Every variable of git's that another value could be read from, set to one that would be noticed."""
    canary = f"touch {place / 'canary'}"
    return {
        **dict.fromkeys(of_this_git(), str(place / "elsewhere")),
        "GIT_DIR": str(place / "elsewhere"),
        "GIT_WORK_TREE": str(place),
        "GIT_INDEX_FILE": str(place / "index"),
        "GIT_OBJECT_DIRECTORY": str(place / "quarantine"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(place / "quarantine"),
        "GIT_QUARANTINE_PATH": str(place / "quarantine"),
        "GIT_COMMON_DIR": str(place / "elsewhere"),
        "GIT_NAMESPACE": "nobody",
        "GIT_CEILING_DIRECTORIES": "/",
        "GIT_DEFAULT_HASH": "sha256",
        "GIT_DEFAULT_REF_FORMAT": "reftable",
        "GIT_CONFIG": str(place / "config"),
        "GIT_CONFIG_GLOBAL": str(place / "config"),
        "GIT_CONFIG_SYSTEM": str(place / "config"),
        "GIT_CONFIG_PARAMETERS": "'core.abbrev'='nonsense'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.abbrev",
        "GIT_CONFIG_VALUE_0": "nonsense",
        "GIT_EXEC_PATH": str(place),
        "GIT_TEMPLATE_DIR": str(place),
        "GIT_ATTR_SOURCE": "HEAD",
        "GIT_GRAFT_FILE": str(place / "grafts"),
        "GIT_SHALLOW_FILE": str(place / "shallow"),
        "GIT_REPLACE_REF_BASE": "refs/heads/",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_NOGLOB_PATHSPECS": "1",
        "GIT_EXTERNAL_DIFF": canary,
        "GIT_SSH": canary,
        "GIT_SSH_COMMAND": canary,
        "GIT_PROXY_COMMAND": canary,
        "GIT_ASKPASS": canary,
        "GIT_PAGER": canary,
        "GIT_EDITOR": canary,
        "GIT_SEQUENCE_EDITOR": canary,
        "GIT_TRACE": "1",
        "GIT_TRACE2_EVENT": str(place / "canary"),
        "GIT_ALLOW_PROTOCOL": "ext",
        "GIT_PROTOCOL": "version=0",
        "GIT_AUTHOR_NAME": "Somebody",
        "GIT_COMMITTER_DATE": "2000-01-01",
        "GIT_REFLOG_ACTION": "rebase",
        "GIT_LITERAL_PATHSPECS": "0",
        "GIT_PREFIX": "sub/",
        "XDG_CONFIG_HOME": str(place),
        "LC_ALL": "de_DE.UTF-8",
        "LANGUAGE": "de",
    }


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("[core]\n\tabbrev = nonsense\n[safe]\n\tdirectory = nowhere\n")
    (tmp_path / "shallow").write_text("1" * 40 + "\n")
    for name, value in hostile(tmp_path).items():
        monkeypatch.setenv(name, value)


def test_nothing_of_the_callers_is_in_it(hook: None, tmp_path: Path) -> None:
    told = hostile(tmp_path)
    assert not [name for name, value in git_environment().items() if told.get(name) == value]
    assert not set(of_this_git()) & set(git_environment()) - {"GIT_NO_REPLACE_OBJECTS"}


def test_every_process_of_ours_works_as_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    r = Repository(tmp_path / "r")
    r.commit("one", {"a": b"1\n"})
    r.commit("two", {"a": b"2\n"})

    def results(place: Path) -> list[object]:
        source = parse_source(f"file://{r.path}", protocols=("file",))
        with cloned(source, place / "cache", CloneConfig.model_validate({})) as clone:
            fetched = walked(clone.repository)
        scratch = make_scratch(place / "scratch", r.path)
        scratch.git("commit", "-q", "--allow-empty", "-m", "x")
        example = make_example(place / "example", commits=3)
        played = scratch.git("log", "--format=%H %an %cd")
        return [walked(r.path), fetched, played, [commit.sha for commit in walked(example)]]

    before = results(tmp_path / "before")
    for name, value in hostile(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert results(tmp_path / "after") == before
    assert not (tmp_path / "canary").exists()


def test_a_harvest_inside_of_a_hook(tmp_path: Path) -> None:
    """A real one: git commits, its hook looks at another repository, in the environment that git has made for it."""
    other = make_repository(tmp_path / "other", {"a": b"1\n"}, {"a": b"2\n"})
    code = "import sys; from pipeline.git.order import order; print(len(order(sys.argv[1])))"
    tree = tmp_path / "tree"
    git = ["git", "-C", str(tree), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "init", "-q", tree], check=True)
    for name in ("pre-commit", "post-commit", "reference-transaction"):
        hook = tree / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ncd {ROOT} && '{sys.executable}' -c '{code}' '{other}' >> {tmp_path}/said 2>&1\n")
        hook.chmod(0o755)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True, env=os.environ | {"GIT_TRACE": "0"})
    said = (tmp_path / "said").read_text().splitlines()
    assert len(said) >= 3
    assert set(said) == {"2"}


def test_only_one_protocol_is_allowed() -> None:
    assert git_environment()["GIT_ALLOW_PROTOCOL"] == "none"
    assert git_environment(protocol="https")["GIT_ALLOW_PROTOCOL"] == "https"


def test_the_installed_git_is_named() -> None:
    assert git_version().split(".")[0].isdigit()


def test_without_git_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="apt-get install git"):
        need_git()
