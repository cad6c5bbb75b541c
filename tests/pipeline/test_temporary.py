"""Temporary folders end with their process, whatever ended it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.temporary import OWNER, TemporaryFolder, sweep, temporary_folder

LEAVE = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from pipeline.temporary import TemporaryFolder
folder = TemporaryFolder("test")
(folder.path / "left").write_text("x")
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_lasts_as_long_as_its_block() -> None:
    with temporary_folder("test") as folder:
        (folder / "file").write_text("x")
        assert folder.name.startswith("gitreel-test-")
    assert not folder.exists()


def test_a_folder_ends_with_its_object() -> None:
    folder = TemporaryFolder()
    path = folder.path
    assert path.exists()
    del folder
    assert not path.exists()


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", LEAVE, str(tmp_path)], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = Path(killed.stdout.strip())
    (tmp_path / "gitreel-starting").mkdir()
    (tmp_path / "somebody-else").mkdir()
    alive = tmp_path / "gitreel-alive"
    alive.mkdir()
    (alive / OWNER).touch()
    code = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(alive / OWNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"held\n"
    assert left.exists()
    assert sweep(tmp_path) == [left]
    assert sorted(os.listdir(tmp_path)) == ["gitreel-alive", "gitreel-starting", "somebody-else"]
    owner.communicate(b"\n")
    assert sweep(tmp_path) == [alive]
