"""Lets a fitted model act: its keys, played in the terminal from where a recorded commit began.

    python -m training.rollout --repo OWNER/NAME --episode 12 --show

What is reported, and how a rollout ends: see training.analysis.rollout.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from schema.errors import ConfigError, clear_errors
from training.analysis.rollout import SHORT_RUN, load_episode, picture, rollout, words
from training.analysis.runs import LATEST, load_runs, open_film

SEEDS = 1 << 63  # as many have torch's generators


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.rollout", description=__doc__.split("\n\n")[0], epilog=SHORT_RUN
    )
    parser.add_argument("--run", type=Path, default=LATEST, help="folder of a finished run (%(default)s)")
    parser.add_argument("--model", help="one of its models; by default the one that was asked for")
    parser.add_argument("--shards", help="the warehouse; the run's by default")
    parser.add_argument("--repo", required=True, help="repository id")
    parser.add_argument("--episode", type=int, required=True, help="ordinal of the commit")
    parser.add_argument("--temperature", type=float, default=0.0, help="of sampling; 0: the likeliest key")
    parser.add_argument("--keys", type=int, help="keys at most; as many as recorded by default")
    parser.add_argument("--given", type=int, default=0, metavar="N", help="recorded keys typed before it is on its own")
    parser.add_argument("--warm", type=int, help="steps before the episode for its memory; the run's window by default")
    parser.add_argument("--seed", type=int, default=0, help="of sampling")
    parser.add_argument("--show", action="store_true", help="print the last screen")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    options = parser.parse_args(arguments)
    for name, low in (("temperature", 0), ("keys", 1), ("warm", 0), ("given", 0), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and not low <= value < math.inf:
            raise ConfigError(f"--{name} {value}: a number, at least {low}")
    if options.seed >= SEEDS:
        raise ConfigError(f"--seed {options.seed}: a number below {SEEDS}")
    models, settings = load_runs([options.run])
    name = options.model or next(iter(models))
    if name not in models:
        raise ConfigError(f"{options.run}: no model {name}; it has {', '.join(models)}")
    reader = open_film({name: models[name]}, options.shards or settings["shards"])
    report, env = rollout(
        models[name],
        reader,
        load_episode(reader, options.repo, options.episode),
        warm=settings["window"] if options.warm is None else options.warm,
        keys=options.keys,
        given=options.given,
        temperature=options.temperature,
        seed=options.seed,
    )
    print(f"{options.repo} episode {options.episode}, {name.replace('_', '-')} of {options.run}\n{words(report)}")
    if options.show:
        print(picture(env))
    if options.json:
        print(json.dumps({"repo": options.repo, "episode": options.episode, "model": name, **report}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
