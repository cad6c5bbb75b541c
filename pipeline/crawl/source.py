"""What a user or a crawl names as a repository: a folder or a URL, checked before git sees it.

    'path/to/folder'                   -> LocalSource
    'https://github.com/owner/name'    -> RemoteSource('owner/name', ...)

Nothing here touches the network. A source is untrusted: options, helpers (`ext::`), control characters, credentials and
protocols that were not asked for are refused with one line.
"""

import ipaddress
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from schema.errors import ConfigError, SourceError

PROTOCOLS = ("https", "ssh", "file", "http")
_SCP = re.compile(r"(?P<user>[\w.-]+)@(?P<host>[A-Za-z0-9][\w.-]*):(?P<path>[^:].*)")
_HELPER = re.compile(r"([A-Za-z0-9+.-]+)::")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]")
# folder names that say nothing: their parent's name is put before them
_GENERIC = frozenset(
    [
        "bare",
        "checkout",
        "clone",
        "code",
        "git",
        "main",
        "master",
        "mirror",
        "repo",
        "repository",
        "source",
        "src",
        "trunk",
    ]
)


class RefusedSource(SourceError):
    """A repository that its host does not give out, or that is no use; `rule` is the drop's fixed word."""

    def __init__(self, message: str, rule: str) -> None:
        super().__init__(message)
        self.rule = rule

    def __reduce__(self) -> tuple[type["RefusedSource"], tuple[str, str]]:
        return type(self), (str(self), self.rule)


class LocalSource(NamedTuple):
    """A folder on this machine, used in place and never written to."""

    repo_id: str
    path: Path
    shown: str  # the folder's name: a full path would tell who harvested


class RemoteSource(NamedTuple):
    """A URL that may be fetched; `shown` is what the warehouse stores."""

    repo_id: str
    url: str
    shown: str


Source = LocalSource | RemoteSource


def parse_source(text: str, *, protocols: tuple[str, ...] = ("https",), http_hosts: tuple[str, ...] = ()) -> Source:
    """Decide what `text` names. `http_hosts`: hosts besides loopback that plain http may be used with.

    Raises SourceError on anything that is neither a folder nor a URL of an allowed protocol.
    """
    shown = printable(text)
    if not text.strip():
        raise SourceError("repository '': empty; pass a folder or a URL: --repo https://github.com/owner/name")
    if helper := _HELPER.match(text):
        raise SourceError(f"repository {shown}: remote helper {helper[1]!r} is never run; use an https:// URL")
    if "://" in text:
        return _remote(text, shown, protocols, http_hosts)
    if Path(text).is_dir():
        path = Path(text).resolve()
        return LocalSource(local_id(path), path, safe_name(path.name))
    if scp := _SCP.fullmatch(text):
        return _remote(f"ssh://{scp['user']}@{scp['host']}/{scp['path']}", shown, protocols, http_hosts)
    kind = "not a folder" if Path(text).exists() else "no such folder"
    hint = (
        f"https://github.com/{text}"
        if re.fullmatch(r"[\w-]+/[\w.-]+", text, re.ASCII)
        else "https://github.com/owner/name"
    )
    raise SourceError(f"repository {shown}: {kind}; for a URL write it whole: --repo {hint}")


def _remote(text: str, shown: str, protocols: tuple[str, ...], http_hosts: tuple[str, ...]) -> RemoteSource:
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text or text.startswith("-"):
        raise SourceError(f"repository {shown}: not a URL; percent-encode what is not plain ASCII")
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise SourceError(f"repository {shown}: not a URL; expected https://host/owner/name") from None
    scheme = url.scheme.lower()
    if scheme not in PROTOCOLS:
        raise SourceError(f"repository {shown}: protocol {scheme!r} is never used; use an https:// URL")
    if scheme == "file":
        if "file" not in protocols:
            raise SourceError(f"repository {shown}: pass the folder itself, or allow it: --protocol file")
        folder = Path(unquote(url.path))
        return RemoteSource(local_id(folder), text, safe_name(folder.name))
    if url.password is not None or (url.username is not None and scheme != "ssh"):
        raise SourceError(
            f"repository {scheme}://{host}{printable(url.path)}: credentials in a URL end up in logs; "
            "remove them and set GITHUB_TOKEN"
        )
    where = f"[{host}]" if ":" in host else host
    if not _HOST.fullmatch(where) or (url.username or "").startswith("-"):
        raise SourceError(f"repository {shown}: not a host name: {printable(host)}")
    if url.query or url.fragment:
        raise SourceError(f"repository {shown}: a URL to clone has no '?' or '#'")
    if scheme == "http":
        if not (loopback(host) or host in http_hosts):
            raise SourceError(
                f"repository {shown}: plain http is for this machine only; use https://, "
                f"or list the host: --http-host {host}"
            )
    elif scheme not in protocols:
        raise SourceError(f"repository {shown}: {scheme} was not asked for; allow it: --protocol {scheme}")
    parts = [part for part in unquote(url.path).split("/") if part]
    if not parts or any(part in (".", "..") or part.startswith("-") for part in parts):
        raise SourceError(f"repository {shown}: no repository in it; expected https://host/owner/name")
    parts[-1] = parts[-1].removesuffix(".git")
    repo_id = "/".join(safe_name(part) for part in parts[-2:])
    user = f"{url.username}@" if url.username else ""
    address = where if port is None else f"{where}:{port}"
    clean = f"{scheme}://{user}{address}{url.path}"
    return RemoteSource(repo_id, clean, clean.replace(user, "", 1) if user else clean)


def checked_name(name: str) -> str:
    """A name chosen for a repository: NAME or OWNER/NAME, of the characters that ids have. Raises ConfigError."""
    parts = name.split("/")
    if len(parts) > 2 or any(part != safe_name(part) for part in parts):
        raise ConfigError(f"--name {printable(name)}: write NAME or OWNER/NAME of letters, digits and _.+@- alone")
    return name


def same_source(one: Source, other: Source) -> bool:
    """Whether two sources are one repository, named twice: one folder, or one URL with and without '.git'."""
    if isinstance(one, RemoteSource) and isinstance(other, RemoteSource):
        return one.url.rstrip("/").removesuffix(".git") == other.url.rstrip("/").removesuffix(".git")
    return one == other


def local_id(path: Path) -> str:
    """A folder's id: its name without '.git'; after its parent's name if the name says nothing ('repo').

    >>> local_id(Path('/home/me/click')), local_id(Path('/data/click/repo')), local_id(Path('/data/click.git'))
    ('click', 'click/repo', 'click')
    """
    path = path.parent if path.name == ".git" else path
    name = safe_name(path.name.removesuffix(".git"))
    return f"{safe_name(path.parent.name)}/{name}" if name.lower() in _GENERIC else name


def safe_name(text: str) -> str:
    """`text` as part of a file name or SQL value: letters, digits and `_.+@-`; never empty, never dots alone."""
    name = re.sub(r"[^\w.+@-]+", "-", text.encode("utf-8", "replace").decode()).strip("-")[:100]
    return name if name.strip(".") else "unnamed"


def printable(text: str) -> str:
    """`text` quoted for one line of a terminal: no control characters, credentials of a URL hidden."""
    hidden = re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
    shown = hidden if hidden.isprintable() else ascii(hidden)[1:-1]
    return f"'{shown if len(shown) <= 200 else shown[:197] + '...'}'"


def loopback(host: str) -> bool:
    """Whether `host` is this machine: 'localhost', 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
