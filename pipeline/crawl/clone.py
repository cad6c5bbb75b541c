"""Bring a repository's objects within reach: a folder as it is, or one bare git folder with a neutral configuration.

A URL is fetched into a cache (`git fetch` of its HEAD alone: the first time a bare single-branch clone, later only
what is new). A local folder is read where it lies (`pipeline.git.repository`): its configuration, hooks and attributes
never apply, and nothing is written to it.

git runs in a process group of its own, in the neutral environment (`pipeline.git.environment`). GitPython writes the
configuration. It does not look at repositories: it obeys GIT_DIR and its like, and knows SHA-1 and references in files
alone. It does not run the transfer either: its timeout kills git but not `git-remote-https`.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import git
from pydantic import Field

from pipeline.crawl.source import LocalSource, RefusedSource, RemoteSource, Source, loopback
from pipeline.git.environment import git_environment
from pipeline.git.repository import SHOWN_BRANCHES, LocalRepository, open_repository
from pipeline.messages import pasteable, printable
from schema.config import FrozenModel
from schema.errors import GitreelError, SourceError, WarehouseError

TIP = "refs/heads/gitreel"  # the one branch of every folder made here; an origin's branch names are never used
USED = "last-used"
SIZE = "size"  # of the cache: its clones' bytes, and when they were counted
COUNT_SECONDS = 86_400.0  # until they are counted again: killed fetches leave what nobody noted
EVICT_TO = 0.9  # of the budget: a full cache is not searched after every fetch
POLL_SECONDS = 0.2
QUIET_SECONDS = 15.0  # without a byte received, before somebody is told
# of the caller's variables, those that say how the network is reached
_NETWORK = (
    "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSH_AUTH_SOCK",
    "no_proxy", "https_proxy", "all_proxy", "NO_PROXY", "HTTPS_PROXY", "ALL_PROXY",
)  # fmt: skip
_CONFIG = {
    "core": {
        "repositoryformatversion": "0", "bare": "true", "hooksPath": "/dev/null", "attributesFile": "/dev/null",
        "fsmonitor": "false", "bigFileThreshold": "16m", "logAllRefUpdates": "false", "askPass": "false",
    },
    "gc": {"auto": "0"}, "maintenance": {"auto": "false"}, "credential": {"helper": ""},
    "fetch": {"unpackLimit": "1", "fsckObjects": "false", "recurseSubmodules": "false", "writeCommitGraph": "false"},
    "protocol": {"version": "2"}, "pack": {"windowMemory": "64m", "threads": "1"},
    "http": {"followRedirects": "initial", "lowSpeedLimit": "1000", "lowSpeedTime": "60", "emptyAuth": "false"},
}  # fmt: skip

# of what git says when it fetches, in lower case
_PRIVATE = ("could not read username", "askpass", "authentication failed", "error: 401")
_NOTHING_THERE = ("not found", "does not appear to be a git repository", "is this a git repository")


class FetchError(SourceError):
    """A URL that could not be fetched this time: trying again later may help."""


class Stopped(GitreelError):
    """The caller's `stop` ended a run before anything was changed."""


class Waiting(NamedTuple):
    """How a caller follows a wait: `stop` ends it, `notify` gets a line when it is long."""

    stop: Callable[[], bool] = lambda: False
    notify: Callable[[str], None] = lambda line: None


class CloneConfig(FrozenModel):
    """How repositories are fetched, and what is refused."""

    protocols: tuple[str, ...] = Field(default=("https",), description="allowed: https; ssh and file when asked")
    http_hosts: tuple[str, ...] = Field(default=(), description="hosts besides loopback that plain http may reach")
    timeout_seconds: float = Field(default=3600.0, gt=0, description="s; a longer fetch is killed")
    max_bytes: int = Field(default=4 << 30, gt=0, description="bytes; a clone that grows past it is killed")
    cache_bytes: int = Field(default=32 << 30, ge=0, description="bytes; least recently used clones go first")


class Clone(NamedTuple):
    """A repository ready to be walked."""

    repo_id: str
    repository: LocalRepository
    tip: str  # sha of the newest commit
    shown: str  # URL or folder name, without credentials
    local: bool


