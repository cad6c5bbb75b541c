"""What a user or a crawl names as a repository: a folder or a URL, checked before git sees it.

    'path/to/folder'                   -> LocalSource
    'https://github.com/owner/name'    -> RemoteSource('owner/name', ...)

Nothing here touches the network. A source is untrusted: options, helpers (`ext::`), control characters, credentials and
protocols that were not asked for are refused with one line.
"""

import contextlib
import ipaddress
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from pipeline.git.repository import no_folder
from pipeline.messages import denied, pasteable, printable
from schema.errors import ConfigError, SourceError

PROTOCOLS = ("https", "ssh", "file", "http")
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP = re.compile(r"((?P<user>[\w.-]+)@)?(?P<host>\w[\w.-]*|\[[0-9a-fA-F:.]+\]):(?P<path>[^:].*)", re.ASCII)
_TORN = re.compile(r"(https?|ssh|git|file)(:|//)", re.IGNORECASE)  # the start of a URL that lost a sign
_HELPER = re.compile(r"([A-Za-z0-9+.-]+)::")
_HOST = re.compile(r"[A-Za-z0-9_]([\w.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\]", re.ASCII)
_GITHUB = "github.com"
_PLAIN = "/:@+~!$&'()*,;="  # what a path in a URL may hold as it is, besides letters, digits and '-._'
# folder names that say nothing: their parent's name is put before them
_GENERIC = frozenset([
    "bare", "checkout", "clone", "code", "git", "main", "master", "mirror", "repo", "repository", "source", "src",
    "trunk",
])  # fmt: skip


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
    shown: str  # the folder's name: a full path would show who harvested


class RemoteSource(NamedTuple):
    """A URL that may be fetched, as git is given it; `shown` is what the warehouse stores."""

    repo_id: str
    url: str
    shown: str

    @property
    def scheme(self) -> str:
        """'https', 'ssh', 'file' or 'http'; 'ssh' for 'host:path', too."""
        return self.url.partition("://")[0] if "://" in self.url else "ssh"

    @property
    def host(self) -> str:
        """The host of a URL; '' for 'host:path' and for a file."""
        return urlsplit(self.url).hostname or "" if self.scheme in ("https", "http") else ""

    @property
    def folder(self) -> Path | None:
        """The folder of a file:// URL, None for another one."""
        if self.scheme != "file":
            return None
        return Path(os.fsdecode(unquote_to_bytes(self.url.removeprefix("file://"))))


Source = LocalSource | RemoteSource


def parse_source(text: str, *, protocols: tuple[str, ...] = ("https",), http_hosts: tuple[str, ...] = ()) -> Source:
    """Decide what `text` names. `http_hosts`: hosts besides loopback that plain http may be used with.

    Raises SourceError on anything that is neither a folder nor a URL of an allowed protocol.
    """
    if not text.strip():
        raise SourceError("repository '': empty; pass a folder or a URL: --repo https://github.com/owner/name")
    if "://" in text:
        return _remote(text.strip(), protocols, http_hosts)
    if (path := _local(text)) is not None:
        return LocalSource(local_id(path), path, safe_name(path.name))
    shown = printable(text)
    if helper := _HELPER.match(text):
        raise SourceError(f"repository {shown}: remote helper {helper[1]!r} is never run; use an https:// URL")
    if _TORN.match(text):
        raise SourceError(f"repository {shown}: not a URL; one is written with '://', https://github.com/owner/name")
    if scp := _SCP.fullmatch(text):
        return _scp(text, scp["host"], scp["path"], protocols)
    raise SourceError(f"repository {shown}: {_no_folder(text)}")


def _local(text: str) -> Path | None:
    """The folder that `text` names, absolute, as it is named: a link keeps its own name. None if there is none.

    For a `.git` it is the working tree around it.

    Raises SourceError if that may not be seen.
    """
    path = Path(text)
    try:
        if text.startswith("~") and not path.is_dir():
            path = path.expanduser()
        if not path.is_dir():
            return None
        if path.name in ("", ".."):  # '.', '..', '/'
            path = path.resolve()
        elif ".." in path.parts:
            path = path.parent.resolve() / path.name
        path = path.absolute()
        return path.parent if path.name == ".git" else path
    except PermissionError:
        raise SourceError(f"repository {printable(text)}: {denied(path)}") from None
    except FileNotFoundError:
        why = "the folder that this runs in is gone; change into another one"
        raise SourceError(f"repository {printable(text)}: {why}") from None
    except (OSError, RuntimeError, ValueError):  # too long a name, a user without a home, a NUL
        return None


def _no_folder(text: str) -> str:
    """Why a text that is no URL names no folder, and what to write instead."""
    path = Path(text)
    with contextlib.suppress(OSError, ValueError):
        if path.is_file():
            return no_folder(path)
        if path.is_symlink():
            target = printable(os.readlink(path))
            return f"a link to {target}, which leads nowhere; correct the link, or pass another folder"
    kind = "not a folder" if os.path.lexists(path) else "no such folder"
    hint = "https://github.com/owner/name"
    if re.fullmatch(r"[\w-]+/[\w.-]+", text, re.ASCII):
        hint = f"https://github.com/{text}"
    elif re.fullmatch(r"(\w[\w-]*\.)+[a-z]{2,}(/[\w.~-]+){2,}/?", text, re.ASCII):
        hint = f"https://{text}"
    return f"{kind}; for a URL write it whole: --repo {hint}"


