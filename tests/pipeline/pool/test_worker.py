"""Worker processes end soon when signalled, and with the process that started them, behind the work at hand."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.pool import worker

SCRIPT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from pipeline.pool import interruption, worker

def work(folder):
    with worker.at_work():
        (Path(folder) / "begun").write_text(str(os.getpid()))
        while not worker.stopped():
            time.sleep(0.01)
        (Path(folder) / "stored").touch()

if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, get_context("spawn"), initializer=worker.begin)
    with interruption.held_back():
        busy = pool.submit(work, sys.argv[1])
        pool.submit(print, end="").result()  # the second worker: idle from here on
    print(*pool._processes, flush=True)
    if sys.argv[2] == "signal":
        busy.result()
    else:
        time.sleep(3600)
"""


def test_outside_a_worker_nothing_is_held():
    assert not worker.stopped()
    with worker.at_work(), worker.at_work():
        worker.begin()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
def test_a_busy_and_an_idle_worker_end_when_their_parent_is_killed(tmp_path):
    with started(tmp_path, "kill") as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        wait_for(tmp_path / "begun")
        parent.kill()
    assert len(workers) == 2
    while any(alive(one) for one in workers):  # forever, if one stays
        time.sleep(0.01)
    assert (tmp_path / "stored").exists()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at /proc")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_at_hand_in_order_even_while_the_worker_starts(tmp_path, kind):
    with started(tmp_path, "signal") as parent:
        while not (children := pids_of_children(parent.pid)):
            time.sleep(0.001)
        while parent.poll() is None:
            for pid in children:  # every few milliseconds, from its first one on
                send(pid, kind)
            time.sleep(0.005)
            children = pids_of_children(parent.pid)
        told = parent.stderr.read()
    assert (parent.returncode, told) == (0, "")
    assert (tmp_path / "stored").exists()


def started(folder, ending):
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(folder / "script.py"), str(folder), ending]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file):
    while not file.exists():
        time.sleep(0.01)


def pids_of_children(pid):
    """Workers among a process's children; its tracker of resources is none."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in task.read_text().split()]
        except OSError:
            continue
    return [pid for pid in found if b"spawn_main" in command_line(pid)]


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def send(pid, kind):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, kind)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
