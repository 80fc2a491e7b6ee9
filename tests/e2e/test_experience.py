"""What an experience is worth, end to end: nights after a backfill give what bookkeeping gives, and what a rebuild gives.

Belongs here: the mart of the subject `experience`, over a company old enough for its windows. Does not: other marts.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from orchestration.lib.simulator import simulate
from orchestration.lib.simulator.truth import MART_KEYS
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

FEEDS = ("persons", "surveys", "survey_invitations", "survey_responses", "orders", "order_lines", "refunds", "referrals")
MART = "experience_value_monthly"


def test_the_value_of_an_experience_is_true_after_every_night(cx_home: Path, tmp_path: Path) -> None:
    company = simulate(customers=200, days=212, seed=8)
    write_company(company, cx_home, FEEDS)
    last = company.data_through
    # the first of the nights completes 180 days after September, the last one 90 days after December
    assert run(cx_home, "backfill", company.start, last - timedelta(days=3)) in (0, 3)
    for day in (last - timedelta(days=2), last - timedelta(days=1), last):
        assert run(cx_home, "nightly", day) in (0, 3)
        truth = company.truth(day)[MART]
        keys = list(MART_KEYS[MART])
        columns = [column for column in truth.columns if column not in keys]
        found = differences(read_mart(release_of(cx_home), MART), truth, keys, columns)
        assert not found, f"{len(found)} differences, first: {found[:5]}"
        assert set(truth.band) == {"promoter", "passive", "detractor", "favourable", "unfavourable"}
        assert {90, 180} <= set(truth.window_days)
        assert truth[["orders", "lost", "referrals"]].sum().min() > 0
    before = shutil.copy(release_of(cx_home), tmp_path / "before.duckdb")
    assert run(cx_home, "rebuild") == 0
    assert rows_that_differ(before, release_of(cx_home)) == {}
