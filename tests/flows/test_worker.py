"""Worker processes end with the process that started them, behind the work at hand."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import worker

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from flows import worker

def work(folder):
    with worker.at_work():
        (Path(folder) / "begun").write_text(str(os.getpid()))
        while not worker.orphaned():
            time.sleep(0.01)
        (Path(folder) / "stored").touch()

if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, get_context("spawn"), initializer=worker.begin)
    busy = pool.submit(work, sys.argv[1])
    pool.submit(print, end="").result()  # the second worker: idle from here on
    while not (Path(sys.argv[1]) / "begun").exists():
        time.sleep(0.01)
    print(*pool._processes, flush=True)
    time.sleep(3600)
"""


def test_outside_a_worker_nothing_is_held():
    assert not worker.orphaned()
    with worker.at_work(), worker.at_work():
        worker.begin()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_a_busy_and_an_idle_worker_end_when_their_parent_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        for one in workers:
            os.kill(one, signal.SIGINT)  # as Ctrl-C does to the whole group
        parent.kill()
    assert len(workers) == 2
    while any(alive(one) for one in workers):  # forever, if one stays
        time.sleep(0.01)
    assert (tmp_path / "stored").exists()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
