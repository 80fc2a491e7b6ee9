"""A home of a simulated company, and running cxmarts on it in this process, through the same code as `cx`.

Belongs here: what end-to-end tests share. Does not: expected numbers.
"""

from __future__ import annotations

import os
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
from filelock import FileLock

from orchestration import cli
from orchestration.lib import clv_as_of
from orchestration.lib.simulator import CORE_FEEDS, Company, simulate
from orchestration.lib.simulator.commerce import sell_abroad
from orchestration.lib.simulator.company import FEEDS
from orchestration.partitions import Window
from orchestration.settings import Settings


def write_company(company: Company, home: Path, feeds: tuple[str, ...] = CORE_FEEDS) -> None:
    """The exports of all its days, and their `cx.toml`: a night takes its own.

    Only the core feeds where none are named: tests of the machinery need no more, and every feed costs them time.
    """
    (home / "landing").mkdir(parents=True)
    company.write_exports(home / "landing", feeds)
    (home / "landing" / "cx.toml").write_text(company.config(feeds), encoding="utf-8")


def run(home: Path, kind: str, first: date | None = None, last: date | None = None) -> int:
    """Run the job over the days, both inclusive; a rebuild without days. Returns the exit code of `cx`."""
    os.environ["CX_HOME"] = str(home)
    window = Window.of_days(first, last or first) if first else None
    return cli._run(Settings(home), kind, window, as_json=False)


def rows_that_differ(left: Path, right: Path, without: frozenset[str] = frozenset()) -> dict[str, int]:
    """Marts of two databases with a different multiset of rows: the number of rows in only one of them.

    The logs of what was published when are histories, and differ where the histories do.
    """
    found = {}
    with duckdb.connect() as con:
        con.execute(f"attach '{left}' as l (read_only); attach '{right}' as r (read_only)")
        query = "select distinct table_name from duckdb_tables() where schema_name = 'marts' and database_name = ?"
        logs = {"releases", "restatements"} | without
        names, others = ({name for (name,) in con.execute(query, [side]).fetchall()} - logs for side in ("l", "r"))
        assert names and names == others, names ^ others
        for mart in sorted(names):
            sides = [
                con.execute(f"select count(*) from (from {a}.marts.{mart} except all from {b}.marts.{mart})").fetchone()[0]
                for a, b in (("l", "r"), ("r", "l"))
            ]
            if any(sides):
                found[mart] = sum(sides)
    return found


def release_of(home: Path) -> Path:
    """The database that readers of this home open."""
    return home / "releases" / "current" / "cx.duckdb"


class Whole(NamedTuple):
    """A company, and its home after a backfill in two stages and nights with late rows and corrections. Not to be changed."""

    company: Company
    home: Path


def _parameters_of_others(file: Path) -> Path:
    """Two fits of all customers and one of a segment, for `cx clv import`."""
    file.write_text(
        "segment,as_of_date,model,r,alpha,a,b,p,q,v\n"
        "all,2025-10-10,mbg_nbd,1.37,3.1,0.21,2.9,,,\nall,2025-10-10,gamma_gamma,,,,,5.9,3.8,52\n"
        "all,2025-11-03,bg_nbd,1.02,2.2,0.33,4.1,,,\nall,2025-11-03,gamma_gamma,,,,,6.1,3.6,49\n"
        "web,2025-10-20,bg_nbd,1.21,2.8,0.27,3.3,,,\nweb,2025-10-20,gamma_gamma,,,,,5.2,4.4,61\n",
        encoding="utf-8",
    )
    return file


MONTH_TOLD = date(2025, 11, 5)
"""The night that keeps what is predicted as of the end of October."""


def whole_company(folder: Path) -> Whole:
    """Every feed, 300 customers, 75 days into a second quarter, orders in four currencies; made once in a folder."""
    company = simulate(customers=300, days=75, seed=23)
    sell_abroad(company)
    home, done, day = folder / "home", folder / "done", timedelta(days=1)
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            write_company(company, home, tuple(FEEDS))
            # Persons are told apart again, and an account turns out to be a test, after the first stage.
            stage = company.start + 28 * day
            assert run(home, "backfill", company.start, stage) in (0, 3)
            assert run(home, "backfill", stage + day, MONTH_TOLD - day) in (0, 3)
            # So few customers make no fit of their own: others' parameters, which score from their day on.
            clv_as_of.take(Settings(home), _parameters_of_others(folder / "parameters.csv"), "another library")
            assert run(home, "nightly", MONTH_TOLD) in (0, 3)
            assert run(home, "backfill", MONTH_TOLD + day, company.data_through) in (0, 3)
            done.touch()
    return Whole(company, home)
