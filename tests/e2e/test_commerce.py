"""Commerce of a small company: every mart equals the known truth through nights with late rows, and a rebuild of it all."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from orchestration.lib.simulator import MART_KEYS, simulate
from orchestration.lib.simulator.commerce import sell_abroad
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

FEEDS = ("persons", "orders", "order_lines", "refunds", "cart_events", "web_sessions", "page_events", "fx_rates", "initiatives")
MARTS = (
    "engagement_daily",
    "engaged_customers_daily",
    "sales_daily",
    "clv_daily",
    "clv_customer",
    "cart_abandonment_daily",
    "sales_since_initiative",
)
DAYS, NIGHTS = 75, 3


def test_marts_equal_the_truth_after_every_night_and_a_rebuild(tmp_path: Path) -> None:
    company, home = simulate(customers=300, days=DAYS, seed=21), tmp_path / "home"
    sell_abroad(company)
    write_company(company, home, FEEDS)
    last = company.start + timedelta(days=DAYS - 1 - NIGHTS)
    assert run(home, "backfill", company.start, last) in (0, 3)
    for night in range(NIGHTS):
        assert run(home, "nightly", last + timedelta(days=night + 1)) in (0, 3)
    truth = company.truth()
    for mart in MARTS:
        actual, keys = read_mart(release_of(home), mart), list(MART_KEYS[mart])
        columns = [column for column in actual.columns if column not in keys]
        assert len(actual) > 50 and set(columns) == set(truth[mart].columns) - set(keys)
        assert differences(actual, truth[mart], keys, columns)[:5] == []
    before = tmp_path / "before.duckdb"
    shutil.copy(release_of(home), before)
    assert run(home, "rebuild") in (0, 3)
    assert rows_that_differ(before, release_of(home)) == {}
