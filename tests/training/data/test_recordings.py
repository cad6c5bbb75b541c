"""Film read as the reference's recordings: real film in two editors, compared with what its shards say cell by cell."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from pipeline.replay import replay
from pipeline.shards.writer import StreamWriter
from schema.config import ReplayConfig
from schema.editors import Editor
from schema.errors import ConfigError, CorruptError, WarehouseError
from schema.geometry import COLOURS, Style
from schema.manifest import slug, stream_folder, stream_id
from schema.screen import row_cells
from tests.repositories import make_repository
from tests.training.warehouse import write_warehouse
from training.data.recordings import (
    AHEAD,
    CURSOR,
    FileInputStream,
    TerminalFrame,
    TermInflateStream,
    main,
    write_recordings,
)
from training.data.splits import Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader

ROWS, COLS = 8, 40
N = ROWS * COLS
EDITORS: tuple[Editor, ...] = ("vim", "nano")
HISTORY = (
    {"a.py": b"def f():\n\treturn 1\n", "wide.txt": "漢字 é x\n😀\n".encode()},
    {"a.py": b"def f():\n\treturn 2\n", "it's.txt": b"one\n" * 12, "wide.txt": "漢x字\n😀\n".encode()},
)
CHANNELS = ("fg_r", "fg_g", "fg_b", "bg_r", "bg_g", "bg_b")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One history in both editors, at 8 x 40."""
    folder = tmp_path_factory.mktemp("recordings")
    path = make_repository(folder / "story", *HISTORY)
    for editor in EDITORS:
        config, repo_id = ReplayConfig(rows=ROWS, cols=COLS, editor=editor), stream_id("a/story", editor)
        with StreamWriter(folder / "warehouse", repo_id, config) as writer:
            for filmed in replay(path, repo_id, config):
                writer.append(filmed)
    return folder / "warehouse"


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    made = root.parent / "recordings"
    assert write_recordings(root, made).recordings == 2
    return made


@pytest.fixture
def stream(folder: Path) -> TermInflateStream:
    return open_recording(folder / "a+story.texz")


def open_recording(path: Path) -> TermInflateStream:
    return TermInflateStream(FileInputStream(str(path)))


