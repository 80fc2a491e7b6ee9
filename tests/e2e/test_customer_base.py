"""The marts of the customer base equal the company's books, and after nights what is built anew; a published survival curve."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.lib.simulator import MART_KEYS, Company, simulate
from orchestration.lib.simulator.customer_base import SUBJECT
from orchestration.settings import Settings
from tests.company import release_of, rows_that_differ, run, write_company
from tests.frames import differences, read_mart

FEEDS = ("persons", "subscriptions", "marketing_spend", "campaigns", "referrals", "orders", "order_lines", "refunds", "products")
DAYS, NIGHTS = 75, 3


@pytest.fixture(scope="module")
def company() -> Company:
    return simulate(customers=300, days=DAYS, seed=31)


@pytest.fixture(scope="module")
def home(company: Company, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backfill, then nights with their late rows and corrections."""
    home = tmp_path_factory.mktemp("base") / "home"
    write_company(company, home, FEEDS)
    last = company.data_through - timedelta(days=NIGHTS)
    assert run(home, "backfill", company.start, last) in (0, 3)
    for n in range(NIGHTS):
        assert run(home, "nightly", last + timedelta(days=n + 1)) in (0, 3)
    return home


@pytest.mark.parametrize("mart", [*sorted(SUBJECT.marts), "retention_cohorts"])
def test_a_mart_equals_the_books(mart: str, company: Company, home: Path) -> None:
    truth = company.truth()[mart]
    keys = list(MART_KEYS[mart])
    assert len(truth) > 5
    assert differences(read_mart(release_of(home), mart), truth, keys, [c for c in truth.columns if c not in keys]) == []


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


# Weeks in remission on 6-mercaptopurine (Freireich and others 1963), + where it went on: the curve of every textbook.
REMISSIONS = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PUBLISHED = {
    6: (21, 3, 0.8571, 0.0764), 7: (17, 1, 0.8067, 0.0869), 10: (15, 1, 0.7529, 0.0963), 13: (12, 1, 0.6902, 0.1068),
    16: (11, 1, 0.6275, 0.1141), 22: (7, 1, 0.5378, 0.1282), 23: (6, 1, 0.4482, 0.1346),
}  # fmt: skip


def test_survival_of_a_published_trial(tmp_path: Path) -> None:
    """Each patient a contract that ends within the month, or runs on its last day."""
    end = date(2026, 3, 31)
    lines = ["subscription_id,person_id,plan,started_at,ended_at"]
    for n, word in enumerate(REMISSIONS.split()):
        length = int(word.rstrip("+"))
        start = end - timedelta(days=length - 1 if word.endswith("+") else length + n % 3)
        ended = "" if word.endswith("+") else f"{start + timedelta(days=length)}T00:00:00Z"
        lines.append(f"S{n},P{n},6-MP,{start}T00:00:00Z,{ended}")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / f"trial_{end}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "landing" / "cx.toml").write_text(
        '[[feed]]\nfeed = "subscriptions"\npattern = "trial_{day}.csv"\nformat = "csv"\n', encoding="utf-8"
    )
    assert run(tmp_path, "backfill", end) == 0
    assert Settings(tmp_path).current_release.exists()
    curves = read_mart(release_of(tmp_path), "survival")
    curve = curves[(curves["plan"] == "6-MP") & (curves["metric_date"].dt.date == end)]
    assert list(curve["tenure_days"]) == list(range(1, 36))
    steps = curve[curve["ended"] > 0].set_index("tenure_days")
    found = {
        t: (row["at_risk"], row["ended"], round(row["survival"], 4), round(row["standard_error"], 4))
        for t, row in steps.iterrows()
    }
    assert found == PUBLISHED
