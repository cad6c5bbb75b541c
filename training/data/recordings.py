"""Film as the recordings that the paper's reference trainer reads.

    python -m training.data.recordings FOLDER --shards warehouse/ --split train --window 1024

writes a small file `NAME.texz` a stream into FOLDER: it holds no film, it says where the film is. The reference's plain
PyTorch twin (github.com/mikex86/fbamtrain, toyimpl/) lists such names and reads them through a module whose names are
those of this one; no code of theirs is here. To give it this module, put it in place of theirs before it starts:

    import runpy, sys
    from training.data import recordings
    sys.modules["pytermstreamxz"] = recordings
    runpy.run_path("toyimpl/src/main.py", run_name="__main__")

and to read a recording oneself (a stream's folder, `warehouse/shards/owner+name`, is one, too):

    stream = TermInflateStream(FileInputStream("FOLDER/owner+name.texz"))
    stream.seek(1000)
    frame = stream.read_frame()
    frame.width, frame.height, frame.get_user_data()  # 80, 24, b"i\\0"
    codes = np.empty(80 * 24, np.uint32)
    frame.read_components(codes.ctypes.data, 0, 0, 0, 0, 0, 0, codes.size)

A frame is a step: the screen before the key, and the key, one byte. Code points are not clamped; the second cell of a
wide character is 0. The reference draws the cursor as a code point of its own, CURSOR, in place of what stands there.

Dimensions: T steps, R rows, C columns, N cells of a screen, in rows from its top left.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from schema.editors import Editor
from schema.errors import ConfigError, CorruptError, WarehouseError, clear_errors
from schema.geometry import COLOURS, Style
from schema.manifest import slug
from training.data.splits import SPLITS, Segment
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader, FilmWindow

__all__ = ["CURSOR", "FileInputStream", "TermInflateStream", "TerminalFrame", "write_recordings"]

ENDING = ".texz"  # of the names that the reference takes
CURSOR = 5  # ENQ, which stands in no cell of film: a screen shows control characters as ^X
CODE_POINTS = sys.maxunicode + 1
AHEAD = 64  # steps decoded at once: 2 MB at 48 x 160
# style -> R, G, B of the foreground, and of the background
CHANNELS = np.array([[*ink, *paper] for ink, paper in (COLOURS[style] for style in Style)], np.uint8)


class FileInputStream:
    """One recording: steps of one stream of a warehouse.

    `path` is a `.texz` file of `write_recordings`, or a stream's folder in a warehouse.
    Raises WarehouseError (nothing there), ConfigError (neither of them), CorruptError.
    """

    def __init__(self, path: str | Path) -> None:
        self.reader, self.steps = _open(str(path).rstrip("/"))


class TerminalFrame:
    """One screen, and the key pressed at it. `width` and `height` are in cells."""

    def __init__(self, cells_RC: npt.NDArray[Any], action: int) -> None:
        self.height, self.width = cells_RC.shape
        self._cells_N, self._action = cells_RC.ravel(), action

    def get_user_data(self) -> bytes:
        """The key's bytes (one), and a 0 behind them."""
        return bytes((self._action, 0))

    def read_components(
        self,
        codepoints_out: int,
        fg_r_out: int,
        fg_g_out: int,
        fg_b_out: int,
        bg_r_out: int,
        bg_g_out: int,
        bg_b_out: int,
        num_elements: int,
    ) -> None:
        """Write the screen to arrays, given by their addresses: uint32 code points, uint8 channels, 0-255.

        An address of 0 is left out. `num_elements` is the length of each array, at least width * height; no more than
        that is written. Raises ConfigError for less.
        """
        needed = self.width * self.height
        if num_elements < needed:
            raise ConfigError(f"num_elements {num_elements}: a screen of {self.height}x{self.width} has {needed} cells")
        style_N = self._cells_N // CODE_POINTS
        codes_N = np.where(style_N < len(Style), self._cells_N % CODE_POINTS, CURSOR)  # the cursor's bit is above them
        _write(codepoints_out, ctypes.c_uint32, codes_N)
        channels_N6 = CHANNELS[style_N % len(Style)]
        for number, address in enumerate((fg_r_out, fg_g_out, fg_b_out, bg_r_out, bg_g_out, bg_b_out)):
            _write(address, ctypes.c_uint8, channels_N6[:, number])