@contextlib.contextmanager
def cloned(
    source: Source,
    cache: Path,
    config: CloneConfig,
    *,
    token: str | None = None,
    waiting: Waiting | None = None,
) -> Iterator[Clone]:
    """Yield the repository; while it is in use no other process fetches into it or evicts it.

    Raises SourceError (unreachable, not a repository, no commits, shallow, too large, too slow), WarehouseError (the
    cache cannot be written) and Stopped (the caller no longer waits).
    """
    if isinstance(source, LocalSource):
        repository = open_repository(source.path)
        yield Clone(source.repo_id, repository, repository.commit(), source.shown, local=True)
        return
    entry = cache / _entry_name(source.url)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / f"{entry.name}.lock").open("w")
    except OSError as error:
        raise WarehouseError(f"clone cache {cache}: {error.strerror}; choose another: --cache DIR") from error
    with lock:
        waiting = waiting or Waiting()
        _lock(lock, source, waiting)
        before = folder_bytes(entry)
        try:
            _fetch(source, entry, config, token, lock.fileno(), waiting)
            repository = open_repository(entry, shown=str(source.folder or source.shown), cached=True)
            tip = repository.commit()
            (entry / USED).touch()
        finally:
            _keep_within(cache, config.cache_bytes, folder_bytes(entry) - before, keep=entry.name)
        yield Clone(source.repo_id, repository, tip, source.shown, local=False)


def _lock(lock: IO[str], source: RemoteSource, waiting: Waiting) -> None:
    """Take the clone's lock, as soon as nobody holds it. Raises Stopped."""
    notified = False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if waiting.stop():
            raise Stopped(f"{_named(source)}: stopped before it was fetched")
        if not notified:
            waiting.notify(f"{_named(source)}: another process uses its clone; waiting for that to end")
            notified = True
        time.sleep(POLL_SECONDS)


def _fetch(
    source: RemoteSource, entry: Path, config: CloneConfig, token: str | None, lock: int, waiting: Waiting
) -> None:
    """Bring the newest commit of the origin's HEAD, and what it needs, to TIP in the cache's `entry`."""
    if not (entry / USED).exists():  # never finished: start over
        _start_over(entry)
    for left_over in (entry / "objects" / "pack").glob("tmp_*"):
        left_over.unlink(missing_ok=True)
    for left_over in entry.rglob("*.lock"):  # of a killed git: the flock says that none is alive
        left_over.unlink(missing_ok=True)
    try:
        failure = _run_fetch(source, entry, config, token, lock, waiting)
        if failure and str(entry) in failure:  # what is damaged is the clone in the cache
            _start_over(entry)
            failure = _run_fetch(source, entry, config, token, lock, waiting)
        if failure and (other := re.search(r"mismatched algorithms: client \w+; server (\w+)", failure)):
            _start_over(entry, other[1])  # its object names are of the other kind
            failure = _run_fetch(source, entry, config, token, lock, waiting)
        if failure is not None:
            raise _explained(failure, source, entry, config, token)
    except GitreelError:
        if not (entry / USED).exists():  # half a clone
            shutil.rmtree(entry, ignore_errors=True)
        raise
    if (entry / "shallow").exists():
        shutil.rmtree(entry, ignore_errors=True)
        there = f" -C {pasteable(source.folder)}" if source.folder else ""
        why = f"it is shallow at its origin; run there: git{there} fetch --unshallow, or take what it was cloned from"
        raise RefusedSource(f"{_named(source)}: {why}", "shallow")


def _run_fetch(
    source: RemoteSource, entry: Path, config: CloneConfig, token: str | None, lock: int, waiting: Waiting
) -> str | None:
    command = [
        "git", "--git-dir", str(entry), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
        "--no-write-fetch-head", "--no-auto-maintenance", "--update-head-ok",
        "--update-shallow",  # else git leaves a shallow origin's branch out, and says that all went well
        "--end-of-options", source.url, f"+HEAD:{TIP}",
    ]  # fmt: skip
    env = environment(source, token, entry)
    named = waiting._replace(notify=lambda text: waiting.notify(f"{_named(source)}: {text}"))
    return run_bounded(command, env, entry, config.timeout_seconds, config.max_bytes, (lock,), waiting=named)


def _start_over(entry: Path, object_format: str = "sha1") -> None:
    shutil.rmtree(entry, ignore_errors=True)
    _init(entry, object_format)


