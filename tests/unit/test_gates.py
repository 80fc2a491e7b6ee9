"""The gates on what dbt built, on hand-made tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import jinja2
import pytest

from data_quality.suites.judge import judge
from data_quality.suites.marts import METRIC_MOVED, MOVED, PLAUSIBLE, mart_checks
from orchestration.lib import gates, warehouse
from orchestration.lib.moves import move_limit, moves
from orchestration.settings import DBT_PROJECT_DIR, CxConfig

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
    assert _verdicts(con) == {PLAUSIBLE: True, MOVED: passed, METRIC_MOVED: True}


def test_small_counts_move_by_chance(con: duckdb.DuckDBPyConnection) -> None:
    """A median of 2 may become 7 (2 + 4 x 1.41) but not 8."""
    _volumes(con, "sales_daily", "orders", "average_order_value", {**{day: (2, 1.0) for day in MONDAYS}, LAST: (7, 1.0)})
    assert _verdicts(con)[MOVED]
    con.execute("update marts.sales_daily set orders = 8 where metric_date = ?", [LAST])
    assert not _verdicts(con)[MOVED]


def test_a_new_shop_has_no_usual_volume(con: duckdb.DuckDBPyConnection) -> None:
    _volumes(con, "sales_daily", "orders", "average_order_value", {**{d: (100, 1.0) for d in MONDAYS[-3:]}, LAST: (1, 1.0)})
    assert _verdicts(con)[MOVED]


def test_a_holiday_is_no_unusual_day(con: duckdb.DuckDBPyConnection) -> None:
    _volumes(con, "sales_daily", "orders", "average_order_value", {**{d: (100, 1.0) for d in MONDAYS}, LAST: (1, 1.0)})
    assert not _verdicts(con)[MOVED]
    con.execute("insert into raw.holidays (calendar_id, holiday_date) values ('default', ?)", [LAST])
    assert _verdicts(con)[MOVED]


def _metrics(con: duckdb.DuckDBPyConnection, days: dict[date, tuple[float, float, float]], interval: str, lag: int = 0) -> None:
    """One metric of sales_daily: numerator, denominator and standard error of each day; the error is used but for shares."""
    con.execute("create table if not exists marts.metrics (metric varchar, interval varchar, min_n integer)")
    con.execute(
        "create table if not exists marts.metric_daily (mart varchar, metric varchar, dimensions varchar, metric_date date, "
        "value double, final_on date, numerator double, denominator double, interval_low double, interval_high double, "
        "grain varchar, breakdown varchar, is_stale boolean, is_small boolean)"
    )
    con.execute("delete from marts.metrics; delete from marts.metric_daily")
    con.execute("insert into marts.metrics values ('m', ?, 30)", [interval])
    for day, (k, n, error) in days.items():
        value = k / n
        con.execute(
            "insert into marts.metric_daily values ('sales_daily', 'm', '{}', $1, $2, $3, $4, $5, $2 - 1.96 * $6, "
            "$2 + 1.96 * $6, 'day', 'total', false, $5 < 30)",
            [day, value, day + timedelta(days=lag), k, n, error],
        )


@pytest.mark.parametrize(
    ("interval", "usual", "last", "z"),
    [
        # usual: 8 x 50 of 100 (share 0.5); sqrt(0.25 x (1/100 + 1/800)) = 0.0530
        ("wilson", (50, 100, 0), (66, 100, 0), 3.0),
        ("wilson", (50, 100, 0), (65, 100, 0), 2.8),
        ("wilson", (50, 100, 0), (34, 100, 0), -3.0),
        # rare: 8 of 800, then 6 of 100: z of the score test is 4.7, but 6 or more where 1 is usual is not that rare
        ("wilson", (1, 100, 0), (6, 100, 0), 2.7),
        # s = 2 of 100 answers: error 0.2 each day, of the difference 0.2 x sqrt(1 + 1/8) = 0.212
        ("normal", (500, 100, 0.2), (570, 100, 0.2), 3.3),
        ("nps", (500, 100, 0.2), (440, 100, 0.2), -2.8),
    ],
)
def test_a_move_is_measured_in_its_sampling_error(
    con: duckdb.DuckDBPyConnection,
    interval: str,
    usual: tuple[float, float, float],
    last: tuple[float, float, float],
    z: float,
) -> None:
    _metrics(con, {**dict.fromkeys(MONDAYS, usual), LAST: last, LAST - timedelta(days=1): (1, 1000, 9)}, interval)
    (move,) = moves(con, LAST, [])
    assert move.z == pytest.approx(z, abs=0.06) and (move.mart, move.known, move.n) == ("sales_daily", 8, last[1])


def test_what_is_small_new_closed_or_differs_every_week_raises_no_alarm(con: duckdb.DuckDBPyConnection) -> None:
    odd = {**dict.fromkeys(MONDAYS, (50, 100, 0)), LAST: (100, 100, 0)}
    _metrics(con, odd, "wilson")
    assert [round(move.z) for move in moves(con, LAST, [])] == [9]
    assert moves(con, LAST, [LAST]) == [], "closed"
    assert moves(con, LAST, MONDAYS[:5]) == [], "3 usual Mondays say nothing"
    assert moves(con, LAST + timedelta(days=1), []) == [], "judged when it became final, and not again"
    _metrics(con, {**odd, LAST: (29, 29, 0)}, "wilson")
    assert moves(con, LAST, []) == [], "fewer than min_n"
    _metrics(con, {**{day: (30 if n % 2 else 70, 100, 0) for n, day in enumerate(MONDAYS)}, LAST: (85, 100, 0)}, "wilson")
    assert abs(moves(con, LAST, [])[0].z) < 2, "these weeks differ by more than sampling"
    _metrics(con, {**dict.fromkeys(MONDAYS, (100, 100, 0)), LAST: (100, 100, 0)}, "wilson")
    assert abs(moves(con, LAST, [])[0].z) < 0.5, "always all"


def test_a_late_metric_is_judged_when_its_day_is_final(con: duckdb.DuckDBPyConnection) -> None:
    _metrics(con, {**dict.fromkeys(MONDAYS, (50, 100, 0)), LAST: (90, 100, 0)}, "wilson", lag=7)
    assert [move.day for move in moves(con, LAST, [])] == [MONDAYS[-1]]
    assert [move.day for move in moves(con, LAST + timedelta(days=7), [])] == [LAST]


def test_a_moved_metric_is_a_warning_that_names_it(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    _volumes(con, "sales_daily", "orders", "average_order_value", {day: (100, 1.0) for day in (*MONDAYS, LAST)})
    days = dict.fromkeys(MONDAYS, (50.0, 100.0, 0.0))
    for last, failed in ((70, ["m 2025-06-30: 0.7 (n 100), usual 0.5, z +3.8"]), (60, [])):
        _metrics(con, {**days, LAST: (last, 100, 0)}, "wilson")
        profile = gates.mart_profile(con, ["sales_daily", "metric_daily"])
        verdicts = judge(profile, "mart", mart_checks(), "label")[0]
        assert [v.figure for v in verdicts if not v.passed] == failed
        assert {(v.gate, v.severity) for v in verdicts if not v.passed} <= {(METRIC_MOVED, "warn")}


def test_the_limit_is_three_errors_of_one_metric_and_more_of_many() -> None:
    assert [round(move_limit(n), 2) for n in (0, 1, 15, 100)] == [3.0, 3.0, 3.75, 4.2]


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


def test_orders_without_a_currency_are_said(con: duckdb.DuckDBPyConnection) -> None:
    """Two say none; a third waits for its header, which may. `currency` of int_orders is `unknown` then."""
    con.execute("create schema intermediate")
    con.execute("create table intermediate.int_orders (order_id varchar, currency varchar, order_day date)")
    con.execute("insert into intermediate.int_orders values ('a', 'EUR', ?), ('w', 'unknown', null)", [LAST])
    (verdict,) = gates.missing_currencies(con, {"orders", "order_lines"})
    assert verdict.passed and gates.missing_currencies(con, {"orders"}) == []
    con.execute("insert into intermediate.int_orders values ('c', 'unknown', $1), ('b', 'unknown', $1)", [LAST])
    (verdict,) = gates.missing_currencies(con, {"order_lines"})
    assert (verdict.subject, verdict.severity, verdict.figure, verdict.passed) == ("order_lines", "warn", "2", False)
    assert "first: b" in verdict.message and "[feed.constants]" in verdict.message


def _of_dbt(name: str) -> str:
    """The SQL of a dbt test, for all days."""
    text = (DBT_PROJECT_DIR / "tests" / f"{name}.sql").read_text(encoding="utf-8")
    render = jinja2.Environment(autoescape=False).from_string(text).render
    return render(ref=lambda model: f"marts.{model}", tested_days=lambda mart, column="metric_date": "true")


@pytest.mark.parametrize(
    ("change", "metrics"),
    [
        ("select 1", []),
        ("update marts.metric_daily set numerator = numerator + 0.0001 where grain = 'month' and metric = 'a'", ["a"]),
        ("update marts.metric_daily set denominator = 61 where grain = 'month' and metric = 'b'", ["b"]),
        ("update marts.metric_daily set n = n - 1 where grain = 'month' and metric = 'b'", ["b"]),
        ("delete from marts.metric_daily where grain = 'month' and metric = 'a'", ["a"]),
        ("delete from marts.metric_daily where grain = 'day' and metric = 'a'", ["a"]),
        ("update marts.metric_daily set numerator = 99 where grain = 'day' and metric = 'b' and day(metric_date) = 30", ["b"]),
        ("update marts.metric_daily set numerator = 99 where breakdown = 'cell'", []),
    ],
)
def test_a_month_that_is_not_the_sum_of_its_days_blocks(con: duckdb.DuckDBPyConnection, change: str, metrics: list[str]) -> None:
    con.execute("""
        create table marts.metric_daily as
        select metric, grain, period_start, metric_date, breakdown, '{}' as dimensions, numerator, denominator, n from (
            select m as metric, 'day' as grain, d as period_start, d as metric_date,
                if(m = 'c', 'cell', 'total') as breakdown, day(d) / 10 as numerator, cast(2 as double) as denominator, 2 as n
            from (values ('a'), ('b'), ('c')) t(m), (select cast(unnest(generate_series(
                timestamp '2025-06-01', timestamp '2025-06-30', interval 1 day)) as date) as d)
            union all
            select m, 'month', date '2025-06-01', date '2025-06-30', 'total', 46.5, 60, 60 from (values ('a'), ('b')) t(m)
        )
    """)
    con.execute(change)
    found = con.execute(_of_dbt("assert_months_equal_their_days")).fetchall()
    assert sorted({row[0] for row in found}) == metrics
