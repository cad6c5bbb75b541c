"""What in a row group of steps is not as the schema says, so that it would train wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from schema.actions import Phase
from schema.columns import arrow_schema
from schema.geometry import Geometry, Style


def complaint(table: pa.Table, columns: Sequence[str], size: Geometry) -> str:
    """What in a row group of steps is not as the schema says, so that it would train wrongly; "" for nothing."""
    contract = arrow_schema("steps")
    limits = {"cursor_row": size.rows, "cursor_col": size.cols, "phase": len(Phase)}
    for name in columns:
        if name not in table.column_names:
            return f"no column {name}"
        column, kind = table.column(name), contract.field(name).type
        if column.type != kind and not (pa.types.is_list(kind) and pa.types.is_list(column.type)):
            return f"{name} is {column.type}, not {kind}"
        if column.null_count:
            return f"{column.null_count} values of {name} are missing"
        if name in limits and not _within(column, 0, limits[name]):
            return f"{name} is not between 0 and {limits[name] - 1}"
        if name == "style" and len(runs := column.combine_chunks().flatten()):
            row, start, length, style = (runs.field(part) for part in ("row", "start", "length", "style"))
            fits = _within(row, 0, size.rows) and _within(start, 0, size.cols) and _within(length, 1, size.cols + 1)
            if not (fits and _within(style, 0, len(Style)) and _within(pc.add(start, length), 1, size.cols + 1)):
                return "a run of style lies outside of the screen, or is of an unknown style"
    return ""


def _within(values: pa.Array | pa.ChunkedArray, low: int, high: int) -> bool:
    """low <= every value < high."""
    numbers = values.to_numpy(zero_copy_only=False)
    return not len(numbers) or bool(numbers.min() >= low and numbers.max() < high)  # NaN, where one is missing: False
