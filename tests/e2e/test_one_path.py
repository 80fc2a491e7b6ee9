"""Nightly runs, one backfill and a rebuild are one path: their marts are equal row for row, and equal to the truth."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

from orchestration.lib.simulator import MART_KEYS, Company, simulate
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

DAYS, NIGHTS = 40, 13


def _assert_true(company: Company, home: Path, through: date) -> None:
    for mart, truth in company.truth(through).items():
        keys = list(MART_KEYS[mart])
        columns = [column for column in truth.columns if column not in keys]
        assert differences(read_mart(release_of(home), mart), truth, keys, columns) == [], f"{mart} through {through}"


def test_nights_equal_backfill_equal_rebuild_equal_truth(tmp_path: Path) -> None:
    """A company with late rows, corrections, repeated events and bad rows; some nights compared with its own books."""
    company = simulate(customers=300, days=DAYS, seed=11)
    last = company.start + timedelta(days=DAYS - 1)
    by_night, at_once = tmp_path / "by_night", tmp_path / "at_once"
    for home in (by_night, at_once):
        write_company(company, home)

    first_night = last - timedelta(days=NIGHTS - 1)
    assert run(by_night, "backfill", company.start, first_night - timedelta(days=1)) == 0
    for n in range(NIGHTS):
        night = first_night + timedelta(days=n)
        assert run(by_night, "nightly", night) == 0
        if n % 6 == 0:
            _assert_true(company, by_night, night)
    assert run(at_once, "backfill", company.start, last) == 0

    _assert_true(company, at_once, last)
    assert rows_that_differ(release_of(by_night), release_of(at_once)) == {}
    before = shutil.copy(release_of(by_night), tmp_path / "before.duckdb")
    assert run(by_night, "rebuild") == 0
    assert rows_that_differ(before, release_of(by_night)) == {}


def test_a_second_run_of_the_same_day_changes_nothing(tmp_path: Path) -> None:
    company = simulate(customers=120, days=12, seed=3)
    last = company.start + timedelta(days=11)
    write_company(company, tmp_path)
    assert run(tmp_path, "backfill", company.start, last) == 0
    before = shutil.copy(release_of(tmp_path), tmp_path / "before.duckdb")
    assert run(tmp_path, "nightly", last) == 0
    assert rows_that_differ(before, release_of(tmp_path)) == {}
