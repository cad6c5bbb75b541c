"""Clones: fetched small, grown, bounded, evicted; nothing of a repository or of the host has a say."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.github_server import GitHubServer
from pipeline.crawl import clone
from pipeline.crawl.clone import (
    TIP,
    CloneConfig,
    FetchError,
    cloned,
    environment,
    evict,
    folder_bytes,
    reason_of_failure,
    run_bounded,
)
from pipeline.crawl.source import RefusedSource, parse_source
from pipeline.git.order import order
from schema.errors import SourceError, WarehouseError
from tests.repositories import Repository

CONFIG = CloneConfig.model_validate({})


@pytest.fixture
def origin(tmp_path):
    repository = Repository(tmp_path / "origin")
    repository.commit("one", {"a": b"1\n"})
    return repository


@pytest.fixture
def hub(tmp_path):
    with GitHubServer(tmp_path) as server:
        yield server


def fetch(hub, name, cache, config=CONFIG, token=None):
    with cloned(parse_source(hub.url(name)), cache, config, token=token) as clone:
        return clone


def test_a_url_is_fetched_once_and_then_grown(hub, origin, tmp_path):
    hub.add("a/b", origin.path)
    first = fetch(hub, "a/b", tmp_path / "cache")
    second_sha = origin.commit("two", {"a": b"2\n"})
    hub.requests.clear()
    second = fetch(hub, "a/b", tmp_path / "cache")
    assert (first.repo_id, first.repository.git_dir, first.local) == ("a/b", second.repository.git_dir, False)
    assert second.tip == second_sha
    assert len(order(second.repository, second.tip)) == 2


def test_only_the_one_branch_is_fetched(hub, origin, tmp_path):
    origin.git("branch", "other", origin.head)
    origin.git("tag", "v1", origin.head)
    hub.add("a/b", origin.path)
    clone = fetch(hub, "a/b", tmp_path / "cache")
    git_dir = clone.repository.git_dir
    refs = [str(p.relative_to(git_dir)) for p in (git_dir / "refs").rglob("*") if p.is_file()]
    assert refs == [TIP]


def test_a_branch_with_an_options_name_is_only_a_name(hub, origin, tmp_path):
    evil = f"--upload-pack=touch {tmp_path}/canary"
    (origin.path / "refs/heads/main").unlink()
    name = "--upload-pack=touch"
    (origin.path / "refs/heads" / name).write_text(origin.head + "\n")
    (origin.path / "HEAD").write_text(f"ref: refs/heads/{name}\n")
    hub.add("a/b", origin.path)
    assert fetch(hub, "a/b", tmp_path / "cache").tip == origin.head
    with pytest.raises(SourceError):
        parse_source(evil)
    assert not (tmp_path / "canary").exists()


def test_a_rewritten_history_moves_the_tip(hub, origin, tmp_path):
    hub.add("a/b", origin.path)
    fetch(hub, "a/b", tmp_path / "cache")
    rewritten = origin.commit("other root", {"b": b"1\n"}, parents=[])
    assert fetch(hub, "a/b", tmp_path / "cache").tip == rewritten


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_nothing_there_is_one_line_and_leaves_nothing(hub, tmp_path, what):
    if what == "empty":
        hub.add("a/b", Repository(tmp_path / "empty").path)
    with pytest.raises(SourceError, match=r"no git repository|no commits"):
        fetch(hub, "a/b", tmp_path / "cache")
    assert not [*(tmp_path / "cache").glob("*.git")]


def test_an_unreachable_host_may_be_tried_again(tmp_path):
    with (
        pytest.raises(FetchError, match="git ls-remote"),
        cloned(parse_source("http://127.0.0.1:1/a/b"), tmp_path, CONFIG),
    ):
        pass


def test_a_clone_that_grows_too_large_is_killed(hub, origin, tmp_path):
    origin.commit("big", {"big": os.urandom(1 << 20)})
    hub.add("a/b", origin.path)
    with pytest.raises(SourceError, match="too-large"):
        fetch(hub, "a/b", tmp_path / "cache", CloneConfig.model_validate({"max_bytes": 1 << 19}))
    assert folder_bytes(tmp_path / "cache") < 1000


def test_a_timeout_kills_children_and_grandchildren(tmp_path):
    script = f"sleep 3600 & echo $! > {tmp_path}/pid; wait"
    verdict = run_bounded(["sh", "-c", script], dict(os.environ), tmp_path, 5, 1 << 30)
    assert verdict.startswith("timeout")
    grandchild = int((tmp_path / "pid").read_text())
    while alive(grandchild):  # killed, and gone as soon as the kernel gets round to it
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_stalled_server_is_given_up(hub, origin, tmp_path):
    hub.add("a/b", origin.path)
    hub.open.clear()  # it answers nobody until we say so
    with pytest.raises(FetchError, match="timeout"):
        fetch(hub, "a/b", tmp_path / "cache", CloneConfig.model_validate({"timeout_seconds": 0.5}))
    hub.open.set()


def test_the_token_goes_to_its_host_and_nowhere_else(hub, origin, tmp_path):
    hub.add("a/b", origin.path)
    hub.token, hub.private = "marked-token", True
    with pytest.raises(SourceError, match="GITHUB_TOKEN"):
        fetch(hub, "a/b", tmp_path / "cache")
    with pytest.raises(SourceError, match="GITHUB_TOKEN") as refused:
        fetch(hub, "a/b", tmp_path / "cache", token="wrong-token")
    assert "wrong-token" not in str(refused.value)
    fetch(hub, "a/b", tmp_path / "cache", token="marked-token")
    for file in (tmp_path / "cache").rglob("*"):
        assert not file.is_file() or b"marked-token" not in file.read_bytes()
    by_ssh = parse_source("ssh://h/a", protocols=("ssh",))
    assert not [value for value in environment(by_ssh, "marked-token", tmp_path).values() if "marked" in value]


def test_a_server_that_sends_elsewhere_does_not_send_the_token_there(origin, tmp_path):
    with GitHubServer(tmp_path) as hub, GitHubServer(tmp_path) as other:
        other.add("a/b", origin.path)
        other.private = True
        hub.fail("/a/b", 301, Location=f"{other.url('a/b')}/info/refs?service=git-upload-pack")
        with pytest.raises(SourceError, match="GITHUB_TOKEN"):
            fetch(hub, "a/b", tmp_path / "cache", token="marked-token")
        assert not other.seen_tokens
        other.private = False
        hub.fail("/a/b", 301, Location=f"{other.url('a/b')}/info/refs?service=git-upload-pack")
        assert fetch(hub, "a/b", tmp_path / "cache", token="marked-token").tip == origin.head
        assert not other.seen_tokens


def test_the_hosts_configuration_has_no_say(hub, origin, tmp_path, monkeypatch):
    hub.add("a/b", origin.path)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "file:///nowhere/"]\n\tinsteadOf = {hub.origin}/\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_PROXY_COMMAND", f"touch {tmp_path}/canary")
    assert fetch(hub, "a/b", tmp_path / "cache").tip == origin.head
    assert not (tmp_path / "canary").exists()


def test_a_local_repository_is_read_and_left_alone(origin, tmp_path):
    canary = tmp_path / "canary"
    (origin.path / "hooks").mkdir()
    for name in ("post-checkout", "reference-transaction"):
        hook = origin.path / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    with (origin.path / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = touch {canary}\n\tsshCommand = touch {canary}\n\tpager = touch {canary}\n")
        config.write(f"[log]\n\tshowSignature = true\n[gpg]\n\tprogram = touch {canary}\n")
        config.write(f'[remote "o"]\n\turl = ext::touch {canary}\n\tpromisor = true\n')
    before = {p: p.stat().st_mtime_ns for p in origin.path.rglob("*")}
    with cloned(parse_source(str(origin.path)), tmp_path / "cache", CONFIG) as clone:
        assert clone.local
        assert order(clone.repository, clone.tip) == [origin.head]
    assert {p: p.stat().st_mtime_ns for p in origin.path.rglob("*")} == before
    assert not canary.exists()


def test_a_working_tree_and_an_odd_folder_name(tmp_path):
    folder = tmp_path / 'odd "näme"\n#1'
    Repository(folder / ".git").commit("one", {"a": b"1\n"})
    with cloned(parse_source(str(folder)), tmp_path / "cache", CONFIG) as clone:
        assert len(order(clone.repository, clone.tip)) == 1
        assert clone.repo_id.isprintable()


def test_a_linked_working_tree(origin, tmp_path):
    subprocess.run(
        ["git", f"--git-dir={origin.path}", "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked")],
        check=True, capture_output=True,
    )  # fmt: skip
    with cloned(parse_source(str(tmp_path / "linked")), tmp_path / "cache", CONFIG) as clone:
        assert clone.tip == origin.head


@pytest.mark.parametrize("what", ["plain", "empty", "shallow", "unborn", "corrupt"])
def test_unusable_folders_are_one_line(origin, tmp_path, what):
    folder = tmp_path / what
    if what == "plain":
        folder.mkdir()
    elif what == "empty":
        Repository(folder)
    elif what == "shallow":
        shutil.copytree(origin.path, folder)
        (folder / "shallow").write_text(origin.head + "\n")
    elif what == "unborn":
        shutil.copytree(origin.path, folder)
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
    else:
        shutil.copytree(origin.path, folder)
        (folder / "HEAD").write_bytes(b"\xff\xfe\0")
    with pytest.raises(SourceError) as refused, cloned(parse_source(str(folder)), tmp_path / "cache", CONFIG):
        pass
    assert "\n" not in str(refused.value)
    assert str(folder.name) in str(refused.value)


def test_a_cache_that_cannot_be_made(hub, origin, tmp_path):
    hub.add("a/b", origin.path)
    (tmp_path / "file").write_text("")
    with pytest.raises(WarehouseError, match="--cache"):
        fetch(hub, "a/b", tmp_path / "file" / "cache")


def test_eviction_takes_the_least_recently_used_that_nobody_holds(tmp_path):
    for number, name in enumerate(["a", "b", "c"]):
        entry = tmp_path / f"{name}.git"
        entry.mkdir()
        (entry / "pack").write_bytes(b"x" * 1000)
        (entry / "last-used").touch()
        os.utime(entry / "last-used", (number, number))
    with (tmp_path / "a.git.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert evict(tmp_path, 2000, keep="c.git") == ["b.git"]
    assert sorted(p.name for p in tmp_path.glob("*.git")) == ["a.git", "c.git"]


def test_a_cache_is_measured_when_it_is_full_and_not_after_every_fetch(hub, origin, tmp_path, monkeypatch):
    cache, measured = tmp_path / "cache", []

    def counting(folder):
        measured.append(folder)
        return folder_bytes(folder)

    monkeypatch.setattr(clone, "folder_bytes", counting)
    for number in range(6):
        hub.add(f"a/{number}", origin.path)
        fetch(hub, f"a/{number}", cache)
    entries = sorted(cache.glob("*.git"))
    size = sum(map(folder_bytes, entries))
    assert int((cache / "size").read_text().split()[0]) == size
    others = [sum(folder == entry for folder in measured) for entry in entries]
    fetch(hub, "a/0", cache)
    again = [sum(folder == entry for folder in measured) for entry in entries]
    assert sum(now > before for before, now in zip(others, again, strict=True)) == 1  # its own
    full = CONFIG.model_copy(update={"cache_bytes": size})
    hub.add("a/6", origin.path)
    fetch(hub, "a/6", cache, full)
    left = sorted(cache.glob("*.git"))
    assert sum(map(folder_bytes, left)) <= 0.9 * size
    assert int((cache / "size").read_text().split()[0]) == sum(map(folder_bytes, left))


@pytest.mark.parametrize("noted", ["", "x", "-5\n", "1 1\n", "1 99999999999\n"])
def test_a_note_of_the_caches_size_that_is_damaged_or_old_is_made_anew(hub, origin, tmp_path, noted):
    cache = tmp_path / "cache"
    hub.add("a/b", origin.path)
    hub.add("a/c", origin.path)
    fetch(hub, "a/b", cache)
    (cache / "size").write_text(noted)
    fetch(hub, "a/c", cache)
    assert int((cache / "size").read_text().split()[0]) == sum(map(folder_bytes, cache.glob("*.git")))


def test_the_lock_lasts_as_long_as_gits_own_processes(tmp_path):
    lock = (tmp_path / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.mkfifo(tmp_path / "end")  # git's process stays until somebody writes here
    code = f"import subprocess; subprocess.Popen(['cat', {str(tmp_path / 'end')!r}], pass_fds=[{lock.fileno()}])"
    subprocess.run([sys.executable, "-c", code], pass_fds=[lock.fileno()], check=True)
    lock.close()
    with (tmp_path / "lock").open("w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / "end").write_text("now\n")
        fcntl.flock(other, fcntl.LOCK_EX)


def by_file(path, cache):
    with cloned(parse_source(f"file://{path}", protocols=("file",)), cache, CONFIG) as clone:
        return clone


@pytest.mark.parametrize("by", ["http", "file"])
def test_an_origin_that_is_shallow_is_refused(hub, origin, tmp_path, by):
    origin.commit("two", {"a": b"2\n"})
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--bare", "--depth=1", f"file://{origin.path}", shallow], check=True)
    hub.add("a/b", shallow)
    with pytest.raises(RefusedSource, match="shallow at its origin") as refused:
        fetch(hub, "a/b", tmp_path / "cache") if by == "http" else by_file(shallow, tmp_path / "cache")
    assert refused.value.rule == "shallow"
    assert not [*(tmp_path / "cache").glob("*.git")]


def test_an_origin_that_turns_shallow_goes_on_where_we_have_the_rest(hub, origin, tmp_path):
    origin.commit("two", {"a": b"2\n"})
    hub.add("a/b", origin.path)
    fetch(hub, "a/b", tmp_path / "cache")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--bare", "--depth=1", f"file://{origin.path}", shallow], check=True)
    origin.commit("three", {"a": b"3\n"})
    subprocess.run(["git", "--git-dir", shallow, "fetch", "-q", "origin", "main:main"], check=True)
    assert (shallow / "shallow").exists()
    hub.git_dirs["a/b"] = shallow
    clone = fetch(hub, "a/b", tmp_path / "cache")
    assert len(order(clone.repository, clone.tip)) == 3


@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_an_origin_whose_head_names_no_branch(hub, origin, tmp_path, kind):
    origin.git("update-ref", f"refs/{kind}/it's", origin.head)
    origin.git("update-ref", "-d", "refs/heads/main")
    hub.add("a/b", origin.path)
    with pytest.raises(RefusedSource, match="there are it's") as refused:
        fetch(hub, "a/b", tmp_path / "cache")
    assert refused.value.rule == "no-head"
    command = str(refused.value).partition("pass the folder: ")[2].replace("FOLDER", str(tmp_path / "clone"))
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert order(tmp_path / "clone") == [origin.head]


def sha256_repository(folder):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent)}
    name = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "-q", "--object-format=sha256"], [*name, "commit", "-q", "--allow-empty", "-m", "one"]):
        folder.mkdir(exist_ok=True)
        subprocess.run(["git", *command], cwd=folder, env=env, check=True)
    return folder / ".git"


def test_a_sha256_origin_and_one_that_becomes_it(hub, origin, tmp_path):
    other = sha256_repository(tmp_path / "other")
    hub.add("a/b", other)
    for _ in range(2):
        assert fetch(hub, "a/b", tmp_path / "cache").repository.object_format == "sha256"
    hub.git_dirs["a/b"] = origin.path
    assert fetch(hub, "a/b", tmp_path / "cache").tip == origin.head
    hub.git_dirs["a/b"] = other
    assert len(fetch(hub, "a/b", tmp_path / "cache").tip) == 64


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_clone_of_the_cache_is_fetched_anew(hub, origin, tmp_path, damage):
    hub.add("a/b", origin.path)
    (pack,) = (fetch(hub, "a/b", tmp_path / "cache").repository.objects[0] / "pack").glob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:40]) if damage == "cut" else pack.unlink()
    clone = fetch(hub, "a/b", tmp_path / "cache")
    assert order(clone.repository, clone.tip) == [origin.head]


@pytest.mark.parametrize("what", ["missing", "plain", "unborn", "lost object", "lost alternate"])
def test_why_a_folders_url_fails_is_looked_up_in_the_folder(origin, tmp_path, what):
    if what == "missing":
        shutil.rmtree(origin.path)
    elif what == "plain":
        (origin.path / "HEAD").unlink()
        shutil.rmtree(origin.path / "objects")
        shutil.rmtree(origin.path / "refs")
    elif what == "unborn":
        (origin.path / "HEAD").write_text("ref: refs/heads/none\n")
    else:
        oid = origin.git("rev-parse", "main:a")
        (origin.path / "objects" / oid[:2] / oid[2:]).unlink()
    if what == "lost alternate":
        (origin.path / "objects/info").mkdir(exist_ok=True)
        (origin.path / "objects/info/alternates").write_text("/nowhere\n")
    words = {
        "missing": "no such folder", "plain": "not a git repository", "unborn": "there are main",
        "lost object": f"git -C {origin.path} fsck", "lost alternate": "'/nowhere', which is gone",
    }[what]  # fmt: skip
    with pytest.raises(SourceError) as refused:
        by_file(origin.path, tmp_path / "cache")
    assert words in str(refused.value)
    assert str(refused.value).isprintable()
    assert not isinstance(refused.value, FetchError)  # trying again does not help


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_another_users_folder_is_read_as_a_folder_and_refused_as_a_url(origin, tmp_path):
    for place in (origin.path, *origin.path.rglob("*")):
        os.chown(place, 12345, 12345)
    with pytest.raises(SourceError, match=f"another user's.*--repo {origin.path}"):
        by_file(origin.path, tmp_path / "cache")
    with cloned(parse_source(str(origin.path)), tmp_path / "cache", CONFIG) as clone:
        assert clone.tip == origin.head


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (b"fatal: a\nhint: b\n", "fatal: a"), (b"remote: x\nerror: a\nfatal: b\n", "error: a"), (b"", ""),
        (b"me@h: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n\nPlease make sure\n",
         "me@h: Permission denied (publickey)."),
        (b"fatal: Could not read from remote repository.\n", "fatal: Could not read from remote repository."),
        (b"only this\n", "only this"),
    ],
)  # fmt: skip
def test_the_line_that_says_what_happened(said, line):
    assert reason_of_failure(said) == line


def test_a_password_in_a_proxys_address_reaches_git_and_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:marked-word@127.0.0.1:1")
    assert "marked-word" in environment(parse_source("https://h/a/b"), None, tmp_path)["HTTPS_PROXY"]
    with (
        pytest.raises(FetchError) as failed,
        cloned(parse_source("https://host.invalid/a/b"), tmp_path / "cache", CONFIG),
    ):
        pass
    assert "marked-word" not in str(failed.value)
