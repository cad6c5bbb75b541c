"""Regenerate schema/widths.tsv: how the installed vim draws every code point, and whether bash agrees.

    python -m benchmarks.oracle.widths            write schema/widths.tsv
    python -m benchmarks.oracle.widths --check    compare only; exit code 1 when they differ

Needs vim on PATH and the C.UTF-8 locale.
"""

import argparse
import ctypes
import locale
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from schema.errors import clear_errors

TABLE = Path(__file__).resolve().parents[2] / "schema" / "widths.tsv"

# One line a code point: is it composing, cells, how strtrans shows it (first two characters).
SCRIPT = """
set encoding=utf-8 noarabicshape emoji ambiwidth=single
let out = []
for n in map(readfile('points'), 'str2nr(v:val)')
  let c = nr2char(n, 1)
  let t = strtrans(c)
  let shown = t ==# c ? 0 : t[0] ==# '^' ? 4 : 3
  call add(out, (strchars('a' .. c, 1) == 1) .. ' ' .. strdisplaywidth(c) .. ' ' .. shown)
endfor
call writefile(out, 'widths.out')
call writefile(split(execute('version'), nr2char(10)), 'version.out')
qall!
"""


def read_vim(points: Sequence[int] = range(0x110000)) -> tuple[str, list[int]]:
    """(version, class of each of these code points), straight from `vim`. Raises FileNotFoundError without vim."""
    points = [point for point in points if point]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "points").write_text("\n".join(map(str, points)) + "\n")
        (Path(folder) / "widths.vim").write_text(SCRIPT)
        command = [
            "vim",
            "-u",
            "NONE",
            "-i",
            "NONE",
            "-N",
            "-n",
            "-es",
            "-S",
            "widths.vim",
        ]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=600)
        lines = (Path(folder) / "widths.out").read_text().splitlines()
        version = vim_version((Path(folder) / "version.out").read_text())
    classes = [4] if points[0] == 1 else []  # NUL is ^@; a script cannot hold it
    for number, line in zip(points, lines, strict=True):
        composing, cells, shown = (int(word) for word in line.split())
        if number == 9:
            classes.append(4)  # a tab is drawn as cells up to the next stop
        elif composing:
            classes.append(0)
        elif shown:
            classes.append(shown)
        elif cells in (1, 2):
            classes.append(cells)
        else:
            raise ValueError(f"U+{number:04X}: vim draws {cells} cells, the table has no class for it")
    return version, classes


def vim_version(text: str) -> str:
    """What `vim --version` prints -> '9.0.1378': the highest patch below which none is missing."""
    release = re.search(r"Vi IMproved (\d+\.\d+)", text)
    patches = re.search(r"Included patches: 1-(\d+)", text)
    if not release:
        raise ValueError(f"not what vim --version prints: {text[:60]!r}")
    return f"{release[1]}.{patches[1] if patches else 0}"


def read_shell() -> list[int]:
    """Cells of every code point by glibc's wcwidth in C.UTF-8, what readline moves the cursor by."""
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    wcwidth = ctypes.CDLL(None).wcwidth
    wcwidth.argtypes, wcwidth.restype = [ctypes.c_wchar], ctypes.c_int
    return [wcwidth(chr(number)) for number in range(0x110000)]


def table() -> str:
    """The whole file: a header, then `first last class shell_safe` a range, hexadecimal and inclusive."""
    version, classes = read_vim()
    shell = read_shell()
    cells = [(kind, int(kind in (1, 2) and shell[number] == kind)) for number, kind in enumerate(classes)]
    lines = [f"# vim {version}", "# first\tlast\tclass\tshell_safe"]
    first = 0
    for (kind, safe), run in groupby(cells):
        last = first + sum(1 for _ in run) - 1
        lines.append(f"{first:04x}\t{last:04x}\t{kind}\t{safe}")
        first = last + 1
    return "\n".join(lines) + "\n"


@clear_errors
def main() -> int:
    """Write the table, or with --check say whether the installed vim draws the same one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    fresh = table()
    if not check:
        TABLE.write_text(fresh)
        print(f"{TABLE.name}: {fresh.count(chr(10)) - 2} ranges, {fresh.splitlines()[0][2:]}")
        return 0
    same = fresh.splitlines()[1:] == TABLE.read_text().splitlines()[1:]
    print(f"{fresh.splitlines()[0][2:]} draws {'the same' if same else 'ANOTHER'} table")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
