"""Nightly runs, one backfill and a rebuild are one path: their marts are equal row for row."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.lib.simulator import simulate
from tests.company import release_of, rows_that_differ, run, write_company

DAYS, NIGHTS = 40, 4


@pytest.mark.minutes
def test_nights_equal_backfill_equal_rebuild(tmp_path: Path) -> None:
    """A company with late rows, corrections, repeated events and bad rows; that each mart is true, test_every_mart says."""
    company = simulate(customers=300, days=DAYS, seed=11)
    by_night, at_once = tmp_path / "by_night", tmp_path / "at_once"
    for home in (by_night, at_once):
        write_company(company, home)
    first_night = company.data_through - timedelta(days=NIGHTS - 1)
    assert run(by_night, "backfill", company.start, first_night - timedelta(days=1)) == 0
    for n in range(NIGHTS):
        assert run(by_night, "nightly", first_night + timedelta(days=n)) == 0
    assert run(at_once, "backfill", company.start, company.data_through) == 0
    assert rows_that_differ(release_of(by_night), release_of(at_once)) == {}
    before = shutil.copy(release_of(by_night), tmp_path / "before.duckdb")
    assert run(by_night, "rebuild") == 0
    assert rows_that_differ(before, release_of(by_night)) == {}
    # a second run of the same day changes nothing
    assert run(by_night, "nightly", company.data_through) == 0
    assert rows_that_differ(before, release_of(by_night)) == {}
