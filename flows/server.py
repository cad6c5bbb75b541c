"""Prefect's API for one command: the one that is named and answers, else an own one that ends with the command.

Prefect's server-less mode is off as soon as a `prefect.toml` names an address; this module makes no difference between
the two. The own server keeps its database in a temporary folder, so that parallel commands never meet, and is killed by
the kernel if the command is (on Linux): a crash leaves nothing behind.

    python -m flows.server PORT PARENT      the server's own process
"""

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pipeline.temporary import temporary_folder
from schema.errors import ConfigError

START_SECONDS = 180.0
_PR_SET_PDEATHSIG = 1
_QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
    "DO_NOT_TRACK": "1",
}


@contextmanager
def prefect_api(meanwhile: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Yield the API's address; call it before anything imports prefect.

    An address in PREFECT_API_URL is used if it answers; otherwise a server of our own is started for this block,
    whatever `prefect.toml` says. Child processes inherit the address. `meanwhile` (an import, say) runs while the
    server starts. Raises ConfigError when it does not start.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    named = os.environ.get("PREFECT_API_URL", "")
    if named and answers(named):
        yield named
        return
    with temporary_folder("prefect") as folder:
        home, database, template = str(folder), folder / "prefect.db", _template()
        if template.exists():
            shutil.copyfile(template, database)
        port = free_port()
        address = f"http://127.0.0.1:{port}/api"
        os.environ |= {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
            "PREFECT_HOME": home,
            "PREFECT_API_URL": address,
        }
        server = start_server(port, home)
        try:
            meanwhile()
            wait_for(server, address, folder / "server.log")
            _remember(database, template)
            yield address
        finally:
            os.environ["PREFECT_API_URL"] = named
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.terminate()
                server.wait(3)
            server.kill()
            server.wait()


def start_server(port: int, home: str) -> subprocess.Popen[bytes]:
    """Start Prefect's server in a process group of its own: Ctrl-C reaches us first."""
    with (Path(home) / "server.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flows.server", str(port), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
            env=os.environ | {"PREFECT__SERVER_EPHEMERAL": "1"},
        )


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Until it answers. Raises ConfigError with the last line that it wrote."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(address):
        if server.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ConfigError(f"Prefect's server did not start ({lines[-1]}); see what it says: prefect server start")
        time.sleep(0.1)


def answers(address: str, seconds: float = 3.0) -> bool:
    """Whether a Prefect API answers at `address` ('http://127.0.0.1:4200/api')."""
    try:
        with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=seconds) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _template() -> Path:
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


def main(port: int, parent: int) -> None:
    """Serve until told to end, or until the parent process is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    import uvicorn

    application = "prefect.server.api.server:create_app"
    uvicorn.run(application, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m flows.server", description="Started by flows.harvest itself.")
    arguments.add_argument("port", type=int, help="of the loopback interface")
    arguments.add_argument("parent", type=int, help="process id; the server ends with it")
    main(**vars(arguments.parse_args()))
