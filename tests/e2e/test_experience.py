"""What an experience is worth, end to end: nights after a backfill give what bookkeeping gives.

Belongs here: the mart of the subject `experience`, over a company old enough for its windows. Does not: other marts.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.lib.simulator import simulate
from orchestration.lib.simulator.truth import MART_KEYS
from tests.company import release_of, run, write_company
from tests.frames import differences, read_mart

FEEDS = ("persons", "surveys", "survey_invitations", "survey_responses", "orders", "order_lines", "refunds", "referrals")
MART = "experience_value_monthly"


@pytest.mark.minutes
def test_the_value_of_an_experience_is_true_after_every_run(cx_home: Path) -> None:
    company = simulate(customers=200, days=212, seed=8)
    write_company(company, cx_home, FEEDS)
    last = company.data_through
    # the first of the runs completes 180 days after September, the last one 90 days after December
    assert run(cx_home, "backfill", company.start, last - timedelta(days=3)) in (0, 3)
    for first, day in ((last - timedelta(days=2),) * 2, (last - timedelta(days=1), last)):
        assert run(cx_home, "backfill", first, day) in (0, 3)
        truth = company.truth(day)[MART]
        keys = list(MART_KEYS[MART])
        columns = [column for column in truth.columns if column not in keys]
        found = differences(read_mart(release_of(cx_home), MART), truth, keys, columns)
        assert not found, f"{len(found)} differences, first: {found[:5]}"
        assert set(truth.band) == {"promoter", "passive", "detractor", "favourable", "unfavourable"}
        assert {90, 180} <= set(truth.window_days)
        assert truth[["orders", "lost", "referrals"]].sum().min() > 0
