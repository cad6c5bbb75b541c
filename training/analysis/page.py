"""A page about finished runs: losses as they fell, what the models expect on held-out film and type on their own, and
what a memory gives.

The same held-out windows for every model of every run, as in training.analysis.evaluate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schema.actions import action_name
from schema.errors import ConfigError
from schema.folders import real_folder
from schema.pages.charts import Line, line_chart
from schema.pages.page import Page, write_page
from schema.pages.screens import screens_data
from schema.screen import Screen
from schema.widths import CLASS, WIDE
from training.analysis.display import TOP, Shown, show
from training.analysis.evaluate import evaluate
from training.analysis.logs import read_log, smooth
from training.analysis.predictor import as_predictor
from training.analysis.runs import load_runs, open_film
from training.analysis.side_by_side import side_by_side
from training.data.batches import Sampler
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel

STRIP = 120  # steps of a film strip
STRIPS = 3  # strips of each run
LEVELS = {"loss_unigram": "unigram", "loss_counts": "counts of keys"}  # of summary.json
PLACES = ("run", "overwrite", "asked")  # settings that say where, not how


class Table(NamedTuple):
    """Columns, and rows of (name, cells)."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def write_run_page(
    named: Sequence[Path],
    target: Path,
    *,
    shards: str | None = None,
    split: str = "validation",
    windows: int = 32,
) -> int:
    """Write the page about some runs, and return its size in bytes.

    `shards`: another warehouse than the first run's; `windows` of its `split` are judged. Raises ConfigError,
    WarehouseError, CorruptError.
    """
    folders = [real_folder(folder) for folder in named]
    models, settings = load_runs(named)
    reader = open_film(models, shards or str(settings["shards"]), settings["repo"], settings.get("editor"))
    window = int(settings["window"])
    found = evaluate(models, reader, split, window, windows, window)
    strips = list(_strips(models, reader, split, window))
    pairs = list(side_by_side(models, reader, reader.segments(window)[0][split], window))
    page = Page(
        package="training.analysis",
        template="run.html",
        title=", ".join(folder.name for folder in folders),
        styles=("run.css",),
        scripts=("run.js",),
        data={"strip-data": strips, "pair-data": pairs},
        values={
            "summary": f"{found['windows']} windows of {window} keys, {split} split",
            "runs": len(folders),
            "pairs": len(pairs),
            "curves": [_curves(folders, frames=False), _curves(folders, frames=True)],
            "overall": _overall(found["models"], folders),
            "by_phase": _parts(found["models"], "by_phase"),
            "accuracy_by_phase": _accuracies(folders),
            "memory": _memory(found["models"]),
            "by_lag": _lags(found["models"]),
            "differences": _differences(folders),
        },
    )
    return write_page(page, target)


def _shown(name: str) -> str:
    return name.replace("_", "-")


