"""What kind of change a cell that appears is: of a day that nobody was told of before, or back after it was gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import restatements
from orchestration.lib.dbt_manifest import definition_of, manifest_json, marts
from tests.landing import Home

MART = "referrals_daily"


@pytest.fixture
def home(cx_home: Path) -> Iterator[Home]:
    with Home(cx_home, "").open() as home:
        home.con.execute("create schema if not exists marts")
        yield home


def columns() -> dict[str, str]:
    (node,) = [n for n in manifest_json()["nodes"].values() if n["resource_type"] == "model" and n["name"] == MART]
    return {name: column["data_type"] for name, column in node["columns"].items()}


def fill(con: duckdb.DuckDBPyConnection, table: str, days: list[date]) -> None:
    """The mart with a row of ones for each day, final on the day after."""
    con.execute(f"create or replace table {table} ({', '.join(f'{name} {kind}' for name, kind in columns().items())})")
    for day in days:
        special = {"metric_date": day, "is_final": True, "final_on": day}
        values = [special.get(name, 1 if kind != "varchar" else "x") for name, kind in columns().items()]
        con.execute(f"insert into {table} values ({', '.join('?' * len(values))})", values)


def change(home: Home, before: list[date], now: list[date]) -> dict[date, set[str]]:
    """Publish `now` after a release with `before`; the kinds of change by day, which are logged."""
    base = home.home / "base.duckdb"
    base.unlink(missing_ok=True)
    with duckdb.connect(str(base)) as con:
        con.execute("create schema marts")
        fill(con, f"marts.{MART}", before)
    fill(home.con, f"marts.{MART}", now)
    about = {"grain": [*marts()[MART].grain], "columns": [*columns()], "definition": definition_of(MART)}
    manifest = {"marts": {MART: about}, "data_through": "2026-01-31", "configuration": "c"}
    restatements.start(home.con)
    restatements.find(home.con, base, manifest, [MART], "c", whole=True)
    home.con.execute("insert into ops.restatements by name from restated")
    found: dict[date, set[str]] = {}
    for day, kind in home.rows("select metric_date, kind from restated"):
        found.setdefault(day, set()).add(kind)
    return found


def test_what_comes_back_is_a_restatement_and_not_published_for_the_first_time(home: Home) -> None:
    """History loaded backwards, then lost, then found again, also where all of the mart was gone."""
    days = [date(2026, 1, day) for day in (3, 4, 5)]
    assert change(home, days[1:], days) == {days[0]: {"first_publication"}}
    assert change(home, days, []) == {day: {"restatement"} for day in days}
    assert change(home, [], days) == {day: {"restatement"} for day in days}
    assert change(home, days, [date(2026, 1, 1), *days]) == {date(2026, 1, 1): {"first_publication"}}