def stored(root: Path, editor: Editor) -> list[dict[str, Any]]:
    """The steps of a stream as its shards have them."""
    files = sorted((root / stream_folder(stream_id("a/story", editor))).glob("*.steps.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def components(frame: TerminalFrame, extra: int = 0) -> dict[str, npt.NDArray[Any]]:
    """What `read_components` writes to arrays of 7s, `extra` elements longer than is needed."""
    size = frame.width * frame.height + extra
    arrays = {"codepoints": np.full(size, 7, np.uint32), **{name: np.full(size, 7, np.uint8) for name in CHANNELS}}
    frame.read_components(**{f"{name}_out": array.ctypes.data for name, array in arrays.items()}, num_elements=size)
    return arrays


def expected(step: dict[str, Any]) -> dict[str, list[int]]:
    """The same from a stored step, cell by cell."""
    codes, styles = [], []
    for row, text in enumerate(step["frame"]):
        cells = row_cells(text)
        codes.append([ord(cell[0]) if cell else 0 for cell in cells] + [0x20] * (COLS - len(cells)))
        styles.append([Style.PLAIN] * COLS)
        for run in (run for run in step["style"] if run["row"] == row):
            styles[row][run["start"] : run["start"] + run["length"]] = [Style(run["style"])] * run["length"]
    codes[step["cursor_row"]][step["cursor_col"]] = CURSOR
    inks = [COLOURS[style] for row in styles for style in row]
    return {
        "codepoints": [code for row in codes for code in row],
        **{name: [ink[number // 3][number % 3] for ink in inks] for number, name in enumerate(CHANNELS)},
    }


def frames(stream: TermInflateStream) -> Iterator[TerminalFrame]:
    while stream.has_next_frame():
        yield stream.read_frame()


@pytest.mark.parametrize("editor", EDITORS)
def test_every_frame_is_the_stored_screen_with_the_cursor_drawn_and_its_key(
    root: Path, folder: Path, editor: Editor
) -> None:
    steps = stored(root, editor)
    assert any(ord(c) > 0xFFFF for step in steps for row in step["frame"] for c in row)
    stream = open_recording(folder / f"{slug(stream_id('a/story', editor))}.texz")
    assert stream.get_total_num_frames() == len(steps) > 2 * AHEAD
    for number, (frame, step) in enumerate(zip(frames(stream), steps, strict=True)):
        assert (frame.height, frame.width) == (ROWS, COLS)
        assert frame.get_user_data() == bytes([step["action"], 0])
        assert stream.get_last_frame_index() == number
        assert {name: array.tolist() for name, array in components(frame).items()} == expected(step)


def test_a_wide_character_is_whole_and_its_second_cell_is_0(root: Path, stream: TermInflateStream) -> None:
    for frame, step in zip(frames(stream), stored(root, "vim"), strict=True):
        if step["frame"][0].startswith("漢字") and step["cursor_row"] > 0:
            assert components(frame)["codepoints"][:5].tolist() == [ord("漢"), 0, ord("字"), 0, 0x20]
            return
    pytest.fail("no screen begins with a wide character")


def test_the_cursor_takes_the_place_of_what_it_stands_on(root: Path, stream: TermInflateStream) -> None:
    for frame, step in zip(frames(stream), stored(root, "vim"), strict=True):
        if step["frame"][0].startswith("漢字") and (step["cursor_row"], step["cursor_col"]) == (0, 0):
            assert components(frame)["codepoints"][:3].tolist() == [CURSOR, 0, ord("字")]
            return
    pytest.fail("the cursor stands on no wide character")


def test_one_seeks_to_any_frame(folder: Path, stream: TermInflateStream) -> None:
    last = stream.get_total_num_frames() - 1
    screens = [components(frame)["codepoints"] for frame in frames(open_recording(folder / "a+story.texz"))]
    for at in (last, 0, AHEAD - 1, AHEAD, AHEAD + 1, 1, last // 2, last // 2, last - AHEAD, last):
        stream.seek(at)
        assert stream.has_next_frame()
        assert (components(stream.read_frame())["codepoints"] == screens[at]).all()
        assert stream.get_last_frame_index() == at


def test_one_goes_back_to_the_frame_read_last(stream: TermInflateStream) -> None:
    stream.seek(AHEAD - 1)
    stream.read_frame()
    key = stream.read_frame().get_user_data()
    stream.seek(stream.get_last_frame_index())
    assert stream.read_frame().get_user_data() == key
    assert stream.get_last_frame_index() == AHEAD


def test_behind_the_last_frame_is_the_end(stream: TermInflateStream) -> None:
    assert stream.get_last_frame_index() == -1
    stream.seek(stream.get_total_num_frames())
    assert not stream.has_next_frame()
    with pytest.raises(IndexError, match=r"a/story: no frame behind the last of \d+"):
        stream.read_frame()
    stream.seek(0)
    assert stream.has_next_frame()


@pytest.mark.parametrize("beyond", [-1, 1])
def test_one_cannot_seek_outside_and_stays_where_one_is(stream: TermInflateStream, beyond: int) -> None:
    stream.read_frame()
    with pytest.raises(IndexError, match=r"a/story: frame -?\d+ of \d+"):
        stream.seek(beyond if beyond < 0 else stream.get_total_num_frames() + beyond)
    stream.read_frame()
    assert stream.get_last_frame_index() == 1


def test_an_address_of_0_is_left_out(stream: TermInflateStream) -> None:
    frame, red = stream.read_frame(), np.full(N, 7, np.uint8)
    frame.read_components(0, 0, 0, 0, red.ctypes.data, 0, 0, N)
    assert not red.any()  # a black background
    frame.read_components(0, 0, 0, 0, 0, 0, 0, N)


def test_no_more_than_the_screen_is_written_and_too_little_room_is_refused(stream: TermInflateStream) -> None:
    frame = stream.read_frame()
    assert all((array[N:] == 7).all() and len(array) == N + 3 for array in components(frame, 3).values())
    with pytest.raises(ConfigError, match=f"num_elements {N - 1}: a screen of 8x40 has {N} cells"):
        components(frame, -1)


def test_streams_of_one_recording_do_not_disturb_each_other(folder: Path) -> None:
    one, other = (open_recording(folder / "a+story.texz") for _ in range(2))
    one.seek(40)
    keys = [(one.read_frame().get_user_data(), other.read_frame().get_user_data()) for _ in range(40)]
    assert [key for _, key in keys] == [frame.get_user_data() for frame, _ in zip(frames(open_recording(
        folder / "a+story.texz")), range(40))]  # fmt: skip
    assert one.get_last_frame_index() == other.get_last_frame_index() + 40


def test_the_folder_holds_the_names_that_the_reference_takes(folder: Path) -> None:
    assert sorted(os.listdir(folder)) == ["a+story%40nano.texz", "a+story.texz"]


def test_a_streams_folder_is_a_recording_too(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = open_recording(folder / "a+story.texz").get_total_num_frames()
    assert open_recording(root / "shards/a+story/").get_total_num_frames() == wanted
    monkeypatch.chdir(root)
    assert open_recording(Path("shards/a+story")).get_total_num_frames() == wanted


def test_recordings_of_a_split_are_the_steps_that_we_train_on(tmp_path: Path) -> None:
    root = write_warehouse(tmp_path / "w", {"a/one": 900, "b/two": 90}, database=False)
    made = write_recordings(root, tmp_path / "train", split="train", window=64)
    [one] = FilmReader(Warehouse(root)).segments(64)[0]["train"][:1]
    assert one == Segment(0, 0, 746)
    assert made == (1, 746, 1)
    assert open_recording(tmp_path / "train/a+one.texz").get_total_num_frames() == 746
    write_recordings(root, tmp_path / "held", split="validation", window=64)
    held, whole = open_recording(tmp_path / "held/a+one.texz"), open_recording(root / "shards/a+one")
    whole.seek(810)
    assert held.get_total_num_frames() == 90
    assert [f.get_user_data() for f in frames(held)] == [f.get_user_data() for f in frames(whole)]


def test_film_of_one_editor_and_of_named_repositories_alone(root: Path, tmp_path: Path) -> None:
    write_recordings(root, tmp_path, editor="nano")
    assert os.listdir(tmp_path) == ["a+story%40nano.texz"]
    write_recordings(root, tmp_path, repos=["a/story"])
    assert os.listdir(tmp_path) == ["a+story.texz"]


def test_recordings_of_others_are_left_alone(root: Path, tmp_path: Path) -> None:
    write_recordings(root, tmp_path)
    (tmp_path / "theirs.texz").write_bytes(b"\x01\x02")
    with pytest.raises(ConfigError, match=r"theirs.texz: a recording that is not of gitreel's; name another folder"):
        write_recordings(root, tmp_path, editor="vim")
    assert len(os.listdir(tmp_path)) == 3


def test_what_is_no_recording_is_one_clear_error(root: Path, tmp_path: Path) -> None:
    again = r"write it again: python -m training.data.recordings FOLDER"
    said = {"warehouse": str(root), "repo_id": "a/story", "start": 0, "stop": 10}
    for name, content in {
        "none": b"\x00\xff",
        "list": b"[]",
        "less": json.dumps({**said, "stop": None}).encode(),
        "long": json.dumps({**said, "stop": 1 << 40}).encode(),
        "other": json.dumps({**said, "repo_id": "b/none"}).encode(),
        "moved": json.dumps({**said, "warehouse": str(tmp_path / "moved")}).encode(),
    }.items():
        (tmp_path / f"{name}.texz").write_bytes(content)
    (tmp_path / "folder.texz").mkdir()
    for name, kind, words in (
        ("absent.texz", WarehouseError, rf"absent.texz: no such recording \(No such file.*\); {again}"),
        ("folder.texz", WarehouseError, rf"folder.texz: no such recording \(Is a directory\); {again}"),
        ("none.texz", CorruptError, rf"none.texz: not a recording over a warehouse; {again}"),
        ("list.texz", CorruptError, rf"list.texz: not a recording over a warehouse; {again}"),
        ("less.texz", CorruptError, rf"less.texz: not a recording over a warehouse; {again}"),
        ("long.texz", WarehouseError, rf"no steps 0-1099511627776 of a/story; {again}"),
        ("other.texz", WarehouseError, rf"no steps 0-10 of b/none; {again}"),
        ("moved.texz", WarehouseError, r"moved: no such warehouse; harvest first"),
        ("film.mp4", ConfigError, r"film.mp4: a recording is a .texz file or a stream's folder, WAREHOUSE/shards/NAME"),
        ("gone/shards/x", WarehouseError, r"gone: no such warehouse; harvest first"),
    ):
        with pytest.raises(kind, match=words) as caught:
            FileInputStream(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(WarehouseError, match=r"shards/a\+tale: no such stream; there is a\+story%40nano, a\+story"):
        FileInputStream(root / "shards/a+tale")


def test_the_command_says_what_it_wrote(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new"), "--shards", str(root), "--window", "32", "--editor", "vim"]) == 0
    frames = open_recording(tmp_path / "new/a+story.texz").get_total_num_frames()
    assert capsys.readouterr().out == f"{tmp_path}/new: 1 recordings, {frames:,} frames\n"
    assert main([str(tmp_path / "new"), "--shards", str(root), "--window", "0"]) == 2
    assert main([str(tmp_path / "none"), "--shards", str(root), "--window", "999999"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    assert not (tmp_path / "none").exists()
