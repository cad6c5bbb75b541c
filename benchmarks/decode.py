"""Stored film -> numpy screens, frames a second on one core, against other ways to hold and read the same film.

    python -m benchmarks.decode [--warehouse FOLDER] [--quick] [--json]

Without --warehouse the film is synthetic (typed words, some scrolls), so that it runs anywhere; give a real one for
figures that mean something. Peers, on the same frames: each cell a code point in one fixed-size binary
column of Parquet; the `frame` column read without its dictionary and padded string by string; a gzipped asciicast of
the changed rows.
"""

import gzip
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import finish, header, parser, table
from pipeline.film.frames import Changes, Film, RowTable
from pipeline.shards.manifest import manifests
from pipeline.shards.reader import StreamReader
from pipeline.shards.store import Store
from pipeline.shards.writer import StreamWriter
from schema.config import ReplayConfig
from schema.decode import decode_frames, decode_rows
from schema.errors import WarehouseError, clear_errors
from schema.geometry import Geometry
from schema.records import Drop, Episode

COLUMNS = ["frame", "style", "cursor_row", "cursor_col"]


class _Take:
    """One synthetic episode."""

    def __init__(self, episode: Episode, film: Film, rows: RowTable) -> None:
        self.episode, self.film, self.table = episode, film, rows
        self.blobs: list[tuple[str, bytes]] = []
        self.drops: list[Drop] = []


