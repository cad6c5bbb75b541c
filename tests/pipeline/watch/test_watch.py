"""Film played back: what is painted is what was stored, and nothing that a repository contains reaches the terminal."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from pipeline.harvester import HarvestConfig, harvest_repository
from pipeline.warehouse.build import build
from pipeline.watch.__main__ import main
from pipeline.watch.ansi import row_sequence, screen_sequence
from pipeline.watch.asciicast import write_asciicast
from pipeline.watch.pace import Pace
from pipeline.watch.player import Player
from pipeline.watch.recording import screens
from pipeline.watch.stored import find_recording
from schema.errors import CorruptError, WarehouseError
from schema.geometry import Style
from schema.screen import Screen, safe
from tests.repositories import make_repository

HOSTILE = b"tab\there \x1b]0;owned\x07 \xc2\x9b31m \xe2\x80\xae rtl\nnext\n"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three commits, one of a file full of escape sequences and of wide characters."""
    folder = tmp_path_factory.mktemp("watch")
    repository = make_repository(
        folder / "story",
        {"a.txt": b"one\ntwo\n"},
        {"odd.txt": HOSTILE},
        {"wide.txt": ("漢字" * 50 + "\n").encode(), "a.txt": b"one\nthree\n"},
    )
    config = HarvestConfig(warehouse=str(folder / "warehouse"))
    harvest_repository(str(repository), config)
    build(folder / "warehouse")
    return folder / "warehouse"


def test_the_picture_sequence_ends_with_the_episodes_final_screen(warehouse: Path) -> None:
    recording = find_recording(warehouse, "story", 0)
    shown = list(screens(recording))
    assert len(recording.chapters) == 3
    assert len(shown) == recording.steps + 1
    assert shown[-1].action == -1


def test_painting_differences_draws_every_stored_screen(warehouse: Path) -> None:
    recording = find_recording(warehouse, "story", 0)
    rows, cols = recording.geometry
    screen = pyte.Screen(cols, rows)
    stream = pyte.Stream(screen)
    before: Screen | None = None
    for now, *_ in screens(recording):
        stream.feed(screen_sequence(before, now, cols))
        assert tuple(line.rstrip(" ") for line in screen.display) == now.texts
        assert (screen.cursor.y, min(screen.cursor.x, cols - 1)) == (now.cursor_row, now.cursor_col)
        bold = {(y, x) for y in range(rows) for x in range(cols) if screen.buffer[y][x].bold}
        wanted = {
            (y, x) for y, runs in enumerate(now.runs) for s, n, style in runs for x in range(s, s + n) if style & 1
        }
        assert bold == wanted
        before = now


def test_an_asciicast_holds_no_escape_sequence_of_the_repositorys(warehouse: Path, tmp_path: Path) -> None:
    target = tmp_path / "film.cast"
    assert main(["story", "--episodes", "0", "--warehouse", str(warehouse), "--asciicast", str(target)]) == 0
    header, *events = [json.loads(line) for line in target.read_text().splitlines()]
    assert (header["version"], header["width"], header["height"]) == (2, 80, 24)
    written = "".join(data for _, kind, data in events if kind == "o")
    assert "\x1b]" not in written
    assert "\x07" not in written
    assert "\x9b" not in written
    assert "\u202e" not in written
    assert "^[]0;owned^G" in re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert [data.split()[0] for _, kind, data in events if kind == "m"] == [
        chapter.commit[:12] for chapter in find_recording(warehouse, "story", 0).chapters
    ]


@pytest.mark.parametrize("version", [2, 3])
def test_replayed_the_asciicast_ends_in_the_same_screen(warehouse: Path, tmp_path: Path, version: int) -> None:
    target = tmp_path / "film.cast"
    arguments = ["story", "--episodes", "0", "--warehouse", str(warehouse), "--asciicast", str(target)]
    assert main([*arguments, "--asciicast-version", str(version)]) == 0
    last = list(screens(find_recording(warehouse, "story", 0)))[-1]
    screen = pyte.Screen(80, 24)
    stream = pyte.Stream(screen)
    for line in target.read_text().splitlines()[1:]:
        _, kind, data = json.loads(line)
        if kind == "o":
            stream.feed(data)
    assert tuple(row.rstrip(" ") for row in screen.display) == last.screen.texts


def test_asciinemas_own_program_plays_it(warehouse: Path, tmp_path: Path) -> None:
    target = tmp_path / "film.cast"
    assert main(["story", "--warehouse", str(warehouse), "--rate", "1000", "--asciicast", str(target)]) == 0
    played = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "asciinema", "cat", str(target)],
        capture_output=True,
        text=True,
        env={**os.environ, "ASCIINEMA_CONFIG_HOME": str(tmp_path)},
        timeout=600,
    )
    assert played.returncode == 0, played.stderr
    last = list(screens(find_recording(warehouse, "story", 1)))[-1]
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(played.stdout.replace("\r\n", "\n"))
    assert tuple(row.rstrip(" ") for row in screen.display) == last.screen.texts


