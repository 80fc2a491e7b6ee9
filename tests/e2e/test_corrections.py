"""Hand-written histories: corrections and late rows whose effect lies before their own day."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest

from orchestration.lib import dbt_build, release
from orchestration.lib.dbt_manifest import models_on
from orchestration.settings import Settings
from tests.company import release_of, rows_that_differ, run

CONFIG = """
[business]
timezone = "Europe/Amsterdam"
[[feed]]
feed = "subscriptions"
pattern = "subscriptions_{day}.csv"
format = "csv"
[[feed]]
feed = "cases"
pattern = "cases_{day}.csv"
format = "csv"
expected = "daily"
[[feed]]
feed = "case_events"
pattern = "events_{day}.csv"
format = "csv"
[[feed]]
feed = "order_lines"
pattern = "lines_{day}.csv"
format = "csv"
[feed.constants]
currency = "EUR"
"""
SUBSCRIPTIONS = "subscription_id,person_id,plan,started_at,ended_at\n"
CASES = "case_id,opened_at,resolved_at\n"
EVENTS = "event_id,case_id,event,occurred_at\n"
LINES = "order_id,line_id,person_id,ordered_at,quantity,unit_price\n"


def _home(folder: Path, files: dict[str, str]) -> Path:
    landing = folder / "landing"
    landing.mkdir(parents=True, exist_ok=True)
    (landing / "cx.toml").write_text(CONFIG, encoding="utf-8")
    for name, text in files.items():
        (landing / name).write_text(text, encoding="utf-8")
    return folder


def _query(home: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        return con.execute(sql).fetchall()


@pytest.mark.minutes
def test_increments_equal_a_rebuild_under_corrections(tmp_path: Path) -> None:
    """A renewal delivered three weeks late un-loses the days of grace before it; a reopened case moves to its new day;
    content that comes back counts again; a case resolved before it was opened is not resolved and stops nothing."""
    home = _home(
        tmp_path / "home",
        {
            "subscriptions_2025-10-06.csv": SUBSCRIPTIONS
            + "S1,P1,basic,2025-09-01T10:00:00,2025-10-05T10:00:00\nS2,P2,basic,2025-09-01T10:00:00,2025-10-05T10:00:00\n",
            "cases_2025-10-06.csv": CASES + "K1,2025-10-01T09:00:00,2025-10-01T10:00:00\nK2,2025-10-01T09:00:00,\n",
            "lines_2025-10-06.csv": LINES + "O1,1,P1,2025-10-06T12:00:00,1,10.00\n",
        },
    )
    assert run(home, "nightly", date(2025, 10, 6)) == 0
    lost = (
        "select lost from marts.churn_daily "
        "where metric_date = '2025-10-05' and period = 'day' and plan = 'all' and basis = 'contractual'"
    )
    assert _query(home, lost) == [(2,)]

    _home(
        home,
        {
            "events_2025-10-07.csv": EVENTS
            + "E1,K1,reopened,2025-10-02T09:00:00\nE2,K1,resolved,2025-10-03T09:00:00\nE3,K2,resolved,2025-09-30T09:00:00\n",
            "cases_2025-10-07.csv": CASES,
            "lines_2025-10-07.csv": LINES + "O1,1,P1,2025-10-06T12:00:00,2,10.00\n",
        },
    )
    assert run(home, "nightly", date(2025, 10, 7)) == 0
    assert _query(home, "select metric_date, cases_resolved from marts.resolution_daily") == [(date(2025, 10, 3), 1)]
    assert _query(home, "select sum(net_amount) from marts.sales_daily") == [(20,)]

    _home(
        home,
        {
            "subscriptions_2025-10-30.csv": SUBSCRIPTIONS + "S3,P1,basic,2025-10-09T10:00:00,\n",
            "cases_2025-10-30.csv": CASES,
            # byte for byte the first day's file: the correction is taken back
            "lines_2025-10-30.csv": LINES + "O1,1,P1,2025-10-06T12:00:00,1,10.00\n",
        },
    )
    assert run(home, "nightly", date(2025, 10, 30)) == 0
    assert _query(home, lost) == [(1,)]
    assert _query(home, "select sum(net_amount) from marts.sales_daily") == [(10,)]

    before = shutil.copy(release_of(home), tmp_path / "before.duckdb")
    settings = Settings(home)
    models = models_on({source.feed for source in settings.config.feed})
    built = dbt_build.build(settings, models, full_refresh=False)
    assert built.models.keys() | built.idle == models and not built.models.keys() & built.idle
    assert {"stg_persons", "int_persons"} <= built.idle, "nobody delivers persons"
    assert {"stg_cases", "stg_case_events", "sales_daily", "metrics"} <= built.models.keys()
    assert run(home, "rebuild") == 0
    assert rows_that_differ(before, release_of(home)) == {}


@pytest.mark.minutes
def test_what_is_missing_stays_visible_and_what_comes_back_is_forgiven(tmp_path: Path) -> None:
    """A missing day makes its feed stale only while it is the newest, and is counted for ever; a file put back to the
    content that is loaded is not refused any more; a feed taken out of cx.toml takes its rows along, and comes back with
    what its files hold by then; yesterday's file sent again is not today's."""
    good = LINES + "O1,1,P1,2025-10-06T12:00:00,1,10.00\n"
    home = _home(tmp_path, {"cases_2025-10-06.csv": CASES, "lines_2025-10-06.csv": good})

    def states() -> dict[str, tuple[bool, int]]:
        manifest = release.manifest_of(Settings(home), release.current(Settings(home)) or "")
        return {state["feed"]: (state["is_stale"], state["missing_days"]) for state in manifest["feeds"]}

    assert run(home, "nightly", date(2025, 10, 6)) == 0
    (home / "landing" / "lines_2025-10-06.csv").write_text("", encoding="utf-8")
    assert run(home, "nightly", date(2025, 10, 6)) == 3
    (home / "landing" / "lines_2025-10-06.csv").write_text(good, encoding="utf-8")
    assert run(home, "nightly", date(2025, 10, 6)) == 0
    assert states()["order_lines"] == (False, 0)

    assert run(home, "nightly", date(2025, 10, 7)) == 3
    assert states()["cases"] == (True, 1)
    _home(home, {"cases_2025-10-08.csv": CASES + "K1,2025-10-08T09:00:00,2025-10-08T10:00:00\n"})
    assert run(home, "nightly", date(2025, 10, 8)) == 0
    assert states()["cases"] == (False, 1)

    shop = CONFIG[CONFIG.index('[[feed]]\nfeed = "order_lines"') :]
    (home / "landing" / "cx.toml").write_text(CONFIG.replace(shop, ""), encoding="utf-8")
    assert run(home, "nightly", date(2025, 10, 8)) == 0
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        assert con.execute("select count(*) from raw.order_lines").fetchone() == (0,)
    assert "sales_daily" in release.manifest_of(Settings(home), release.current(Settings(home)) or "")["marts_off"]

    other = LINES + "O2,1,P2,2025-10-06T12:00:00,3,10.00\n"
    _home(home, {"lines_2025-10-06.csv": other, "cases_2025-10-09.csv": CASES + "K1,2025-10-08T09:00:00,2025-10-08T10:00:00\n"})
    assert run(home, "backfill", date(2025, 10, 6), date(2025, 10, 9)) == 3, "no cases of the 7th"
    assert _query(home, "select metric_date, net_amount from marts.sales_daily") == [(date(2025, 10, 6), 30)]
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        assert con.execute("select order_id from staging.stg_order_lines").fetchall() == [("O2",)]

    _home(home, {"cases_2025-10-10.csv": CASES, "events_2025-10-09.csv": EVENTS + "E1,K1,reopened,2025-10-09T09:00:00\n"})
    (home / "landing" / "cx.toml").write_text(CONFIG.replace('"events_{day}.csv"', '"events_{day}.csv"\nexpected = "daily"'))
    assert run(home, "backfill", date(2025, 10, 9), date(2025, 10, 9)) == 0
    shutil.copy(home / "landing" / "events_2025-10-09.csv", home / "landing" / "events_2025-10-10.csv")
    assert run(home, "nightly", date(2025, 10, 10)) == 3
    assert states()["case_events"] == (True, 1)
