"""Plays scores for real: bash runs the typed commands, vim is typed into, git commits. Screens are not looked at."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.oracle.machine import HERE
from pipeline.git.checkout import make_scratch
from pipeline.script.commit import Script

SETTINGS = HERE / "film.vim"


class Played(NamedTuple):
    """What git recorded for one score."""

    tree: str
    subject: str


def play_for_real(
    git_dir: Path, scripts: Iterable[Script], work: Path, *, before: Iterable[bytes] = ()
) -> list[Played]:
    """Type every score in one bash over a fresh scratch repository in `work`; what git recorded after each.

    `before`: commands run first. Raises AssertionError when any command fails or prints a single byte.
    """
    keys_folder = work / "keys"
    keys_folder.mkdir(parents=True)
    scratch = make_scratch(work / "folder", git_dir)
    vim = shutil.which("vim")
    assert vim, "vim is not on PATH"
    program = bytearray()
    program += b"umask 022\nopened=0\n"
    program += (
        f"vim() {{ opened=$((opened + 1)); {vim} -u {shlex.quote(str(SETTINGS))} -i NONE -N -n -b --not-a-term "
        f'--cmd "set nofsync" -s {shlex.quote(str(keys_folder))}/$opened "$@" </dev/null >/dev/null 2>&1; }}\n'
    ).encode()
    for line in before:
        program += line + b"\n"
    opened = 0
    for script in scripts:
        at = 0
        for file in script.opened:
            program += script.keys[at : file.start].replace(b"\r", b"\n")
            opened += 1
            (keys_folder / str(opened)).write_bytes(script.keys[file.start : file.stop])
            at = file.stop
        program += script.keys[at:].replace(b"\r", b"\n")
        program += b"git log -1 --format='%T %s' >&3\n"
    (work / "program").write_bytes(program)
    with (work / "said").open("wb") as said, (work / "recorded").open("wb") as recorded:
        descriptor = os.dup(recorded.fileno())
        try:
            done = subprocess.run(
                ["bash", "--norc", "--noprofile", "-e", "-c", f"exec 3>&{descriptor} {descriptor}>&-; . ../program"],
                cwd=scratch.folder,
                env=scratch.environment | {"GIT_TEST_FSYNC": "0"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                pass_fds=[descriptor],
            )
        finally:
            os.close(descriptor)
    said_bytes = (work / "said").read_bytes()
    assert done.returncode == 0, said_bytes[-2_000:]
    assert said_bytes == b""
    lines = (work / "recorded").read_bytes().split(b"\n")[:-1]
    return [Played(*line.decode("utf-8", "surrogateescape").split(" ", 1)) for line in lines]
