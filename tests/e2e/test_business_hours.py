"""Opening hours and due times of the SQL against a clock watched minute by minute, in zones with odd clocks.

Belongs here: `int_business_hours` and what `int_cases` counts from it, on rows put straight into staging. Does not: marts
(`test_contact_center`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import pytest

from orchestration.lib import warehouse
from orchestration.settings import Business, CxConfig, Settings
from tests.replay import _full_refresh_sql, in_order

MINUTE = timedelta(minutes=1)
# zone, and days around a change of its clock; Havana changes it at midnight, Lord Howe by half an hour, Cairo skips midnight
CHANGES = (
    ("Europe/Amsterdam", date(2025, 10, 24)), ("Europe/Amsterdam", date(2026, 3, 27)), ("America/New_York", date(2025, 10, 31)),
    ("America/New_York", date(2026, 3, 6)), ("Pacific/Auckland", date(2025, 9, 26)), ("Pacific/Auckland", date(2026, 4, 3)),
    ("America/Havana", date(2025, 10, 31)), ("Africa/Cairo", date(2025, 4, 23)), ("Africa/Cairo", date(2025, 10, 29)),
    ("Australia/Lord_Howe", date(2026, 4, 3)), ("Asia/Kolkata", date(2025, 12, 29)),
)  # fmt: skip


@pytest.fixture(scope="module")
def connect(tmp_path_factory: pytest.TempPathFactory):
    """An empty warehouse with every table the case facts need, in a zone."""
    statements, made = _full_refresh_sql(), []

    def opened(zone: str) -> duckdb.DuckDBPyConnection:
        settings = Settings(tmp_path_factory.mktemp("hours"))
        settings.make_folders()
        con = duckdb.connect(str(settings.warehouse))
        con.execute("set TimeZone = 'UTC'; create schema staging; create schema intermediate; create schema marts")
        warehouse.prepare(con, CxConfig(business=Business(timezone=zone)))
        warehouse.advance_clock(con, date(2026, 12, 31))
        needed = {"business_calendars", "holidays", "cases", "case_events", "contacts", "service_targets"}
        for model in in_order({f"stg_{feed}" for feed in needed}):
            con.execute(statements[model])
        made.append(con)
        return con

    yield opened
    for con in made:
        con.close()


def build(con: duckdb.DuckDBPyConnection) -> None:
    """The two models, whole."""
    for model in ("int_business_hours", "int_cases"):
        con.execute(_full_refresh_sql()[model])


def add(con: duckdb.DuckDBPyConnection, feed: str, **values: object) -> None:
    """A staged row."""
    names = ", ".join(values)
    con.execute(f"insert into staging.stg_{feed} ({names}) values ({', '.join('?' * len(values))})", list(values.values()))


class Watch:
    """Whether a calendar is open, asked of the clock on the wall at each minute."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.openings: list[tuple[int, str, str]] = []
        self.holidays: set[date] = set()

    def is_open(self, minute: datetime) -> bool:
        """At the beginning of the minute."""
        wall = minute.astimezone(self.zone)
        shown = f"{wall:%H:%M}"
        return wall.date() not in self.holidays and any(
            wall.isoweekday() == weekday and opens <= shown < closes for weekday, opens, closes in self.openings
        )

    def minutes(self, since: datetime, until: datetime) -> float:
        """Open minutes between two instants; both may lie inside a minute."""
        total, minute = 0.0, since.replace(second=0, microsecond=0)
        while minute < until:
            if self.is_open(minute):
                total += (min(minute + MINUTE, until) - max(minute, since)).total_seconds() / 60
            minute += MINUTE
        return total


@pytest.mark.parametrize(("zone", "first"), CHANGES, ids=[f"{zone}-{day}" for zone, day in CHANGES])
def test_open_minutes_equal_a_watched_clock(connect, zone: str, first: date) -> None:
    rng, con, watch = Random(f"{zone}{first}"), connect(zone), Watch(zone)
    times = [f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in (0, 15, 30)] + ["24:00"]
    for weekday in range(1, 8):
        # several openings a day, some overlap or touch, some days are closed, some whole
        for opens, closes in {
            "00:00" if pick == 0 else first_time: "24:00" if pick == 0 else last_time
            for pick in (rng.randrange(8) for _ in range(rng.choice((0, 1, 2, 3))))
            for first_time, last_time in [sorted(rng.sample(times, 2))]
        }.items():
            watch.openings.append((weekday, opens, closes))
            add(con, "business_calendars", calendar_id="default", weekday=weekday, opens=opens, closes=closes)
    # in the night in which the clock changes, too
    sunday = 7 if zone != "Africa/Cairo" else 5
    watch.openings.append((sunday, "00:30", "03:45"))
    add(con, "business_calendars", calendar_id="default", weekday=sunday, opens="00:30", closes="03:45")
    watch.holidays.add(first + timedelta(days=5))
    add(con, "holidays", calendar_id="default", holiday_date=first + timedelta(days=5))
    start = datetime.combine(first, datetime.min.time(), UTC)
    spans = []
    for n in range(40):
        since = start + timedelta(seconds=rng.randrange(6 * 86_400))
        if n % 4 == 0:
            since = since.replace(minute=0, second=0)
        spans.append((since, since + timedelta(seconds=rng.choice((0, 59, 3600, 86_400, rng.randrange(4 * 86_400))))))
        add(
            con, "cases", case_id=str(n), opened_at=spans[n][0].replace(tzinfo=None), resolved_at=spans[n][1].replace(tzinfo=None)
        )
    build(con)
    found = con.execute("select resolution_business_minutes from intermediate.int_cases order by cast(case_id as int)").fetchall()
    expected = [watch.minutes(*span) for span in spans]
    assert [minutes for (minutes,) in found] == pytest.approx(expected, abs=1e-9)
    assert len({round(minutes) for minutes in expected}) > 10


