"""On a real shop's exports: every night its own run, or all of them at once; the marts are equal row for row."""

from __future__ import annotations

import os
import shutil
import zipfile
from datetime import date
from pathlib import Path

import pytest

from tests import shuffled_retail
from tests.company import release_of, rows_that_differ, run

# Each night costs ten seconds: CX_TEST_REAL_NIGHTS=40 for more of them.
NIGHTS = int(os.environ.get("CX_TEST_REAL_NIGHTS", "8"))


@pytest.mark.minutes
def test_real_days_by_night_equal_one_backfill(tmp_path: Path, real_data: Path) -> None:
    """The first exports of a real shop."""
    example = Path(__file__).parents[2] / "examples" / "online_retail" / "cx.toml"
    homes = tmp_path / "by_night", tmp_path / "at_once"
    for home in homes:
        (home / "landing").mkdir(parents=True)
        with zipfile.ZipFile(real_data / "online_retail" / "by_day.zip") as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".csv"))[:NIGHTS]
            archive.extractall(home / "landing", names)
        shutil.copy(example, home / "landing" / "cx.toml")
    days = [date.fromisoformat(Path(name).stem) for name in names]
    for day in days:
        assert run(homes[0], "nightly", day) == 0
    assert run(homes[1], "backfill", days[0], days[-1]) == 0
    assert rows_that_differ(release_of(homes[0]), release_of(homes[1])) == {}


@pytest.mark.minutes
def test_real_days_in_any_order_equal_a_rebuild_and_an_orderly_backfill(tmp_path: Path, real_data: Path) -> None:
    """The same with all 305 days: python -m tests.shuffled_retail."""
    assert shuffled_retail.history(real_data, tmp_path, days=25, runs=4, seed=5) == ({}, {})
