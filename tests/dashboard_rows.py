"""A release of a handful of rows written by hand, whose names and reasons try to be markup.

Belongs here: what the tests of the dashboard with and without a browser share. Does not: what they expect of it.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from orchestration.lib.dashboard import assets

HOSTILE = "</script><script>alert(1)</script><!--\u2028'\"&"
THROUGH = date(2026, 3, 10)
MANIFEST = {
    "release": "20260311T030000Z-aaaa", "published_at": "2026-03-11T03:00:00+00:00", "data_through": THROUGH,
    "feeds": [{"feed": "contacts", "data_through": date(2026, 3, 9), "is_stale": True, "refused_deliveries": 1, "missing_days": 0,
               "last_missing_day": None, "reason": HOSTILE}],
    "gates": {"passed": 3, "not_passed": [HOSTILE]},
    "acceptances": [
        {"id": "0a1b2c3d", "gate": "row_rules", "subject": "contacts", "delivery": HOSTILE, "reason": HOSTILE, "who": HOSTILE,
         "expires_on": date(2026, 4, 1), "state": "in force"},
    ],
    "deliveries": [], "versions": {},
}  # fmt: skip


def metric(name: str, kind: str = "ratio", **other: Any) -> dict[str, Any]:
    """A row of `marts.metrics`."""
    return {
        "metric": name, "mart": "m", "is_on": True, "why_off": None, "label": name,
        "labels": json.dumps({language: f"{name} {HOSTILE}" for language in assets.LANGUAGES}), "description": HOSTILE,
        "formula": "a / b", "class": kind, "unit": "share", "direction": "up", "time_window": "day", "matures": "at once",
        "parts": ["a", "b"], "denominator": ["b"], "scale": 1, "interval": "wilson", "min_n": 30, "version": 1,
        "valid_from": date(2025, 1, 1), "owner": "crm", "feeds": ["contacts"], "data_through": date(2026, 3, 9), "is_stale": True,
        **other,
    }  # fmt: skip


def daily(name: str, grain: str, first: str, last: str, a: float, b: float | None, **other: Any) -> dict[str, Any]:
    """A row of `marts.metric_daily`."""
    return {
        "metric": name, "mart": "m", "grain": grain,
        "period_start": date.fromisoformat(first), "metric_date": date.fromisoformat(last),
        "breakdown": "total", "dimensions": "{}", "parts": json.dumps({"a": a, "b": b}), "numerator": float(a), "denominator": b,
        "value": a / b if b else None, "interval_low": None, "interval_high": None, "n": b, "is_final": True,
        "final_on": date.fromisoformat(last), **other,
    }  # fmt: skip


CELL = {"breakdown": "cell", "dimensions": '{"basis":"inactivity","plan":"all"}'}
METRICS = [
    metric("fcr_rate"),
    metric("contact_volume", "additive", unit="count", parts=["inbound"], denominator=[], interval="none"),
    metric("churn_rate", "distinct"),
    metric("net_sales", "additive", is_on=False, why_off="needs orders in cx.toml", unit="currency"),
]
DAILY = [
    daily("fcr_rate", "month", "2026-01-01", "2026-01-31", 30, 40.0),
    daily("fcr_rate", "month", "2026-03-01", "2026-03-10", 5, 8.0, is_final=False, final_on=date(2026, 3, 17)),
    daily("fcr_rate", "month", "2026-01-01", "2026-01-31", 3, 4.0, breakdown="channel",
          dimensions=json.dumps({"channel": HOSTILE})),
    daily("fcr_rate", "week", "2026-03-09", "2026-03-10", 1, 2.0),
    daily("fcr_rate", "day", "2026-03-10", "2026-03-10", 1, 2.0),
    daily("contact_volume", "month", "2026-01-01", "2026-01-31", 100, None, value=100.0, n=None),
    daily("churn_rate", "trailing_30d", "2026-01-30", "2026-02-28", 4, 50.0, **CELL),
    daily("churn_rate", "trailing_30d", "2026-01-31", "2026-03-01", 3, 50.0, **CELL),
    daily("churn_rate", "trailing_30d", "2026-02-09", "2026-03-10", 5, 50.0, **CELL),
    daily("churn_rate", "trailing_30d", "2026-01-10", "2026-02-08", 6, 50.0, **CELL),
    daily("churn_rate", "trailing_30d", "2026-02-04", "2026-03-05", 9, 50.0, **CELL),
]  # fmt: skip


def write_release(folder: Path) -> None:
    """The database of a release with these rows, and one person."""
    metrics, rows = pd.DataFrame(METRICS), pd.DataFrame(DAILY)  # noqa: F841 (read by name)
    person = {
        "person_id": [HOSTILE], "customer_state": ["active"], "first_order_date": [THROUGH], "last_order_date": [THROUGH],
        "orders": [1],
        "clv_historic": [12.5], "clv_simple": [None], "orders_trailing_365d": [1], "lapses_on": [None], "plans": [None],
        "contract_ends_on": [None], "owned_products": ["SKU-OF-SOMEBODY"], "open_cases": [0], "oldest_open_case_days": [None],
        "last_case_topic": [None], "last_contact_date": [None], "last_nps": [None], "last_nps_date": [None], "last_csat": [None],
        "last_csat_of": [None], "last_csat_date": [None], "next_product": [None], "next_product_lift": [1.234],
        "next_best_action": [None], "next_best_action_rule": ["no_rule"],
    }  # fmt: skip
    persons = pd.DataFrame(person)  # noqa: F841
    with duckdb.connect(str(folder / "cx.duckdb")) as con:
        con.execute("create schema marts")
        con.execute("create table marts.metrics as select * replace (cast(valid_from as date) as valid_from, "
                    "cast(data_through as date) as data_through) from metrics")  # fmt: skip
        con.execute("create table marts.metric_daily as select * replace (cast(period_start as date) as period_start, "
                    "cast(metric_date as date) as metric_date, cast(final_on as date) as final_on) from rows")  # fmt: skip
        con.execute("create table marts.customer_360 as from persons")
        con.execute("create table marts.releases as select 'r' as release, timestamp '2026-03-11' as published_at, "
                    "date '2026-03-10' as data_through, ['fcr_rate'] as metrics")  # fmt: skip
        con.execute(
            "create table marts.restatements as select 'fcr_rate' as metric, 'r' as release, "
            "timestamp '2026-03-11' as published_at, "
            "date '2026-03-01' as metric_date, 'restatement' as kind, $1 as cause, 0.5e0 as old_value, 0.6e0 as new_value, "
            '\'{"a":1,"b":2}\' as old_parts, \'{"a":3,"b":5}\' as new_parts',
            [HOSTILE],
        )