def run_bounded(
    command: list[str],
    env: dict[str, str],
    folder: Path,
    timeout_seconds: float,
    max_bytes: int,
    pass_fds: tuple[int, ...] = (),
    stdout: IO[bytes] | int = subprocess.DEVNULL,
    waiting: Waiting | None = None,
) -> str | None:
    """Run git; kill its process group when time or `folder`'s size runs out, or we are interrupted.

    `pass_fds` holds a lock that git inherits: if this process is killed, the lock lasts until git has
    ended too. Returns None on success, else why not: 'timeout …', 'too-large …', or what git said. Raises Stopped.
    """
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
        start_new_session=True, pass_fds=pass_fds,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(process.stderr, said), daemon=True)
    reader.start()
    waiting = waiting or Waiting()
    moved = time.monotonic()
    deadline = moved + timeout_seconds
    size, quiet = 0, False
    verdict: str | None = None
    try:
        while process.poll() is None:
            now, before, size = time.monotonic(), size, folder_bytes(folder)
            if waiting.stop():
                raise Stopped("stopped while it was fetched")
            if now > deadline:
                verdict = f"timeout after {timeout_seconds:.0f} s"
            elif size > max_bytes:
                verdict = f"too-large: more than {max_bytes:,} bytes"
            if verdict:
                break
            if size != before:
                moved, quiet = now, False
            elif now - moved > QUIET_SECONDS and not quiet:
                waiting.notify(f"nothing received for {QUIET_SECONDS:.0f} s; waiting")
                quiet = True
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
    finally:  # also on Ctrl-C: nothing of ours is left running
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(5)
        process.stderr.close()
    if verdict is None and folder_bytes(folder) > max_bytes:
        verdict = f"too-large: more than {max_bytes:,} bytes"
    if verdict is None and process.returncode:
        verdict = reason_of_failure(b"".join(said)) or f"git exit code {process.returncode}"
    return verdict


def reason_of_failure(said: bytes) -> str:
    """The line that says what happened; git's last one is often advice, and after ssh's own it says no more."""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith(("fatal:", "error:", "ERROR:")):
            return lines[number - 1] if number and "Could not read from remote" in line else line
    return lines[-1] if lines else ""


def _drain(stream: IO[bytes], said: list[bytes]) -> None:
    while chunk := os.read(stream.fileno(), 4096):
        if len(said) < 64:
            said.append(chunk)