def _remote(text: str, protocols: tuple[str, ...], http_hosts: tuple[str, ...]) -> RemoteSource:
    shown = printable(text)
    scheme = text.partition("://")[0].lower()
    if scheme == "file":
        return _file_url(text, shown, protocols)
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text or text.startswith("-"):
        raise SourceError(
            f"repository {shown}: not a URL; percent-encode what is not plain ASCII, and write a host as xn--..."
        )
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise SourceError(f"repository {shown}: not a URL; expected https://host/owner/name") from None
    if scheme not in PROTOCOLS:
        raise SourceError(f"repository {shown}: protocol {scheme!r} is never used; use an https:// URL")
    if url.password is not None or (url.username is not None and scheme != "ssh"):
        raise _credentials(shown)
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
    where = _GITHUB if where == f"www.{_GITHUB}" else where
    parts = [part for part in url.path.split("/") if part]
    repo_id = _remote_id(parts, shown, where)
    user = f"{url.username}@" if url.username else ""
    address = where if port in (None, _DEFAULT_PORTS[scheme]) else f"{where}:{port}"
    path = "/".join(parts)
    return RemoteSource(repo_id, f"{scheme}://{user}{address}/{path}", f"{scheme}://{address}/{path}")


def _scp(text: str, host: str, path: str, protocols: tuple[str, ...]) -> RemoteSource:
    """'user@host:path', which git is given as it is: a path without '/' before it starts in the user's home there."""
    shown = printable(text)
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise SourceError(f"repository {shown}: no such folder, and not a URL either")
    if "@" in path.partition("/")[0]:  # 'user:password@host/path'
        raise _credentials(shown)
    if "ssh" not in protocols:
        raise SourceError(f"repository {shown}: no such folder; for host:path by ssh, allow it: --protocol ssh")
    parts = [part for part in path.split("/") if part]
    return RemoteSource(_remote_id(parts, shown, host), text, f"ssh://{host}/{'/'.join(parts)}")


def _file_url(text: str, shown: str, protocols: tuple[str, ...]) -> RemoteSource:
    """A folder's URL; '#' and '?' are part of its path, since git takes them so."""
    host, slash, rest = text[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash or not rest.strip("/"):
        raise SourceError(f"repository {shown}: no folder of this machine; expected file:///path/to/folder")
    path = unquote_to_bytes(os.fsencode(f"/{rest}"))
    folder = Path(os.fsdecode(path))
    if "file" not in protocols:
        why = f"pass the folder itself: --repo {pasteable(folder)}, or allow it: --protocol file"
        raise SourceError(f"repository {shown}: {why}")
    return RemoteSource(local_id(folder), f"file://{quote(path, safe=_PLAIN)}", _folder_name(folder))


def _credentials(shown: str) -> SourceError:
    return SourceError(f"repository {shown}: credentials in a URL end up in logs; remove them and set GITHUB_TOKEN")


def _remote_id(parts: list[str], shown: str, host: str) -> str:
    """'owner/name' of a URL's path. Raises SourceError where there is none."""
    names = [unquote(part) for part in parts]
    if not names or any(name in (".", "..") or name.startswith("-") or "/" in name for name in names):
        raise SourceError(f"repository {shown}: no repository in it; expected https://host/owner/name")
    if host == _GITHUB and len(names) != 2:
        page = f"https://github.com/{'/'.join(parts[:2])}" if len(parts) > 2 else "https://github.com/owner/name"
        raise SourceError(f"repository {shown}: not a repository's own address; write: --repo {page}")
    names[-1] = names[-1].removesuffix(".git")
    return "/".join(safe_name(name) for name in names[-2:])


def checked_name(name: str) -> str:
    """A name chosen for a repository: NAME or OWNER/NAME, of the characters that ids have. Raises ConfigError."""
    parts = name.split("/")
    if len(parts) > 2 or any(part != safe_name(part) for part in parts):
        raise ConfigError(f"--name {printable(name)}: write NAME or OWNER/NAME of letters, digits and _.+@- alone")
    return name


def same_source(one: Source, other: Source) -> bool:
    """Whether two sources are one repository, named twice: one folder, or one URL with and without '.git'."""
    if isinstance(one, RemoteSource) and isinstance(other, RemoteSource):
        return one.url.removesuffix(".git") == other.url.removesuffix(".git")
    if isinstance(one, LocalSource) and isinstance(other, LocalSource):
        return one.path.resolve() == other.path.resolve()
    return False


def local_id(path: Path) -> str:
    """A folder's id: its name without '.git'; after its parent's name if the name says nothing ('repo').

    >>> local_id(Path('/home/me/click')), local_id(Path('/data/click/repo')), local_id(Path('/data/click.git'))
    ('click', 'click/repo', 'click')
    """
    path = path.parent if path.name == ".git" else path
    name = safe_name(path.name.removesuffix(".git"))
    return f"{safe_name(path.parent.name)}/{name}" if name.lower() in _GENERIC else name


def _folder_name(path: Path) -> str:
    """What the warehouse stores of a folder: its name, that of the working tree for a `.git`."""
    return safe_name((path.parent if path.name == ".git" else path).name)


def safe_name(text: str) -> str:
    """`text` as part of a file name or SQL value: letters, digits and `_.+@-`; never empty, never dots alone."""
    name = re.sub(r"[^\w.+@-]+", "-", text.encode("utf-8", "replace").decode()).strip("-")[:100]
    return name if name.strip(".") else "unnamed"


def loopback(host: str) -> bool:
    """Whether `host` is this machine: 'localhost', 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
