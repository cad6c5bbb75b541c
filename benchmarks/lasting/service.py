"""Prefect as a person runs it by the notes in prefect.yaml: a server, a work pool, its workers, and runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lasting.samples import ROLES
from benchmarks.report import ROOT
from flows import address
from flows.server import free_port

POOL = "gitreel"
MARK = "GITREEL_LASTING"  # in the environment of everything that is started here
START_SECONDS = 180.0
TRIES = 10  # of a request
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Run(NamedTuple):
    """A flow run: its id, its name, its state's type, and its parameters."""

    id: str
    name: str
    state: str
    message: str
    parameters: dict[str, Any]

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Process(NamedTuple):
    """A process of ours: its id, its parent's, and what it is: 'server', 'worker', 'flow', 'film' or 'git'."""

    id: int
    parent: int
    role: str
    resident_mb: float
    files: int
    cpu_seconds: float  # with the git processes that a film process has waited for


class Service:
    """A Prefect server of its own, with its folder, its port and its workers, until the block ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        self.url = f"http://127.0.0.1:{free_port()}/api"
        self.environment = os.environ | {
            "PREFECT_API_URL": self.url, "PREFECT_HOME": str(folder / "prefect"), "GITREEL_HOME": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "tmp"), "GITREEL_WORKERS": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_CLI_PROMPT": "false",
            MARK: self.mark,
        }  # fmt: skip
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._server: subprocess.Popen[bytes] | None = None
        self._deployment = ""

    def __enter__(self) -> "Service":
        for name in ("prefect", "cache", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        try:
            port = self.url.split(":")[2].split("/")[0]
            self._server = self._start("server", "server", "start", "--host", "127.0.0.1", "--port", port)
            self._wait()
            self._run("work-pool", "create", POOL, "--type", "process")
            self._run("--no-prompt", "deploy", "--all")
        except BaseException:
            self._end()
            raise
        self._deployment = str(self.ask("GET", "/deployments/name/harvest/github")["id"])
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def start_worker(self, name: str) -> None:
        """`prefect worker start`, as on another machine."""
        self.workers[name] = self._start(name, "worker", "start", "--pool", POOL, "--name", name)

    def submit(self, parameters: dict[str, Any]) -> str:
        """`prefect deployment run harvest/github`: the run's id."""
        made = self.ask("POST", f"/deployments/{self._deployment}/create_flow_run", {
            "parameters": parameters, "state": {"type": "SCHEDULED"},
        })  # fmt: skip
        return str(made["id"])

    def cancel(self, run: str, state: str = "CANCELLING") -> None:
        """`prefect flow-run cancel`; at once ('CANCELLED') where nobody executes it."""
        self.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": state}, "force": state == "CANCELLED"})

    def runs(self) -> list[Run]:
        """All runs of the deployment, the oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            asked = {"limit": 200, "offset": len(found), "sort": "EXPECTED_START_TIME_ASC"}
            page = self.ask("POST", "/flow_runs/filter", asked)
            found += page
            if len(page) < 200:
                break
        states = [each["state"] or {} for each in found]
        return [
            Run(each["id"], each["name"], state.get("type", ""), state.get("message") or "", each["parameters"])
            for each, state in zip(found, states, strict=True)
        ]

    def artifact(self, run: str, key: str) -> dict[str, Any] | None:
        """The newest artifact of a run by its key."""
        found = self.ask("POST", "/artifacts/filter", {
            "artifacts": {"key": {"any_": [key]}, "flow_run_id": {"any_": [run]}}, "limit": 1, "sort": "CREATED_DESC",
        })  # fmt: skip
        return dict(found[0]) if found else None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the API; asked again, as Prefect's own client does, while its database is locked (503)."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=content, method=method, headers=headers)
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                if error.code != 503 or not left:
                    raise
            time.sleep(1.0)
        raise AssertionError("the last try returns or raises")

    def processes(self) -> list[Process]:
        """Every living process that was started here, by its environment."""
        mark = f"{MARK}={self.mark}".encode()
        return [process for process in map(look, process_ids()) if process and mark in environment(process.id)]

    def flow_of(self, run: Run) -> int | None:
        """The id of the process that executes a run."""
        wanted = run.id.encode()
        for process in self.processes():
            if process.role == "flow" and wanted in environment(process.id):
                return process.id
        return None

    def _start(self, log: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments], env=self.environment, cwd=ROOT, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def _run(self, *arguments: str) -> None:
        process = self._start("commands", *arguments)
        if process.wait():
            raise SystemExit(f"prefect {' '.join(arguments)} failed: see {self.folder / 'commands.log'}")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not address.answers(self.url):
            if self._server is None or self._server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"Prefect's server did not start: see {self.folder / 'server.log'}")
            time.sleep(0.2)

    def _end(self) -> None:
        """End everything, workers first; what does not end in half a minute is killed."""
        started = [*self.workers.values(), *([self._server] if self._server else [])]
        for process in started:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        for process in self.processes():
            kill(process.id)
        for process in started:
            process.wait()


def process_ids() -> Iterator[int]:
    """Every process of the machine."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def environment(process: int) -> bytes:
    """A process's environment; empty where it is gone or another user's."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return b""


def look(process: int) -> Process | None:
    """A process as it is now; None where it is gone."""
    folder = Path(f"/proc/{process}")
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        fields = (folder / "stat").read_text().rpartition(")")[2].split()  # from the state, the third one, on
        resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        files = len(list((folder / "fd").iterdir()))
    except (OSError, IndexError):
        return None
    name = role(command)
    ticks = sum(map(int, fields[11:15] if name == "film" else fields[11:13]))  # own and children's; own
    return Process(process, int(fields[1]), name, resident, files, ticks / os.sysconf("SC_CLK_TCK"))


def role(command: str) -> str:
    """What a command line of ours is."""
    program = command.split(" ", 1)[0].rsplit("/", 1)[-1]
    if program.startswith("git"):
        return "git"
    for words, name in (
        ("worker start", "worker"), ("server start", "server"), ("uvicorn", "server"), ("prefect server", "server"),
        ("resource_tracker", "other"), ("multiprocessing", "film"), ("prefect.engine", "flow"),
    ):  # fmt: skip
        if words in command:
            return name
    return "other"


def memory(processes: Sequence[Process]) -> dict[str, float]:
    """Megabytes by role; programs of git's, which live for milliseconds, are left out."""
    return {role: round(sum(each.resident_mb for each in processes if each.role == role), 1) for role in ROLES}


def tree(root: int, processes: list[Process]) -> list[int]:
    """A process and all that descend from it."""
    found = [root]
    for process in found:
        found += [each.id for each in processes if each.parent == process]
    return found


def kill(process: int) -> None:
    """SIGKILL; nothing where it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
