"""Rows of the figures' CSV files: one training run each, exact to the last bit."""

from __future__ import annotations

import csv
import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_origin

import torch
from pydantic import BaseModel

from pipeline.git.environment import git_environment
from training.tasks.train import TaskConfig, TaskResult, fit

ROOT = Path(__file__).parent


class Kind(NamedTuple):
    """A kind of training run: what decides it, what it measures, how it is run and named."""

    config: type[BaseModel]
    result: type[BaseModel]
    fit: Callable[[Any], Any]
    key: Callable[[Any], str]
    summary: Callable[[Any], str]
    times: tuple[str, ...] = ("cpu_seconds",)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Fields of a result that a rerun must reproduce exactly."""
        return tuple(name for name in self.result.model_fields if name not in self.times)

    @property
    def columns(self) -> tuple[str, ...]:
        """The header of a CSV file."""
        return (
            "key", *self.config.model_fields, *self.metrics, *self.times, "torch", "processor", "commit", "date",
        )  # fmt: skip


def cell_key(config: TaskConfig) -> str:
    """The name of a task's cell, unique within a results file: model, layers, size, rate, seed."""
    return (
        f"{config.model}-l{config.layers}-w{config.width}-n{config.size}"
        f"-r{config.rate:g}-u{config.updates}-s{config.seed}"
    )


def _summary(result: TaskResult) -> str:
    return (
        f"accuracy {result.accuracy:.4f}, longest {result.accuracy_longest:.4f}, {result.updates_run} updates, "
        f"{result.cpu_seconds:.0f} s{', undertrained' * result.undertrained}"
    )


TASK = Kind(TaskConfig, TaskResult, fit, cell_key, _summary)


class Row(NamedTuple):
    """One measured cell: an instance of its kind's config, and one of its result."""

    config: Any
    result: Any
    kind: Kind = TASK

    @property
    def key(self) -> str:
        return self.kind.key(self.config)


def render(value: Any) -> str:
    """A CSV field: exact for floats, ``a=1;b=2`` for tables, ``1;2`` for tuples."""
    if isinstance(value, tuple):
        return ";".join(map(render, value))
    if isinstance(value, dict):
        return ";".join(f"{key}={render(item)}" for key, item in value.items())
    return repr(value) if isinstance(value, float) else str(value)


def parse_table(text: str) -> dict[str, str]:
    """The inverse of ``render`` for tables."""
    return dict(item.split("=", 1) for item in text.split(";") if item)


def _fields(model: type[BaseModel], fields: dict[str, str]) -> dict[str, Any]:
    """The CSV fields of one model, tables and tuples taken apart."""
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        text, origin = fields[name], get_origin(field.annotation)
        if origin is dict:
            values[name] = {
                key: int(value) if value.lstrip("-").isdigit() else value for key, value in parse_table(text).items()
            }
        elif origin is tuple:
            values[name] = [item for item in text.split(";") if item]
        else:
            values[name] = text
    return values


def read_rows(path: Path, kind: Kind = TASK) -> list[Row]:
    """Rows of a results file, none where it does not exist.

    Raises:
        ValueError: a row does not fit the columns; the message names file and line.
    """
    if not path.exists():
        return []
    rows = []
    with path.open(newline="", encoding="utf-8") as lines:
        for number, fields in enumerate(csv.DictReader(lines), start=2):
            try:
                config = kind.config.model_validate(_fields(kind.config, fields))
                result = kind.result.model_validate(_fields(kind.result, fields))
            except (AttributeError, KeyError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a result row: {error}") from error
            rows.append(Row(config, result, kind))
    return rows


def append_row(path: Path, row: Row) -> None:
    """Append one row, with a header when the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    values = {
        "key": row.key,
        **{key: getattr(row.config, key) for key in row.kind.config.model_fields},
        **{key: getattr(row.result, key) for key in row.kind.result.model_fields},
        "torch": torch.__version__,
        "processor": processor(),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
    }
    with path.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if new:
            writer.writerow(row.kind.columns)
        writer.writerow([render(values[column]) for column in row.kind.columns])


def processor() -> str:
    """The processor's name, as the kernel gives it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown"


def commit() -> str:
    """The checkout's commit, abbreviated, or ``unknown`` outside of one."""
    answer = subprocess.run(
        ["git", f"--git-dir={ROOT.parent / '.git'}", "rev-parse", "--short=10", "HEAD"],
        env=git_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return answer.stdout.strip() or "unknown"
