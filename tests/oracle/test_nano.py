"""Every frame of film in nano is what the real nano shows: random files, edits and keys, and whole histories."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fidelity import judge, sample
from benchmarks.oracle.cases import Case
from benchmarks.oracle.fuzz import Session, search
from benchmarks.oracle.machine import Oracle
from pipeline.git.order import order
from pipeline.script import nano
from pipeline.script.edit import Untypable
from schema.config import ReplayConfig
from schema.editors import Motion
from schema.geometry import Geometry
from tests.edge_cases import edge_cases, edited_texts
from tests.repositories import make_repository

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.exact

# geometry -> first seed, cases
ROUNDS = {
    Geometry(24, 80): (0, 40),
    Geometry(48, 160): (500, 10),
    Geometry(9, 33): (900, 30),
    Geometry(4, 24): (40, 25),
}
TEXTS: dict[str, bytes] = {
    "漢字.md": "一つ目\n二つ目の行は長いので画面の端を越えてゆくはずである。まだまだ続く、どこまでも続く。\n".encode(),
    "crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "long.txt": b"word " * 90 + b"\nshort\n" + b"\t" * 30 + b"end\n",
    "tabs.c": b"\tif (x)\n\t\treturn\ty;\n",
    "control": b"\x01\x02\x03\x7f escape \x1b[0m \xc2\x85\n",
    "latin": b"caf\xe9 na\xefve\n\xff\xfe\x80\n",
    "marks": "cafe\u0301 ❤\ufe0f \u05d0\u05b0\n".encode(),
    "zero": "a\u200bb\ufeffc\n".encode(),
    "no end": b"last line",
}


@pytest.mark.parametrize("composing", [False, True], ids=["plain", "composing"])
@pytest.mark.parametrize("geometry", list(ROUNDS), ids=str)
def test_random_edits_are_drawn_as_nano_draws_them(nano_here: str, geometry: Geometry, composing: bool) -> None:
    first, count = ROUNDS[geometry]
    seeds = range(first + 10_000 * composing, first + 10_000 * composing + count)
    found = list(search(geometry, seeds, editor="nano", composing=composing))
    for seed, _, finding in found:
        assert finding is None, f"seed {seed}; {nano_here}\n{finding.case}\n{finding.shown}" if finding else ""
    assert found[-1][1] > 500


@pytest.fixture(scope="module")
def session(nano_here: str) -> Iterator[Session]:
    with Session(Geometry(12, 40)) as session:
        yield session


LINES = st.lists(st.text(st.sampled_from("ab \t漢é\x01\x7f\u0301~<^\udce9"), max_size=50), max_size=14)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=LINES, new=LINES, arrows=st.booleans())
def test_any_two_files(session: Session, nano_here: str, old: list[str], new: list[str], arrows: bool) -> None:
    before, after = ("\n".join(lines).encode("utf-8", "surrogateescape") for lines in (old, new))
    try:
        keys = b"nano f\r" + nano.edit(before, after, arrows=arrows) + nano.SAVE_AND_LEAVE
    except Untypable:
        return
    shown = session.case(Case(b"f", before, after, keys))
    if shown:
        session.restart()
    assert shown is None, f"{nano_here}\n{shown}"


@pytest.mark.parametrize(
    "keys",
    [
        nano.END + nano.DOWN * 3 + nano.UP * 3 + nano.LEFT,  # a wanted column on another page than the cursor's
        nano.RIGHT * 60 + nano.DOWN * 14 + nano.UP * 14,
        nano.GO_TO + b"30,70\r" + nano.UP * 9 + nano.RIGHT + nano.DOWN * 9,
        nano.END + nano.ENTER + nano.BACKSPACE * 40 + nano.CUT_LINE * 40,
        bytes(range(128, 256)) + nano.LEFT * 90,
        b"".join(nano.VERBATIM + bytes([key]) for key in [*range(10), *range(11, 32), 127]) + nano.LEFT * 31,
        "e\u0301\u0302\u0303\u0304\u0305\u0306 漢\u0301".encode() + nano.LEFT * 3 + nano.BACKSPACE + nano.DELETE * 2,
    ],
)
def test_keys_that_are_hard_to_draw(session: Session, nano_here: str, keys: bytes) -> None:
    wide = b"".join(b"%d " % number * (number % 5) * 9 + b"\n" for number in range(32))
    shown = session.case(Case(b"f", wide, None, b"nano f\r" + keys + nano.SAVE_AND_LEAVE))
    if shown:
        session.restart()
    assert shown is None, f"{nano_here}\n{shown}"


@pytest.mark.parametrize("cols", [24, 25, 31, 43, 44, 50])
@pytest.mark.parametrize("name", ["a", "漢" * 9, "b" * 17, "c\x01" * 12, "d" * 33, "e/" + "f" * 40, "漢" * 30])
def test_every_title_and_question(nano_here: str, cols: int, name: str) -> None:
    with Session(Geometry(5, cols)) as session:
        (session.folder / "e").mkdir()
        quoted = "$'" + name.replace("\x01", "\\001") + "'"
        keys = f"nano {quoted}\rx\x1f12345,678901\r\x13\x18".encode()
        assert session.case(Case(name.encode(), b"one\n", None, keys)) is None, nano_here


@pytest.mark.parametrize("motion", ["jumps", "arrows"])
@pytest.mark.parametrize(("rows", "cols"), [(24, 80), (9, 33)])
def test_all_text(nano_here: str, tmp_path: Path, rows: int, cols: int, motion: Motion) -> None:
    path = edited_texts(tmp_path / "r", TEXTS)
    verdict = judge(path, ReplayConfig(rows=rows, cols=cols, editor="nano", motion=motion), [(0, 3)])
    assert verdict.exact, f"{nano_here}\n" + "\n".join(verdict.shown)
    assert verdict.frames > 1_000
    assert set(verdict.not_typed) <= {"unsupported-key", "combining"}
    assert sum(verdict.not_typed.values()) <= 4, "what cannot be drawn comes by checkout, and little is that"


def test_edge_cases(nano_here: str, tmp_path: Path) -> None:
    repository = edge_cases(tmp_path / "r")
    runs = sample(len(order(repository.path)), 60, 0)
    verdict = judge(repository.path, ReplayConfig(editor="nano"), runs, max_frames=10_000)
    assert verdict.exact, f"{nano_here}\n" + "\n".join(verdict.shown)
    assert verdict.frames > 3_000


def test_names_that_nano_would_read_otherwise_come_by_checkout(nano_here: str, tmp_path: Path) -> None:
    names = ["-", "~", "~root", "+3", "--help", "a\tb", "a b"]
    path = make_repository(tmp_path / "r", dict.fromkeys(names, b"1\n"), dict.fromkeys(names, b"2\n"))
    verdict = judge(path, ReplayConfig(editor="nano"), [(0, 2)])
    assert verdict.exact, f"{nano_here}\n" + "\n".join(verdict.shown)
    assert verdict.not_typed == {"unsupported-key": 8}


def test_files_with_private_lines_are_typed_in_part(nano_here: str, tmp_path: Path) -> None:
    """No masked line comes on the screen, and none that is wider than it."""
    token = b"gh" + b"p_" + b"5gHq2ZtX9bRw" * 3
    lines = [b"value_%d = compute(%d)" % (n, n) for n in range(120)]
    lines[60] = b"client.login('" + token + b"', " + b"more, " * 20 + b")"
    first = b"\n".join(lines) + b"\n"
    lines[110] = b"value = 'far'"
    far = b"\n".join(lines)
    lines[62] = b"value = 'near'"
    path = make_repository(tmp_path / "r", *[{"a.py": content} for content in (first, far, b"\n".join(lines))])
    for motion in ("jumps", "arrows"):
        verdict = judge(path, ReplayConfig(editor="nano", motion=motion), [(0, 3)])
        assert verdict.exact, f"{nano_here}\n" + "\n".join(verdict.shown)
        assert verdict.not_typed == {"secret": 3}


def test_the_oracle_waits_for_nano(nano_here: str, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with Oracle(Geometry(8, 40), tmp_path / "work", tmp_path / "support") as oracle:
        for key in "nano a\ré漢\x13".encode():
            oracle.send(key)
        assert oracle.in_editor
        assert oracle.screen().texts[1] == "é漢"
        assert oracle.screen().texts[7] == "            [ Wrote 1 line ]"
        oracle.send(0x18)
        assert not oracle.in_editor
    assert (tmp_path / "work" / "a").read_text() == "é漢"


def test_a_wrong_cell_is_found(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself: one wrong rule in the model does not go unseen."""
    monkeypatch.setattr("pipeline.text.cells.TAB_STOP", 4)
    shown = session.case(Case(b"g", b"a\tb\n", None, b"nano g\r" + nano.SAVE_AND_LEAVE))
    session.restart()
    assert shown is not None
    assert "row 1 film     'a   b'" in shown
    assert "row 1 terminal 'a       b'" in shown


def test_command_lines(nano_here: str, tmp_path: Path) -> None:
    path = make_repository(tmp_path / "r", {"a": b"one\n"}, {"a": b"two\n"})
    for command in (
        ["benchmarks.fidelity", "--repo", str(path), "--commits", "2", "--motion", "arrows"],
        ["benchmarks.oracle.fuzz", "--cases", "2", "--rows", "10", "--cols", "40"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command, "--editor", "nano", "--json"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        figures = json.loads(done.stdout.splitlines()[-1])
        assert figures.get("wrong", 0) == figures.get("mismatched_frames", 0) == 0
