"""Whether a repository's stream grows, or is filmed anew, or is another repository's.

What was filmed stays, in its order; new commits come behind it (`pipeline.git.order.continued`). A stream is filmed
anew, and the harvest says why, in these cases alone:

- the history has new commits and lacks filmed ones: it was rewritten, or another branch is checked out;
- commits were stepped over because the clone lacked file contents, and these have come;
- the user asks for another history in its place.

Only a history that still holds the stream's first commit, a root, may take its place unasked, and none from another
URL. Any other one of the same name is refused: two folders or two hosts may well give their repositories one name.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pipeline.crawl.clone import Clone
from pipeline.git.checkout_rules import MISSING
from pipeline.git.history import walk
from pipeline.git.objects import Blobs
from pipeline.git.order import continued
from pipeline.messages import printable
from pipeline.script.commit import Workspace, is_missing
from pipeline.shards.manifest import same_place
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from schema.config import ReplayConfig
from schema.errors import SourceError
from schema.manifest import Manifest


class Present(NamedTuple):
    """A repository as it is now: how the user named it, its clone, and its history's order."""

    named: str
    clone: Clone
    commits: list[str]


def filmed(store: Store, stream: Manifest) -> dict[str, str | None]:
    """The stream's commits in order, each with why it was stepped over, if it was.

    Raises CorruptError, SchemaVersionError, WarehouseError.
    """
    return dict(StreamReader(store, stream).commits())


def outdated(store: Store, stream: Manifest, present: Present, config: ReplayConfig, *, replace: bool = False) -> str:
    """Why the stream cannot be continued and is filmed anew; empty where it can.

    `replace`: this history may take the place of whatever has its name. Raises SourceError for another repository's
    stream, and what `filmed` raises.
    """
    known, now = filmed(store, stream), set(present.commits)
    if continued(list(known), present.commits) is None:
        first = next(iter(known))
        if first not in now or same_place(stream.source, present.clone.shown) is False:
            if not replace:
                raise _another(stream, first, present)
            return "it takes the place of another history's film, as asked for"
        lost = next(commit for commit in reversed(known) if commit not in now)
        return (
            f"commit {lost[:12]}, filmed before, is no longer in HEAD's history: "
            "that was rewritten, or another branch is checked out"
        )
    missing = [commit for commit, reason in known.items() if reason == MISSING]
    if missing and now.issuperset(known) and _any_came(missing, present, config):
        return "file contents that this clone lacked before have come"
    return ""


def behind(known: Collection[str], present: Present) -> str:
    """A message where HEAD was moved back and nothing is new; empty where HEAD has all that was filmed."""
    shared = len(set(known) & set(present.commits))
    if shared == len(known):
        return ""
    return (
        f"HEAD's history has {shared:,} of the {len(known):,} commits filmed before and no other one: the film is kept"
    )


def _any_came(missing: Sequence[str], present: Present, config: ReplayConfig) -> bool:
    """Whether one of these commits, stepped over because the clone lacked files, lacks none now."""
    clone = present.clone
    with Blobs(clone.repository) as blobs:
        workspace = Workspace(config)
        walked = walk(blobs, tip=clone.tip, commits=missing, max_bytes=0)  # no content is wanted
        return any(not is_missing(commit, workspace) for commit in walked)


def _another(stream: Manifest, first: str, present: Present) -> SourceError:
    name, named, theirs = stream.repo_id, printable(present.named), stream.source or "an unknown source"
    if first in present.commits:
        whose = f"{theirs}, and the two histories have parted"
    else:
        whose = f"{theirs}, another history, whose root is {first[:12]}"
    return SourceError(
        f"repository {named} (root {present.commits[0][:12]}): the warehouse's {name!r} is the film of {whose}; "
        f"film this one under a name of its own: --repo {named} --name NAME; "
        f"or, if it is the same repository with a new root, let it replace that film: --replace {name}"
    )
