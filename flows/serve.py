"""Serve the deployments harvest/github and harvest/local: `python -m flows.serve`.

Starts a Prefect server when none answers at the configured address (`prefect.toml` names it for every command run in
this folder), and ends it with itself. Ctrl-C stops runs, which store what they have. Only one serves at a server: a
second one is refused. Then, in another terminal:

    prefect deployment run harvest/github --watch
    prefect deployment run harvest/local --param repositories='["/path/to/one"]' --watch

Runs wait for somebody who serves them: with nobody serving, `--watch` watches forever. GITHUB_TOKEN, or a Secret block
named 'github-token', raises GitHub's limit from 60 to 5,000 requests an hour.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from flows import address
from flows.harvest import number
from pipeline.crawl.github import ApiConfig
from pipeline.crawl.source import loopback
from pipeline.pool import interruption
from pipeline.shards.store import Store
from pipeline.warehouse.checks import may_hold_film
from schema.errors import ConfigError, clear_errors

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner import Runner

START_SECONDS = 180.0
START_POLL_SECONDS = 0.05


def configured_address() -> str:
    """The API that is named (`flows.address`), else Prefect's usual one. Raises ConfigError for what is no URL."""
    found = address.named() or address.Address(address.DEFAULT, "default")
    try:
        url = urlsplit(found.url)
        valid = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError(f"Prefect server {found.url!r} ({found.by}): not a URL; write http://HOST:PORT/api")
    return found.url


@contextlib.contextmanager
def running_server(url: str) -> Iterator[None]:
    """Prefect's server at `url`: the one that answers, else one that ends with the block. Raises ConfigError."""
    if address.answers(url):
        print(f"Prefect server: {url}", flush=True)
        yield
        return
    parts = urlsplit(url)
    if not loopback(parts.hostname or ""):
        raise ConfigError(f"Prefect server {url}: does not answer; start it there: prefect server start")
    print(f"Prefect server: none answers at {url}, starting one", flush=True)
    host, port = parts.hostname or "127.0.0.1", str(parts.port or 80)
    server = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--host", host, "--port", port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches us first
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not address.answers(url):
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


@clear_errors
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
    parser.add_argument("--workers", type=number, default=0, help="repositories at a time; 0: one a core")
    parser.add_argument("--dask-address", default="", help="scheduler of an existing Dask cluster")
    parser.add_argument("--limit", type=number, default=2, help="flow runs at a time, 1 or more")
    options = parser.parse_args(arguments)
    os.environ["GITREEL_RUNNER"] = options.runner
    os.environ["GITREEL_WORKERS"] = str(options.workers or os.cpu_count() or 1)
    os.environ["GITREEL_DASK"] = options.dask_address
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    warehouse = options.warehouse
    if "://" not in warehouse:
        warehouse = str(Path(warehouse).absolute())
    try:
        check(options)
        url = configured_address()
        os.environ["PREFECT_API_URL"] = url  # wherever this was started, and for every flow run
        with interruption.answered(signal.default_int_handler), running_server(url):  # a server ends with its block
            serve_deployments(warehouse, options.api_url, options.limit)
    except KeyboardInterrupt:
        print(interruption.LINE, file=sys.stderr)
        return interruption.INTERRUPTED
    return 0


def check(options: argparse.Namespace) -> None:
    """Refuse settings with which every run would fail. Raises ConfigError, WarehouseError."""
    if options.limit < 1:
        raise ConfigError("--limit 0: no flow run would ever start; write 1 or more")
    if options.api_url:
        _ = ApiConfig(base_url=options.api_url).clone_origin
    may_hold_film(Store(options.warehouse))


def serve_deployments(warehouse: str, api_url: str, limit: int) -> None:
    """Serve both deployments until a signal comes; runs then have half a minute to store what they have."""
    from prefect.runner import Runner

    from flows import runs, serving
    from flows.delivery import deliver_logs
    from flows.flow import harvest_github, harvest_local

    parameters: dict[str, Any] = {"warehouse": warehouse}
    github = parameters | ({"api_url": api_url} if api_url else {})
    local = parameters | {"repositories": [str(Path.cwd())]}
    with serving.only_one():
        for name in runs.mark_crashed():
            print(f"Prefect: run {name!r} did not end before its server did, or was killed: marked as crashed")
        runner = Runner(limit=limit)
        runner.add_deployment(cast("RunnerDeployment", harvest_github.to_deployment("github", parameters=github)))
        runner.add_deployment(cast("RunnerDeployment", harvest_local.to_deployment("local", parameters=local)))
        print(
            f"Serving {' and '.join(serving.DEPLOYMENTS)}, polling for scheduled runs. In another terminal:", flush=True
        )
        print(f"    prefect deployment run {serving.DEPLOYMENTS[0]} --watch", flush=True)
        logging.getLogger("asyncio").addFilter(_no_cancelled)
        asyncio.run(_serve(runner))
    deliver_logs()


async def _serve(runner: "Runner") -> None:
    """Run it; on a signal it takes no more runs, cancels those under way and waits for them."""
    signalled = asyncio.Event()
    serving = asyncio.create_task(runner.start())
    while not (runner.started or serving.done()):
        await asyncio.sleep(START_POLL_SECONDS)
    for kind in interruption.SIGNALS:  # not earlier: `start` has set an answer to SIGTERM that ends the process
        asyncio.get_running_loop().add_signal_handler(kind, signalled.set)
    waiting = asyncio.create_task(signalled.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if signalled.is_set():
        print("stopping, what was filmed is stored", file=sys.stderr, flush=True)
        await runner.astop()
    waiting.cancel()
    await serving


def _no_cancelled(record: logging.LogRecord) -> bool:
    """Prefect's runner cancels the connections of its runs when it ends: asyncio would show a traceback of each."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


if __name__ == "__main__":
    sys.exit(main())