class TermInflateStream:
    """The frames of a recording, read one after the other from any place on."""

    def __init__(self, stream: FileInputStream) -> None:
        self._reader, self._steps = stream.reader, stream.steps
        self._next, self._last = 0, -1
        self._ahead: tuple[int, FilmWindow] | None = None  # the first step of it, and the film

    def get_total_num_frames(self) -> int:
        """Frames of the recording."""
        return self._steps.stop - self._steps.start

    def has_next_frame(self) -> bool:
        """Whether the end has not been reached."""
        return self._next < self.get_total_num_frames()

    def get_last_frame_index(self) -> int:
        """The number of the frame that was read last, from 0; -1 before the first."""
        return self._last

    def seek(self, index: int) -> None:
        """Let the next frame be number `index`; behind the last one is the end. Raises IndexError outside of it."""
        if not 0 <= index <= self.get_total_num_frames():
            raise IndexError(f"{self._name}: frame {index} of {self.get_total_num_frames()}")
        self._next = index

    def read_frame(self) -> TerminalFrame:
        """The next frame. Raises IndexError at the end, CorruptError."""
        if not self.has_next_frame():
            raise IndexError(f"{self._name}: no frame behind the last of {self.get_total_num_frames()}")
        first, film = self._ahead or (0, None)
        if film is None or not first <= self._next < first + len(film.action_T):
            count = min(AHEAD, self.get_total_num_frames() - self._next)
            film = self._reader.window(self._steps.stream, self._steps.start + self._next, count)
            first = self._next
            self._ahead = first, film
        at = self._next - first
        self._last, self._next = self._next, self._next + 1
        return TerminalFrame(film.cells_TRC[at], int(film.action_T[at]))

    @property
    def _name(self) -> str:
        return self._reader.streams[self._steps.stream].repo_id


class Written(NamedTuple):
    """The recordings that were written, and the streams that are too short for a window."""

    recordings: int
    frames: int
    short: int


def write_recordings(
    shards: str | Path,
    folder: Path,
    *,
    split: Literal["train", "validation", "test"] | None = None,
    window: int = 1,
    repos: Sequence[str] = (),
    editor: Editor | None = None,
) -> Written:
    """Write a `.texz` file into `folder` for every stream of a warehouse, or for the steps of one of its splits.

    Splits are chosen for windows of `window` steps, as for training; what is shorter is left out and counted. `repos`:
    these repositories alone. Recordings of an earlier call that are in the folder go.
    Raises ConfigError (no film; the folder has recordings of others), WarehouseError, CorruptError, SchemaVersionError.
    """
    _reader.cache_clear()  # film may have grown
    reader = FilmReader(Warehouse(shards, repos, editor), CODE_POINTS)
    whole = [Segment(number, 0, length) for number, length in enumerate(reader.lengths)]
    parts = reader.segments(window)[0][split] if split else whole
    chosen = [part for part in parts if part.stop - part.start >= window]
    if not chosen:
        raise ConfigError(f"{shards}: no {split or 'film'} of {window} steps; use a shorter --window, or harvest more")
    root = str(shards) if "://" in str(shards) else str(Path(shards).resolve())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_earlier(folder)
        for part in chosen:
            repo_id = reader.streams[part.stream].repo_id
            said = {"warehouse": root, "repo_id": repo_id, "start": part.start, "stop": part.stop}
            (folder / f"{slug(repo_id)}{ENDING}").write_text(json.dumps(said) + "\n")
    except OSError as error:
        raise WarehouseError(f"{folder}: not writable ({error.strerror}); name another folder") from error
    return Written(len(chosen), sum(part.stop - part.start for part in chosen), len(parts) - len(chosen))


