"""`metric_daily` made by dbt of three marts with a handful of rows, against sums worked out by hand.

Belongs here: days to weeks, months and quarters, and when a period is final. Does not: that every metric rolls up like this
(`test_metrics`), or the intervals themselves (`test_intervals`).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest

from orchestration.lib import warehouse
from orchestration.lib.dbt_manifest import manifest_json, runner_manifest
from orchestration.settings import DBT_PROJECT_DIR, CxConfig, FeedSource, Settings

THROUGH = date(2026, 1, 31)
"""A Saturday: the week from 26 January, the quarter and nothing else are still running."""
LAG = 10
"""Days after a day until its values are final, in all three marts."""

# The week from Monday 29 December is in two months, two quarters and two years. 21 January is the last final day.
CONTACTS = (
    ("2025-12-28", 9, 5), ("2025-12-29", 9, 2), ("2025-12-29", 10, 3), ("2026-01-01", 9, 4), ("2026-01-04", 9, 1),
    ("2026-01-21", 9, 6), ("2026-01-22", 9, 7), ("2026-01-31", 9, 8),
)  # fmt: skip
"""Day, hour, inbound contacts."""
ISSUES = (
    ("2025-12-28", "phone", 1, 2), ("2025-12-29", "phone", 3, 4), ("2025-12-29", "chat", 1, 4), ("2026-01-01", "phone", 2, 4),
    ("2026-01-04", "chat", 4, 4), ("2026-01-21", "phone", 1, 1), ("2026-01-22", "phone", 0, 1), ("2026-01-31", "phone", 0, 0),
)  # fmt: skip
"""Day, channel, resolved, issues. Shares of days say something else than shares of weeks: 4 of 8, 2 of 4, 4 of 4 are 10 of 16."""
TONES = (("2025-12-28", 2, 1, 1), ("2025-12-29", 1, 1, 1), ("2026-01-04", 2, -1, 1), ("2026-01-21", 4, 2, 2))
"""Day, contacts with a tone, the sum of its changes, the sum of their squares: (1, 0), (1), (-1, 0) and (1, 1, 0, 0)."""
PERIODS = {
    ("week", "2025-12-22"): ("2025-12-28", True, "2026-01-07"),
    ("week", "2025-12-29"): ("2026-01-04", True, "2026-01-14"),
    ("week", "2026-01-19"): ("2026-01-25", False, "2026-02-04"),
    ("week", "2026-01-26"): ("2026-01-31", False, "2026-02-11"),
    ("month", "2025-12-01"): ("2025-12-31", True, "2026-01-10"),
    ("month", "2026-01-01"): ("2026-01-31", False, "2026-02-10"),
    ("quarter", "2025-10-01"): ("2025-12-31", True, "2026-01-10"),
    ("quarter", "2026-01-01"): ("2026-01-31", False, "2026-04-10"),
}
"""By grain and first day: the last day so far, whether every day of it is final, and the day on which its last one is."""

Values = dict[str, Any]
Rolled = dict[tuple[str, str], list[dict[str, Any]]]
"""The rows of metric_daily by metric and breakdown."""


def _table(con: duckdb.DuckDBPyConnection, node: dict[str, Any]) -> None:
    columns = ", ".join(f'"{name}" {about["data_type"]}' for name, about in node["columns"].items())
    con.execute(f"create table marts.{node['name']} ({columns})")


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Rolled:
    """Metric_daily of the rows above, and of nothing else."""
    from dbt.cli.main import dbtRunner

    settings = Settings(tmp_path_factory.mktemp("rolled"))
    settings.make_folders()
    feeds = [FeedSource(feed=feed, pattern=f"{feed}_*.csv", format="csv") for feed in ("contacts", "sentiment_segments")]
    with warehouse.connect(settings) as con:
        warehouse.prepare(con, CxConfig(feed=feeds))
        warehouse.advance_clock(con, THROUGH)
        con.execute("create schema if not exists marts")
        for node in manifest_json()["nodes"].values():
            if node["resource_type"] == "model" and node["schema"] == "marts" and node["name"] != "metric_daily":
                _table(con, node)
        for mart, columns, rows in (
            ("contact_volume_daily", "day, hour, inbound", CONTACTS),
            ("fcr_daily", "day, channel, resolved_first_contact, issues", ISSUES),
            ("emotion_daily", "day, tone_contacts, tone_change_sum, tone_change_sumsq", TONES),
        ):
            values = ", ".join(f"(date '{day}', {', '.join(map(repr, more))})" for day, *more in rows)
            con.execute(
                f"insert into marts.{mart} by name select day as metric_date, * exclude (day), day + {LAG} as final_on "
                f"from (values {values}) as t({columns})"
            )
    where = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path",
             str(settings.home / "dbt"), "--log-path", str(settings.home / "dbt"), "--log-level-file", "none"]  # fmt: skip
    with pytest.MonkeyPatch.context() as env:
        env.setenv("CX_WAREHOUSE", str(settings.warehouse))
        built = dbtRunner(manifest=runner_manifest()).invoke(
            ["--quiet", "--no-write-json", "run", "--full-refresh", "--select", "metric_daily", *where]
        )
    assert built.success, built.exception or [r.message for r in built.result.results if r.status != "success"]
    found: Rolled = {}
    with duckdb.connect(str(settings.warehouse), read_only=True) as con:
        cursor = con.execute("from marts.metric_daily order by grain, period_start, dimensions")
        names = [column[0] for column in cursor.description]
        for values in cursor.fetchall():
            row = dict(zip(names, values, strict=True))
            found.setdefault((row["metric"], row["breakdown"]), []).append(row)
    return found


def _said(rows: list[dict[str, Any]], *names: str) -> dict[tuple[str, str], Any]:
    """What the rows say, by grain and first day."""
    found = {(row["grain"], str(row["period_start"])): tuple(row[name] for name in names) for row in rows}
    assert len(found) == len(rows)
    return {key: values[0] if len(names) == 1 else values for key, values in found.items()}


def _values(days: Values, weeks: Values, months: Values, quarters: Values) -> dict[tuple[str, str], Any]:
    by_grain = {"day": days, "week": weeks, "month": months, "quarter": quarters}
    return {(grain, first): value for grain, values in by_grain.items() for first, value in values.items()}


def test_counts_are_added_up(rolled: Rolled) -> None:
    """Of 15 contacts up to Sunday 4 January, 10 are of December, 5 of January, and 10 of the week the two share."""
    said = _said(rolled["contact_volume", "total"], "value")
    assert said == _values(
        {"2025-12-28": 5, "2025-12-29": 5, "2026-01-01": 4, "2026-01-04": 1, "2026-01-21": 6, "2026-01-22": 7, "2026-01-31": 8},
        {"2025-12-22": 5, "2025-12-29": 10, "2026-01-19": 13, "2026-01-26": 8},
        {"2025-12-01": 10, "2026-01-01": 26},
        {"2025-10-01": 10, "2026-01-01": 26},
    )
    assert all(row["n"] is None and row["interval_low"] is None for row in rolled["contact_volume", "total"])
    hours = rolled["contact_volume", "hour"]
    week = {
        row["dimensions"]: row["value"] for row in hours if (row["grain"], str(row["period_start"])) == ("week", "2025-12-29")
    }
    assert week == {'{"hour":10}': 3, '{"hour":9}': 7}


def test_ratios_are_divided_once(rolled: Rolled) -> None:
    """The week over New Year: 3 of 4 and 1 of 4, 2 of 4, 4 of 4 are 10 of 16. A day without an issue has no rate."""
    rows = rolled["fcr_rate", "total"]
    assert _said(rows, "value") == _values(
        {"2025-12-28": 0.5, "2025-12-29": 0.5, "2026-01-01": 0.5, "2026-01-04": 1, "2026-01-21": 1, "2026-01-22": 0,
         "2026-01-31": None},
        {"2025-12-22": 0.5, "2025-12-29": 0.625, "2026-01-19": 0.5, "2026-01-26": None},
        {"2025-12-01": 0.5, "2026-01-01": 0.7},
        {"2025-10-01": 0.5, "2026-01-01": 0.7},
    )  # fmt: skip
    week, month = (next(r for r in rows if r["grain"] == grain and str(r["period_start"]) == first)
                   for grain, first in (("week", "2025-12-29"), ("month", "2025-12-01")))  # fmt: skip
    assert (week["numerator"], week["denominator"], week["n"], week["is_small"]) == (10, 16, 16, True)
    # 5 of 10, as in test_intervals
    assert (month["interval_low"], month["interval_high"]) == pytest.approx((0.2365896, 0.7634104), abs=1e-7)
    channels = {
        (row["dimensions"], row["grain"], str(row["period_start"])): row["value"] for row in rolled["fcr_rate", "channel"]
    }
    chat, phone = '{"channel":"chat"}', '{"channel":"phone"}'
    assert channels[chat, "week", "2025-12-29"] == 5 / 8 == channels[phone, "week", "2025-12-29"]
    assert channels[chat, "month", "2025-12-01"] == 1 / 4 and channels[phone, "month", "2025-12-01"] == pytest.approx(4 / 6)
    assert channels[chat, "quarter", "2026-01-01"] == 1 and channels[phone, "quarter", "2026-01-01"] == 3 / 6


def test_means_are_sums_over_counts(rolled: Rolled) -> None:
    """December: sum 2 of 3 contacts; January: -1 + 2 of 6, with squares 1 + 2."""
    rows = rolled["tone_change", "total"]
    assert _said(rows, "value") == pytest.approx(
        _values(
            {"2025-12-28": 0.5, "2025-12-29": 1, "2026-01-04": -0.5, "2026-01-21": 0.5},
            {"2025-12-22": 0.5, "2025-12-29": 0, "2026-01-19": 0.5},
            {"2025-12-01": 2 / 3, "2026-01-01": 1 / 6},
            {"2025-10-01": 2 / 3, "2026-01-01": 1 / 6},
        )
    )
    ends = _said(rows, "interval_low", "interval_high")
    # s^2 = (3 - 1 / 6) / 5 = 0.5666667; 1.96 sqrt(0.5666667 / 6) = 0.6023436
    assert ends["month", "2026-01-01"] == pytest.approx((1 / 6 - 0.6023436, 1 / 6 + 0.6023436), abs=1e-6)
    # the week over New Year: 1, -1, 0: s^2 = 1; 1.96 / sqrt(3) = 1.1316066
    assert ends["week", "2025-12-29"] == pytest.approx((-1.1316066, 1.1316066), abs=1e-6)
    assert ends["day", "2025-12-29"] == (None, None), "one contact says nothing of the spread"


@pytest.mark.parametrize("metric", ["contact_volume", "fcr_rate"])
def test_a_period_is_final_when_its_last_day_is(metric: str, rolled: Rolled) -> None:
    """Wednesday 21 January is final on Saturday 31, Thursday 22 a day later, so their week is not; nor is their month."""
    said = _said(rolled[metric, "total"], "metric_date", "is_final", "final_on")
    told = {key: (str(last), is_final, str(final_on)) for key, (last, is_final, final_on) in said.items()}
    assert {key: values for key, values in told.items() if key[0] != "day"} == PERIODS
    assert told["day", "2026-01-21"] == ("2026-01-21", True, "2026-01-31")
    assert told["day", "2026-01-22"] == ("2026-01-22", False, "2026-02-01")