def _case(con: duckdb.DuckDBPyConnection, zone: str, queue: str, raised: str, resolved: str, seconds: int | None = None) -> tuple:
    """A case told in local times: its business minutes, local due time and whether it was in time."""
    utc = [
        datetime.fromisoformat(t).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) for t in (raised, resolved)
    ]
    add(con, "cases", case_id="1", queue=queue, channel="phone", opened_at=utc[0], resolved_at=utc[1])
    if seconds is not None:
        add(con, "service_targets", kind="resolution", channel="all", queue="all", valid_from=date(2020, 1, 1),
            target_seconds=seconds, clock="business")  # fmt: skip
    build(con)
    minutes, due, in_time = con.execute(
        "select resolution_business_minutes, due_at, is_resolved_in_time from intermediate.int_cases"
    ).fetchone()
    return minutes, due and f"{due.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)):%a %d %H:%M}", in_time


OFFICE = [(weekday, "09:00", "17:00") for weekday in range(1, 6)]


@pytest.mark.parametrize(
    ("raised", "resolved", "seconds", "expected"),
    [
        # Friday 16:30 to Monday 09:20: 30 + 20 minutes
        ("2025-12-05 16:30", "2025-12-08 09:20", 3600, (50.0, "Mon 08 09:30", True)),
        # raised and solved on Saturday: no business minute, due on Monday an hour after opening
        ("2025-12-06 10:00", "2025-12-06 12:00", 3600, (0.0, "Mon 08 10:00", True)),
        # over Christmas, a holiday: Wednesday 16:00 to Friday 10:00
        ("2025-12-24 16:00", "2025-12-26 10:00", 7199, (120.0, "Fri 26 09:59", False)),
        # a target that runs out at closing time is met until the next opening, and not a minute longer
        ("2025-12-05 16:00", "2025-12-08 09:00", 3600, (60.0, "Mon 08 09:00", True)),
        ("2025-12-05 16:00", "2025-12-08 09:01", 3600, (61.0, "Mon 08 09:00", False)),
    ],
)  # fmt: skip
def test_hours_and_due_times_by_hand(connect, raised: str, resolved: str, seconds: int, expected: tuple) -> None:
    con = connect("Europe/Amsterdam")
    for weekday, opens, closes in OFFICE:
        add(con, "business_calendars", calendar_id="default", weekday=weekday, opens=opens, closes=closes)
    add(con, "holidays", calendar_id="default", holiday_date=date(2025, 12, 25))
    assert _case(con, "Europe/Amsterdam", "q", raised, resolved, seconds) == expected


@pytest.mark.parametrize(("day", "hours"), [("2025-10-26", 25), ("2026-03-29", 23), ("2026-03-22", 24)])
def test_a_day_is_as_long_as_its_clock_says(connect, day: str, hours: int) -> None:
    con = connect("Europe/Amsterdam")
    add(con, "business_calendars", calendar_id="default", weekday=7, opens="00:00", closes="24:00")
    following = f"{date.fromisoformat(day) + timedelta(days=1)} 12:00"
    assert _case(con, "Europe/Amsterdam", "q", f"{day} 00:00", following)[0] == 60 * hours


def test_the_calendar_of_the_queue_comes_first_and_none_is_not_zero(connect) -> None:
    con = connect("UTC")
    add(con, "business_calendars", calendar_id="vip", weekday=1, opens="00:00", closes="24:00")
    assert _case(con, "UTC", "other", "2025-12-01 10:00", "2025-12-01 11:00", 60) == (None, None, False)
    add(con, "business_calendars", calendar_id="default", weekday=1, opens="10:30", closes="11:00")
    add(
        con,
        "cases",
        case_id="2",
        queue="vip",
        channel="phone",
        opened_at=datetime(2025, 12, 1, 10),
        resolved_at=datetime(2025, 12, 1, 11),
    )
    build(con)
    rows = con.execute("select calendar_id, resolution_business_minutes from intermediate.int_cases order by case_id").fetchall()
    assert rows == [("default", 30.0), ("vip", 60.0)]