def environment(source: RemoteSource, token: str | None, home: Path) -> dict[str, str]:
    """The environment a fetch runs in: the neutral one, the way to the network, and the token for its host alone."""
    env = {name: os.environ[name] for name in _NETWORK if name in os.environ}
    scheme = source.scheme
    env |= git_environment(home=os.environ.get("HOME", "/") if scheme == "ssh" else home, protocol=scheme)
    env["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oPermitLocalCommand=no"
    if token and (scheme == "https" or (scheme == "http" and loopback(source.host))):
        env |= _credential(source.url, token)
    return env


def _credential(url: str, token: str) -> dict[str, str]:
    """The token for this host alone, once it asks for one: not in arguments, not in a file.

    A header of `http.URL.extraHeader` would follow the host's redirections to wherever they lead.
    """
    origin = "/".join(url.split("/", 3)[:3])
    answer = """test "$1" != get || printf 'username=x-access-token\\npassword=%s\\n' "$GITREEL_GIT_TOKEN\""""
    return {
        "GITREEL_GIT_TOKEN": token,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"credential.{origin}.helper",
        "GIT_CONFIG_VALUE_0": f"!answer() {{ {answer}; }}; answer",
    }


def _explained(failure: str, source: RemoteSource, entry: Path, config: CloneConfig, token: str | None) -> SourceError:
    """The error for a fetch that failed with `failure`: refused for good, or a FetchError that may pass by itself."""
    text = failure.replace(token, "***") if token else failure
    text = re.sub(r"^(fatal|error): (unable to access '[^']*': )?", "", text)
    low, where = text.lower(), _named(source)
    check = f"check with: git ls-remote {pasteable(source.url)}"
    rule = ""  # of a refusal; what may pass by itself has none
    if source.folder is not None:  # on this machine: more can be said
        try:
            origin = open_repository(source.folder)
            origin.commit()
        except SourceError as error:
            return error
        if "upload-pack" in low or "alternate" in low:
            return origin.unreadable(f"git cannot read its objects ({printable(text)[1:-1]})")
        if "dubious ownership" in low:
            place = pasteable(source.folder)
            return SourceError(f"{where}: it is another user's, and git serves it to nobody else; use: --repo {place}")
    if low.startswith("timeout"):
        why = f"{text}; allow more: --timeout SECONDS"
    elif low.startswith("too-large"):
        why, rule = f"{text}; allow more: --max-clone-bytes BYTES", "too-large"
    elif "couldn't find remote ref head" in low:
        why, rule = _without_head(source, entry, config, token)
    elif any(sign in low for sign in _PRIVATE):
        why, rule = "not found, or private: set GITHUB_TOKEN, or check the address", "not-found"
    elif any(sign in low for sign in _NOTHING_THERE):
        why, rule = f"no git repository there; {check}", "not-found"
    elif "could not resolve host" in low:
        why = f"no such host; check its spelling, or the network ({printable(text)[1:-1]})"
    else:
        why = f"cannot be fetched ({printable(text)[1:-1]}); {check}"
    return RefusedSource(f"{where}: {why}", rule) if rule else FetchError(f"{where}: {why}")


def _named(source: RemoteSource) -> str:
    """What errors call it: a folder's URL has its path, which `shown` leaves out."""
    return f"repository {printable(str(source.folder) if source.folder else source.shown)}"


def _without_head(source: RemoteSource, entry: Path, config: CloneConfig, token: str | None) -> tuple[str, str]:
    """Why an origin has no HEAD to fetch, and the refusal's rule: it is empty, or its HEAD names no branch of it."""
    with tempfile.TemporaryFile() as listed:
        command = ["git", "ls-remote", "--heads", "--tags", "--refs", "--end-of-options", source.url]
        env = environment(source, token, entry)
        run_bounded(command, env, entry, config.timeout_seconds, config.max_bytes, stdout=listed)
        listed.seek(0)
        names = [os.fsdecode(line.split(b"/", 2)[2].rstrip(b"\n")) for line in listed]  # OID <tab> refs/KIND/NAME
    if not names:
        return "no commits yet (empty repository)", "empty"
    shown = ", ".join(printable(name)[1:-1] for name in names[:SHOWN_BRANCHES])
    clone = f"git clone --bare --branch {pasteable(names[0])} {pasteable(source.url)} FOLDER"
    return f"its HEAD names no branch; there are {shown}; clone one and pass the folder: {clone}", "no-head"


def _init(folder: Path, object_format: str) -> None:
    """A bare repository without template (no hooks), with our configuration alone. Raises WarehouseError."""
    settings = _CONFIG
    if object_format != "sha1":
        format_settings = {"core": _CONFIG["core"] | {"repositoryformatversion": "1"}}
        settings = _CONFIG | format_settings | {"extensions": {"objectFormat": object_format}}
    try:
        for part in ("objects/info", "objects/pack", "refs/heads", "info"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "HEAD").write_text(f"ref: {TIP}\n")
        # attributes for the case that a tool diffs in here: no filters, no drivers
        (folder / "info" / "attributes").write_text("* -text -filter -diff -merge -ident\n")
        with git.GitConfigParser(str(folder / "config"), read_only=False) as config:
            for section, values in settings.items():
                for name, value in values.items():
                    config.set_value(section, name, value)
    except OSError as error:
        raise WarehouseError(f"clone cache {folder}: {error.strerror}; choose another: --cache DIR") from error


def _entry_name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:24] + ".git"


def folder_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`; files that vanish while counting count as nothing."""
    total = 0
    pending = [str(folder)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _keep_within(cache: Path, budget: int, grown: int, *, keep: str) -> None:
    """Note that a clone has `grown` bytes more, and evict others where the cache is over its budget.

    Measuring 5,000 small clones takes 0.5 s, so that it is not done after each fetch: a file has their sum.
    """
    with contextlib.suppress(OSError), (cache / SIZE).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = re.fullmatch(r"(-?\d+) (\d+)\n", file.read())
        total, counted = (int(known[1]) + grown, int(known[2])) if known else (0, 0)
        if total > budget or not 0 <= time.time() - counted < COUNT_SECONDS:
            sizes = {entry.name: folder_bytes(entry) for entry in cache.glob("*.git")}
            if sum(sizes.values()) > budget:
                for name in evict(cache, int(EVICT_TO * budget), keep=keep):
                    del sizes[name]
            total, counted = sum(sizes.values()), int(time.time())
        file.seek(0)
        file.truncate()
        file.write(f"{total} {counted}\n")


def evict(cache: Path, budget: int, *, keep: str = "") -> list[str]:
    """Remove least recently used clones until the cache holds at most `budget` bytes; those in use stay.

    Returns the removed entries' names.
    """
    entries = []
    for entry in cache.glob("*.git"):
        used = entry / USED
        entries.append((used.stat().st_mtime if used.exists() else 0.0, entry.name, folder_bytes(entry)))
    total = sum(size for _, _, size in entries)
    removed: list[str] = []
    for _, name, size in sorted(entries):
        if total <= budget:
            break
        if name == keep:
            continue
        with (cache / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(cache / name, ignore_errors=True)
        removed.append(name)
        total -= size
    return removed
