"""Bring a repository's objects within reach: one bare git folder with a neutral configuration.

A URL is fetched into a cache (`git fetch` of its HEAD alone: the first time a bare single-branch clone, later only
what is new). A local folder is used in place: its objects are borrowed through `objects/info/alternates`, so that
neither its configuration, hooks nor attributes ever apply, and nothing is written to it.

git runs in a process group of its own, in an environment built from scratch. GitPython reads references and writes the
configuration; it does not run the transfer, because it would pass this process's whole environment on and its timeout
kills git but not `git-remote-https`.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

import git
from git.exc import GitError
from git.refs import SymbolicReference
from pydantic import Field

from pipeline.crawl.source import LocalSource, RefusedSource, RemoteSource, Source, loopback, printable
from pipeline.temporary import temporary_folder
from schema.config import FrozenModel
from schema.errors import SourceError, WarehouseError

TIP = "refs/heads/gitreel"  # the one branch of every folder made here; an origin's branch names are never used
USED = "last-used"
POLL_SECONDS = 0.2
_PASSED = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSH_AUTH_SOCK", "no_proxy", "https_proxy", "all_proxy")
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


class FetchError(SourceError):
    """A URL that could not be fetched this time: trying again later may help."""


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
    git_dir: Path
    tip: str  # sha of the newest commit
    shown: str  # URL or folder name, without credentials
    local: bool


@contextlib.contextmanager
def cloned(source: Source, cache: Path, config: CloneConfig, *, token: str | None = None) -> Iterator[Clone]:
    """Yield the repository; while it is in use no other process fetches into it or evicts it.

    Raises SourceError (unreachable, not a repository, no commits, shallow, too large, too slow) and WarehouseError
    (the cache cannot be written).
    """
    if isinstance(source, LocalSource):
        with temporary_folder("borrow") as folder:
            yield _borrow(source, folder)
        return
    entry = cache / _entry_name(source.url)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / f"{entry.name}.lock").open("w")
    except OSError as error:
        raise WarehouseError(f"clone cache {cache}: {error.strerror}; choose another: --cache DIR") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tip = _fetch(source, entry, config, token, lock.fileno())
        (entry / USED).touch()
        evict(cache, config.cache_bytes, keep=entry.name)
        yield Clone(source.repo_id, entry, tip, source.shown, local=False)


def _borrow(source: LocalSource, folder: Path) -> Clone:
    """An empty git folder with our configuration that sees the local repository's objects."""
    where = printable(str(source.path))
    try:
        repository = git.Repo(source.path, search_parent_directories=False)
    except (GitError, OSError, ValueError, UnicodeError):
        raise SourceError(
            f"repository {where}: not a git repository; run git init there, or pass another folder or a URL"
        ) from None
    with repository:
        common = Path(repository.common_dir).resolve()
        if (common / "shallow").exists():
            raise SourceError(
                f"repository {where}: a shallow clone has no full history; run: git -C {where} fetch --unshallow"
            )
        try:
            tip = SymbolicReference.dereference_recursive(repository, "HEAD")  # reads files, runs nothing
        except (GitError, OSError, ValueError, UnicodeError):
            tip = None
        if tip is None or not (common / "objects").is_dir():
            raise SourceError(f"repository {where}: no commits yet; commit something, or pass another one")
    if len(tip) != 40:
        raise SourceError(f"repository {where}: SHA-256 object names are not supported; use a SHA-1 repository")
    _init(folder)
    alternates = folder / "objects" / "info" / "alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_bytes(_quoted(os.fsencode(common / "objects")) + b"\n")
    _set_tip(folder, str(tip))
    return Clone(source.repo_id, folder, str(tip), source.shown, local=True)


def _quoted(path: bytes) -> bytes:
    """An alternates line: C-quoted where the plain path could be taken for something else."""
    if path.isascii() and not set(path) & set(b'"\\\n#') and path.decode().isprintable():
        return path
    return b'"' + b"".join(bytes([c]) if 0x20 <= c < 0x7F and c not in b'"\\' else b"\\%03o" % c for c in path) + b'"'


def _fetch(source: RemoteSource, entry: Path, config: CloneConfig, token: str | None, lock: int) -> str:
    if not (entry / USED).exists():  # never finished: start over
        shutil.rmtree(entry, ignore_errors=True)
        _init(entry)
    for left_over in (entry / "objects" / "pack").glob("tmp_*"):
        left_over.unlink(missing_ok=True)
    for left_over in entry.rglob("*.lock"):  # of a killed git: the flock says that none is alive
        left_over.unlink(missing_ok=True)
    command = [
        "git", "--git-dir", str(entry), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
        "--no-write-fetch-head", "--no-auto-maintenance", "--update-head-ok", "--end-of-options",
        source.url, f"+HEAD:{TIP}",
    ]  # fmt: skip
    env = environment(source.url, token, entry)
    failure = run_bounded(command, env, entry, config.timeout_seconds, config.max_bytes, (lock,))
    if failure is not None:
        first = not (entry / USED).exists()
        if first:
            shutil.rmtree(entry, ignore_errors=True)
        raise _explained(failure, source, token)
    if (entry / "shallow").exists():
        shutil.rmtree(entry, ignore_errors=True)
        where = f"repository {printable(source.shown)}"
        raise RefusedSource(f"{where}: it is shallow at its origin; clone its parent", "shallow")
    with git.Repo(entry) as repository:
        return str(SymbolicReference.dereference_recursive(repository, TIP))


