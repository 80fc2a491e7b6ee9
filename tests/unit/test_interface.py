"""What readers rely on: the record is what would be published, and nothing of it goes without number, entry and version."""

from __future__ import annotations

import copy
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import interface
from orchestration.lib.interface import Promise


@pytest.fixture(scope="module")
def now() -> Promise:
    return interface.described()


@pytest.fixture
def record() -> Promise:
    return interface.promised()


def test_the_record_is_what_would_be_published(record: Promise, now: Promise) -> None:
    """The check of CI: a column that is gone or has another type is told with what to do; a new one wants `make interface`."""
    assert interface.problems(record, now) == []


def test_types_are_duckdbs_names_and_macros_have_parameters(now: Promise) -> None:
    assert now.relations["sales_daily"]["metric_date"] == "DATE"
    assert now.relations["metrics"]["parts"] == "VARCHAR[]"
    assert now.relations["metric_between(metric_name, first_day, last_day)"]["value"] == "DOUBLE"
    assert list(now.relations["releases"]) == ["release", "run_id", "data_through", "published_at", "metrics"]
    assert now.metrics["fcr_rate"] >= 1


def test_every_relation_and_column_of_a_release_is_described() -> None:
    """Marts get theirs from their contracts, when they are written (tests/e2e/test_release_interface.py)."""
    with duckdb.connect() as con:
        interface._make_empty_release(con)
        made = "(view_name in ('metric_values', 'benchmark') or view_name is null)"
        views = con.execute(f"select view_name from duckdb_views() where schema_name = 'marts' and comment is null and {made}")
        assert views.fetchall() == []
        columns = con.execute(
            "select table_name, column_name from duckdb_columns() where schema_name = 'marts' and comment is null "
            "and table_name in ('metric_values', 'benchmark', 'releases', 'restatements')"
        )
        assert columns.fetchall() == []
        macros = dict(con.execute("select function_name, comment from duckdb_functions() where schema_name = 'marts'").fetchall())
    assert set(macros) == {"metric", "metric_between", "metric_as_published"} and all(macros.values())


def test_a_new_column_is_no_break(record: Promise, now: Promise) -> None:
    more = copy.deepcopy(now)
    more.relations["sales_daily"]["brand_new"] = "DOUBLE"
    assert interface.breaks(record, more) == {}
    (said,) = interface.problems(record, more)
    assert "sales_daily.brand_new" in said and "make interface" in said


def test_what_goes_or_is_retyped_is_told(record: Promise, now: Promise) -> None:
    less = copy.deepcopy(now)
    del less.relations["fcr_daily"]["issues"]
    less.relations["sales_daily"]["orders"] = "DOUBLE"
    del less.relations["stock_daily"]
    del less.metrics["aht"]
    less.metrics["fcr_rate"] = 0
    assert interface.breaks(record, less) == {
        "fcr_daily.issues": "fcr_daily.issues is gone",
        "sales_daily.orders": "sales_daily.orders was BIGINT and is DOUBLE",
        "stock_daily": "stock_daily is gone",
        "metric aht": "the metric aht is gone",
        "metric fcr_rate": f"the metric fcr_rate goes back from version {record.metrics['fcr_rate']} to 0",
    }
    assert len(interface.problems(record, less)) == 5
    assert all("raise `interface` to 2" in said for said in interface.problems(record, less))


def _announced(record: Promise, what: str, **entry: object) -> Promise:
    said = copy.deepcopy(record)
    said.interface = record.interface + 1
    said.breaking = [
        *record.breaking,
        {"interface": said.interface, "on": date(2027, 6, 1), "what": [what], "why": "counted twice", **entry},
    ]
    return said


def test_a_break_needs_an_entry_a_deprecation_and_a_version(record: Promise, now: Promise) -> None:
    """`issues` is the denominator of fcr_rate: each thing that is still missing is asked for, and then it may go."""
    less = copy.deepcopy(now)
    del less.relations["fcr_daily"]["issues"]
    announced = _announced(record, "fcr_daily.issues")
    said = interface.unannounced(announced, less)
    assert any("never deprecated" in one for one in said) and any("metric fcr_rate is made of it" in one for one in said)

    announced.deprecated["fcr_daily.issues"] = {"since": date(2027, 1, 1), "until": date(2027, 7, 1), "instead": "cases"}
    assert any("promised until 2027-07-01" in said for said in interface.unannounced(announced, less))
    announced.deprecated["fcr_daily.issues"]["until"] = date(2027, 6, 1)
    for metric in interface.metrics().values():
        if metric.mart == "fcr_daily":
            less.metrics[metric.name] += 1
    assert interface.unannounced(announced, less) == []

    at_once = _announced(record, "fcr_daily.issues", at_once="it never held anything")
    assert interface.unannounced(at_once, less) == []
    at_once.interface += 1
    assert interface.unannounced(at_once, less), "an entry of an older number announces nothing new"


def test_the_record_is_not_written_over_a_break(record: Promise, now: Promise, tmp_path: Path) -> None:
    path = tmp_path / "published_columns.yml"
    assert interface.write(path) == [] and interface.promised(path).relations == now.relations
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("relations:\n", "relations:\n  sold_daily: {metric_date: DATE}\n"), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    (said,) = interface.write(path)
    assert said.startswith("sold_daily is gone: put it back") and path.read_text(encoding="utf-8") == before
    path.write_text(
        before.replace("interface: 1\nbreaking: []", "interface: 2\nbreaking:\n- {interface: 2, on: 2027-06-01, "
        "what: [sold_daily], why: empty, at_once: never held a row}"), encoding="utf-8"
    )  # fmt: skip
    assert interface.write(path) == []
    assert "sold_daily" not in interface.promised(path).relations and interface.promised(path).interface == 2


def test_what_is_deprecated_says_so_where_people_read_it(record: Promise, now: Promise) -> None:
    told = copy.deepcopy(record)
    days = {"since": date(2027, 1, 1), "until": date(2027, 4, 1)}
    told.deprecated = {"fcr_daily.issues": days, "fcr_daily.nothing": {**days, "until": date(2027, 3, 31)}}
    assert interface.problems(told, now) == [
        "fcr_daily.issues is deprecated since 2027-01-01: begin its description with 'Deprecated, use ...'",
        "fcr_daily.nothing is deprecated for less than 90 days: give `since` and `until`",
        "fcr_daily.nothing is deprecated and is gone: take it out of `deprecated`",
    ]
