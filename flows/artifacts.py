"""What a flow run leaves in Prefect's UI, and what it takes from it: artifacts, events, and the token's Secret block.

`prefect deployment run … --watch` shows events and, as Prefect comes, no log: what a run waits for, or why it failed,
is therefore an event (`announce`), beside the line in the log.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)  # fmt: skip
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.events import emit_event
from prefect.exceptions import CancelledRun, FailedRun, PrefectException
from prefect.logging import get_run_logger
from prefect.utilities.asyncutils import run_coro_as_sync

from flows.status import done_share, status_markdown
from pipeline.harvester import HarvestConfig, Outcome
from pipeline.pool import run
from pipeline.pool.overview import Overview, observed
from pipeline.pool.status import StatusFolder
from pipeline.shards.manifest import load
from pipeline.shards.store import Store
from schema.errors import GitreelError
from schema.manifest import MANIFEST, stream_folder

SECRET = "github-token"
REFRESH_SECONDS = 5.0
STATUS_SECONDS = 30.0


def github_token() -> str | None:
    """GITHUB_TOKEN, else the Secret block 'github-token', else None. Never logged, never a parameter."""
    if token := run.github_token():
        return token
    try:
        block = run_coro_as_sync(Secret.aload(SECRET))
    except (ValueError, PrefectException, OSError):
        return None
    return (str(block.get()) or None) if block is not None else None


def announce(line: str, kind: Literal["waiting", "failed"] = "waiting") -> None:
    """Log a line within a run, and show it to whoever watches, as an event 'gitreel.waiting' or 'gitreel.failed'."""
    get_run_logger().warning(line)
    # `--watch` prints an event's resource by its name, and takes what is in brackets for markup
    name = line.replace("[", "(").replace("]", ")")
    emit_event(f"gitreel.{kind}", {"prefect.resource.id": f"gitreel.{kind}", "prefect.resource.name": name})


class _InALine(logging.Filter):
    """A repository that cannot be filmed is no fault of the program: its one line says all, a traceback nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, GitreelError):
            record.exc_info = None
        # what Prefect's engine says after a flow has ended as failed or cancelled, which is told already
        return not isinstance(error, FailedRun | CancelledRun)


for _name in ("prefect.task_runs", "prefect.flow_runs", "prefect.engine"):
    logging.getLogger(_name).addFilter(_InALine())


@contextmanager
def progress(status: StatusFolder, named: Sequence[str]) -> Iterator[None]:
    """Two artifacts, refreshed until the block ends: the share of the commits walked, and how the harvest is doing."""
    bar = cast("UUID", create_progress_artifact(0.0, key="harvest-progress", description="Commits walked"))
    words = "Rate, time left, and failures by reason"
    table = cast("UUID", create_markdown_artifact("Just begun.", key="harvest-status", description=words))
    share = refreshed = 0.0

    def show(now: Overview, last: bool) -> None:
        nonlocal share, refreshed
        if (done := 100.0 if last else 100.0 * done_share(now)) > share:
            share = done
            update_progress_artifact(bar, share)
        if last or now.seconds - refreshed >= STATUS_SECONDS:
            refreshed = now.seconds
            update = ArtifactUpdate(data=status_markdown(now, last=last))
            get_client(sync_client=True).update_artifact(artifact_id=table, artifact=update)

    with observed(status, named, show, REFRESH_SECONDS):
        yield


def publish(outcomes: Sequence[Outcome], config: HarvestConfig) -> None:
    """The summary table, drops by reason, and one frame of the film."""
    rows = [
        {
            "repository": o.repo_id, "status": o.status, "episodes": o.episodes, "steps": o.steps,
            "new steps": o.new_steps, "bytes": o.bytes, "seconds": o.seconds, "reason": o.reason,
        }
        for o in outcomes
    ]  # fmt: skip
    create_table_artifact(rows, key="harvest-summary", description="One row a repository")
    drops: Counter[str] = Counter()
    for outcome in outcomes:
        drops.update(outcome.drops)
    dropped = [{"dropped": rule, "count": count} for rule, count in drops.most_common()]
    create_table_artifact(dropped, key="harvest-drops", description="Not filmed, and why")
    if frame := sample_frame(outcomes, config):
        create_markdown_artifact(frame, key="harvest-frame", description="A screen of the film")


def sample_frame(outcomes: Sequence[Outcome], config: HarvestConfig) -> str:
    """The last screen of the first stream, as Markdown; empty when nothing was filmed."""
    store = Store(config.warehouse)
    for outcome in outcomes:
        if outcome.steps:
            manifest = load(store, f"{stream_folder(outcome.repo_id)}/{MANIFEST}")
            if manifest and manifest.resume:
                lines = "\n".join("    " + row for row in manifest.resume.final_frame)
                return f"{outcome.repo_id}, after commit {manifest.resume.commit[:12]}:\n\n{lines}\n"
    return ""
