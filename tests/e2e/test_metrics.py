"""Every metric of the registry, one number whoever is asked: the mart, MetricFlow, `metric_daily` and `marts.metric()`."""

from __future__ import annotations

import calendar
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.lib.dbt_manifest import filter_of, manifest_json, marts, metrics
from orchestration.lib.registry import SUMMED, Entry, apart_of, entries
from orchestration.lib.simulator import simulate
from orchestration.settings import DBT_PROJECT_DIR, PROJECT_ROOT
from tests.company import Whole, release_of, rows_that_differ, run, write_company
from tests.metricflow import dimensions_of, sql_of, sql_of_saved

DAYS = 75
NO_ROW_YET = {
    "survival", "repurchase_survival", "false_churn_rate", "cohort_retention_by_segment", "cohort_retention_by_segment_rolling",
    *(f"experience_value{part}" for part in ("", "_difference", "_orders", "_churn", "_referrals")),
}  # fmt: skip
"""Metrics that need a longer history than this company has: their own end-to-end tests have it."""
SUMMED_UP = [name for name, entry in entries().items() if entry.additivity in SUMMED]
"""Metrics whose parts add up over days."""


@pytest.fixture(scope="module")
def home(whole: Whole) -> Path:
    """A company with every feed, some weeks into its second quarter."""
    return whole.home


@pytest.fixture
def con(home: Path) -> Any:
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        yield con


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    cursor = con.execute(sql)
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


# ---- MetricFlow ------------------------------------------------------------------------------------------------------


def _node(metric: str) -> dict[str, Any]:
    return next(node for node in manifest_json()["metrics"].values() if node["name"] == metric)


ASKED = {
    **{name: name for name in entries()},
    **{n["name"]: v for n in manifest_json()["metrics"].values() if (v := n["config"]["meta"].get("variant_of"))},
}
"""Metrics to ask MetricFlow for, with the entry each one is of."""


def _groupings(entry: Entry) -> list[tuple[str, tuple[str, ...]]]:
    """Grain of time and columns to group by: days, and each dimension; all of them together where nothing adds up."""
    dimensions = [column for column in marts()[entry.mart].grain if column != "metric_date"]
    if entry.additivity in SUMMED:
        return [("day", ()), *(("month", (column,)) for column in dimensions)]
    grains = ("day", "month") if entry.additivity in ("snapshot", "distinct") else ("day",)
    return [(grain, tuple(dimensions)) for grain in grains]


@cache
def _metricflow(mart: str, names: tuple[str, ...], grain: str, columns: tuple[str, ...]) -> str:
    return sql_of(list(names), [f"metric_time__{grain}", *(dimensions_of(names[0])[column] for column in columns)])


def _expected(entry: Entry, where: str, grain: str, columns: tuple[str, ...]) -> str:
    """The mart's own rows in plain SQL: sums of parts divided once, or the last day's value."""
    day = metrics()[entry.name].date
    by = ", ".join([f"cast(date_trunc('{grain}', {day}) as date) as day", *(f'"{column}"' for column in columns)])
    if entry.additivity in SUMMED:
        above = " - ".join(f'sum(cast("{part}" as double))' for part in (entry.parts[0], *entry.minus))
        below = " + ".join(f'sum(cast("{part}" as double))' for part in entry.denominator)
        value = f"{entry.scale} * ({above})" + (f" / nullif({below}, 0)" if below else "")
        return f"select {by}, {value} as value from marts.{entry.mart} where {where} group by all"
    value = entry.value or entry.parts[0]
    last = f"select max({day}) from marts.{entry.mart} where {where} group by date_trunc('{grain}', {day})"
    return f'select {by}, cast("{value}" as double) as value from marts.{entry.mart} where {where} and {day} in ({last})'