def synthetic(folder: str, geometry: Geometry, steps: int) -> None:
    """Words typed into a file that scrolls when it is full."""
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("etaoinshrdlu"), 6)) for _ in range(400)]
    text = " ".join(random.choice(words, steps // 6 + 1))[:steps]
    rows, cols = geometry
    height, width = rows - 2, min(cols - 2, 60)
    status = ("notes.txt [+]".ljust(cols), ((0, cols, 3),))
    config = ReplayConfig(rows=rows, cols=cols)
    with StreamWriter(folder, "synthetic/notes", config) as writer:
        for number, start in enumerate(range(0, steps, 1000)):
            rowtable, lines, frames, cursors = RowTable(), [""], [], []
            part = text[start : start + 1000]
            for letter in part:
                shown = [rowtable.intern(line.rstrip()) for line in lines[-height:]]
                shown += [rowtable.intern("~", ((0, 1, 1),))] * (height - len(shown))
                frames.append([*shown, rowtable.intern(*status), rowtable.intern("-- INSERT --", ((0, 12, 1),))])
                cursors.append((min(len(lines), height) - 1, len(lines[-1])))
                if len(lines[-1]) >= width and letter == " ":
                    lines.append("")
                elif len(lines[-1]) < cols - 1:
                    lines[-1] += letter
            cursor_row, cursor_col = np.ascontiguousarray(np.array(cursors, np.int16).T)
            action = np.frombuffer(part.encode(), np.uint8)
            shown = Changes.of(np.array(frames, np.int32))
            film = Film(shown, cursor_row, cursor_col, action, np.full(len(part), 3, np.uint8))
            episode = Episode(
                repo_id="synthetic/notes", episode=number, commit=f"{number:040x}", parent=None, authored_at=None,
                committed_at=None, author=None, subject="", status="filmed", reason=None, files=1, files_typed=1,
                lines=1, lines_typed=1, first_step=start, steps=len(part), tree="", opened=(), final_frame=("",) * rows,
                final_style=(), final_cursor_row=0, final_cursor_col=0,
            )  # fmt: skip
            writer.append(_Take(episode, film, rowtable))


def measure(reader: StreamReader, groups: int, repeats: int) -> dict[str, float]:
    """Frames a second and bytes a frame, ours and the peers', over `groups` row groups of one stream."""
    geometry = reader.manifest.config.geometry
    chosen = sorted(reader.groups("steps"), key=lambda g: -g.rows)[:groups]
    tables = [reader.table(group) for group in chosen]
    frames = sum(map(len, tables))
    out = np.empty((max(map(len, tables)), *geometry), np.uint8)

    def rate(work: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(repeats):
            start = time.process_time()
            work()
            best = min(best, time.process_time() - start)
        return frames / best

    def decode_each(read: bool, style: bool) -> None:
        for group, kept in zip(chosen, tables, strict=True):
            columns = COLUMNS if style else [c for c in COLUMNS if c != "style"]
            decode_frames(reader.table(group, columns) if read else kept, geometry, 256, style=style, out=out)

    def rows_each() -> None:
        for group in chosen:
            decode_rows(reader.table(group, COLUMNS), geometry, 256)

    grids = [decode_frames(t, geometry, 256, style=False).codes_TRC.copy() for t in tables]
    binary, cast = _fixed_size(grids), _asciicast(tables)

    def read_binary() -> None:
        file = pq.ParquetFile(io.BytesIO(binary))
        for number in range(file.num_row_groups):
            column = file.read_row_group(number).column(0).combine_chunks()
            np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, *geometry)

    def pad_strings() -> None:
        for number in (0,):
            for lines in tables[number].column("frame").to_pylist():
                for y, line in enumerate(lines):
                    padded = line.encode("latin-1", "replace").ljust(geometry.cols)
                    out[0, y] = np.frombuffer(padded, np.uint8)[: geometry.cols]

    return {
        "frames": frames,
        "decode": rate(lambda: decode_each(False, False)),
        "read_decode": rate(lambda: decode_each(True, False)),
        "read_decode_style": rate(lambda: decode_each(True, True)),
        "read_rows": rate(rows_each),
        "binary": rate(read_binary),
        "strings": rate(pad_strings) * len(tables[0]) / frames,
        "bytes_a_frame": sum(map(reader.stored_bytes, chosen)) / frames,
        "binary_bytes": len(binary) / frames,
        "asciicast_bytes": len(cast) / frames,
    }


def _fixed_size(grids: list[np.ndarray]) -> bytes:
    """Code points alone, one binary value a frame."""
    sink = io.BytesIO()
    kind = pa.binary(grids[0][0].size)
    with pq.ParquetWriter(sink, pa.schema([("frame", kind)]), compression="zstd", use_dictionary=False) as writer:
        for grid in grids:
            values = pa.FixedSizeBinaryArray.from_buffers(kind, len(grid), [None, pa.py_buffer(grid.tobytes())])
            writer.write_table(pa.table([values], names=["frame"]), row_group_size=len(grid))
    return sink.getvalue()


def _asciicast(tables: list[pa.Table]) -> bytes:
    """Version 2, changed rows and the cursor as escape sequences, gzipped; text alone, without styles."""
    sink = io.BytesIO()
    with gzip.open(sink, "wt", encoding="utf-8") as cast:
        before: list[str] = []
        for chunk in tables:
            for step in chunk.select(["stream_step", "frame", "cursor_row", "cursor_col"]).to_pylist():
                changed = [
                    f"\x1b[{y + 1};1H\x1b[K{line}"
                    for y, line in enumerate(step["frame"])
                    if not before or line != before[y]
                ]
                before = step["frame"]
                data = "".join(changed) + f"\x1b[{step['cursor_row'] + 1};{step['cursor_col'] + 1}H"
                cast.write(json.dumps([step["stream_step"] / 10, "o", data]) + "\n")
    return sink.getvalue()


@clear_errors
def main() -> int:
    """Run, print, and return the exit code."""
    flags = parser(__doc__)
    flags.add_argument("--warehouse", help="folder of film to read (default: synthetic film)")
    options = flags.parse_args()
    steps, groups, repeats = (40_000, 2, 3) if options.quick else (140_000, 8, 5)
    with tempfile.TemporaryDirectory() as folder:
        places = [options.warehouse]
        if not options.warehouse:
            places = [str(Path(folder) / name) for name in ("24x80", "48x160")]
            for place in places:
                synthetic(place, Geometry.parse(Path(place).name), steps)
        print(
            header(
                "Decoding stored film",
                ["numpy", "pyarrow"],
                film=options.warehouse or "synthetic",
                row_groups=groups,
                best_of=repeats,
            )
        )
        figures: dict[str, object] = {}
        for place in places:
            streams = [m for m in manifests(Store(place)) if m.steps]
            if not streams:
                raise WarehouseError(f"{place}: no shards; harvest first: python -m flows.harvest --repo PATH")
            longest = max(streams, key=lambda m: m.steps)
            found = measure(StreamReader(Store(place), longest), groups, repeats)
            figures[str(longest.config.geometry)] = found
            print(f"\n{longest.repo_id} at {longest.config.geometry}, {found['frames']:,.0f} frames, one thread")
            print(_table(found))
    finish(figures, options.json)
    return 0


def _table(found: dict[str, float]) -> str:
    ways = [
        ("Arrow columns -> code points [T, rows, cols]", "decode"),
        ("Parquet -> code points", "read_decode"),
        ("Parquet -> code points, styles, cursor", "read_decode_style"),
        ("Parquet -> distinct rows and ids", "read_rows"),
        ("peer: fixed-size binary in Parquet -> code points", "binary"),
        ("peer: strings padded one by one", "strings"),
    ]
    rates = [[name, round(found[key]), round(found[key] / found["binary"], 2)] for name, key in ways]
    sizes = [
        ["steps, every column", round(found["bytes_a_frame"], 2)],
        ["peer: fixed-size binary, code points alone", round(found["binary_bytes"], 2)],
        ["peer: gzipped asciicast, text and cursor alone", round(found["asciicast_bytes"], 2)],
    ]
    return (
        table(["way", "frames a second", "against binary"], rates)
        + "\n\n"
        + table(["stored as", "bytes a frame"], sizes)
    )


if __name__ == "__main__":
    sys.exit(main())