def _remove_earlier(folder: Path) -> None:
    """Remove the recordings written here; the reference would take them with the new ones. Raises ConfigError."""
    old = list(folder.glob(f"*{ENDING}"))
    for path in old:
        with path.open("rb") as file:
            if not file.read(16).startswith(b'{"warehouse": '):
                raise ConfigError(f"{path}: a recording that is not of gitreel's; name another folder")
    for path in old:
        path.unlink()


@lru_cache(maxsize=8)
def _reader(root: str) -> FilmReader:
    """A warehouse is opened once a process: a batch of the reference opens its recordings anew."""
    return FilmReader(Warehouse(root), CODE_POINTS)


def _open(path: str) -> tuple[FilmReader, Segment]:
    if path.endswith(ENDING):
        return _recorded(path)
    root, shards, name = (f"./{path}" if path.startswith("shards/") else path).rpartition("/shards/")
    if not shards:
        raise ConfigError(
            f"{path}: a recording is a {ENDING} file or a stream's folder, WAREHOUSE/shards/NAME; "
            "write files: python -m training.data.recordings FOLDER"
        )
    reader = _reader(root or "/")
    for number, stream in enumerate(reader.streams):
        if slug(stream.repo_id) == name:
            return reader, Segment(number, 0, stream.steps)
    names = [slug(stream.repo_id) for stream in reader.streams]
    raise WarehouseError(f"{path}: no such stream; there is {', '.join(names[:5])}{', …' if len(names) > 5 else ''}")


def _recorded(path: str) -> tuple[FilmReader, Segment]:
    """What a `.texz` file names."""
    again = "write it again: python -m training.data.recordings FOLDER"
    try:
        said = json.loads(Path(path).read_bytes())
        root, repo_id, start, stop = str(said["warehouse"]), said["repo_id"], int(said["start"]), int(said["stop"])
    except OSError as error:
        raise WarehouseError(f"{path}: no such recording ({error.strerror}); {again}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptError(f"{path}: not a recording over a warehouse; {again}") from error
    reader = _reader(root)
    for number, stream in enumerate(reader.streams):
        if stream.repo_id == repo_id and 0 <= start < stop <= stream.steps:
            return reader, Segment(number, start, stop)
    raise WarehouseError(f"{path}: {root} has no steps {start}-{stop} of {repo_id}; {again}")


def _write(address: int, kind: type[Any], values_N: npt.NDArray[Any]) -> None:
    """Write numbers to an array of a C type at an address; nothing at 0."""
    if address:
        np.ctypeslib.as_array((kind * len(values_N)).from_address(address))[:] = values_N


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.data.recordings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the .texz files go")
    parser.add_argument("--shards", default="warehouse", help="the warehouse, a folder or s3:// (%(default)s)")
    parser.add_argument("--split", choices=SPLITS, help="its steps alone (default: all film)")
    parser.add_argument("--window", type=int, default=1024, help="steps of a sequence; shorter streams are left out")
    parser.add_argument("--repo", action="append", default=[], metavar="REPO_ID", help="these alone")
    parser.add_argument("--editor", choices=get_args(Editor), help="film in this editor alone")
    options = parser.parse_args(arguments)
    if options.window < 1:
        raise ConfigError(f"--window {options.window}: write a number of steps, 1 or more")
    made = write_recordings(
        options.shards,
        options.folder,
        split=options.split,
        window=options.window,
        repos=options.repo,
        editor=options.editor,
    )
    short = f"; {made.short} streams are shorter than {options.window} steps" if made.short else ""
    print(f"{options.folder}: {made.recordings} recordings, {made.frames:,} frames{short}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
