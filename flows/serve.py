"""Serve the deployments harvest/github and harvest/local: `python -m flows.serve`.

Starts a Prefect server when none answers at the configured address (`prefect.toml` names it for every command run in
this folder), and ends it with itself. Ctrl-C stops runs, which store what they have. Then, in another terminal:

    prefect deployment run harvest/github --watch
    prefect deployment run harvest/local --param repositories='["/path/to/one"]' --watch

Runs wait for somebody who serves them: with nobody serving, `--watch` watches forever. GITHUB_TOKEN, or a Secret block
named 'github-token', raises GitHub's limit from 60 to 5,000 requests an hour.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, cast
from urllib.parse import urlsplit

from flows.server import answers
from pipeline.crawl.source import loopback
from schema.errors import ConfigError, GitreelError

DEFAULT = "http://127.0.0.1:4200/api"
START_SECONDS = 180.0


def configured_address() -> str:
    """PREFECT_API_URL, else what prefect.toml says, else DEFAULT."""
    if address := os.environ.get("PREFECT_API_URL", ""):
        return address
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
        settings = tomllib.loads(Path("prefect.toml").read_text(encoding="utf-8"))
        if address := str(settings.get("api", {}).get("url", "")):
            return address
    return DEFAULT


@contextlib.contextmanager
def running_server(address: str) -> Iterator[None]:
    """Prefect's server at `address`: the one that answers, else one that ends with the block. Raises ConfigError."""
    if answers(address):
        print(f"Prefect server: {address}", flush=True)
        yield
        return
    url = urlsplit(address)
    if not loopback(url.hostname or ""):
        raise ConfigError(f"Prefect server {address}: does not answer; start it there: prefect server start")
    print(f"Prefect server: none answers at {address}, starting one", flush=True)
    host, port = url.hostname or "127.0.0.1", str(url.port or 80)
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches us first
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(address):
            if server.poll() is not None or time.monotonic() > deadline:
                raise ConfigError("Prefect server: did not start; see what it says: prefect server start")
            time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.serve",
        description="Serve harvest/github and harvest/local until Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--warehouse", default="warehouse", help="default of the deployments: folder or s3:// URL")
    parser.add_argument("--api-url", default="", help="GitHub Enterprise: https://HOST/api/v3; empty: github.com")
    parser.add_argument("--runner", choices=("threads", "processes", "dask"), default="processes")
    parser.add_argument("--workers", type=int, default=0, help="repositories at a time; 0: one a core")
    parser.add_argument("--dask-address", default="", help="scheduler of an existing Dask cluster")
    parser.add_argument("--limit", type=int, default=2, help="flow runs at a time")
    options = parser.parse_args(arguments)
    os.environ["GITREEL_RUNNER"] = options.runner
    os.environ["GITREEL_WORKERS"] = str(options.workers or os.cpu_count() or 1)
    os.environ["GITREEL_DASK"] = options.dask_address
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    address = configured_address()
    os.environ["PREFECT_API_URL"] = address  # wherever this was started, and for every flow run
    warehouse = options.warehouse
    if "://" not in warehouse:
        warehouse = str(Path(warehouse).absolute())
    try:
        with running_server(address):
            serve_deployments(warehouse, options.api_url, options.limit)
    except GitreelError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
    return 0


def serve_deployments(warehouse: str, api_url: str, limit: int) -> None:
    """Serve both deployments until interrupted."""
    from prefect import serve
    from prefect.deployments.runner import RunnerDeployment

    from flows import runs
    from flows.flow import harvest_github, harvest_local

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    parameters: dict[str, Any] = {"warehouse": warehouse}
    github = parameters | ({"api_url": api_url} if api_url else {})
    local = parameters | {"repositories": [str(Path.cwd())]}
    for name in runs.tell_crashed():
        print(f"Prefect: run {name!r} did not end before its server did, or was killed: marked as crashed", flush=True)
    serve(
        cast("RunnerDeployment", harvest_github.to_deployment("github", parameters=github)),
        cast("RunnerDeployment", harvest_local.to_deployment("local", parameters=local)),
        limit=limit,
    )


if __name__ == "__main__":
    sys.exit(main())
