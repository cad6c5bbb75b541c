"""What every test needs, and what no test may touch."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from tests.guard import sitecustomize as guard

ROOT = Path(__file__).resolve().parents[1]

# Machines are shared and noisy: no test is timed. And the same examples everywhere: looking for new ones is the work of
# `python -m benchmarks.oracle.fuzz` and `… .repositories`.
settings.register_profile("gitreel", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gitreel")

# A hook of git may run the suite: what git has set for it is meant for another repository than those made here.
for variable in [name for name in os.environ if name.startswith("GIT_")]:
    del os.environ[variable]

# Started by nohup, or in the background, the suite ignores signals, and so would every program that a test signals.
# What is handled, if only by nothing, is a program's default again.
for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(kind) is signal.SIG_IGN:
        signal.signal(kind, lambda number, frame: None)

# The tests' own home: their programs, too, find no clone, no Prefect server and no setting of whoever runs them.
_home = tempfile.TemporaryDirectory(prefix="gitreel-home-")


def _set_apart(home: Path) -> None:
    """Let this process and those it starts live in `home`, and refuse them the checkout's and the user's folders."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    prefect = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    folders = (ROOT / "runs", ROOT / "warehouse", caches / "gitreel", prefect)
    spared = (ROOT / "warehouse/README.md", ROOT / "warehouse/queries.sql")
    for name in [name for name in os.environ if name.startswith(("PREFECT", "GITREEL"))]:
        del os.environ[name]  # what the user has set for these has no say
    paths = (Path(guard.__file__).parent, ROOT, *filter(None, [os.environ.get("PYTHONPATH")]))
    os.environ.update(
        {
            "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "XDG_CONFIG_HOME": str(home / ".config"),
            "PREFECT_HOME": str(home / ".prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            guard.REFUSED: os.pathsep.join(map(str, folders)), guard.SPARED: os.pathsep.join(map(str, spared)),
            guard.LOG: str(home / "refused"),
        }
    )  # fmt: skip
    (home / "refused").touch()
    guard.install()
    os._exit = partial(_end, os.getpid(), os._exit)  # type: ignore[assignment]  # mypy lets no function be replaced


def _end(tests: int, end: Callable[[int], NoReturn], code: int) -> NoReturn:
    """What `os._exit` is here: it ends a process that a test forked; the tests' own would not even say so."""
    if os.getpid() != tests:
        end(code)
    guard.tell(f"os._exit({code}) in the tests' own process")
    raise AssertionError(f"os._exit({code}) would end the tests with code {code}, without a word")


def pytest_configure(config: pytest.Config) -> None:
    """Set apart every process that runs tests. One that hands them on (`-n`) leaves that to those it starts."""
    hands_on = config.getoption("numprocesses", default=None) and not hasattr(config, "workerinput")
    if not hands_on:
        _set_apart(Path(_home.name))


def pytest_unconfigure() -> None:
    """The home goes with the last test."""
    _home.cleanup()


@pytest.fixture(autouse=True)
def refusals() -> Iterator[Path]:
    """Fails a test that did what none may, even where the program caught the error."""
    log = Path(_home.name, "refused")
    yield log
    said = log.read_text()
    log.write_text("")  # the next test answers for itself
    assert not said, f"no test may do this:\n{said}"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server of our own."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="film")
        yield "s3://film"
        server.stop()
