"""Rows of the task figures' CSV files: one training run each, exact to the last bit."""

from __future__ import annotations

import csv
import datetime
import subprocess
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict

from training.tasks.fit import TaskConfig, TaskResult

ROOT = Path(__file__).parent
#: Fields of a result that a rerun must reproduce exactly.
METRICS = (
    "parameters", "updates_run", "accuracy", "accuracy_longest", "loss", "curve", "solved",
    "undertrained",
)  # fmt: skip
COLUMNS = (
    "key", *TaskConfig.model_fields, *METRICS, "cpu_seconds", "torch", "processor", "commit",
    "date",
)  # fmt: skip


class Row(BaseModel):
    """One measured cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TaskConfig
    result: TaskResult

    @property
    def key(self) -> str:
        return cell_key(self.config)


def cell_key(config: TaskConfig) -> str:
    """The name of a cell, unique within a results file: model, layers, size, rate, seed."""
    return (
        f"{config.model}-l{config.layers}-w{config.width}-n{config.size}"
        f"-r{config.rate:g}-u{config.updates}-s{config.seed}"
    )


def render(value: Any) -> str:
    """A CSV field: exact for floats, ``a=1;b=2`` for tables."""
    if isinstance(value, dict):
        return ";".join(f"{key}={render(item)}" for key, item in value.items())
    return repr(value) if isinstance(value, float) else str(value)


def parse_table(text: str) -> dict[str, str]:
    """The inverse of ``render`` for tables."""
    return dict(item.split("=", 1) for item in text.split(";") if item)


def read_rows(path: Path) -> list[Row]:
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
                settings = {
                    key: int(value) if value.lstrip("-").isdigit() else value
                    for key, value in parse_table(fields["settings"]).items()
                }
                config = {key: fields[key] for key in TaskConfig.model_fields}
                result = {key: fields[key] for key in TaskResult.model_fields}
                row = Row(
                    config=TaskConfig.model_validate(config | {"settings": settings}),
                    result=TaskResult.model_validate(result | {"curve": parse_table(fields["curve"])}),
                )
            except (AttributeError, KeyError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: not a result row: {error}") from error
            rows.append(row)
    return rows


def append_row(path: Path, row: Row) -> None:
    """Append one row, with a header when the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    values = {
        "key": row.key,
        **{key: getattr(row.config, key) for key in TaskConfig.model_fields},
        **{key: getattr(row.result, key) for key in (*METRICS, "cpu_seconds")},
        "torch": torch.__version__,
        "processor": processor(),
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
    }
    with path.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        writer.writerow([render(values[column]) for column in COLUMNS])


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
        ["git", "rev-parse", "--short=10", "HEAD"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return answer.stdout.strip() or "unknown"
