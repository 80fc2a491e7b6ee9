"""Snapshots of predictions: which month is due on which night, and that only a published run makes one final."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import duckdb
import pytest

from orchestration.lib import clv_snapshot
from orchestration.lib.warehouse import OPS_DDL

SCORES = """
select person_id, cast(getvariable('as_of') as date) as as_of_date, 'all' as segment, date '2026-01-01' as cohort_month,
  date '2026-01-20' as fitted_on, 'all' as fit_segment, 'bg_nbd' as model, 0 as frequency, 0 as recency_days, 9 as age_days,
  null::double as mean_value, 1.0 as p_alive, 1.0 as expected_purchases_90d, 1.0 as expected_purchases_180d,
  1.0 as expected_purchases_365d, 1.0 as p_purchase_90d, 1.0 as p_purchase_180d, 1.0 as p_purchase_365d,
  1.0 as expected_spend, value as clv_12m, value as clv_24m, null::double as backtest_bias
from (values ('a', 10.0), ('b', 20.0)) as p(person_id, value)
"""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute(OPS_DDL)
        con.execute("insert into ops.clock values (null, null, null)")
        yield con


def fitted(con: duckdb.DuckDBPyConnection, day: date, segment: str = "all", is_used: bool = True) -> None:
    con.execute("insert into ops.clv_fits (segment, as_of_date, is_used) values (?, ?, ?)", [segment, day, is_used])


@pytest.mark.parametrize(
    ("through", "month_end"),
    [
        (date(2026, 1, 30), None), (date(2026, 1, 31), date(2026, 1, 31)), (date(2026, 2, 1), date(2026, 1, 31)),
        (date(2026, 2, 7), date(2026, 1, 31)), (date(2026, 2, 8), None), (date(2028, 2, 29), date(2028, 2, 29)),
    ],
)  # fmt: skip
def test_a_month_is_due_in_the_week_from_its_last_day(
    con: duckdb.DuckDBPyConnection, through: date, month_end: date | None
) -> None:
    assert clv_snapshot.due(con) is None, "no day is complete"
    con.execute("update ops.clock set data_through = ?", [through])
    assert clv_snapshot.due(con) is None, "there is no fit"
    fitted(con, date(2026, 1, 1), is_used=False)
    fitted(con, date(2026, 1, 1), segment="web")
    assert clv_snapshot.due(con) is None, "none that scores everybody"
    fitted(con, date(2026, 1, 1))
    assert clv_snapshot.due(con) == month_end


def test_a_fit_after_the_months_end_would_be_hindsight(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update ops.clock set data_through = date '2026-02-03'")
    fitted(con, date(2026, 2, 1))
    assert clv_snapshot.due(con) is None
    fitted(con, date(2026, 1, 31))
    assert clv_snapshot.due(con) == date(2026, 1, 31)


def test_only_a_published_run_makes_it_final(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("update ops.clock set data_through = date '2026-02-01'")
    fitted(con, date(2026, 1, 20))
    month_end = date(2026, 1, 31)
    assert clv_snapshot.take(con, month_end, SCORES, "refused") == 2
    assert clv_snapshot.due(con) == month_end, "no release has it"
    assert clv_snapshot.take(con, month_end, SCORES.replace("20.0", "30.0"), "night") == 2
    rows = con.execute("select metric_date, person_id, clv_12m, run_id from ops.clv_snapshots order by person_id").fetchall()
    assert rows == [(month_end, "a", 10.0, "night"), (month_end, "b", 30.0, "night")], "taken once"
    assert con.execute("select distinct model, entity, day from ops.changes").fetchall() == [
        ("clv_snapshots", "snapshot", month_end)
    ]
    con.execute("insert into ops.releases (release, run_id, published_at) values ('r', 'night', ?)", [datetime(2026, 2, 2)])
    assert clv_snapshot.due(con) is None
    con.execute("update ops.clv_snapshots set run_id = null; truncate ops.releases")
    assert clv_snapshot.due(con) is None, "a warehouse begun anew takes it from a release, which knows no run"
