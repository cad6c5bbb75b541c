"""Where Prefect's API is, found out without importing Prefect, which takes seconds.

    named()          the address that is named, and by what: None without one
    answers(url)     whether a Prefect API answers there

In the order in which Prefect itself looks: PREFECT_API_URL, `prefect.toml` and `pyproject.toml` of this folder, then
the active profile.
"""

import base64
import contextlib
import os
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

DEFAULT = "http://127.0.0.1:4200/api"
FILES = ("prefect.toml", "pyproject.toml")


class Address(NamedTuple):
    """An API's URL, and what names it: 'PREFECT_API_URL', a file, or a profile."""

    url: str
    by: str


def named() -> Address | None:
    """The API that the environment, this folder or the active profile names."""
    if url := os.environ.get("PREFECT_API_URL", "").strip():
        return Address(url, "PREFECT_API_URL")
    for file, table in zip(FILES, ((), ("tool", "prefect")), strict=True):
        if url := _entry(_read(Path(file)), *table, "api", "url"):
            return Address(url, file)
    name, settings = _profile()
    if url := _entry(settings, "PREFECT_API_URL"):
        return Address(url, f"profile {name!r}")
    return None


def answers(url: str, seconds: float = 3.0) -> bool:
    """Whether a Prefect API answers at `url` ('http://127.0.0.1:4200/api'), and not some other server."""
    try:
        request = urllib.request.Request(f"{url.rstrip('/')}/health", headers=_credentials())
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds) as reply:
            return bool(reply.status == 200 and reply.headers.get_content_type() == "application/json")
    except (urllib.error.URLError, OSError, ValueError):
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would take the credentials along to wherever a redirection leads."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def _credentials() -> dict[str, str]:
    """What a Prefect Cloud workspace, or a server behind a password, wants to see; nothing is kept of it."""
    _, settings = _profile()

    def setting(name: str) -> str:
        return os.environ.get(name, "") or _entry(settings, name)

    if key := setting("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := setting("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _profile() -> tuple[str, dict[str, Any]]:
    """The active profile's name and settings."""
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    profiles = _read(Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml"))
    name = os.environ.get("PREFECT_PROFILE") or _entry(profiles, "active")
    found = profiles.get("profiles", {})
    settings = found.get(name, {}) if isinstance(found, dict) else {}
    return name, settings if isinstance(settings, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return tomllib.loads(file.read_text(encoding="utf-8"))
    return {}


def _entry(settings: Any, *names: str) -> str:
    for name in names:
        settings = settings.get(name, "") if isinstance(settings, dict) else ""
    return settings.strip() if isinstance(settings, str) else ""
