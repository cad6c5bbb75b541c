"""Every subject is recorded by the real git as it was typed into the real bash."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.oracle import subjects
from benchmarks.oracle.subjects import LINES, SEPARATORS, TRAILERS, VALUES, check, empty_scratch, search
from pipeline.script.subject import reads_as_empty

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.exact


def test_random_subjects(vim_here: str) -> None:
    assert list(search(seed=0, cases=120)) == []


def test_every_trailer_alone_and_the_sign_off_in_every_spelling(vim_here: str, tmp_path: Path) -> None:
    alone = [f"{word}: A B <a@example.org>" for word in TRAILERS]
    spelt = [f"Signed-off-by{separator}{value}" for separator in SEPARATORS for value in VALUES[:6]]
    raws = [text.encode() for text in (*alone, *spelt, *LINES)]
    assert sum(reads_as_empty(text) for text in alone) == 1
    assert list(check(empty_scratch(tmp_path), raws)) == []


def test_a_subject_that_git_refuses_is_found(vim_here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search itself: a rule that knows nothing of sign-offs does not go unseen."""
    for module in ("pipeline.script.commit", "benchmarks.oracle.subjects"):
        monkeypatch.setattr(f"{module}.reads_as_empty", lambda subject: not subject)
    (found,) = check(empty_scratch(tmp_path), [b"fix", b"Signed-off-by: A", b""])
    assert found.raw == b"Signed-off-by: A"
    assert "git takes it for an empty message" in found.wrong
    assert "Aborting commit" in found.wrong


def test_from_the_command_line(vim_here: str) -> None:
    command = [sys.executable, "-m", subjects.__name__, "--cases", "20", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(": 0 not recorded as typed\n")
