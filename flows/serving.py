"""One `flows.serve` at a time at one Prefect API: a second one would rewrite the first one's deployments.

Who serves is noted in the API, as a Prefect variable: host, process and moment. A note holds while its process lives:
on this host that is looked up; on another one, while the deployments are polled for runs, which a server notes, too.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.variables import Variable
from pydantic import BaseModel, ValidationError

from schema.errors import ConfigError

NAME = "gitreel_served_by"
DEPLOYMENTS = ("harvest/github", "harvest/local")
POLLED_SECONDS = 60.0  # a runner polls every 10 s


class Note(BaseModel):
    """Who serves the deployments."""

    host: str
    process: int
    since: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


@contextmanager
def only_one() -> Iterator[None]:
    """Note in the API that this process serves, until the block ends.

    Raises ConfigError where another process does, or workers of a work pool do.
    """
    own = Note(host=socket.gethostname(), process=os.getpid(), since=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
    _refuse(_noted(), own)
    for deployment in _deployments():
        if deployment.work_pool_name:
            raise ConfigError(
                f"flows.serve: harvest/{deployment.name} belongs to the work pool {deployment.work_pool_name!r}; start "
                f"workers: prefect worker start --pool {deployment.work_pool_name}, or remove the deployment: prefect "
                f"deployment delete harvest/{deployment.name}"
            )
    Variable.set(NAME, own.model_dump(), overwrite=True)
    _refuse(_noted(), own)  # of two that came at the same moment, the later note stays
    try:
        yield
    finally:
        if _noted() == own:
            Variable.unset(NAME)


def _refuse(other: Note | None, own: Note) -> None:
    if other and other != own and _alive(other):
        raise ConfigError(
            f"flows.serve: {' and '.join(DEPLOYMENTS)} are served already, by {other}; end that one first, or serve at "
            "another Prefect server: PREFECT_API_URL=http://HOST:PORT/api"
        )


def _noted() -> Note | None:
    value = Variable.get(NAME)
    try:
        return Note.model_validate(value) if value else None
    except ValidationError:  # not ours
        return None


def _alive(note: Note) -> bool:
    if note.host != socket.gethostname():
        now = datetime.now(UTC)
        polled = [deployment.last_polled for deployment in _deployments() if not deployment.paused]
        return any(moment and (now - moment).total_seconds() < POLLED_SECONDS for moment in polled)
    try:
        os.kill(note.process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    command = Path(f"/proc/{note.process}/cmdline")
    return not command.exists() or b"flows.serve" in command.read_bytes()  # else the number was given to another one


def _deployments() -> list[DeploymentResponse]:
    found = []
    with get_client(sync_client=True) as client:
        for name in DEPLOYMENTS:
            try:
                found.append(client.read_deployment_by_name(name))
            except ObjectNotFound:
                continue
    return found
