"""Self service, emotion, contacts and orders: every mart equals the known truth through nights, and a rebuild of it all."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

from orchestration.lib.simulator import MART_KEYS, Company, simulate
from orchestration.partitions import Window
from tests.company import release_of, rows_that_differ, write_company
from tests.frames import differences, read_mart
from tests.replay import night

FEEDS = (
    "persons", "orders", "order_lines", "contacts", "self_service_sessions", "ivr_events", "sentiment_segments", "shipments",
    "social_mentions", "stock_prices", "benchmarks",
)  # fmt: skip
MARTS = {
    "self_service_daily": 200,
    "ivr_requests_daily": 100,
    "service_to_sales_daily": 100,
    "contacts_per_order_daily": 70,
    "emotion_daily": 40,
    "journey_emotion_daily": 3,
    "social_daily": 200,
    "stock_daily": 70,
    "benchmark_targets": 15,
}
"""The marts of the subject, and how many rows they have at least in this company."""
DAYS, NIGHTS = 75, 3


def _assert_true(company: Company, home: Path, through: date) -> None:
    truth = company.truth(through)
    for mart, rows in MARTS.items():
        actual, keys = read_mart(release_of(home), mart), list(MART_KEYS[mart])
        columns = [column for column in actual.columns if column not in keys]
        assert len(actual) >= rows, mart
        assert set(columns) == set(truth[mart].columns) - set(keys)
        assert differences(actual, truth[mart], keys, columns)[:5] == [], f"{mart} through {through}"


def test_marts_equal_the_truth_after_every_night_and_a_rebuild(tmp_path: Path) -> None:
    company, home = simulate(customers=300, days=DAYS, seed=31), tmp_path / "home"
    write_company(company, home, FEEDS)
    last = company.start + timedelta(days=DAYS - 1 - NIGHTS)
    assert night(home, "backfill", Window.of_days(company.start, last))
    for n in range(1, NIGHTS + 1):
        day = last + timedelta(days=n)
        assert night(home, f"night{n}", Window.of_days(day, day))
        if n in (1, NIGHTS):
            _assert_true(company, home, day)
    before = tmp_path / "before.duckdb"
    shutil.copy(release_of(home), before)
    assert night(home, "rebuild", None)
    assert rows_that_differ(before, release_of(home)) == {}
