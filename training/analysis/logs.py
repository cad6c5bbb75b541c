"""What a run logged: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def read_log(path: Path) -> list[dict[str, Any]]:
    """Lines of log.jsonl; a last line cut short by a kill is left out."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def smooth(values: Sequence[float], span: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Running mean over the last `span` values."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - span)
    result: np.ndarray[Any, np.dtype[np.float64]] = (sums[ends] - sums[starts]) / (ends - starts)
    return result
