"""`marts.benchmark` on a handful of rows whose comparisons are worked out by hand.

Belongs here: the view. Does not: the values it compares (`test_metrics`), the mart of targets.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest

from orchestration.lib.benchmark import COLUMNS, create_view

DAILY = """
    ('fcr_rate', 'month', '2025-01-01', '2025-01-31', 'total', '{}', 0.60, true),
    ('fcr_rate', 'month', '2025-12-01', '2025-12-31', 'total', '{}', 0.70, true),
    ('fcr_rate', 'month', '2026-01-01', '2026-01-31', 'total', '{}', 0.75, false),
    ('fcr_rate', 'month', '2026-01-01', '2026-01-31', 'channel', '{"channel":"phone"}', 0.99, true),
    ('fcr_rate', 'month', '2026-02-01', '2026-02-10', 'total', '{}', 0.20, false),
    ('fcr_rate', 'quarter', '2025-10-01', '2025-12-31', 'total', '{}', 0.68, true),
    ('fcr_rate', 'week', '2026-01-05', '2026-01-11', 'total', '{}', 0.10, true),
    ('aht', 'quarter', '2025-07-01', '2025-09-30', 'total', '{}', 300, true),
    ('aht', 'quarter', '2025-10-01', '2025-12-31', 'total', '{}', 280, true),
    ('active', 'trailing_30d', '2025-12-02', '2025-12-31', 'cell', '{"basis":"orders"}', 50, true),
    ('active', 'trailing_30d', '2026-01-01', '2026-01-30', 'cell', '{"basis":"orders"}', 60, true),
    ('active', 'trailing_30d', '2024-12-31', '2025-01-29', 'cell', '{"basis":"orders"}', 8, true),
    ('active', 'trailing_30d', '2025-01-01', '2025-01-30', 'cell', '{"basis":"orders"}', 40, false),
    ('active', 'trailing_30d', '2025-12-02', '2025-12-31', 'cell', '{"basis":"contracts"}', 7, true)
"""
TARGETS = """
    ('a', 'fcr_rate', 'target', 'unknown', 'unknown', 0.70, '2025-01-01', '2026-01-31'),
    ('b', 'fcr_rate', 'target', 'unknown', 'unknown', 0.80, '2026-01-31', '9999-12-31'),
    ('c', 'fcr_rate', 'industry', 'retail', 'yearbook', 0.65, '2025-01-01', '9999-12-31'),
    ('d', 'fcr_rate', 'industry', 'telecom', 'panel', 0.55, '2025-12-31', '9999-12-31'),
    ('e', 'aht', 'target', 'unknown', 'unknown', 290, '2025-01-01', '2026-01-01'),
    ('f', 'active', 'target', 'unknown', 'unknown', 55, '2026-02-01', '9999-12-31')
"""


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema marts")
    con.execute(
        "create table marts.metric_daily as select metric, 'm' as mart, grain, cast(s as date) as period_start, "
        "cast(e as date) as metric_date, breakdown, dimensions, cast(value as double) as value, 100 as n, false as is_small, "
        f"is_final from (values {DAILY}) as t(metric, grain, s, e, breakdown, dimensions, value, is_final)"
    )
    con.execute(
        "create table marts.metrics as "
        "from (values ('fcr_rate', 'up'), ('aht', 'down'), ('active', 'none')) as t(metric, direction)"
    )
    con.execute(
        "create table marts.benchmark_targets as select * replace (cast(valid_from as date) as valid_from, "
        f"cast(valid_until as date) as valid_until) from (values {TARGETS}) "
        "as t(benchmark_id, metric, kind, industry, source, value, valid_from, valid_until)"
    )
    return con


def _row(con: duckdb.DuckDBPyConnection, metric: str, last: str, dimensions: str = "{}", grain: str = "month") -> dict[str, Any]:
    rows = con.execute(
        "from marts.benchmark where metric = ? and metric_date = ? and dimensions = ? and grain = ?",
        [metric, date.fromisoformat(last), dimensions, grain],
    ).fetchall()
    assert len(rows) == 1
    return dict(zip(COLUMNS, rows[0], strict=True))


def test_a_month_beside_the_one_before_and_a_year_ago(con: duckdb.DuckDBPyConnection) -> None:
    create_view(con, ["benchmark_targets"])
    row = _row(con, "fcr_rate", "2026-01-31")
    assert (row["previous_value"], row["last_year_value"]) == (0.70, 0.60)
    assert (row["change"], row["change_last_year"]) == (pytest.approx(0.05), pytest.approx(0.15))
    assert not row["is_final"] and row["is_complete"]
    # the second target is in force from the 31st on; of two figures of others the one that began last counts
    assert (row["target_value"], row["meets_target"], row["target_difference"]) == (0.80, False, pytest.approx(-0.05))
    assert (row["industry_value"], row["industry"], row["industry_source"]) == (0.55, "telecom", "panel")
    assert row["industry_difference"] == pytest.approx(0.20)


def test_what_has_nothing_before_it_is_compared_with_nothing(con: duckdb.DuckDBPyConnection) -> None:
    create_view(con, ["benchmark_targets"])
    row = _row(con, "fcr_rate", "2025-12-31")
    assert (row["previous_value"], row["last_year_value"], row["change"], row["change_last_year"]) == (None,) * 4
    assert row["is_final"] and (row["target_value"], row["meets_target"], row["industry"]) == (0.70, True, "telecom")


def test_a_running_month_is_not_held_against_a_whole_one(con: duckdb.DuckDBPyConnection) -> None:
    create_view(con, ["benchmark_targets"])
    row = _row(con, "fcr_rate", "2026-02-10")
    assert not row["is_complete"] and row["previous_value"] is None and row["change"] is None
    assert row["target_difference"] == pytest.approx(-0.60)


def test_low_is_good_and_a_quarter_follows_a_quarter(con: duckdb.DuckDBPyConnection) -> None:
    create_view(con, ["benchmark_targets"])
    row = _row(con, "aht", "2025-12-31", grain="quarter")
    assert (row["previous_value"], row["change"], row["target_value"], row["meets_target"]) == (300, -20, 290, True)
    before = _row(con, "aht", "2025-09-30", grain="quarter")
    assert (before["target_difference"], before["meets_target"]) == (10, False)


def test_thirty_days_follow_the_thirty_before(con: duckdb.DuckDBPyConnection) -> None:
    create_view(con, ["benchmark_targets"])
    row = _row(con, "active", "2026-01-30", '{"basis":"orders"}', "trailing_30d")
    assert (row["previous_value"], row["change"], row["last_year_value"], row["change_last_year"]) == (50, 10, 40, 20)
    assert not row["is_final"], "the value of a year ago is not final"
    assert row["target_value"] is None, "the target begins later"
    assert _row(con, "active", "2025-12-31", '{"basis":"contracts"}', "trailing_30d")["previous_value"] is None


def test_totals_only_and_no_days_or_weeks(con: duckdb.DuckDBPyConnection) -> None:
    create_view(con, ["benchmark_targets"])
    assert con.execute(
        "select count(*), count(distinct (metric, grain, metric_date, dimensions)) from marts.benchmark"
    ).fetchone() == (12, 12)
    assert con.execute(
        "select bool_and(grain not in ('day', 'week') and dimensions not like '%phone%') from marts.benchmark"
    ).fetchone() == (True,)


def test_without_the_feed_there_is_no_target(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("drop table marts.benchmark_targets")
    create_view(con, [])
    row = _row(con, "fcr_rate", "2026-01-31")
    assert (row["previous_value"], row["target_value"], row["meets_target"], row["industry_value"]) == (0.70, None, None, None)
