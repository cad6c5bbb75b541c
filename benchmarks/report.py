"""What every benchmark prints around its figures: where, with what and when it was measured, tables, one JSON line."""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.git.environment import git_environment

ROOT = Path(__file__).resolve().parents[1]


class PeerMissingError(Exception):
    """A peer to compare with is not installed; `str(error)` says how to get it."""


def need(extra: str, *modules: str) -> None:
    """End the program with one line, exit code 2, unless the modules of an optional extra are installed."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            print(f"{module}: not installed; run: pip install -e '.[{extra}]'", file=sys.stderr)
            raise SystemExit(2) from None


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """Flags that all benchmarks share: --quick (within a minute) and --json (the figures as the last line)."""
    made = argparse.ArgumentParser(
        description=(documentation or "").strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="end within a minute")
    made.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    return made


def positive(text: str) -> int:
    """A flag's number of things that are measured, 1 or more: of none, nothing is wrong. argparse names the flag."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number, 1 or more")
    return int(text)


def header(name: str, packages: Sequence[str] = (), **settings: object) -> str:
    """Hardware, versions, date and settings, in a few lines."""
    programs = [f"Python {platform.python_version()}", f"git {_git('--version').split()[2]}", *_versions(packages)]
    machine = f"{processor()}, {os.cpu_count()} cores, {memory_gib():.0f} GiB, load {os.getloadavg()[0]:.1f}"
    lines = [
        f"{name}, measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC at commit {_commit()}",
        f"{machine}; {platform.system()} {platform.release()}",
        ", ".join(programs),
    ]
    if settings:
        lines.append(", ".join(f"{key} {value}" for key, value in settings.items()))
    return "\n".join(lines)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns; numbers to the right.

    >>> print(table(["what", "n"], [["a", 1], ["b", 20]]))
    what   n
    ----  --
    a      1
    b     20
    """
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(columns))]

    def line(words: Sequence[str]) -> str:
        aligned = (w.rjust(n) if r else w.ljust(n) for w, n, r in zip(words, widths, right, strict=True))
        return "  ".join(aligned).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *(line(row) for row in cells)])


def finish(figures: Mapping[str, object], as_json: bool) -> None:
    """The figures as the last line, if asked for."""
    if as_json:
        print(json.dumps(dict(figures)))
    sys.stdout.flush()


def processor() -> str:
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def memory_gib() -> float:
    """Main memory, GiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}" if abs(cell) < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _versions(packages: Sequence[str]) -> list[str]:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return found


def _commit() -> str:
    sha = _git("rev-parse", "--short=12", "HEAD")
    return (sha + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")) if sha else "unknown"


def _git(*arguments: str) -> str:
    command = ["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}", *arguments]
    done = subprocess.run(command, env=git_environment(), capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
