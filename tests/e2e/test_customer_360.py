"""customer_360 equals the simulated company's own books, row by row, after a backfill and three nights."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from orchestration.lib.simulator import MART_KEYS, simulate
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart


def test_customer_360_is_true_after_every_night(cx_home: Path) -> None:
    company = simulate(customers=500, days=100, seed=3)
    write_company(company, cx_home)
    last = company.data_through
    assert run(cx_home, "backfill", company.start, last - timedelta(days=3)) == 0
    for day in (last - timedelta(days=2), last - timedelta(days=1), last):
        assert run(cx_home, "nightly", day) == 0
        truth = company.truth(day)["customer_360"]
        columns = [column for column in truth.columns if column != "person_id"]
        assert differences(read_mart(release_of(cx_home), "customer_360"), truth, list(MART_KEYS["customer_360"]), columns) == []
        assert set(truth.next_best_action_rule) >= {"old_open_case", "recent_detractor", "likely_next_product", "no_rule"}
    before = release_of(cx_home).resolve()
    assert run(cx_home, "rebuild") == 0
    assert rows_that_differ(before, release_of(cx_home)) == {}
