"""What a memory buys: losses of fitted models by place in the window, by phase, by memory lag and by context.

    python -m training.evaluate runs/fit runs/transformer --shards warehouse/

Every model of every run is evaluated on the same held-out windows. `context_losses` predicts the *same* (stream, step)
targets from exactly T frames of context each, for any T.

Dimensions: W windows, T steps, N targets, D width.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schema.actions import Phase
from schema.errors import ConfigError, GitreelError
from training.checkpoint import load_weights, write
from training.data import FilmReader, Sampler, collate
from training.memory import by_lag, stored_certificates
from training.metrics import Held, run_windows
from training.model import FrameModel
from training.streaming import chunks, token_losses
from training.streams import Segment, Warehouse

Target = tuple[int, int]  # stream, step
SPAN = 256  # frames embedded at once


def spread_targets(segments: Sequence[Segment], count: int, longest: int, run: int = 64) -> list[Target]:
    """About `count` targets in runs of `run` consecutive steps, evenly spread, each with `longest` frames of context.

    Runs share their context's frames, so that many targets cost few frames. Raises ConfigError (no room).
    """
    room = [s._replace(start=s.start + longest - 1) for s in segments if s.stop - s.start >= longest + run]
    if not room:
        raise ConfigError(f"no held-out stream has {longest} + {run} steps; harvest more or use a shorter context")
    sampler = Sampler(room, run)
    places = [sampler.place(int(n)) for n in np.linspace(0, sampler.starts - 1, max(1, count // run))]
    return sorted({(stream, start + i) for stream, start in places for i in range(run)})


def context_losses(
    model: FrameModel,
    reader: FilmReader,
    targets: Sequence[Target],
    contexts: Sequence[int],
    dedup: bool | float = True,
    budget: int = 1 << 15,
) -> npt.NDArray[np.float32]:
    """Loss (nats) of each target given exactly T frames, the target's own included, for each T: [contexts, N].

    Each frame is embedded once. `budget`: steps of the backbone in one go. Raises ConfigError for a target with fewer
    frames before it than the longest context.
    """
    longest = max(contexts)
    order = sorted(range(len(targets)), key=lambda i: targets[i])
    losses = np.empty((len(contexts), len(targets)), np.float32)
    with torch.no_grad():
        for group in _runs([targets[i] for i in order], longest):
            stream, first = targets[order[group[0]]]
            start, last = first - longest + 1, targets[order[group[-1]]][1]
            if start < 0:
                raise ConfigError(f"target at step {first} has fewer than {longest} frames before it")
            x_TD, action_T = _embedded(model, reader, stream, start, last + 1 - start, dedup)
            columns = np.array([order[i] for i in group])
            steps = torch.tensor([targets[column][1] - start for column in columns])
            for row, context in enumerate(contexts):
                for part in chunks(len(group), max(1, budget // context)):
                    places_NT = steps[part, None] + torch.arange(1 - context, 1)
                    loss_N = _last_losses(model, x_TD[places_NT], action_T[steps[part]])
                    losses[row, columns[part]] = loss_N.numpy()
    return losses


def _runs(targets: Sequence[Target], longest: int) -> Iterable[list[int]]:
    """Positions of targets whose contexts overlap, together."""
    group: list[int] = []
    for i, (stream, step) in enumerate(targets):
        if group and (targets[group[-1]][0] != stream or step - targets[group[-1]][1] >= longest):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _embedded(
    model: FrameModel, reader: FilmReader, stream: int, start: int, length: int, dedup: bool | float
) -> tuple[Tensor, Tensor]:
    """Embeddings [T, D] and actions [T] of a span."""
    vectors, actions = [], []
    for part in chunks(length, SPAN):
        window = reader.window(stream, start + part.start, part.stop - part.start)
        vectors.append(model.embed(torch.from_numpy(window.cells_TRC)[None], dedup)[0])
        actions.append(torch.from_numpy(window.action_T))
    return torch.cat(vectors), torch.cat(actions)


def _last_losses(model: FrameModel, x_NTD: Tensor, action_N: Tensor) -> Tensor:
    logits_NTV, _ = model.predict(x_NTD)
    return token_losses(logits_NTV[:, -1:], action_N[:, None])[:, 0].float()


def by_position(held: Held) -> dict[str, float]:
    """Mean loss in doubling bins of the place in the window (1-based): '1', '2', '3-4', '5-8', ..."""
    result, low = {}, 0
    while low < held.losses.shape[1]:
        high = min(max(1, 2 * low), held.losses.shape[1])
        name = str(high) if high - low == 1 else f"{low + 1}-{high}"
        result[name] = float(held.losses[:, low:high].mean(dtype=np.float64))
        low = high
    return result


def by_phase(held: Held) -> dict[str, float]:
    """Mean loss of each phase that occurs."""
    return {
        phase.name.lower(): float(held.losses[held.phases == phase].mean(dtype=np.float64))
        for phase in Phase
        if (held.phases == phase).any()
    }


def evaluate(models: dict[str, FrameModel], reader: FilmReader, split: str, window: int, count: int) -> dict[str, Any]:
    """Every table for every model, on `count` windows of a split. Raises ConfigError."""
    segments, words = reader.segments(window)
    sampler = Sampler(segments[split], window)
    places = sampler.spread(count)
    windows = [reader.window(*place, window) for place in places]
    batches = [collate(windows[i : i + 8]) for i in range(0, len(windows), 8)]
    lags = None
    if reader.tokenizer is None:
        stored = {stream: stored_certificates(reader, stream) for stream in {s for s, _ in places}}
        lags = np.stack([stored[stream][start : start + window] for stream, start in places])
    result: dict[str, Any] = {
        "split": split, "splits": words, "window": window, "windows": len(places), "models": {},
    }  # fmt: skip
    for name, model in models.items():
        held = run_windows(model, batches)
        result["models"][name] = {
            "loss": float(held.losses.mean(dtype=np.float64)),
            "accuracy": float((held.predicted == held.actions).mean()),
            "by_position": by_position(held),
            "by_phase": by_phase(held),
            "by_lag": {} if lags is None else by_lag(held.losses, lags),
            "accuracy_by_lag": {} if lags is None else by_lag(held.predicted == held.actions, lags),
        }
    return result


def load_runs(folders: Sequence[Path]) -> tuple[dict[str, FrameModel], dict[str, Any]]:
    """The last weights of every model of some runs, by name, and the settings of the first. Raises ConfigError."""
    models: dict[str, FrameModel] = {}
    first: dict[str, Any] = {}
    for folder in folders:
        files = sorted((folder / "models").glob("*.safetensors"))
        if not files:
            raise ConfigError(f"{folder}: no finished run; train one: python -m training.fit --run {folder}")
        for file in files:
            model, metadata = load_weights(file)
            first = first or json.loads(metadata["run"])
            name = file.stem if file.stem not in models else f"{folder.name}/{file.stem}"
            if file.stem == "frame_only" and file.stem in models:
                continue
            models[name] = model.eval()
    return models, first


def table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Plain text, columns aligned to the right."""
    body = [[title, *columns], *([name, *cells] for name, cells in rows.items())]
    widths = [max(len(line[i]) for line in body if i < len(line)) for i in range(len(columns) + 1)]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=False))
        )
        for line in body
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def tables(result: dict[str, Any]) -> str:
    """The result in words."""
    models = result["models"]
    first = next(iter(models.values()))
    parts = [
        f"{result['windows']} windows of {result['window']} steps of the {result['split']} split ({result['splits']})",
        table("all", ["nats a step", "right"], {
            name.replace("_", "-"): [f"{m['loss']:.3f}", f"{m['accuracy']:.1%}"] for name, m in models.items()
        }),
    ]  # fmt: skip
    for key, title in (("by_position", "place in the window"), ("by_phase", "phase")):
        cells: dict[str, list[str]] = {
            name.replace("_", "-"): [f"{value:.3f}" for value in m[key].values()] for name, m in models.items()
        }
        parts.append(table(title, list(first[key]), cells))
    if first["by_lag"]:
        rows: dict[str, list[str]] = {"keys": [f"{count:,}" for _, count in first["by_lag"].values()]}
        for name, m in models.items():
            rows[name.replace("_", "-")] = [f"{value:.3f}" for value, _ in m["by_lag"].values()]
        parts.append(table("steps since the typed word was on screen", list(first["by_lag"]), rows))
    return "\n\n".join(parts)


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
        if settings["tokens"]:
            raise ConfigError(f"{options.runs[0]}: trained on tokens; evaluation by lag counts keys (--tokens 0)")
        model = next(iter(models.values()))
        warehouse = Warehouse(options.shards or settings["shards"], settings["repo"])
        if warehouse.geometry != (model.config.rows, model.config.cols):
            raise ConfigError(
                f"{warehouse.root}: film at {warehouse.geometry}, the model reads {model.config.rows}x"
                f"{model.config.cols}; harvest at that size (--rows, --cols)"
            )
        reader = FilmReader(warehouse, model.config.max_code_point)
        result = evaluate(models, reader, options.split, options.window or settings["window"], options.windows)
        print(tables(result))
        write(options.runs[0] / "evaluation.json", json.dumps(result, indent=1).encode() + b"\n")
        if options.json:
            print(json.dumps(result))
    except GitreelError as error:
        print(f"gitreel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
