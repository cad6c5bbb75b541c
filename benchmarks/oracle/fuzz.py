"""Look for a frame that the terminal model draws wrong: random files, edits and keys against the real programs.

    python -m benchmarks.oracle.fuzz --cases 200 --seed 0 --rows 24 --cols 80
    python -m benchmarks.oracle.fuzz --cases 200 --editor nano

All cases play in one unbroken terminal. A mismatch is drawn as two screens, its case is printed, and the search goes
on in a fresh terminal. Exit code 1 when one was found.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.oracle.cases import Case, Maker
from benchmarks.oracle.compare import Comparison, play_both
from benchmarks.oracle.machine import Oracle
from benchmarks.oracle.nano_cases import NanoMaker
from benchmarks.report import positive
from pipeline.terminal.terminal import Terminal
from schema.editors import Editor
from schema.errors import UnsupportedKeyError, clear_errors
from schema.geometry import Geometry

MAKERS: dict[Editor, type[Maker]] = {"vim": Maker, "nano": NanoMaker}


class Finding(NamedTuple):
    """A case that went wrong, and how."""

    case: Case
    shown: str


class Session:
    """One terminal model and one oracle, in step. Use as a context manager."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.root = Path(tempfile.mkdtemp(prefix="film-"))
        self.folder = self.root / "work"
        self.frames = 0
        self._start()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exception: object) -> None:
        self.oracle.close()
        shutil.rmtree(self.root)

    def _start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.terminal = Terminal(self.geometry)
        self.oracle = Oracle(self.geometry, self.folder, self.root / "support")

    def restart(self) -> None:
        """A fresh pair, after a mismatch."""
        self.oracle.close()
        shutil.rmtree(self.folder)
        self._start()

    def line(self, keys: bytes) -> str | None:
        """Type at the shell; the drawn mismatch, or None."""
        return self._judge(play_both(self.terminal, self.oracle, keys, stop=True))

    def case(self, case: Case) -> str | None:
        """Play one case, compare every frame and the file; what went wrong, or None."""
        target = self.folder / case.path.decode("utf-8", "surrogateescape")
        if case.old is None:
            target.unlink(missing_ok=True)
        else:
            target.write_bytes(case.old)
        before = self.terminal.screen()
        try:
            shown = self._judge(play_both(self.terminal, self.oracle, case.keys, [case.old], stop=True))
        except UnsupportedKeyError:  # a name too odd for a message; the oracle was not touched
            self.terminal = Terminal(self.geometry, before)
            target.unlink(missing_ok=True)
            return None
        if shown is None and case.new is not None:
            found = target.read_bytes() if target.exists() else None
            if found != case.new:
                shown = f"the file holds {found!r}, should hold {case.new!r}"
        if shown is None:
            target.unlink(missing_ok=True)
            self.terminal.forget_rows()
        return shown

    def _judge(self, result: Comparison) -> str | None:
        self.frames += result.frames
        return result.first.draw(self.geometry) if result.first else None


def search(
    geometry: Geometry,
    seeds: range,
    *,
    editor: Editor = "vim",
    composing: bool = False,
    seconds: float = float("inf"),
) -> Iterator[tuple[int, int, Finding | None]]:
    """(seed, frames so far, finding or None) for each seed's case, with a shell line before it."""
    deadline = time.monotonic() + seconds
    with Session(geometry) as session:
        for seed in seeds:
            if time.monotonic() > deadline:
                return
            maker = MAKERS[editor](random.Random(seed), geometry, composing=composing)
            case = maker.case()
            line = maker.shell_line()
            finding = None
            shown = session.line(line)
            if shown:
                finding = Finding(Case(b"", None, None, line), shown)
            else:
                shown = session.case(case)
                if shown:
                    finding = Finding(case, shown)
            if finding:
                session.restart()
            yield seed, session.frames, finding


@clear_errors
def main() -> int:
    """Search, print findings and the totals."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=positive, default=100)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--cols", type=int, default=80)
    parser.add_argument("--editor", choices=tuple(MAKERS), default="vim")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--show", type=int, default=3, help="findings to draw")
    parser.add_argument("--composing", action="store_true", help="combining marks too")
    parser.add_argument("--brief", action="store_true", help="draw only rows that differ")
    parser.add_argument("--json", action="store_true", help="totals as one JSON object on the last line")
    options = parser.parse_args()
    geometry = Geometry(options.rows, options.cols).check()
    frames, cases = 0, 0
    wrong: list[int] = []
    seeds = range(options.seed, options.seed + options.cases)
    found = search(geometry, seeds, editor=options.editor, composing=options.composing, seconds=options.seconds)
    for seed, total, finding in found:
        cases += 1
        frames = total
        if finding:
            wrong.append(seed)
            if len(wrong) <= options.show:
                case = finding.case
                shown = finding.shown
                if options.brief:
                    rows = shown.splitlines()
                    shown = "\n".join([*rows[:2], *(row for row in rows[3:] if row[:1] in "!r")])
                else:
                    print(f"old {case.old!r}\nkeys {case.keys!r}")
                print(f"=== seed {seed}: {case.path!r}\n{shown}")
    print(f"{cases} cases, {frames} frames at {geometry}, {len(wrong)} cases with a mismatch: seeds {wrong[:40]}")
    if options.json:
        print(json.dumps({"cases": cases, "frames": frames, "wrong": len(wrong)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
