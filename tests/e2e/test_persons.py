"""Persons of three systems: their marts equal the books, after nights as after a rebuild; nobody is taken for another."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.lib.dbt_manifest import marts_on
from orchestration.lib.simulator import MART_KEYS, Company, simulate
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

FEEDS = (
    "persons", "accounts", "subscriptions", "orders", "order_lines", "refunds", "cart_events", "contacts", "cases", "case_events",
    "survey_responses",
)  # fmt: skip
# Of the subjects whose feeds are all here.
MARTS = (
    "person_coverage_daily", "person_links", "sales_daily", "retention_daily", "churn_daily", "retention_cohorts", "clv_customer",
    "clv_daily", "fcr_daily", "contact_volume_daily", "cart_abandonment_daily", "customer_360",
)  # fmt: skip
DAYS, NIGHTS = 75, 3


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(customers=300, days=DAYS, seed=23)


@pytest.fixture(scope="module")
def home(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backfill up to before persons were told apart again and an account turned out to be a test, another one, then nights."""
    home = tmp_path_factory.mktemp("persons") / "home"
    write_company(company, home, FEEDS)
    assert run(home, "backfill", company.start, company.start + timedelta(days=28)) in (0, 3)
    assert run(home, "backfill", company.start + timedelta(days=29), company.data_through - timedelta(days=NIGHTS)) in (0, 3)
    for n in range(NIGHTS):
        assert run(home, "nightly", company.data_through - timedelta(days=NIGHTS - 1 - n)) in (0, 3)
    return home


def test_the_company_is_told_apart_and_together_rightly(company: Company) -> None:
    """The rules find no false pair in the company, and miss only whom nothing links."""
    from orchestration.lib.simulator.truth import FEEDS as CLASSES
    from orchestration.lib.simulator.truth import Books, _latest

    books = Books({feed: _latest(feed, company.deliveries[feed]) for feed in CLASSES}, company.clock.zone, company.data_through)
    walk = books.crosswalk
    found = defaultdict(set)
    for person in walk.persons:
        assert company.identities[walk.survivor(person)] == company.identities[person]
        found[company.identities[person]].add(walk.survivor(person))
    several = [person for person in walk.persons if walk.survivor(person) != person]
    assert len(several) > 60 and walk.shared and walk.roles
    assert {walk.excluded(person) for person in walk.persons} == {None, "test_person", "test_account"}
    assert any(len(survivors) > 1 for survivors in found.values())


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_equals_the_books(mart: str, company: Company, home: Path) -> None:
    assert mart in marts_on(set(FEEDS))
    truth, keys = company.truth()[mart], list(MART_KEYS[mart])
    assert differences(read_mart(release_of(home), mart), truth, keys, [c for c in truth.columns if c not in keys]) == []


def test_no_personal_data_is_published(home: Path) -> None:
    """Neither an address nor a number of anybody, nor a hash of one, in any column of any mart."""
    with duckdb.connect(str(release_of(home)), read_only=True) as con:
        columns = "select table_name, column_name from duckdb_columns() where schema_name = 'marts' and data_type = 'VARCHAR'"
        for table, column in con.execute(columns).fetchall():
            pattern = "(?i)example[.]com|[+]316[0-9]{8}|^[0-9a-f]{32}$"
            said = con.execute(f"select count(*) from marts.{table} where regexp_matches(\"{column}\", '{pattern}')").fetchone()
            assert said == (0,), (table, column)


def test_nights_are_a_rebuild(home: Path, tmp_path: Path) -> None:
    with duckdb.connect() as con:
        con.execute(f"attach '{release_of(home)}' as r (read_only); attach '{tmp_path / 'nights.duckdb'}' as n")
        con.execute("create schema n.marts")
        for (name,) in con.execute(
            "select table_name from duckdb_tables() where database_name = 'r' and schema_name = 'marts'"
        ).fetchall():
            con.execute(f"create table n.marts.{name} as from r.marts.{name}")
    assert run(home, "rebuild") in (0, 3)
    assert rows_that_differ(tmp_path / "nights.duckdb", release_of(home)) == {}
