"""A page about finished runs, to be opened in a browser.

    python -m training.report                                # the last run, as runs/latest/report.html
    python -m training.report runs/lstm runs/mamba2 --html two.html

One file: how the losses fell, what the models expect on held-out screens, key by key, what they type on their own
beside what was typed, accuracy by kind of key, what a memory gives, and the settings in which the runs differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from schema.errors import ConfigError, clear_errors
from training.analysis.page import write_run_page
from training.analysis.runs import LATEST


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, default=[LATEST], help=f"folders of finished runs ({LATEST})")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the page (default: report.html in the first run)")
    parser.add_argument("--shards", help="the warehouse; the first run's by default")
    parser.add_argument("--split", choices=["train", "validation", "test"], default="validation")
    parser.add_argument("--windows", type=int, default=32, help="held-out windows that are judged")
    options = parser.parse_args(arguments)
    target = options.html or options.runs[0] / "report.html"
    if target.suffix != ".html":
        raise ConfigError(f"--html {target}: a page's name ends in .html, for example run.html")
    if options.windows < 1:
        raise ConfigError(f"--windows {options.windows}: write a number of windows, 1 or more")
    size = write_run_page(options.runs, target, shards=options.shards, split=options.split, windows=options.windows)
    print(f"{target}: {size:,} bytes; open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
