"""A night with one late file, three months old: what it rebuilds and what it restates is what two full builds differ by."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.lib import release
from orchestration.lib.simulator import simulate
from orchestration.settings import Settings
from tests.company import release_of, run, write_company

DAYS, AGE = 110, 92


def _query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as con:
        return con.execute(sql).fetchall()


def _cells(database: Path) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {
        row[:3]: row[3:]
        for row in _query(database, "select metric, metric_date, dimensions, parts, value from marts.metric_values")
    }


def _days_that_differ(before: Path, after: Path, mart: str) -> set[date]:
    rows, others = ({row[0]: set() for row in _query(path, f"select metric_date from marts.{mart}")} for path in (before, after))
    for path, days in ((before, rows), (after, others)):
        for row in _query(path, f"select metric_date, * from marts.{mart}"):
            days[row[0]].add(row[1:])
    return {day for day in rows.keys() | others.keys() if rows.get(day) != others.get(day)}


@pytest.mark.minutes
def test_a_late_file_rebuilds_and_restates_what_two_full_builds_differ_by(tmp_path: Path) -> None:
    company = simulate(customers=250, days=DAYS, seed=23)
    last = company.start + timedelta(days=DAYS - 1)
    late = last - timedelta(days=AGE)
    home, before, after = (tmp_path / name for name in ("home", "before", "after"))
    for folder in (home, before, after):
        write_company(company, folder)
    name = f"ecommerce/order_lines/order_lines_{late}.csv"
    for folder in (home, before):
        (file,) = (folder / "landing" / "ecommerce" / "order_lines").glob(f"*{late}*")
        shutil.move(file, tmp_path / f"late_{folder.name}")

    # the home that lives: a backfill to the day before, then the night that finds the late file
    assert run(home, "backfill", company.start, last - timedelta(days=1)) in (0, 3)
    shutil.move(tmp_path / "late_home", home / "landing" / "ecommerce" / "order_lines" / file.name)
    assert run(home, "backfill", late, last) == 0
    # two full builds, one that never saw the file and one that always had it
    assert run(before, "backfill", company.start, last - timedelta(days=1)) in (0, 3)
    assert run(after, "backfill", company.start, last) == 0

    settings = Settings(home)
    manifest = release.manifest_of(settings, release.current(settings))
    rebuilt_early = 0
    for mart, spans in manifest["rebuilt"].items():
        if spans == "all":
            assert mart in ("clv_customer", "customer_360", "metrics", "retention_cohorts", "retention_cohorts_by_segment")
            continue
        rebuilt = {
            date.fromisoformat(first) + timedelta(days=n)
            for first, end in spans
            for n in range((date.fromisoformat(end) - date.fromisoformat(first)).days + 1)
        }
        assert rebuilt == _days_that_differ(release_of(before), release_of(after), mart), mart
        rebuilt_early += sum(day <= late + timedelta(days=60) for day in rebuilt)
    assert rebuilt_early > 60, "the late orders count in customer value and retention on every day since"

    was, now = _cells(release_of(before)), _cells(release_of(after))
    expected = {
        cell: (was.get(cell, (None, None)), now.get(cell, (None, None)))
        for cell in was.keys() | now.keys()
        if was.get(cell) != now.get(cell) and cell[1] < last
    }
    rows = _query(
        release_of(home),
        "select metric, metric_date, dimensions, old_parts, old_value, new_parts, new_value, kind, cause, deliveries "
        f"from marts.restatements where release = '{release.current(settings)}'",
    )
    assert {row[:3]: (row[3:5], row[5:7]) for row in rows} == expected
    of_that_day = [row for row in rows if row[0] == "net_sales" and row[1] == late]
    assert of_that_day and all(row[7] == "restatement" and any(late.isoformat() in d for d in row[9]) for row in of_that_day), (
        name
    )