@contextlib.contextmanager
def pressed(monkeypatch: pytest.MonkeyPatch, reads: list[bytes]) -> Iterator[None]:
    """A player finds these keys, one read after the other, whenever it looks."""
    reader, writer = os.pipe()
    monkeypatch.setattr("pipeline.watch.player.os.read", lambda descriptor, size: reads.pop(0))
    with open(reader) as stdin, open(writer, "w") as out:
        out.write("ready")
        out.flush()
        monkeypatch.setattr(sys, "stdin", stdin)
        yield


@pytest.mark.parametrize("at_once", [True, False])
def test_the_rate_shown_changes_while_the_film_is_paused(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at_once: bool
) -> None:
    """And keys that come in one go, as an arrow held down does, all count."""
    keys = [b" ", b"+", b"-", b"\x1b[C", b"\x1b[C", b"q"]
    with pressed(monkeypatch, [b"".join(keys)] if at_once else keys):
        Player(find_recording(warehouse, "story", 0), Pace(10)).play()
    bars = re.findall(r"(\d+)/\d+ (\S+)/s", capsys.readouterr().out)
    assert bars == [("0", "10"), ("0", "10"), ("0", "15"), ("0", "10"), ("20", "10"), ("40", "10")]


def test_the_last_screen_says_how_to_leave_and_rates_are_written_out(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = find_recording(warehouse, "story", 1).chapters[0].steps
    with pressed(monkeypatch, [b" ", *[b"\x1b[C"] * (steps // 20 + 1), b"q"]):
        Player(find_recording(warehouse, "story", 1), Pace(1170)).play()
    shown = capsys.readouterr().out
    assert "end: q leaves" in shown.rpartition(f"{steps}/{steps} 1,170/s")[2]
    assert shown.count("end: q leaves") == 1


@pytest.mark.parametrize("which", ["nobody/here", "story:99", "ffffffffffff"])
def test_an_unknown_episode_is_one_clear_line(warehouse: Path, which: str) -> None:
    with pytest.raises(WarehouseError, match="duckdb"):
        find_recording(warehouse, which)


def test_no_warehouse_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x", "--warehouse", str(tmp_path)]) == 2
    assert "python -m flows.harvest" in capsys.readouterr().err


def test_without_a_terminal_watch_names_the_way_out(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["story", "--warehouse", str(warehouse)]) == 2
    assert "--asciicast" in capsys.readouterr().err


def test_a_full_row_is_not_erased_at_its_last_cell() -> None:
    assert row_sequence("x" * 24, (), 24).endswith("x")
    assert row_sequence("x" * 23, (), 24).endswith("\x1b[K")


def test_a_mark_is_painted_with_the_character_that_it_is_on() -> None:
    assert row_sequence("e\u0301漢\u0301x", ((1, 2, int(Style.BOLD)),), 4) == (
        "\x1b[0me\u0301\x1b[0;1m漢\u0301\x1b[0mx"  # a full row
    )


def test_control_characters_never_pass() -> None:
    assert safe("a\x1bb\x9bc\u202ed\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--asciicast", "film.gif"],
        ["--asciicast", "film.mp4"],
        ["--asciicast", "film"],
        ["--asciicast", "film.cast.gz"],
        ["--asciicast", "film.CAST"],
        ["--asciicast", ""],
        ["--asciicast", "."],
        ["--rate", "nan"],
        ["--rate", "inf"],
        ["--rate", "0"],
        ["--rate", "-3"],
        ["--rate", "1e-300"],
        ["--episodes", "-1"],
        ["--episodes", "99999999999999999999"],
    ],
)
def test_arguments_that_cannot_be_meant_are_one_line_and_write_nothing(
    warehouse: Path,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [] if "--asciicast" in arguments else ["--asciicast", "film.cast"]
    assert main(["story", "--warehouse", str(warehouse), *given, *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["none/film.cast", "folder.cast", "file/film.cast"])
def test_a_place_that_cannot_be_written_is_one_line(
    warehouse: Path, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.cast").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    assert main(["story", "--warehouse", str(warehouse), "--asciicast", str(tmp_path / place)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_database_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "actions.db").write_bytes(b"not a database" * 100)
    assert main(["story", "--warehouse", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_film_that_cannot_be_read_leaves_no_half_of_an_asciicast(warehouse: Path, tmp_path: Path) -> None:
    shutil.copytree(warehouse, tmp_path / "w")
    recording = find_recording(tmp_path / "w", "story")
    for path in (tmp_path / "w/shards").rglob("*.steps.parquet"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CorruptError, match=r"pipeline\.warehouse build"):
        write_asciicast(recording, recording.films(), tmp_path / "film.cast")
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
