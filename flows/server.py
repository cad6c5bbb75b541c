"""Prefect's API for one command: the one that is named and answers, else an own one that ends with the command.

The own server keeps its database in a temporary folder, so that parallel commands do not share one, and is killed by
the kernel if the command is (on Linux): a crash leaves nothing behind.

    python -m flows.server PORT PARENT      the server's own process
"""

import argparse
import contextlib
import ctypes
import importlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from flows import address
from pipeline.temporary import temporary_folder
from schema.errors import ConfigError, clear_errors

START_SECONDS = 180.0
_PR_SET_PDEATHSIG = 1
_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # runs are logged in the API, for the UI
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
    # said by a process of Python's own when we end at once
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker",
}


@contextmanager
def prefect_api(meanwhile: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Yield the API's address; call it before anything imports prefect.

    A named address is used if it answers; otherwise a server of our own is started for this block. Child processes
    inherit the address. `meanwhile` (an import, say) runs while the server starts. Raises ConfigError when it does not
    start.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    named = address.named()
    if named and address.answers(named.url):
        with _environment(PREFECT_API_URL=named.url), _delivered():
            meanwhile()
            yield named.url
        return
    with temporary_folder("prefect") as folder:
        database, template, port = folder / "prefect.db", empty_database(), free_port()
        if template.exists():
            shutil.copyfile(template, database)
        url = f"http://127.0.0.1:{port}/api"
        with _environment(
            PREFECT_SERVER_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{database}",
            PREFECT_HOME=str(folder),
            PREFECT_API_URL=url,
        ):
            server = start_server(port, folder)
            try:
                with _delivered():
                    meanwhile()
                    wait_for(server, url, folder / "server.log")
                    _remember(database, template)
                    yield url
            finally:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.terminate()
                    server.wait(3)
                server.kill()
                server.wait()


@contextmanager
def _delivered() -> Iterator[None]:
    """At the end of the block, Prefect sends what it still holds: nothing waits for that when the command ends."""
    try:
        yield
    finally:
        if "prefect" in sys.modules:
            delivery = importlib.import_module("flows.delivery")
            delivery.deliver_events()
            delivery.deliver_logs()


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """The environment with these variables, until the block ends."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start_server(port: int, home: Path) -> subprocess.Popen[bytes]:
    """Start Prefect's server in a process group of its own: Ctrl-C reaches us first."""
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
            env=os.environ | {"PREFECT__SERVER_EPHEMERAL": "1"},
        )


def wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until it answers. Raises ConfigError with the last line that it wrote."""
    deadline = time.monotonic() + START_SECONDS
    while not address.answers(url):
        if server.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ConfigError(f"Prefect's server did not start ({lines[-1]}); see what it says: prefect server start")
        time.sleep(0.1)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def empty_database() -> Path:
    """An empty database of this Prefect version: making one anew takes a third of the server's start."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "gitreel" / f"prefect-{version('prefect')}.db"


def _remember(database: Path, template: Path) -> None:
    if template.exists():
        return
    with contextlib.suppress(OSError, sqlite3.Error):
        template.parent.mkdir(parents=True, exist_ok=True)
        staged = template.with_suffix(f".{os.getpid()}")
        source, copy = sqlite3.connect(database), sqlite3.connect(staged)
        with contextlib.closing(source), contextlib.closing(copy):
            source.backup(copy)
        staged.replace(template)


def serve(port: int, parent: int) -> None:
    """Serve until asked to end, or until the parent process is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    import uvicorn

    application = "prefect.server.api.server:create_app"
    uvicorn.run(application, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """The own process's command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.server", description="Started by flows.harvest itself.")
    parser.add_argument("port", type=int, help="of the loopback interface")
    parser.add_argument("parent", type=int, help="process id; the server ends with it")
    serve(**vars(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
