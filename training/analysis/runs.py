"""Finished runs: their models, and the film that these read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schema.actions import VOCABULARY
from schema.editors import Editor
from schema.errors import ConfigError
from schema.folders import real_folder
from schema.geometry import Geometry
from training.data.warehouse import Warehouse
from training.data.windows import FilmReader
from training.model.frame_model import FrameModel
from training.model.weights import load_weights

BASELINES = ("frame_only", "keys_only")  # trained beside another model, and told of after it
LATEST = Path("runs/latest")  # a link to the last run whose folder was not named: what is evaluated by default


def load_runs(named: Sequence[Path]) -> tuple[dict[str, FrameModel], dict[str, Any]]:
    """The last weights of every model of some runs, by name, and the settings of the first. Raises ConfigError."""
    models: dict[str, FrameModel] = {}
    first: dict[str, Any] = {}
    folders = [real_folder(folder) for folder in named]
    for folder in folders:
        files = sorted((folder / "models").glob("*.safetensors"), key=lambda file: (file.stem in BASELINES, file.stem))
        if not files:
            raise ConfigError(f"{folder}: {_unfinished(folder)}")
        for file in files:
            model, metadata = load_weights(file)
            if "run" not in metadata:
                raise ConfigError(f"{file}: does not say how it was trained; train one: python -m training.fit")
            first = first or json.loads(metadata["run"])
            name = file.stem if file.stem not in models else f"{folder.name}/{file.stem}"
            if file.stem == "frame_only" and file.stem in models:
                continue
            models[name] = model.eval()
            if model.config.max_code_point != next(iter(models.values())).config.max_code_point:
                raise ConfigError(f"{file}: reads other code points than {next(iter(models))}; evaluate it on its own")
            if json.loads(metadata["run"])["repo"] != first["repo"]:
                raise ConfigError(f"{folder}: trained on other repositories than {folders[0]}; evaluate it on its own")
    return models, first


def _unfinished(folder: Path) -> str:
    """What to do where a folder holds no models."""
    if (folder / "config.json").exists():
        return f"the run is not finished; go on with it: python -m training.fit --resume {folder}"
    named = "" if folder == LATEST else f" --run {folder}"
    return f"no finished run; train one: python -m training.fit{named}"


def open_film(
    models: Mapping[str, FrameModel], shards: str, repos: Sequence[str] = (), editor: Editor | None = None
) -> FilmReader:
    """The film that all the models read, keys unmerged, in `editor` alone where one is named.

    Raises ConfigError (another size, tokens), and Warehouse's.
    """
    warehouse = Warehouse(shards, repos, editor)
    for name, model in models.items():
        size = Geometry(model.config.rows, model.config.cols)
        if warehouse.geometry != size:
            raise ConfigError(
                f"{warehouse.root}: film at {warehouse.geometry}, {name} reads {size}; harvest at that size: "
                f"python -m flows.harvest --geometry {size} --repo PATH --warehouse NEW_FOLDER"
            )
        if model.config.vocabulary != VOCABULARY:
            raise ConfigError(f"{name}: trained on {model.config.vocabulary} tokens; keys are needed here (--tokens 0)")
    return FilmReader(warehouse, next(iter(models.values())).config.max_code_point)
