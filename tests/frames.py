"""Comparing marts with an independent calculation, cell by cell.

Belongs here: what several test modules need to read a release and compare frames. Does not: any expected number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd


def read_mart(release: Path, mart: str) -> pd.DataFrame:
    """All rows of a mart of a release (or of the warehouse: any file with a schema `marts`)."""
    with duckdb.connect(str(release), read_only=True) as con:
        return con.execute(f"from marts.{mart} order by all").df()


def differences(actual: pd.DataFrame, expected: pd.DataFrame, keys: list[str], columns: list[str]) -> list[str]:
    """Every cell that differs, as text; numbers are equal within 1e-9 relative, missing equals missing."""
    left, right = (_normal(frame, keys, columns) for frame in (actual, expected))
    found = [f"unexpected row {key}" for key in left.keys() - right.keys()]
    found += [f"missing row {key}" for key in right.keys() - left.keys()]
    for key in left.keys() & right.keys():
        for column, a, b in zip(columns, left[key], right[key], strict=True):
            if not _equal(a, b):
                found.append(f"{dict(zip(keys, key, strict=True))} {column}: {a!r}, expected {b!r}")
    return sorted(found)


def _normal(frame: pd.DataFrame, keys: list[str], columns: list[str]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = {}
    for record in frame.to_dict("records"):
        key = tuple(_plain(record[column]) for column in keys)
        assert key not in rows, f"two rows for {key}"
        rows[key] = tuple(_plain(record[column]) for column in columns)
    return rows


def _plain(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if hasattr(value, "date"):
        return value.date()
    if isinstance(value, bool | str):
        return value
    if hasattr(value, "item"):
        return value.item()
    return value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, str | bool | type(None)) or isinstance(b, str | bool | type(None)) or hasattr(a, "year"):
        return a == b
    return abs(float(a) - float(b)) <= 1e-9 * max(1.0, abs(float(a)), abs(float(b)))