def _curves(folders: Sequence[Path], *, frames: bool) -> Any:
    """Losses over updates, or over the frames that were learned from."""
    lines: dict[str, Line] = {}
    for folder in folders:
        logged, settings, summary = read_log(folder / "log.jsonl"), _json(folder / "config.json"), _summary(folder)
        scale = int(settings["batch"]) * int(settings["window"]) if frames else 1
        prefix = f"{folder.name} " if len(folders) > 1 else ""
        for name in settings["model"]:
            held = [
                (line["update"] * scale, line[key]) for line in logged if (key := f"validation/{name}/loss") in line
            ]
            train = [(line["update"] * scale, line[key]) for line in logged if (key := f"train/{name}") in line]
            if held:
                x, y = zip(*held, strict=True)
                lines[f"{prefix}{_shown(name)}"] = Line(x, y)
            if train:
                x, y = zip(*train, strict=True)
                lines[f"{prefix}{_shown(name)}:train"] = Line(x, smooth(y, max(1, len(y) // 40)).tolist(), thin=True)
        for key, words in LEVELS.items():
            if summary.get(key) is not None:
                lines.setdefault(f"{prefix}{words}", Line([0.0], [float(summary[key])], dashed=True))
    return line_chart(lines, "frames" if frames else "updates", "nats a key")


def _overall(models: Mapping[str, Any], folders: Sequence[Path]) -> Table:
    rows = [(_shown(name), [f"{m['loss']:.3f}", f"{m['accuracy']:.1%}"]) for name, m in models.items()]
    for folder in folders:
        summary = _summary(folder)
        prefix = f"{folder.name}: " if len(folders) > 1 else ""
        rows += [(f"{prefix}{words}", [f"{summary[key]:.3f}", ""]) for key, words in LEVELS.items() if summary.get(key)]
    return Table(["nats a key", "right"], rows)


def _parts(models: Mapping[str, Any], key: str) -> Table:
    columns = list(next(iter(models.values()))[key])
    rows = [(_shown(name), [f"{m[key][column]:.3f}" for column in columns]) for name, m in models.items()]
    return Table([column.replace("_", " ") for column in columns], rows)


def _accuracies(folders: Sequence[Path]) -> Table:
    """Accuracy by phase, as each run judged its models last."""
    columns: dict[str, None] = {}
    rows: dict[str, dict[str, str]] = {}
    for folder in folders:
        for key, value in _summary(folder).items():
            name, slash, phase = key.partition("/accuracy_")
            if slash:
                columns[phase] = None
                label = f"{folder.name}: {_shown(name)}" if len(folders) > 1 else _shown(name)
                rows.setdefault(label, {})[phase] = f"{value:.0%}"
    return Table(
        [column.replace("_", " ") for column in columns],
        [(name, [cells.get(column, "") for column in columns]) for name, cells in rows.items()],
    )


def _memory(models: Mapping[str, Any]) -> list[Any]:
    """Loss by the number of frames seen in the window, and by the lag of the word that is typed."""
    by_place = {
        _shown(name): Line([float(place.split("-")[-1]) for place in m["by_position"]], list(m["by_position"].values()))
        for name, m in models.items()
    }
    charts = [line_chart(by_place, "frames seen in the window (T)", "nats a key", logarithmic=True)]
    lags = {
        _shown(name): Line(list(range(len(m["by_lag"]))), [value for value, _ in m["by_lag"].values()])
        for name, m in models.items()
        if m["by_lag"]
    }
    return [*charts, line_chart(lags, "lag of the typed word (the table's columns)", "nats a key")] if lags else charts


def _lags(models: Mapping[str, Any]) -> Table:
    first = next(iter(models.values()))["by_lag"]
    if not first:
        return Table([], [])
    rows = [("keys", [f"{count:,}" for _, count in first.values()])]
    rows += [(_shown(name), [f"{value:.3f}" for value, _ in m["by_lag"].values()]) for name, m in models.items()]
    return Table(list(first), rows)


def _differences(folders: Sequence[Path]) -> Table:
    """Settings in which the runs are not alike."""
    flat = [_flat({k: v for k, v in _json(folder / "config.json").items() if k not in PLACES}) for folder in folders]
    names = list(dict.fromkeys(name for each in flat for name in each))
    rows = [(name, [str(each.get(name, "-")) for each in flat]) for name in names]
    return Table([folder.name for folder in folders], [(name, cells) for name, cells in rows if len(set(cells)) > 1])


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError("it holds no settings")
        return found
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); train the run again: python -m training.fit") from error


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / "summary.json"
    return _json(path) if path.exists() else {}


def _strips(models: Mapping[str, FrameModel], reader: FilmReader, split: str, window: int) -> Iterable[dict[str, Any]]:
    """The same pieces of held-out film as each model sees them, evenly spread."""
    segments, _ = reader.segments(window)
    length = min(STRIP, window)
    places = Sampler(segments[split], length).spread(STRIPS)
    for stream, start in places:
        for name, model in models.items():
            shown = show(as_predictor(model, window), reader, stream, start, length)
            yield _strip(f"{_shown(name)}, {reader.streams[stream].repo_id} from step {start:,}", shown)


def _strip(title: str, shown: Shown) -> dict[str, Any]:
    _, rows, cols = shown.cells_TRC.shape
    return {
        "title": title,
        "rows": rows,
        "cols": cols,
        "screens": screens_data(screen_of(cells_RC, shown.max_code_point) for cells_RC in shown.cells_TRC),
        "keys": [
            _key(int(action), chance_V) for action, chance_V in zip(shown.actions_T, shown.chances_TV, strict=True)
        ],
    }


def _key(action: int, chance_V: npt.NDArray[np.float32]) -> dict[str, Any]:
    """One key: its name and loss, and the keys held likeliest, the one pressed among them."""
    likeliest = np.argsort(-chance_V, kind="stable")[:TOP].tolist()
    listed = likeliest if action in likeliest else [*likeliest, action]
    return {
        "name": action_name(action),
        "loss": round(float(-np.log(max(float(chance_V[action]), 1e-9))), 3),
        "guesses": [{"name": action_name(key), "chance": round(float(chance_V[key]), 4)} for key in listed],
    }


def screen_of(cells_RC: npt.NDArray[Any], points: int) -> Screen:
    """Cell ids (training.model.frame_head says what they mean) as a screen; clamped code points become U+FFFD."""
    styles_RC, codes_RC = np.divmod(cells_RC, points)
    cursors_RC, styles_RC = np.divmod(styles_RC, 4)
    place = np.argwhere(cursors_RC > 0)
    row, col = (int(place[0][0]), int(place[0][1])) if len(place) else (0, 0)
    texts = tuple(_text(codes_C.tolist(), points) for codes_C in codes_RC)
    return Screen(texts, tuple(map(_runs, styles_RC)), row, col)


def _text(codes: Sequence[int], points: int) -> str:
    """A row's text; the second cell of a wide character that was clamped is a blank behind the sign for it."""
    found = ""
    for code in codes:
        if code == 0:
            found += "" if found and CLASS[ord(found[-1])] == WIDE else " "
        else:
            found += "\N{REPLACEMENT CHARACTER}" if code == points - 1 else chr(code)
    return found.rstrip(" ")


def _runs(style_C: npt.NDArray[Any]) -> tuple[tuple[int, int, int], ...]:
    edges = np.flatnonzero(np.diff(style_C)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(style_C)]
    return tuple((a, b - a, int(style_C[a])) for a, b in zip(starts, stops, strict=True) if style_C[a])
