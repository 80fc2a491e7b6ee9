"""The gates on what dbt built, on hand-made tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest

from data_quality.suites.judge import judge
from data_quality.suites.marts import MOVED, PLAUSIBLE, mart_checks
from orchestration.lib import gates, warehouse
from orchestration.settings import CxConfig

LAST = date(2025, 6, 30)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        warehouse.prepare(connection, CxConfig())
        warehouse.advance_clock(connection, LAST)
        connection.execute("create schema marts; create schema staging")
        yield connection


def _volumes(
    con: duckdb.DuckDBPyConnection, mart: str, measure: str, ratio: str, values: dict[date, tuple[float, float]]
) -> None:
    columns = f"metric_date date, {measure} bigint, {ratio} double, margin_rate double, resolution_minutes double"
    con.execute(f"create table marts.{mart} ({columns})")
    for day, (count, share) in values.items():
        con.execute(f"insert into marts.{mart} values (?, ?, ?, 0, 0)", [day, count, share])


def _verdicts(con: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    """Passed or not by gate; a gate with several checks passes if all do."""
    profile = gates.mart_profile(con, ["sales_daily"])
    found: dict[str, bool] = {}
    for verdict in judge(profile, "mart", mart_checks(), "label")[0]:
        found[verdict.gate] = found.get(verdict.gate, True) and verdict.passed
    return found


MONDAYS = [LAST - timedelta(weeks=n) for n in range(8, 0, -1)]


@pytest.mark.parametrize(
    ("last", "passed"), [(100, True), (31, True), (29, False), (299, True), (301, False)], ids=lambda value: str(value)
)
def test_the_last_day_is_held_against_the_same_weekdays(con: duckdb.DuckDBPyConnection, last: int, passed: bool) -> None:
    """The median of the Mondays is 100 although one was 900 and every other day has 5,000: bounds are 30 and 300."""
    days: dict[date, tuple[float, float]] = {day: (100, 1.0) for day in MONDAYS}
    days[MONDAYS[2]] = (900, 1.0)
    days |= {LAST - timedelta(days=n): (5000, 1.0) for n in range(1, 7)}
    days[LAST] = (last, 1.0)
    _volumes(con, "sales_daily", "orders", "average_order_value", days)
    assert _verdicts(con) == {PLAUSIBLE: True, MOVED: passed}


def test_small_counts_move_by_chance(con: duckdb.DuckDBPyConnection) -> None:
    """A median of 2 may become 7 (2 + 4 x 1.41) but not 8."""
    _volumes(con, "sales_daily", "orders", "average_order_value", {**{day: (2, 1.0) for day in MONDAYS}, LAST: (7, 1.0)})
    assert _verdicts(con)[MOVED]
    con.execute("update marts.sales_daily set orders = 8 where metric_date = ?", [LAST])
    assert not _verdicts(con)[MOVED]


def test_a_new_shop_has_no_usual_volume(con: duckdb.DuckDBPyConnection) -> None:
    _volumes(con, "sales_daily", "orders", "average_order_value", {**{d: (100, 1.0) for d in MONDAYS[-3:]}, LAST: (1, 1.0)})
    assert _verdicts(con)[MOVED]


def test_infinite_values_and_rows_of_tomorrow_are_impossible(con: duckdb.DuckDBPyConnection) -> None:
    _volumes(con, "sales_daily", "orders", "average_order_value", {LAST: (1, float("inf"))})
    assert not _verdicts(con)[PLAUSIBLE]
    con.execute("update marts.sales_daily set average_order_value = 1")
    assert _verdicts(con)[PLAUSIBLE]
    con.execute("insert into marts.sales_daily values (?, 1, 1, 0, 0)", [LAST + timedelta(days=1)])
    assert not _verdicts(con)[PLAUSIBLE]


def _feed(con: duckdb.DuckDBPyConnection) -> None:
    """Seven rows of refunds delivered in two files: one quarantined; of six raw, keys a (two versions), b, c, d (excluded), e."""
    con.execute(
        "insert into ops.deliveries (delivery, feed, status, rows_read, taken_at) values "
        "('d1', 'refunds', 'accepted', 5, now()), ('d2', 'refunds', 'accepted', 2, now()), "
        "('d0', 'refunds', 'replaced', 99, now())"
    )
    con.execute("insert into ops.quarantine (feed, delivery) values ('refunds', 'd1')")
    for line, (key, delivery) in enumerate(zip("aabcde", ("d1", "d2", "d1", "d1", "d1", "d2"), strict=True)):
        con.execute("insert into raw.refunds (refund_id, _key, _delivery, _line) values ($1, $1, $2, $3)", [key, delivery, line])
    con.execute("create table staging.stg_refunds (_key varchar, _exclusion varchar, _delivery varchar)")
    con.execute(
        "insert into staging.stg_refunds values ('a', null, 'd2'), ('b', null, 'd1'), ('c', null, 'd1'), ('d', 'test', 'd1'), "
        "('e', null, 'd2')"
    )


def test_every_delivered_row_is_accounted_for(con: duckdb.DuckDBPyConnection) -> None:
    _feed(con)
    (verdict,) = gates.row_accounting(con, {"refunds"})
    assert verdict.passed
    assert verdict.figure == ("7 delivered, 1 quarantined, 6 raw; of 6 raw: 4 staged, 1 excluded, 1 superseded")


@pytest.mark.parametrize(
    "loss",
    [
        "delete from staging.stg_refunds where _key = 'b'",
        "insert into staging.stg_refunds values ('b', null, 'd1')",
        "delete from raw.refunds where _key = 'c'",
        "delete from ops.quarantine",
        # right in sum, wrong in each delivery
        "update ops.deliveries set rows_read = case delivery when 'd1' then 4 else 3 end where delivery <> 'd0'",
        "update staging.stg_refunds set _delivery = 'd1' where _key = 'a'",
    ],
)
def test_a_row_lost_or_counted_twice_blocks(con: duckdb.DuckDBPyConnection, loss: str) -> None:
    _feed(con)
    con.execute(loss)
    (verdict,) = gates.row_accounting(con, {"refunds"})
    assert not verdict.passed and verdict.severity == "block"


def test_only_changed_keys_are_counted_in_an_increment(con: duckdb.DuckDBPyConnection) -> None:
    """The key that changed is a; that b is missing from staging is another night's news."""
    _feed(con)
    con.execute("insert into ops.changes values ('raw', 'refunds', 'a', null, 'refunds:b.csv', null)")
    con.execute("delete from staging.stg_refunds where _key = 'b'")
    (verdict,) = gates.row_accounting(con, {"refunds"})
    assert verdict.passed and "of 2 raw: 1 staged, 0 excluded, 1 superseded" in verdict.figure
