"""The contact centre's operations on a simulated company: a backfill and nights equal the truth and a rebuild.

Belongs here: the marts of this subject through the whole pipeline. Does not: opening hours by themselves
(`test_business_hours`), real exports (`test_examples`).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.lib.simulator import MART_KEYS, simulate
from orchestration.lib.simulator.contact_center import SUBJECT
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

FEEDS = ("contacts", "cases", "case_events", "survey_responses", "surveys", *SUBJECT.feeds)


@pytest.fixture(scope="module")
def company():
    """Late rows, corrections and calendars that are told late lie in its last days, too."""
    return simulate(customers=300, days=60, seed=5)


@pytest.fixture(scope="module")
def home(company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("centre") / "cx"
    write_company(company, home, FEEDS)
    last = company.data_through
    assert run(home, "backfill", company.start, last - timedelta(days=3)) == 0
    for back in (2, 1, 0):
        assert run(home, "nightly", last - timedelta(days=back)) == 0
    return home


@pytest.mark.parametrize("mart", SUBJECT.marts)
def test_every_cell_is_true(company, home: Path, mart: str) -> None:
    expected = company.truth()[mart]
    assert len(expected) > 20
    columns = [column for column in expected.columns if column not in MART_KEYS[mart]]
    found = differences(read_mart(release_of(home), mart), expected, list(MART_KEYS[mart]), columns)
    assert not found, f"{len(found)} differences, first: {found[:5]}"


def test_nights_equal_a_rebuild(home: Path, tmp_path: Path) -> None:
    nights = tmp_path / "nights.duckdb"
    nights.write_bytes(release_of(home).read_bytes())
    assert run(home, "rebuild") == 0
    assert rows_that_differ(nights, release_of(home)) == {}
