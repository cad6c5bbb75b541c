"""What a flow run is called: what it films, for whoever looks at a list of runs.

github: search=lume                      local: click, flask and 3 more
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipeline.crawl.search import DEFAULT
from pipeline.crawl.source import parse_source
from pipeline.messages import printable
from schema.errors import SourceError

SHOWN = 2  # repositories or owners; of more, their number
LONGEST = 120  # characters
_CRITERIA = ("search", "languages", "min_stars", "max_stars", "pushed_since")


def github_name(parameters: Mapping[str, Any]) -> str:
    """The name of a run of `harvest_github` with these parameters."""
    query = parameters.get("query") or {}
    said = query.model_dump(exclude_unset=True) if isinstance(query, BaseModel) else dict(query)
    asked = {**parameters, **said}
    parts = [f"{name}={_value(asked[name])}" for name in _CRITERIA if asked.get(name) not in (None, "", (), [])]
    owners = [*(asked.get("organisations") or ()), *(asked.get("users") or ())]
    named = [name.strip("/").removesuffix(".git").split("://")[-1] for name in asked.get("repositories") or ()]
    named = ["/".join(name.split("/")[-2:]) for name in named]
    parts += [_some(names) for names in (named, [f"{owner}/*" for owner in owners]) if names]
    if file := asked.get("repositories_file"):
        parts.append(f"list {Path(file).name}")
    return _line("github", " ".join(parts) or _some(list(DEFAULT)))


def local_name(parameters: Mapping[str, Any]) -> str:
    """The name of a run of `harvest_local` with these parameters."""
    return _line("local", _some([_short(text) for text in parameters.get("repositories") or ["."]]))


def _short(text: str) -> str:
    try:
        return parse_source(text, protocols=("https", "ssh", "file"), http_hosts=()).repo_id
    except SourceError:  # the run itself says so
        return printable(text.rstrip("/").rsplit("/", 1)[-1])[1:-1]


def _some(names: list[str]) -> str:
    shown = names[: SHOWN if len(names) > SHOWN + 1 else SHOWN + 1]
    if len(shown) == len(names):
        return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"


def _value(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)


def _line(kind: str, text: str) -> str:
    """Without control characters, nor brackets: `--watch` takes those for markup."""
    text = "".join(c if c.isprintable() else " " for c in text).replace("[", "(").replace("]", ")")
    name = f"{kind}: {' '.join(text.split())}"
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
