"""The command line of the evaluation: tables of losses, windows first, then along whole streams.

    python -m training.evaluate                                 # the last run
    python -m training.evaluate runs/lstm runs/transformer --shards warehouse/
    python -m training.evaluate runs/lstm --memory 4096 --adapt --context 16 --context 64

Every model of every run is evaluated on the same held-out windows (training.analysis.evaluate); then each reads the
held-out streams from their start, its state carried, beside counts of their keys (training.analysis.along). With
`--context`, some keys are predicted from exactly so many steps (training.analysis.cold).
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from schema.editors import Editor
from schema.errors import ConfigError, clear_errors
from schema.folders import real_folder
from training.analysis.adapting import AdaptConfig
from training.analysis.along import count_film, evaluate_along, tables_along
from training.analysis.carried import SCORED_FROM, STEPS, Stretch, stretches
from training.analysis.cold import at_contexts, draw_targets, tables_cold
from training.analysis.evaluate import evaluate, tables
from training.analysis.predictor import Predictor, as_predictor
from training.analysis.runs import LATEST, load_runs, open_film
from training.analysis.word_lags import stored_word_lags
from training.data.windows import FilmReader
from training.files import write_atomically
from training.model.frame_model import FrameModel
from training.model.key_counts import KeyCounts


def along(
    models: Mapping[str, FrameModel],
    reader: FilmReader,
    options: argparse.Namespace,
    parts: Sequence[Stretch],
    counts: KeyCounts,
    window: int,
) -> dict[str, Any]:
    """Every table along whole streams of a split."""
    lags = {part.stream: stored_word_lags(reader, part.stream) for part in parts}
    predictors = predictors_at(models, options.memory, window)
    return evaluate_along(predictors, reader, parts, counts, adapt=AdaptConfig() if options.adapt else None, lags=lags)


def predictors_at(models: Mapping[str, FrameModel], memory: Sequence[int], window: int) -> dict[str, Predictor]:
    """The models by name, and each that has a memory once more for every number of steps of it."""
    found: dict[str, Predictor] = {}
    for name, model in models.items():
        found[name.replace("_", "-")] = as_predictor(model, window)
        for steps in memory if model.config.memory else ():
            other = copy.deepcopy(model)
            other.memory_steps = steps
            found[f"{name.replace('_', '-')}, memory {steps:,}"] = other
    return found


@clear_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit code is 2 after a clear error."""
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="What fitted models know of held-out film: tables of losses, windows first, then whole streams.",
    )
    parser.add_argument("runs", nargs="*", type=Path, default=[LATEST], help=f"folders of finished runs ({LATEST})")
    parser.add_argument("--shards", help="the warehouse; the first run's by default")
    parser.add_argument("--editor", choices=get_args(Editor), help="film in this editor alone; the run's by default")
    parser.add_argument("--split", choices=["train", "validation", "test"], default="validation")
    parser.add_argument("--window", type=int, help="steps; the first run's by default")
    parser.add_argument("--windows", type=int, default=64, help="windows at most")
    parser.add_argument(
        "--steps", type=int, default=STEPS, help=f"read of each held-out stream [{STEPS}]; 0: windows alone"
    )
    parser.add_argument(
        "--scored-from",
        type=int,
        default=SCORED_FROM,
        help=f"the first step of each stream that counts, a quarter of what is read of it at most [{SCORED_FROM}]",
    )
    parser.add_argument("--memory", type=int, action="append", default=[], help="steps of memory; repeatable")
    parser.add_argument(
        "--context", type=int, action="append", default=[], metavar="T",
        help="predict some keys from exactly T steps as well; repeatable",
    )  # fmt: skip
    parser.add_argument("--adapt", action="store_true", help="read once more while the weights go on learning")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    options = parser.parse_args(arguments)
    models, settings = load_runs(options.runs)
    editor = options.editor or settings.get("editor")
    reader = open_film(models, options.shards or settings["shards"], settings["repo"], editor)
    window = settings["window"] if options.window is None else options.window
    if window < 1 or options.windows < 1:
        raise ConfigError("--window and --windows: at least 1")
    if not options.steps and (options.memory or options.adapt):
        raise ConfigError("--memory and --adapt are of whole streams, of which --steps 0 reads nothing: leave one out")
    if options.steps < 0 or options.scored_from < 0 or any(s < 1 for s in [*options.memory, *options.context]):
        raise ConfigError("--steps and --scored-from: at least 0; --memory and --context: at least 1")
    segments, _ = reader.segments(settings["window"])
    held = segments[options.split]
    if options.context and held:  # before minutes are spent
        draw_targets(held, max(options.context))
    result = evaluate(models, reader, options.split, window, options.windows, settings["window"])
    print(tables(result))
    parts = stretches(held, options.steps, options.scored_from) if options.steps else []
    if options.steps or options.context:
        counts = count_film(reader, segments["train"], segments["validation"] or held)
    if options.steps:
        result["along"] = along(models, reader, options, parts, counts, settings["window"])
        print("\n" + tables_along(result["along"]))
    if options.context:
        named = {name.replace("_", "-"): model for name, model in models.items()}
        result["context"] = at_contexts(named, reader, held, sorted(set(options.context)), counts)
        print("\n" + tables_cold(result["context"]))
    write_atomically(real_folder(options.runs[0]) / "evaluation.json", json.dumps(result, indent=1).encode() + b"\n")
    if options.json:
        print(json.dumps(result))
    return 0