@pytest.mark.parametrize("name", sorted(ASKED))
def test_metricflow_says_what_the_mart_says(name: str, con: duckdb.DuckDBPyConnection) -> None:
    """By day and by every dimension, from the parts of the mart."""
    entry = entries()[ASKED[name]]
    where = filter_of(_node(name))
    # MetricFlow plans all metrics of a mart that are read alike in one query, and a plan costs more than an answer.
    alike = tuple(sorted(other for other, of in ASKED.items() if entries()[of].mart == entry.mart
                         and entries()[of].additivity == entry.additivity and filter_of(_node(other)) == where
                         and dimensions_of(other) == dimensions_of(name)))  # fmt: skip
    for grain, columns in _groupings(entry):
        theirs = {}
        for row in _rows(con, _metricflow(entry.mart, alike, grain, columns)):
            key = tuple(row[c] for c in (f"metric_time__{grain}", *(dimensions_of(name)[c] for c in columns)))
            theirs[(str(key[0])[:10], *key[1:])] = row[name]
        ours = {(str(row["day"]), *(row[c] for c in columns)): row["value"]
                for row in _rows(con, _expected(entry, where, grain, columns))}  # fmt: skip
        assert ours or name in NO_ROW_YET, f"{name} has no row in {entry.mart}: nothing is compared"
        wrong = {
            key: (ours.get(key), theirs.get(key))
            for key in ours.keys() | theirs.keys()
            # MetricFlow has no row where it has nothing to say
            if not _same(ours.get(key), theirs.get(key))
        }
        assert not wrong, f"{name} by {grain} {columns}: {len(wrong)} differ (mart, MetricFlow), as {list(wrong.items())[:3]}"


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is None and b is None
    return float(a) == pytest.approx(float(b), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", sorted(name for name in SUMMED_UP if entries()[name].value))
def test_the_value_of_a_mart_is_made_of_its_parts(name: str, con: duckdb.DuckDBPyConnection) -> None:
    """What `minus`, `denominator` and `scale` of the entry say gives the mart's own value column, row by row."""
    entry = entries()[name]
    above = " - ".join(f'cast("{part}" as double)' for part in (entry.parts[0], *entry.minus))
    below = " + ".join(f'cast("{part}" as double)' for part in entry.denominator)
    made = f"{entry.scale} * ({above}) / nullif({below}, 0)"
    wrong = con.execute(
        f'select {made} as made, "{entry.value}" as said from marts.{entry.mart} where (made is null) <> (said is null) '
        "or abs(made - said) > 1e-9 * greatest(1, abs(said)) limit 3"
    ).fetchall()
    assert not wrong, f"{entry.file}: metric {name}: its parts make {wrong[0][0]}, {entry.value} says {wrong[0][1]}"


# ---- metric_daily ----------------------------------------------------------------------------------------------------


def _period(grain: str, day: date) -> tuple[date, date]:
    """First and last day of the calendar period a day is in."""
    if grain == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + timedelta(days=6)
    if grain == "day":
        return day, day
    months = 1 if grain == "month" else 3
    first = day.replace(day=1, month=day.month - (day.month - 1) % months)
    last_month = first.month + months - 1
    return first, date(first.year, last_month, calendar.monthrange(first.year, last_month)[1])


def _rolled_up(con: duckdb.DuckDBPyConnection, entry: Entry) -> dict[tuple[Any, ...], float | None]:
    """The metric by grain, first day of the period, and dimensions, added up in Python from the rows of its mart."""
    grain = [column for column in marts()[entry.mart].grain if column != "metric_date"]
    apart = apart_of(entry, grain)
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for row in _rows(con, f"from marts.{entry.mart} where {metrics()[entry.name].where}"):
        for dimension in (None, *(column for column in grain if column not in apart)):
            cell = tuple((column, row[column]) for column in grain if column in apart or column == dimension)
            for period in ("day", "week", "month", "quarter"):
                total = sums.setdefault((period, _period(period, row["metric_date"])[0], cell), [0, 0])
                total[0] += Fraction(row[entry.parts[0]]) - sum(Fraction(row[part]) for part in entry.minus)
                total[1] += sum(Fraction(row[part]) for part in entry.denominator)
    return {
        (period, first, json.dumps(dict(cell), separators=(",", ":"), ensure_ascii=False)):
            float(entry.scale * (above / below if below else above)) if below or not entry.denominator else None
        for (period, first, cell), (above, below) in sums.items()
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", sorted(n for n, e in entries().items() if e.additivity in SUMMED and metrics()[n].date == "metric_date")
)
def test_days_roll_up_to_weeks_months_and_quarters(name: str, con: duckdb.DuckDBPyConnection) -> None:
    """metric_daily holds exactly what the mart's days add up to, in total and by each dimension; ratios divided once."""
    entry = entries()[name]
    said = {(row["grain"], row["period_start"], row["dimensions"]): row["value"]
            for row in _rows(con, f"from marts.metric_daily where metric = '{name}'")}  # fmt: skip
    made = _rolled_up(con, entry)
    assert said.keys() == made.keys(), f"{len(said.keys() ^ made.keys())} rows too few or too many"
    wrong = {key: (said[key], made[key]) for key in made if not _same(said[key], made[key])}
    assert not wrong, list(wrong.items())[:3]


@pytest.mark.parametrize("name", sorted(entries().keys() - SUMMED_UP))
def test_what_does_not_add_up_is_published_as_its_mart_has_it(name: str, con: duckdb.DuckDBPyConnection) -> None:
    """Each row is a row of the mart; distinct counts have their own periods and no other."""
    entry, metric = entries()[name], metrics()[name]
    grain = [column for column in marts()[entry.mart].grain if column not in ("metric_date", "period")]
    value = entry.value or entry.parts[0]
    said = _rows(con, f"from marts.metric_daily where metric = '{name}'")
    own = {}
    for row in _rows(con, f"from marts.{entry.mart} where {metric.where}"):
        period = row.get("period", entry.period or "day") if entry.additivity != "snapshot" else None
        cell = json.dumps({column: row[column] for column in grain}, separators=(",", ":"), ensure_ascii=False, default=str)
        own[(period, row["metric_date"], cell)] = row[value]
    assert said or name in NO_ROW_YET
    if entry.additivity == "distinct":
        assert {row["grain"] for row in said} <= {period for period, _, _ in own}
    for row in said:
        assert row["breakdown"] == "cell"
        if entry.additivity != "snapshot":
            assert _same(row["value"], own[(row["grain"], row["metric_date"], row["dimensions"])]), row
            continue
        last = max(day for _, day, _ in own if row["period_start"] <= day <= row["metric_date"])
        assert _same(row["value"], own[(None, last, row["dimensions"])]), row
    days = {(row["metric_date"], row["dimensions"]) for row in said if row["grain"] == "day"}
    assert days == {(day, cell) for period, day, cell in own if period in (None, "day")}


@pytest.mark.minutes
def test_an_increment_is_a_rebuild(tmp_path: Path) -> None:
    """Of a night with late rows and a refused file, which marks its metrics stale, and one that mends it."""
    home, company = tmp_path / "home", simulate(customers=80, days=DAYS, seed=43)
    write_company(company, home, ("persons", "subscriptions", "orders", "order_lines", "contacts"))
    day = company.start + timedelta(days=DAYS - 2)
    assert run(home, "backfill", company.start, day - timedelta(days=1)) == 0
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        off = dict(con.execute("select metric, why_off from marts.metrics where not is_on").fetchall())
        assert off["cart_abandonment_rate"] == "needs cart_events in cx.toml" and "fcr_rate" not in off
        with pytest.raises(duckdb.Error, match="cart_abandonment_rate is off: needs cart_events in cx"):
            con.execute("from marts.metric('cart_abandonment_rate', 'day')").fetchall()
        assert not con.execute("from marts.metric_daily where metric in (select unnest($1))", [[*off]]).fetchall()
    refused = next(path for path in (home / "landing").rglob(f"*{day}*") if "contact" in path.name and "case" not in path.name)
    good = refused.read_bytes()
    refused.write_bytes(b"nothing;of,this\n")
    assert run(home, "nightly", day) == 3
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        told = con.execute("select metric, is_stale from marts.metrics where metric in ('fcr_rate', 'orders')").fetchall()
        assert dict(told) == {"fcr_rate": True, "orders": False}
        stale = con.execute("select distinct grain, metric_date, data_through from marts.metric_daily where is_stale").fetchall()
        assert {(g, m) for g, m, _ in stale} <= {(g, day) for g in ("day", "week", "month", "quarter")} and stale
        assert {through for _, _, through in stale} == {day - timedelta(days=1)}
    refused.write_bytes(good)
    assert run(home, "backfill", day, day + timedelta(days=1)) == 0
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        assert con.execute("select count(*) from marts.metric_daily where is_stale").fetchone() == (0,)
    shutil.copyfile(release_of(home), tmp_path / "increments.duckdb")
    assert run(home, "rebuild") == 0
    assert rows_that_differ(tmp_path / "increments.duckdb", release_of(home)) == {}


# ---- readers ---------------------------------------------------------------------------------------------------------


def test_readers_cannot_average_a_ratio(home: Path) -> None:
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        (first, last), (resolved, issues) = (
            con.execute(sql).fetchone() for sql in (
                "select min(metric_date), max(metric_date) from marts.fcr_daily",
                "select sum(resolved_first_contact), sum(issues) from marts.fcr_daily",
            )
        )  # fmt: skip
        said = "select value from marts.metric_between('fcr_rate', ?, ?) where breakdown = 'total'"
        assert con.execute(said, [first, last]).fetchone() == (pytest.approx(resolved / issues),)
        months = con.execute(
            "select metric_date, value from marts.metric('fcr_rate', 'month') where breakdown = 'total' order by 1"
        ).fetchall()
        assert months[-1][1] == pytest.approx(con.execute(
            "select sum(resolved_first_contact) / sum(issues) from marts.fcr_daily where date_trunc('month', metric_date) = "
            "date_trunc('month', ?)", [months[-1][0]]).fetchone()[0])  # fmt: skip
        years = con.execute("select sum(value) from marts.metric('orders', 'year') where breakdown = 'total'").fetchone()
        assert years == con.execute("select sum(orders) from marts.sales_daily").fetchone()
        for question, told in (
            ("marts.metric('churn_rate', 'week')", "churn_rate has no grain week; there is day, month, trailing_30d"),
            ("marts.metric('churn_rate', 'year')", "churn_rate has no grain year"),
            ("marts.metric_between('churn_rate', '2025-09-01', '2025-09-30')", "churn_rate .distinct. does not add up over days"),
            ("marts.metric('fcr', 'day')", "there is no metric fcr"),
        ):
            with pytest.raises(duckdb.Error, match=told):
                con.execute(f"from {question}").fetchall()


def test_the_question_for_whatever_metric_draws_lines_of_each(home: Path) -> None:
    """That of docs/bi.md for Metabase, asked for a sum, a distinct count and a snapshot; and of all: one value a line and day."""
    page = (PROJECT_ROOT / "docs" / "bi.md").read_text(encoding="utf-8")
    (asked,) = re.findall(r"```sql\n([^`]*\{\{metric\}\}[^`]*)```", page)
    with duckdb.connect(str(home / "releases" / "current" / "cx.duckdb"), read_only=True) as con:
        for metric, grain in (("fcr_rate", "month"), ("churn_rate", "trailing_30d"), ("clv_historic", "day")):
            rows = con.execute(asked.replace("{{metric}}", f"'{metric}'").replace("{{grain}}", f"'{grain}'")).fetchall()
            assert rows and len({row[:2] for row in rows}) == len(rows), metric
        (chosen,) = re.findall(r"where (breakdown [^\n]*?) order by", asked)
        wrong = con.execute(f"""
            select metric, grain from marts.metric_daily group by all
            having count(*) filter (where {chosen}) = 0 or count(*) filter (where {chosen})
                <> count(distinct (metric_date, cast(dimensions as varchar))) filter (where {chosen})
        """).fetchall()
    assert wrong == []


def test_a_month_is_held_against_the_one_before(home: Path) -> None:
    """In `marts.benchmark`: by the sums of the mart, and the running month against nothing."""
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        months = dict(con.execute(
            "select cast(date_trunc('month', metric_date) as date), sum(orders) from marts.sales_daily group by all"
        ).fetchall())  # fmt: skip
        said = con.execute(
            "select period_start, value, previous_value, is_complete from marts.benchmark where metric = 'orders' "
            "and grain = 'month' order by 1"
        ).fetchall()
    assert [(month, value) for month, value, *_ in said] == sorted(months.items())
    for month, _, previous, is_complete in said:
        before = (month - timedelta(days=1)).replace(day=1)
        assert previous == (months.get(before) if is_complete else None)
    assert len({is_complete for *_, is_complete in said}) == 2


def test_a_release_says_what_its_columns_mean(home: Path) -> None:
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        (comment,) = con.execute(
            "select comment from duckdb_columns() where table_name = 'fcr_daily' and column_name = 'fcr_rate'"
        ).fetchone()
    assert "First contact resolution (fcr_rate, version 1 from 2025-01-01): resolved_first_contact / issues." in comment


SAVED = {node["name"]: node["query_params"] for node in manifest_json()["saved_queries"].values()}


@pytest.mark.parametrize("name", sorted(SAVED))
def test_a_saved_query_answers(name: str, con: duckdb.DuckDBPyConnection) -> None:
    """With rows, and a column for each of its metrics and groups."""
    rows = _rows(con, sql_of_saved(name))
    assert rows, f"{name} has no row"
    assert {*SAVED[name]["metrics"]} < {*rows[0]} and len(rows[0]) == len(SAVED[name]["metrics"]) + len(SAVED[name]["group_by"])
    empty = [metric for metric in SAVED[name]["metrics"] if all(row[metric] is None for row in rows)]
    assert not empty, f"{name}: {empty} say nothing"


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        ("fcr_by_channel_and_week",
         "select date_trunc('week', metric_date) as metric_time__week, channel as issue_cell__channel, "
         "sum(resolved_first_contact) / nullif(sum(issues), 0) as fcr_rate, "
         "sum(known_person_contacts) / nullif(sum(eligible_contacts), 0) as fcr_coverage from marts.fcr_daily group by 1, 2"),
        ("churn_by_plan",
         "select date_trunc('month', metric_date) as metric_time__month, plan as churn_cell__plan, "
         "churn_rate as churn_rate_by_plan "
         "from marts.churn_daily where basis = 'contractual' and period = 'trailing_30d' and plan <> 'all' "
         "and metric_date in (select max(metric_date) from marts.churn_daily group by date_trunc('month', metric_date))"),
    ],
)  # fmt: skip
def test_a_saved_query_says_what_the_mart_says(name: str, sql: str, con: duckdb.DuckDBPyConnection) -> None:
    groups = [column for column in _rows(con, f"from ({sql}) limit 1")[0] if column not in SAVED[name]["metrics"]]
    said, expected = (
        sorted(_rows(con, text), key=lambda row: [str(row[g])[:10] for g in groups]) for text in (sql_of_saved(name), sql)
    )
    assert len(said) == len(expected) > len(SAVED[name]["metrics"])
    for theirs, ours in zip(said, expected, strict=True):
        assert [str(theirs[g])[:10] for g in groups] == [str(ours[g])[:10] for g in groups]
        assert all(_same(theirs[metric], ours[metric]) for metric in SAVED[name]["metrics"]), (theirs, ours)


def test_mf_query_gives_the_values_of_the_marts(home: Path, tmp_path: Path) -> None:
    """The program itself, for metrics of every class that MetricFlow adds up, by month: the saved query of the headlines."""
    names = SAVED["executive_by_month"]["metrics"]
    assert {"additive", "ratio", "mean", "distinct", "snapshot"} == {entries()[name].additivity for name in names}
    out = tmp_path / "said.csv"
    environment = {**os.environ, "CX_WAREHOUSE": str(home / "warehouse" / "cx.duckdb"), "DBT_PROFILES_DIR": str(DBT_PROJECT_DIR)}
    asked = ["query", "--saved-query", "executive_by_month", "--csv", str(out), "--quiet"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("mf")), *asked], cwd=DBT_PROJECT_DIR, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = {row["metric_time__month"][:10]: row for row in csv.DictReader(out.open())}
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as again:
        for name in names:
            entry = entries()[name]
            where = filter_of(_node(name))
            for row in _rows(again, _expected(entry, where, "month", ())):
                text = said[str(row["day"])][name]
                assert _same(float(text) if text else None, row["value"]), (name, row, text)
