"""Surveys end to end: three nights after a backfill give the marts that plain bookkeeping gives, and those of a rebuild.

Belongs here: the marts of the subject `surveys` on its own feeds. Does not: other marts, the machinery of a run.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.lib.simulator import Company, simulate
from orchestration.lib.simulator.surveys import SUBJECT
from orchestration.lib.simulator.truth import MART_KEYS
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

FEEDS = (*SUBJECT.feeds, "shipments")
NIGHTS = 3


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(customers=300, days=75, seed=21)


@pytest.fixture(scope="module")
def home(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after a backfill and three nights."""
    home = tmp_path_factory.mktemp("surveys")
    write_company(company, home, FEEDS)
    first_night = company.data_through - timedelta(days=NIGHTS - 1)
    assert run(home, "backfill", company.start, first_night - timedelta(days=1)) in (0, 3)
    for night in range(NIGHTS):
        assert run(home, "nightly", first_night + timedelta(days=night)) in (0, 3)
    return home


@pytest.mark.parametrize("mart", sorted(SUBJECT.marts))
def test_every_cell_is_what_bookkeeping_says(company: Company, home: Path, mart: str) -> None:
    expected, actual = company.truth()[mart], read_mart(release_of(home), mart)
    assert len(expected) > 0
    keys = list(MART_KEYS[mart])
    columns = [column for column in actual.columns if column not in keys]
    found = differences(actual, expected, keys, columns)
    assert not found, f"{len(found)} differences, first: {found[:5]}"


def test_nights_equal_a_rebuild(home: Path, tmp_path: Path) -> None:
    before = shutil.copy(release_of(home), tmp_path / "before.duckdb")
    assert run(home, "rebuild") == 0
    assert rows_that_differ(before, release_of(home)) == {}


def test_what_is_not_mapped_is_told(home: Path) -> None:
    """An option that the registry does not list, and answers that contradict it, are warnings; the rest is published."""
    with duckdb.connect(str(home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        told = con.execute(
            "select distinct gate, severity, figure, sample from ops.verdicts where gate in ('mapped_answers', 'known_scales') "
            "and not passed and run_id = (select arg_max(run_id, judged_at) from ops.verdicts) order by gate"
        ).fetchall()
        counted = con.execute(
            "select count(*) filter (where exclusion = 'contradicts_registry'), count(*) filter (where choice = 'unmapped') "
            "from intermediate.int_survey_answers"
        ).fetchone()
    assert [(gate, severity) for gate, severity, *_ in told] == [("known_scales", "warn"), ("mapped_answers", "warn")]
    assert [int(figure) for _, _, figure, _ in told] == list(counted)
    assert "contradicts_registry" in told[0][3]


def test_scales_are_never_pooled(home: Path) -> None:
    """Each of these has a series of its own: two NPS scales, two versions of a question, and before and after a new cut."""
    scales = set(read_mart(release_of(home), "survey_daily")["scale_id"])
    assert scales >= {
        "nps 0-10 high_is_good", "nps 1-10 high_is_good", "ces 1-7 high_is_good from 5", "ces 1-7 high_is_bad from 5",
        "ces 1-5 high_is_good from 4", "csat 1-5 high_is_good from 4", "csat 1-10 high_is_good from 7",
        "switch_likelihood 1-10 high_is_bad",
    }  # fmt: skip
    assert "csat 1-10 high_is_good from 8" not in scales, "the registry's correction re-judges every answer"
