"""Which flow runs live on this host: one whose process was killed would stay 'Running' in Prefect for ever.

The process of a deployment's run holds a lock on a small file, which the kernel lets go of however the process ends;
the next `python -m flows.serve`, and the next run of a deployment on this host, marks in Prefect those that did not end
by themselves, and of their tasks.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import Crashed

PAGE = 200  # Prefect's own limit
_held: list[IO[str]] = []  # open until this process ends; a POSIX lock is not inherited by its workers


def folder() -> Path:
    """Where this host's runs are noted: a file a run, named by its id, holding the API's address."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "gitreel" / "runs"


def hold(run: str) -> None:
    """Note that this process executes a flow run, until it ends. Without a place to write, nothing is noted."""
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        file = (folder() / run).open("w", encoding="utf-8")
        fcntl.lockf(file, fcntl.LOCK_EX)  # `mark_crashed` of another run may hold it for a moment
        file.write(_address())
        file.flush()
        _held.append(file)


def mark_crashed() -> list[str]:
    """Mark the runs whose processes are gone, and which Prefect still shows as running, as crashed; their names."""
    marked = []
    with get_client(sync_client=True) as client:
        for note in _left():
            try:
                run = client.read_flow_run(UUID(note.name))
            except ObjectNotFound:
                note.unlink(missing_ok=True)
                continue
            message = "This run was killed, or its server ended first; run it again, and it goes on where it was."
            for task in _unfinished_tasks(client, run.id):  # Prefect's runner, if it lived on, told of the run alone
                client.set_task_run_state(task, Crashed(message=message), force=True)
            if run.state is not None and not run.state.is_final():
                client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                marked.append(run.name)
            note.unlink(missing_ok=True)
    return marked


def _unfinished_tasks(client: SyncPrefectClient, run: UUID) -> list[UUID]:
    """Task runs of a flow run that have not ended."""
    mine = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    found: list[TaskRun] = []
    while page := client.read_task_runs(flow_run_filter=mine, limit=PAGE, offset=len(found)):
        found += page
    return [task.id for task in found if task.state is None or not task.state.is_final()]


def _left() -> list[Path]:
    """Notes of runs, known to this API, whose processes are gone."""
    left = []
    for note in sorted(folder().glob("*")):
        with note.open("r+", encoding="utf-8") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # it lives
                continue
            if file.read() == _address():
                left.append(note)
    return left


def _address() -> str:
    return get_current_settings().api.url or ""
