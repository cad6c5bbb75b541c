"""How a command line ends whose output cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schema.errors import ConfigError, clear_errors

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from schema.errors import ConfigError, clear_errors

@clear_errors
def main(lines, error):
    for number in range(lines):
        print("line", number)
    try:
        open("/dev/full", "w", buffering=1).write("of a file\\n")
    except OSError:  # of a file, not of the output
        print("a file could not be written")
    if error:
        raise ConfigError("--x: too many")
    return 0

sys.exit(main(int(sys.argv[1]), len(sys.argv) > 2))
"""


def ended(shell: str, *, buffered: bool = True) -> tuple[int, str, str]:
    """Run `shell`, whose $PROGRAM is the command above; its exit code and what it said."""
    text = shell.replace("PROGRAM", f"{sys.executable} -c '{PROGRAM}'")
    environment = os.environ | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    done = subprocess.run(["bash", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_has_enough_is_no_error(buffered: bool) -> None:
    assert ended("PROGRAM 100000 | head -1; exit ${PIPESTATUS[0]}", buffered=buffered) == (1, "line 0\n", "")


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("lines", [1, 100_000])  # found when it ends, and before
def test_a_full_disk_is_one_line(lines: int, buffered: bool) -> None:
    code, out, said = ended(f"PROGRAM {lines} > /dev/full", buffered=buffered)
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert said.startswith("gitreel: standard output cannot be written (No space left on device); ")


def test_an_error_of_ours_is_told_first() -> None:
    code, out, said = ended("PROGRAM 1 error > /dev/full")
    assert (code, out) == (2, "")
    assert [line.split(": ")[1][:15] for line in said.splitlines()] == ["--x", "standard output"]


def test_errors_that_nobody_can_be_told_are_an_exit_code() -> None:
    assert ended("PROGRAM 1 error 2> /dev/full") == (2, "line 0\na file could not be written\n", "")
    assert ended("PROGRAM 1 > /dev/full 2> /dev/full") == (2, "", "")


def test_without_output_and_with_output_of_no_file_nothing_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @clear_errors
    def main() -> int:
        print("said")
        raise ConfigError("wrong")

    assert main() == 2
    assert capsys.readouterr() == ("said\n", "gitreel: wrong\n")
    monkeypatch.setattr(sys, "stdout", None)
    assert main() == 2
    assert capsys.readouterr().err == "gitreel: wrong\n"
