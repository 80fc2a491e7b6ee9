"""Contacts near midnight and in the nights in which the clock changes, counted by hand.

Belongs here: the day and hour of a contact in its business time zone, through the SQL of staging and mart. Does not: opening
hours (`test_business_hours`).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import pytest

from orchestration.lib import warehouse
from orchestration.settings import Business, CxConfig, Settings
from tests.replay import _full_refresh_sql


def volume(folder, zone: str, starts: list[datetime]) -> dict[tuple[str, int], int]:
    """Inbound contacts by day and hour, of contacts that began at these UTC instants."""
    settings = Settings(folder)
    settings.make_folders()
    with duckdb.connect(str(settings.warehouse)) as con:
        con.execute("set TimeZone = 'UTC'; create schema staging; create schema marts")
        warehouse.prepare(con, CxConfig(business=Business(timezone=zone)))
        warehouse.advance_clock(con, date(2026, 12, 31))
        con.executemany(
            "insert into raw.contacts (_key, contact_id, channel, direction, outcome, started_at, _delivery_day, _file, _line) "
            "values ($1, $1, 'phone', 'inbound', 'handled', $2, '2026-12-31', 'f', 1)",
            [[str(n), at] for n, at in enumerate(starts)],
        )
        for model in ("stg_contacts", "contact_volume_daily"):
            con.execute(_full_refresh_sql()[model])
        rows = con.execute("select cast(metric_date as varchar), hour, inbound from marts.contact_volume_daily").fetchall()
    return {(day, hour): inbound for day, hour, inbound in rows}


@pytest.mark.parametrize(
    ("zone", "at", "expected"),
    [
        # half past eleven in the evening in New York is the next day in UTC, in winter and in summer
        ("America/New_York", datetime(2026, 1, 16, 4, 30), ("2026-01-15", 23)),
        ("America/New_York", datetime(2026, 7, 16, 3, 30), ("2026-07-15", 23)),
        # noon UTC on 30 December is one in the morning of 31 December in Auckland (UTC+13), and eleven UTC on the 31st is 2026
        ("Pacific/Auckland", datetime(2025, 12, 30, 12), ("2025-12-31", 1)),
        ("Pacific/Auckland", datetime(2025, 12, 31, 10, 59, 59), ("2025-12-31", 23)),
        ("Pacific/Auckland", datetime(2025, 12, 31, 11), ("2026-01-01", 0)),
    ],
)
def test_a_contact_counts_on_its_local_day_and_hour(tmp_path, zone: str, at: datetime, expected: tuple[str, int]) -> None:
    assert volume(tmp_path, zone, [at]) == {expected: 1}


@pytest.mark.parametrize(
    ("begins", "day", "doubled", "skipped"),
    [
        # Amsterdam: summer time ends at 01:00 UTC, two o'clock comes twice; it begins at 01:00 UTC, and two o'clock never comes
        (datetime(2025, 10, 25, 22), "2025-10-26", 2, None),
        (datetime(2026, 3, 28, 23), "2026-03-29", None, 2),
        (datetime(2026, 3, 21, 23), "2026-03-22", None, None),
    ],
)
def test_a_contact_every_half_hour_of_a_day(
    tmp_path, begins: datetime, day: str, doubled: int | None, skipped: int | None
) -> None:
    """Two contacts an hour: 50 on the long day, 46 on the short one, and no hour or day gets those of another."""
    hours = 24 + (doubled is not None) - (skipped is not None)
    starts = [begins + timedelta(minutes=30 * n) for n in range(2 * hours)]
    around = [begins - timedelta(seconds=1), begins + timedelta(hours=hours)]
    found = volume(tmp_path, "Europe/Amsterdam", [*starts, *around])
    expected = {(day, hour): 4 if hour == doubled else 2 for hour in range(24) if hour != skipped}
    yesterday, tomorrow = (date.fromisoformat(day) + timedelta(days=by) for by in (-1, 1))
    assert found == expected | {(str(yesterday), 23): 1, (str(tomorrow), 0): 1}