def run_bounded(
    command: list[str],
    env: dict[str, str],
    folder: Path,
    timeout_seconds: float,
    max_bytes: int,
    pass_fds: tuple[int, ...] = (),
) -> str | None:
    """Run git; kill its process group when time or `folder`'s size runs out, or we are interrupted.

    `pass_fds` holds a lock that git inherits: if this process is killed, the lock lasts until git has
    ended too. Returns None on success, else why not: 'timeout …', 'too-large …', or what git said.
    """
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True, pass_fds=pass_fds,
    )  # fmt: skip
    assert process.stderr is not None
    said: list[bytes] = []
    reader = threading.Thread(target=_drain, args=(process.stderr, said), daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout_seconds
    verdict = None
    try:
        while process.poll() is None:
            if time.monotonic() > deadline:
                verdict = f"timeout after {timeout_seconds:.0f} s"
            elif folder_bytes(folder) > max_bytes:
                verdict = f"too-large: more than {max_bytes:,} bytes"
            if verdict:
                break
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
        lines = [line for line in b"".join(said).decode("utf-8", "replace").splitlines() if line.strip()]
        # git's last line is often advice; the first 'fatal:' or 'error:' says what happened
        told = next((ln for ln in lines if ln.startswith(("fatal:", "error:", "ERROR:"))), None)
        verdict = (told or (lines[-1] if lines else f"git exit code {process.returncode}")).strip()
    return verdict


def _drain(stream: IO[bytes], said: list[bytes]) -> None:
    while chunk := os.read(stream.fileno(), 4096):
        if len(said) < 64:
            said.append(chunk)


def environment(url: str, token: str | None, home: Path) -> dict[str, str]:
    """The environment git runs in: nothing of the host's configuration, no prompts, the token for its host alone."""
    env = {name: os.environ[name] for name in _PASSED if name in os.environ}
    ssh = url.startswith("ssh:")
    scheme = url.split(":", 1)[0]
    env |= {
        "HOME": os.environ.get("HOME", "/") if ssh else str(home), "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false", "SSH_ASKPASS": "false", "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": scheme, "GIT_LFS_SKIP_SMUDGE": "1", "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oPermitLocalCommand=no",
    }  # fmt: skip
    if token and (scheme == "https" or (scheme == "http" and loopback(urlsplit(url).hostname or ""))):
        env |= _credential(url, token)
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


def _explained(failure: str, source: RemoteSource, token: str | None) -> SourceError:
    text = failure.replace(token, "***") if token else failure
    low, where = text.lower(), f"repository {printable(source.shown)}"
    rule = ""  # of a refusal; what may pass by itself has none
    if "couldn't find remote ref head" in low:
        why, rule = "no commits yet (empty repository)", "empty"
    elif low.startswith("timeout"):
        why = f"{text}; allow more: --timeout SECONDS"
    elif low.startswith("too-large"):
        why, rule = f"{text}; allow more: --max-clone-bytes BYTES", "too-large"
    elif any(sign in low for sign in ("could not read username", "askpass", "authentication failed", "error: 401")):
        why, rule = "not found, or private: set GITHUB_TOKEN, or check the address", "not-found"
    elif "not found" in low or "does not appear to be a git repository" in low:
        why, rule = f"not found; check the address with: git ls-remote {source.url}", "not-found"
    else:
        why = f"cannot be fetched ({printable(text)[1:-1]}); check with: git ls-remote {source.url}"
    return RefusedSource(f"{where}: {why}", rule) if rule else FetchError(f"{where}: {why}")


def _init(folder: Path) -> None:
    """A bare repository without template (no hooks), with our configuration alone. Raises WarehouseError."""
    try:
        for part in ("objects/info", "objects/pack", "refs/heads", "info"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "HEAD").write_text(f"ref: {TIP}\n")
        # attributes for the case that a tool diffs in here: no filters, no drivers
        (folder / "info" / "attributes").write_text("* -text -filter -diff -merge -ident\n")
        with git.GitConfigParser(str(folder / "config"), read_only=False) as config:
            for section, values in _CONFIG.items():
                for name, value in values.items():
                    config.set_value(section, name, value)
    except OSError as error:
        raise WarehouseError(f"clone cache {folder}: {error.strerror}; choose another: --cache DIR") from error


def _set_tip(folder: Path, sha: str) -> None:
    (folder / TIP).write_text(sha + "\n")


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


def evict(cache: Path, budget: int, *, keep: str = "") -> list[str]:
    """Remove least recently used clones until the cache holds at most `budget` bytes; those in use stay.

    Returns the removed entries' names.
    """
    entries = []
    for entry in cache.glob("*.git"):
        used = entry / USED
        entries.append((used.stat().st_mtime if used.exists() else 0.0, entry.name, folder_bytes(entry)))
    held = sum(size for _, _, size in entries)
    removed: list[str] = []
    for _, name, size in sorted(entries):
        if held <= budget:
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
        held -= size
    return removed
