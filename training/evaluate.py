"""What a memory buys: losses of fitted models by place in the window, by phase, by memory lag and by context.

    python -m training.evaluate runs/fit runs/transformer --shards warehouse/

Every model of every run is evaluated on the same held-out windows; see training.analysis.evaluate.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from schema.errors import ConfigError, GitreelError
from training.analysis.evaluate import evaluate, tables
from training.analysis.runs import load_runs, open_film
from training.files import write_atomically


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.split("\n\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, default=[Path("runs/fit")], help="folders of finished runs")
    parser.add_argument("--shards", help="the warehouse; the first run's by default")
    parser.add_argument("--split", choices=["train", "validation", "test"], default="validation")
    parser.add_argument("--window", type=int, help="steps; the first run's by default")
    parser.add_argument("--windows", type=int, default=64, help="windows at most")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    options = parser.parse_args(arguments)
    try:
        models, settings = load_runs(options.runs)
        reader = open_film(models, options.shards or settings["shards"], settings["repo"])
        window = options.window or settings["window"]
        if window < 1 or options.windows < 1:
            raise ConfigError("--window and --windows: at least 1")
        result = evaluate(models, reader, options.split, window, options.windows, settings["window"])
        print(tables(result))
        write_atomically(options.runs[0] / "evaluation.json", json.dumps(result, indent=1).encode() + b"\n")
        if options.json:
            print(json.dumps(result))
    except GitreelError as error:
        print(f"gitreel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
