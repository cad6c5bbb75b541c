"""Every frame is what the real programs show: thousands of random files, edits, keys and lines at the prompt."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.oracle import repositories
from benchmarks.oracle.cases import Case
from benchmarks.oracle.fuzz import Session, search
from pipeline.script.commit import command_lines
from pipeline.script.edit import edit
from schema.geometry import Geometry

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.exact

# geometry -> first seed, cases
MARKED = {Geometry(24, 80): (2000, 20), Geometry(9, 33): (3000, 15)}
ROUNDS = {
    Geometry(24, 80): (0, 60),
    Geometry(48, 160): (500, 14),
    Geometry(7, 31): (900, 25),
    Geometry(4, 24): (40, 15),
}


@pytest.mark.parametrize("geometry", list(ROUNDS), ids=str)
def test_random_edits_are_drawn_as_vim_draws_them(vim_here: str, geometry: Geometry) -> None:
    first, count = ROUNDS[geometry]
    found = [(seed, frames, finding) for seed, frames, finding in search(geometry, range(first, first + count))]
    for seed, _, finding in found:
        assert finding is None, f"seed {seed}; {vim_here}\n{finding.case}\n{finding.shown}" if finding else ""
    assert found[-1][1] > 500


@pytest.mark.parametrize("geometry", list(MARKED), ids=str)
def test_combining_marks_are_drawn_as_vim_draws_them(vim_here: str, geometry: Geometry) -> None:
    first, count = MARKED[geometry]
    for seed, _, finding in search(geometry, range(first, first + count), composing=True):
        assert finding is None, f"seed {seed}; {vim_here}\n{finding.case}\n{finding.shown}" if finding else ""


@pytest.fixture(scope="module")
def session(vim_here: str) -> Iterator[Session]:
    with Session(Geometry(12, 40)) as session:
        yield session


LINES = st.lists(st.text(st.sampled_from("ab \t漢é\x01\x7f\u200b~<^"), max_size=50), max_size=12)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=LINES, new=LINES)
def test_any_two_files(session: Session, vim_here: str, old: list[str], new: list[str]) -> None:
    before, after = ("\n".join(lines).encode() for lines in (old, new))
    keys = b"vim f\r" + edit(before, after) + b":w\r:q\r"
    shown = session.case(Case(b"f", before, after, keys))
    if shown:
        session.restart()
    assert shown is None, f"{vim_here}\n{shown}"


@pytest.mark.parametrize("rows_filled", [4, 5, 6, 7])
@pytest.mark.parametrize("last_row", ["y" * 24, "漢" * 12])
def test_a_command_that_fills_more_rows_than_the_screen_has(vim_here: str, rows_filled: int, last_row: str) -> None:
    with Session(Geometry(4, 24)) as session:
        for line in (": ".ljust(24 * (rows_filled - 1) - 2, "x") + last_row, ": next"):
            assert session.line(line.encode() + b"\r") is None, vim_here


def test_random_repositories_are_played_as_the_real_programs_play_them(vim_here: str) -> None:
    found = list(repositories.search(Geometry(10, 25), seed=4, commits=6))
    for seed, verdict in found:
        assert verdict.exact, f"seed {seed}; {vim_here}\n" + "\n".join(verdict.shown)
    assert sum(verdict.frames for _, verdict in found) > 500


def test_a_wrong_tree_in_a_random_repository_is_found(
    vim_here: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search itself: modes that are not set do not go unseen."""
    monkeypatch.setattr(
        "pipeline.script.commit.command_lines",
        lambda head, *rest, **named: iter(()) if b"chmod" in head else command_lines(head, *rest, **named),
    )
    monkeypatch.setattr(sys, "argv", ["repositories", "--commits", "5", "--rows", "10", "--cols", "25", "--json"])
    assert repositories.main() == 1
    *shown, totals = capsys.readouterr().out.splitlines()
    assert shown[0] == "=== seed 0"
    assert ", should be " in shown[1]
    assert json.loads(totals)["wrong"] == 1


def test_fuzzing_from_the_command_line(vim_here: str) -> None:
    command = [sys.executable, "-m", "benchmarks.oracle.fuzz", "--cases", "2", "--rows", "10", "--cols", "40", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{vim_here}\n{done.stdout}{done.stderr}"
    assert json.loads(done.stdout.splitlines()[-1])["wrong"] == 0


def test_a_wrong_cell_is_found(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself: one wrong rule in the model does not go unseen."""
    monkeypatch.setattr("pipeline.text.cells.TAB_STOP", 4)
    monkeypatch.setattr("pipeline.terminal.vim.normal.TAB_STOP", 4)
    shown = session.case(Case(b"g", b"a\tb\n", None, b"vim g\r:q\r"))
    session.restart()
    assert shown is not None
    assert "row 0 film     'a   b'" in shown
    assert "row 0 terminal 'a       b'" in shown
