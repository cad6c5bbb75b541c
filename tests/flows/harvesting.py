"""A harvest that cannot end by itself: its last repository is a URL whose server accepts and answers nobody."""

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

from benchmarks.crash import make_history
from benchmarks.github_server import GitHubServer

MARK = "GITREEL_TEST_MARK"


class Endless:
    """The running command, its folder, and what it is in the middle of."""

    def __init__(self, folder, *flags, commits=40):
        self.folder, self.mark, self.hub = folder, uuid.uuid4().hex, GitHubServer(folder)
        self.hub.open.clear()
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        named = [str(make_history(folder / f"made{number}.git", number, commits)) for number in range(2)]
        named.append(self.hub.url("o/silent"))
        self.command = [sys.executable, "-m", "flows.harvest", "--warehouse", str(folder / "warehouse")]
        self.command += ["--workers", "2", "--report", str(folder / "report"), *flags]
        self.command += [part for name in named for part in ("--repo", name)]
        self.environment = os.environ | {
            "TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(folder / "cache"),
            "PREFECT_HOME": str(folder / "prefect"), MARK: self.mark,
        }  # fmt: skip

    @contextmanager
    def started(self):
        with self.hub:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.folder, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            try:
                yield self.process
            finally:
                self.hub.open.set()
                self.process.kill()

    def wait_until(self, moment):
        """Look for a moment in what the processes have done so far."""
        while not MOMENTS[moment](self):
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.002)

    def report(self):
        found = json.loads((self.folder / "report").read_text())["repositories"]
        return {outcome["repo_id"]: outcome["status"] for outcome in found}

    def filmed(self, name):
        manifest = self.folder / "warehouse/shards" / name / "stream.json"
        return manifest.exists() and json.loads(manifest.read_text())["status"] == "complete"

    def processes(self):
        """Command lines of living processes of this harvest, wherever they moved: git gets no environment of ours."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    marked = f"{MARK}={self.mark}".encode() in (entry / "environ").read_bytes()
                except OSError:
                    continue
                if command and (marked or str(self.folder) in command):
                    found.append(command)
        return found

    def wait_until_no_process_is_left(self):
        while self.processes():  # for ever, if one stays
            time.sleep(0.01)


def _maps(run, library):
    try:
        return library in Path(f"/proc/{run.process.pid}/maps").read_text()
    except OSError:
        return False


MOMENTS = {
    "its imports": lambda run: _maps(run, "libarrow"),
    "its workers' start": lambda run: any("forkserver" in command for command in run.processes()),
    "filming": lambda run: list((run.folder / "warehouse").glob("shards/*/.lock")),
    "a fetch": lambda run: run.filmed("made0") and run.filmed("made1") and any(" fetch " in c for c in run.processes()),
}
