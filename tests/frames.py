"""Comparing marts with an independent calculation, cell by cell.

Belongs here: what several test modules need to read a release and compare frames. Does not: any expected number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
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


def assert_equals_lifelines(
    curve: pd.DataFrame, duration: str, events: str, lengths: Sequence[int], ended: Sequence[bool]
) -> None:
    """A Kaplan-Meier curve in SQL and lifelines' of the same lives: every day's counts, and its estimate and error to 1e-9."""
    from lifelines import KaplanMeierFitter

    # who was watched for 0 days was at risk on no day
    lives = [(length, is_over) for length, is_over in zip(lengths, ended, strict=True) if length]
    fit = KaplanMeierFitter().fit([length for length, _ in lives], [is_over for _, is_over in lives])
    days = np.arange(1, max(lengths) + 1)
    assert list(curve[duration]) == list(days)
    table = fit.event_table
    assert (curve["at_risk"].to_numpy() == table["at_risk"].reindex(days, method="bfill").to_numpy()).all()
    assert (curve[events].to_numpy() == table["observed"].reindex(days).fillna(0).to_numpy()).all()
    survival = fit.survival_function_at_times(days).to_numpy()
    assert np.abs(curve["survival"].to_numpy() - survival).max() <= 1e-9
    # Greenwood's sum of d / (n (n - d)), which lifelines computes its intervals from; infinite where nobody is left
    greenwood = np.where(survival > 0, fit._cumulative_sq_.reindex(days, method="ffill").to_numpy(), 0)
    assert np.abs(curve["standard_error"].to_numpy() - survival * np.sqrt(greenwood)).max() <= 1e-9


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
