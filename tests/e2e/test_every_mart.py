"""Every mart of a company with every feed: what plain bookkeeping says, cell by cell, after nights as after a rebuild."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

from orchestration.lib.dbt_manifest import marts
from orchestration.lib.simulator import MART_KEYS
from orchestration.lib.simulator.truth import FEEDS, Books, latest
from tests.company import Whole, release_of, rows_that_differ, run
from tests.frames import differences, read_mart

MADE_OF_MARTS = {"metric_daily", "metrics"}
"""Held to the marts they are made of, in test_metrics."""
MADE_OF_FITS = {
    "clv_params", "clv_backtest", "clv_calibration", "clv_forecast", "clv_predicted", "clv_predicted_monthly",
    "clv_predicted_snapshot",
}  # fmt: skip
"""Models of the future have no books: test_clv holds them to formulas, figures and what came."""
OLDER = {"experience_value_monthly", "false_churn_daily"}
"""Need a longer history than this company has: their own end-to-end tests have it."""


def test_every_mart_has_its_books() -> None:
    assert set(MART_KEYS) == set(marts()) - MADE_OF_MARTS - MADE_OF_FITS


@pytest.mark.parametrize("mart", sorted(MART_KEYS.keys() - OLDER))
def test_every_cell_is_what_bookkeeping_says(mart: str, whole: Whole) -> None:
    expected, actual = whole.company.truth()[mart], read_mart(release_of(whole.home), mart)
    keys = list(MART_KEYS[mart])
    columns = [column for column in actual.columns if column not in keys]
    assert len(expected) and set(columns) == set(expected.columns) - set(keys)
    found = differences(actual, expected, keys, columns)
    assert not found, f"{len(found)} differences, first: {found[:5]}"


@pytest.mark.minutes  # random histories are held to a rebuild in every run (tests/property/test_histories.py)
def test_nights_equal_a_rebuild(whole: Whole, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(whole.home, home, symlinks=True)
    assert run(home, "rebuild") in (0, 3)
    assert rows_that_differ(release_of(whole.home), release_of(home)) == {}


# ---- persons --------------------------------------------------------------------------------------------------------


def test_the_company_is_told_apart_and_together_rightly(whole: Whole) -> None:
    """The rules find no false pair in the company, and miss only whom nothing links."""
    company = whole.company
    books = Books({feed: latest(feed, company.deliveries[feed]) for feed in FEEDS}, company.clock.zone, company.data_through)
    walk = books.crosswalk
    found = defaultdict(set)
    for person in walk.persons:
        assert company.identities[walk.survivor(person)] == company.identities[person]
        found[company.identities[person]].add(walk.survivor(person))
    several = [person for person in walk.persons if walk.survivor(person) != person]
    assert len(several) > 60 and walk.shared and walk.roles
    assert {walk.excluded(person) for person in walk.persons} == {None, "test_person", "test_account"}
    assert any(len(survivors) > 1 for survivors in found.values())


def test_no_personal_data_is_published(whole: Whole) -> None:
    """Neither an address nor a number of anybody, nor a hash of one, in any column of any mart."""
    with duckdb.connect(str(release_of(whole.home)), read_only=True) as con:
        columns = "select table_name, column_name from duckdb_columns() where schema_name = 'marts' and data_type = 'VARCHAR'"
        for table, column in con.execute(columns).fetchall():
            pattern = "(?i)example[.]com|[+]316[0-9]{8}|^[0-9a-f]{32}$"
            said = con.execute(f"select count(*) from marts.{table} where regexp_matches(\"{column}\", '{pattern}')").fetchone()
            assert said == (0,), (table, column)


# ---- surveys --------------------------------------------------------------------------------------------------------


def test_what_is_not_mapped_is_told(whole: Whole) -> None:
    """An option that the registry does not list, and answers that contradict it, are warnings; the rest is published."""
    with duckdb.connect(str(whole.home / "warehouse" / "cx.duckdb"), read_only=True) as con:
        told = con.execute(
            "select distinct gate, severity, figure, sample from ops.verdicts where gate in ('mapped_answers', 'known_scales') "
            "and not passed and run_id = (select arg_max(run_id, judged_at) from ops.verdicts) order by gate"
        ).fetchall()
        counted = con.execute(
            "select count(*) filter (where exclusion not in ('test_person', 'test_account')), "
            "count(*) filter (where choice = 'unmapped') from intermediate.int_survey_answers"
        ).fetchone()
    assert [(gate, severity) for gate, severity, *_ in told] == [("known_scales", "warn"), ("mapped_answers", "warn")]
    assert [int(figure) for _, _, figure, _ in told] == list(counted)
    assert "contradicts_registry" in told[0][3]


def test_scales_are_never_pooled(whole: Whole) -> None:
    """Each of these has a series of its own: two NPS scales, two versions of a question, and before and after a new cut."""
    scales = set(read_mart(release_of(whole.home), "survey_daily")["scale_id"])
    assert scales >= {
        "nps 0-10 high_is_good", "nps 1-10 high_is_good", "ces 1-7 high_is_good from 5", "ces 1-7 high_is_bad from 5",
        "ces 1-5 high_is_good from 4", "csat 1-5 high_is_good from 4", "csat 1-10 high_is_good from 7",
        "switch_likelihood 1-10 high_is_bad",
    }  # fmt: skip
    assert "csat 1-10 high_is_good from 8" not in scales, "the registry's correction re-judges every answer"
